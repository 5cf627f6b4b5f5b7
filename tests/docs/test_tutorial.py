"""What the docs tell people to type works: every block of Python runs, every command line is understood."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
import soundfile
import typer.main

from d2midi_build import clock, tables
from d2midi_build.cli import app
from d2midi_build.recipe import Recipe, field_names
from d2midi_build.release.reader import Release
from d2midi_build.sources.lists import read_sources
from tests.docs.conftest import TUTORIAL, titled
from tests.docs.pages import DOCS, blocks, commands, mentions, pages

PAGES = pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)


@pytest.fixture(scope="module")
def names(tutorial_folder: Path) -> dict[str, Any]:
    """What the tutorial's Python has defined when all of it has run, in order."""
    defined: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tutorial_folder)
        for block in blocks(TUTORIAL, "python"):
            exec(compile("\n" * (block.line - 1) + block.text, str(TUTORIAL), "exec"), defined)
    defined["workspace"] = tutorial_folder / "d2midi-workspace"
    return defined


def test_its_tables_tell_of_the_rejected_take_and_the_failed_source(names: dict[str, Any]) -> None:
    assert sorted(names["takes"]["status"]) == ["accept", "reject"]
    assert names["failed"]["url"].tolist() == ["dances/phone.mp4"]
    assert set(names["usable"]["performer"]) == {"anna"}
    assert names["windows"]["start_frame"].tolist() == [0, 20, 40, 60]


def test_its_window_is_the_same_stretch_of_motion_sound_and_picture(names: dict[str, Any]) -> None:
    assert (names["first"], names["length"]) == (60, 60)
    motion, body = names["motion"], names["body"]
    assert motion.body_world.shape == (60, 33, 3)
    assert np.array_equal(motion.body_world, body[60:120], equal_nan=True)
    folder = names["workspace"] / "clips" / names["clip_id"]
    whole, _ = soundfile.read(folder / "audio.flac", dtype="float32")
    assert np.array_equal(names["sound"], whole[60 * 512 : 120 * 512])
    whole, rate_hz = soundfile.read(folder / "original.flac", dtype="float32")
    assert np.array_equal(names["original"], whole[3 * rate_hz : 6 * rate_hz])
    assert names["picture"].shape == (320, 320, 3)


def test_its_notes_are_those_of_the_midi_file(names: dict[str, Any]) -> None:
    notes, start = names["notes"], names["start"]
    assert len(notes) > 10
    now, played = 0, set()
    for message in mido.merge_tracks(
        mido.MidiFile(names["workspace"] / "midi" / f"{names['clip_id']}.mid").tracks
    ):
        now += message.time
        if message.type == "note_on" and message.velocity:
            played.add((now, message.note))
    shown = set(zip(notes["onset_sample"] + start, notes["pitch"], strict=True))
    assert shown <= played
    begun = {note for note in played if start <= note[0] < start + 60 * 512}
    assert begun <= shown
    assert (notes["onset_frame"] == np.floor(notes["onset_sample"] / clock.SAMPLES_PER_FRAME)).all()


def test_its_lists_are_understood(tmp_path: Path) -> None:
    for name in ("urls.txt", "dances.csv"):
        (tmp_path / name).write_text(titled(name))
    assert [source.kind for source in read_sources(tmp_path / "urls.txt")] == ["url", "url", "file"]
    first, *_, last = read_sources(tmp_path / "dances.csv")
    assert (first.kind, first.genre, first.performer, first.licence) == ("url", "house", "anna", "CC-BY-4.0")
    assert (last.notes, last.extra) == ("sent by mail", {"camera": "side"})


def test_its_recipe_is_understood() -> None:
    assert Recipe.parse(titled("recipe.toml")).window.frames == 60


def test_the_tables_of_reasons_are_complete() -> None:
    text = TUTORIAL.read_text(encoding="utf-8") + (DOCS / "reference" / "criteria.md").read_text(
        encoding="utf-8"
    )
    (column,) = [column for column in tables.schema("takes").columns if column.name == "reasons"]
    reasons = column.meaning.partition(": ")[2].strip(".").split(", ")
    assert len(reasons) > 5
    kinds = ["transient", "permanent", "policy", "crash"]
    missing = [
        word for word in reasons + kinds + ["accept", "reject", "review"] if f"| `{word}` |" not in text
    ]
    assert not missing


@PAGES
def test_every_command_shown_is_understood(page: Path) -> None:
    root: Any = typer.main.get_command(app)
    for where, words in commands(page):
        command, context, rest = root, root.make_context("d2midi", list(words)), list(words)
        while hasattr(command, "commands"):
            name, command, rest = command.resolve_command(context, rest)
            try:  # parses and checks, runs nothing
                context = command.make_context(name, list(rest), parent=context)
            except Exception as error:
                pytest.fail(f"{where}: d2midi {' '.join(words)}: {error}")


@PAGES
def test_every_command_named_in_the_text_exists(page: Path) -> None:
    for words in mentions(page):
        command: Any = typer.main.get_command(app)
        while hasattr(command, "commands") and words and not words[0].startswith("-"):
            assert words[0] in command.commands, f"{page.name}: no command {words[0]}"
            command, words = command.commands[words[0]], words[1:]
        options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        unknown = [word for word in words if word.startswith("-") and word not in options]
        assert not unknown, f"{page.name}: {command.name} has no {unknown}"


@PAGES
def test_every_recipe_field_named_in_the_text_exists(page: Path) -> None:
    sections = {name.partition(".")[0] for name in field_names()}
    named = re.findall(r"`([a-z_]+\.[a-z_]+)(?: = [^`]*)?`", page.read_text(encoding="utf-8"))
    unknown = [
        name
        for name in named
        if name.partition(".")[0] in sections and name not in field_names() and not name.endswith(".py")
        if not (name.startswith("release.") and hasattr(Release, name.removeprefix("release.")))
    ]
    assert not unknown


def test_the_workspace_of_the_tutorial_validates(tutorial_folder: Path) -> None:
    from d2midi_build import validation
    from d2midi_build.workspace import Workspace

    workspace = Workspace.open(tutorial_folder / "d2midi-workspace")
    assert validation.validate(workspace, deep=True) == []
    extra = tables.read(workspace.manifests / "sources.parquet").column("extra").to_pylist()
    assert {"camera": "side"} in [json.loads(each) for each in extra]
