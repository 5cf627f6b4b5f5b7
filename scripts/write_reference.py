"""Write the generated pages of the docs: tables from ``schemas/``, the recipe, the command line, instruments.

    uv run --all-extras python scripts/write_reference.py [--check]

With ``--check`` nothing is written; exit code 1 if a page is not up to date.
"""

from __future__ import annotations

import inspect
import json
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

import typer.main

from d2midi_build.cli import app
from d2midi_build.music.instruments import DRUM, INSTRUMENTS, instrument_of, mapping_reason
from d2midi_build.recipe import Recipe
from d2midi_build.release import format as release
from d2midi_build.screening.criteria import CRITERIA
from d2midi_build.stages.base import NAMES, stage
from d2midi_build.tables import Schema, schema, table_names
from d2midi_build.transcribers.base import transcriber, transcriber_names

DOCS: Final = Path(__file__).resolve().parent.parent / "docs" / "reference"
_NOTE = "<!-- Written by scripts/write_reference.py; change what it reads instead. -->\n\n"


def tables_page() -> str:
    """Every table with its columns."""
    lines = [
        "# Tables\n",
        "All are Parquet files in the workspace: `manifests/<table>.parquet`, and `frames/<clip_id>.parquet` for each\n"
        "clip. `d2midi validate` holds them against these descriptions.\n",
    ]
    return "\n".join([*lines, *_described({name: schema(name) for name in table_names()})])


def release_page() -> str:
    """Every table of a release with its columns."""
    lines = [
        "# Tables of a release\n",
        "All are Parquet files in the folder of a [release](../releases.md): `data/<table>/<split>-<shard>.parquet`,\n"
        "and `removed.parquet`. `schema.json` in each release says the same of that release.\n",
    ]
    return "\n".join(
        [*lines, *_described({name: release.schema(name) for name in (*release.TABLES, "removed")})]
    )


def _described(tables: Mapping[str, Schema]) -> list[str]:
    lines = []
    for name, described in tables.items():
        lines += [
            f"## {name}\n",
            f"{described.title}. Key: {', '.join(f'`{column}`' for column in described.key)}.\n",
        ]
        lines += ["| column | type | unit | meaning |", "|---|---|---|---|"]
        for column in described.columns:
            kind = column.type + (", may be null" if column.nullable else "")
            lines.append(f"| `{column.name}` | {kind} | {column.unit} | {_cell(column.meaning)} |")
        lines.append("")
    return lines


def recipe_page() -> str:
    """Every field of the recipe, its default, and the stage that a change runs again."""
    lines = [
        "# The recipe\n",
        "A recipe is a TOML file with a table per section. Write only what you change and give it to\n"
        "`d2midi build --recipe`. `d2midi recipe init` writes a file with every field.\n",
        "*Runs again* is the first stage that a changed value runs; later stages follow only if its result differs.\n"
        "*Verdicts* are what screening says of each take: they come from stored scores, nothing is decoded for them,\n"
        "and only what is newly accepted goes on. Sections in brackets are the Dance2MIDI paper's.\n",
    ]
    for section, values in Recipe():
        fields = type(values).model_fields
        about = inspect.cleandoc(type(values).__doc__ or "").replace("``", "`")
        lines += [f"## {section}\n", about + "\n"]
        lines += ["| field | default | meaning | runs again |", "|---|---|---|---|"]
        for name, value in values:
            meaning, kind = fields[name].description or "", fields[name].annotation
            if typing.get_origin(kind) is Literal:
                meaning += f" One of {', '.join(f'`{each}`' for each in typing.get_args(kind))}."
            again = runs_again(f"{section}.{name}")
            lines.append(f"| `{name}` | {_value(value)} | {_cell(meaning)} | {again} |")
        lines.append("")
    return "\n".join(lines)


def runs_again(field: str) -> str:
    """What a changed recipe field runs again, in words: names of stages, or why none."""
    readers = [name for name in NAMES if field in stage(name).reads][:1]
    if field == "transcribe.audio":  # the flow reads it: it decides which file the stage is given
        readers = ["transcribe"]
    section, _, option = field.partition(".")
    name = section.replace("_", "-")
    if name in transcriber_names() and option not in transcriber(name).how:
        readers = ["transcribe", "opinions"]  # whichever it listens in
    if field == "window.frames":
        readers.append("verdicts")
    if readers:
        return ", ".join(readers)
    # Screening's thresholds are held against stored scores; the rest says how, not what.
    thresholds = field.startswith(("filter.", "groups.")) or field == "transcribe.vocals_review_above"
    return "verdicts" if thresholds else "nothing"


def criteria_page() -> str:
    """What screening looks at: every criterion with its score and default thresholds."""
    limits, described = Recipe().filter, {column.name: column for column in schema("takes").columns}
    lines = [
        "# Criteria of screening\n",
        "What can be wrong with a take. *Score* is the column of [table `takes`](tables.md#takes) that is held\n"
        "against `filter.<name>_review` and `filter.<name>_reject` of the [recipe](recipe.md#filter). How it all goes\n"
        "together: [Screening](../screening.md).\n",
        "| reason | name | score | what it is | bad | review | reject |",
        "|---|---|---|---|---|---|---|",
        "| `too_short` | | `n_frames` | Whole frames of the take | below `window.frames` | | always |",
        "| `no_audio` | | `loudness_db` | There is no sound | null | | always |",
    ]
    for each in CRITERIA:
        review, reject = (f"{value:{each.form}}" for value in each.thresholds(limits))
        column = described[each.score]
        unit = f" ({column.unit})" if column.unit and column.unit != "0-1" else ""
        what = f"{_cell(column.meaning)}{unit}"
        lines.append(
            f"| `{each.reason}` | `{each.name}` | `{each.score}` | {what} | {each.bad} | {review} | {reject} |"
        )
    lines += [
        "| `by_hand` | | | Somebody rejected it: `d2midi screen decide` | | | always |",
        "| `repeat` | | | It shares music or picture with another take, and `groups.repeats` is `drop` | | | always |",
    ]
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """Every command with its options."""
    return "# Commands\n\n" + "\n".join(_commands(typer.main.get_command(app), "d2midi"))


def instruments_page() -> str:
    """The 13 instruments, and where each of the 128 General MIDI programs goes."""
    import pretty_midi

    lines = [
        "# Instruments\n",
        "The 13 instruments are the Dance2MIDI paper's (3.3). Each but the drum kit stands for one General MIDI\n"
        "family of eight programs. Programs count from 0, as in files and tables; many devices show one more.\n",
        "| instrument | program | programs that map to it |",
        "|---|---|---|",
    ]
    for instrument in INSTRUMENTS:
        mine = [program for program in range(128) if instrument_of(program) is instrument]
        shown = "channel 10, any program" if instrument is DRUM else _ranges(mine)
        lines.append(f"| {instrument.name} | {'' if instrument is DRUM else instrument.program} | {shown} |")
    lines += [
        "\n## All 128 programs\n",
        "Below 96 the family decides, without exception, as in MT3's classes; where the family's instrument is a\n"
        "poor likeness, the reason says so. Families from 96 on have no instrument in the paper: each program goes\n"
        "to the one that makes its sound in the most similar way. None goes to the drum kit, where a pitch is the\n"
        "name of a drum.\n",
        "A note keeps the program it was transcribed or read with (`program`) beside its `instrument`, in tables\n"
        "and in the workspace's MIDI files. `d2midi export` writes the 13 programs, or with `--programs original`\n"
        "those.\n",
        "| program | General MIDI name | family | instrument | why |",
        "|---|---|---|---|---|",
    ]
    for program in range(128):
        name = pretty_midi.program_to_instrument_name(program)
        family = pretty_midi.program_to_instrument_class(program)
        why = mapping_reason(program)
        lines.append(f"| {program} | {name} | {family} | {instrument_of(program).name} | {_cell(why)} |")
    return "\n".join(lines)


def _ranges(numbers: list[int]) -> str:
    """Ascending numbers as ``0-7, 98``."""
    starts = [n for n in numbers if n - 1 not in numbers]
    ends = [n for n in numbers if n + 1 not in numbers]
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True))


# Typer 0.29 carries its own copy of click, older ones import it: only what both have is used here, and no class
# of either is named.
def _commands(command: Any, name: str) -> Iterator[str]:
    children: Mapping[str, Any] | None = getattr(command, "commands", None)
    if children is not None:
        for child, each in children.items():
            yield from _commands(each, f"{name} {child}")
        return
    parameters = [parameter for parameter in command.params if parameter.name != "help"]
    arguments = [_argument(parameter) for parameter in parameters if parameter.param_type_name == "argument"]
    yield f"## {name}\n\n```text\n{' '.join([name, *arguments, '[OPTIONS]'])}\n```\n"
    yield f"{(command.help or '').strip()}\n"
    yield "| option | meaning | default |\n|---|---|---|"
    for parameter in parameters:
        if parameter.param_type_name == "argument":
            names = f"`{_argument(parameter)}`"
        else:
            names = ", ".join(f"`{each}`" for each in parameter.opts)
        default = parameter.default
        if parameter.required:
            shown = "required"
        elif default is None or default is False or default == ():
            shown = ""
        else:
            shown = _value(default)
        yield f"| {names} | {_cell(parameter.help or '')} | {shown} |"
    yield ""


def _argument(parameter: Any) -> str:
    name = str(parameter.name).upper()
    return name if parameter.required else f"[{name}]"


def _value(value: Any) -> str:
    """A value as TOML writes it; TOML has no word for "not set"."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{json.dumps(value)}`"
    return f"`{value}`" if value != "" else '`""`'


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


PAGES: Final[Mapping[str, Callable[[], str]]] = MappingProxyType(
    {
        "tables.md": tables_page,
        "release-tables.md": release_page,
        "recipe.md": recipe_page,
        "criteria.md": criteria_page,
        "commands.md": commands_page,
        "instruments.md": instruments_page,
    }
)
"""File name -> what writes its text."""


def main(arguments: list[str], folder: Path = DOCS) -> int:
    """Write or check every page; the exit code."""
    check = "--check" in arguments
    stale = []
    for name, page in PAGES.items():
        path, whole = folder / name, _NOTE + page().rstrip() + "\n"
        if path.exists() and path.read_text(encoding="utf-8") == whole:
            continue
        stale.append(name)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(whole, encoding="utf-8")
    if stale and check:
        print(
            f"not up to date: {', '.join(stale)}; run uv run --all-extras python scripts/write_reference.py"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
