"""Every command as a stranger meets it: help, JSON, exit codes, and what wrong inputs are told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from typer.testing import CliRunner

from d2midi_build.cli import app, main
from d2midi_build.pipeline import Selection, build
from d2midi_build.recipe import Recipe
from d2midi_build.sources.lists import read_sources


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run a command line in an empty folder, in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("D2MIDI_MODELS", str(tmp_path / "models.json"))  # nobody's own

    def command(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["d2midi", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return command


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose only video, [sic].mp4, does not exist."""
    folder = tmp_path_factory.mktemp("failed")
    (folder / "list.txt").write_text("[sic].mp4\n")
    root = folder / "workspace"
    build(list(read_sources(folder / "list.txt")), root, Recipe(), Selection(("resolve", "crawl")))
    return root


def _commands(command: Any = None, name: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    command = command or typer.main.get_command(app)
    yield name, command
    for each, below in getattr(command, "commands", {}).items():
        yield from _commands(below, (*name, each))


COMMANDS = dict(_commands())


def test_the_commands() -> None:
    assert {" ".join(name) for name in COMMANDS} == {
        "", "build", "demo", "status", "preview", "export",
        "recipe", "recipe show", "recipe init", "sources", "sources aist",
        "crawl", "filter", "resample", "separate", "transcribe", "opinions", "keypoints", "beats", "window",
        "retry", "validate", "gc", "doctor", "models", "models train-embedded",
        "models list", "models add", "models convert", "models verify", "models remove",
        "screen", "screen list", "screen decide", "screen calibrate",
        "release", "release build", "release verify", "release show", "release remove", "gate", "evaluate",
        "annotate", "annotate export-midi", "annotate import-midi", "annotate status", "annotate settle",
        "annotate withdraw", "annotate serve", "annotate listen", "annotate login", "annotate logout", "annotate push",
        "annotate pull", "annotate agreement", "annotate audit", "annotate carry", "annotate screen",
        "annotate screen push", "annotate screen pull", "annotate study", "annotate study push", "annotate study pull",
    }  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS, ids=" ".join)
def test_help_says_what_a_command_and_each_option_does(name: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*name, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert f"Usage: d2midi {' '.join(name)}".strip() in result.stdout.replace("root", "d2midi")
    command = COMMANDS[name]
    assert len(command.help) > 20
    for option in command.params:
        assert len(option.help or "") > 10, f"{option.name} is not explained"
        assert (option.opts[-1] in result.stdout) or option.param_type_name == "argument"


def test_help_of_everything_imports_nothing_heavy() -> None:
    code = (
        "import sys, typer.main\nfrom d2midi_build.cli import app\n"
        "typer.main.get_command(app)\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "pyarrow", "pydantic", "rich.progress", "yt_dlp", "av"} & set(done.stdout.split())


WRONG: list[tuple[str, tuple[str, ...]]] = [
    # What is typed, and words that the message has: what, where, what to do.
    ("build", ("d2midi-workspace has no earlier build", "--source urls.txt", "d2midi demo")),
    ("build --source none.txt", ("none.txt", "no such file", "Give a list")),
    ("build --source binary.txt", ("binary.txt:1", "not UTF-8", "Save the list as UTF-8")),
    ("build --source nul.txt", ("nul.txt:1", "NUL byte")),
    ("build --source binary.parquet", ("binary.parquet", "cannot be read as Parquet")),
    ("build --source empty.txt", ("empty.txt", "holds no source", "one URL or path per line")),
    ("build --source folder", ("folder", "no video in this folder")),
    ("build --source ftp://host/v.mp4", ("ftp", "only http and https")),
    ("build --source list.txt --until filer", ("no stage is called filer", "resolve, crawl, filter")),
    ("build --source list.txt --only filer", ("no stage is called filer", "resolve, crawl, filter")),
    ("build --source list.txt --refresh filer", ("no stage is called filer", "resolve, crawl, filter")),
    ("build --source list.txt --refresh filer --plan", ("no stage is called filer",)),
    ("build --source list.txt --until filter --only crawl", ("--until", "--only", "one of them")),
    ("build --source list.txt --transcriber mt4", ("'mt4'", "basic-pitch")),
    ("build --source list.txt --transcriber mt4 --plan", ("'mt4'", "basic-pitch")),
    ("build --source list.txt --other basic-pitch --other mt4", ("'mt4'", "basic-pitch")),
    ("build --source list.txt --other embedded --plan", ("embedded is named twice", "transcribe.others")),
    ("build --source list.txt --transcriber basic-pitch --other basic-pitch", ("basic-pitch is named twice",)),
    ("build --source list.txt --recipe typo.toml", ("typo.toml", "window.framez", "d2midi recipe show")),
    ("build --source list.txt --recipe value.toml", ("value.toml", "window.frames", "-3")),
    ("build --source list.txt --recipe broken.toml", ("broken.toml", "not TOML", "line 1")),
    ("build --source list.txt --recipe folder", ("folder", "Is a directory")),
    ("build --source list.txt --recipe none.toml", ("none.toml", "d2midi recipe init")),
    ("build --source list.txt --recipe demucs.toml", ("demucs",)),
    ("build --source list.txt --workers 0", ("--workers", "greater than or equal to 1")),
    ("build --source list.txt -w file", ("--workspace", "file")),
    ("build --source list.txt -w file --plan", ("--workspace", "file")),
    ("build --source list.txt -w folder", ("folder is not empty", "-w")),
    ("build list.txt", ("unexpected extra argument", "--help")),
    ("buidl", ("Did you mean 'build'",)),
    *((f"{name} --source none.txt", ("none.txt", "no such file")) for name in ("crawl", "filter", "window")),
    *((f"{name} --workers many", ("--workers", "valid integer")) for name in ("resample", "separate", "retry")),
    *((name, ("--source urls.txt",)) for name in ("crawl", "keypoints", "retry")),
    *((f"{name} -w none", ("none has no earlier build", "-w")) for name in ("transcribe", "beats")),
    ("transcribe --source list.txt --recipe name.toml", ("'mt4'", "basic-pitch, embedded")),
    ("transcribe --source list.txt --recipe sung.toml", ("sung.toml", "transcribe.vocals", "'drop', 'lead'")),
    ("beats --source list.txt --recipe sure.toml", ("sure.toml", "least_confidence = 2", "less than or equal to 1")),
    ("beats --source list.txt --recipe typo.toml", ("window.framez", "d2midi recipe show")),
    ("export --format csv --out notes -w none", ("none is no workspace", "d2midi build")),
    ("export --format csv --out notes -w file", ("--workspace", "file")),
    ("export --format csv -w none", ("--out",)),
    *((f"{name} -w none", ("none is no workspace", "d2midi build")) for name in ("status", "gc", "validate")),
    *((f"{name} -w file", ("--workspace", "file")) for name in ("status", "gc", "validate", "doctor", "retry")),
    ("retry --reason temporary", ("temporary", "'transient'")),
    ("preview 1 --out x.mp4", ("d2midi-workspace", "d2midi build")),
    ("preview 1 --out none/x.mp4", ("no folder none", "make it first")),
    ("preview 1 --out folder", ("folder is a folder", "name a file")),
    ("preview --out x.mp4", ("Missing argument",)),
    ("release build --version 1.0.0 --out r -w none", ("none is no workspace", "d2midi build")),
    ("release build --out r", ("--version",)),
    ("release build --version 1.0.0", ("--out",)),
    ("release build --version 1.0.0 --out r --recipe typo.toml -w folder", ("folder is no workspace",)),
    *((f"release {name} folder", ("folder is no release", "manifest.json")) for name in ("show", "verify")),
    *((f"release {name} none", ("none is no release", "manifest.json")) for name in ("show", "verify")),
    ("release remove x --why takedown -w none", ("none is no workspace", "d2midi build")),
    ("release remove", ("Missing argument",)),
    ("evaluate none", ("none is no folder", "release")),
    ("evaluate folder", ("folder is no release", "manifest.json")),
    *((f"gate {name}", (f"{name} is no release", "manifest.json")) for name in ("none", "folder", "/")),
    ("recipe init none/recipe.toml", ("no folder none", "make it first")),
    ("recipe init folder", ("folder is a folder", "name a file")),
    ("recipe init typo.toml", ("typo.toml exists", "--force")),
    ("recipe show none.toml", ("none.toml", "d2midi recipe init")),
    ("recipe show typo.toml", ("window.framez",)),
    ("recipe show folder", ("folder", "Is a directory")),
    ("sources aist none.txt --accept-terms", ("none.txt",)),
    ("sources aist list.txt --accept-terms", ("list.txt:1", "not an AIST name like")),
    ("sources aist list.txt", ("terms",)),
    ("sources aist list.txt --out none/x.csv", ("no folder none",)),
    ("models add none", ("none", "gs://mt3/checkpoints/mt3")),
    ("models add folder", ("folder", "gs://mt3/checkpoints/mt3")),
    ("models add list.txt", ("list.txt", "T5X")),
    ("models add", ("Missing argument",)),
    ("models add none --heads 0", ("--heads", "greater than or equal to 1")),
    ("models convert mt3 --out x.safetensors", ("'mt3'", "gsutil -m cp", "d2midi models add ./mt3")),
    ("models convert folder --out x.bin", ("x.bin", ".safetensors")),
    ("models convert folder --out none/x.safetensors", ("no folder none", "make it first")),
    ("models convert mt3", ("--out",)),
    *((f"models {name} mt3", ("'mt3'", "d2midi models add")) for name in ("verify", "remove")),
    ("demo --out file", ("--out", "file")),
    ("demo --seed x", ("--seed", "valid integer")),
    ("demo --workers 0", ("--workers",)),
]  # fmt: skip


@pytest.mark.parametrize(("typed", "words"), WRONG, ids=[typed for typed, _ in WRONG])
def test_a_wrong_input_is_told_in_a_line_and_leaves_nothing_behind(
    run: Run, tmp_path: Path, typed: str, words: tuple[str, ...]
) -> None:
    for name, content in {
        "list.txt": b"video.mp4\n", "binary.txt": b"\xfd\x00\xff\n", "nul.txt": b"a\0b.mp4\n", "empty.txt": b"",
        "binary.parquet": bytes(range(256)), "file": b"", "typo.toml": b"[window]\nframez = 3\n",
        "value.toml": b"[window]\nframes = -3\n", "broken.toml": b"[window\n",
        "demucs.toml": b'[separate]\nmethod = "demucs"\n', "folder/notes.md": b"mine",
        "name.toml": b'[transcribe]\ntranscriber = "mt4"\n', "sung.toml": b'[transcribe]\nvocals = "none"\n',
        "sure.toml": b"[beats]\nleast_confidence = 2\n",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    before = sorted(tmp_path.rglob("*"))
    code, out, err = run(*typed.split())
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    told = " ".join(err.replace("│", " ").split())
    for word in words:
        assert word in told
    if err.startswith("d2midi: "):
        assert len(err.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("typed", "code", "keys"),
    [
        ("build", 1, {"sources", "windows", "failed", "waiting", "ran", "seconds"}),
        ("build --plan", 0, {"jobs", "cpu_s", "wall_s", "disk_bytes"}),
        ("crawl", 1, {"ran"}),
        ("window", 1, {"ran"}),
        ("retry", 1, {"ran"}),
        ("status", 0, {"sources", "stages", "failures"}),
        ("validate", 0, {"valid", "problems"}),
        ("gc --dry-run", 0, {"bytes", "dry_run"}),
        ("doctor", 0, {"findings"}),
    ],
)
def test_json_is_one_object_and_nothing_else(
    run: Run, failed: Path, typed: str, code: int, keys: set[str]
) -> None:
    ended = run(*typed.split(), "-w", failed, "--json")
    assert ended.code == code
    assert ended.err == ""
    assert keys <= json.loads(ended.out).keys()


def test_a_failure_is_named_to_people_whatever_its_name(run: Run, failed: Path) -> None:
    for command in ("build", "status"):
        ended = run(command, "-w", failed)
        assert "[sic].mp4: no such file" in ended.out
        assert ended.code == (1 if command == "build" else 0)


def test_a_stage_that_nothing_has_come_to_says_so(run: Run, failed: Path) -> None:
    for name in ("transcribe", "beats"):
        out = run(name, "-w", failed).out
        assert f"Nothing has come as far as {name}" in out
        assert f"d2midi build -w {failed}" in out
    out = run("crawl", "-w", failed).out
    assert "Nothing has come" not in out
    assert "d2midi preview" not in out  # there is no clip


def test_a_summary_of_many_failures_stays_short(run: Run, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("".join(f"{number}.mp4\n" for number in range(25)))
    ended = run("build", "--source", "list.txt", "--until", "crawl", "--quiet")
    assert ended.code == 1
    assert ended.out.count("failed  crawl") == 20
    assert "and 5 more: d2midi status" in ended.out
    assert run("status").out.count("failed: crawl") == 25


def test_recipes_are_written_read_and_printed(run: Run, tmp_path: Path) -> None:
    assert run("recipe", "init").code == 0
    assert run("recipe", "init").code == 2
    assert run("recipe", "init", "--force").code == 0
    shown = run("recipe", "show", "recipe.toml")
    assert (shown.code, shown.err) == (0, "")
    assert Recipe.parse(shown.out) == Recipe() == Recipe.load(tmp_path / "recipe.toml")
    assert Recipe.model_validate_json(run("recipe", "show", "--json").out) == Recipe()


def test_a_recipe_that_cannot_run_does_not_spoil_the_workspace(run: Run, failed: Path) -> None:
    before = (failed / "recipe.toml").read_bytes()
    assert run("build", "-w", failed, "--transcriber", "mt4").code == 2
    assert (failed / "recipe.toml").read_bytes() == before
    assert run("status", "-w", failed).code == 0


def test_options_of_a_build_are_remembered(run: Run, failed: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text("[window]\nframes = 120\n")
    assert run("build", "-w", failed, "--recipe", "recipe.toml").code == 1
    assert Recipe.load(failed / "recipe.toml").window.frames == 120
    assert run("build", "-w", failed).code == 1
    assert Recipe.load(failed / "recipe.toml").window.frames == 120
    assert run("build", "-w", failed, "--transcriber", "basic-pitch", "--other", "embedded").code == 1
    chosen = Recipe.load(failed / "recipe.toml").transcribe
    assert (chosen.transcriber, chosen.others) == ("basic-pitch", ("embedded",))


def test_doctor_finds_the_tools_and_says_what_to_do(run: Run) -> None:
    ended = run("doctor", "--json")
    findings = {finding["name"]: finding for finding in json.loads(ended.out)["findings"]}
    assert {"python", "ffmpeg", "yt-dlp", "javascript", "mediapipe", "transcriber", "disk"} <= findings.keys()
    assert findings["ffmpeg"]["state"] == "ok"
    assert "basic-pitch" in findings["transcribers"]["text"]
    assert ended.code == (1 if any(finding["state"] == "error" for finding in findings.values()) else 0)


def test_aist_names_become_a_source_table(run: Run, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("gBR_sBM_c01_d04_mBR0_ch01\n")
    ended = run("sources", "aist", "names.txt", "--accept-terms", "--out", "aist.csv")
    assert (ended.code, ended.err) == (0, "")
    assert "1 videos" in ended.out
    (source,) = read_sources(tmp_path / "aist.csv")
    assert (source.genre, source.performer, source.music) != ("", "", "")
