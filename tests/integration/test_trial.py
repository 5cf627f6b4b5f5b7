"""A trial of screening on drawn videos, as ``d2midi screen calibrate`` makes it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from d2midi_build.cli import main
from d2midi_build.synthetic.screening import make_cases
from d2midi_build.synthetic.screening_cases import case_named

CASES = ("grey", "pair", "shelves", "upper-body", "speech", "no-sound", "montage")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("cases")
    make_cases(made, [3], cases=[case_named(name) for name in CASES])
    return made


@pytest.mark.slow
def test_drawn_faults_are_caught_and_good_dances_pass(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page, suggested = tmp_path / "page.md", tmp_path / "suggested.toml"
    arguments = [
        "--truth",
        folder / "truth.csv",
        "--videos",
        folder,
        "--page",
        page,
        "--suggested",
        suggested,
    ]
    command = ["d2midi", "screen", "calibrate", *map(str, arguments), "-w", str(tmp_path / "w"), "--json"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    found = json.loads(capsys.readouterr().out)
    assert found["decision"]["counts"] == {
        "good": {"accept": 2, "review": 0, "reject": 0},
        "unclear": {"accept": 0, "review": 0, "reject": 0},
        "bad": {"accept": 0, "review": 0, "reject": 5},
    }
    assert found["cuts"]["found"]["k"] == found["cuts"]["found"]["n"] == 4
    assert found["cuts"]["invented"] == []
    for name in ("several", "background", "body", "speech"):
        assert found["criteria"][name]["bad_flagged"]["k"] == found["criteria"][name]["bad_flagged"]["n"] == 1
        assert found["criteria"][name]["good_flagged"]["k"] == 0
    assert "## The decision" in page.read_text()
    assert "background_reject" in suggested.read_text()


def test_a_broken_video_is_told_by_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_cases(tmp_path, [3], cases=[case_named("black")])
    (tmp_path / "broken.mp4").write_bytes(b"this is no video")
    truth = tmp_path / "truth.csv"
    lines = truth.read_text().splitlines()
    truth.write_text("\n".join([*lines, lines[1].replace("black-3.mp4", "broken.mp4")]) + "\n")
    command = ["d2midi", "screen", "calibrate", "--truth", str(truth), "--videos", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", [*command, "-w", str(tmp_path / "w"), "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    (told,) = json.loads(capsys.readouterr().out)["unmeasured"]
    assert told.startswith("truth.csv line 3 (broken.mp4)") and "Take the row out of the table" in told
