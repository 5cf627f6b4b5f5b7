"""The source video is decoded twice, the clip once."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import pytest

from d2midi_build.engine.base import Engine, Event, Finished, Job
from d2midi_build.media.ffmpeg import DECODE_LOGGER
from d2midi_build.pipeline import build
from d2midi_build.recipe import Recipe
from d2midi_build.sources.lists import read_sources
from d2midi_build.stages.base import run_job


class InlineEngine(Engine):
    """Runs jobs in this process, so that its log can be read."""

    def __init__(self) -> None:
        self._jobs: list[Job] = []

    def submit(self, job: Job) -> None:
        self._jobs.append(job)

    def wait(self, timeout_s: float) -> list[Event | Finished]:
        job = self._jobs.pop(0)
        return [Finished(job, run_job(job, lambda share: None, {}))]

    @property
    def unfinished(self) -> int:
        return len(self._jobs)

    def close(self) -> None:
        self._jobs.clear()


def test_the_source_is_decoded_twice_and_the_clip_once(
    tmp_path: Path, dances: Path, recipe: Recipe, caplog: pytest.LogCaptureFixture
) -> None:
    sources = list(read_sources(dances / "dance-1.mp4"))
    with caplog.at_level(logging.DEBUG, logger=DECODE_LOGGER):
        summary = build(sources, tmp_path / "w", recipe, make_engine=lambda workspace, _: InlineEngine())
    assert summary.ran["window"] == {"done": 1}
    pictures = [Path(record.getMessage().split(" ", 1)[1]) for record in caplog.records
                if record.name == DECODE_LOGGER and record.getMessage().startswith("video ")]  # fmt: skip
    assert Counter(path.parent.parent.parent.name for path in pictures) == {"crawl": 2, "resample": 1}
