"""Notes as quads and back: exact, on the clip's own grid, and cut at bar lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2midi_build.errors import PermanentError, UsageError
from d2midi_build.music.instruments import INSTRUMENTS
from d2midi_build.music.midi import read_midi
from d2midi_build.music.notes import Notes
from d2midi_build.release.reader import open_release
from d2midi_build.train.tokens.grid import bars_of, grid, notes_of
from d2midi_build.train.tokens.quad import Tokens, decode, encode
from d2midi_build.train.tokens.vocabulary import EOS, MASK, PAD, VOCABULARY
from tests.music.test_notes import many_notes
from tests.release import making
from tests.train.tokens.making import STEP_S, crowded_notes, note, onsets_lengths, some


def _spelt(tokens: Tokens) -> list[str]:
    """All quads without their brackets; BOS and EOS left out."""
    return [VOCABULARY.spell(quad)[1:-1].replace(", -", "") for quad in tokens.quads[1:-1]]


def _band() -> Notes:
    """A drum in each of two measures; three bass notes and two of a violin, in the second."""
    return some(
        note(0, 1, 36, drum=True),
        note(48, 1, 38, drum=True),
        note(40, 4, 43, program=32),
        note(40, 4, 40, program=32),
        note(44, 4, 45, program=32),
        note(44, 2, 70, program=40),
        note(60, 2, 71, program=40),
    )


def test_a_measure_is_written_header_first_then_drums_then_by_number_of_notes() -> None:
    assert _spelt(encode(_band())) == [
        "m32",
        "HNA",
        "NT",
        "p0",
        "n36, R1, T0, Y128",
        "m32",
        "HNA",
        "NT",
        "p16",
        "n38, R1, T0, Y128",
        "NT",
        "p8",
        "n40, R4, T1, Y32",
        "n43, R4, T1, Y32",
        "p12",
        "n45, R4, T1, Y32",
        "NT",
        "p12",
        "n70, R2, T2, Y40",
        "p28",
        "n71, R2, T2, Y40",
    ]


def test_empty_measures_are_written_before_between_and_after() -> None:
    tokens = encode(some(note(64, 1), note(128, 1)), n_bars=6)
    assert _spelt(tokens) == [
        *["m32", "HNA"] * 2,
        *["m32", "HNA", "NT", "p0", "n60, R1, T0, Y0", "m32", "HNA"] * 2,
    ]
    assert tokens.n_bars == 6


def test_no_notes_are_empty_measures() -> None:
    assert _spelt(encode(Notes.empty(), n_bars=2)) == ["m32", "HNA"] * 2
    assert VOCABULARY.spell(encode(Notes.empty()).quads[0]) == "(BOS, BOS, BOS, BOS)"
    assert len(encode(Notes.empty())) == 2
    assert len(decode(encode(Notes.empty(), n_bars=2))) == 0


def test_a_chord_stands_in_its_measures_header_and_drums_have_no_part_in_it() -> None:
    triad = [note(32, 8, pitch, program=48) for pitch in (57, 60, 64)]
    tokens = encode(some(*triad, *(note(32, 8, pitch, drum=True) for pitch in (38, 42, 49))))
    assert [name for name in _spelt(tokens) if name.startswith("H")] == ["HNA", "HA:min"]


def test_places_are_those_of_the_specification() -> None:
    tokens = encode(_band())
    expected = [
        # event, measure, measure_pos, rel_pos
        ("BOS", -1, 0, 0),
        ("m32", 0, 1, 0),
        ("HNA", 0, 2, 0),
        ("NT", 0, 3, 1),
        ("p0", 0, 3, 3),
        ("n36", 0, 3, 4),
        ("m32", 1, 4, 0),
        ("HNA", 1, 5, 0),
        ("NT", 1, 6, 1),
        ("p16", 1, 6, 35),
        ("n38", 1, 6, 36),
        ("NT", 1, 6, 1),
        ("p8", 1, 6, 19),
        ("n40", 1, 6, 20),
        ("n43", 1, 6, 20),
        ("p12", 1, 6, 27),
        ("n45", 1, 6, 28),
        ("NT", 1, 6, 1),
        ("p12", 1, 6, 27),
        ("n70", 1, 6, 28),
        ("p28", 1, 6, 59),
        ("n71", 1, 6, 60),
        ("EOS", 2, 7, 0),
    ]
    names = [VOCABULARY.event[event] for event in tokens.quads[:, 0]]
    places = (tokens.measure.tolist(), tokens.measure_pos.tolist(), tokens.rel_pos.tolist())
    assert list(zip(names, *places, strict=True)) == expected


def _pieces_of(notes: Notes) -> list[tuple[int, int]]:
    """Onset and duration of the pieces of notes of one pitch, in order."""
    tokens = encode(notes)
    found = [
        (int(bar) * 32 + int(place - 4) // 2, int(quad[1]) - 3)
        for quad, bar, place in zip(tokens.quads, tokens.measure, tokens.rel_pos, strict=True)
        if quad[1] >= 4
    ]
    return sorted(found)


def test_long_notes_are_pieces_of_32_steps_and_a_rest() -> None:
    assert _pieces_of(note(3, 70)) == [(3, 32), (35, 32), (67, 6)]
    assert _pieces_of(note(3, 64)) == [(3, 32), (35, 32)]


def test_a_full_piece_before_the_same_pitch_is_closed_by_a_piece_on_its_last_step() -> None:
    assert _pieces_of(some(note(0, 32), note(32, 5))) == [(0, 32), (31, 1), (32, 5)]
    assert _pieces_of(some(note(0, 33), note(33, 5))) == [(0, 32), (32, 1), (33, 5)]
    assert _pieces_of(some(note(0, 32), note(33, 5))) == [(0, 32), (33, 5)]


@pytest.mark.parametrize(
    "lengths", [(32, 32), (64,), (64, 1), (32, 1), (33, 32, 32), (31, 33), (65, 31, 96, 32, 1), (32,) * 6]
)
def test_notes_of_one_pitch_that_touch_come_back_as_they_were(lengths: tuple[int, ...]) -> None:
    starts = np.cumsum((5, *lengths))
    notes = some(*(note(int(start), length) for start, length in zip(starts, lengths, strict=False)))
    assert onsets_lengths(decode(encode(notes))) == list(zip(starts.tolist(), lengths, strict=False))


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (30, [(0, 30), (30, 4)]),  # two steps before the end: struck again
        (31, [(0, 35)]),
        (32, [(0, 36)]),
        (33, [(0, 32), (33, 4)]),  # a step after it: another note
    ],
)
def test_a_full_piece_goes_on_at_its_end_or_a_step_before_only(
    start: int, expected: list[tuple[int, int]]
) -> None:
    quads = encode(some(note(0, 33, 60), note(34, 4, 60)), n_bars=2).quads
    # BOS m32 H NT p0 n60(32) m32 H NT p0 n60(1) p2 n60(4) EOS: the second piece goes, the last moves to start.
    position = (133 + start % 32, 0, 0, 0)
    if start < 32:
        rows = [*quads[:6], position, quads[12], *quads[6:8], quads[13]]
    else:
        rows = [*quads[:9], position, *quads[12:]]
    assert onsets_lengths(decode(Tokens(np.array(rows)))) == expected


@settings(max_examples=300, deadline=None)
@given(notes=crowded_notes(), more=st.none() | st.integers(0, 3))
def test_round_trip_is_exact_on_the_grid(notes: Notes, more: int | None) -> None:
    n_bars = None if more is None else encode(notes).n_bars + more
    tokens = encode(notes, n_bars)
    assert decode(tokens) == grid(notes, n_bars)
    assert encode(grid(notes, n_bars), n_bars) == tokens


@settings(max_examples=100, deadline=None)
@given(notes=many_notes())
def test_round_trip_is_exact_for_notes_of_every_kind(notes: Notes) -> None:
    assert decode(encode(notes)) == grid(notes)


@pytest.mark.real_data
def test_every_real_midi_file_comes_back_exactly_and_so_do_its_windows(shared_data: Path) -> None:
    read = 0
    for path in sorted(shared_data.rglob("*.mid")):
        try:
            notes = read_midi(path)
        except PermanentError:
            continue
        tokens = encode(notes)
        assert decode(tokens) == grid(notes), path
        assert decode(encode(notes.as_dataset())) == grid(notes.as_dataset()), path
        for first in range(0, tokens.n_bars - 15, 15):
            _is_window_of(tokens, first, 15)
        read += 1
    assert read >= 30


def test_more_than_40_instruments_are_an_error_with_a_way_out() -> None:
    notes = some(*(note(program, 1, program=program) for program in range(41)))
    with pytest.raises(UsageError, match=r"41 instruments; tokens have 40 tracks.*as_dataset"):
        encode(notes)
    assert len(decode(encode(notes.as_dataset()))) == 41


def test_all_13_instruments_come_back_as_themselves() -> None:
    notes = some(*(note(i, 2, program=each.program, drum=each.is_drum) for i, each in enumerate(INSTRUMENTS)))
    assert decode(encode(notes)).instrument.tolist() == [each.name for each in INSTRUMENTS]


def _is_window_of(tokens: Tokens, first: int, count: int) -> None:
    """See that a window's quads are rows of its clip's, and its notes the clip's that start in it.

    Beside them may stand pieces of notes of 32 steps and more that began earlier (of 32: the piece that closes them).
    """
    window = tokens.bars(first, count)
    inside = (tokens.measure >= first) & (tokens.measure < first + count)
    assert np.array_equal(window.quads[1:-1], tokens.quads[inside])
    start_s, end_s = first * 2.0, (first + count) * 2.0
    clip, found = decode(tokens), _keys(decode(window))
    starting = clip.starting_in(start_s, end_s)
    own = {
        (onset - first * 32, min(offset, (first + count) * 32) - first * 32, *rest)
        for onset, offset, *rest in _keys(starting)
    }
    assert own <= found
    for onset, offset, *rest in found - own:
        assert any(
            other == rest and before < first * 32 and after - before >= 32 and after >= offset + first * 32
            for before, after, *other in _keys(clip)
        ), (onset, offset, rest)


def _keys(notes: Notes) -> set[tuple[int, ...]]:
    """Onset, offset (steps), pitch, program and drum flag of each note."""
    onset, offset = (
        np.round(notes.onset_s / STEP_S).astype(int),
        np.round(notes.offset_s / STEP_S).astype(int),
    )
    columns = zip(onset, offset, notes.pitch, notes.program, notes.is_drum, strict=True)
    return {tuple(map(int, row)) for row in columns}


@settings(max_examples=150, deadline=None)
@given(notes=crowded_notes(), data=st.data())
def test_measures_of_a_clip_are_a_slice_of_its_quads(notes: Notes, data: st.DataObject) -> None:
    tokens = encode(notes, n_bars=12)
    first = data.draw(st.integers(0, 11))
    _is_window_of(tokens, first, data.draw(st.integers(0, 12 - first)))


def test_windows_of_a_release_are_slices_of_their_clips_tokens(tmp_path: Path) -> None:
    chosen = making.recipe(window_frames=80, window_stride=40)
    release = open_release(making.release(tmp_path, videos=3, chosen=chosen))
    assert len(release) > 10
    for window in release:
        clip = release.clip(window.clip_id)
        whole = encode(notes_of(clip.notes), bars_of(clip.n_frames))
        _is_window_of(whole, window.start_frame // 40, 2)
        # The window's own notes, which know nothing of the clip, start where its tokens say.
        starting = ~window.notes.starts_before & (window.notes.onset_s < 4.0 - STEP_S / 2)
        steps = np.floor(window.notes.onset_s[starting] / STEP_S + 0.5).astype(int)
        columns = (window.notes.pitch, window.notes.program, window.notes.is_drum)
        expected = {tuple(map(int, row)) for row in zip(steps, *(c[starting] for c in columns), strict=True)}
        assert expected <= {
            (onset, *rest) for onset, _, *rest in _keys(decode(whole.frames(window.start_frame, 80)))
        }


def test_windows_beside_bar_lines_are_refused_with_a_way_out() -> None:
    tokens = encode(note(0, 1), n_bars=20)
    assert tokens.frames(80, 600) == tokens.bars(2, 15)
    with pytest.raises(UsageError, match="start_frame is 50, no multiple of 40 frames"):
        tokens.frames(50, 600)
    with pytest.raises(UsageError, match="n_frames is 610"):
        tokens.frames(80, 610)
    with pytest.raises(UsageError, match="measures 10 to 25 are asked for; there are 20"):
        tokens.frames(400, 600)


def test_notes_of_a_window_end_with_it() -> None:
    tokens = encode(note(30, 20), n_bars=2)
    assert onsets_lengths(decode(tokens.bars(0, 1))) == [(30, 2)]
    assert len(decode(tokens.bars(1, 1))) == 0


@settings(max_examples=50, deadline=None)
@given(notes=crowded_notes(), data=st.data())
def test_every_beginning_of_tokens_can_be_read(notes: Notes, data: st.DataObject) -> None:
    tokens = encode(notes)
    n = data.draw(st.integers(0, len(tokens)))
    assert len(decode(Tokens(tokens.quads[:n]))) <= len(notes)


def test_padding_after_the_end_says_nothing() -> None:
    tokens = encode(_band())
    padded = Tokens(np.concatenate([tokens.quads, np.full((7, 4), PAD)]))
    assert decode(padded) == decode(tokens)
    assert padded.measure_pos.tolist() == [*tokens.measure_pos.tolist(), *[0] * 7]
    assert padded.bars(0, 2) == tokens


def _put(row: int, quad: tuple[int, int, int, int]) -> Tokens:
    quads = encode(_band()).quads.copy()
    quads[row] = quad
    return Tokens(quads)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (_put(0, (298, 0, 0, 0)), r"quad 0 is \(NT, -, -, -\); tokens begin with BOS or a measure"),
        (_put(5, (MASK, 4, 4, 4)), "quad 5 is .*: masked"),
        (_put(3, (133, 0, 0, 0)), r"quad 3 is \(p0, -, -, -\): of a kind that cannot follow"),
        (_put(2, (132, 0, 0, 0)), "quad 2 is .*: of a kind that cannot follow"),
        (_put(5, (EOS, EOS, EOS, EOS)), "quad 5 is .*: of a kind that cannot follow"),
        (_put(4, (133, 4, 0, 0)), "quad 4 is .*: no note, so the rest must be PAD"),
        (_put(22, (EOS, 0, 0, 0)), "quad 22 is .*: no note, so the rest must be PAD"),
        (_put(5, (40, 0, 4, 132)), "quad 5 is .*: a note without duration"),
        (_put(14, (47, 7, 6, 36)), "quad 14 is .*: of another track than the notes before it"),
        (_put(15 + 1, (49, 7, 5, 37)), "quad 16 is .*: of another instrument than its track had before"),
    ],
)
def test_what_makes_no_sense_is_refused_by_row(tokens: Tokens, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        decode(tokens)


def test_ids_in_no_table_and_other_shapes_are_refused() -> None:
    with pytest.raises(UsageError, match=r"quad 1 is \[299, 0, 0, 0\]"):
        Tokens(np.array([[1, 1, 1, 1], [299, 0, 0, 0]]))
    with pytest.raises(UsageError, match=r"shape \(4,\)"):
        Tokens(np.zeros(4))


def test_notes_filled_in_out_of_order_are_read_all_the_same() -> None:
    quads = encode(some(note(0, 4, 60), note(0, 4, 64), note(7, 2, 62))).quads
    # BOS m32 H NT p0 n60 n64 p7 n62 EOS: both positions change places, and the notes of the first.
    assert decode(Tokens(quads[[0, 1, 2, 3, 7, 8, 4, 6, 5, 9]])) == decode(Tokens(quads))


def test_of_quads_for_one_note_the_longest_counts_and_overlaps_are_cut() -> None:
    quads = encode(some(note(0, 9, 60), note(4, 2, 60))).quads.copy()
    quads[5, 1] += 5  # the first note, 4 steps on the grid, over the second again
    assert onsets_lengths(decode(Tokens(quads))) == [(0, 4), (4, 2)]
    twice = np.insert(quads, 6, (64, 3 + 2, 4, 4), axis=0)
    assert onsets_lengths(decode(Tokens(twice))) == [(0, 4), (4, 2)]


@settings(max_examples=150, deadline=None)
@given(notes=crowded_notes(), data=st.data())
def test_damaged_tokens_are_refused_or_read_as_notes_on_the_grid(notes: Notes, data: st.DataObject) -> None:
    quads = encode(notes, n_bars=12).quads.copy()
    for _ in range(data.draw(st.integers(1, 3))):
        attribute = data.draw(st.integers(0, 3))
        ids = st.integers(0, VOCABULARY.sizes[attribute] - 1)
        quads[data.draw(st.integers(0, len(quads) - 1)), attribute] = data.draw(ids)
    tokens = Tokens(quads)
    try:
        found = decode(tokens)
    except UsageError:
        return
    assert grid(found, tokens.n_bars) == found


def test_more_measures_than_have_places_are_refused() -> None:
    with pytest.raises(UsageError, match="10,001 measures"):
        Tokens(np.tile([[132, 0, 0, 0], [297, 0, 0, 0]], (10_001, 1)))
