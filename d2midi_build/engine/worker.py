"""The worker process of the local engine: ``python -m d2midi_build.engine.worker FD``.

It reads jobs from a socket, runs them one at a time and sends back what happened. It ends when the
socket closes or its parent dies, so that killing a build leaves nothing running.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

_PR_SET_PDEATHSIG = 1
_REPORT_EVERY_S = 0.25


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends; ends at once if it already has."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def main(descriptor: int, parent: int) -> None:
    """Serve jobs until the socket closes."""
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    connection: Connection[Any, Any] = Connection(descriptor)
    settings = connection.recv()
    sys.path[:] = settings["path"]
    if settings["cpu"] is not None:
        os.sched_setaffinity(0, {settings["cpu"]})
    state: dict[str, Any] = {}
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        module, _, name = job.function.partition(":")
        function = getattr(importlib.import_module(module), name)
        outcome = function(job, _sometimes(connection), state)
        connection.send(("outcome", outcome))


def _sometimes(connection: Connection[Any, Any]) -> Callable[[float], None]:
    """Send progress a few times per second, however often it is reported."""
    last = -_REPORT_EVERY_S

    def report(share: float) -> None:
        nonlocal last
        if (now := time.monotonic()) - last >= _REPORT_EVERY_S:
            last = now
            connection.send(("progress", share))

    return report


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
