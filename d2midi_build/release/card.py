"""The card of a release: what it is, what is in it, and how to read it; with the configs that Hugging Face reads."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa

from d2midi_build import clock
from d2midi_build.release import format as layout
from d2midi_build.release import quality

_HOME: Final = "https://github.com/d2midi/d2midi"


def card(manifest: Mapping[str, Any], whole: Mapping[str, Mapping[str, pa.Table]]) -> str:
    """``README.md`` of a release.

    Parameters
    ----------
    manifest : dict
        What ``manifest.json`` says.
    whole : dict
        Tables ``clips``, ``videos`` and ``windows`` by split.
    """
    totals, recipe, files = manifest["totals"], manifest["recipe"], manifest["files"]
    said = recipe["release"]
    lines = [
        *_front_matter(files, said),
        f"# {manifest['name']} {manifest['version']}",
        "",
        *([said["about"], ""] if said["about"] else []),
        "Motion of solo dancers, paired with the notes of the music they dance to: keypoints of body, hands and face "
        f"at {clock.FPS} frames/s, notes of up to 13 instruments, beats. Made by [d2midi]({_HOME}) "
        f"{manifest['made_by']['d2midi']} after the recipe of the Dance2MIDI paper ([arXiv:2301.09080]"
        "(https://arxiv.org/abs/2301.09080)). The videos are not in it.",
        "",
        *_gate(manifest["gate"]),
        "",
        "| | videos | clips | windows | hours as windows | unique hours | notes |",
        "|---|---|---|---|---|---|---|",
        *(_row(split, manifest["splits"][split]) for split in layout.SPLITS if split in manifest["splits"]),
        _row("all", totals),
        "",
        f"A window is {recipe['window']['frames'] / clock.FPS:g} s. Those of train and validation start every "
        f"{recipe['window']['stride'] / clock.FPS:g} s, those of test do not overlap. *Hours as windows* counts each "
        "window in full, however much of it others have as well, as the paper does; *unique hours* is the length of "
        "what was recorded.",
        "",
        _apart(said["keep_apart"]),
        "",
        *_left_out(manifest["left_out"]),
        "## Genres, instruments, licences",
        "",
        *_counted("genre", "clips", Counter(_all(whole["clips"], "genre"))),
        *_counted(
            "instrument",
            "clips",
            Counter(name for names in _all(whole["clips"], "instruments") for name in names),
        ),
        *_counted("licence", "videos", Counter(_all(whole["videos"], "licence"))),
        "Each video keeps its own licence: column `licence` of `videos` and `clips`. Sound is in the release for "
        f"{sum(_all(whole['clips'], 'has_audio'))} of {totals['clips']} clips, those whose licence allows it. Genre, "
        "performer and licence are as the builder's list and the site have them; an empty text means not known.",
        "",
        *quality.section(manifest["audit"], manifest["agreement"]),
        "## Reading it",
        "",
        "```python",
        "from d2midi_build import open_release",
        "",
        'release = open_release("/path/to/this/folder")  # or its URL',
        'window = release.filter(split="train")[0]',
        "window.keypoints, window.notes  # (frames, joints, 3) in torso lengths; onsets in seconds",
        "```",
        "",
        "Every table is plain Parquet and loads without d2midi, too: "
        '`datasets.load_dataset("/path/to/this/folder", "clips")`, `polars.scan_parquet("data/notes/*.parquet")`, or '
        "DuckDB. In `frames`, points are integers: times the `scale` that `schema.json` gives for the part; "
        "`schema.json` explains every column. `sha256sum -c SHA256SUMS` checks every file, and `d2midi release verify` "
        "checks more than that.",
        "",
        "| table | rows | bytes |",
        "|---|---|---|",
        *(
            _size(table, files)
            for table in layout.TABLES
            if any(_rows(files, table, split) for split in layout.SPLITS)
        ),
        "",
        "## What to know",
        "",
        "- **Notes** are a machine's first guess unless a correction replaced them; `p_note` and `p_instrument` say "
        "how likely each is right. Use layer `heard` to judge music against dance, `final` to train on.",
        f"- **Keypoints** are MediaPipe's, not smoothed; `body_world` is in metres from the hips. A part that was not "
        f"found holds {layout.MISSING} in all its elements, and its `present_` column is false.",
        "- **vocabulary.json** names the ids of d2midi's tokens of music, for models that write or read them.",
        "- **removed.parquet** names what must not be used any more. The reader leaves it out by itself; whoever reads "
        "the tables directly must do so.",
        "- Dancers can be recognised by how they move. Do not use this to find out who somebody is.",
        "",
        *(["## Contact", "", said["contact"], ""] if said["contact"] else []),
        *(["## Citation", "", "```", said["citation"], "```", ""] if said["citation"] else []),
    ]
    return "\n".join(lines)


def _gate(gate: Mapping[str, Any] | None) -> list[str]:
    """Whether somebody checked that dances and music belong together, for who never heard of that."""
    if gate is None:
        return [
            "Whether dances and music belong together was not checked with trained models (`d2midi gate` does that)."
        ]
    if not gate["preview"]:
        return [
            "**Checked.** Small models that were trained on it find the beats of the music in the dance of videos that "
            "they have not seen, and do not with pairs that were made wrong on purpose: dances and music belong "
            "together, and start together, as far as a check by machine can tell. `gate.html` shows what was found."
        ]
    return [
        "**Preview.** It was to be checked whether dances and music belong together and start together: small models "
        "are trained on some videos and asked about others. What is in this release, or what was run, is not enough "
        "to tell. Use it to try things out; do not rest results on it. `gate.html` shows what was found. What lacked:",
        "",
        *(f"- {' '.join(reason.split())}" for reason in gate["why"]),
    ]


def _front_matter(files: Mapping[str, Any], said: Mapping[str, Any]) -> list[str]:
    lines = ["---"]
    lines += [f"license: {json.dumps(said['licence'])}"] if said["licence"] else []
    lines += [f"pretty_name: {json.dumps(said['name'])}", "configs:"]
    for table in layout.TABLES:
        splits = [split for split in layout.SPLITS if _rows(files, table, split)]
        if splits:
            lines.append(f"- config_name: {table}")
            lines += ["  default: true"] if table == layout.TABLES[0] else []
            lines.append("  data_files:")
            for split in splits:
                lines += [f"  - split: {split}", f"    path: data/{table}/{split}-*.parquet"]
    return [*lines, "---", ""]


def _rows(files: Mapping[str, Any], table: str, split: str) -> int:
    return sum(told["rows"] for path, told in files.items() if path.startswith(f"data/{table}/{split}-"))


def _row(name: str, counted: Mapping[str, Any]) -> str:
    return (
        f"| {name} | {counted['videos']:,} | {counted['clips']:,} | {counted['windows']:,} | "
        f"{counted['window_hours']:,.2f} | {counted['unique_hours']:,.2f} | {counted['notes']:,} |"
    )


def _size(table: str, files: Mapping[str, Any]) -> str:
    mine = [told for path, told in files.items() if path.startswith(f"data/{table}/")]
    return f"| {table} | {sum(told['rows'] for told in mine):,} | {sum(told['bytes'] for told in mine):,} |"


def _left_out(left_out: Mapping[str, int]) -> list[str]:
    if not left_out:
        return []
    told = "; ".join(f"{count} {reason}" for reason, count in sorted(left_out.items()))
    return [f"Clips left out of the release: {told}.", ""]


def _counted(what: str, of: str, counts: Counter[str]) -> list[str]:
    rows = [f"| {_cell(name) or 'not known'} | {count:,} |" for name, count in sorted(counts.items())]
    return [f"| {what} | {of} |", "|---|---|", *rows, ""]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _all(by_split: Mapping[str, pa.Table], column: str) -> list[Any]:
    return [value for rows in by_split.values() for value in rows.column(column).to_pylist()]


def _apart(kinds: list[str]) -> str:
    if not kinds:
        return "**Splits may share music, performers and videos.**"
    return (
        f"Splits share no {' and no '.join(kinds)}, as far as this could be found out: by names that the list or site "
        "gave, and by comparing sound and picture."
    )
