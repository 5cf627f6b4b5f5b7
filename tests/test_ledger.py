from __future__ import annotations

import logging
from pathlib import Path

import pytest

from d2midi_build.errors import WorkspaceError
from d2midi_build.ledger import Ledger, Record


def record(item: str, key: str = "k", **fields: object) -> Record:
    return Record("stage", item, key, "done", **fields)  # type: ignore[arg-type]


def test_records_come_back_as_they_were_written(tmp_path: Path) -> None:
    written = record("a", facts={"n": 1, "text": "é\u2028\n"}, files={"x": "0"}, message='says "no"')
    with Ledger(tmp_path / "l", writable=True) as ledger:
        ledger.append(written)
    assert Ledger(tmp_path / "l").find("stage", "a", "k") == written


def test_the_newest_of_a_key_wins_and_other_keys_stay(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l", writable=True) as ledger:
        for each in (record("a", "k1", message="old"), record("a", "k2"), record("a", "k1", message="new")):
            ledger.append(each)
    read = Ledger(tmp_path / "l")
    assert len(read) == 2
    assert read.find("stage", "a", "k1") == record("a", "k1", message="new")


def test_every_possible_torn_last_line_is_ignored_and_repaired(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with Ledger(path, writable=True) as ledger:
        ledger.append(record("a"))
        first = path.stat().st_size
        ledger.append(record("b"))
    whole = path.read_bytes()
    for cut in range(first, len(whole)):
        path.write_bytes(whole[:cut])
        assert [each.item for each in Ledger(path)] == ["a"]
        with Ledger(path, writable=True) as ledger:
            ledger.append(record("c"))
        assert [each.item for each in Ledger(path)] == ["a", "c"]


def test_a_damaged_line_in_the_middle_costs_only_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "l"
    with Ledger(path, writable=True) as ledger:
        for item in "abc":
            ledger.append(record(item))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"stage": \x00\n' + lines[2])
    with caplog.at_level(logging.WARNING):
        assert [each.item for each in Ledger(path)] == ["a", "c"]
    assert "line 2" in caplog.text


def test_a_full_disk_is_said_and_loses_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l", writable=True)
    ledger.close()
    # A file whose every write fails as on a full disk.
    ledger._handle = Path("/dev/full").open("ab", buffering=0)  # noqa: SIM115
    with pytest.raises(WorkspaceError, match="No space left"):
        ledger.append(record("a"))
    with pytest.raises(WorkspaceError, match="reading only"):
        ledger.append(record("a"))


def test_compact_keeps_what_it_is_told_and_goes_on(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l", writable=True) as ledger:
        for item in "abc":
            ledger.append(record(item))
        ledger.compact([record("b")])
        ledger.append(record("d"))
    assert [each.item for each in Ledger(tmp_path / "l")] == ["b", "d"]
