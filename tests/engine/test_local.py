from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from d2midi_build.engine.base import Engine
from d2midi_build.engine.local import LocalEngine
from tests.engine.conformance import EngineConformance, MakeEngine, drain, job


@pytest.fixture
def make_engine(tmp_path: Path) -> MakeEngine:
    def make(workers: int, item_timeout_s: float = 60.0) -> Engine:
        return LocalEngine(workers, 1, tmp_path / "logs", item_timeout_s)

    return make


class TestLocalEngine(EngineConformance):
    pass


def test_workers_are_pinned_to_different_cores(make_engine: MakeEngine, tmp_path: Path) -> None:
    workers = len(os.sched_getaffinity(0))
    with make_engine(workers=workers) as engine:
        for number in range(workers):
            engine.submit(job(tmp_path, number, sleep_s=0.5))
        finished, _ = drain(engine)
    assert len({tuple(end.outcome.facts["cpus"]) for end in finished.values()}) == workers
    assert all(len(end.outcome.facts["cpus"]) == 1 for end in finished.values())


def test_workers_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from d2midi_build.engine.local import LocalEngine; from tests.engine.conformance import job\n"
        "folder = Path(sys.argv[1]); engine = LocalEngine(1, 0, folder / 'logs', 60.0)\n"
        "engine.submit(job(folder, 0, hang=True)); engine.wait(0.1)\n"
        "while not (folder / 'attempts-0').exists(): time.sleep(0.05)\n"
        "print(engine._slots[0].process.pid, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert Path(f"/proc/{worker}").exists()
        parent.kill()
    deadline = time.monotonic() + 60
    while Path(f"/proc/{worker}").exists() and "Z" not in Path(f"/proc/{worker}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
