"""The results of audits as lines of a file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from d2midi_build.annotate.audit.record import Audits, BlindResult, PlantedResult, append, path_in
from d2midi_build.annotate.audit.undoing import Outcome
from d2midi_build.annotate.layering import rows
from d2midi_build.workspace import Workspace
from tests.annotate.making import band, row

FOUND = PlantedResult(
    "v_00000000_s001",
    "drums",
    "ada",
    "2026-01-02T03:04:05+00:00",
    (Outcome(3, "onset", True, False), Outcome(9, "added", False, False)),
)
BLIND = BlindResult("v_00000000", 10, 20, "Zoë", "2026", tuple(rows(band(30).starting_in(10, 20))))


def test_they_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = path_in(Workspace.create(tmp_path / "w"))
    assert path == tmp_path / "w" / "overlays" / "audits.jsonl"
    assert Audits.read(path) == Audits()
    assert append(path, [FOUND, BLIND]) == [FOUND, BLIND]
    assert Audits.read(path) == Audits((FOUND,), (BLIND,))


def test_saying_it_again_adds_nothing_and_the_newest_of_a_person_counts(tmp_path: Path) -> None:
    path = tmp_path / "audits.jsonl"
    append(path, [FOUND, BLIND])
    before = path.read_bytes()
    assert append(path, [replace(FOUND, at="2027", by="Ada"), replace(BLIND, at="2027")]) == []
    assert path.read_bytes() == before
    better = replace(FOUND, outcomes=(Outcome(3, "onset", True, True),))
    other, rest = replace(BLIND, by="bob"), replace(FOUND, part="rest")
    fewer = replace(BLIND, rows=BLIND.rows[:3])
    assert append(path, [better, better, other, rest, fewer]) == [better, other, rest, fewer]
    assert path.read_bytes().startswith(before), "what was said stays"
    assert Audits.read(path) == Audits((better, rest), (fewer, other))


def test_results_of_two_projects_that_are_fetched_in_turn_are_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "audits.jsonl"
    one, other = (replace(FOUND, version=version) for version in ("v1", "v2"))
    again = replace(other, outcomes=(), at="2027")  # the same project, answered otherwise
    assert [len(append(path, [each])) for each in (one, other, one, again, other, one, again)] == [
        1, 1, 0, 1, 0, 0, 0,
    ]  # fmt: skip
    assert Audits.read(path).planted == (one, again)
    fewer = replace(BLIND, rows=BLIND.rows[:3], at="2027")
    assert [len(append(path, [each])) for each in (BLIND, fewer, BLIND)] == [1, 1, 0]
    assert Audits.read(path).blind == (fewer,)
    back = replace(BLIND, at="2028")
    assert append(path, [back]) == [back], "they took it back later"


def test_lines_from_before_versions_were_kept_are_read_and_not_kept_again(tmp_path: Path) -> None:
    path = tmp_path / "audits.jsonl"
    append(path, [replace(FOUND, version="v1")])
    older = path.read_text().replace(', "version": "v1"', "")
    assert "version" not in older
    path.write_text(older)
    assert Audits.read(path).planted == (FOUND,)
    assert append(path, [replace(FOUND, version="v1")]) == []


def test_only_notes_of_the_excerpt_count() -> None:
    written = replace(BLIND, rows=(row(20.0), row(9.999), row(19.99, 64), row(10.0, 62)))
    assert written.notes.pitch.tolist() == [62, 64]


def test_those_of_some_clips_can_be_had() -> None:
    audits = Audits.of(
        [FOUND, BLIND, replace(FOUND, sheet_id="w_00000000_s001"), replace(BLIND, clip_id="w")]
    )
    assert audits.within(["v_00000000", "x"]) == Audits((FOUND,), (BLIND,))


@pytest.mark.parametrize(
    ("line", "changed", "told"),
    [
        (0, {"kind": "else"}, "kind 'else' is neither planted nor blind"),
        (0, {"sheet_id": "v"}, "is no sheet"),
        (
            0,
            {"outcomes": [{"number": 1, "kind": "moved", "found": True, "mended": True}]},
            "kind 'moved' is none",
        ),
        (0, {"outcomes": None}, "NoneType"),
        (1, {"notes": {}}, "KeyError"),
        (1, {"start_s": 20}, "from 20 to 20 s"),
        (1, {"start_s": float("inf")}, "Overflow"),
    ],
)
def test_a_line_that_cannot_be_is_ignored(
    line: int, changed: dict[str, object], told: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "audits.jsonl"
    append(path, [FOUND, BLIND])
    lines = path.read_text().splitlines()
    lines[line] = json.dumps(json.loads(lines[line]) | changed)
    path.write_text("\n".join(lines) + "\n")
    assert Audits.read(path) == (Audits((), (BLIND,)) if line == 0 else Audits((FOUND,), ()))
    assert f"line {line + 1} is damaged" in caplog.text and told in caplog.text
