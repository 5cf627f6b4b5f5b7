"""The generated pages are up to date and complete."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import typer.main

from d2midi_build import tables
from d2midi_build.cli import app
from d2midi_build.recipe import Recipe, field_names
from d2midi_build.release.format import TABLES
from tests.docs.pages import DOCS, ROOT
from tests.integration.test_build import FIRST_TO_RUN


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_reference", ROOT / "scripts" / "write_reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page(name: str) -> str:
    return (DOCS / "reference" / name).read_text(encoding="utf-8")


def test_the_pages_are_up_to_date(script: ModuleType) -> None:
    assert script.main(["--check"]) == 0


def test_check_tells_a_stale_page_and_writes_nothing(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main([], tmp_path) == 0
    assert script.main(["--check"], tmp_path) == 0
    (tmp_path / "recipe.md").write_text("old")
    assert script.main(["--check"], tmp_path) == 1
    assert "recipe.md" in capsys.readouterr().out
    assert (tmp_path / "recipe.md").read_text() == "old"


def test_every_table_and_column_is_there() -> None:
    for file, folder, names in (
        ("tables.md", "", tables.table_names()),
        ("release-tables.md", "release/", [*TABLES, "removed"]),
    ):
        text = page(file)
        for name in names:
            section = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
            for column in tables.schema(folder + name).columns:
                assert f"| `{column.name}` | {column.type}" in section, f"{name}.{column.name}"


def test_every_recipe_field_is_there_with_what_it_runs_again() -> None:
    text = page("recipe.md")
    for field in field_names():
        section, _, name = field.partition(".")
        rows = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0].splitlines()
        (row,) = [row for row in rows if row.startswith(f"| `{name}` |")]
        again = set(row.rsplit("|", 2)[1].strip().split(", ")) - {"nothing", "verdicts"}
        if field.startswith("separate.demucs") or field == "transcribe.transcriber":
            continue  # run a stage again only with demucs, or with another transcriber installed
        if section in ("basic_pitch", "mt3"):  # if that transcriber listens
            how = field in ("mt3.model", "mt3.batch", "mt3.device")
            assert again == (set() if how else {"transcribe", "opinions"}), field
            continue
        assert again == FIRST_TO_RUN.get(field, set()), field


def test_every_command_and_option_is_there() -> None:
    text = page("commands.md")

    def check(command: object, name: str) -> int:
        children = getattr(command, "commands", None)
        if children is not None:
            return sum(check(child, f"{name} {word}") for word, child in children.items())
        section = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        for parameter in command.params:  # type: ignore[attr-defined]
            for option in parameter.opts if parameter.param_type_name == "option" else []:
                assert option == "--help" or f"`{option}`" in section, f"{name} {option}"
        return 1

    assert check(typer.main.get_command(app), "d2midi") == text.count("\n## d2midi ") >= 15


def test_a_default_of_zero_is_shown() -> None:
    assert "| `--seed` | Another seed: other dances and songs. | `0` |" in page("commands.md")
    assert f"| `minimum_frames` | `{Recipe().basic_pitch.minimum_frames}` |" in page("recipe.md")
