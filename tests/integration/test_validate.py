"""``d2midi validate`` finds each planted fault and names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from d2midi_build import tables
from d2midi_build.validation import Problem, validate
from d2midi_build.workspace import Workspace

Row = dict[str, Any]


def change(workspace: Path, name: str, how: Callable[[list[Row]], object]) -> list[Row]:
    """Plant a fault in the rows of a manifest, past the checks that its writer makes."""
    path = workspace / "manifests" / f"{name}.parquet"
    rows: list[Row] = tables.read(path).to_pylist()
    how(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=tables.schema(name).arrow()), path)
    return rows


def one(workspace: Path, **options: bool) -> Problem:
    (problem,) = validate(Workspace.open(workspace), **options)
    return problem


def test_a_good_workspace_has_no_problem(workspace: Path) -> None:
    assert validate(Workspace.open(workspace), deep=True) == []


def test_a_wrong_number_of_samples(workspace: Path) -> None:
    rows = change(workspace, "clips", lambda rows: rows[1].update(n_samples=rows[1]["n_samples"] - 1))
    problem = one(workspace)
    assert (problem.where, problem.row) == ("clips", rows[1]["clip_id"])
    assert problem.what == f"{rows[1]['n_samples']} samples for {rows[1]['n_frames']} frames"


def test_a_window_beyond_its_clip(workspace: Path) -> None:
    rows = change(workspace, "windows", lambda rows: rows[-1].update(start_frame=1000))
    problem = one(workspace)
    assert (problem.where, problem.row) == ("windows", f"{rows[-1]['clip_id']}/1000")
    assert "beyond its clip" in problem.what


@pytest.mark.parametrize("wrong", [{"onset_s": -0.1}, {"offset_s": 99.0}, {"onset_s": 3.0, "offset_s": 2.0}])
def test_a_note_outside_its_clip(workspace: Path, wrong: dict[str, float]) -> None:
    rows = change(workspace, "notes", lambda rows: rows[3].update(wrong))
    problem = one(workspace)
    assert (problem.where, problem.row) == ("notes", f"{rows[3]['clip_id']}/{rows[3]['note']}")
    assert "is not inside its clip of" in problem.what


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"time_s": 99.0}, "is not inside its clip of"),
        ({"kind": "heard"}, "is neither musical nor kinematic"),
        ({"position": 1}, "position 1 of a kinematic beat"),
    ],
)
def test_an_impossible_beat(workspace: Path, wrong: Row, words: str) -> None:
    rows = change(workspace, "beats", lambda rows: rows[0].update(wrong))
    found = [problem for problem in validate(Workspace.open(workspace)) if problem.where == "beats"]
    assert words in found[0].what
    assert found[0].row == f"{rows[0]['clip_id']}/{rows[0]['kind']}/0"


def test_beats_out_of_order(workspace: Path) -> None:
    rows = change(workspace, "beats", lambda rows: rows[1].update(time_s=rows[0]["time_s"]))
    assert one(workspace).what == f"{rows[0]['time_s']} s is not after the beat before it"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"n_takes": 7}, "n_takes is 7, the group has"), ({"group_id": ""}, "group_id is not in table")],
)
def test_a_group_that_is_none(workspace: Path, wrong: Row, words: str) -> None:
    change(workspace, "groups", lambda rows: rows[0].update(wrong))
    assert words in "".join(problem.what for problem in validate(Workspace.open(workspace)))


def test_a_split_that_parts_a_group(workspace: Path) -> None:
    """Two takes of one music group must be of one split group too."""

    def part(rows: list[Row]) -> None:
        music = [row for row in rows if row["kind"] == "music"]
        for row in music:
            row.update(group_id=music[0]["take_id"], n_takes=len(music))

    change(workspace, "groups", part)
    problem = one(workspace)
    assert problem.where == "groups" and "kind split parts it from" in problem.what


def test_a_clip_without_a_group(workspace: Path) -> None:
    rows = change(
        workspace, "groups", lambda rows: rows.remove(next(row for row in rows if row["kind"] == "split"))
    )
    assert "the clip is in no group of kind split" in "".join(
        problem.what for problem in validate(Workspace.open(workspace))
    )
    assert rows


def test_a_key_twice(workspace: Path) -> None:
    rows = change(workspace, "takes", lambda rows: rows.append(rows[0]))
    where = {(problem.where, problem.row, problem.what) for problem in validate(Workspace.open(workspace))}
    assert ("takes", rows[0]["take_id"], "2 rows with this key") in where


@pytest.mark.parametrize(
    ("name", "parent"), [("notes", "clips"), ("beats", "clips"), ("windows", "clips"), ("takes", "videos")]
)
def test_a_lost_row(workspace: Path, name: str, parent: str) -> None:
    rows = change(workspace, name, lambda rows: rows.pop())
    problems = validate(Workspace.open(workspace))
    assert any(problem.where == parent and f"table {name} has" in problem.what for problem in problems)
    assert len(rows) > 0


@pytest.mark.parametrize(
    ("child", "column"), [("clips", "take_id"), ("videos", "source_id"), ("takes", "video_id")]
)
def test_a_row_without_parent(workspace: Path, child: str, column: str) -> None:
    change(workspace, child, lambda rows: rows[0].update({column: "nobody"}))
    problems = validate(Workspace.open(workspace))
    assert any(
        problem.where == child and problem.row == "nobody" and column in problem.what for problem in problems
    )


@pytest.mark.parametrize("pattern", ["clips/*/audio.flac", "midi/*.mid", "frames/*.parquet", "videos/*.mp4"])
def test_a_missing_file(workspace: Path, pattern: str) -> None:
    path = next(workspace.glob(pattern))
    path.unlink()
    problem = one(workspace)
    assert problem.where == str(path.relative_to(workspace))
    assert "missing: `d2midi build` links it again" in problem.what


def test_a_missing_table(workspace: Path) -> None:
    (workspace / "manifests" / "notes.parquet").unlink()
    problem = one(workspace)
    assert problem.where == "notes"
    assert "`d2midi build` makes it again" in problem.what


def test_a_table_that_is_no_parquet(workspace: Path) -> None:
    (workspace / "manifests" / "takes.parquet").write_bytes(b"not parquet")
    assert "not a Parquet file" in one(workspace).what


@pytest.mark.parametrize("name", ["clips", "sources"])
def test_an_unknown_column(workspace: Path, name: str) -> None:
    path = workspace / "manifests" / f"{name}.parquet"
    table = tables.read(path)
    pq.write_table(table.append_column("mood", pa.array(["happy"] * len(table))), path)
    problem = one(workspace)
    assert problem.where == name
    assert "mood" in problem.what


def test_frames_of_another_length(workspace: Path) -> None:
    path = next((workspace / "frames").iterdir())
    table = pq.read_table(path)
    path.unlink()
    pq.write_table(table.slice(1), path)
    problem = one(workspace)
    assert problem.where == f"frames/{path.name}"
    assert f"{len(table) - 1} rows for {len(table)} frames" in problem.what


@pytest.mark.parametrize(
    "file", ["resample/*/*/original.flac", "keypoints/*/*/frames.parquet", "crawl/*/*/video.mp4"]
)
def test_a_changed_byte_is_found_by_a_deep_look(workspace: Path, file: str) -> None:
    path = next((workspace / "store").glob(file))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert validate(Workspace.open(workspace)) == []
    found = validate(Workspace.open(workspace), deep=True)
    assert str(path.relative_to(workspace)) in {problem.where for problem in found}
    assert any("sha256 differs" in problem.what for problem in found)
