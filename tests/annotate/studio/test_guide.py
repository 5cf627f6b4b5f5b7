"""What the guide tells annotators is what the interface does."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from d2midi_build.annotate.studio.commands import GRAMMAR, parse
from d2midi_build.annotate.studio.drawing import LABEL_COLOURS
from d2midi_build.music.instruments import INSTRUMENTS

ANNOTATION = Path(__file__).parents[3] / "annotation"
GUIDE = (ANNOTATION / "GUIDE.md").read_text(encoding="utf-8")
CONFIG = ElementTree.parse(ANNOTATION / "note_correction.xml")


def test_the_hotkeys_of_all_instruments_are_listed() -> None:
    listed = re.findall(r"^\| ([0-9a-z]) \| ([^|]+) \|", GUIDE, re.M)
    labels = [(each.attrib["hotkey"], each.attrib["value"]) for each in CONFIG.iter("Label")]
    assert listed == labels
    assert {name for _, name in labels} == {instrument.name for instrument in INSTRUMENTS}


def test_labels_have_the_colours_of_the_pictures() -> None:
    assert {each.attrib["value"]: each.attrib["background"] for each in CONFIG.iter("Label")} == LABEL_COLOURS


def test_the_grammar_of_commands_is_whole_and_its_examples_work() -> None:
    for line in GRAMMAR.values():
        assert f"\n{line}\n" in GUIDE
    [examples] = re.findall(r"^For example (.+?)\. Several", GUIDE, re.M)
    commands = re.findall(r"`([^`]+)`", examples)
    assert len(commands) == 3
    assert [len(parse(each)) for each in commands] == [1, 1, 1]


def test_verdicts_and_reasons_are_those_of_the_interface() -> None:
    for choices in CONFIG.iter("Choices"):
        for choice in choices:
            assert f"**{choice.attrib['value']}**" in GUIDE


@pytest.mark.parametrize("name", re.findall(r"\]\((pictures/[^)]+)\)", GUIDE))
def test_pictures_are_there_and_small(name: str) -> None:
    assert 0 < (ANNOTATION / name).stat().st_size <= 150_000


def test_no_hotkey_means_two_things() -> None:
    hotkeys = [each.attrib["hotkey"] for each in CONFIG.iter() if "hotkey" in each.attrib]
    assert len(hotkeys) == len(set(hotkeys))
    per_task = [each for each in CONFIG.iter("Choices") if each.attrib.get("perRegion") != "true"]
    assert all("hotkey" in choice.attrib for each in per_task for choice in each), (
        "else Label Studio invents some"
    )
