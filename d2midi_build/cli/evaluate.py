"""``d2midi evaluate``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from d2midi_build.cli.options import JsonOption, QuietOption, to_write


def _out(path: Path | None) -> Path | None:
    return None if path is None else to_write(path)


def evaluate(
    location: Annotated[
        str, typer.Argument(help="Folder or URL of a release.", metavar="RELEASE", show_default=False)
    ],
    generated: Annotated[
        Path | None,
        typer.Option(
            "--generated",
            help="Folder of MIDI files named <clip_id>.mid or <clip_id>_<start_frame>.mid. Default: the release's own "
            "music, for values to compare with.",
            show_default=False,
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            "--split", help="Only this split: train, validation or test; default: each.", show_default=False
        ),
    ] = None,
    layer: Annotated[
        str, typer.Option("--layer", help="Notes of the release that count: heard, final or machine.")
    ] = "heard",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of re-pairing and resampling.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="JSON file to write, with the scores of every clip.",
            callback=_out,
            show_default=False,
        ),
    ] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Score generated music, or a release's own, against the dances: with intervals, beside chance levels.

    A chance level is the score of the same music against other dances of the same genre and tempo: a beat score
    means only what it is above that. Every score: docs/evaluating.md.

    Example: `d2midi evaluate releases/1.0.0 --split test --generated outputs --out scores.json`
    """
    from d2midi_build.cli.progress import counted
    from d2midi_build.cli.running import stoppable
    from d2midi_build.train.metrics.evaluation import Settings
    from d2midi_build.train.metrics.evaluation import evaluate as evaluated

    with stoppable(), counted("evaluate", "clips", quiet=quiet or as_json) as progress:
        report = evaluated(location, generated, split, Settings(layer=layer, seed=seed), progress)
    if out is not None:
        out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if as_json:
        typer.echo(json.dumps({name: part for name, part in report.items() if name != "clips"}))
    else:
        _print(report)
    if report["problems"]:
        sys.exit(1)


_SHOWN = (
    "beat_f1@70ms",
    "beat_f1@200ms",
    "f1_of_means@200ms",
    "bhs@70ms",
    "bcs_precision@70ms",
    "bcs_ratio",
    "bas_alignment",
)
_BY_GENRE = ("onsets_vs_reference", "onsets_vs_dance", "beats_vs_dance")


def _print(report: Mapping[str, Any]) -> None:
    splits = [group for group in report["groups"] if group["split"] and not group["genre"]]
    overall = report["groups"][:1] if len(splits) > 1 else []
    for group in (*splits, *overall):
        _print_scores(group)
        genres = [g for g in report["groups"] if g["genre"] and g["split"] == group["split"]]
        if len(genres) > 1:
            _print_genres(genres)
    pairing = report["groups"][0]["re_pairing"]
    typer.echo(
        f"Chance: {pairing['n_pairs']:,} pairs of music with other sources' clips of the same genre, up to "
        f"{pairing['n_derangements']} for each clip; of the same tempo for {pairing['n_tempo_matched']} clips; "
        f"{pairing['n_without_partner']} clips have no partner."
    )
    if report["files_of_other_splits"]:
        typer.echo(f"{len(report['files_of_other_splits'])} files are of clips of other splits: not scored.")
    for problem in report["problems"]:
        named = problem["problem"].startswith(
            problem["file"]
        )  # messages about damage name the file themselves
        typer.echo(problem["problem"] if named else f"{problem['file']}: {problem['problem']}", err=True)


def _print_scores(group: Mapping[str, Any]) -> None:
    """The main scores of a group, beside chance or, of phe and gs, the clips' own music."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table("", "mean", "95 %", "beside it", "clips", box=box.SIMPLE)
    table.columns[0].no_wrap, table.columns[4].justify = True, "right"
    before = ""
    for name, score in sorted(group["scores"].items(), key=lambda each: _order(each[0])):
        comparison, dot, metric = name.rpartition(".")
        if (dot and metric not in _SHOWN) or not score["n"]:
            continue
        if comparison != before:
            table.add_row(f"{comparison.replace('_', ' ')}")
            before = comparison
        interval = "" if score["low"] is None else f"{score['low']:.3f}-{score['high']:.3f}"
        beside = "".join(f"{part} {_mean(score[part])}" for part in ("chance", "reference") if part in score)
        table.add_row(f"  {metric}" if dot else metric, _mean(score), interval, beside, str(score["n"]))
    typer.echo(f"{group['split'] or 'all splits'}: {group['n_clips']} clips of {group['n_sources']} videos")
    Console().print(table)


def _order(name: str) -> tuple[bool, str, int]:
    """Scores of a piece by itself first, then comparison by comparison, as `_SHOWN` has them."""
    comparison, dot, metric = name.rpartition(".")
    return bool(dot), comparison, _SHOWN.index(metric) if metric in _SHOWN else -1


def _print_genres(genres: Sequence[Mapping[str, Any]]) -> None:
    """Beat F1 at 70 ms of each genre of a split."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    names = [f"{comparison}.beat_f1@70ms" for comparison in _BY_GENRE]
    names = [name for name in names if any(name in group["scores"] for group in genres)]
    heads = [f"F1 {name.partition('.')[0].replace('_', ' ')}" for name in names]
    table = Table("genre", "clips", "videos", *heads, box=box.SIMPLE)
    for group in genres:
        cells = []
        for name in names:
            score = group["scores"].get(name)
            cells.append(f"{_mean(score)}, chance {_mean(score['chance'])}" if score else "")
        table.add_row(group["genre"] or "unknown", str(group["n_clips"]), str(group["n_sources"]), *cells)
    Console().print(table)


def _mean(score: Mapping[str, Any]) -> str:
    """A mean as people read it."""
    return "none" if score["mean"] is None else f"{score['mean']:.3f}"
