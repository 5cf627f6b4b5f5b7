"""Checks of pairing: what of them goes into a release, and which let none be made."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from d2midi_build import open_release
from d2midi_build.digests import sha256_file
from d2midi_build.errors import ReleaseError, UsageError
from d2midi_build.release.build import build
from d2midi_build.release.checking import Checked, Verdict
from d2midi_build.release.contents import Contents
from d2midi_build.release.format import CARD, GATE, GATE_FILES, GATE_PAGE, MANIFEST, SUMS, VOCABULARY
from d2midi_build.release.verify import Verification, verify
from tests.release import making
from tests.release.faults import sums

UNCHECKED = "Whether dances and music belong together was not checked"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    """Three short clips."""
    return making.contents(tmp_path_factory.mktemp("made"), 3, n_frames=(130,))


@pytest.fixture(scope="module")
def passed(made: Contents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release that passed; no test changes it."""
    return making.build_of(
        made, tmp_path_factory.mktemp("passed") / "release", check=making.finds("pass")
    ).folder


@pytest.fixture(scope="module")
def unchecked(made: Contents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same release without a check; no test changes it."""
    return making.build_of(made, tmp_path_factory.mktemp("unchecked") / "release").folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def card(folder: Path) -> str:
    return (folder / CARD).read_text(encoding="utf-8")


def listed(folder: Path) -> dict[str, str]:
    return dict(line.split("  ")[::-1] for line in (folder / SUMS).read_text().splitlines())


def told(found: Verification) -> list[str]:
    return [f"{problem.file}: {problem.what}" for problem in found.problems]


def never(folder: Path) -> Checked:
    raise AssertionError("the check was made again")


# ---- what is in a release ----


def test_a_check_that_passes_goes_into_the_release(passed: Path) -> None:
    wanted = making.checked("pass").files
    assert {name: (passed / name).read_bytes() for name in GATE_FILES} == wanted
    assert {name: listed(passed)[name] for name in GATE_FILES} == {
        name: sha256_file(passed / name) for name in GATE_FILES
    }
    assert verify(passed).ok
    release = open_release(passed)
    assert release.gate == {"verdict": "pass", "preview": False, "why": ["The reason."]}
    assert release.preview is False
    head = card(passed).partition("\n| |")[0]
    assert "**Checked.**" in head and "`gate.html`" in head
    assert "Preview" not in card(passed) and UNCHECKED not in card(passed)


def test_what_could_not_be_tested_is_a_preview_whose_card_says_why(made: Contents, tmp_path: Path) -> None:
    check = making.finds("not-testable", "1 source is in test,\n8 are needed.", "All of it is house.")
    folder = making.build_of(made, tmp_path / "release", check=check).folder
    release = open_release(folder)
    assert release.preview and release.gate is not None and release.gate["verdict"] == "not-testable"
    head = card(folder).partition("\n| |")[0]
    assert "**Preview.**" in head and "**Checked.**" not in head
    assert "\n- 1 source is in test, 8 are needed.\n- All of it is house.\n" in head
    assert verify(folder).ok


def test_without_a_check_the_release_says_that_there_was_none(unchecked: Path) -> None:
    assert json.loads((unchecked / MANIFEST).read_text())["gate"] is None
    release = open_release(unchecked)
    assert release.gate is None and release.preview is False
    assert UNCHECKED in card(unchecked) and "`d2midi gate`" in card(unchecked)
    assert names(unchecked).isdisjoint(GATE_FILES)
    assert verify(unchecked).ok


def test_the_check_looks_at_the_release_as_it_would_be_without_one(
    made: Contents, unchecked: Path, tmp_path: Path
) -> None:
    seen = []

    def check(folder: Path) -> Checked:
        seen.append((open_release(folder).digest, verify(folder).ok, names(tmp_path)))
        return making.checked("pass")

    making.build_of(made, tmp_path / "release", check=check)
    assert seen == [(open_release(unchecked).digest, True, {".release.building"})]
    assert names(tmp_path) == {"release"}


def test_only_what_tells_of_the_check_differs(passed: Path, unchecked: Path) -> None:
    one, other = listed(passed), listed(unchecked)
    assert {name for name in one if one[name] != other.get(name)} == {CARD, MANIFEST, *GATE_FILES}
    assert other.keys() == one.keys() - {*GATE_FILES}


def test_the_same_finding_gives_the_same_bytes_with_any_number_of_workers(
    made: Contents, passed: Path, tmp_path: Path
) -> None:
    again = making.build_of(made, tmp_path / "other", workers=2, check=making.finds("pass")).folder
    assert (again / SUMS).read_bytes() == (passed / SUMS).read_bytes()


def test_a_report_must_be_the_two_files_that_are_known() -> None:
    for files in ({}, {GATE: b"{}"}, {GATE: b"{}", GATE_PAGE: b"", "more.txt": b""}):
        with pytest.raises(ValueError, match=r"a check gives gate\.json and gate\.html, not"):
            Checked("pass", (), files)


# ---- checks that let no release be made ----


@pytest.mark.parametrize(
    ("verdict", "says"),
    [
        ("fail", "it does not pass the check of pairing"),
        ("invalid", "the check of pairing did not work, so nothing is known of the release"),
    ],
)
def test_a_check_that_fails_leaves_nothing_but_its_report(
    made: Contents, tmp_path: Path, verdict: Verdict, says: str
) -> None:
    decided: list[Any] = []
    (tmp_path / "release.gate").mkdir()
    (tmp_path / "release.gate" / GATE).write_text("of the time before")
    with pytest.raises(ReleaseError) as raised:
        build(
            made, tmp_path / "release", "1.0.0", "small", making.recipe(), before={}, workers=1,
            check=making.finds(verdict, "The dance is 200 ms late.", "So is the next."), decided=decided.append,
        )  # fmt: skip
    message = str(raised.value)
    assert says in message
    assert "\n  The dance is 200 ms late.\n  So is the next.\n" in message
    assert str(tmp_path / "release.gate" / GATE_PAGE) in message and "without --gate" in message
    assert names(tmp_path) == {".release.building", "release.gate"}
    assert not decided, "splits are remembered of releases that were made"
    report = {path.name: path.read_bytes() for path in (tmp_path / "release.gate").iterdir()}
    assert report == making.checked(verdict).files


def test_after_a_failure_finished_shards_are_used_and_the_old_report_goes_once_a_check_passes(
    made: Contents, passed: Path, unchecked: Path, tmp_path: Path
) -> None:
    def fail() -> None:
        with pytest.raises(ReleaseError, match="does not pass"):
            making.build_of(made, tmp_path / "release", check=making.finds("fail"))

    fail()
    plain = making.build_of(made, tmp_path / "release")
    assert plain.n_reused == sum(plain.manifest["shards"].values())
    assert (plain.folder / SUMS).read_bytes() == (unchecked / SUMS).read_bytes()
    assert names(tmp_path) == {"release", "release.gate"}, "it is still true of what was made"
    shutil.rmtree(plain.folder)
    fail()
    (tmp_path / "release.gate" / "notes.txt").write_text("somebody's own")
    mended = making.build_of(made, tmp_path / "release", check=making.finds("pass"))
    assert (mended.folder / SUMS).read_bytes() == (passed / SUMS).read_bytes()
    assert names(tmp_path / "release.gate") == {"notes.txt"}
    (tmp_path / "release.gate" / "notes.txt").unlink()
    shutil.rmtree(mended.folder)
    making.build_of(made, tmp_path / "release", check=making.finds("pass"))
    assert names(tmp_path) == {"release"}


# ---- building again ----


def test_a_release_that_was_checked_is_there_already_with_and_without_a_check(
    made: Contents, passed: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(passed, tmp_path / "release"))
    for check in (never, None):
        again = making.build_of(made, folder, check=check)
        assert again.existed and again.manifest["gate"]["verdict"] == "pass"
    assert (folder / SUMS).read_bytes() == (passed / SUMS).read_bytes()


def test_a_release_that_was_not_checked_is_not_checked_afterwards(
    made: Contents, unchecked: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(unchecked, tmp_path / "release"))
    with pytest.raises(UsageError, match=r"made without --gate.*`d2midi gate .*release`.*another --out"):
        making.build_of(made, folder, check=never)
    assert making.build_of(made, folder).existed
    assert (folder / SUMS).read_bytes() == (unchecked / SUMS).read_bytes()


_KILLED = """
import os, signal, sys
from pathlib import Path
from tests.release import making
made = making.contents(Path(sys.argv[1]) / "made", 3, n_frames=(130,))
making.build_of(made, Path(sys.argv[1]) / "release", check=lambda folder: os.kill(os.getpid(), signal.SIGKILL))
"""


def test_killed_while_it_is_checked_nothing_is_visible_and_the_next_build_goes_on(
    made: Contents, passed: Path, tmp_path: Path
) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, str(tmp_path)], cwd=Path(__file__).parents[2], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert names(tmp_path) == {"made", ".release.building"}
    again = making.build_of(made, tmp_path / "release", check=making.finds("pass"))
    assert again.n_reused == sum(again.manifest["shards"].values())
    assert (again.folder / SUMS).read_bytes() == (passed / SUMS).read_bytes()
    assert names(tmp_path) == {"made", "release"}


def test_what_a_check_raises_is_raised_and_the_next_build_goes_on(made: Contents, tmp_path: Path) -> None:
    for error in (KeyboardInterrupt, UsageError("the extra train is missing")):

        def check(folder: Path, error: Any = error) -> Checked:
            raise error

        with pytest.raises(type(error) if isinstance(error, Exception) else error):
            making.build_of(made, tmp_path / "release", check=check)
        assert names(tmp_path) == {".release.building"}
    assert making.build_of(made, tmp_path / "release", check=making.finds("pass")).n_reused == 3


# ---- verifying ----


@pytest.fixture
def copy(passed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(passed, tmp_path / "copy"))


def with_manifest(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", GATE_FILES)
def test_a_report_that_is_gone_is_named(name: str, copy: Path) -> None:
    (copy / name).unlink()
    assert told(verify(copy)) == [f"{name}: is missing, though SHA256SUMS names it"]
    sums(copy)
    assert set(told(verify(copy))) == {f"{name}: is missing", f"SHA256SUMS: has no line for {name}"}


@pytest.mark.parametrize("name", GATE_FILES)
def test_a_report_of_no_check_is_named(name: str, unchecked: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(unchecked, tmp_path / "copy"))
    (copy / name).write_bytes(making.checked("pass").files[name])
    assert told(verify(copy)) == [f"{name}: is not of the release"]
    sums(copy)
    found = verify(copy)
    assert told(found) == [f"{name}: is there, though manifest.json says that pairing was not checked"]
    assert not found.ok


@pytest.mark.parametrize(
    "text", ['{"verdict": "fail"}', '{"verdict": ["pass"]}', "{}", "[]", "null", "{", "\0"]
)
def test_a_report_that_contradicts_the_manifest_is_named(text: str, copy: Path) -> None:
    (copy / GATE).write_text(text)
    sums(copy)
    [problem] = told(verify(copy))
    assert problem.startswith("gate.json: its verdict is ") and "manifest.json says 'pass'" in problem


@pytest.mark.parametrize(
    "gate",
    [
        {"verdict": "fail", "preview": False, "why": []},
        {"verdict": "pass", "preview": True, "why": []},
        {"verdict": "not-testable", "preview": False, "why": []},
        {"verdict": "pass", "preview": 0, "why": []},
        {"verdict": "pass", "preview": False, "why": "all is well"},
        {"verdict": "pass", "preview": False, "why": [1]},
        {"verdict": {}, "preview": False, "why": []},
        {"verdict": "pass", "preview": False},
        [],
        "pass",
        0,
    ],
    ids=str,
)
def test_a_manifest_that_tells_nothing_sensible_of_the_check_is_told(gate: Any, copy: Path) -> None:
    with_manifest(copy, lambda manifest: manifest.update(gate=gate))
    sums(copy)
    [problem] = told(verify(copy))
    assert problem.startswith("manifest.json: gate is ") and "neither null nor" in problem


def test_a_manifest_that_says_nothing_of_a_check_is_told(copy: Path) -> None:
    with_manifest(copy, lambda manifest: manifest.pop("gate"))
    sums(copy)
    assert told(verify(copy)) == ["manifest.json: gate is missing, which says whether pairing was checked"]


def test_another_vocabulary_is_told(copy: Path) -> None:
    text = (copy / VOCABULARY).read_text()
    (copy / VOCABULARY).write_text(text.replace('"n0"', '"n128"'))
    assert [problem.partition(":")[0] for problem in told(verify(copy))] == [VOCABULARY]
    sums(copy)
    [problem] = told(verify(copy))
    assert problem.startswith("vocabulary.json: is not the vocabulary of format 1.0")
    (copy / VOCABULARY).unlink()
    sums(copy)
    assert "vocabulary.json: is missing" in told(verify(copy))
