"""Releases of a real workspace, through the command line."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import soundfile

from d2midi_build import open_release, tables
from d2midi_build.annotate.clips import read_clip
from d2midi_build.annotate.corrections import Corrections, append, path_in
from d2midi_build.annotate.daw_export import export_midi
from d2midi_build.annotate.daw_files import read
from d2midi_build.annotate.daw_import import import_midi
from d2midi_build.cli import main
from d2midi_build.motion.keypoints import part_array, read_frames
from d2midi_build.music.midi import to_midi_bytes
from d2midi_build.pipeline import Summary
from d2midi_build.release.workspace import public_address
from d2midi_build.report.clips import notes_of
from d2midi_build.workspace import Workspace

Build = Callable[..., Summary]
Run = Callable[..., Any]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``d2midi release`` with --json in this process; its answer."""

    def command(*arguments: object, code: int = 0) -> Any:
        monkeypatch.setattr(sys, "argv", ["d2midi", "release", *map(str, arguments), "--json"])
        ended: Any = 0
        try:
            main()
        except SystemExit as exited:
            ended = exited.code
        printed = capsys.readouterr()
        assert (ended or 0) == code, printed.err
        return json.loads(printed.out) if not code else printed.err

    return command


def test_a_workspace_becomes_a_release_that_is_verified_and_read(
    workspace: Path, run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "1.0.0"
    said = run("build", "-w", workspace, "--version", "1.0.0", "--out", out)
    assert (said["totals"]["clips"], said["existed"]) == (2, False)
    assert run("verify", out)["ok"]
    assert run("show", out)["version"] == "1.0.0"
    release = open_release(out, coords="image", parts=("body",))
    assert len(release) == said["totals"]["windows"] > 0
    for window in (release[0], release[-1]):
        frames = read_frames(workspace / "frames" / f"{window.clip_id}.parquet", ["body_image"])
        mine = slice(window.start_frame, window.start_frame + window.n_frames)
        assert np.array_equal(window.keypoints, part_array(frames, "body_image")[mine], equal_nan=True)
        notes = notes_of(workspace, window.clip_id)
        start_s = window.start_frame / 20
        sounding = notes.sounding_in(start_s, start_s + window.n_frames / 20)
        assert window.notes.pitch.tolist() == sounding.pitch.tolist()
        midi = pq.read_table(out / "data" / "midi", filters=[("clip_id", "=", window.clip_id)])
        final = midi.filter(pc.equal(midi.column("layer"), "final")).column("midi")[0].as_py()
        assert final == to_midi_bytes(notes.as_dataset())
    assert release[0].audio is None, "nobody said that the sound may be passed on"


def test_sound_comes_along_where_the_list_gives_a_licence_that_allows_it(
    workspace: Path, run: Run, dances: Path, recipe: Any, tmp_path: Path
) -> None:
    from d2midi_build.pipeline import build
    from d2midi_build.sources.lists import read_sources

    table = dances / "licensed.csv"
    table.write_text(
        "url,licence,genre\ndance-1.mp4,CC BY 4.0,house\ndance-2.mp4,all rights reserved,ballet\n"
    )
    build(list(read_sources(table)), workspace, recipe)
    out = tmp_path / "1.0.0"
    run("build", "-w", workspace, "--version", "1.0.0", "--out", out)
    release = open_release(out)
    licence = {row["clip_id"]: row["licence"] for row in release.clips.to_pylist()}
    assert sorted(licence.values()) == ["CC BY 4.0", "all rights reserved"]
    for window in release:
        if licence[window.clip_id] == "CC BY 4.0":
            sound, _ = soundfile.read(workspace / "clips" / window.clip_id / "audio.flac", dtype="float32")
            first = window.start_frame * 512
            assert np.array_equal(window.audio, sound[first : first + window.n_frames * 512])
        else:
            assert window.audio is None


def test_a_second_release_keeps_the_splits_and_the_first_one_is_as_it_was(
    workspace: Path, run: Run, tmp_path: Path
) -> None:
    first = run("build", "-w", workspace, "--version", "1.0.0", "--out", tmp_path / "1.0.0")
    again = run("build", "-w", workspace, "--version", "1.0.0", "--out", tmp_path / "1.0.0")
    assert (first["existed"], again["existed"]) == (False, True)
    run("build", "-w", workspace, "--version", "1.0.0", "--out", tmp_path / "copy", "--workers", 1)
    assert (tmp_path / "copy/SHA256SUMS").read_bytes() == (tmp_path / "1.0.0/SHA256SUMS").read_bytes()
    remembered = json.loads(Workspace(workspace).splits_path.read_text())["splits"]
    flipped = {clip: {"train": "test", "test": "train"}[split] for clip, split in remembered.items()}
    Workspace(workspace).splits_path.write_text(json.dumps({"splits": flipped}))
    run("build", "-w", workspace, "--version", "1.0.1", "--out", tmp_path / "1.0.1")
    assert splits(tmp_path / "1.0.1") == flipped, "what the workspace remembers counts"
    run("build", "-w", workspace, "--version", "1.0.2", "--out", tmp_path / "1.0.2", "--new-splits")
    assert splits(tmp_path / "1.0.2") == remembered, "the seed decides anew"
    Workspace(workspace).splits_path.unlink()
    previous = ("--previous", tmp_path / "1.0.1")
    run("build", "-w", workspace, "--version", "1.0.3", "--out", tmp_path / "1.0.3", *previous)
    assert splits(tmp_path / "1.0.3") == flipped, "as an earlier release had them"


def test_notes_that_people_corrected_are_in_the_layers_of_a_release(
    workspace: Path, run: Run, tmp_path: Path
) -> None:
    opened = Workspace.open(workspace)
    clip_id = tables.read(opened.manifests / "clips.parquet", ["clip_id"]).column(0)[0].as_py()
    clip = read_clip(opened, clip_id)
    none = Corrections()
    song = mido.MidiFile(file=io.BytesIO(export_midi(clip, none)))
    heard = next(m for track in song.tracks for m in track if m.type == "note_on" and m.velocity)
    heard.velocity = 1 + heard.velocity % 127
    saved = io.BytesIO()
    song.save(file=saved)
    found = import_midi(
        read(saved.getvalue(), "song.mid"), clip, none, by="ada", at="2026-11-26", reason="heard"
    )
    append(path_in(opened), found.corrections)
    run("build", "-w", workspace, "--version", "1.0.0", "--out", tmp_path / "1.0.0")
    assert run("verify", tmp_path / "1.0.0")["ok"]
    velocities = {}
    for layer in ("machine", "heard", "final"):
        release = open_release(tmp_path / "1.0.0", parts=("body",), layer=layer)
        velocities[layer] = sorted(release.clip(clip_id).notes.velocity.tolist())
    assert velocities["machine"] == sorted(clip.notes.velocity.tolist())
    assert velocities["heard"] == velocities["final"] != velocities["machine"]


def splits(release: Path) -> dict[str, str]:
    clips = open_release(release).clips.to_pylist()
    return {row["clip_id"]: row["split"] for row in clips}


def test_a_removal_is_in_the_next_release_and_readers_of_the_old_one_can_follow_it(
    workspace: Path, run: Run, tmp_path: Path
) -> None:
    run("build", "-w", workspace, "--version", "1.0.0", "--out", tmp_path / "1.0.0")
    video, other = tables.read(workspace / "manifests" / "videos.parquet").column("video_id").to_pylist()[:2]
    said = run("remove", video, "--why", "takedown", "--by", "grace", "-w", workspace)
    assert (said["video_id"], said["clip_id"], said["withdrawn"]) == (video, "", False)
    run("build", "-w", workspace, "--version", "1.0.1", "--out", tmp_path / "1.0.1")
    assert open_release(tmp_path / "1.0.1").videos.column("video_id").to_pylist() == [other]
    old = open_release(tmp_path / "1.0.0", removed=tmp_path / "1.0.1" / "removed.parquet")
    assert {window.clip_id.rpartition("_")[0] for window in old} == {other}
    assert b"grace" not in b"".join(path.read_bytes() for path in (tmp_path / "1.0.1").rglob("*.parquet"))
    run("remove", video, "--why", "allowed again", "--withdraw", "-w", workspace)
    run("build", "-w", workspace, "--version", "1.0.2", "--out", tmp_path / "1.0.2")
    assert len(open_release(tmp_path / "1.0.2").videos) == 2
    assert "must name one" in run("remove", "file-", "--why", "x", "-w", workspace, code=2)


def test_a_removal_is_told_whatever_became_of_splits_and_list(
    workspace: Path, run: Run, tmp_path: Path, again: Build
) -> None:
    run("build", "-w", workspace, "--version", "1.0.0", "--out", tmp_path / "1.0.0")
    first = open_release(tmp_path / "1.0.0").clips["clip_id"][0].as_py()
    memory = Workspace(workspace).splits_path
    before = memory.read_text()
    run("build", "-w", workspace, "--version", "1.1.0", "--out", tmp_path / "1.1.0", "--new-splits")
    sources = workspace / "sources.json"
    listed = [each for each in json.loads(sources.read_text()) if "dance-1" not in each["url"]]
    sources.write_text(json.dumps(listed))  # as if the list had been shortened
    gone = next(
        clip for clip in json.loads(before)["splits"] if clip not in clips_of(again_listed(workspace))
    )
    said = run("remove", gone, "--why", "takedown", "-w", workspace)
    assert (said["clip_id"], said["video_id"]) == (gone, gone.rpartition("_")[0])
    for version in ("1.2.0", "1.2.1"):
        run("build", "-w", workspace, "--version", version, "--out", tmp_path / version, "--new-splits")
        assert pq.read_table(tmp_path / version / "removed.parquet").column("clip_id").to_pylist() == [gone]
    memory.unlink()
    previous = ("--previous", tmp_path / "1.0.0")
    run("build", "-w", workspace, "--version", "1.3.0", "--out", tmp_path / "1.3.0", *previous)
    assert pq.read_table(tmp_path / "1.3.0" / "removed.parquet").column("clip_id").to_pylist() == [gone]
    assert first in {gone, *clips_of(tmp_path / "1.3.0")}


def again_listed(workspace: Path) -> Path:
    """The workspace after its tables were made anew from its list."""
    from d2midi_build.standing import refresh

    refresh(Workspace(workspace))
    return workspace


def clips_of(folder: Path) -> list[str]:
    """Ids of the clips of a workspace or a release."""
    if (folder / "manifests").is_dir():
        ids: list[str] = tables.read(folder / "manifests" / "clips.parquet").column("clip_id").to_pylist()
        return ids
    found: list[str] = open_release(folder).clips.column("clip_id").to_pylist()
    return found


def test_what_was_never_released_is_left_out_without_a_word_to_readers(
    workspace: Path, run: Run, tmp_path: Path
) -> None:
    clip = clips_of(workspace)[0]
    assert "readers are told" in run("remove", clip, "-w", workspace, code=2)
    assert "was not removed" in run("remove", clip, "--withdraw", "-w", workspace, code=2)
    run("remove", clip, "--why", "too dark", "-w", workspace)
    run("build", "-w", workspace, "--version", "1.0.0", "--out", tmp_path / "1.0.0")
    assert clip not in clips_of(tmp_path / "1.0.0")
    assert len(pq.read_table(tmp_path / "1.0.0" / "removed.parquet")) == 0
    removed = Workspace(workspace).removed_path
    removed.write_text(removed.read_text() + '{"video_id": "x", "half')
    said = run("build", "-w", workspace, "--version", "1.0.1", "--out", tmp_path / "1.0.1", code=2)
    assert "removed.jsonl line 2 is damaged" in said


def test_nothing_private_of_local_files_is_published(
    workspace: Path, run: Run, dances: Path, tmp_path: Path
) -> None:
    recipe = workspace / "recipe.toml"
    text = recipe.read_text().replace('demucs_folder = ""', 'demucs_folder = "/home/someone/secret"')
    recipe.write_text(text)
    run("build", "-w", workspace, "--version", "1.0.0", "--out", tmp_path / "1.0.0")
    videos = open_release(tmp_path / "1.0.0").videos.to_pylist()
    assert {(row["url"], row["title"], row["site_id"], row["site"]) for row in videos} == {
        ("", "", "", "file")
    }
    everything = b"".join(path.read_bytes() for path in (tmp_path / "1.0.0").rglob("*") if path.is_file())
    assert b"dance-1" not in everything
    assert b"someone" not in everything
    assert str(dances).encode() not in everything


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://www.youtube.com/watch?v=abc", "https://www.youtube.com/watch?v=abc"),
        ("https://me:secret@videos.example:8443/v/1", "https://videos.example:8443/v/1"),
        ("http://127.0.0.1:5000/v.mp4", ""),
        ("http://10.1.2.3/v.mp4", ""),
        ("http://[::1]/v.mp4", ""),
        ("http://[2606:4700::1111]/v.mp4", "http://[2606:4700::1111]/v.mp4"),
        ("https://nas.lan/v.mp4", ""),
        ("http://localhost/v.mp4", ""),
        ("/home/someone/v.mp4", ""),
        ("", ""),
    ],
)
def test_addresses_are_published_without_logins_and_only_if_others_can_reach_them(
    url: str, public: str
) -> None:
    assert public_address(url) == public


def test_a_damaged_file_of_splits_stops_the_build(workspace: Path, run: Run, tmp_path: Path) -> None:
    path = Workspace(workspace).splits_path
    path.parent.mkdir(exist_ok=True)
    path.write_text('{"splits": {"half')
    said = run("build", "-w", workspace, "--version", "1.0.0", "--out", tmp_path / "1.0.0", code=2)
    assert "splits.json" in said
    assert "--new-splits" in said
    assert not (tmp_path / "1.0.0").exists()


def test_a_bit_that_flips_is_found_and_its_file_named(
    workspace: Path,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run("build", "-w", workspace, "--version", "1.0.0", "--out", tmp_path / "1.0.0")
    path = next((tmp_path / "1.0.0/data/frames").iterdir())
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    monkeypatch.setattr(sys, "argv", ["d2midi", "release", "verify", str(tmp_path / "1.0.0")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert f"data/frames/{path.name}" in capsys.readouterr().out
