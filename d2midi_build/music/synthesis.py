"""Notes to sound, with any General MIDI soundfont; by default the one pretty_midi brings (TimGM6mb)."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from d2midi_build.errors import UsageError
from d2midi_build.music.instruments import DRUM_CHANNEL
from d2midi_build.music.notes import Notes

TAIL_S: Final = 1.0
"""Silence or reverberation kept after the last offset when no length is asked for."""

_GAIN_DB: Final = -6.0
"""Headroom: one note of velocity 100 peaks at 0.05-0.3; a band may still pass 1.0, so scale what is saved."""

_DRUM_BANK: Final = 128
"""Where a soundfont keeps its drum kits (SoundFont 2.04, section 7.2)."""

_PITCHED_CHANNELS: Final = tuple(channel for channel in range(16) if channel != DRUM_CHANNEL)


def default_soundfont() -> Path:
    """The file of TimGM6mb, found without importing pretty_midi.

    Raises
    ------
    UsageError
        If pretty_midi is installed without it.
    """
    spec = importlib.util.find_spec("pretty_midi")
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        file = Path(folder) / "TimGM6mb.sf2"
        if file.is_file():
            return file
    raise UsageError("no TimGM6mb.sf2 in the package pretty_midi; install pretty-midi 0.2.10 or newer 0.2")


def synthesise(
    notes: Notes,
    sample_rate_hz: int,
    n_samples: int | None = None,
    drum_kit: int = 0,
    soundfont: Path | None = None,
) -> npt.NDArray[np.float32]:
    """Play notes with the soundfont; deterministic, every onset exact to the sample.

    An onset is the sample at which the soundfont's own sample starts to play. What is heard comes
    later by the instrument's attack. At 44.1 kHz a tenth of the first 100 ms' peak is passed 0-6 ms
    after the onset for drums, piano, celesta, organ, guitar, bass, brass and lead, 6-8 ms for violin
    and pad, 10-15 ms for strings and sax and 4-33 ms for piccolo (half of it: 0-12 ms for the first,
    16-66 ms for the others); ``python benchmarks/transcription.py --attack`` prints it.

    Parameters
    ----------
    notes : Notes
        Any order; played as `Notes.playable` makes them.
    sample_rate_hz : int
        Of the result.
    n_samples : int, optional
        Length of the result; later sound is cut off. By default the last offset plus `TAIL_S`.
    drum_kit : int, optional
        Program of the drum channel: 0 standard, 8 room, 16 power, 24 electronic, 25 TR-808, 32 jazz,
        40 brush, 48 orchestra. A soundfont that lacks the kit plays its kit 0, as General MIDI players do.
    soundfont : Path, optional
        An SF2 or SF3 file; by default `default_soundfont`. It is read once per process and kept (its
        samples as float32: twice an SF2 file's size); a file that changes is read again. Reading 490 MB
        takes 2-4 s; an SF3 file of as much sound takes minutes, since all of it is decoded.

    Returns
    -------
    np.ndarray, shape (n_samples, 2), float32
        Stereo, not normalised.

    Raises
    ------
    UsageError
        If the soundfont cannot be read, has no drum kit, or lacks a program the notes need: a piano in
        its place, as players do, would make the notes wrong.
    """
    file = default_soundfont() if soundfont is None else soundfont
    playable = notes.playable()
    if n_samples is None:
        end_s = float(playable.offset_s.max()) + TAIL_S if len(playable) else 0.0
        n_samples = round(end_s * sample_rate_hz)
    sound = np.zeros((n_samples, 2), dtype=np.float32)
    for part in _parts(playable):
        sound += _render(part, sample_rate_hz, n_samples, drum_kit, file)
    return sound


def _parts(notes: Notes) -> Iterator[Notes]:
    """Split notes so that each part needs at most 15 pitched programs, a synthesiser's channels."""
    programs = np.unique(notes.program[~notes.is_drum])
    step = len(_PITCHED_CHANNELS)
    for start in range(0, max(len(programs), 1), step):
        mine = np.isin(notes.program, programs[start : start + step]) & ~notes.is_drum
        part = notes.where(mine | notes.is_drum if start == 0 else mine)
        if len(part):
            yield part


def _render(
    notes: Notes, sample_rate_hz: int, n_samples: int, drum_kit: int, soundfont: Path
) -> npt.NDArray[np.float32]:
    import tinysoundfont

    synth = tinysoundfont.Synth(gain=_GAIN_DB, samplerate=sample_rate_hz)
    font = synth.sfload(_loaded(soundfont))  # a clone: it shares the samples and has voices of its own
    if notes.is_drum.any():
        if synth.sfpreset_name(font, _DRUM_BANK, 0) is None:
            raise UsageError(f"the soundfont {soundfont.name} has no drum kit; use a General MIDI soundfont")
        synth.program_select(DRUM_CHANNEL, font, 0, drum_kit, True)
    channels: dict[int, int] = {}
    for program, channel in zip(np.unique(notes.program[~notes.is_drum]), _PITCHED_CHANNELS, strict=False):
        if synth.sfpreset_name(font, 0, int(program)) is None:
            raise UsageError(
                f"the soundfont {soundfont.name} has no program {program}; use a General MIDI soundfont"
            )
        synth.program_select(channel, font, 0, int(program))
        channels[int(program)] = channel

    onset = np.round(notes.onset_s * sample_rate_hz).astype(np.int64)
    offset = np.maximum(np.round(notes.offset_s * sample_rate_hz).astype(np.int64), onset + 1)
    events = sorted(
        [(int(t), 0, i) for i, t in enumerate(offset)] + [(int(t), 1, i) for i, t in enumerate(onset)]
    )
    sound = np.zeros((n_samples, 2), dtype=np.float32)
    frame_bytes = sound.itemsize * 2
    view = memoryview(sound.data).cast("B") if n_samples else memoryview(b"")
    now = 0
    for sample, starts, i in events:
        if sample >= n_samples:
            break
        if sample > now:  # render up to the event: the library applies events between calls only
            synth.generate_simple(sample - now, view[now * frame_bytes : sample * frame_bytes])
            now = sample
        channel = DRUM_CHANNEL if notes.is_drum[i] else channels[int(notes.program[i])]
        if starts:
            synth.noteon(channel, int(notes.pitch[i]), int(notes.velocity[i]))
        else:
            synth.noteoff(channel, int(notes.pitch[i]))
    if now < n_samples:
        synth.generate_simple(n_samples - now, view[now * frame_bytes :])
    return sound


def _loaded(soundfont: Path) -> Any:
    """The soundfont to clone, never played itself, so that no render depends on another."""
    try:
        stat = soundfont.stat()
    except OSError as error:
        raise UsageError(
            f"no soundfont at {soundfont} ({error.strerror}); name an SF2 or SF3 file"
        ) from error
    return _read(soundfont.resolve(), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=8)
def _read(soundfont: Path, size: int, mtime_ns: int) -> Any:
    """Size and time of the file are there for the cache to notice that it was replaced."""
    import tinysoundfont

    synth = tinysoundfont.Synth()
    try:
        return synth.soundfonts[synth.sfload(str(soundfont))]
    except RuntimeError as error:
        raise UsageError(
            f"{soundfont} ({size} bytes) cannot be read as a soundfont; name an intact SF2 or SF3 file"
        ) from error
