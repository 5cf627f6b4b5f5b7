"""Keeps what MediaPipe says on every start out of standard error, and nothing else."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Final

# What MediaPipe and TensorFlow Lite say on every start, whatever the picture. They read no environment
# variable that would lower their voice (GLOG_minloglevel, TF_CPP_MIN_LOG_LEVEL and ABSL_* do nothing).
_CHATTER: Final = "|".join(
    (
        r"^INFO: Created TensorFlow Lite XNNPACK delegate for CPU\.$",
        r"^WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR$",
        r"^W0000 .* inference_feedback_manager\.cc:[0-9]+\] Feedback manager requires a model with a single",
        r"^W0000 .* landmark_projection_calculator\.cc:[0-9]+\] Using NORM_RECT without IMAGE_DIMENSIONS",
    )
)


@contextlib.contextmanager
def without_chatter() -> Iterator[Callable[[], contextlib.AbstractContextManager[None]]]:
    """Yields what makes contexts: native code's known chatter in them is kept out of standard error.

    All other lines come through, also when the process dies of what they say: a ``grep -v`` between
    native code and standard error does the sifting, so nothing is held back in this process. Where there
    is no grep, nothing is sifted. Python's own threads may write meanwhile; their lines come through too.
    """
    grep = shutil.which("grep")
    if grep is None:
        yield contextlib.nullcontext
        return
    sieve = subprocess.Popen(
        [grep, "--line-buffered", "-v", "-E", _CHATTER], stdin=subprocess.PIPE, stdout=2, bufsize=0
    )
    assert sieve.stdin is not None
    descriptor = sieve.stdin.fileno()
    try:
        yield lambda: _stderr_to(descriptor)
    finally:
        sieve.stdin.close()
        # Ends at once, unless another thread started a process that has inherited the pipe.
        with contextlib.suppress(subprocess.TimeoutExpired):
            sieve.wait(timeout=1)


@contextlib.contextmanager
def _stderr_to(descriptor: int) -> Iterator[None]:
    kept = os.dup(2)
    os.dup2(descriptor, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
