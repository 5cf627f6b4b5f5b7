"""The 13 instruments against General MIDI's own names."""

from __future__ import annotations

import pytest

from d2midi_build.music.instruments import (
    DRUM,
    INSTRUMENTS,
    LEAD,
    PAD,
    PATTERN_KEYS,
    VIOLIN,
    instrument_named,
    instrument_of,
    mapping_reason,
)


def test_thirteen_names_are_general_midi_names() -> None:
    import pretty_midi

    assert len(INSTRUMENTS) == 13
    for instrument in INSTRUMENTS[:-1]:  # spaces differ between lists: "Synth Brass 1"
        theirs = pretty_midi.program_to_instrument_name(instrument.program)
        assert instrument.name.replace(" ", "") == theirs.replace(" ", "")


def test_every_family_below_96_maps_to_its_own_member() -> None:
    import pretty_midi

    for program in range(96):
        mine = instrument_of(program)
        assert pretty_midi.program_to_instrument_class(program) == pretty_midi.program_to_instrument_class(
            mine.program
        )


def test_programs_without_a_family_map_by_sound_and_never_to_drums() -> None:
    assert instrument_of(110) is VIOLIN  # fiddle
    assert not any(instrument_of(program).is_drum for program in range(128))
    assert instrument_of(118, is_drum=True) is DRUM


def test_struck_and_swelling_sounds_are_told_apart() -> None:
    named = {8: (98, 108, 112, 114), 88: (96, 119, 127), 24: (104, 107), 64: (109, 111)}
    for target, programs in named.items():
        assert {instrument_of(program).program for program in programs} == {target}
    assert instrument_of(119) is PAD  # a reversed cymbal has no attack


def test_every_program_says_why() -> None:
    reasons = [mapping_reason(program) for program in range(128)]
    assert all(reason.startswith("its family") for reason in reasons[:96])
    assert not any(reason.startswith("its family") for reason in reasons[96:])
    assert "guitar" in mapping_reason(45)  # pizzicato strings stay with the violins
    with pytest.raises(ValueError, match="0-127"):
        mapping_reason(128)


def test_instrument_of_its_own_program_is_itself() -> None:
    assert all(instrument_of(i.program, i.is_drum) is i for i in INSTRUMENTS)


@pytest.mark.parametrize("program", [-1, 128])
def test_program_out_of_range(program: int) -> None:
    with pytest.raises(ValueError, match="0-127"):
        instrument_of(program)


def test_unknown_name_lists_the_known_ones() -> None:
    assert instrument_named("Lead 1 (square)") is LEAD
    with pytest.raises(ValueError, match="Piccolo"):
        instrument_named("Kazoo")


def test_the_parts_of_a_drum_pattern_by_their_general_midi_names() -> None:
    import pretty_midi

    names = {
        part: {pretty_midi.note_number_to_drum_name(key) for key in keys}
        for part, keys in PATTERN_KEYS.items()
    }
    assert names == {
        "kick": {"Acoustic Bass Drum", "Bass Drum 1"},
        "snare": {"Acoustic Snare", "Electric Snare", "Side Stick", "Hand Clap"},
        "hat": {"Closed Hi Hat", "Pedal Hi Hat", "Open Hi Hat"},
    }
