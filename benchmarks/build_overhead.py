"""What d2midi itself costs: a build of finished items that has nothing to do, and ``--help``.

    python benchmarks/build_overhead.py [--items 1000] [--json]

Builds one drawn dance for real, then enters it into a workspace as so many videos: the flow's own keys, real
records, files through ``Workspace.commit`` (media cut to a few bytes, tables whole). Then a second
``d2midi build`` is timed as a process, beside a Python that only imports what reads and writes
tables; and ``d2midi --help``, beside a Python that only imports typer's help.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from d2midi_build import manifests
from d2midi_build.digests import sha256_data, sha256_file
from d2midi_build.engine.base import Job
from d2midi_build.flow import Flow
from d2midi_build.ledger import Ledger, Record
from d2midi_build.media.likeness import MotionSignature
from d2midi_build.music.fingerprints import music_features
from d2midi_build.pipeline import build
from d2midi_build.recipe import Recipe
from d2midi_build.sources.lists import read_sources
from d2midi_build.stages.filter import MUSIC_FILE, PICTURE_FILE
from d2midi_build.synthetic.band import compose, render
from d2midi_build.synthetic.dancer import choreograph
from d2midi_build.synthetic.slate import SLATE_S
from d2midi_build.synthetic.videos import SHAPES, write_video
from d2midi_build.workspace import Workspace

_RATE_HZ = 44_100
_SECONDS = 6.0
_MEDIA_BYTES = 64
_SILENT = {
    MUSIC_FILE: music_features(np.empty(0, np.int16), np.empty(0, np.uint32)),
    PICTURE_FILE: MotionSignature(np.empty((0, 12, 12), np.uint8), 1.0),
}


def write_dance(path: Path) -> None:
    """A small dance video with music."""
    rng = np.random.default_rng(1)
    dance = choreograph(rng, 120.0, _SECONDS, first_beat_s=SLATE_S, look=1)
    song = render(compose(rng, 120.0, _SECONDS - SLATE_S, start_s=0.0), _RATE_HZ)
    write_video(path, replace(SHAPES["25fps"], size_px=(320, 320)), [dance], song, _RATE_HZ, _SECONDS, rng)


def multiply(folder: Path, items: int) -> tuple[Path, Path]:
    """A list of so many videos and a workspace in which each has gone through every stage."""
    (folder / "one").mkdir()
    (folder / "many").mkdir()
    write_dance(folder / "one" / "dance.mp4")
    recipe = Recipe().with_field("window.frames", 60).with_field("filter.silent_review", 0.4)
    one = Workspace(folder / "one" / "workspace")
    summary = build(list(read_sources(folder / "one")), one.root, recipe)
    done = {record.stage: record for record in manifests.records(summary.sources)}
    assert done["window"].facts["n_windows"] > 0

    for number in range(items):
        (folder / "many" / f"dance-{number:05d}.mp4").write_bytes(b"a video")
    listed = folder / "many" / "list.txt"
    listed.write_text("".join(f"{path.name}\n" for path in sorted((folder / "many").glob("*.mp4"))))
    sources = list(read_sources(listed))
    root = folder / "many" / "workspace"
    workspace = Workspace.create(root)
    manifests.remember(workspace, sources, recipe)
    flow = Flow(workspace, recipe)
    with workspace.lock(), Ledger(workspace.ledger_path, writable=True) as ledger:

        def enter(job: Job) -> Record:
            known = ledger.find(job.stage, job.item, job.key)
            return known or _enter(job, done[job.stage], one, workspace, ledger)

        for source in sources:
            flow.source(source, enter)
    return listed, root


def _enter(job: Job, like: Record, one: Workspace, workspace: Workspace, ledger: Ledger) -> Record:
    """Record a job as done, with files like those of the one real item."""
    out = workspace.new_tmp()
    for file in like.files:
        made = one.artefact(like.stage, like.item, like.key) / file
        shutil.copyfile(made, out / file)
        if file in _SILENT:  # else all would be found to repeat each other
            np.savez_compressed(out / file, **_SILENT[file].to_arrays())
        elif made.suffix not in (".parquet", ".npy"):
            (out / file).write_bytes(made.read_bytes()[:_MEDIA_BYTES])
    facts = dict(like.facts)
    if job.stage == "crawl":
        digest = sha256_data([job.item])
        facts |= {"video_id": f"file-{digest[:16]}", "sha256": digest}
    record = replace(
        like,
        item=job.item,
        key=job.key,
        facts=facts,
        files={file: sha256_file(out / file) for file in like.files},
    )
    if record.files:
        workspace.commit(out, job.stage, job.item, job.key)
    ledger.append(record)
    return record


def median_s(command: list[str], times: int) -> float:
    """Median wall seconds of a process that has to succeed."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument(
        "--folder", type=Path, help="where to keep the workspace; default: a temporary folder"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    d2midi = [sys.executable, "-c", "from d2midi_build.cli import main; main()"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        listed, root = folder / "many" / "list.txt", folder / "many" / "workspace"
        if not root.exists():
            multiply(folder, options.items)
        command = [*d2midi, "build", "--source", str(listed), "-w", str(root), "--quiet"]
        told = subprocess.run([*command, "--json"], check=True, capture_output=True, text=True).stdout
        first = json.loads(told)
        assert first["ran"] == {} and first["clips"] == first["sources"], first
        measured = {
            "items": first["sources"],
            "records": len(Ledger(Workspace(root).ledger_path)),
            "second_build_s": median_s(command, options.times),
            "imports_s": median_s([sys.executable, "-c", "import pydantic, pyarrow.parquet"], options.times),
            "help_s": median_s([*d2midi, "--help"], options.times),
            "typer_s": median_s([sys.executable, "-c", "import typer, typer.rich_utils"], options.times),
        }
    if options.json:
        print(json.dumps(measured))
        return
    print(
        f"second build of {measured['items']} finished items ({measured['records']} records): "
        f"{measured['second_build_s']:.2f} s (target < 3), "
        f"{measured['second_build_s'] / measured['imports_s']:.1f} x its imports ({measured['imports_s']:.2f} s)\n"
        f"d2midi --help: {measured['help_s']:.2f} s (target < 0.5), "
        f"{measured['help_s'] / measured['typer_s']:.2f} x typer's help alone ({measured['typer_s']:.2f} s)"
    )


if __name__ == "__main__":
    main()
