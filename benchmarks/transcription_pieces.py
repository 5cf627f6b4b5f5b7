"""Pieces with known notes and beats, and the conditions they are heard under.

A piece is 30 s long. What sounds is exactly its notes: a MIDI file's pedals and bends are neither played nor
asked for, and of what began before the cut nothing is left.
"""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import ffmpeg
import numpy as np
import numpy.typing as npt
import soundfile
from scipy.signal import fftconvolve

from d2midi_build import clock
from d2midi_build.digests import sha256_file
from d2midi_build.errors import PermanentError
from d2midi_build.media.ffmpeg import file_url, read_samples, run
from d2midi_build.music.midi import read_midi
from d2midi_build.music.notes import Notes
from d2midi_build.music.synthesis import synthesise
from d2midi_build.synthetic.band import compose

SECONDS: Final = 30.0
START_S: Final = 40.0
"""MIDI files are heard from here on, past the intro, or their last 30 s where they are shorter."""
RATE_HZ: Final = 44_100
SEEDS: Final = tuple(range(9_000, 9_012))
"""Seeds of composed pieces that nothing else in the repository uses."""

DEBIAN_FONTS: Final = {
    # File below /usr/share/sounds -> package that brings it.
    "sf2/FluidR3_GM.sf2": "fluid-soundfont-gm",
    "sf2/MuseScore_General_Full.sf2": "musescore-general-soundfont-lossless",
    "sf2/OPL-3_FM_128M.sf2": "opl3-soundfont",
    "sf2/sf_GMbank.sf2": "csound-soundfont",
}
"""musescore-general-soundfont itself brings an SF3 file, which takes minutes to read: name it if you want it."""
DEBIAN_FOLDER: Final = Path("/usr/share/sounds")

_LEAST_NOTES: Final = 200
_LEAST_INSTRUMENTS: Final = 2
_LEAST_IN_CUT: Final = 50
_PEAK: Final = 0.8
_ON_GRID: Final = 0.85
"""Least share of onsets within 20 ms of a quarter's fourths or thirds for a tempo map to be believed."""
_ROOM_SEED: Final = 5
_REVERBERATION_S: Final = 0.6
_DIRECT_TO_ROOM_DB: Final = 3.0

Sound = Literal["dry", "reverb", "mp3", "clip"]


@dataclass(frozen=True, eq=False)
class Piece:
    """Notes that are known.

    Attributes
    ----------
    name : str
    kind : str
        ``"composed"`` or ``"midi"``.
    notes : Notes
        Playable: what sounds and nothing else. Pitches outside a piano's range stay.
    beats_s, downbeats_s : np.ndarray, shape (n,), or None
        Seconds; None where the file's tempo map cannot be believed.
    sha256 : str
        Of the MIDI file; empty for composed pieces.
    """

    name: str
    kind: str
    notes: Notes
    beats_s: npt.NDArray[np.float64] | None
    downbeats_s: npt.NDArray[np.float64] | None
    sha256: str = ""


@dataclass(frozen=True)
class Condition:
    """How a piece is heard.

    Attributes
    ----------
    font : Path
    drums : bool
        Whether the drum part plays.
    sound : str
        ``"dry"``; ``"reverb"``, in a room; ``"mp3"``, through MP3 at 128 kbit/s; ``"clip"``, as the stage
        resample leaves it: mono at the clock's rate.
    """

    font: Path
    drums: bool = True
    sound: Sound = "dry"

    @property
    def name(self) -> str:
        """E.g. ``"TimGM6mb, no drums"``."""
        return ", ".join([self.font.stem, *([] if self.drums else ["no drums"]), *self._changed()])

    def _changed(self) -> list[str]:
        names = {"dry": [], "clip": [f"{clock.SAMPLE_RATE_HZ} Hz"], "mp3": ["mp3 128k"], "reverb": ["reverb"]}
        return names[self.sound]

    def truth(self, piece: Piece) -> Notes:
        """The notes of a piece that sound."""
        return piece.notes if self.drums else piece.notes.pitched()

    def heard(self, piece: Piece) -> tuple[npt.NDArray[np.float32], int]:
        """Sound of shape (n, channels), peak 0.8 before a codec, and its rate in hertz; always the same."""
        sound = synthesise(self.truth(piece), RATE_HZ, round(SECONDS * RATE_HZ), soundfont=self.font)
        if self.sound == "reverb":
            sound = in_a_room(sound)
        sound = sound * np.float32(_PEAK / max(float(np.abs(sound).max()), 1e-9))
        if self.sound == "mp3":
            return through_mp3(sound), RATE_HZ
        if self.sound == "clip":
            return at_clock_rate(sound), clock.SAMPLE_RATE_HZ
        return sound, RATE_HZ


def composed_piece(seed: int) -> Piece:
    """A song of `synthetic.band` at 80 to 150 bpm."""
    rng = np.random.default_rng(seed)
    song = compose(rng, float(rng.uniform(80, 150)), SECONDS, start_s=1.0)
    notes = song.notes.playable()
    return Piece(f"composed {seed}", "composed", notes, song.beats_s, song.beats_s[::4])


def midi_pieces(folders: list[Path]) -> tuple[list[Piece], dict[str, str]]:
    """Every usable MIDI file below some folders, and why the others are not.

    A file is usable if it can be read, has at least 200 notes, 30 s and two pitched instruments of the 13, and
    50 notes in the cut. A file found twice is used once.
    """
    pieces: dict[str, Piece] = {}
    left_out: dict[str, str] = {}
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".mid", ".midi")):
            name = path.relative_to(folder).as_posix()
            if not path.is_file():
                left_out[name] = "not a file"
                continue
            digest = sha256_file(path)
            made = "the same file again" if digest in pieces else midi_piece(path, digest)
            if isinstance(made, str):
                left_out[name] = made
            else:
                pieces[digest] = made
    return list(pieces.values()), left_out


def midi_piece(path: Path, sha256: str) -> Piece | str:
    """30 s of a MIDI file, or why it is no piece."""
    try:
        song = read_midi(path)
    except PermanentError as error:
        return f"unreadable: {error.tool_message or 'not a MIDI file of type 0 or 1'}"
    end_s = float(song.offset_s.max()) if len(song) else 0.0
    n_instruments = len({*song.pitched().instrument})
    if len(song) < _LEAST_NOTES or end_s < SECONDS or n_instruments < _LEAST_INSTRUMENTS:
        return f"too little music: {len(song)} notes, {end_s:.0f} s, {n_instruments} pitched instruments"
    start_s = min(START_S, np.floor(end_s - SECONDS))
    cut = song.starting_in(start_s, start_s + SECONDS).shifted(-start_s)
    cut = Notes(**{**vars(cut), "offset_s": np.minimum(cut.offset_s, SECONDS)}).playable()
    if len(cut) < _LEAST_IN_CUT:
        return f"only {len(cut)} notes from second {start_s:.0f} on"
    beats_s, downbeats_s = known_beats(path, song, start_s)
    return Piece(path.stem, "midi", cut, beats_s, downbeats_s, sha256)


def known_beats(
    path: Path, song: Notes, start_s: float
) -> tuple[npt.NDArray[np.float64] | None, npt.NDArray[np.float64] | None]:
    """Beats and first beats of bars by the file's tempo map, or None where the notes do not keep to it.

    Believed are maps in metres over 4 with 85 % of the onsets within 20 ms of a quarter's fourths or thirds
    and more onsets on the beats than at any other sixth of a beat.
    """
    import pretty_midi

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about tempo changes on other tracks than the first
            midi = pretty_midi.PrettyMIDI(str(path))
    except (OSError, ValueError, KeyError, EOFError, IndexError):
        return None, None
    if any(signature.denominator != 4 for signature in midi.time_signature_changes):
        return None, None
    beat = np.array([midi.time_to_tick(time_s) for time_s in np.sort(song.onset_s)]) / midi.resolution
    beats_s = midi.get_beats()
    quarter_s = float(np.median(np.diff(beats_s)))
    off = np.minimum(*(np.abs(beat * parts - np.round(beat * parts)) / parts for parts in (4, 3)))
    shares = np.histogram((beat + 1 / 12) % 1, 6, (0, 1))[0]
    if np.mean(off * quarter_s <= 0.02) < _ON_GRID or shares.argmax() != 0:
        return None, None
    cut = [
        times_s[(times_s >= start_s) & (times_s < start_s + SECONDS)] - start_s
        for times_s in (beats_s, midi.get_downbeats())
    ]
    return cut[0], cut[1]


def in_a_room(dry: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Sound of shape (n, 2) in a room: direct sound and noise that dies away (60 dB in 0.6 s), 3 dB weaker in sum.

    The direct sound comes first and unchanged, so that onsets stay where they are.
    """
    rng = np.random.default_rng(_ROOM_SEED)
    n = round(_REVERBERATION_S * RATE_HZ)
    tail = rng.standard_normal((n, 2)) * 10 ** (-3 * np.arange(n) / n)[:, None]
    tail[: round(0.005 * RATE_HZ)] = 0.0  # the first wall is 1.7 m of detour away
    tail *= 10 ** (-_DIRECT_TO_ROOM_DB / 20) / np.sqrt((tail**2).sum(axis=0))
    wet = np.stack([fftconvolve(dry[:, c], tail[:, c])[: len(dry)] for c in range(2)], axis=1)
    return np.asarray(dry + wet, dtype=np.float32)


def through_mp3(sound: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Sound of shape (n, 2) after MP3 at 128 kbit/s; the decoder takes off the encoder's delay."""
    with tempfile.TemporaryDirectory() as folder:
        wav, mp3 = Path(folder, "sound.wav"), Path(folder, "sound.mp3")
        soundfile.write(wav, sound, RATE_HZ, subtype="FLOAT")
        graph = ffmpeg.input(file_url(wav)).output(file_url(mp3), acodec="libmp3lame", audio_bitrate="128k")
        run(graph, "encoding a piece as MP3")
        decoded = _decoded(ffmpeg.input(file_url(mp3)).audio, 2)
    return np.pad(decoded, ((0, max(0, len(sound) - len(decoded))), (0, 0)))[: len(sound)]


def at_clock_rate(sound: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Sound of shape (n, 1) at the clock's rate, through the filters that the stage resample uses."""
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder, "sound.wav")
        soundfile.write(wav, sound, RATE_HZ)
        audio = (
            ffmpeg.input(file_url(wav))
            .audio.filter("aresample", clock.SAMPLE_RATE_HZ, resampler="soxr", precision=28)
            .filter("aformat", sample_fmts="s16", channel_layouts="mono")
        )
        return _decoded(audio, 1)


def _decoded(audio: Any, channels: int) -> npt.NDArray[np.float32]:
    def output_of(target: str, **options: Any) -> Any:
        return ffmpeg.output(audio, target, **options)

    return np.concatenate(list(read_samples(output_of, channels, "decoding a piece")))
