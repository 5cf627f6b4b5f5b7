"""Every transcriber there is, held against ``conformance.py``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from d2midi_build.transcribers.base import Transcriber, transcriber, transcriber_names
from tests.transcribers.conformance import HearingConformance, TranscriberConformance
from tests.transcribers.mt3 import music_box

UNTAUGHT: Final = ("mt3",)
"""Their weights are the user's: they are tested with weights that learned nothing."""


@pytest.fixture(scope="module", params=[name for name in transcriber_names() if name not in UNTAUGHT])
def hearing(request: pytest.FixtureRequest) -> Transcriber:
    made = transcriber(request.param)
    made.load()
    return made


@pytest.fixture(scope="module", params=UNTAUGHT)
def untaught(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Transcriber]:
    with pytest.MonkeyPatch.context() as patch:
        music_box.register(tmp_path_factory.mktemp("weights"), patch)
        made = transcriber(request.param)
        made.load()
        yield made


class TestEveryTranscriber(HearingConformance):
    """One class, a run per name."""

    @pytest.fixture
    def ours(self, hearing: Transcriber) -> Transcriber:
        return hearing


class TestUntaught(TranscriberConformance):
    """One class, a run per name."""

    @pytest.fixture
    def ours(self, untaught: Transcriber) -> Transcriber:
        return untaught
