"""What every engine must do. A test module per engine provides the fixture ``make_engine``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from d2midi_build.engine.base import Engine, Event, Finished, Job, Needs

MakeEngine = Callable[..., Engine]


def job(folder: Path, number: int, *, priority: float = 0.0, network: bool = False, **params: Any) -> Job:
    out = folder / f"out-{number}"
    out.mkdir(parents=True)
    return Job(
        stage="square", item=str(number), key="k", function="tests.engine.jobs:square", params=params,
        inputs={"number": number}, out=str(out), scratch=str(folder / f"attempts-{number}"),
        priority=priority, needs=Needs(network=network),
    )  # fmt: skip


def drain(engine: Engine, limit_s: float = 60.0) -> tuple[dict[str, Finished], list[Event]]:
    finished: dict[str, Finished] = {}
    events: list[Event] = []
    deadline = time.monotonic() + limit_s
    while engine.unfinished:
        assert time.monotonic() < deadline, "the engine hangs"
        for event in engine.wait(1.0):
            if isinstance(event, Finished):
                assert event.job.item not in finished, "a job ended twice"
                finished[event.job.item] = event
            else:
                events.append(event)
    return finished, events


class EngineConformance:
    def test_every_job_ends_once_with_its_own_result(self, make_engine: MakeEngine, tmp_path: Path) -> None:
        with make_engine(workers=2) as engine:
            for number in range(20):
                engine.submit(job(tmp_path, number))
            finished, events = drain(engine)
        assert sorted(finished, key=int) == [str(number) for number in range(20)]
        assert all(
            Path(end.job.out, "square").read_text() == str(int(item) ** 2) for item, end in finished.items()
        )
        assert sum(event.kind == "progressed" and event.share == 0.5 for event in events) == 20

    def test_a_worker_keeps_its_state_and_is_not_this_process(
        self, make_engine: MakeEngine, tmp_path: Path
    ) -> None:
        with make_engine(workers=1) as engine:
            for number in range(3):
                engine.submit(job(tmp_path, number))
            finished, _ = drain(engine)
        facts = [end.outcome.facts for end in finished.values()]
        assert {fact["pid"] for fact in facts} != {os.getpid()}
        assert sorted(fact["jobs"] for fact in facts) == [1, 2, 3]

    def test_one_crash_is_tried_again_and_succeeds(self, make_engine: MakeEngine, tmp_path: Path) -> None:
        with make_engine(workers=2) as engine:
            for number in range(20):
                engine.submit(job(tmp_path, number, segfault_once=number == 7))
            finished, events = drain(engine)
        assert {end.outcome.status for end in finished.values()} == {"done"}
        assert [(event.job.item, event.kind) for event in events if event.kind == "requeued"] == [
            ("7", "requeued")
        ]

    def test_the_second_crash_quarantines_and_nothing_else_is_lost(
        self, make_engine: MakeEngine, tmp_path: Path
    ) -> None:
        with make_engine(workers=2) as engine:
            for number in range(20):
                engine.submit(job(tmp_path, number, segfault=number == 3, exit=number == 11))
            finished, _ = drain(engine)
        failed = {item: end.outcome for item, end in finished.items() if end.outcome.status == "failed"}
        assert sorted(failed) == ["11", "3"]
        assert {outcome.reason for outcome in failed.values()} == {"crash"}
        assert "SIGSEGV" in failed["3"].message
        assert len(finished) == 20
        assert (tmp_path / "attempts-3").read_text() == "xx"

    def test_a_job_that_hangs_counts_as_a_crash(self, make_engine: MakeEngine, tmp_path: Path) -> None:
        with make_engine(workers=2, item_timeout_s=1.5) as engine:
            engine.submit(job(tmp_path, 0, hang=True))
            engine.submit(job(tmp_path, 1))
            finished, _ = drain(engine)
        assert finished["1"].outcome.status == "done"
        assert finished["0"].outcome.reason == "crash"
        assert "more than" in finished["0"].outcome.message

    def test_a_job_that_gets_on_may_take_longer(self, make_engine: MakeEngine, tmp_path: Path) -> None:
        with make_engine(workers=1, item_timeout_s=2.5) as engine:
            for number in range(2):
                engine.submit(job(tmp_path, number, shares=[(51 + each) / 100 for each in range(7)]))
            engine.submit(job(tmp_path, 2, shares=[0.5 + 1e-4 * each for each in range(40)]))
            finished, _ = drain(engine)
        assert finished["0"].outcome.status == finished["1"].outcome.status == "done"
        assert finished["2"].outcome.reason == "crash"

    def test_higher_priority_starts_first(self, make_engine: MakeEngine, tmp_path: Path) -> None:
        with make_engine(workers=1) as engine:
            for number in range(5):
                engine.submit(job(tmp_path, number, priority=number))
            _, events = drain(engine)
        started = [event.job.item for event in events if event.kind == "started"]
        assert started == ["4", "3", "2", "1", "0"]

    def test_a_network_job_does_not_wait_for_a_processor(
        self, make_engine: MakeEngine, tmp_path: Path
    ) -> None:
        with make_engine(workers=1) as engine:
            engine.submit(job(tmp_path, 0, sleep_s=3.0))
            engine.submit(job(tmp_path, 1, network=True))
            ends: list[str] = []
            while engine.unfinished:
                ends += [event.job.item for event in engine.wait(1.0) if isinstance(event, Finished)]
        assert ends == ["1", "0"]
