"""Scores: laid on beats by hand-computed grids, read back by the standard alone, by its schema and by partitura."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d2midi_build.music.instruments import INSTRUMENTS
from d2midi_build.music.musicxml import _signs, grid_of, quantised, to_musicxml
from d2midi_build.music.notes import Notes

_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}

Sounds = set[tuple[int, int, int]]
"""MIDI pitch, start and end in sixteenths."""


def read_score(xml: bytes) -> dict[str, Sounds]:
    """What a score says per part, from MusicXML's own rules: backup, forward, chord, ties.

    Fails unless every voice fills every bar it occurs in, and bars are as long as their time signature.
    """
    root = ElementTree.fromstring(xml)
    names = {p.attrib["id"]: p.findtext("part-name") or "" for p in root.iter("score-part")}
    found: dict[str, Sounds] = {}
    for part in root.iter("part"):
        pieces: list[tuple[int, int, int, set[str]]] = []
        divisions, bar_length, bar_start = 1, 0, 0
        for measure in part.iter("measure"):
            position, start, voices = 0, 0, defaultdict[str, int](int)
            for element in measure:
                length = int(element.findtext("duration") or 0)
                if element.tag == "attributes":
                    divisions = int(element.findtext("divisions") or divisions)
                    if beats := element.findtext("time/beats"):
                        assert element.findtext("time/beat-type") == "4"
                        bar_length = int(beats) * divisions
                elif element.tag == "backup":
                    position -= length
                elif element.tag == "forward":
                    position += length
                elif element.tag == "note":
                    in_chord = element.find("chord") is not None
                    if not in_chord:
                        start, position = position, position + length
                        voices[element.findtext("voice") or ""] += length
                    pitch = _pitch(element)
                    if pitch is None:
                        continue
                    ties = {tie.attrib["type"] for tie in element.findall("tie")}
                    pieces.append((bar_start + start, length, pitch, ties))
            assert set(voices.values()) == {bar_length}
            assert len(voices) <= 4
            bar_start += bar_length
        found[names[part.attrib["id"]]] = _tied(pieces, divisions)
    return found


def _tied(pieces: list[tuple[int, int, int, set[str]]], divisions: int) -> Sounds:
    """Whole notes from start, length, pitch and ties of their pieces; times in sixteenths, exactly."""
    sounds: Sounds = set()
    begun: dict[
        tuple[int, int], int
    ] = {}  # pitch and the time that the tied note goes on at -> its beginning
    for start, length, pitch, ties in sorted(pieces, key=lambda piece: piece[0]):
        onset = begun.pop((pitch, start)) if "stop" in ties else start
        if "start" in ties:
            begun[pitch, start + length] = onset
        else:
            assert onset * 4 % divisions == (start + length) * 4 % divisions == 0
            sounds.add((pitch, onset * 4 // divisions, (start + length) * 4 // divisions))
    assert not begun
    return sounds


def _pitch(note: ElementTree.Element) -> int | None:
    """MIDI pitch of a note; for drums that of the staff position; None for a rest."""
    if (pitch := note.find("pitch")) is not None:
        alter = int(pitch.findtext("alter") or 0)
        octave = int(pitch.findtext("octave") or 0)
        return 12 * (octave + 1) + _SEMITONES[pitch.findtext("step") or ""] + alter
    if (place := note.find("unpitched")) is not None:
        return (
            12 * (int(place.findtext("display-octave") or 0) + 1)
            + _SEMITONES[place.findtext("display-step") or ""]
        )
    return None


def test_without_beats_the_grid_is_120_bpm_in_bars_of_four() -> None:
    grid = grid_of(3.0)
    assert not grid.known
    assert grid.beats_s.tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4]
    assert grid.bars.tolist() == [0, 4, 8]
    assert grid.parts([0.25, 1.0625]).tolist() == [2, 8.5]


def test_a_grid_goes_on_before_the_first_and_after_the_last_beat() -> None:
    grid = grid_of(3.0, [0.7, 1.2, 1.7, 2.2], [3, 4, 1, 2])
    assert grid.known
    assert grid.beats_s == pytest.approx([-0.3, 0.2, 0.7, 1.2, 1.7, 2.2, 2.7, 3.2, 3.7])
    assert grid.bars.tolist() == [0, 4, 8]


def test_an_upbeat_and_a_short_bar_are_bars_of_their_own() -> None:
    beats_s = np.arange(13) * 0.5
    grid = grid_of(6.0, beats_s, [3, 1, 2, 3, 1, 2, 1, 2, 3, 1, 2, 3, 1])
    assert grid.bars.tolist() == [0, 1, 4, 6, 9, 12, 15]


def test_tempo_changes_bend_the_grid() -> None:
    grid = grid_of(4.0, [0.0, 1.0, 1.5, 2.0, 2.5], [1, 2, 3, 4, 1])
    assert grid.parts([0.5, 1.0, 1.25, 3.0]) == pytest.approx([2, 4, 6, 20])


def test_beats_that_do_not_ascend_are_refused() -> None:
    with pytest.raises(ValueError, match="ascend"):
        grid_of(3.0, [0.0, 1.0, 0.5], [1, 2, 3])


@given(start=st.integers(0, 200), length=st.integers(1, 200))
def test_lengths_are_cut_into_single_signs(start: int, length: int) -> None:
    pieces = _signs(start, start + length)
    assert sum(pieces) == length
    assert set(pieces) <= {1, 2, 3, 4, 6, 8, 12, 16, 24}


def _four_lines(seed: int) -> tuple[Notes, Sounds]:
    """Four voices with rests, in sixteenths at 120 bpm: what notation can hold."""
    rng = np.random.default_rng(seed)
    sounds: Sounds = set()
    for line in range(4):
        now = 0
        while (start := now + int(rng.integers(0, 4))) < 150:
            now = start + int(rng.integers(1, 40))
            sounds.add((36 + 12 * line + int(rng.integers(0, 12)), start, now))
    pitch, start_, end = np.array(sorted(sounds)).T
    return Notes.create(start_ / 8, end / 8, pitch, program=0), sounds


@pytest.mark.parametrize("seed", range(5))
def test_every_note_is_read_back_where_it_was(seed: int) -> None:
    notes, sounds = _four_lines(seed)
    assert read_score(to_musicxml(notes, grid_of(25.0), "lines")) == {"Acoustic Grand Piano": sounds}


@pytest.mark.filterwarnings("ignore:error parsing:UserWarning")  # the score's remark is no musical term
@pytest.mark.filterwarnings("ignore:ignoring direction type:UserWarning")  # the metronome mark
def test_partitura_reads_the_same_and_the_schema_holds(tmp_path: Path) -> None:
    import partitura
    from partitura.io.importmusicxml import validate_musicxml

    notes, sounds = _four_lines(9)
    path = tmp_path / "a.musicxml"
    path.write_bytes(to_musicxml(notes, grid_of(25.0), "lines"))
    validate_musicxml(str(path), debug=True)  # raises what is wrong
    (part,) = partitura.load_musicxml(str(path)).parts
    assert part.part_name == "Acoustic Grand Piano"
    read = {
        (n.midi_pitch, *(round(4 * float(part.quarter_map(t))) for t in (n.start.t, n.end_tied.t)))
        for n in part.notes_tied
    }
    assert read == sounds


def test_five_at_once_lose_no_onset() -> None:
    """A fifth voice has no room: the note that would have ended first gives way."""
    notes = Notes.create([0, 0.5, 1, 1.5, 2], [4, 5, 2.5, 6, 4], [60, 62, 64, 65, 67])
    (sounds,) = read_score(to_musicxml(notes, grid_of(6.0), "")).values()
    assert sounds == {(60, 0, 32), (62, 4, 40), (64, 8, 16), (65, 12, 48), (67, 16, 32)}


def test_a_key_struck_again_ends_and_doubles_become_one() -> None:
    notes = Notes.create([0, 1, 1], [3, 2, 4], 60)
    (sounds,) = read_score(to_musicxml(notes, grid_of(4.0), "")).values()
    assert sounds == {(60, 0, 8), (60, 8, 32)}


def test_all_thirteen_instruments_with_their_programs(tmp_path: Path) -> None:
    from partitura.io.importmusicxml import validate_musicxml

    parts = [
        Notes.create([0, 1], [1, 2], [36, 42], program=i.program, is_drum=i.is_drum) for i in INSTRUMENTS
    ]
    xml = to_musicxml(Notes.concat(parts), grid_of(2.0), "all")
    (tmp_path / "a.musicxml").write_bytes(xml)
    validate_musicxml(str(tmp_path / "a.musicxml"), debug=True)
    root = ElementTree.fromstring(xml)
    told = [
        (
            p.findtext("part-name"),
            p.findtext("midi-instrument/midi-channel"),
            p.findtext("midi-instrument/midi-program"),
        )
        for p in root.iter("score-part")
    ]
    assert [name for name, _, _ in told] == [*(i.name for i in INSTRUMENTS[:-1]), "Drums"]
    channels = [int(channel or 0) for _, channel, _ in told]
    assert len(set(channels)) == 13
    assert channels[-1] == 10
    assert 10 not in channels[:-1]
    assert [int(program or 0) - 1 for _, _, program in told[:-1]] == [i.program for i in INSTRUMENTS[:-1]]
    drums = read_score(xml)["Drums"]
    assert drums == {(65, 0, 4), (79, 8, 12)}  # kick in the lowest space (F4), hi-hat above the staff (G5)


def test_played_back_it_follows_the_beats() -> None:
    beats_s = np.cumsum(np.r_[0.2, np.linspace(0.4, 0.6, 32)])
    positions = np.arange(33) % 4 + 1
    grid = grid_of(float(beats_s[-1]), beats_s, positions)
    xml = to_musicxml(Notes.create(beats_s, beats_s + 0.1, 60), grid, "")
    root = ElementTree.fromstring(xml)
    now, starts_s = float(grid.beats_s[0]), []
    for measure, beats in zip(root.iter("measure"), np.diff(grid.bars).tolist(), strict=True):
        starts_s.append(now)
        (sound,) = measure.iter("sound")
        now += 60 / float(sound.attrib["tempo"]) * beats
    assert starts_s == pytest.approx(grid.beats_s[grid.bars[:-1]].tolist(), abs=0.005)
    assert len(list(root.iter("metronome"))) == 1  # the rest is heard, not shown
    onset, _ = quantised(Notes.create(beats_s, beats_s + 0.1, 60), grid)
    assert (np.diff(onset) == 4).all()
    assert "nearest sixteenth" in "".join(root.itertext())


def test_without_beats_the_score_says_that_it_has_no_rhythm() -> None:
    root = ElementTree.fromstring(to_musicxml(Notes.empty(), grid_of(1.0), "clip <1>"))
    assert "No rhythm" in "".join(root.itertext())
    assert root.findtext("movement-title") == "clip <1>"
    assert not list(root.iter("pitch"))


def test_the_same_notes_give_the_same_bytes_without_a_date() -> None:
    notes, _ = _four_lines(3)
    first = to_musicxml(notes, grid_of(25.0), "a")
    assert first == to_musicxml(notes, grid_of(25.0), "a")
    assert b"encoding-date" not in first
