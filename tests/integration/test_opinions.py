"""Two transcribers listen to the same dances: what is told of it, and which sheets people see first."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from typer.testing import CliRunner

from d2midi_build import registry, tables, validation
from d2midi_build.annotate.studio import drawing
from d2midi_build.annotate.studio.choosing import sheet_tasks
from d2midi_build.annotate.studio.preparing import Prepared, Wishes
from d2midi_build.annotate.studio.selection import candidates, select
from d2midi_build.cli import app
from d2midi_build.engine.base import Event
from d2midi_build.errors import UsageError
from d2midi_build.garbage import collect
from d2midi_build.ledger import Ledger
from d2midi_build.manifests import OTHERS, remember, remembered
from d2midi_build.music.notes import Notes
from d2midi_build.music.synthesis import synthesise
from d2midi_build.pipeline import Selection, Silent, Summary, _local, build
from d2midi_build.plan import survey
from d2midi_build.recipe import Recipe
from d2midi_build.sources.lists import Source, read_sources
from d2midi_build.stages import listening
from d2midi_build.stages.base import NAMES
from d2midi_build.stages.opinions import abilities
from d2midi_build.standing import refresh
from d2midi_build.synthetic.dancer import choreograph
from d2midi_build.synthetic.slate import SLATE_S
from d2midi_build.synthetic.videos import SHAPES, write_video
from d2midi_build.workspace import Workspace
from tests.integration.test_build import digests, rows
from tests.integration.test_faults import start

RATE_HZ = 44_100
SECONDS = 6.0


@pytest.fixture(scope="module")
def two(recipe: Recipe) -> Recipe:
    return recipe.with_field("transcribe.others", ("basic-pitch",))


@pytest.fixture(scope="module")
def heard_twice(
    tmp_path_factory: pytest.TempPathFactory, built: tuple[Path, Summary], dances: Path, two: Recipe
) -> Path:
    """The dances, heard by embedded and basic-pitch; no test changes it."""
    root = tmp_path_factory.mktemp("twice") / "workspace"
    shutil.copytree(built[0], root)
    assert build(list(read_sources(dances / "list.txt")), root, two).ran == {"opinions": {"done": 2}}
    return root


@pytest.fixture
def music_box() -> ModuleType:
    """Weights of MT3 that play a tune."""
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    return importlib.import_module("tests.transcribers.mt3.music_box")


def test_the_notes_stay_the_primary_s_and_each_has_what_the_other_says(
    heard_twice: Path, built: tuple[Path, Summary]
) -> None:
    alone, notes = rows(built[0], "notes"), rows(heard_twice, "notes")
    assert all(note["agreement"] is None for note in alone) and rows(built[0], "opinions") == []
    assert [note | {"agreement": None} for note in notes] == alone
    # basic-pitch hears no drums, and of pitched notes it heard some and some not.
    assert {note["agreement"] for note in notes if note["is_drum"]} == {None}
    assert {note["agreement"] for note in notes if not note["is_drum"]} == {0.0, 1.0}
    opinions = rows(heard_twice, "opinions")
    assert {opinion["transcriber"] for opinion in opinions} == {"basic-pitch"}
    assert {opinion["in_primary"] for opinion in opinions} == {True, False}
    assert all(
        '"basic-pitch 2"' in each["made_by"] and "embedded" not in each["made_by"] for each in opinions
    )
    assert validation.validate(Workspace.open(heard_twice), deep=True) == []


def test_the_ledger_and_status_count_what_they_share(heard_twice: Path) -> None:
    notes, opinions = rows(heard_twice, "notes"), rows(heard_twice, "opinions")
    counted: Counter[str] = Counter()
    for record in Ledger(Workspace.open(heard_twice).ledger_path):
        if record.stage == "opinions":
            counted.update(record.facts["others"]["basic-pitch"])
    assert counted == {
        "n_asked": sum(note["agreement"] is not None for note in notes),
        "n_shared": sum(note["agreement"] == 1.0 for note in notes),
        "n_alone": sum(not opinion["in_primary"] for opinion in opinions),
    }
    assert survey(Workspace.open(heard_twice)).agreements == {"basic-pitch": counted}


def test_a_second_build_does_nothing_and_a_killed_one_ends_with_the_same_bytes(
    heard_twice: Path, dances: Path, two: Recipe, built: tuple[Path, Summary], tmp_path: Path
) -> None:
    expected = digests(heard_twice)
    sources = list(read_sources(dances / "list.txt"))
    assert build(sources, heard_twice, two).ran == {}
    assert digests(heard_twice) == expected
    root, recipe = tmp_path / "workspace", tmp_path / "recipe.toml"
    shutil.copytree(built[0], root)
    recipe.write_text(two.to_toml())
    run = start(root, dances, recipe)
    deadline = time.monotonic() + 60
    while not [*(root / "store" / "opinions").glob("*/*")]:  # until one of the two is done
        assert time.monotonic() < deadline and run.poll() is None
        time.sleep(0.005)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    build(sources, root, two)
    assert digests(root) == expected


def test_the_other_way_round_drums_are_what_the_primary_cannot_know(
    heard_twice: Path, dances: Path, two: Recipe, tmp_path: Path
) -> None:
    root = tmp_path / "workspace"
    shutil.copytree(heard_twice, root)
    turned = two.with_field("transcribe.transcriber", "basic-pitch").with_field(
        "transcribe.others", ("embedded",)
    )
    build(list(read_sources(dances / "list.txt")), root, turned)
    opinions = rows(root, "opinions")
    assert all((opinion["in_primary"] is None) == opinion["is_drum"] for opinion in opinions)
    # Both ways round they have the same in common, but for what only instruments tell apart.
    shared = sum(note["agreement"] == 1.0 for note in rows(heard_twice, "notes"))
    assert 0 < sum(note["agreement"] == 1.0 for note in rows(root, "notes")) <= shared
    assert sum(opinion["in_primary"] is True for opinion in opinions) == shared


def test_stems_are_heard_by_each_in_the_same_way(
    heard_twice: Path, dances: Path, two: Recipe, tmp_path: Path
) -> None:
    root = tmp_path / "workspace"
    shutil.copytree(heard_twice, root)
    build(list(read_sources(dances / "list.txt")), root, two.with_field("separate.method", "hpss"))
    opinions, notes = rows(root, "opinions"), rows(root, "notes")
    assert len(opinions) > 20 and not any(opinion["is_drum"] for opinion in opinions)
    assert {note["agreement"] for note in notes if note["is_drum"]} == {None}
    assert np.mean([note["agreement"] for note in notes if not note["is_drum"]]) > 0.5


@pytest.mark.parametrize(
    ("others", "says"),
    [
        (("embedded",), r"embedded is named twice: .*leave it out of transcribe\.others"),
        (("basic-pitch", "basic-pitch"), "basic-pitch is named twice"),
        (("ears",), "no transcriber is called 'ears'; use one of: basic-pitch, embedded"),
    ],
)
def test_others_that_cannot_be_are_refused_before_anything_runs(
    dances: Path, recipe: Recipe, tmp_path: Path, others: Sequence[str], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        build(
            list(read_sources(dances / "list.txt")),
            tmp_path / "w",
            recipe.with_field("transcribe.others", others),
        )
    assert not (tmp_path / "w").exists()


# ---- which sheets people see first ----


def _dance(path: Path, notes: Notes) -> None:
    rng = np.random.default_rng(1)
    sound = synthesise(notes, RATE_HZ, round(SECONDS * RATE_HZ))
    sound = (0.3 * sound / np.abs(sound).max()).astype(np.float32)
    shape = replace(SHAPES["25fps"], size_px=(320, 320))
    write_video(
        path, shape, [choreograph(rng, 120.0, SECONDS, first_beat_s=SLATE_S)], sound, RATE_HZ, SECONDS, rng
    )


@pytest.fixture(scope="module")
def melodies(tmp_path_factory: pytest.TempPathFactory) -> list[Source]:
    """One dance to a long bass, of which basic-pitch hears overtones as well; one to short notes of brass.

    Of the brass the transcriber is less sure, since it does not know the instrument, but both hear the same pitches.
    """
    folder = tmp_path_factory.mktemp("melodies")
    onset_s = SLATE_S + 0.25 * np.arange(14)
    pitch = np.random.default_rng(0).choice([60, 62, 64, 65, 67, 69, 71, 72], 14)
    _dance(folder / "bass.mp4", Notes.create(onset_s, onset_s + 0.23, pitch, 100, 32))
    _dance(folder / "brass.mp4", Notes.create(onset_s, onset_s + 0.06, pitch, 100, 62))
    return [*read_sources(folder / "bass.mp4"), *read_sources(folder / "brass.mp4")]


def _least_sure_first(root: Path) -> tuple[list[str], list[Prepared]]:
    """Names of the dances in the order that `annotate push --below 1` sends them, and their tasks."""
    workspace = Workspace.open(root)
    name = {each["video_ids"][0]: Path(each["url"]).stem for each in rows(root, "sources")}
    chosen = select(candidates(workspace), below=1.0)
    failed: list[tuple[str, str]] = []
    tasks = list(sheet_tasks(workspace, chosen, Wishes(), failed))
    assert not failed
    return [name[each.video_id] for each in chosen], tasks


def test_sheets_where_opinions_differ_are_sent_first_and_notes_that_only_one_heard_are_framed(
    melodies: list[Source], recipe: Recipe, tmp_path: Path
) -> None:
    root = tmp_path / "w"
    for field in ("silent_review", "silent_reject", "speech_review", "speech_reject"):
        recipe = recipe.with_field(f"filter.{field}", 1.0)
    recipe = recipe.with_field("filter.music_review", 0.0).with_field("filter.music_reject", 0.0)
    build(melodies, root, recipe)
    names, before = _least_sure_first(root)
    assert names == ["brass", "bass"]
    build(melodies, root, recipe.with_field("transcribe.others", ("basic-pitch",)))
    names, after = _least_sure_first(root)
    assert names == ["bass", "brass"]
    notes = rows(root, "notes")
    for task, alone in zip(after, before[::-1], strict=True):
        assert task.task.key == alone.task.key
        sure, doubtful = set[int](), set[int]()
        for note in notes:
            if note["clip_id"] == task.clip.clip_id:
                weight = 1.0 if note["agreement"] is None else (1 + note["agreement"]) / 2
                doubt = note["p_note"] * note["p_instrument"] * weight <= drawing.UNSURE
                (doubtful if doubt else sure).add(note["note"])
        assert task.unsure == doubtful
        assert {*task.task.rows} == doubtful | sure
        assert task.unsure >= alone.unsure


def test_mt3_as_the_primary_and_how_it_computes_is_no_part_of_the_key(
    heard_twice: Path,
    dances: Path,
    recipe: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    music_box: ModuleType,
) -> None:
    music_box.register(tmp_path, monkeypatch)
    root = tmp_path / "workspace"
    shutil.copytree(heard_twice, root)
    sources = list(read_sources(dances / "list.txt"))
    chosen = recipe.with_field("transcribe.transcriber", "mt3").with_field("transcribe.others", ("embedded",))
    assert build(sources, root, chosen).ran["transcribe"] == {"done": 2}
    notes, opinions = rows(root, "notes"), rows(root, "opinions")
    assert {note["pitch"] for note in notes if note["is_drum"]} == {36, 38}
    assert {note["pitch"] for note in notes if not note["is_drum"]} == {40, 60}
    # Both name instruments and hear drums: every note is asked about.
    assert {note["agreement"] for note in notes} <= {0.0, 1.0}
    assert {opinion["transcriber"] for opinion in opinions} == {"embedded"}
    assert not any(opinion["in_primary"] is None for opinion in opinions)
    assert sum(note["agreement"] == 1.0 for note in notes) == sum(
        opinion["in_primary"] for opinion in opinions
    )
    for field, value in (("batch", 3), ("device", "cpu")):
        assert build(sources, root, chosen.with_field(f"mt3.{field}", value)).ran == {}
    assert build(sources, root, chosen.with_field("mt3.decode", "argmax")).ran["transcribe"] == {"done": 2}
    # What others say follows notes that are others now.
    others = tmp_path / "others.safetensors"
    music_box.write(others, [("tie", 0), ("velocity", 1), ("shift", 10), ("program", 0), ("pitch", 60)])
    ran = build(sources, root, chosen.with_field("mt3.model", str(others))).ran
    assert ran["transcribe"] == ran["opinions"] == {"done": 2}
    notes, opinions = rows(root, "notes"), rows(root, "opinions")
    assert {note["pitch"] for note in notes} == {60}
    assert sum(note["agreement"] for note in notes) == sum(opinion["in_primary"] for opinion in opinions)


class GettingOn(Silent):
    """Keeps the stages that told how far they had come."""

    def __init__(self) -> None:
        self.stages: set[str] = set()

    def event(self, event: Event) -> None:
        if event.kind == "progressed":
            self.stages.add(event.job.stage)


def test_others_listen_without_the_weights_of_the_primary(
    built: tuple[Path, Summary],
    dances: Path,
    recipe: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    music_box: ModuleType,
) -> None:
    """Piano weights name no instruments: who compares must not ask those that have their name by now."""
    music_box.register(tmp_path, monkeypatch)
    root, sources = tmp_path / "workspace", list(read_sources(dances / "list.txt"))
    shutil.copytree(built[0], root)
    chosen = recipe.with_field("transcribe.transcriber", "mt3")
    told = GettingOn()
    build(sources, root, chosen, selection=Selection(("transcribe",)), listener=told)
    assert told.stages == {"transcribe"}
    facts = [each.facts for each in Ledger(Workspace.open(root).ledger_path) if each.stage == "transcribe"]
    assert {(each["names_instruments"], each["hears_drums"]) for each in facts} == {(True, True)}
    registry.remove("mt3")
    listening._digests.cache_clear()
    listening._transcriber.cache_clear()
    other, only = chosen.with_field("transcribe.others", ("embedded",)), Selection(("opinions",))
    assert build(sources, root, other, selection=only).ran == {"opinions": {"done": 2}}
    opinions = rows(root, "opinions")
    assert {opinion["in_primary"] for opinion in opinions if opinion["is_drum"]} <= {True, False}
    # What older records do not tell, their transcribers do.
    for name, able in (("embedded", True), ("basic-pitch", False)):
        older = abilities({}, recipe.with_field("transcribe.transcriber", name))
        assert older == {"names_instruments": able, "hears_drums": able}
    # Nor does anything else need weights that are not to listen, whoever listened before.
    asked = recipe.with_field("transcribe.others", ("mt3",))
    assert build(sources, root, asked, selection=Selection(("keypoints", "transcribe"))).ran == {}
    with pytest.raises(UsageError, match=r"no weights 'mt3'.*`--other none` asks nobody"):
        build(sources, root, asked, selection=only)


def test_weights_exchanged_during_a_build_are_not_taken_for_the_old_ones(
    heard_twice: Path,
    dances: Path,
    recipe: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    music_box: ModuleType,
) -> None:
    music_box.register(tmp_path, monkeypatch)
    root, weights = tmp_path / "workspace", tmp_path / "mine.safetensors"
    shutil.copytree(heard_twice, root)
    music_box.write(weights)
    first = weights.read_bytes()
    sources = list(read_sources(dances / "list.txt"))
    chosen = recipe.with_field("transcribe.transcriber", "mt3").with_field("mt3.model", str(weights))

    def exchanging(*given: object) -> object:
        music_box.write(weights, [("velocity", 1), ("drum", 40)])
        return _local(*given)  # type: ignore[arg-type]

    ran = build(sources, root, chosen, make_engine=exchanging).ran  # type: ignore[arg-type]
    assert ran == {"transcribe": {"failed": 2}}
    records = [record for record in Ledger(Workspace.open(root).ledger_path) if record.stage == "transcribe"]
    failed = [record for record in records if record.status == "failed"]
    assert {record.reason for record in failed} == {"transient"}
    assert all("exchanged while a build ran" in record.message for record in failed)
    weights.write_bytes(first)
    again = build(sources, root, chosen, selection=Selection(retry=("transient",))).ran
    assert again["transcribe"] == {"done": 2}
    assert {note["pitch"] for note in rows(root, "notes")} == {36, 38, 40, 60}


def test_a_clip_without_opinions_is_as_good_as_others(
    built: tuple[Path, Summary],
    dances: Path,
    recipe: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    music_box: ModuleType,
) -> None:
    music_box.register(tmp_path, monkeypatch)
    root, weights = tmp_path / "workspace", tmp_path / "mine.safetensors"
    shutil.copytree(built[0], root)
    music_box.write(weights)
    first = weights.read_bytes()
    sources = list(read_sources(dances / "list.txt"))
    chosen = recipe.with_field("transcribe.others", ("mt3",)).with_field("mt3.model", str(weights))

    def exchanging(*given: object) -> object:
        music_box.write(weights, [("velocity", 1), ("drum", 40)])
        return _local(*given)  # type: ignore[arg-type]

    failed = build(sources, root, chosen, make_engine=exchanging)  # type: ignore[arg-type]
    assert failed.ran == {"opinions": {"failed": 2}}
    assert rows(root, "notes") == rows(built[0], "notes") and rows(root, "opinions") == []
    assert rows(root, "windows") == rows(built[0], "windows")
    clips = rows(root, "clips")
    assert {(clip["status"], clip["failed_stage"], clip["message"]) for clip in clips} == {("done", "", "")}
    failures = [record for record in survey(Workspace.open(root)).failures if record.stage == "opinions"]
    assert ["exchanged while a build ran" in record.message for record in failures] == [True, True]
    weights.write_bytes(first)
    told, retry = GettingOn(), Selection(retry=("transient",))
    again = build(sources, root, chosen, selection=retry, listener=told).ran
    assert again["opinions"] == {"done": 2} and told.stages == {"opinions"}
    assert {note["pitch"] for note in rows(root, "opinions") if note["is_drum"]} == {36, 38}
    assert {note["agreement"] for note in rows(root, "notes")} <= {0.0, 1.0}
    assert not any(record.stage == "opinions" for record in survey(Workspace.open(root)).failures)


def test_others_listen_before_the_dance_was_looked_at(
    dances: Path, two: Recipe, built: tuple[Path, Summary], tmp_path: Path
) -> None:
    root, sources = tmp_path / "workspace", list(read_sources(dances / "dance-1.mp4"))
    until = NAMES[: NAMES.index("opinions") + 1]
    ran = build(sources, root, two, selection=Selection(until)).ran
    assert ran["opinions"] == {"done": 1} and "keypoints" not in ran
    assert {note["agreement"] for note in rows(root, "notes")} == {None, 0.0, 1.0}
    (clip,) = rows(root, "clips")
    assert clip["status"] == "waiting" and "opinions" not in json.loads(clip["made_by"])
    # What is told of a clip is what it waits for.
    (whole,) = (each for each in rows(built[0], "clips") if each["clip_id"] == clip["clip_id"])
    for stages, status, told in (
        (("opinions",), "waiting", ""),
        (("opinions", "transcribe"), "failed", "transcribe"),
    ):
        with Ledger(Workspace.open(root).ledger_path, writable=True) as ledger:
            for record in list(ledger):
                if record.stage in stages:
                    ledger.append(replace(record, status="failed", reason="permanent", message=record.stage))
        refresh(Workspace.open(root))
        (clip,) = rows(root, "clips")
        assert (clip["status"], clip["failed_stage"], clip["message"]) == (status, told, told)
    assert whole["status"] == "done"


def test_nobody_is_asked_any_more_on_the_command_line(heard_twice: Path, two: Recipe, tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    shutil.copytree(heard_twice, root)
    before = [each.confidence for each in candidates(Workspace.open(root))]
    remember(
        Workspace.open(root), remembered(Workspace.open(root))[0], two.with_field("transcribe.others", ())
    )
    # Until the tables follow, they are read as what they were made from.
    assert [each.confidence for each in candidates(Workspace.open(root))] == before
    remember(Workspace.open(root), remembered(Workspace.open(root))[0], two)
    run = CliRunner().invoke(app, ["build", "-w", str(root), "--other", "none", "--json"])
    assert json.loads(run.stdout)["ran"] == {}
    assert tables.metadata(root / "manifests" / "opinions.parquet")[OTHERS] == "0"
    assert tables.metadata(heard_twice / "manifests" / "opinions.parquet")[OTHERS] == "1"
    assert rows(root, "opinions") == [] and {note["agreement"] for note in rows(root, "notes")} == {None}
    for command in (
        ["opinions"],
        ["build", "--only", "opinions", "--plan"],
        ["build", "--refresh", "opinions"],
    ):
        refused = CliRunner().invoke(app, [*command, "-w", str(root)]).exception
        assert isinstance(refused, UsageError) and "--other NAME" in str(refused)
    contrary = ["build", "-w", str(root), "--other", "none", "--other", "basic-pitch"]
    assert "asks nobody" in str(CliRunner().invoke(app, contrary).exception)
    again = ["build", "-w", str(root), "--other", "basic-pitch", "--json"]
    assert json.loads(CliRunner().invoke(app, again).stdout)["ran"] == {}
    assert [each.confidence for each in candidates(Workspace.open(root))] == before


def test_an_update_of_what_comes_with_d2midi_is_told(
    heard_twice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from d2midi_build.transcribers.embedded import Embedded

    monkeypatch.setattr(Embedded, "version", "3")
    state = {state.name: state for state in survey(Workspace.open(heard_twice)).stages}["transcribe"]
    assert (state.done, state.to_do) == (0, 2)


def test_a_workspace_knows_the_weights_it_was_built_with(
    heard_twice: Path,
    dances: Path,
    recipe: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    music_box: ModuleType,
) -> None:
    """Built with some weights, others tried, back to the first; then others under their name, then none."""
    root = tmp_path / "workspace"
    shutil.copytree(heard_twice, root)
    sources = list(read_sources(dances / "list.txt"))
    music_box.register(tmp_path, monkeypatch)
    chosen = recipe.with_field("transcribe.transcriber", "mt3")
    others = tmp_path / "other" / "weights.safetensors"
    others.parent.mkdir()
    music_box.write(others, [("velocity", 1), ("drum", 40)])
    assert build(sources, root, chosen).ran["transcribe"] == {"done": 2}
    first = rows(root, "notes")
    assert build(sources, root, chosen.with_field("mt3.model", str(others))).ran["transcribe"] == {"done": 2}
    assert rows(root, "notes") != first
    assert build(sources, root, chosen).ran == {}
    assert rows(root, "notes") == first

    def forget() -> None:
        listening._digests.cache_clear()
        listening._transcriber.cache_clear()

    def looks_as_built() -> bool:
        forget()
        state = {state.name: state for state in survey(Workspace.open(root)).stages}["transcribe"]
        refresh(Workspace.open(root))
        return (state.done, state.to_do) == (2, 0) and rows(root, "notes") == first

    assert looks_as_built()
    registry.remove("mt3")
    music_box.register(others.parent, monkeypatch, "mt3")
    music_box.write(others.parent / "mt3.safetensors", [("velocity", 1), ("drum", 41)])
    assert looks_as_built()
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    forget()
    with pytest.raises(UsageError, match="not those registered as mt3"):
        build(sources, copy, chosen)
    registry.remove("mt3")
    music_box.register(others.parent, monkeypatch, "mt3", [("velocity", 1), ("drum", 41)])
    assert build(sources, copy, chosen).ran["transcribe"] == {"done": 2}  # a build asks the machine
    assert {note["pitch"] for note in rows(copy, "notes")} == {41}
    monkeypatch.setenv("D2MIDI_MODELS", str(tmp_path / "elsewhere.json"))
    assert looks_as_built()
    collect(Workspace.open(root), unlisted=True)
    assert looks_as_built()
    assert (
        build(sources, root, chosen, selection=Selection(stages=("crawl", "filter", "keypoints"))).ran == {}
    )
    assert looks_as_built()
    forget()
    with pytest.raises(UsageError, match="no weights 'mt3'"):
        build(sources, root, chosen)
    assert looks_as_built()
    # How it would listen changes nothing, and without the memory nothing is taken for undone.
    only = Selection(stages=("crawl", "keypoints"))
    for field, value in (("mt3.batch", 8), ("mt3.device", "cpu"), ("basic_pitch.melodia", False)):
        assert build(sources, root, chosen.with_field(field, value), selection=only).ran == {}
        assert looks_as_built()
    memory = root / "models.json"
    kept = memory.read_text()
    for damaged in ("", "[]", "null", '{"mt3 mt3": []}', "{}"):
        memory.write_text(damaged)
        forget()
        for command in (survey, refresh, lambda workspace: collect(workspace, unlisted=True)):
            with pytest.raises(UsageError, match="no weights 'mt3'"):
                command(Workspace.open(root))
        assert rows(root, "notes") == first
    memory.write_text(kept)
    assert looks_as_built()
    # Of a recipe that nobody built with them, nothing is done.
    build(sources, root, chosen.with_field("mt3.decode", "argmax"), selection=Selection(stages=("crawl",)))
    assert rows(root, "notes") == []
    music_box.register(tmp_path, monkeypatch)
    forget()
    assert build(sources, root, chosen).ran == {}
    assert looks_as_built()
