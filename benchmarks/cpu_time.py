"""CPU time of a piece of work, ffmpeg's included."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Any


def cpu_s(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of this process and of its children that have ended, and what the work returned."""

    def spent() -> float:
        uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(use.ru_utime + use.ru_stime for use in uses)

    before = spent()
    result = work()
    return spent() - before, result
