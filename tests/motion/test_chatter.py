"""Sifting of what MediaPipe says on every start."""

from __future__ import annotations

import os
import shutil
from itertools import combinations, permutations

import pytest

from d2midi_build.motion.chatter import without_chatter

PIECES = ("INFO: ", "Created TensorFlow Lite XNNPACK delegate for CPU.", "\n")
"""How TensorFlow Lite writes its line: a write each."""
KNOWN = (
    "W0000 00:00:1795734099.832886   26987 inference_feedback_manager.cc:114] Feedback manager requires a model with "
    "a single signature inference. Disabling support for feedback tensors.\n"
)
FIRST = "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
REAL = "E0000 00:00:1795734099.832886   26987 graph.cc:1] something real\n"


def sifted(capfd: pytest.CaptureFixture[str], *writes: str) -> str:
    with without_chatter() as quiet, quiet():
        for each in writes:
            os.write(2, each.encode())
    return capfd.readouterr().err


def test_lines_of_other_threads_may_lie_anywhere_within_a_line_of_pieces(
    capfd: pytest.CaptureFixture[str],
) -> None:
    for lines in permutations((FIRST, KNOWN, REAL)):
        for places in combinations(range(6), 3):
            pieces, others = iter(PIECES), iter(lines)
            writes = [next(others if place in places else pieces) for place in range(6)]
            assert sifted(capfd, *writes) == REAL, writes


def test_other_lines_come_through_as_they_were(capfd: pytest.CaptureFixture[str]) -> None:
    others = (
        "INFO: Created TensorFlow Lite delegate for GPU.\n",
        "INFO: something else\n",
        "WARNING: something else\n",
        "W0000 00:00:1 1 inference_feedback_manager.cc:114] something else\n",
        "a last word, without an end",
    )
    assert sifted(capfd, others[0], *PIECES, *others[1:]) == "".join(others)


def test_without_sed_nothing_is_lost(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert sifted(capfd, *PIECES, KNOWN, REAL) == "".join((*PIECES, KNOWN, REAL))
