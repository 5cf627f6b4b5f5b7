"""Takes on their way to people."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from d2midi_build.annotate.excerpt import excerpt_of
from d2midi_build.annotate.screening import Asked
from d2midi_build.annotate.screening_push import Candidate, chosen, push, render, title_of
from d2midi_build.errors import UsageError
from d2midi_build.workspace import Workspace
from tests.annotate.kept import Kept
from tests.annotate.test_excerpt import flashing


def candidate(video: Path, number: int = 0, length_s: float = 1.0) -> Candidate:
    asked = Asked(f"v_{number}", "v", "s-1", "v.mp4", "", excerpt_of(number, number + length_s))
    return Candidate(asked, video, f"v_{number}", "Why you are asked: clutter", "a title")


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return flashing(tmp_path / "v.mp4", 4, [0.5, 1.5])


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "w")


def test_videos_are_made_once_and_again_only_for_another_excerpt(workspace: Workspace, video: Path) -> None:
    both = [candidate(video), candidate(video, 1)]
    done: list[tuple[int, int]] = []
    made, failed = render(workspace, both, 2, lambda n, of: done.append((n, of)))
    assert (made, failed, done) == (both, [], [(1, 2), (2, 2)])
    folder = workspace.root / "annotation" / "served" / "media" / "screen"
    first = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert set(first) == {"v_0.mp4", "v_1.mp4"}
    render(workspace, [both[0], candidate(video, 1, 2.0)])
    again = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert first["v_0.mp4"] == again["v_0.mp4"] and first["v_1.mp4"] != again["v_1.mp4"]


def test_what_is_no_video_is_made_anew(workspace: Workspace, video: Path) -> None:
    render(workspace, [candidate(video)])
    path = workspace.root / "annotation" / "served" / "media" / "screen" / "v_0.mp4"
    whole = path.read_bytes()
    path.write_bytes(b"")
    render(workspace, [candidate(video)])
    assert path.read_bytes() == whole


def test_a_take_that_cannot_be_shown_does_not_stop_the_rest(
    workspace: Workspace, video: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    made, failed = render(workspace, [candidate(tmp_path / "broken.mp4"), candidate(video, 1)])
    assert [each.asked.take_id for each in made] == ["v_1"]
    assert len(failed) == 1 and failed[0].startswith("v_0: ")


def test_a_second_push_changes_nothing_and_what_people_worked_on_stays(
    workspace: Workspace, video: Path
) -> None:
    studio, both = Kept(), [candidate(video), candidate(video, 1)]
    first = push(studio, workspace, both)
    assert (first.new, first.renewed, first.known) == (2, 0, 0)
    assert studio.title == "d2midi screening: w" == title_of(workspace.root)
    assert (
        studio.storage == workspace.root / "annotation" / "served" / "media"
        and 'name="dancers"' in studio.config
    )
    assert studio.there["screen/v_0"].data == {
        "task_key": "screen/v_0",
        "title": "v_0",
        "video": "/data/local-files/?d=media/screen/v_0.mp4",
        "machine": "Why you are asked: clutter",
        "about": "a title",
    }
    second = push(studio, workspace, both)
    assert (second.new, second.renewed, second.known) == (0, 0, 2)

    changed = [replace(each, machine="Why you are asked: noise") for each in both]
    studio.there["screen/v_0"] = replace(studio.there["screen/v_0"], n_annotations=1)
    third = push(studio, workspace, [*changed, candidate(video, 2)])
    assert (third.new, third.renewed, third.known) == (1, 1, 1)
    assert [studio.there[f"screen/v_{n}"].data["machine"].split()[-1] for n in range(3)] == [
        "clutter",
        "noise",
        "clutter",
    ]


def test_a_task_that_somebody_begins_meanwhile_stays(workspace: Workspace, video: Path) -> None:
    studio = Kept(begun={"screen/v_0"})
    push(studio, workspace, [candidate(video)])
    told = push(studio, workspace, [replace(candidate(video), machine="else")])
    assert (told.new, told.renewed, told.known) == (0, 0, 1)


def test_media_may_lie_elsewhere(workspace: Workspace, video: Path) -> None:
    studio = Kept()
    push(studio, workspace, [candidate(video)], media="s3://bucket/media")
    assert (
        studio.there["screen/v_0"].data["video"] == "s3://bucket/media/screen/v_0.mp4"
        and studio.storage is None
    )


def test_takes_are_chosen_by_their_own_or_their_video_s_id(video: Path) -> None:
    both = [candidate(video), candidate(video, 1)]
    assert chosen(both, ()) == both == chosen(both, ("v",))
    assert chosen(both, ("v_1",)) == both[1:]
    with pytest.raises(UsageError, match="'x' is no take or video under review"):
        chosen(both, ("v_0", "x"))
