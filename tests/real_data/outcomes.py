"""What a build makes of the real files, beside what was expected of them.

    python -m tests.real_data.outcomes [WORKSPACE]

builds all files (into a temporary folder, or into WORKSPACE, where what is done is not done again) and
writes ``outcomes.csv`` here and ``docs/real-files.md``. The expectations are never written. A remark in
``outcomes.csv`` is written by hand and stays as long as the outcome it speaks of does.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
from rich.console import Console

from d2midi_build.ledger import Ledger
from d2midi_build.pipeline import Summary, build
from d2midi_build.recipe import Recipe
from d2midi_build.sources.lists import read_sources
from d2midi_build.workspace import Workspace

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent.parent
PAGE: Final = ROOT / "docs" / "real-files.md"
RECIPE: Final = Recipe().with_field("window.frames", 120).with_field("window.stride", 40)

_EXPECTED: Final = HERE / "expected_outcomes.csv"
_OUTCOMES: Final = HERE / "outcomes.csv"
_BEST_FIRST: Final = ("accept", "review", "reject")

Row = Mapping[str, str]


@dataclass(frozen=True)
class Outcome:
    """How a file ended, in the terms of ``expected_outcomes.csv``.

    ``reasons`` are those of all takes, or the type of the error.
    """

    stage: str
    status: str
    reasons: tuple[str, ...]
    takes: int
    windows: int

    def row(self) -> dict[str, str]:
        """The cells of ``outcomes.csv``."""
        reasons = "|".join(self.reasons)
        return {
            "outcome_stage": self.stage,
            "outcome_status": self.status,
            "outcome_reasons": reasons,
            "outcome_takes": str(self.takes),
            "outcome_windows": str(self.windows),
        }


def expectations() -> list[Row]:
    """The rows of ``expected_outcomes.csv``, with what finished screening should say as the expectation."""
    return [_finished(row) for row in _read(_EXPECTED)]


_NAMES: Final = {"background": "busy_background"}
"""Reasons of ``ideal_reasons`` that are called otherwise now."""


def _finished(row: Row) -> Row:
    """A row whose expected status and reasons are the ideal ones, and whose stage and windows follow from them."""
    statuses = row["ideal_status"].split("|")
    if statuses == ["failed"]:
        return row
    reasons = [_NAMES.get(name, name) for name in row["ideal_reasons"].split("|")]
    changed = {"expected_status": row["ideal_status"], "expected_reasons": "|".join(reasons)}
    if "accept" in statuses:
        changed["expected_reasons"] = ""
    if statuses != ["accept"]:
        most = row["expected_windows"].rpartition("-")[2]
        passes = "accept" in statuses
        changed["expected_stage"] = "filter|window" if passes else "filter"
        changed["expected_windows"] = f"0-{most}" if passes else "0"
    return {**row, **changed}


def pinned() -> list[Row]:
    """The rows of ``outcomes.csv``."""
    return _read(_OUTCOMES)


def real_file(shared_data: Path, row: Row) -> Path:
    """Where a row's file lies."""
    return shared_data / row["repo"].replace("/", "+") / row["path"]


def build_all(shared_data: Path, folder: Path) -> Summary:
    """Build every file into ``folder / "workspace"``."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = folder / "files.txt"
    listed.write_text("".join(f"{real_file(shared_data, row)}\n" for row in expectations()))
    return build(list(read_sources(listed)), folder / "workspace", RECIPE)


def outcomes(shared_data: Path, workspace: Path) -> list[Outcome]:
    """How each file of ``expectations()`` ended, read from the workspace's tables."""
    tables = {
        name: pq.read_table(workspace / "manifests" / f"{name}.parquet").to_pylist()
        for name in ("sources", "videos", "takes", "clips")
    }
    sources = {source["url"]: source for source in tables["sources"]}
    return [_outcome(sources[str(real_file(shared_data, row))], tables) for row in expectations()]


def _outcome(source: Mapping[str, Any], tables: Mapping[str, list[dict[str, Any]]]) -> Outcome:
    if source["status"] == "failed":
        return Outcome("crawl", "failed", (source["reason"],), 0, 0)
    (video,) = (video for video in tables["videos"] if video["video_id"] in source["video_ids"])
    if video["status"] == "failed":
        return Outcome("filter", "failed", (video["reason"],), 0, 0)
    takes = [take for take in tables["takes"] if take["video_id"] == video["video_id"]]
    clips = [clip for clip in tables["clips"] if clip["video_id"] == video["video_id"]]
    for clip in clips:
        if clip["status"] == "failed":
            return Outcome(clip["failed_stage"], "failed", (clip["reason"],), len(takes), 0)
    return Outcome(
        stage="window" if clips and all(clip["status"] == "done" for clip in clips) else "filter",
        status=min((take["status"] for take in takes), key=_BEST_FIRST.index),
        reasons=tuple(sorted({reason for take in takes for reason in take["reasons"]})),
        takes=len(takes),
        windows=sum(clip["n_windows"] or 0 for clip in clips),
    )


def differences(expected: Row, outcome: Outcome) -> list[str]:
    """The columns in which an outcome is not what was expected, by the rules of the README here."""
    wrong = []
    if outcome.stage not in expected["expected_stage"].split("|"):
        wrong.append("stage")
    if outcome.status not in expected["expected_status"].split("|"):
        wrong.append("status")
    reasons = expected["expected_reasons"]
    if reasons and not set(reasons.split("|")) & set(outcome.reasons):
        wrong.append("reasons")
    for column, value in (("takes", outcome.takes), ("windows", outcome.windows)):
        least, _, most = expected[f"expected_{column}"].partition("-")
        if not int(least) <= value <= int(most or least):
            wrong.append(column)
    return wrong


def outcome_rows(found: list[Outcome], before: list[Row]) -> list[dict[str, str]]:
    """The rows of ``outcomes.csv``; remarks are kept from ``before`` where the outcome is the same."""
    old = {(row["repo"], row["path"]): row for row in before}
    rows = []
    for expected, outcome in zip(expectations(), found, strict=True):
        row = {
            "repo": expected["repo"],
            "path": expected["path"],
            **outcome.row(),
            "agrees": "; ".join(differences(expected, outcome)) or "yes",
        }
        known = old.get((row["repo"], row["path"]), {})
        same = all(known.get(name) == value for name, value in row.items())
        rows.append(row | {"remark": known.get("remark", "") if same else ""})
    return rows


def page(rows: Sequence[Row]) -> str:
    """``docs/real-files.md``."""
    pairs = list(zip(expectations(), rows, strict=True))
    agree = sum(row["agrees"] == "yes" for row in rows)
    lines = [
        "# Real files",
        "",
        "<!-- Written by `python -m tests.real_data.outcomes`. -->",
        "",
        f"What `d2midi build` with `window.frames = 120` and `window.stride = 40` makes of {len(rows)} real video",
        "files, beside what was written down as the ideal before the pipeline ran on any of them",
        "(`tests/real_data/expected_outcomes.csv`, with what was seen in each file). The files are not part of the",
        "repository. `uv run python -m tests.real_data.outcomes` writes this page;",
        "`uv run --all-extras pytest -m real_data tests/real_data` builds everything again and fails if an outcome has",
        "moved.",
        "",
        f"{agree} of {len(rows)} agree. An expectation is a stage, a status, reasons (one of them is enough), a number",
        "of takes and a number of windows; the column *agrees* names what differs. *Sure* means that another outcome",
        "would be a fault, *open* that a detector may well see it otherwise. Expectations stay as they were written.",
        "",
        "| file | expected | certainty | outcome | agrees | remark |",
        "|---|---|---|---|---|---|",
    ]
    for expected, row in pairs:
        cells = (
            f"`{row['repo']}` {row['path'].rsplit('/', 1)[-1]}",
            _words(expected, "expected"),
            expected["certainty"],
            _words(row, "outcome"),
            row["agrees"] if row["agrees"] == "yes" else f"**{row['agrees']}**",
            row["remark"],
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _words(row: Row, kind: str) -> str:
    status, reasons, takes, windows = (
        row[f"{kind}_{name}"] for name in ("status", "reasons", "takes", "windows")
    )
    words = f"{status} at {row[f'{kind}_stage'].replace('|', ' or ')}"
    if reasons:
        words += f": {reasons.replace('|', ', ')}"
    return f"{words}; takes: {takes}, windows: {windows}"


def _read(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "workspace", nargs="?", type=Path, help="folder to build in; default: a temporary one"
    )
    chosen = parser.parse_args().workspace
    shared_data = ROOT.parent / "shared" / "data"
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen or Path(temporary)
        summary = build_all(shared_data, folder)
        found = outcomes(shared_data, folder / "workspace")
        cpu_s = sum(record.cpu_s for record in Ledger(Workspace.open(folder / "workspace").ledger_path))
    rows = outcome_rows(found, pinned() if _OUTCOMES.exists() else [])
    with _OUTCOMES.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    PAGE.write_text(page(rows), encoding="utf-8")
    agree = sum(row["agrees"] == "yes" for row in rows)
    console = Console()
    console.print(
        f"{agree} of {len(rows)} agree; this run {summary.wall_s:.0f} s, all stages {cpu_s:.0f} s of CPU"
    )
    for row in rows:
        if row["agrees"] != "yes":
            console.print(f"  {row['repo']}/{row['path']}: {row['agrees']}: {_words(row, 'outcome')}")


if __name__ == "__main__":
    _main()
