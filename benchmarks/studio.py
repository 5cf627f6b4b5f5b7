"""Notes to Label Studio and back: what push and pull cost, what rendering costs, and what kills do.

    python benchmarks/studio.py --out FOLDER [--part transfer|render|kills] [--tasks 200] [--notes 300] [--kills 20]
    python benchmarks/studio.py --out FOLDER --url http://127.0.0.1:8080 --token TOKEN    # a server that runs already

Starts a real Label Studio by the code of ``d2midi annotate serve`` (uv must be on the search path), in a folder that is
removed afterwards. Sheets are made up: 30 s each, as many notes of four instruments and drums as asked for, in few
enough rows for one task.

- transfer: ``push`` of all sheets into an empty project, again where nothing has changed, then ``pull`` of an answer
  to each, and again. Videos and pictures lie there already: what is measured is preparing, checking, keeping and
  sending. Floor: the same bytes by httpx in as few requests as possible, one import and one list of all tasks. Peer:
  label_studio_sdk's ``projects.import_tasks`` and ``tasks.list`` (which neither look what is there nor check anything).
  Bars: 60 s each.
- render: seconds of one core for the pictures of a sheet's pages and for its video.
- kills: ``d2midi annotate push`` and ``pull`` as processes, each killed with SIGKILL at so many random moments of the
  second half of the time that it takes (the first is Python's start and preparing), then run to its end. Tasks there
  twice, tasks missing, tasks with another prediction than one that gives their notes back; corrections there twice,
  missing, or not as submitted. Bar: none of any.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import av
import httpx
import numpy as np
import soundfile
from rich.console import Console
from rich.table import Table

from d2midi_build import clock, tables
from d2midi_build.annotate.corrections import Corrections, path_in
from d2midi_build.annotate.studio.choosing import sheet_tasks
from d2midi_build.annotate.studio.client import Studio
from d2midi_build.annotate.studio.footage import render_footage
from d2midi_build.annotate.studio.preparing import Prepared, Wishes
from d2midi_build.annotate.studio.pull import pull
from d2midi_build.annotate.studio.push import Places, config, push
from d2midi_build.annotate.studio.regions import left, regions
from d2midi_build.annotate.studio.rendering import places
from d2midi_build.annotate.studio.selection import candidates
from d2midi_build.annotate.studio.server import running
from d2midi_build.music.notes import Notes
from d2midi_build.workspace import Workspace

SECONDS: Final = 30
SIZE: Final = (360, 640)
RATE_HZ: Final = 44_100
RENDERED: Final = 3
_ZERO: Final[dict[str, Any]] = {
    "string": "",
    "int8": 0,
    "int32": 0,
    "int64": 0,
    "float32": 0.0,
    "float64": 0.0,
    "bool": False,
    "list<string>": [],
}


@dataclass(frozen=True)
class Bench:
    """A workspace with tasks to send, and a server."""

    workspace: Workspace
    tasks: Sequence[Prepared]
    url: str
    token: str

    def connected(self) -> Studio:
        return Studio.connect(self.url, self.token)

    def push(self, studio: Studio, title: str) -> Any:
        return push(self.workspace, studio, title, self.tasks, Places(), workers=1, on_done=lambda _: None)

    @contextmanager
    def raw(self) -> Iterator[httpx.Client]:
        headers = {"Authorization": f"Token {self.token}"}
        with httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=600) as client:
            yield client


# ---- what is sent ----


def song(n: int, seed: int) -> Notes:
    """Notes of a sheet."""
    rng = np.random.default_rng(seed)
    end = SECONDS * clock.SAMPLE_RATE_HZ
    onset = np.sort(rng.integers(0, end - 4000, n))
    drum = rng.random(n) < 0.3
    return Notes.create(
        onset / clock.SAMPLE_RATE_HZ,
        (onset + rng.integers(600, 4000, n)) / clock.SAMPLE_RATE_HZ,
        np.where(drum, rng.choice([36, 38, 42, 46], n), rng.integers(40, 72, n)),
        rng.integers(30, 120, n),
        np.where(drum, 0, rng.choice([0, 33, 40, 62], n)),
        drum,
        rng.random(n).astype(np.float32),
        rng.random(n).astype(np.float32),
        "made/up",
    )


def made(root: Path, n_tasks: int, n_notes: int) -> Workspace:
    """A workspace with so many sheets."""
    workspace = Workspace.create(root)
    clips, notes, beats = [], [], []
    for number in range(n_tasks):
        clip_id = f"yt-{number:06d}_00000000"
        clips.append(
            _row("clips", clip_id=clip_id, n_frames=SECONDS * clock.FPS, n_notes=n_notes, width=SIZE[0], height=SIZE[1],
                 n_samples=clock.frames_to_samples(SECONDS * clock.FPS), original_rate_hz=RATE_HZ,
                 original_channels=2, original_samples=SECONDS * RATE_HZ)
        )  # fmt: skip
        for place, note in enumerate(song(n_notes, number).to_table().to_pylist()):
            notes.append(_row("notes", clip_id=clip_id, note=place, **note))
        for place, time_s in enumerate(np.arange(0.5, SECONDS, 0.5)):
            where = {"time_s": float(time_s), "kind": "musical", "position": place % 4 + 1}
            beats.append(_row("beats", clip_id=clip_id, beat=place, **where))
    for name, rows in (("clips", clips), ("notes", notes), ("beats", beats), ("videos", [])):
        tables.write(workspace.manifests / f"{name}.parquet", tables.from_rows(name, rows))
    return workspace


def _row(table: str, **known: Any) -> dict[str, Any]:
    return {
        each.name: None if each.nullable else _ZERO[each.type] for each in tables.schema(table).columns
    } | known


def filmed(workspace: Workspace, tasks: Sequence[Prepared]) -> None:
    """Put something where videos and pictures lie."""
    shown = [workspace.media / name for each in tasks for name in each.pictures]
    for path in [*places(workspace, [each.wanted for each in tasks]), *shown]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"something")


@contextmanager
def bench(options: argparse.Namespace) -> Iterator[Bench]:
    """Sheets, and a server for them."""
    workspace = made(options.out / "workspace", options.tasks, options.notes)
    tasks = list(sheet_tasks(workspace, candidates(workspace), Wishes(), []))
    filmed(workspace, tasks)
    if options.url:
        yield Bench(workspace, tasks, options.url, options.token)
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    private = options.out / "private"
    with running(workspace.root, port=port, data_dir=private, say=lambda _line: None) as served:
        yield Bench(workspace, tasks, served.address.url, served.admin.token)


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Wall seconds and this process's own CPU seconds of some work, and what it returned."""
    began, cpu = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - began, time.process_time() - cpu, result


# ---- transfer ----


def transfer(options: argparse.Namespace) -> dict[str, Any]:
    """Push and pull, beside floor and peer."""
    with bench(options) as it, it.connected() as studio, it.raw() as client:
        push_s, push_cpu_s, pushed = timed(lambda: it.push(studio, "transfer"))
        assert pushed.made == len(it.tasks)
        again_s, _, again = timed(lambda: it.push(studio, "transfer"))
        assert again.same == len(it.tasks)
        there = list(studio.tasks(pushed.project.id, with_annotations=False))
        bodies = [
            {"data": each.data, "predictions": [{"result": regions(by_key.task), "model_version": "d2midi"}]}
            for each, by_key in zip(there, in_order(it.tasks, [task.key for task in there]), strict=True)
        ]
        said = json.dumps(bodies).encode()
        floor_post_s, _, _ = timed(lambda: imported(client, said))
        peer_post_s, _, _ = timed(lambda: peer_import(it, bodies))
        submitted(client, it.tasks, {task.key: task.id for task in there})
        pull_s, pull_cpu_s, pulled = timed(lambda: pull(it.workspace, studio, ["transfer"]))
        assert (len(pulled.corrections), pulled.problems) == (len(it.tasks), [])
        pull_again_s, _, twice = timed(lambda: pull(it.workspace, studio, ["transfer"]))
        assert (twice.repeated, twice.corrections) == (len(it.tasks), [])
        project = pushed.project.id
        floor_get_s, _, n_bytes = timed(lambda: listed(client, project, len(it.tasks)))
        peer_get_s, _, n_listed = timed(lambda: peer_list(it, project))
        assert n_listed == len(it.tasks)
    return {
        "tasks": len(it.tasks),
        "notes": options.notes,
        "posted_mb": len(said) / 1e6,
        "push_s": push_s,
        "push_cpu_s": push_cpu_s,
        "floor_import_s": floor_post_s,
        "peer_import_s": peer_post_s,
        "push_to_floor": push_s / floor_post_s,
        "push_to_peer": push_s / peer_post_s,
        "push_again_s": again_s,
        "got_mb": n_bytes / 1e6,
        "pull_s": pull_s,
        "pull_cpu_s": pull_cpu_s,
        "floor_list_s": floor_get_s,
        "peer_list_s": peer_get_s,
        "pull_to_floor": pull_s / floor_get_s,
        "pull_to_peer": pull_s / peer_get_s,
        "pull_again_s": pull_again_s,
    }


def in_order(tasks: Sequence[Prepared], keys: Sequence[str]) -> list[Prepared]:
    """Tasks in the order of their keys."""
    by_key = {each.task.key: each for each in tasks}
    return [by_key[key] for key in keys]


def new_project(client: httpx.Client) -> int:
    """An empty project like the one that is pushed to."""
    answer = client.post(
        "/api/projects/", json={"title": f"floor {time.time_ns()}", "label_config": config()}
    )
    return int(answer.raise_for_status().json()["id"])


def imported(client: httpx.Client, said: bytes) -> None:
    """All tasks in one request."""
    headers = {"Content-Type": "application/json"}
    client.post(
        f"/api/projects/{new_project(client)}/import", content=said, headers=headers
    ).raise_for_status()


def listed(client: httpx.Client, project: int, n: int) -> int:
    """All tasks with their annotations in one request; bytes of the answer."""
    params = {"project": project, "fields": "all", "page_size": n, "resolve_uri": "false"}
    params |= {"include": "id,data,annotations,result,completed_by,updated_at,lead_time,was_cancelled"}
    answer = client.get("/api/tasks/", params=params).raise_for_status()
    assert len(answer.json()["tasks"]) == n
    return len(answer.content)


def peer_import(it: Bench, bodies: Sequence[dict[str, Any]]) -> None:
    """All tasks by label_studio_sdk."""
    from label_studio_sdk import LabelStudio

    client = LabelStudio(base_url=it.url, api_key=it.token, timeout=600)
    project = client.projects.create(title=f"peer {time.time_ns()}", label_config=config())
    client.projects.import_tasks(id=project.id, request=list(bodies))


def peer_list(it: Bench, project: int) -> int:
    """All tasks by label_studio_sdk."""
    from label_studio_sdk import LabelStudio

    client = LabelStudio(base_url=it.url, api_key=it.token, timeout=600)
    return sum(len(task.annotations or []) for task in client.tasks.list(project=project, fields="all"))


def submitted(client: httpx.Client, tasks: Sequence[Prepared], ids: dict[str, int]) -> None:
    """An answer to each task: all notes but the first."""
    said = {"id": "verdict", "type": "choices", "from_name": "verdict", "to_name": "roll"}
    verdict = said | {"value": {"choices": ["Corrected"]}}
    for each in tasks:
        items = regions(each.task)
        result = [item for item in items if item["id"] != items[0]["id"]]
        body = {"result": [*result, verdict], "lead_time": 60.0}
        client.post(f"/api/tasks/{ids[each.task.key]}/annotations/", json=body).raise_for_status()


# ---- render ----


def render(options: argparse.Namespace) -> dict[str, Any]:
    """Pictures and videos of a few sheets, on one core."""
    workspace = made(options.out / "workspace", RENDERED, options.notes)
    tasks = list(sheet_tasks(workspace, candidates(workspace), Wishes(), []))
    video_s = drawn_s = 0.0
    pages = 0
    for each in tasks:
        media(workspace.root / "clips" / each.wanted.sheet.clip_id)
        out = options.out / f"{each.task.sheet_id}.mp4"
        video_s += timed(lambda e=each, o=out: render_footage(workspace, e.wanted.sheet, e.wanted.notes, o))[
            0
        ]
        drawn_s += timed(lambda e=each: [e.draw(page) for page in range(len(e.pictures))])[0]
        pages += len(each.pictures)
    return {
        "video_s_per_sheet": video_s / len(tasks),
        "video_to_playing_it": video_s / len(tasks) / SECONDS,
        "pictures_s_per_sheet": drawn_s / len(tasks),
        "pages_per_sheet": pages / len(tasks),
    }


def media(folder: Path) -> None:
    """A clip of noise that moves, and noise to hear."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    width, height = SIZE
    picture = rng.integers(0, 255, (height // 8, width // 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    with av.open(str(folder / "video.mp4"), "w") as container:
        stream: Any = container.add_stream("libx264", rate=clock.FPS, options={"crf": "20", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(SECONDS * clock.FPS):
            frame = np.ascontiguousarray(np.roll(picture, 3 * number, axis=1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode(None))
    sound = rng.normal(0, 0.1, (SECONDS * RATE_HZ, 2)).astype(np.float32)
    soundfile.write(folder / "original.flac", sound, RATE_HZ)


# ---- kills ----


def kills(options: argparse.Namespace) -> dict[str, Any]:
    """Both commands killed at random moments, and what that left."""
    with bench(options) as it, it.connected() as studio, it.raw() as client:
        return killed_pushes(it, studio, options) | killed_pulls(it, studio, client, options)


def run(it: Bench, command: str, kill_after_s: float | None) -> tuple[bool, float]:
    """Whether a command was killed, and wall seconds."""
    program = [
        sys.executable,
        "-c",
        "from d2midi_build.cli import main; main()",
        "annotate",
        command,
        "--quiet",
    ]
    environment = os.environ | {"LABEL_STUDIO_URL": it.url, "LABEL_STUDIO_API_KEY": it.token}
    began = time.perf_counter()
    process = subprocess.Popen(
        [*program, "--project", "kills", "-w", str(it.workspace.root)],
        env=environment,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        code = process.wait(kill_after_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True, time.perf_counter() - began
    if code:
        sys.exit(f"{command} failed")
    return False, time.perf_counter() - began


def killed(
    it: Bench, command: str, n: int, seed: int, begun: Callable[[], bool], undo: Callable[[], None]
) -> dict[str, int]:
    """Kill a command so often, then let it end; how many kills came while its work was half done."""
    _, whole_s = run(it, command, None)
    undo()
    rng, done, halves = random.Random(seed), 0, 0
    while done < n:
        if run(it, command, rng.uniform(whole_s / 2, whole_s))[0]:
            done += 1
            halves += begun()
        else:
            undo()
    run(it, command, None)
    return {f"{command}_kills": done, f"{command}_kills_amid_its_work": halves}


def killed_pushes(it: Bench, studio: Studio, options: argparse.Namespace) -> dict[str, Any]:
    """Duplicates and losses of pushes."""

    def there() -> list[Any]:
        project = studio.find_project("kills")
        return [] if project is None else list(studio.tasks(project.id, with_annotations=False))

    def begun() -> bool:
        return 0 < len(there()) < len(it.tasks)

    found = killed(it, "push", options.kills, 1, begun, lambda: studio.delete([task.id for task in there()]))
    wanted = {each.task.key: each for each in it.tasks}
    counted = Counter(task.key for task in there())
    wrong = 0
    with it.raw() as client:
        for task in there():
            told = client.get("/api/predictions/", params={"task": task.id}).raise_for_status().json()
            sent = wanted[task.key].task
            good = len(told) == 1 and left(told[0]["result"], sent).rows == sent.rows
            wrong += not (good and task.data["version"] == sent.version)
    return found | {
        "push_twice": sum(count - 1 for count in counted.values()),
        "push_missing": len(wanted.keys() - counted.keys()),
        "push_wrong": wrong,
    }


def killed_pulls(
    it: Bench, studio: Studio, client: httpx.Client, options: argparse.Namespace
) -> dict[str, Any]:
    """Duplicates and losses of pulls."""
    project = studio.find_project("kills")
    assert project is not None
    ids = {task.key: task.id for task in studio.tasks(project.id, with_annotations=False)}
    submitted(client, it.tasks, ids)
    path = path_in(it.workspace)

    def begun() -> bool:
        return path.exists() and len(Corrections.read(path).lines) < len(it.tasks)

    found = killed(it, "pull", options.kills, 2, begun, lambda: path.unlink(missing_ok=True))
    lines = Corrections.read(path).lines
    counted = Counter(line.sheet_id for line in lines)
    wanted = {each.task.sheet_id: each for each in it.tasks}
    wrong = sum(len(line.layered.final) != len(wanted[line.sheet_id].task.notes) - 1 for line in lines)
    return found | {
        "pull_twice": sum(count - 1 for count in counted.values()),
        "pull_missing": len(wanted.keys() - counted.keys()),
        "pull_wrong": wrong,
    }


PARTS: Final = {"transfer": transfer, "render": render, "kills": kills}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="new folder, removed at the end")
    parser.add_argument("--part", choices=PARTS, help="default: all")
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--notes", type=int, default=300)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument(
        "--url", default="", help="a Label Studio that runs on this machine; default: one is started"
    )
    parser.add_argument("--token", default="")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    if options.out.exists():
        parser.error(f"--out {options.out} exists")
    found: dict[str, Any] = {}
    folder = options.out
    try:
        for part in [options.part] if options.part else PARTS:
            options.out = folder / part
            options.out.mkdir(parents=True)
            found |= PARTS[part](options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print(json.dumps(found))
        return
    table = Table("measure", "value", title="Notes to Label Studio and back")
    for name, value in found.items():
        table.add_row(name, f"{value:,.3f}" if isinstance(value, float) else f"{value}")
    Console().print(table)


if __name__ == "__main__":
    main()
