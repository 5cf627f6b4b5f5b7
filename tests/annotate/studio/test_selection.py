"""Which sheets are chosen: read from tables written by hand, and by rules checked by hand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from d2midi_build import manifests, tables
from d2midi_build.annotate.corrections import Correction, append, path_in
from d2midi_build.annotate.layering import Layered
from d2midi_build.annotate.sheets import Sheet
from d2midi_build.annotate.studio.selection import Candidate, candidates, select
from d2midi_build.errors import SchemaError, UsageError
from d2midi_build.music.notes import Notes
from d2midi_build.release.workspace import remove
from d2midi_build.workspace import Workspace
from tests.annotate.workspaces import _row as row_of

GENRES = ("breaking", "house", "popping")


def candidate(
    source: int = 0, number: int = 0, genre: str = "", split: str = "", confidence: float = 1.0
) -> Candidate:
    clip_id = f"v{source:03d}_00000000"
    sheet = Sheet(clip_id, number, 600 * number, 600 * (number + 1), 6000)
    return Candidate(sheet, clip_id, f"v{source:03d}", genre, split, confidence, 100, False)


def ids(found: Sequence[Candidate]) -> list[str]:
    return [each.sheet.sheet_id for each in found]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Clips of three sheets (the last without notes) and of one, of two videos, and one that is not transcribed."""
    made = Workspace.create(tmp_path / "w")
    lengths = {"b_00000000": (1300, 4), "a_00001000": (600, 1), "b_00070000": (700, None)}
    clips: list[dict[str, Any]] = [
        row_of("clips", clip_id=clip, video_id=clip[0], n_frames=n_frames, n_notes=n_notes)
        for clip, (n_frames, n_notes) in lengths.items()
    ]
    videos = [row_of("videos", video_id=name, genre=genre) for name, genre in (("a", "house"), ("b", ""))]
    notes = {
        "a_00001000": Notes.create([1.0], [2.0], [60], p_note=0.5, p_instrument=0.5),
        "b_00000000": Notes.create(
            [0.0, 29.99, 30.0, 59.0],
            [31.0, 31.0, 31.0, 61.0],
            [60, 61, 62, 63],
            p_note=[1.0, 0.5, 0.25, 0.75],
            p_instrument=[1.0, 1.0, 1.0, 0.5],
        ),
    }
    rows = [
        row_of("notes", clip_id=clip_id, note=number, **note)
        for clip_id, some in notes.items()
        for number, note in enumerate(some.to_table().to_pylist())
    ]
    for name, table in (("clips", clips), ("videos", videos), ("notes", rows)):
        tables.write(made.manifests / f"{name}.parquet", tables.from_rows(name, table))
    return made


def test_every_sheet_of_a_transcribed_clip_is_a_candidate_with_its_confidence(workspace: Workspace) -> None:
    found = candidates(workspace)
    assert [(each.sheet.sheet_id, each.n_notes, each.confidence) for each in found] == [
        ("a_00001000_s000", 1, 0.25),
        ("b_00000000_s000", 2, 0.75),  # by onset: both notes sound on into the next sheet
        ("b_00000000_s001", 2, pytest.approx((0.25 + 0.75 * 0.5) / 2)),
        ("b_00000000_s002", 0, 1.0),
    ]
    assert [(each.clip_id, each.video_id, each.genre, each.split) for each in found[:2]] == [
        ("a_00001000", "a", "house", ""),
        ("b_00000000", "b", "", ""),
    ]
    assert found[3].sheet == Sheet("b_00000000", 2, 1200, 1300, 1300)
    assert not any(each.corrected for each in found)


def test_a_sheet_is_less_sure_where_others_disagree_and_where_they_heard_more(workspace: Workspace) -> None:
    """Four others: of the notes of `b` all, half, none and nobody was asked; two heard more, in two sheets."""
    agreed = {("b_00000000", 0): 1.0, ("b_00000000", 1): 0.5, ("b_00000000", 2): 0.0}
    path = workspace.manifests / "notes.parquet"
    notes = tables.read(path).to_pylist()
    tables.write(
        path,
        tables.from_rows(
            "notes", [note | {"agreement": agreed.get((note["clip_id"], note["note"]))} for note in notes]
        ),
    )
    heard = [
        ("b_00000000", "mt3", 1.0, 0.75, True),  # the machine has it
        ("b_00000000", "mt3", 2.0, 0.75, False),
        ("b_00000000", "mt3", 3.0, 0.75, None),  # the machine could not have it
        ("b_00000000", "mt3", 61.0, 0.5, False),
        ("b_00000000", "basic-pitch", 61.0, 0.25, False),
        ("gone_00000000", "mt3", 1.0, 1.0, False),
    ]
    told = [
        row_of(
            "opinions",
            clip_id=clip_id,
            transcriber=by,
            note=number,
            onset_s=onset_s,
            p_note=p_note,
            in_primary=ours,
        )
        for number, (clip_id, by, onset_s, p_note, ours) in enumerate(heard)
    ]
    path = workspace.manifests / "opinions.parquet"
    tables.write(path, tables.from_rows("opinions", told), {manifests.OTHERS: "4"})
    assert [(each.sheet.sheet_id, each.n_notes, each.confidence) for each in candidates(workspace)] == [
        ("a_00001000_s000", 1, 0.25),
        ("b_00000000_s000", 2, pytest.approx((1.0 + 0.5 * 0.75) / (2 + 0.75 / 4))),
        ("b_00000000_s001", 2, pytest.approx((0.25 / 2 + 0.75 * 0.5) / 2)),
        ("b_00000000_s002", 0, 0.0),  # the machine heard nothing, others did
    ]


def test_tables_of_an_older_build_know_no_others(workspace: Workspace) -> None:
    before = candidates(workspace)
    path = workspace.manifests / "notes.parquet"
    tables.write(path, tables.read(path).drop_columns(["agreement"]))
    assert candidates(workspace) == before


def test_splits_of_releases_and_corrections_are_known(workspace: Workspace) -> None:
    workspace.splits_path.parent.mkdir(exist_ok=True)
    workspace.splits_path.write_text(json.dumps({"splits": {"b_00000000": "test"}, "earlier": []}))
    layered = Layered.untouched(Notes.empty())
    made = Correction(
        "b_00000000_s001", "ada", "2026-01-01T00:00:00+00:00", "heard", "midi", layered.said, layered
    )
    append(path_in(workspace), [made])
    found = candidates(workspace)
    assert [(each.split, each.corrected) for each in found] == [
        ("", False),
        ("test", False),
        ("test", True),
        ("test", False),
    ]
    append(path_in(workspace), [replace(made, at="2026-01-02T00:00:00+00:00", withdrawn=True)])
    assert not any(each.corrected for each in candidates(workspace))


def test_what_was_removed_for_good_is_no_candidate(workspace: Workspace) -> None:
    remove(workspace, "b_00000000", reason="asked to", by="ada", date="2026-01-01")
    assert ids(candidates(workspace)) == ["a_00001000_s000"]


def test_a_missing_table_says_how_to_make_it_again(workspace: Workspace) -> None:
    (workspace.manifests / "notes.parquet").unlink()
    with pytest.raises(SchemaError, match=r"notes.parquet is missing: `d2midi build`"):
        candidates(workspace)


def test_without_a_wish_all_come_by_id() -> None:
    found = [candidate(2), candidate(1, 1), candidate(1, 0)]
    assert ids(select(found)) == ["v001_00000000_s000", "v001_00000000_s001", "v002_00000000_s000"]
    assert ids(select(found, limit=2)) == ["v001_00000000_s000", "v001_00000000_s001"]


def test_the_least_confident_come_first() -> None:
    found = [candidate(number, confidence=each) for number, each in enumerate((0.4, 0.5, 0.1, 0.4, 0.3))]
    chosen = select(found, below=0.5)
    assert [each.clip_id[:4] for each in chosen] == ["v002", "v004", "v000", "v003"]
    assert select(found, below=0.5, limit=1) == chosen[:1]


def test_wishes_are_combined() -> None:
    found = [
        candidate(source, genre=genre, split=split)
        for source, (genre, split) in enumerate(
            [("house", "test"), ("house", "train"), ("popping", "test"), ("house", "test")]
        )
    ]
    chosen = select(found, split="test", genre="house")
    assert [each.video_id for each in chosen] == ["v000", "v003"]
    chosen = select(found, split="test", genre="house", clips=["v003_00000000", "v001_00000000"])
    assert [each.video_id for each in chosen] == ["v003"]


def test_an_unknown_wish_names_what_there_is() -> None:
    found = [candidate(0, genre="house", split="test"), candidate(1, genre="house"), candidate(2)]
    with pytest.raises(UsageError, match=r"genre 'tango'; sheets by genre: house \(2\); 1 without"):
        select(found, genre="tango")
    with pytest.raises(UsageError, match=r"split 'dev'; sheets by split: test \(1\); 2 without"):
        select(found, split="dev")
    with pytest.raises(UsageError, match=r"none has a split yet: build a release first"):
        select([candidate(0)], split="test")
    with pytest.raises(UsageError, match=r"'nobody'; there are 3: v000_00000000, v001"):
        select(found, clips=["nobody", "v000_00000000"])


@pytest.mark.parametrize(
    "wish", [{"below": 0.0}, {"below": float("nan")}, {"below": 70.0}, {"sample": 0}, {"limit": -1}]
)
def test_impossible_numbers_are_refused(wish: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        select([candidate()], **wish)


def test_a_sample_has_genres_in_proportion_and_no_source_twice() -> None:
    # 60, 30 and 10 sources; those of the first genre have nine sheets each, the others two.
    found = [
        candidate(source, number, GENRES[place])
        for place, sources in enumerate((range(60), range(60, 90), range(90, 100)))
        for source in sources
        for number in range(9 if place == 0 else 2)
    ]
    chosen = select(found, sample=20, seed=3)
    assert len({each.video_id for each in chosen}) == 20
    assert Counter(each.genre for each in chosen) == {"breaking": 12, "house": 6, "popping": 2}
    # A second sheet only after all sources had one; then nobody is left but the first genre.
    chosen = select(found, sample=250, seed=3)
    assert Counter(each.video_id for each in chosen[:100]) == Counter({f"v{n:03d}": 1 for n in range(100)})
    assert Counter(each.video_id for each in chosen[:200]) == Counter({f"v{n:03d}": 2 for n in range(100)})
    assert {each.genre for each in chosen[200:]} == {"breaking"}


def test_seeds_differ_and_each_sheet_of_a_source_has_its_chance() -> None:
    found = [candidate(source, number) for source in range(30) for number in range(4)]
    first, second = (ids(select(found, sample=10, seed=seed)) for seed in (0, 1))
    assert first != second
    drawn = Counter(each.sheet.number for seed in range(20) for each in select(found, sample=30, seed=seed))
    assert set(drawn) == {0, 1, 2, 3}
    assert all(100 < count < 200 for count in drawn.values())  # 600 draws: 150 each, sd 11


@given(
    made=st.lists(
        st.tuples(st.integers(0, 8), st.integers(0, 4), st.sampled_from(GENRES)), unique_by=lambda x: x[:2]
    ),
    n=st.integers(1, 20),
    seed=st.integers(0, 5),
    order=st.randoms(use_true_random=False),
)
def test_a_sample_is_the_beginning_of_a_larger_one_whatever_the_order(
    made: list[tuple[int, int, str]], n: int, seed: int, order: Any
) -> None:
    found = [candidate(*each) for each in made]
    larger = select(found, sample=n + 5, seed=seed)
    order.shuffle(found)
    sample = select(found, sample=n, seed=seed)
    assert sample == larger[:n]
    assert len(sample) == min(n, len(found)) == len(set(ids(sample)))
