"""That no damage of a release goes unseen, and none of it raises anything."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from d2midi_build.errors import UsageError
from d2midi_build.release.format import CARD, MANIFEST, REMOVED, SCHEMA, SUMS, TABLES, table_file
from d2midi_build.release.gates import MEANINGS
from d2midi_build.release.verify import Verification, verify
from tests.release import making
from tests.release.faults import FAULTS, cell, edit, seal, sums


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of eight clips; no test changes it for longer than it runs."""
    chosen = making.recipe(release_shard_mb=1.18).with_field("release.licences", ("CC*",))
    return making.release(tmp_path_factory.mktemp("verify"), 8, chosen)


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    """One that a test may change."""
    return Path(shutil.copytree(whole, tmp_path / "release"))


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def named(found: Verification) -> set[str]:
    """Files with problems."""
    return {problem.file for problem in found.problems}


def told(found: Verification) -> str:
    return "\n".join(f"{problem.file}: {problem.what}. {problem.remedy}" for problem in found.problems)


def rewrite(folder: Path, file: str, change: Callable[[Any], Any]) -> None:
    """Change a file of JSON, and have the hashes fit."""
    data = json.loads((folder / file).read_text())
    new = change(data)
    (folder / file).write_text(json.dumps(data if new is None else new))
    sums(folder)


# ---- whole releases ----


def test_a_whole_release_is_right_and_every_file_was_read(whole: Path) -> None:
    shares: list[float] = []
    found = verify(whole, report=shares.append)
    assert found.ok and found.problems == () and [gate.name for gate in found.gates] == list(MEANINGS)
    read = [name for name in files(whole) if name != SUMS]
    assert found.n_files == len(read) == 4 + 1 + 3 * 3 + 5 * 5
    assert found.n_bytes == sum((whole / name).stat().st_size for name in read)
    assert shares == sorted(shares) and shares[-1] == 1.0
    data = json.loads(json.dumps(found.data()))
    assert (data["ok"], data["files"], data["problems"], len(data["gates"])) == (True, 39, [], len(MEANINGS))


def test_what_is_checked_is_what_sha256sum_checks(whole: Path) -> None:
    done = subprocess.run(["sha256sum", "-c", "--strict", SUMS], cwd=whole, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count(": OK\n") == 39


def test_links_to_the_files_are_as_good_as_the_files(whole: Path, tmp_path: Path) -> None:
    for name in files(whole):  # as in the cache of huggingface_hub
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(whole / name)
    assert verify(tmp_path).ok


def test_a_folder_that_is_no_release_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UsageError, match=r"is no release: it has neither manifest\.json nor SHA256SUMS"):
            verify(folder)


# ---- damaged files ----


@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_bit_is_found_wherever_it_is_and_its_file_named(seed: int, whole: Path) -> None:
    rng = np.random.default_rng(seed)
    for name in files(whole):
        good = (whole / name).read_bytes()
        bad = bytearray(good)
        at, bit = int(rng.integers(len(good))), int(rng.integers(8))
        bad[at] ^= 1 << bit
        try:
            (whole / name).write_bytes(bad)
            found = verify(whole)
        finally:
            (whole / name).write_bytes(good)
        assert not found.ok and name in (named(found) if name != SUMS else told(found)), (name, at, bit)
        assert name == SUMS or named(found) == {name}


def test_a_bit_of_the_sums_is_missed_whatever_it_says(copy: Path) -> None:
    # The smallest release whose sums have all kinds of lines: verify needs no more to be tried thousands of times.
    shutil.rmtree(copy / "data")
    (copy / "data").mkdir()
    (copy / "data" / "a.parquet").write_bytes(b"a")
    (copy / MANIFEST).write_text("{}")
    sums(copy)
    right = told(verify(copy))
    good = (copy / SUMS).read_bytes()
    for bit in range(0, 8 * len(good), 7):  # every one of a byte, in turn
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        (copy / SUMS).write_bytes(bad)
        found = told(verify(copy))
        assert found != right and SUMS in found, bit


@pytest.mark.parametrize("keep", [0.0, 0.5, 1.0], ids=["nothing", "half", "all but a byte"])
def test_a_truncated_file_is_found(keep: float, whole: Path) -> None:
    for name in files(whole):
        good = (whole / name).read_bytes()
        try:
            (whole / name).write_bytes(good[: min(int(keep * len(good)), len(good) - 1)])
            found = verify(whole)
        finally:
            (whole / name).write_bytes(good)
        assert name in named(found) and not found.ok


def test_a_file_that_is_gone_is_found(whole: Path) -> None:
    for name in files(whole):
        good = (whole / name).read_bytes()
        try:
            (whole / name).unlink()
            found = verify(whole)
        finally:
            (whole / name).write_bytes(good)
        [what] = [problem.what for problem in found.problems if problem.file == name]
        assert what == ("is missing" if name == SUMS else "is missing, though SHA256SUMS names it")


def test_a_folder_in_place_of_a_file_is_found(copy: Path) -> None:
    for name in files(copy):
        good = (copy / name).read_bytes()
        (copy / name).unlink()
        (copy / name).mkdir()
        (copy / name / "inside").write_bytes(good)
        found = verify(copy)
        assert {name, f"{name}/inside"} <= named(found)
        shutil.rmtree(copy / name)
        (copy / name).write_bytes(good)
    assert verify(copy).ok


def test_what_is_no_plain_file_is_not_waited_for(copy: Path) -> None:
    (copy / CARD).unlink()
    os.mkfifo(copy / CARD)
    (copy / SCHEMA).unlink()
    (copy / SCHEMA).symlink_to(SCHEMA)
    found = verify(copy)
    assert f"{CARD}: is no plain file" in told(found) and f"{SCHEMA}: is no plain file" in told(found)


@pytest.mark.parametrize(
    "extra",
    [".hidden", "data/notes/.train-00000.parquet.4711", "data/notes/train-00009.parquet", "more/a/b.txt"],
)
def test_a_file_that_is_not_of_the_release_is_found(extra: str, copy: Path) -> None:
    (copy / extra).parent.mkdir(parents=True, exist_ok=True)
    (copy / extra).write_bytes(b"x")
    found = verify(copy)
    assert told(found) == f"{extra}: is not of the release. Delete it, or move it elsewhere"
    assert not found.ok


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (table_file("notes", "train"), table_file("notes", "train", 1)),
        (table_file("clips", "train"), table_file("clips", "test")),
        (MANIFEST, SCHEMA),
    ],
)
def test_files_that_changed_places_are_both_named(one: str, other: str, copy: Path) -> None:
    (copy / one).rename(copy / "aside")
    (copy / other).rename(copy / one)
    (copy / "aside").rename(copy / other)
    found = verify(copy)
    assert {one, other} <= named(found) and found.gates == ()


def test_damage_of_a_table_keeps_all_tables_closed(copy: Path) -> None:
    path = copy / table_file("beats", "test")
    path.write_bytes(path.read_bytes()[::-1])
    found = verify(copy)
    assert found.gates == () and found.data()["tables_opened"] is False and not found.ok


# ---- lists of hashes ----


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "is not a SHA-256, two spaces and a file"),
        ("x", "is not a SHA-256, two spaces and a file"),
        (f"{'A' * 64}  more", "is not a SHA-256, two spaces and a file"),
        (f"{'a' * 64} more", "is not a SHA-256, two spaces and a file"),
        (f"{'a' * 64} *more", "is not a SHA-256, two spaces and a file"),
        (f"{'a' * 64}  /etc/passwd", "is not a SHA-256, two spaces and a file"),
        (f"{'a' * 64}  data/../../x", "is not a SHA-256, two spaces and a file"),
        (f"{'a' * 64}  ./{CARD}", "is not a SHA-256, two spaces and a file"),
        (f"{'a' * 64}  {SUMS}", "is not a SHA-256, two spaces and a file"),
        (f"{'a' * 64}  {CARD}", f"line 40 names '{CARD}' again"),
        (f"{'a' * 64}  more", "more: is missing, though SHA256SUMS names it"),
    ],
)
def test_a_line_that_does_not_belong_into_the_sums_is_told(line: str, says: str, copy: Path) -> None:
    with (copy / SUMS).open("a") as handle:
        handle.write(f"{line}\n")
    found = verify(copy)
    assert says in told(found) and not found.ok


def test_sums_of_noise_are_told_in_few_lines(copy: Path) -> None:
    (copy / SUMS).write_bytes(np.random.default_rng(0).bytes(100_000))
    mine = [problem for problem in verify(copy).problems if problem.file == SUMS]
    assert 20 < len(mine) < 70 and any("more lines like these" in problem.what for problem in mine)


def test_a_wrong_line_is_not_blamed_on_the_file_if_the_manifest_knows_better(copy: Path) -> None:
    file = table_file("notes", "train")
    path = copy / SUMS
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join("0" * 64 + line[64:] if file in line else line for line in lines))
    found = verify(copy)
    assert named(found) == {SUMS} and file in told(found)
    assert len(found.gates) == len(MEANINGS)  # the tables are whole, so they are looked at


def test_without_sums_the_manifest_tells_which_table_is_damaged(copy: Path) -> None:
    file = table_file("notes", "train")
    (copy / SUMS).unlink()
    assert named(verify(copy)) == {SUMS}
    (copy / file).write_bytes(b"x")
    assert named(verify(copy)) == {SUMS, file}


# ---- what files say of the release ----


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"a": 1e999', "\udcff", "[" * 100_000, "9" * 5_000])
@pytest.mark.parametrize("file", [MANIFEST, SCHEMA])
def test_what_is_no_json_object_is_told(file: str, text: str, copy: Path) -> None:
    (copy / file).write_bytes(text.encode("utf-8", "surrogateescape"))
    sums(copy)
    assert f"{file}: is not JSON" in told(found := verify(copy)) or f"{file}: holds no JSON object" in told(
        found
    )


@pytest.mark.parametrize("version", ["2.0", "1.1", None, 1.0, {}])
def test_a_format_of_another_version_is_told_with_its_maker(version: Any, copy: Path) -> None:
    rewrite(copy, MANIFEST, lambda manifest: manifest.update(format=version))
    found = verify(copy)
    assert f"manifest.json: the release has format {version!r}, made by d2midi " in told(found)
    assert "knows format 1.0. Verify it with the d2midi that made it, or a later one" in told(found)
    assert found.gates == () and named(found) == {MANIFEST}


NOTES = table_file("notes", "train")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m["files"][NOTES].update(rows=1), f"files: {NOTES} has 97 rows, not 1"),
        (lambda m: m["files"][NOTES].update(bytes=1), f"files: {NOTES} has 6,"),
        (lambda m: m["files"][NOTES].update(sha256="0" * 64), f"files: {NOTES} has SHA-256"),
        (lambda m: m["files"][NOTES].update(rows="97"), f"files: '{NOTES}' has "),
        (lambda m: m["files"].pop(NOTES), f"files does not name {NOTES}"),
        (lambda m: m["files"].update({"/etc/passwd": m["files"][NOTES]}), "files: '/etc/passwd' has"),
        (lambda m: m.update(files=[]), "files is '[]', no JSON object"),
        (lambda m: m.pop("files"), "files is 'None', no JSON object"),
        (lambda m: m["totals"].update(windows=7), "totals.windows is 7, the tables have 72"),
        (lambda m: m["totals"].update(unique_hours=0.5), "totals.unique_hours is 0.5, the tables have 0.026"),
        (lambda m: m["totals"].update(window_hours=float("nan")), "totals.window_hours is nan"),
        (lambda m: m["totals"].update(window_hours=10**400), "totals.window_hours is 1000"),
        (lambda m: m["splits"]["train"].update(notes=223), "splits.train.notes is 223, the tables have 224"),
        (lambda m: m["splits"]["train"].update(clips=True), "splits.train.clips is True, the tables have 5"),
        (lambda m: m["splits"]["test"].update(videos=3), "splits.test.videos is 3, the tables have 2"),
        (lambda m: m["splits"].pop("validation"), "splits.validation is 'None', not counts"),
        (lambda m: m["splits"].update(more={"clips": 1}), "splits.more is"),
        (lambda m: m.update(splits=None), "splits.train is 'None', not counts"),
        (
            lambda m: m["recipe"].pop("release"),
            "recipe.release does not say what the release allows (KeyError",
        ),
        (lambda m: m["recipe"]["release"].update(licences=[1]), "recipe.release does not say"),
        (lambda m: m["recipe"]["release"].update(keep_apart=None), "recipe.release does not say"),
        (lambda m: m["recipe"]["release"].update(least_body_share=10**400), "recipe.release does not say"),
        (lambda m: m.update(recipe="none"), "recipe.release does not say"),
    ],
)
def test_a_manifest_that_contradicts_the_tables_is_told(
    change: Callable[[Any], Any], says: str, copy: Path
) -> None:
    rewrite(copy, MANIFEST, lambda manifest: (change(manifest), None)[1])
    found = verify(copy)
    assert f"{MANIFEST}: {says}" in told(found) and not found.ok


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s.update(format="1.1"), "format is \"'1.1'\", not \"'1.0'\""),
        (lambda s: s["tables"].pop("notes"), "tables.notes is 'None', not"),
        (
            lambda s: s["tables"]["notes"]["columns"][4].update(type="int16"),
            "tables.notes.columns[4].type is",
        ),
        (lambda s: s["tables"]["clips"]["columns"][4].update(unit="m"), "tables.clips.columns[4].unit is"),
        (lambda s: s["clock"].update(frames_per_s=25), "clock.frames_per_s is '25', not '20'"),
        (lambda s: s["joints"]["body"].reverse(), "joints.body[0] is"),
        (lambda s: s["missing"].update(value=0), "missing.value is '0', not '-32768'"),
        (lambda s: s["quantisation"]["face"].update(scale=1.0), "quantisation.face.scale is '1.0', not '6.1"),
        (
            lambda s: s["quantisation"]["face"].update(saturated=1),
            "quantisation.face.saturated is '1', not '0'",
        ),
        (lambda s: s.update(quantisation=[]), "quantisation is '[]', not"),
        (lambda s: s["layers"].pop("heard"), "layers.heard is 'None', not"),
        (lambda s: s.update(more=1), "more is '1', not 'None'"),
    ],
)
def test_a_schema_that_is_not_the_formats_is_told(
    change: Callable[[Any], Any], says: str, copy: Path
) -> None:
    rewrite(copy, SCHEMA, lambda schema: (change(schema), None)[1])
    found = verify(copy)
    assert f"{SCHEMA}: {says}" in told(found) and not found.ok


def test_other_words_for_the_same_columns_are_no_fault(copy: Path) -> None:
    def reworded(schema: Any) -> None:
        schema["tables"]["notes"]["columns"][4]["meaning"] = "How high it sounds."
        schema["tables"]["notes"]["title"] = "All notes"

    rewrite(copy, SCHEMA, reworded)
    assert verify(copy).ok


# ---- faults whose hashes fit ----


@pytest.mark.parametrize(
    "name",
    [
        "another type", "rows swapped", "present without one", "another genre", "overlapping", "other bytes",
        "a frame less", "after the end", "a pitch", "before the last", "a tick later", "a licence", "music", "a video",
        "hardly a body", "n_clips", "orphan note",
    ],
)  # fmt: skip
def test_a_fault_whose_hashes_fit_is_found_by_its_gate(name: str, copy: Path) -> None:
    fault = FAULTS[name]
    edit(copy, fault.file, fault.change)
    assert named(verify(copy)) == {fault.file}
    seal(copy)
    found = verify(copy)
    [gate] = [gate for gate in found.gates if gate.name == fault.gate]
    assert not found.ok and any(fault.says in offender for offender in gate.offenders)


def test_the_releases_own_recipe_says_what_it_allows(copy: Path) -> None:
    rewrite(copy, MANIFEST, lambda m: m["recipe"]["release"].update(licences=["CC0*"], least_body_share=0.99))
    told_of = {gate.name: gate.n_offenders for gate in verify(copy).gates if not gate.passed}
    assert told_of == {
        "licence": 16,
        "coverage": 5,
    }  # clips and their videos; 130 and 205 frames without three


def test_frames_that_do_not_tell_their_scale_are_named(copy: Path) -> None:
    file = table_file("frames", "test")
    edit(copy, file, lambda table: table.cast(pa.schema([f.remove_metadata() for f in table.schema])))
    seal(copy)
    assert f"{file}: does not say how exact its integers are" in told(verify(copy))


@pytest.mark.parametrize("seed", range(3))
def test_damage_whose_hashes_fit_raises_nothing(seed: int, copy: Path) -> None:
    rng = np.random.default_rng(seed)
    for table in (*TABLES, "removed"):
        path = copy / (REMOVED if table == "removed" else table_file(table, "train"))
        good = path.read_bytes()
        bad = bytearray(good)
        for at in rng.integers(len(good), size=3):
            bad[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(bad if seed else good[: len(good) // 2])
        seal(copy)
        found = verify(copy)
        assert found.gates or named(found)
        path.write_bytes(good)


@pytest.mark.parametrize("table", TABLES)
def test_tables_without_rows_raise_nothing(table: str, copy: Path) -> None:
    for path in copy.glob(f"data/{table}/*.parquet"):
        pq.write_table(pq.read_table(path).slice(0, 0), path)
    seal(copy)
    found = verify(copy)
    assert not found.ok and len(found.gates) == len(MEANINGS)


@pytest.mark.slow
def test_every_column_may_hold_its_most_extreme_values(copy: Path) -> None:
    for table in ("windows", "clips", "notes", "beats"):
        file = table_file(table, "train")
        good = (copy / file).read_bytes()
        for field in pq.read_schema(copy / file):
            if pa.types.is_integer(field.type):
                extreme: list[Any] = [-(2 ** (field.type.bit_width - 1)), 2 ** (field.type.bit_width - 1) - 1]
            elif pa.types.is_floating(field.type):
                extreme = [float("-inf"), float("nan"), 1e38]
            else:
                continue
            for value in extreme:
                edit(copy, file, cell(field.name, value))
                seal(copy)
                assert len(verify(copy).gates) == len(MEANINGS)
                (copy / file).write_bytes(good)
