"""What the Listen page plays: a sound per instrument, and the recording, at full and at half speed."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from d2midi_build.annotate.layering import Row, notes_of
from d2midi_build.digests import sha256_data
from d2midi_build.errors import PermanentError
from d2midi_build.music.notes import Notes
from d2midi_build.music.synthesis import synthesise
from d2midi_build.report.sound import PEAK, level

RATE_HZ: Final = 32_000
"""Of the notes' sound. Rendering 300 notes of 13 instruments takes a third of a second then."""

SPEEDS: Final = (1.0, 0.5)

_LEVEL_RATE_HZ: Final = 16_000
"""At which loudness is measured: enough for that, and quick."""

_SLOWED_RATE_HZ: Final = 44_100
_SLOWED_EARLY: Final = 1370
"""Samples that Rubber Band makes onsets come too early at half speed and 44.1 kHz: clicks at 39 known times, alone and
over a song, came 31 ms early, 25 to 36. (ffmpeg's atempo spreads them over 40 ms.)"""

_KEPT_BYTES: Final = 256 << 20

FloatArray = npt.NDArray[np.float32]

Span = tuple[float, float]
"""First and last moment, in seconds from the clip's first frame."""


@dataclass(frozen=True)
class Sound:
    """A finished sound.

    Attributes
    ----------
    flac : bytes
        A FLAC file of 16 bits.
    gain : float
        What its samples have to be multiplied by: they are scaled so as to use all 16 bits.
    """

    flac: bytes
    gain: float


class Sounds:
    """Makes sounds, one at a time, and keeps the latest; used from several threads.

    Parameters
    ----------
    most_bytes : int, optional
        How much to keep. A sound of 34 s takes 0.5 to 3 MB.
    """

    def __init__(self, most_bytes: int = _KEPT_BYTES) -> None:
        self._most = most_bytes
        self._kept: OrderedDict[tuple[Any, ...], Sound] = OrderedDict()
        self._lock = Lock()
        self._making = {"notes": Lock(), "original": Lock()}  # slowing down is another process's work
        self.made = 0
        """How many sounds were made, not found."""

    def notes(self, rows: Iterable[Row], span: Span, speed: float) -> Sound:
        """Notes as they sound within a span; see `play_notes`."""
        ordered = tuple(sorted(rows))
        return self._find(
            ("notes", digest(ordered, span), speed),
            lambda: _packed(play_notes(ordered, span, speed), RATE_HZ),
        )

    def original(self, file: Path, start_s: float, span: Span, speed: float) -> Sound:
        """The recording within a span: as it is, or slower in one channel.

        Parameters
        ----------
        file : Path
        start_s : float
            Where in the clip the file begins, in seconds.
        span : tuple of float
        speed : float

        Raises
        ------
        PermanentError
            If the file cannot be read or slowed down.
        """
        key = ("original", str(file), _changed_at(file), start_s, span, speed)
        return self._find(key, lambda: _original(file, start_s, span, speed))

    def _find(self, key: tuple[Any, ...], make: Callable[[], Sound]) -> Sound:
        with self._making[key[0]]:
            with self._lock:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key]
            sound = make()
            self._keep(key, sound)
            return sound

    def _keep(self, key: tuple[Any, ...], sound: Sound) -> None:
        with self._lock:
            self._kept[key] = sound
            self.made += 1
            size = sum(len(each.flac) for each in self._kept.values())
            while size > self._most and len(self._kept) > 1:
                _, oldest = self._kept.popitem(last=False)
                size -= len(oldest.flac)


def digest(rows: Iterable[Row], span: Span) -> str:
    """Names the sound of notes within a span: equal for all that sound the same."""
    return sha256_data([span, sorted((*row.seen, row.program) for row in rows)])[:24]


def play_notes(rows: Iterable[Row], span: Span, speed: float = 1.0, rate_hz: int = RATE_HZ) -> FloatArray:
    """Notes as they sound within a span: synthesised at another tempo, not stretched, so their pitch stays.

    Parameters
    ----------
    rows : iterable of Row
        Times in seconds from the clip's first frame; one that began before the span sounds from the span's beginning.
    span : tuple of float
        First and last moment, whole frames.
    speed : float, optional
        0.5 plays for twice as long.
    rate_hz : int, optional

    Returns
    -------
    np.ndarray, shape (n,), float32
        Channels averaged, not normalised, exactly as long as the span at that speed.
    """
    length_s = (span[1] - span[0]) / speed
    heard = within(notes_of(rows), span, speed)
    stereo = synthesise(heard, rate_hz, round(length_s * rate_hz))
    return (stereo[:, 0] + stereo[:, 1]) / np.float32(2)  # a tenth of the time that mean(axis=1) takes


def within(notes: Notes, span: Span, speed: float) -> Notes:
    """The notes that sound in a span, in seconds from its beginning at a speed."""
    heard = notes.sounding_in(*span)
    return Notes.create(
        np.maximum(heard.onset_s - span[0], 0.0) / speed,
        (heard.offset_s - span[0]) / speed,
        heard.pitch,
        heard.velocity,
        heard.program,
        heard.is_drum,
    )


@dataclass(frozen=True)
class Balance:
    """How loud to play a recording and notes.

    Attributes
    ----------
    notes : float
        Factor that makes the notes as loud as the recording: velocities are relative, so their own loudness says
        nothing.
    headroom : float
        Factor for everything, at most 1, that keeps both together below full scale.
    """

    notes: float
    headroom: float


def balance(rows: Iterable[Row], file: Path, start_s: float, span: Span) -> Balance:
    """How loud to play notes beside a recording.

    Raises
    ------
    PermanentError
        If the recording cannot be read.
    """
    original, rate_hz = _read(file, start_s, span)
    mono = original.mean(axis=1, dtype=np.float32)
    played = play_notes(rows, span, rate_hz=_LEVEL_RATE_HZ)
    here, there = level(mono, rate_hz), level(played, _LEVEL_RATE_HZ)
    factor = here / there if here > 0 and there > 0 else 1.0
    # With equal power on both sides each has at most 1 / sqrt(2) of its own when both are heard.
    alone = (float(np.abs(original).max(initial=0.0)), float(np.abs(played).max(initial=0.0)) * factor)
    loudest = max(*alone, sum(alone) / np.sqrt(2))
    return Balance(factor, min(1.0, PEAK / loudest) if loudest > 0 else 1.0)


def _original(file: Path, start_s: float, span: Span, speed: float) -> Sound:
    if speed == 1.0:
        return _packed(*_read(file, start_s, span))
    return _packed(_slowed(file, start_s, span, speed), _SLOWED_RATE_HZ)


def _read(file: Path, start_s: float, span: Span) -> tuple[FloatArray, int]:
    """The stretch of a file that is the span, silence where it has none; shape (n, channels), and its rate in Hz."""
    import soundfile

    try:
        with soundfile.SoundFile(file) as opened:
            rate_hz = opened.samplerate
            first, last = (round((moment - start_s) * rate_hz) for moment in span)
            sound = np.zeros((last - first, opened.channels), np.float32)
            begin, end = max(first, 0), min(last, opened.frames)
            if end > begin:
                opened.seek(begin)
                found = opened.read(end - begin, dtype="float32", always_2d=True)
                sound[begin - first : begin - first + len(found)] = found
            return sound, rate_hz
    except (soundfile.SoundFileError, OSError) as error:
        raise PermanentError(
            f"{file} cannot be read as sound ({error}); `d2midi validate` tells more"
        ) from error


def _slowed(file: Path, start_s: float, span: Span, speed: float) -> FloatArray:
    """The stretch played slower, its pitch kept, at `_SLOWED_RATE_HZ`; in one channel, which takes half the time."""
    import tempfile

    import ffmpeg
    import soundfile

    from d2midi_build.media.ffmpeg import file_url, read_samples

    sound, rate_hz = _read(file, start_s, span)
    with tempfile.TemporaryDirectory(prefix="d2midi-listen-") as folder:
        cut = Path(folder) / "cut.wav"
        soundfile.write(cut, sound.mean(axis=1), rate_hz, subtype="FLOAT")
        graph = ffmpeg.input(file_url(cut)).audio.filter("aresample", _SLOWED_RATE_HZ)
        graph = graph.filter("rubberband", tempo=speed, transients="mixed")
        parts = list(read_samples(graph.output, 1, f"slowing down {file}"))
    length = round((span[1] - span[0]) / speed * _SLOWED_RATE_HZ)
    slowed = np.zeros((length, 1), np.float32)
    found = np.concatenate(parts)[: length - _SLOWED_EARLY] if parts else slowed[:0]
    slowed[_SLOWED_EARLY : _SLOWED_EARLY + len(found)] = found
    return slowed


def _packed(sound: FloatArray, rate_hz: int) -> Sound:
    """As FLAC; the same samples give the same bytes."""
    import soundfile

    peak = float(np.abs(sound).max(initial=0.0))
    steps = np.iinfo(np.int16).max
    gain = peak * (steps + 1) / steps if peak > 0 else 1.0  # readers take 32,768 for full scale
    samples = np.rint(sound * ((steps + 1) / gain)).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format="FLAC", subtype="PCM_16")
    return Sound(file.getvalue(), gain)


def _changed_at(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0
