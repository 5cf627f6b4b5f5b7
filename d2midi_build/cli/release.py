"""``d2midi release``: build, check and look at releases, and say what must be left out of them."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from d2midi_build.cli.options import (
    DEFAULT_WORKSPACE,
    JsonOption,
    QuietOption,
    WorkersOption,
    WorkspaceOption,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from d2midi_build.release.build import Built
    from d2midi_build.release.checking import Check

app = typer.Typer(
    no_args_is_help=True,
    help="Build, check and look at releases: immutable, versioned, checksummed.",
    rich_markup_mode="markdown",
)

FolderArgument = Annotated[
    Path, typer.Argument(help="The folder of a release.", metavar="RELEASE", show_default=False)
]


@app.callback()
def release() -> None:
    """Build, check and look at releases: immutable, versioned, checksummed."""


@app.command("build")
def build(
    version: Annotated[
        str,
        typer.Option(
            "--version",
            help="Semantic version: raise the first number when columns or joints change, the second for more clips or "
            "better notes, the third for removals and remarks.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="Folder of the release; must not exist yet.", show_default=False)
    ],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    recipe: Annotated[
        Path | None,
        typer.Option(
            "--recipe",
            help="TOML recipe whose section [release] counts; default: the workspace's last one.",
            show_default=False,
        ),
    ] = None,
    previous: Annotated[
        str | None,
        typer.Option(
            "--previous",
            help="Folder or URL of an earlier release, made from another workspace, whose splits are to stay. Those of "
            "releases of this workspace are remembered.",
            show_default=False,
        ),
    ] = None,
    new_splits: Annotated[
        bool,
        typer.Option(
            "--new-splits",
            help="Forget earlier splits. Who trained on an earlier release may have seen what is test in this one.",
        ),
    ] = False,
    gate: Annotated[
        bool,
        typer.Option(
            "--gate",
            help="Check pairing with small models that are trained on it (d2midi gate, minutes); the result goes on "
            "the card; needs the extra train.",
        ),
    ] = False,
    explain: Annotated[
        str,
        typer.Option(
            "--explain",
            help="With --gate: why dances need not tell which music of their genre is theirs, as for `d2midi gate`.",
            show_default=False,
        ),
    ] = "",
    workers: WorkersOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a release of all complete clips of a workspace.

    Splits are 8:1:1 of each genre and part no music, performer or video. Everything is checked before anything is
    visible; a build that was stopped goes on where it was, and the same workspace gives the same bytes.

    Example: `d2midi release build --version 1.0.0 --out releases/1.0.0`, then `d2midi release verify releases/1.0.0`
    """
    import os

    from d2midi_build.annotate.corrections import Corrections, path_in
    from d2midi_build.cli.running import stoppable
    from d2midi_build.recipe import Recipe
    from d2midi_build.release.workspace import build_from, splits_of
    from d2midi_build.workspace import Workspace

    with stoppable(), ExitStack() as bars:
        progress = _in_turn(bars, quiet=quiet or as_json)
        built = build_from(
            Workspace.open(workspace),
            out,
            version,
            Recipe.load(recipe) if recipe else None,
            before=splits_of(previous) if previous else None,
            new_splits=new_splits,
            workers=workers or len(os.sched_getaffinity(0)),
            progress=lambda done, total: progress("release", done, total),
            check=_check(progress, explain) if gate else None,
        )
    if as_json:
        typer.echo(json.dumps(_built_data(built)))
        return
    if built.existed:
        typer.echo(f"{out} is this very release already: nothing to do.")
    _print(built.manifest)
    if built.n_kept and not built.existed:
        typer.echo(
            f"{built.n_kept} clips keep their split of an earlier release; seed and shares of the recipe count for the "
            "others."
        )
    for each in Corrections.read(path_in(Workspace.open(workspace))).disputed():
        typer.echo(f"conflict: {each.told()}")
    typer.echo(
        f"Check it: d2midi release verify {out}   Read it: open_release({str(out)!r}), see {out}/README.md"
    )


@app.command("verify")
def verify(
    folder: FolderArgument,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check a release to the last bit: every hash, schema, count and gate. Names each bad file.

    Example: `d2midi release verify releases/1.0.0`
    """
    from d2midi_build.cli.progress import counted
    from d2midi_build.release.verify import verify as verified

    with counted("verify", "%", quiet=quiet or as_json) as progress:
        found = verified(folder, report=lambda share: progress(100 * share, 100))
    if as_json:
        typer.echo(json.dumps(found.data()))
    else:
        for problem in found.problems:
            typer.echo(f"{problem.file}: {problem.what}. {problem.remedy}")
        for gate in found.gates:
            if not gate.passed:
                typer.echo(f"gate {gate.name}: {gate.meaning}; {gate.n_offenders} do not fit:")
                for offender in gate.offenders[:10]:
                    typer.echo(f"  {offender}")
        bad = len(found.problems) + sum(not gate.passed for gate in found.gates)
        typer.echo(
            f"{found.n_files} files, {found.n_bytes:,} bytes: "
            + (f"{bad} problems" if bad else f"every hash, count and gate ({len(found.gates)}) is right")
        )
        if not found.gates:
            typer.echo("Its tables were not opened: mend the files first, then verify again.")
    if not found.ok:
        sys.exit(1)


@app.command("show")
def show(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Show what a release holds: splits, hours, sizes, what was left out, what made it.

    Example: `d2midi release show releases/1.0.0`
    """
    from d2midi_build.release.format import read_manifest

    manifest = read_manifest(folder)
    if as_json:
        typer.echo(json.dumps(manifest))
    else:
        _print(manifest)


@app.command("remove")
def remove(
    item: Annotated[
        str,
        typer.Argument(
            help="A clip or, for all its clips, a video: id or the beginning of it.",
            metavar="VIDEO|CLIP",
            show_default=False,
        ),
    ],
    why: Annotated[
        str,
        typer.Option(
            "--why", help="Reason, as readers will see it: takedown, or in words.", show_default=False
        ),
    ] = "",
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Take an earlier removal of this item back.")
    ] = False,
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            help="Who decides; default: your login name. Not published.",
            envvar="D2MIDI_USER",
            show_default=False,
        ),
    ] = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Say that a video or clip must not be used any more.

    It is left out of the next release, whose removed.parquet names it, so that readers of earlier releases can leave
    it out as well: `open_release(OLD, removed="NEW/removed.parquet")`.

    Example: `d2midi release remove youtube-dQw4w9WgXcQ --why takedown`
    """
    import datetime
    from dataclasses import asdict

    from d2midi_build.cli.options import login_name
    from d2midi_build.release.workspace import remove as removed
    from d2midi_build.workspace import Workspace

    found = removed(
        Workspace.open(workspace),
        item,
        reason=why,
        by=by or login_name(),
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        withdrawn=withdraw,
    )
    if as_json:
        typer.echo(json.dumps(asdict(found) | {"withdrawn": withdraw}))
        return
    what = f"clip {found.clip_id}" if found.clip_id else f"video {found.video_id}"
    typer.echo(
        f"{what} is in releases again"
        if withdraw
        else f"{what} is left out of the next release, which says so"
    )


def _in_turn(bars: ExitStack, *, quiet: bool) -> Callable[[str, float, float], None]:
    """Progress of one thing after the other, each shown until the next begins."""
    from d2midi_build.cli.progress import counted

    shown, show = "", None

    def progress(what: str, done: float, total: float) -> None:
        nonlocal shown, show
        if what != shown or show is None:
            bars.close()
            unit = "frames" if what == "release" else "%"
            shown, show = what, bars.enter_context(counted(what, unit, quiet=quiet))
        show(done, total)

    return progress


def _check(progress: Callable[[str, float, float], None], explained: str) -> Check:
    """The check of pairing; that it cannot be made is told before anything is built."""
    from d2midi_build.cli.gate import needs_training

    needs_training("--gate")
    from d2midi_build.train.gate.run import check

    return lambda folder: check(
        folder,
        explained=explained,
        progress=lambda what, share: progress("gate", 100 * share, 100),
    )


def _built_data(built: Built) -> dict[str, Any]:
    return {
        "folder": str(built.folder),
        "version": built.manifest["version"],
        "existed": built.existed,
        "gate": (built.manifest.get("gate") or {}).get("verdict"),
        "shards_reused": built.n_reused,
        "splits_kept": built.n_kept,
        "splits": built.manifest["splits"],
        "totals": built.manifest["totals"],
        "left_out": dict(built.left_out),
    }


def _print(manifest: Mapping[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    from d2midi_build.release.format import SPLITS

    table = Table("split", "videos", "clips", "windows", "hours as windows", "unique hours", "notes")
    for column in table.columns[1:]:
        column.justify = "right"
    by_split = {name: manifest["splits"][name] for name in SPLITS if name in manifest["splits"]}
    for name, counts in {**by_split, "all": manifest["totals"]}.items():
        table.add_row(
            name,
            *(f"{counts[key]:,}" for key in ("videos", "clips", "windows")),
            *(f"{counts[key]:,.2f}" for key in ("window_hours", "unique_hours")),
            f"{counts['notes']:,}",
        )
    size = sum(file["bytes"] for file in manifest["files"].values())
    typer.echo(
        f"{manifest['name']} {manifest['version']}: {len(manifest['files'])} files, {size / 1e6:,.1f} MB; made by "
        f"d2midi {manifest['made_by']['d2midi']}, pyarrow {manifest['made_by']['pyarrow']}"
    )
    Console().print(table)
    typer.echo(_gate_line(manifest.get("gate")))
    for reason, count in manifest["left_out"].items():
        typer.echo(f"left out: {count} clips: {reason}")
    empty = [split for split in SPLITS if split not in manifest["splits"]]
    if empty:
        typer.echo(f"No clips in {' and '.join(empty)}: docs/releases.md says how splits come about.")


def _gate_line(gate: Mapping[str, Any] | None) -> str:
    if gate is None:
        return "pairing not checked"
    meaning = "a preview, too little is in it to tell; see gate.html" if gate["preview"] else "see gate.html"
    return f"pairing checked: {gate['verdict']} ({meaning})"
