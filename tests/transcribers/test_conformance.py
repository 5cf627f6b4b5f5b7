"""Every transcriber there is, held against ``conformance.py``."""

from __future__ import annotations

import pytest

from d2midi_build.transcribers.base import Transcriber, transcriber, transcriber_names
from tests.transcribers.conformance import TranscriberConformance


@pytest.fixture(scope="module", params=transcriber_names())
def ours(request: pytest.FixtureRequest) -> Transcriber:
    made = transcriber(request.param)
    made.load()
    return made


class TestEveryTranscriber(TranscriberConformance):
    """One class, a run per name."""
