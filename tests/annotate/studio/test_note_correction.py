"""The labelling configuration of note correction says what pushing sends and pulling reads."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

import pytest
from label_studio_sdk.label_interface import LabelInterface

from d2midi_build.annotate.layering import REASONS
from d2midi_build.annotate.studio.drawing import LABEL_COLOURS
from d2midi_build.annotate.studio.push import config
from d2midi_build.annotate.studio.regions import regions
from d2midi_build.music.instruments import INSTRUMENTS
from tests.annotate.making import row
from tests.annotate.studio.sending import task


def _tags(name: str) -> Iterator[ElementTree.Element]:
    return ElementTree.fromstring(config()).iter(name)


def test_labels_are_the_13_instruments_in_the_colours_of_the_pictures() -> None:
    labels = {each.get("value"): each.get("background") for each in _tags("Label")}
    assert list(labels) == [each.name for each in INSTRUMENTS]
    assert labels == LABEL_COLOURS


def test_no_two_hotkeys_are_equal() -> None:
    keys = [each.get("hotkey") for name in ("Label", "Choice") for each in _tags(name) if each.get("hotkey")]
    assert len(keys) == len(set(keys)) >= 13


@pytest.mark.parametrize(("name", "values"), [
    ("verdict", ["Corrected", "No change needed", "Drop clip"]), ("reason", list(REASONS)), ("why", list(REASONS)),
])  # fmt: skip
def test_answers_are_those_that_are_read(name: str, values: list[str]) -> None:
    [choices] = [each for each in _tags("Choices") if each.get("name") == name]
    assert [each.get("value") for each in choices.iter("Choice")] == values


def test_an_emptied_pitch_does_not_block_its_annotator() -> None:
    """Label Studio stores 0 for an emptied number and refuses to submit less than the least."""
    [pitch] = [each for each in _tags("Number") if each.get("name") == "pitch"]
    assert pitch.get("min") == "0"


def test_what_it_shows_is_in_the_data_of_tasks() -> None:
    wanted = set(re.findall(r'"\$(\w+)"', config()))
    assert wanted <= {"task_key", "version", "title", "part", "about", "rolls", "video"}
    assert {"rolls", "video", "about"} <= wanted


def test_label_studios_own_library_accepts_it_and_what_is_sent() -> None:
    interface = LabelInterface(config())
    interface.validate()
    sent = task({0: row(1.0), 1: row(2.0, pitch=36, instrument="Drum")})
    result = regions(sent)
    prediction = {"model_version": "d2midi-1", "result": result}
    assert interface.validate_prediction(prediction)
    result[0]["value"]["rectanglelabels"] = ["Kazoo"]
    assert not interface.validate_prediction(prediction)
