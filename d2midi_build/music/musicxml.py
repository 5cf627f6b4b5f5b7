"""Notes as a score in MusicXML: approximate, for people to read.

A score counts in beats, a recording in seconds. Where beats are known the notes are laid on them: seconds
between two beats become parts of a beat in proportion, then the nearest sixteenth. Where they are not, a
beat is half a second (120 bpm) and a bar four beats, from the clip's beginning: such a score shows pitches
and order, no rhythm. What notation cannot hold is simplified: at most four voices per instrument, no
tuplets, drum hits last until the next. The score says so itself.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from d2midi_build import clock
from d2midi_build.music.instruments import INSTRUMENTS, Instrument
from d2midi_build.music.notes import Notes

if TYPE_CHECKING:
    from music21.stream import Part

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

PARTS: Final = 4
"""Parts of a beat: sixteenths, where a beat is a quarter."""

_BEATS_PER_BAR: Final = 4
"""Where bars are unknown."""

_VOICES: Final = 4
"""Most that notation programs give a staff."""

_MIDDLE_C: Final = 60

# Staff line or space and notehead of a drum kit in a percussion clef, as notation programs agree on
# (N. Weinberg, Guide to Standardized Drumset Notation, 1998): key -> (position, notehead).
_DRUM_POSITIONS: Final = {
    35: ("F4", ""), 36: ("F4", ""), 37: ("C5", "x"), 38: ("C5", ""), 39: ("C5", "x"), 40: ("C5", ""),
    41: ("A4", ""), 43: ("A4", ""), 45: ("B4", ""), 47: ("D5", ""), 48: ("D5", ""), 50: ("E5", ""),
    42: ("G5", "x"), 44: ("D4", "x"), 46: ("G5", "circle-x"), 49: ("A5", "x"), 51: ("F5", "x"),
    52: ("A5", "x"), 53: ("F5", "diamond"), 55: ("A5", "x"), 57: ("A5", "x"), 59: ("F5", "x"),
}  # fmt: skip
_OTHER_DRUM: Final = ("E5", "triangle")


@dataclass(frozen=True, eq=False)
class Grid:
    """Beats and bars that cover a whole clip.

    Attributes
    ----------
    beats_s : np.ndarray, shape (n,), float64
        Ascending, n >= 2; the first at or before 0 s.
    bars : np.ndarray, shape (m,), int64
        Numbers of the beats with which bars begin, ascending, the first 0, the last n - 1: the end of the last bar.
    known : bool
        Whether beats were found, or are only counted off.
    """

    beats_s: FloatArray
    bars: IntArray
    known: bool

    def parts(self, times_s: npt.ArrayLike) -> FloatArray:
        """Times as parts of a beat since the first beat, not rounded; same shape."""
        beats = np.interp(np.asarray(times_s, dtype=np.float64), self.beats_s, np.arange(len(self.beats_s)))
        return np.asarray(beats * PARTS, dtype=np.float64)


def grid_of(end_s: float, beats_s: npt.ArrayLike = (), positions: npt.ArrayLike = ()) -> Grid:
    """Beats and bars for a clip, from the beats that were found, or at 120 bpm if there are fewer than two.

    Beats before the first and after the last go on as the nearest interval does, and so do bars. Where no
    beat is a downbeat, bars of four are counted from the first.

    Parameters
    ----------
    end_s : float
        Length of the clip.
    beats_s : array_like, shape (n,), optional
        Found beats, ascending.
    positions : array_like, shape (n,), optional
        Place of each beat in its bar, 1 for a downbeat; 0 where unknown.

    Raises
    ------
    ValueError
        If beats do not ascend or the lengths differ.
    """
    found = np.asarray(beats_s, dtype=np.float64)
    places = np.asarray(positions, dtype=np.int64)
    if found.shape != places.shape or (np.diff(found) <= 0).any():
        raise ValueError(f"{found.shape} beats must ascend and need as many positions, not {places.shape}")
    known = len(found) >= 2
    if not known:
        found, places = np.array([0.0, 60 / clock.TEMPO_BPM]), np.array([1, 2])
    first, last = found[1] - found[0], found[-1] - found[-2]
    before = max(0, int(np.ceil(found[0] / first - 1e-9)))
    after = max(1, int(np.ceil((end_s - found[-1]) / last + 1e-9)))
    all_s = np.concatenate(
        [found[0] - first * np.arange(before, 0, -1), found, found[-1] + last * np.arange(1, after + 1)]
    )
    downbeats = np.flatnonzero(places == 1) + before
    if len(downbeats) == 0:
        downbeats = np.array([before])
    lengths = np.diff(downbeats)
    per_bar = int(np.bincount(lengths).argmax()) if len(lengths) else max(_per_bar(places), 1)
    n = len(all_s)
    earlier = np.arange(downbeats[0] - per_bar, 0, -per_bar)[::-1]
    later = np.arange(downbeats[-1] + per_bar, n - 1, per_bar)
    # The last bar is made whole: a bar's beats that lie beyond the clip cost nothing.
    starts = np.unique(np.concatenate([[0], earlier, downbeats, later]))
    starts = starts[starts < n - 1]
    missing = max(0, per_bar - (n - 1 - int(starts[-1])))
    all_s = np.concatenate([all_s, all_s[-1] + last * np.arange(1, missing + 1)])
    return Grid(all_s, np.append(starts, len(all_s) - 1), known)


def _per_bar(places: IntArray) -> int:
    """Beats of a bar where only one downbeat is known."""
    return int(places.max()) if len(places) and places.max() > 2 else _BEATS_PER_BAR


def quantised(notes: Notes, grid: Grid) -> tuple[IntArray, IntArray]:
    """Onset and offset of each note in parts of a beat since the grid's first beat; every note at least one long."""
    onset = np.rint(grid.parts(notes.onset_s)).astype(np.int64)
    offset = np.rint(grid.parts(notes.offset_s)).astype(np.int64)
    return onset, np.maximum(offset, onset + 1)


def to_musicxml(notes: Notes, grid: Grid, title: str) -> bytes:
    """A score of the notes, one part per instrument that occurs; the same notes give the same bytes.

    Parameters
    ----------
    notes : Notes
        Seconds from the clip's first frame.
    grid : Grid
        See `grid_of`.
    title : str

    Returns
    -------
    bytes
        MusicXML 4.0, UTF-8.
    """
    from music21 import expressions, metadata, stream
    from music21.musicxml.m21ToXml import GeneralObjectExporter

    score = stream.Score()
    score.metadata = metadata.Metadata(title=title)
    present = [i for i in INSTRUMENTS if (notes.instrument == i.name).any()]
    for number, instrument in enumerate(present or INSTRUMENTS[:1]):
        part = _part(notes.where(notes.instrument == instrument.name), grid, instrument, number + 1)
        if number == 0:
            said = expressions.TextExpression(_remark(grid))
            said.placement = "above"
            part.getElementsByClass(stream.Measure)[0].insert(0, said)
        score.insert(0, part)
    return _signed(GeneralObjectExporter(score).parse())


def _remark(grid: Grid) -> str:
    if grid.known:
        return (
            "Approximate: machine transcription, moved to the nearest sixteenth of the beats that were found"
        )
    return f"No rhythm: beats unknown, bars counted off at {clock.TEMPO_BPM} bpm; only pitches and order mean something"


def _signed(xml: bytes) -> bytes:
    """The score without the day and the names that music21 gives it."""
    text = xml.decode()
    text = re.sub(r"\s*<encoding-date>.*?</encoding-date>", "", text)
    text = re.sub(r'\s*<creator type="composer">.*?</creator>', "", text)
    return re.sub(
        r"<software>(.*?)</software>", rf"<software>d2midi {version('d2midi')}, \1</software>", text
    ).encode()


def _part(notes: Notes, grid: Grid, instrument: Instrument, number: int) -> Part:
    from music21 import clef, meter, stream, tempo

    onset, offset = quantised(notes, grid)
    starts, ends = grid.bars[:-1], grid.bars[1:]
    voices = [_hits(onset, notes.pitch)] if instrument.is_drum else _voices(onset, offset, notes.pitch)
    part = stream.Part(id=f"P{number}")
    part.partName = "Drums" if instrument.is_drum else instrument.name
    part.insert(0, _player(instrument, number))
    length = 0
    for bar, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        measure = stream.Measure(number=bar + 1)
        if bar == 0:
            if instrument.is_drum:
                measure.insert(0, clef.PercussionClef())
            else:
                low = len(notes) > 0 and float(np.median(notes.pitch)) < _MIDDLE_C
                measure.insert(0, clef.BassClef() if low else clef.TrebleClef())
        if end - start != length:
            length = end - start
            measure.insert(0, meter.TimeSignature(f"{length}/4"))
        if number == 1:
            bpm = 60 * length / float(grid.beats_s[end] - grid.beats_s[start])
            # Shown once; later tempi are for playing back only.
            shown = {"number": round(bpm)} if bar == 0 else {}
            measure.insert(0, tempo.MetronomeMark(numberSounding=round(bpm, 2), **shown))
        filled = [
            _voice(chords, start * PARTS, end * PARTS, place + 1, instrument)
            for place, chords in enumerate(voices)
            if place == 0 or any(a < end * PARTS and b > start * PARTS for a, b, _ in chords)
        ]
        for voice in filled:
            measure.insert(0, voice)
        measure.flattenUnnecessaryVoices(inPlace=True)
        part.append(measure)
    return part


Chord = tuple[int, int, tuple[int, ...]]
"""Start and end in parts of a beat, and the pitches or drum keys, ascending."""


def _voices(onset: IntArray, offset: IntArray, pitch: npt.NDArray[np.int8]) -> list[list[Chord]]:
    """The notes in up to four voices; notes that begin and end together are one chord.

    A note that finds all voices sounding cuts short the one that would have ended first.
    """
    together: dict[tuple[int, int], set[int]] = defaultdict(set)
    ends: dict[tuple[int, int], int] = {}
    # A key that is struck again while it sounds ends there; of two at once the longer stays.
    for key, start, end in sorted(zip(pitch.tolist(), onset.tolist(), offset.tolist(), strict=True)):
        ends[key, start] = max(end, ends.get((key, start), 0))
    for (key, start), (next_key, next_start) in pairwise([*sorted(ends), (-1, 0)]):
        end = min(ends[key, start], next_start) if key == next_key else ends[key, start]
        together[start, end].add(key)
    voices: list[list[Chord]] = []
    # At one instant the longest chord comes first: it gets the first voice, as melodies and held chords do.
    for start, end in sorted(together, key=lambda span: (span[0], -span[1])):
        chord = (start, end, tuple(sorted(together[start, end])))
        free = next((voice for voice in voices if voice[-1][1] <= start), None)
        if free is None and len(voices) < _VOICES:
            free = []
            voices.append(free)
        if free is None:
            free = min(voices, key=lambda voice: (voice[-1][0] == start, voice[-1][1]))
            begun, _, keys = free[-1]
            if begun == start:  # all four begin here: the shortest chord takes these notes in
                free[-1] = (begun, free[-1][1], tuple(sorted({*keys, *chord[2]})))
                continue
            free[-1] = (begun, start, keys)
        free.append(chord)
    return voices or [[]]


def _hits(onset: IntArray, key: npt.NDArray[np.int8]) -> list[Chord]:
    """Drum hits in one voice, each until the next or the end of its beat."""
    struck: dict[int, set[int]] = defaultdict(set)
    for start, each in zip(onset.tolist(), key.tolist(), strict=True):
        struck[start].add(each)
    chords: list[Chord] = []
    for start, following in pairwise([*sorted(struck), int(1e12)]):
        chords.append((start, min(following, (start // PARTS + 1) * PARTS), tuple(sorted(struck[start]))))
    return chords


def _voice(chords: list[Chord], start: int, end: int, number: int, instrument: Instrument) -> Any:
    """One bar of one voice, rests between the notes, ties over bar lines; lengths that one sign can write."""
    from music21 import duration, note, stream, tie

    voice = stream.Voice(id=str(number))
    now = start
    for begin, finish, keys in chords:
        a, b = max(begin, start), min(finish, end)
        if a >= b:
            continue
        for length in _signs(now, a):
            voice.append(note.Rest(quarterLength=Fraction(length, PARTS)))
        pieces = _signs(a, b)
        for i, length in enumerate(pieces):
            sound = _sound(keys, instrument)
            sound.duration = duration.Duration(Fraction(length, PARTS))
            from_before, goes_on = begin < a or i > 0, finish > b or i < len(pieces) - 1
            if from_before or goes_on:
                sound.tie = tie.Tie(
                    "continue" if from_before and goes_on else "stop" if from_before else "start"
                )
            voice.append(sound)
        now = b
    for length in _signs(now, end):
        voice.append(note.Rest(quarterLength=Fraction(length, PARTS)))
    return voice


def _signs(start: int, end: int) -> list[int]:
    """A stretch cut into lengths that one note sign can write: whole down to sixteenth, dotted once or not."""
    writable = (24, 16, 12, 8, 6, 4, 3, 2, 1)
    found = []
    # To the next beat first, then whole beats: a beat's beginning stays visible.
    to_beat = -start % PARTS
    if 0 < to_beat < end - start and end - start not in writable:
        found.append(to_beat)
        start += to_beat
    while start < end:
        length = next(each for each in writable if each <= end - start)
        found.append(length)
        start += length
    return found


def _sound(keys: tuple[int, ...], instrument: Instrument) -> Any:
    """A note or chord of MIDI pitches, or of drums."""
    from music21 import chord, note, percussion

    if not instrument.is_drum:
        return note.Note(keys[0]) if len(keys) == 1 else chord.Chord(list(keys))
    hits = []
    for position, head in sorted({_DRUM_POSITIONS.get(key, _OTHER_DRUM) for key in keys}):
        hit = note.Unpitched(displayName=position)
        if head:
            hit.notehead = head
        hits.append(hit)
    return hits[0] if len(hits) == 1 else percussion.PercussionChord(hits)


def _player(instrument: Instrument, number: int) -> Any:
    """The instrument as music21 knows it, with fixed ids, so that files do not differ by chance."""
    from music21 import instrument as instruments

    player: Any
    if instrument.is_drum:
        player = instruments.UnpitchedPercussion()
        player.midiChannel = 9
    else:
        player = instruments.Instrument()
        player.midiProgram = instrument.program
        player.midiChannel = number - 1 + (number > 9)
    player.instrumentName = player.partName = "Drums" if instrument.is_drum else instrument.name
    player.partId, player.instrumentId = f"P{number}", f"I{number}"
    return player
