"""Job functions for the conformance suite; each engine's workers import them by name."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from d2midi_build.engine.base import Job, Outcome, Report


def square(job: Job, report: Report, state: dict[str, Any]) -> Outcome:
    """Write the square of a number; die, hang or wait first if told to."""
    state["jobs"] = state.get("jobs", 0) + 1
    report(0.5)
    attempts = Path(job.scratch)
    with attempts.open("a") as log:
        log.write("x")
    if job.params.get("segfault") or (job.params.get("segfault_once") and len(attempts.read_text()) == 1):
        os.kill(os.getpid(), signal.SIGSEGV)
    if job.params.get("exit"):
        os._exit(3)
    if job.params.get("hang"):
        time.sleep(600)
    for share in job.params.get("shares", ()):
        time.sleep(0.5)
        report(share)
    if "sleep_s" in job.params:
        time.sleep(job.params["sleep_s"])
    number = job.inputs["number"]
    Path(job.out, "square").write_text(str(number * number))
    return Outcome(
        "done", facts={"pid": os.getpid(), "jobs": state["jobs"], "cpus": sorted(os.sched_getaffinity(0))}
    )
