"""Processes that tests start and then interrupt."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interruptible() -> Iterator[None]:
    """What is started in here hears Ctrl-C, even if these tests do not.

    A script's shell starts ``pytest &`` with SIGINT ignored. Processes inherit that, and Python leaves it so, as it
    should: Ctrl-C is not meant for what runs in the background.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
