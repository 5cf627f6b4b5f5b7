"""Every real file through the real build, beside what was expected of it.

A row that is ``sure`` has to agree. Any outcome has to be the one in ``outcomes.csv``, so that a change of
behaviour is seen; ``python -m tests.real_data.outcomes`` writes that file again.
"""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from d2midi_build import clock
from d2midi_build.ledger import Ledger
from d2midi_build.pipeline import Summary
from d2midi_build.validation import validate
from d2midi_build.workspace import Workspace
from tests.real_data.outcomes import (
    PAGE,
    RECIPE,
    Outcome,
    Row,
    build_all,
    differences,
    expectations,
    outcome_rows,
    outcomes,
    page,
    pinned,
    real_file,
)

_FULL_SCALE = 0.999
_CLEAN_SOLOS = ("just-dance", "aichoreographer", "dance_3.mp4")

_ROWS = expectations()
_IDS = [f"{row['repo']}/{row['path']}" for row in _ROWS]


@pytest.fixture(scope="session")
def built(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Summary]:
    folder = tmp_path_factory.mktemp("real")
    summary = build_all(shared_data, folder)
    return Workspace.open(folder / "workspace"), summary


@pytest.fixture(scope="session")
def found(shared_data: Path, built: tuple[Workspace, Summary]) -> list[Outcome]:
    return outcomes(shared_data, built[0].root)


@pytest.mark.real_data
@pytest.mark.parametrize("number", range(len(_ROWS)), ids=_IDS)
def test_outcome(number: int, found: list[Outcome]) -> None:
    expected, outcome, known = _ROWS[number], found[number], pinned()[number]
    if expected["certainty"] == "sure":
        assert differences(expected, outcome) == [], (outcome, expected["remark"])
    assert outcome.row() == {name: known[name] for name in outcome.row()}


@pytest.mark.real_data
def test_the_pinned_outcomes_are_those_of_this_build(found: list[Outcome]) -> None:
    """Also the column ``agrees``, and no remark speaks of an outcome that is no more."""
    assert outcome_rows(found, pinned()) == pinned()


@pytest.mark.real_data
def test_no_traceback_and_typed_failures(built: tuple[Workspace, Summary]) -> None:
    records = list(Ledger(built[0].ledger_path))
    assert [record.traceback for record in records if record.traceback] == []
    failed = {
        record.stage: (record.reason, bool(record.message)) for record in records if record.status == "failed"
    }
    assert failed == {"crawl": ("permanent", True), "filter": ("permanent", True)}
    assert built[1].failed == 2


@pytest.mark.real_data
def test_the_workspace_agrees_with_itself(built: tuple[Workspace, Summary]) -> None:
    assert validate(built[0], deep=True) == []


@pytest.mark.real_data
def test_clean_solo_dances_have_windows(found: list[Outcome]) -> None:
    windows = {
        name: outcome.windows
        for name in _CLEAN_SOLOS
        for row_id, outcome in zip(_IDS, found, strict=True)
        if name in row_id
    }
    assert len(windows) == 3
    assert all(count > 0 for count in windows.values()), windows


@pytest.mark.real_data
def test_takes_hold_what_has_a_picture_and_no_more(
    shared_data: Path, built: tuple[Workspace, Summary]
) -> None:
    """Two files have sound long before their first picture; nothing is made up for that time."""
    tables = {
        name: pq.read_table(built[0].manifests / f"{name}.parquet").to_pylist()
        for name in ("sources", "takes")
    }
    video_of = {source["url"]: source["video_ids"] for source in tables["sources"]}
    for row in _ROWS:
        takes = [
            take["end_s"] - take["start_s"]
            for take in tables["takes"]
            if take["video_id"] in video_of[str(real_file(shared_data, row))]
        ]
        if takes:
            assert sum(takes) == pytest.approx(float(row["picture_s"]), abs=0.15), row["path"]


@pytest.mark.real_data
def test_clips_have_512_samples_per_frame_and_are_not_clipped_by_mixing(
    built: tuple[Workspace, Summary],
) -> None:
    clips = pq.read_table(built[0].manifests / "clips.parquet").to_pylist()
    assert len(clips) == 3
    for clip in clips:
        folder = built[0].root / "clips" / clip["clip_id"]
        with av.open(str(folder / "video.mp4")) as container:
            n_frames = sum(1 for _ in container.decode(video=0))
        mono, rate_hz = soundfile.read(folder / "audio.flac", always_2d=True)
        own, own_rate_hz = soundfile.read(folder / "original.flac", always_2d=True)
        assert (n_frames, rate_hz, mono.shape) == (
            clip["n_frames"],
            clock.SAMPLE_RATE_HZ,
            (clock.SAMPLES_PER_FRAME * n_frames, 1),
        )
        assert len(own) == round(n_frames * own_rate_hz / clock.FPS)
        full, own_full = (np.mean(np.abs(sound) >= _FULL_SCALE) for sound in (mono, own))
        assert full <= own_full + 1e-4
        power, own_power = np.mean(mono**2), np.mean(own.mean(axis=1) ** 2)
        assert 0.8 < power / own_power < 1.001  # the average of the channels, less what is above 5 kHz


@pytest.mark.real_data
def test_windows_are_as_many_as_fit(built: tuple[Workspace, Summary]) -> None:
    for clip in pq.read_table(built[0].manifests / "clips.parquet").to_pylist():
        spare = clip["n_frames"] - RECIPE.window.frames
        assert clip["n_windows"] == spare // RECIPE.window.stride + 1


def test_the_page_shows_the_pinned_outcomes() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(pinned())


@pytest.mark.parametrize(
    ("column", "value", "differs"),
    [
        ("expected_stage", "filter", ["stage"]),
        ("expected_stage", "filter|window", []),
        ("expected_status", "reject", ["status"]),
        ("expected_reasons", "too_short|silent", []),
        ("expected_reasons", "silent", ["reasons"]),
        ("expected_takes", "3-4", ["takes"]),
        ("expected_windows", "5-9", []),
        ("expected_windows", "6-9", ["windows"]),
    ],
)
def test_what_counts_as_different(column: str, value: str, differs: list[str]) -> None:
    expected: Row = {
        "expected_stage": "window",
        "expected_status": "accept",
        "expected_reasons": "",
        "expected_takes": "2",
        "expected_windows": "5",
    }
    outcome = Outcome("window", "accept", ("too_short",), takes=2, windows=5)
    assert differences({**expected, column: value}, outcome) == differs
