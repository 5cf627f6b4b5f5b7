"""Commands: what each does to which notes, what is refused and where, and that hostile text does no harm."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2midi_build.annotate.layering import Row, notes_of
from d2midi_build.annotate.studio.commands import (
    GRAMMAR,
    MAX_CHARACTERS,
    apply,
    instrument_called,
    parse,
)
from d2midi_build.music.instruments import INSTRUMENTS
from tests.annotate.making import RATE, labelled, later, row, some_rows

ROWS = {
    0: row(1.0, 60, instrument="Violin"),
    1: row(3.0, 72, instrument="Piccolo"),
    2: row(5.0, 36, instrument="Drum"),
    3: row(8.0, 40, instrument="Acoustic Bass"),
    -1: row(2.0, 62, instrument="Violin"),
}


def _after(text: str, rows: dict[int, Row] = ROWS) -> dict[int, Row]:
    return apply(parse(text), rows)


def test_shift_all_moves_every_note_by_whole_samples_and_keeps_lengths() -> None:
    assert _after("shift all +0.05") == {number: later(each, 0.05) for number, each in ROWS.items()}
    assert _after("shift all +0.05")[0].onset_s == 1.05


def test_shift_by_milliseconds_moves_only_the_instrument_that_is_named() -> None:
    assert _after("Shift PICCOLO -20ms") == {**ROWS, 1: later(ROWS[1], -0.02)}


def test_relabel_changes_program_and_nothing_else() -> None:
    expected = {**ROWS, 0: labelled(ROWS[0], "Piccolo"), -1: labelled(ROWS[-1], "Piccolo")}
    for text in ("relabel Violin to Piccolo", "relabel violin->piccolo", "RELABEL vio → picc"):
        assert _after(text) == expected


def test_octave_moves_twelve_semitones_down_and_all_leaves_drums() -> None:
    assert _after("octave Acoustic Bass -1") == {**ROWS, 3: ROWS[3]._replace(pitch=28)}
    everything = _after("octave all +2")
    assert [everything[n].pitch for n in (0, 1, 2, 3, -1)] == [84, 96, 36, 64, 86]


def test_delete_takes_an_instrument_out() -> None:
    assert _after("delete violin") == {number: ROWS[number] for number in (1, 2, 3)}


def test_a_range_holds_its_first_sample_but_not_its_last() -> None:
    assert set(_after("delete all in 3-8s")) == {0, 3, -1}
    assert set(_after("delete all in 3.0001 to 8.0001 s")) == {0, 1, -1}
    assert _after("shift violin +1 in 1.5-2.5") == {**ROWS, -1: later(ROWS[-1], 1.0)}


def test_commands_are_done_in_their_order_each_upon_what_the_one_before_left() -> None:
    assert set(_after("relabel violin to piccolo; delete piccolo")) == {2, 3}
    assert set(_after("delete piccolo\nrelabel violin to piccolo")) == {0, 2, 3, -1}


def test_notes_that_no_command_means_are_the_same_objects() -> None:
    found = _after("shift drums +1; octave bass +1")
    assert all(found[number] is ROWS[number] for number in (0, 1, -1))


def test_nothing_is_no_command() -> None:
    assert parse("") == parse(" ;\n; \r\n") == ()


@settings(deadline=None)
@given(some_rows(), st.integers(1, 9999))
def test_a_shift_and_its_opposite_leave_everything_as_it_was(rows: list[Row], ms: int) -> None:
    before = dict(enumerate(rows))
    assert apply(parse(f"shift all +{ms}ms\nshift all -{ms}ms"), before) == before


@settings(deadline=None)
@given(some_rows())
def test_what_commands_leave_are_notes(rows: list[Row]) -> None:
    found = _after("octave all +2; relabel violin to sax; shift drums +7ms in 0-1s", dict(enumerate(rows)))
    assert len(notes_of(found.values())) == len(rows)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fly", "line 1, column 1: 'fly' is no command. Allowed are: shift"),
        ("shift all +1\n  octave drums +1", "line 2, column 10: drums have no octaves"),
        ("delete celesta; delete flute", "line 1, column 24: 'flute' is no instrument"),
        ("shift all 0.05", "line 1, column 7: 'all 0.05' is not what shift needs: " + GRAMMAR["shift"]),
        ("shift Pad 1", "line 1, column 7: 'Pad 1' is not what shift needs"),
        ("shift synth +1", "'synth' may be any of SynthBrass 1, Lead 1 (square), Pad 1 (new age)"),
        ("shift all +11", "column 11: a shift by 11 s: at least a sample"),
        ("shift all +0.00001", "a shift by 1e-05 s"),
        ("octave bass +0", "column 13: an octave of 0"),
        ("octave bass +1.5", "is not what octave needs"),
        ("relabel violin to drums", "column 19: Violin cannot become Drum: a drum's key is no pitch"),
        ("relabel drums to violin", "Drum cannot become Violin"),
        ("relabel all to violin", "column 9: 'all' cannot be relabelled"),
        ("relabel violin to all", "column 19: 'all' cannot be relabelled"),
        ("relabel violin to vio", "they are 'vio' already"),
        ("relabel violin", "is not what relabel needs"),
        ("delete", "'' is not what delete needs"),
        ("delete all", "column 8: 'all' without a limit deletes the whole task"),
        ("delete all in 8-3s", "column 15: nothing lies in 8-3s"),
        ("shift all +nan", "is not what shift needs"),
        ("shift all +1e3", "is not what shift needs"),
        ("shift all +١", "is not what shift needs"),
    ],
)
def test_what_is_no_command_is_refused_with_its_place_and_the_way_out(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        parse(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "delete sax; shift all -1.5",
            "column 13: 'shift all -1.5': Violin 60 at 1.000 s would start at -0.500 s",
        ),
        ("octave piccolo +5", "Piccolo 72 at 3.000 s would have pitch 132, and pitches are 0-127"),
        ("octave bass -4", "would have pitch -8"),
    ],
)
def test_a_command_does_all_it_says_or_is_an_error(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        _after(text)


def test_no_onset_leaves_what_is_shown() -> None:
    commands = parse("shift bass +0.5")
    assert apply(commands, ROWS, shown_s=(0.0, 8.75))[3].onset_s == 8.5
    with pytest.raises(ValueError, match=r"start at 8.500 s, outside of 0 to 8.5 s"):
        apply(commands, ROWS, shown_s=(0.0, 8.5))
    with pytest.raises(ValueError, match=r"outside of 0.5 to 9 s"):
        apply(parse("shift violin -0.75"), ROWS, shown_s=(0.5, 9.0))


def test_every_instrument_is_called_by_its_name_whole_or_begun() -> None:
    for each in INSTRUMENTS:
        assert instrument_called(each.name.upper()) == each
    called = {
        "piano": 0,
        "grand": 0,
        "cel": 8,
        "organ": 16,
        "nylon": 24,
        "bass": 32,
        "strings": 48,
        "string": 48,
    }
    called |= {"synthbrass": 62, "brass": 62, "sax": 64, "saxophone": 64, "lead": 80, "lead 1": 80, "pad": 88}
    assert {name: instrument_called(name).program for name in called} == called
    assert instrument_called("drums").is_drum and instrument_called("perc").is_drum


@pytest.mark.parametrize("name", ["", "  ", "a", "p", "b", "synth", "acoustic", "1", "()", "all"])
def test_a_name_that_may_be_several_or_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"may be any of|is no instrument"):
        instrument_called(name)


def test_the_grammar_tells_of_every_command() -> None:
    for verb, told in GRAMMAR.items():
        shown = told.replace("all|INSTRUMENT", "bass").replace("relabel INSTRUMENT", "relabel sax")
        shown = (
            shown.replace("INSTRUMENT", "violin")
            .replace("+SECONDS|-SECONDS|+Nms|-N", "+20")
            .replace("+N|-N", "-1")
        )
        [command] = parse(re.sub(r", or.*", "", shown).replace("[in A-Bs]", "in 3-8s"))
        assert (command.verb, command.within) == (verb, (3 * RATE, 8 * RATE))


def test_a_long_text_is_refused_before_it_is_read() -> None:
    with pytest.raises(ValueError, match=f"{MAX_CHARACTERS + 1} characters of commands"):
        parse("x" * (MAX_CHARACTERS + 1))


@settings(deadline=None)
@given(st.text(max_size=80) | st.text("shiftallrebto+-.0123s \n;in", max_size=60).map("shift ".__add__))
def test_hostile_text_is_commands_or_a_refusal(text: str) -> None:
    try:
        found = parse(text)
    except ValueError as error:
        assert re.match(r"line \d+, column \d+: ", str(error)) and str(error).isprintable()
    else:
        assert all(command.verb in GRAMMAR for command in found)
