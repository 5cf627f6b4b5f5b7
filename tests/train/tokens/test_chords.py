"""Chords in the headers of measures."""

from __future__ import annotations

import numpy as np
import pytest

from d2midi_build.train.tokens.chords import chords
from d2midi_build.train.tokens.vocabulary import QUALITIES, ROOTS, VOCABULARY


def _named(*notes: tuple[int, int, int], n_bars: int = 1) -> list[str]:
    """Chords of notes given as onset, offset, pitch."""
    onset, offset, pitch = np.array(notes, dtype=np.int64).reshape(-1, 3).T
    return [VOCABULARY.event[i] for i in chords(onset, offset, pitch, n_bars)]


def _together(*pitches: int) -> str:
    return _named(*((0, 8, pitch) for pitch in pitches))[0]


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("root", [0, 5, 11])
def test_every_chord_in_root_position_is_known(root: int, quality: str) -> None:
    assert (
        _together(*(48 + root + interval for interval in QUALITIES[quality])) == f"H{ROOTS[root]}:{quality}"
    )


def test_inversions_keep_their_name() -> None:
    assert _together(52, 55, 60) == "HC:maj"
    assert _together(55, 60, 64, 70) == "HC:7"


def test_where_two_chords_have_the_same_notes_the_lowest_note_decides() -> None:
    assert _together(48, 50, 55) == "HC:sus2"
    assert _together(43, 48, 50) == "HG:sus4"
    assert (_together(48, 52, 56), _together(52, 56, 60)) == ("HC:aug", "HE:aug")


def test_one_note_two_notes_and_silence_are_no_chord() -> None:
    assert [_together(60), _together(60, 67), _together(60, 72), _named()[0]] == ["HNA"] * 4


def test_a_cluster_is_no_chord() -> None:
    assert _together(*range(60, 72)) == "HNA"


def test_only_the_first_quarter_counts() -> None:
    chord = [(0, 8, 60), (0, 8, 64), (0, 8, 67)]
    assert _named(*chord, (8, 32, 63), (8, 32, 70)) == ["HC:maj"]
    assert _named(*((8, 16, pitch) for _, _, pitch in chord)) == ["HNA"]


def test_notes_from_before_sound_on_in_every_measure_they_reach() -> None:
    # The last ends with step 64, where the third measure begins.
    assert _named((4, 96, 57), (20, 96, 60), (30, 64, 64), n_bars=4) == ["HNA", "HA:min", "HNA", "HNA"]


def test_notes_that_only_touch_the_first_quarter_are_not_its_lowest() -> None:
    chord = [(32, 40, 60), (32, 40, 62), (32, 40, 67)]
    assert _named(*chord, n_bars=2)[1] == "HC:sus2"
    assert _named(*chord, (40, 50, 43), n_bars=2)[1] == "HC:sus2"
    assert _named(*chord, (20, 32, 43), n_bars=2)[1] == "HC:sus2"
    assert _named(*chord, (20, 33, 43), n_bars=2)[1] == "HG:sus4"


def test_a_passing_note_is_not_heard() -> None:
    # A tenth of the time of the others: without the rule it would be a seventh chord.
    assert _named((0, 8, 48), (0, 8, 52), (0, 8, 55), (0, 1, 58)) == ["HC:maj"]
    assert _named((0, 8, 48), (0, 8, 52), (0, 8, 55), (0, 2, 58)) == ["HC:7"]


def test_no_measures_have_no_chords() -> None:
    assert _named(n_bars=0) == []
