"""The grammar mask: whatever is sampled under it is music, and what is music passes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2midi_build.errors import UsageError
from d2midi_build.music.instruments import BASS, DRUM, INSTRUMENTS, PIANO, VIOLIN, Instrument
from d2midi_build.music.notes import Notes
from d2midi_build.train.tokens.grammar import Grammar
from d2midi_build.train.tokens.grid import grid
from d2midi_build.train.tokens.quad import Tokens, decode, encode
from d2midi_build.train.tokens.vocabulary import BOS, EOS, FIRST_INSTRUMENT, NEW_TRACK, VOCABULARY
from tests.train.tokens.making import crowded_notes, note, some

# Ids of each kind of event, so that a walk does not nearly always choose one of 128 pitches.
_KINDS = [range(4), range(4, 132), range(132, 133), range(133, 165), range(165, 298), range(298, 299)]


def _draw(rng: np.random.Generator, allowed: np.ndarray, attribute: int) -> int:
    ids = np.flatnonzero(allowed)
    assert len(ids)
    if attribute == 0:
        kinds = [kind for kind in _KINDS if allowed[kind.start : kind.stop].any()]
        kind = kinds[rng.integers(len(kinds))]
        ids = ids[(ids >= kind.start) & (ids < kind.stop)]
    return int(rng.choice(ids))


def _walk(grammar: Grammar, rng: np.random.Generator, longest: int = 300) -> Tokens:
    """A random sequence under the mask, to its end or ``longest`` quads."""
    quads: list[list[int]] = []
    places = []
    while not grammar.finished and len(quads) < longest:
        quad: list[int] = []
        for attribute in range(4):
            quad.append(_draw(rng, grammar.allowed_next(*quad), attribute))
        grammar.push(quad)
        quads.append(quad)
        places.append(grammar.place)
    tokens = Tokens(np.array(quads))
    assert places == list(zip(tokens.measure_pos.tolist(), tokens.rel_pos.tolist(), strict=True))
    return tokens


_BANDS = st.sampled_from([INSTRUMENTS, None, (DRUM,), (BASS,), (DRUM, VIOLIN), (PIANO, BASS)])


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    band=_BANDS,
    n_bars=st.none() | st.integers(0, 6),
    spare=st.none() | st.integers(0, 60),
)
def test_every_random_walk_is_music_on_the_grid(
    seed: int, band: tuple[Instrument, ...] | None, n_bars: int | None, spare: int | None
) -> None:
    max_quads = None if spare is None else 2 + 2 * (n_bars or 0) + spare
    tokens = _walk(Grammar(band, n_bars, max_quads), np.random.default_rng(seed))
    notes = decode(tokens)
    assert grid(notes, tokens.n_bars) == notes
    assert decode(encode(notes, tokens.n_bars)) == notes
    if max_quads is not None:
        assert len(tokens) <= max_quads
        assert tokens.quads[-1, 0] == EOS
    if n_bars is not None and tokens.quads[-1, 0] == EOS:
        assert tokens.n_bars == n_bars
    if band is not None:
        assert set(notes.instrument.tolist()) <= {each.name for each in band}


@settings(max_examples=100, deadline=None)
@given(notes=crowded_notes())
def test_what_is_encoded_passes(notes: Notes) -> None:
    tokens = encode(notes)
    grammar = Grammar(None, tokens.n_bars, len(tokens))
    grammar.extend(tokens.quads)
    assert grammar.finished


def test_with_the_instruments_of_the_dataset_other_programs_do_not_pass() -> None:
    grammar = Grammar()
    with pytest.raises(UsageError, match="instrument 5 is not allowed as quad 5"):
        grammar.extend(encode(note(0, 1, program=1)).quads)
    Grammar().extend(encode(note(0, 1, program=1).as_dataset()).quads)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), length=st.integers(0, 60))
def test_what_is_not_allowed_is_refused(seed: int, length: int) -> None:
    rng = np.random.default_rng(seed)
    grammar = Grammar()
    _walk(grammar, rng, length) if length else None
    if grammar.finished:
        with pytest.raises(UsageError, match="nothing may follow"):
            grammar.allowed_next()
        return
    quad: list[int] = []
    for _ in range(rng.integers(4)):
        quad.append(_draw(rng, grammar.allowed_next(*quad), len(quad)))
    wrong = np.flatnonzero(~grammar.allowed_next(*quad))
    full = [*quad, int(rng.choice(wrong)), 0, 0, 0][:4]
    with pytest.raises(UsageError, match="is not allowed as quad"):
        grammar.push(full)


def _after(*names: str) -> Grammar:
    """A grammar of all instruments after quads named as `Vocabulary.spell` does, BOS first."""
    grammar = Grammar()
    grammar.push((BOS,) * 4)
    for name in names:
        parts = name.split()
        ids = [VOCABULARY.event.index(parts[0])]
        tables = (VOCABULARY.duration, VOCABULARY.track, VOCABULARY.instrument)
        ids += [table.index(part) for table, part in zip(tables, parts[1:], strict=False)]
        grammar.push([*ids, 0, 0, 0][:4])
    return grammar


def _names(grammar: Grammar, *chosen: int) -> list[str]:
    table = (VOCABULARY.event, VOCABULARY.duration, VOCABULARY.track, VOCABULARY.instrument)[len(chosen)]
    return [table[i] for i in np.flatnonzero(grammar.allowed_next(*chosen))]


_N60 = VOCABULARY.event.index("n60")


def test_a_measure_begins_with_its_chord() -> None:
    assert _names(_after()) == ["EOS", "m32"]
    assert len(_names(_after("m32"))) == 133
    assert _names(_after("m32", "HNA")) == ["EOS", "m32", "NT"]


def test_positions_rise_in_a_track_and_pitches_come_once() -> None:
    grammar = _after("m32", "HNA", "NT", "p29", "n60 R1 T0 Y128")
    names = _names(grammar)
    assert names[-4:] == ["m32", "p30", "p31", "NT"]
    assert "n60" not in names
    assert len([name for name in names if name.startswith("n")]) == 127


def test_tracks_rise_in_a_measure_and_begin_again_in_the_next() -> None:
    played = ("m32", "HNA", "NT", "p0", "n60 R1 T3 Y0")
    assert _names(_after(*played, "NT", "p0"), _N60, 4) == [f"T{track}" for track in range(4, 40)]
    assert _names(_after(*played, "m32", "HNA", "NT", "p0"), _N60, 4) == [f"T{track}" for track in range(40)]
    assert _names(_after(*played), _N60 + 1, 4) == ["T3"]


def test_a_track_keeps_its_instrument_and_drums_are_track_0() -> None:
    grammar = _after("m32", "HNA", "NT", "p0", "n60 R1 T0 Y128", "NT", "p3", "n60 R1 T7 Y40")
    grammar.extend(encode(note(0, 1)).quads[1:5])
    assert _names(grammar, _N60, 4, 4) == ["Y128"]
    assert _names(grammar, _N60, 4, 11) == ["Y40"]
    others = [f"Y{each.program}" for each in INSTRUMENTS if not each.is_drum]
    assert _names(grammar, _N60, 4, 12) == others
    fresh = _after("m32", "HNA", "NT", "p0")
    assert _names(fresh, _N60, 4, 4) == [*others, "Y128"]


def test_a_drummer_alone_has_one_track_in_each_measure() -> None:
    grammar = Grammar((DRUM,))
    grammar.extend(encode(note(0, 1, drum=True)).quads[:-1])
    assert not grammar.allowed_next()[NEW_TRACK]
    grammar.extend(encode(note(0, 1, drum=True)).quads[1:4])
    assert _names(grammar) == [f"p{step}" for step in range(32)]


def test_drums_that_are_given_stay_though_only_others_may_be_added() -> None:
    given_drums = Grammar((DRUM, BASS))
    given_drums.extend(encode(some(note(0, 1, drum=True), note(8, 1, program=32))).quads[:-1])
    assert given_drums.allowed_next()[EOS]
    assert _names(given_drums, NEW_TRACK) == ["PAD"]


def test_the_last_room_is_for_the_end() -> None:
    # BOS m32 H | NT p n | m32 H EOS: nine quads leave no room for a second note.
    grammar = Grammar(n_bars=2, max_quads=9)
    grammar.push((BOS,) * 4)
    grammar.extend(encode(note(0, 1, drum=True)).quads[1:6])
    assert _names(grammar) == ["m32"]
    roomier = Grammar(n_bars=2, max_quads=10)
    roomier.extend(encode(note(0, 1, drum=True)).quads[:-1])
    assert len(_names(roomier)) == 128


def test_no_measure_begins_whose_header_leaves_no_room_for_the_end() -> None:
    # BOS, and then the shortest measure takes two quads and EOS one.
    for room, names in ((3, ["EOS"]), (4, ["EOS", "m32"])):
        grammar = Grammar(max_quads=room)
        grammar.push((BOS,) * 4)
        assert _names(grammar) == names


def test_impossible_wishes_are_refused() -> None:
    with pytest.raises(UsageError, match="15 empty measures alone take 32"):
        Grammar(n_bars=15, max_quads=31)
    with pytest.raises(UsageError, match="instruments: none is given"):
        Grammar(())
    with pytest.raises(UsageError, match="n_bars is -1"):
        Grammar(n_bars=-1)


def test_masks_are_the_callers_own() -> None:
    grammar = _after("m32", "HNA", "NT", "p0")
    grammar.allowed_next(_N60, 4, 4)[:] = False
    assert grammar.allowed_next(_N60, 4, 4)[FIRST_INSTRUMENT]
