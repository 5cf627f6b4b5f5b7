"""Evaluating releases and what was generated for them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import mir_eval
import numpy as np
import pyarrow as pa
import pytest
import typer
from typer.testing import CliRunner

from d2midi_build import tables
from d2midi_build.cli.evaluate import evaluate as command
from d2midi_build.digests import sha256_file
from d2midi_build.errors import UsageError
from d2midi_build.music.midi import write_midi
from d2midi_build.music.notes import Notes
from d2midi_build.release.reader import open_release
from d2midi_build.train.metrics.evaluation import Settings, evaluate
from d2midi_build.train.metrics.subjects import Subjects, notes_of
from tests.release import making

VIDEOS = 24
FRAMES = 450
QUICK = Settings(resamples=200)


def _release(folder: Path, kinematic: bool = True) -> Path:
    """Clips of 22.5 s: music at 120 bpm in four phases, and dances whose beats are those of their music."""
    made = making.contents(folder / "made", VIDEOS, (FRAMES,))
    clips = []
    for number, clip in enumerate(made.clips):
        times_s = np.arange(0.02 + 0.12 * (number // 2 % 4), FRAMES / 20, 0.5)
        kinds = ["kinematic"] * len(times_s) * kinematic + ["musical"] * len(times_s)
        count = len(kinds)
        place = np.arange(len(times_s))
        position = [None] * (count - len(times_s)) + (1 + place % 4).tolist()
        columns = {
            "kind": kinds,
            "beat": pa.array(np.tile(place, 2)[:count], pa.int32()),
            "time_s": np.tile(times_s, 2)[:count],
            "position": pa.array(position, pa.int8()),
            "strength": pa.array([0.5] * count, pa.float32()),
            "confidence": pa.array([0.9] * count, pa.float32()),
        }
        tables.write(clip.files["beats"], pa.table(columns))
        notes = Notes.create(times_s, times_s + 0.1, 60 + place % 5)
        tables.write(clip.files["notes"], notes.to_table())
        digests = {name: sha256_file(path) for name, path in clip.files.items()}
        about = json.dumps({"beats": {"musical": "flux", "kinematic": "minima"}})
        clips.append(replace(clip, row={**clip.row, "made_by": about}, digests=digests))
    recipe = making.recipe().with_field("window.frames", 200).with_field("window.stride", 40)
    return making.build_of(replace(made, clips=tuple(clips)), folder / "release", recipe).folder


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of dances in time."""
    return _release(tmp_path_factory.mktemp("in-time"))


@pytest.fixture(scope="module")
def unseen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without beats of dances."""
    return _release(tmp_path_factory.mktemp("unseen"), kinematic=False)


@pytest.fixture
def generated(release: Path, tmp_path: Path) -> Path:
    """Music of its own for each clip of test, and for windows of the first clip of train, there 0.25 s late."""
    opened, folder = open_release(release, layer="heard"), tmp_path / "generated"
    folder.mkdir()
    for clip_id in opened.filter(split="test").clips.column("clip_id").to_pylist():
        write_midi(notes_of(opened.clip(clip_id)), folder / f"{clip_id}.mid")
    train = opened.filter(split="train")
    for window in train.filter(clip=train[0].clip_id):
        write_midi(
            notes_of(window).shifted(0.25).starting_in(0, 10),
            folder / f"{window.clip_id}_{window.start_frame}.mid",
        )
    return folder


def _scores(report: dict[str, Any], split: str | None = None, genre: str | None = None) -> dict[str, Any]:
    (group,) = [g for g in report["groups"] if (g["split"], g["genre"]) == (split, genre)]
    scores: dict[str, Any] = group["scores"]
    return scores


def test_dances_in_time_are_above_chance(release: Path) -> None:
    report = evaluate(release, settings=QUICK)
    score = _scores(report)["beats_vs_dance.beat_f1@70ms"]
    # Own phase: every beat. Of four phases 0.12 s apart a partner has the same in about a quarter of the pairs.
    assert (score["mean"], score["low"], score["high"]) == (1.0, 1.0, 1.0)
    assert 0.1 < score["chance"]["mean"] < 0.4
    assert score["chance"]["low"] < score["chance"]["mean"] < score["chance"]["high"] < 0.6
    assert score["above_chance"]["mean"] == pytest.approx(1 - score["chance"]["mean"], abs=0.05)
    # 1-s bins cannot tell.
    assert _scores(report)["beats_vs_dance.paper_1s_bins_beat_f1"]["chance"]["mean"] == 1.0
    assert _scores(report)["beats_vs_dance.f1_of_means@70ms"]["mean"] == 1.0


def test_what_found_the_beats_is_beside_each_score(release: Path) -> None:
    report = evaluate(release, settings=QUICK)
    for name, score in _scores(report).items():
        comparison, dot, metric = name.partition(".")
        assert ("detectors" in score) == ("chance" in score) == bool(dot)
        if dot:
            ours, theirs = score["detectors"]["piece"], score["detectors"]["against"]
            assert theirs["parameters"] == {"release": report["release"]["digest"], "method": "minima"}
            assert ours["name"] == (
                "symbolic-onsets" if comparison.startswith("onsets") else "release/beats.musical"
            )
            assert (score["tolerance_s"] is None) == ("@" not in metric)
            assert score["for_comparison_only"] == metric.startswith(("paper", "bas_average"))
    assert _scores(report)["beats_vs_dance.bhs@70ms"]["tolerance_s"] == 0.07


def test_windows_scored_share_no_frame_and_partners_no_source(release: Path) -> None:
    report = evaluate(release, settings=QUICK)
    places = sorted((clip["clip_id"], clip["start_frame"], clip["n_frames"]) for clip in report["clips"])
    assert len(places) == 2 * VIDEOS
    for (clip, start, n), (other, next_start, _) in pairwise(places):
        assert clip != other or start + n <= next_start
    group = report["groups"][0]
    assert (group["n_clips"], group["n_sources"]) == (2 * VIDEOS, VIDEOS)
    assert group["re_pairing"]["n_without_partner"] + group["re_pairing"]["n_tempo_matched"] == 2 * VIDEOS


def test_each_split_and_genre_has_its_own_scores(release: Path) -> None:
    report = evaluate(release, settings=QUICK)
    groups = report["groups"]
    in_splits = [g for g in groups if g["split"] and not g["genre"]]
    assert [g["split"] for g in in_splits] == ["test", "train", "validation"]
    for each in in_splits:
        of_genres = [g for g in groups if g["genre"] and g["split"] == each["split"]]
        assert sum(g["n_clips"] for g in of_genres) == each["n_clips"]
    only = evaluate(release, split="train", settings=QUICK)
    assert {clip["split"] for clip in only["clips"]} == {"train"}
    assert _scores(only, "train")["phe_1"] == _scores(report, "train")["phe_1"]


def test_scores_of_windows_are_mir_evals(release: Path) -> None:
    opened = open_release(release, layer="heard")
    report = evaluate(release, settings=QUICK)
    for clip in report["clips"][:6]:
        whole = opened.clip(clip["clip_id"])
        from_s, to_s = clip["start_frame"] / 20, (clip["start_frame"] + clip["n_frames"]) / 20
        heard, seen = (
            times[(times >= from_s) & (times < to_s)]
            for times in (whole.beats.musical_s, whole.beats.kinematic_s)
        )
        assert clip["scores"]["beats_vs_dance.beat_f1@100ms"] == mir_eval.beat.f_measure(seen, heard, 0.1)
        assert clip["scores"]["gs_q64@annotated"] == 1.0


def test_the_same_release_gives_the_same_report(release: Path) -> None:
    first, again = (json.dumps(evaluate(release, settings=QUICK)) for _ in range(2))
    assert first == again
    assert "NaN" not in first
    other = evaluate(release, settings=replace(QUICK, seed=1))
    assert _scores(other)["phe_1"]["mean"] == _scores(json.loads(first))["phe_1"]["mean"]
    assert other["groups"][0] != json.loads(first)["groups"][0]


def test_generated_music_is_scored_against_its_own_clip(release: Path, generated: Path) -> None:
    report = evaluate(release, generated, settings=QUICK)
    right, late = _scores(report, "test"), _scores(report, "train")
    for name in ("onsets_vs_reference", "onsets_vs_dance"):
        assert right[f"{name}.beat_f1@70ms"]["mean"] == 1.0
        assert late[f"{name}.beat_f1@70ms"]["mean"] == 0.0
        assert late[f"{name}.bcs_ratio"]["mean"] == pytest.approx(1.0, abs=0.06)
    assert right["note_f1_onset_offset"]["mean"] == 1.0
    assert late["note_f1_onset"]["mean"] == 0.0
    assert right["onsets_vs_reference.beat_f1@70ms"]["chance"]["n"] >= 0
    for name in ("phe_1", "phe_4", "gs_q64@nominal"):
        assert right[name]["reference"]["mean"] == right[name]["mean"]
        assert right[name]["distance"] == 0.0
    assert "beats_vs_dance.bcs_ratio" not in right  # a MIDI file has onsets, and no annotated beats
    files = {clip["file"]: clip for clip in report["clips"]}
    assert len(files) == len(list(generated.iterdir()))
    whole = files[next(name for name in files if name.count("_") == 1)]
    assert (whole["start_frame"], whole["n_frames"]) == (0, FRAMES)


def test_files_of_another_split_are_left_alone(release: Path, generated: Path) -> None:
    report = evaluate(release, generated, split="test", settings=QUICK)
    assert {clip["split"] for clip in report["clips"]} == {"test"}
    assert len(report["files_of_other_splits"]) + len(report["clips"]) == len(list(generated.iterdir()))
    assert report["problems"] == []


def test_damaged_and_misnamed_files_are_told_and_others_go_on(release: Path, generated: Path) -> None:
    first = min(path for path in generated.iterdir() if path.stem.count("_") == 2)
    clip_id = first.stem.rpartition("_")[0]
    (generated / "abc.mid").write_bytes(first.read_bytes())
    (generated / f"{clip_id}_7.mid").write_bytes(first.read_bytes())
    shutil.copy(first, first.with_suffix(".MIDI"))
    n_files = len(list(generated.iterdir()))
    first.with_name(f"{clip_id}_40.mid").write_bytes(b"MThd\0\0")
    report = evaluate(release, generated, settings=QUICK)
    told = {each["file"]: each["problem"] for each in report["problems"]}
    assert set(told) == {"abc.mid", f"{clip_id}_7.mid", f"{clip_id}_40.mid", first.name}
    assert "<clip_id>_<start_frame>.mid" in told["abc.mid"]
    assert "begins at frame 7; there are 0, 40, 80" in told[f"{clip_id}_7.mid"]
    assert "cannot be read as a MIDI file" in told[f"{clip_id}_40.mid"]
    assert "another file" in told[first.name]
    assert len(report["clips"]) == n_files - 4


def test_a_piece_without_notes_is_scored(release: Path, generated: Path) -> None:
    clip_id = min(path.stem for path in generated.iterdir() if path.stem.count("_") == 1)
    write_midi(Notes.empty(), generated / f"{clip_id}.mid")
    report = evaluate(release, generated, settings=QUICK)
    (silent,) = [clip for clip in report["clips"] if clip["file"] == f"{clip_id}.mid"]
    assert silent["scores"]["onsets_vs_dance.bhs@70ms"] == 0.0
    assert silent["scores"]["phe_1"] is None
    assert silent["reference"]["phe_1"] is not None


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["abc.mid"], "no clip of the release is called abc"),
        (["notes.txt"], r"no file \*.mid"),
        ([], "no file"),
    ],
)
def test_a_folder_of_which_nothing_fits_is_an_error(
    release: Path, tmp_path: Path, names: list[str], told: str
) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UsageError, match=told):
        evaluate(release, tmp_path, settings=QUICK)
    with pytest.raises(UsageError, match="there is no folder"):
        evaluate(release, tmp_path / "gone", settings=QUICK)


def test_a_release_without_beats_of_dances_says_what_to_do(unseen: Path) -> None:
    with pytest.raises(UsageError, match=r"no beats of dances.*stage beats"):
        evaluate(unseen, settings=QUICK)
    with pytest.raises(UsageError, match="test"):
        evaluate(unseen, split="abc", settings=QUICK)


def test_a_dance_that_was_not_seen_is_unknown_not_silent(unseen: Path, release: Path) -> None:
    subject = Subjects(open_release(release)).read(open_release(release)[0].clip_id, None)
    assert subject.dance is not None and len(subject.dance.times_s) > 40
    opened = open_release(unseen)
    assert Subjects(opened).read(opened[0].clip_id, opened[0].start_frame).dance is None


@pytest.fixture
def runner() -> tuple[CliRunner, typer.Typer]:
    """The command by itself."""
    app = typer.Typer()
    app.command()(command)
    return CliRunner(), app


def test_the_command_prints_tables_and_writes_the_report(
    release: Path, tmp_path: Path, runner: tuple[CliRunner, typer.Typer]
) -> None:
    run, app = runner
    out = tmp_path / "report.json"
    ended = run.invoke(app, [str(release), "--split", "train", "--out", str(out), "--quiet"])
    assert ended.exit_code == 0, ended.output
    assert "beats vs dance" in ended.stdout and "chance" in ended.stdout
    report = json.loads(out.read_text())
    assert report["layer"] == "heard" and report["settings"]["seed"] == 0
    assert all(len(line) <= 80 for line in ended.stdout.splitlines()[:-1])


def test_the_command_in_json_tells_problems_and_fails(
    release: Path, generated: Path, runner: tuple[CliRunner, typer.Typer]
) -> None:
    run, app = runner
    (generated / "abc.mid").write_bytes(b"")
    arguments = [str(release), "--generated", str(generated), "--json"]
    ended = run.invoke(app, arguments)
    assert ended.exit_code == 1
    report = json.loads(ended.stdout)
    assert [each["file"] for each in report["problems"]] == ["abc.mid"]
    assert "clips" not in report
    plain = run.invoke(app, arguments[:-1])
    assert plain.exit_code == 1
    assert "abc.mid: no clip" in plain.stderr.replace("\n", " ")
