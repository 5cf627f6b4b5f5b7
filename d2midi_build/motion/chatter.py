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
# TensorFlow Lite writes its line in three pieces (severity, text, end), all others are written whole, and models are
# opened on several threads: lines of another thread may lie within its line. The first three rules take its pieces
# from wherever they landed, the others drop whole lines.
_SIFT: Final = "\n".join(
    (
        r"s/^(INFO: )+([IWEF][0-9]{4} |[A-Z]+: )/\2/",
        r"s/^(INFO: )*(Created TensorFlow Lite XNNPACK delegate for CPU\.)+//",
        r"/^(INFO: )*$/d",
        r"/^WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR$/d",
        r"/^W0000 .* inference_feedback_manager\.cc:[0-9]+\] Feedback manager requires a model with a single/d",
        r"/^W0000 .* landmark_projection_calculator\.cc:[0-9]+\] Using NORM_RECT without IMAGE_DIMENSIONS/d",
    )
)


@contextlib.contextmanager
def without_chatter() -> Iterator[Callable[[], contextlib.AbstractContextManager[None]]]:
    """Yields what makes contexts: native code's known chatter in them is kept out of standard error.

    All other lines but empty ones come through, also when the process dies of what they say: a ``sed`` between
    native code and standard error does the sifting, so nothing is held back in this process. Where there
    is no sed, nothing is sifted. Python's own threads may write meanwhile; their lines come through too.
    """
    sed = shutil.which("sed")
    if sed is None:
        yield contextlib.nullcontext
        return
    sieve = subprocess.Popen([sed, "-u", "-E", _SIFT], stdin=subprocess.PIPE, stdout=2, bufsize=0)
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
