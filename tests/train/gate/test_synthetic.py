"""Stages A, B and the lag curve on synthetic releases: a good one passes, each other fails for its own reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from d2midi_build.music.notes import Notes
from d2midi_build.recipe import Recipe
from d2midi_build.release.reader import Release
from d2midi_build.synthetic.releases import Sabotage, release
from d2midi_build.train.gate import heard, lag, records, static, summary
from d2midi_build.train.gate.heard import Heard
from d2midi_build.train.gate.lag import Lag
from d2midi_build.train.gate.records import Record, Report

SOURCES, SECONDS = 12, 20.0
SMALL = Recipe().with_field("window.frames", 200).with_field("window.stride", 40)


@dataclass(frozen=True, eq=False)
class Checked:
    folder: Path
    release: Release
    clips: list[Heard]
    static: list[Record]
    lag: Lag

    def failed(self) -> list[str]:
        return [each.name for each in (*self.static, *self.lag.records) if each.verdict == "fail"]


def checked(factory: pytest.TempPathFactory, kind: Sabotage | None) -> Checked:
    folder = factory.mktemp("gate")
    built = release(
        folder / "made", folder / "release", 3, sources=SOURCES, seconds=SECONDS, sabotage=kind, recipe=SMALL
    )
    opened, clips = heard.read(built.folder)
    return Checked(
        built.folder,
        opened,
        clips,
        static.static_records(built.folder, opened, clips),
        lag.lag_records(clips, np.random.default_rng(0)),
    )


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Checked:
    return checked(tmp_path_factory, None)


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Checked:
    return checked(tmp_path_factory, "offset-constant")


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Checked:
    return checked(tmp_path_factory, "leak")


def named(found: Sequence[Record], name: str) -> Record:
    (record,) = [each for each in found if each.name == name]
    return record


def test_a_good_release_passes_all_that_needs_no_training(good: Checked) -> None:
    assert not good.failed()
    assert {each.verdict for each in good.static} == {"pass"}
    offset = named(good.lag.records, "lag.offset_ms")
    assert offset.verdict == "pass"
    assert abs(offset.value or 0.0) < 15
    assert offset.n == SOURCES


def test_in_a_good_release_own_music_fits_better_at_lag_zero_than_that_of_others(good: Checked) -> None:
    gap = named(good.lag.records, "lag.r_zero_gap")
    assert gap.ci is not None
    assert gap.ci[0] > 0.1
    assert gap.p is not None
    assert gap.p < 0.001
    assert (named(good.lag.records, "lag.r_zero").value or 0.0) > 0.3


def test_a_constant_offset_fails_the_lag_alone_and_is_told_in_milliseconds(late: Checked) -> None:
    assert late.failed() == ["lag.offset_ms"]
    offset = named(late.lag.records, "lag.offset_ms")
    assert offset.value == pytest.approx(200, abs=25)
    assert offset.ci is not None
    assert offset.ci == pytest.approx((200, 200), abs=25)
    assert f"the dance is {offset.value:.0f} ms later than the music" in offset.why
    assert late.lag.lags_s[late.lag.curve.argmax()] == pytest.approx(0.2)


def test_copies_of_test_in_train_fail_both_leak_probes_and_nothing_else(leaky: Checked) -> None:
    assert leaky.failed() == ["leak.music", "leak.motion"]
    n_test = sum(clip.split == "test" for clip in leaky.clips)
    for name in ("leak.music", "leak.motion"):
        record = named(leaky.static, name)
        assert record.value == n_test
        for place in range(n_test):
            assert f"syn-{SOURCES + place:05d}_00000000 (train)" in record.why
        assert "Put them in one split" in record.why


def test_gates_of_the_release_are_asked_and_not_repeated(good: Checked) -> None:
    names = [each.name for each in good.static if each.name.startswith("release.")]
    assert names[0] == "release.files"
    assert {"release.schema", "release.leak", "release.midi", "release.windows"} <= set(names)


def test_a_damaged_file_fails_by_its_name(good: Checked, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(good.folder, tmp_path / "release"))
    (copy / "README.md").write_text("something else", encoding="utf-8")
    found = static.gate_records(static.verify(copy))
    assert found[0].verdict == "fail"
    assert "README.md its SHA-256 is" in found[0].why


def test_a_clip_without_notes_without_a_split_or_drums_is_named(good: Checked) -> None:
    first = good.clips[0]
    silent = replace(first, notes=Notes.create([], [], []))
    assert f"clip {first.clip_id} ({first.split}) has no note" in static.notes_record([silent]).why
    undrummed = replace(first, notes=first.notes.where(~first.notes.is_drum))
    assert "no clip has drums" in static.notes_record([undrummed]).why
    assert static.notes_record([undrummed, first]).verdict == "pass"
    train = [clip for clip in good.clips if clip.split == "train"]
    record = static.split_record(train)
    assert (record.verdict, record.value) == ("fail", 2)
    assert "split test has no clips" in record.why


def test_windows_are_counted_by_hand(good: Checked) -> None:
    # floor((400 - 200) / 40) + 1 = 6 of each clip, of test floor(200 / 200) + 1 = 2.
    n_test = sum(clip.split == "test" for clip in good.clips)
    assert len(good.release) == 6 * (SOURCES - n_test) + 2 * n_test
    assert static.window_record(good.release).verdict == "pass"
    fewer = static.window_record(good.release.select(np.arange(1, len(good.release))))
    assert (fewer.verdict, fewer.value) == ("fail", 1)


def test_notes_beyond_the_last_bar_do_not_come_back_and_are_named(good: Checked) -> None:
    short = replace(good.clips[0], n_frames=40)
    record = static.tokens_record([short, *good.clips[1:]])
    assert (record.verdict, record.value) == ("fail", 1)
    assert f"clip {short.clip_id}: a note starts at" in record.why


def test_statistics_are_those_of_the_clips(good: Checked) -> None:
    found = summary.summary_records(good.release, good.clips, np.random.default_rng(0))
    assert {each.verdict for each in found} == {"info"}
    assert named(found, "hours.unique").value == pytest.approx(SOURCES * SECONDS / 3600)
    assert named(found, "hours.windows").value == pytest.approx(len(good.release) * 10 / 3600)
    rates = [len(clip.notes) / SECONDS for clip in good.clips if clip.genre == "house"]
    assert named(found, "notes_per_s genre=house").value == pytest.approx(np.mean(rates))
    drums = [clip.notes.is_drum.mean() for clip in good.clips]
    assert named(found, "drum_share").value == pytest.approx(np.mean(drums))
    counts = [each.value for each in found if each.name.startswith("sources ")]
    assert sum(value or 0 for value in counts) == SOURCES
    assert len(counts) == 6 * 3
    assert 0 <= (named(found, "shift.tempo_bpm").value or 0.0) <= 1
    assert named(found, "missing_face").value == 1.0


def test_shift_is_the_largest_distance_of_cumulative_shares(good: Checked) -> None:
    base = [replace(good.clips[0], video_id=f"v{i}", source=f"v{i}") for i in range(6)]
    tempi = [("train", 100.0), ("train", 110.0), ("train", 120.0), ("test", 111.0), ("test", 130.0)]
    clips = [replace(clip, split=s, tempo_bpm=t) for clip, (s, t) in zip(base, tempi, strict=False)]
    # Below 110: 2/3 of train, none of test.
    assert named(summary.shift_records(clips), "shift.tempo_bpm").value == pytest.approx(2 / 3)


def test_too_few_sources_for_a_lag_say_how_many_more(good: Checked) -> None:
    found = lag.lag_records(good.clips[:5], np.random.default_rng(0))
    assert found.records[0].verdict == "not-testable"
    assert "5 sources have both rhythms for 4 s and more, 8 are needed: 3 more" in found.records[0].why


def test_clips_of_one_source_are_one_in_the_lag(good: Checked) -> None:
    pairs = [replace(clip, source=f"v{i // 2}") for i, clip in enumerate(good.clips)]
    found = lag.lag_records(pairs, np.random.default_rng(0))
    assert found.records[0].n == SOURCES / 2
    motion, onset = lag.joined(good.clips[:2])
    assert len(motion) == len(onset) == 2 * SECONDS * 20
    unknown = np.isnan(motion)
    assert unknown[380:420].all()
    assert not unknown[30:370].all()


def test_music_and_dance_that_share_nothing_have_no_constant_offset(good: Checked) -> None:
    draw = np.random.default_rng(8)
    mixed = [replace(clip, onset=draw.permutation(clip.onset)) for clip in good.clips]
    record = lag.lag_records(mixed, np.random.default_rng(0)).records[0]
    assert record.verdict == "info"
    assert record.why.startswith("no common lag, so no constant offset is seen")


def test_a_time_of_its_own_in_every_source_is_not_told_as_a_constant_one(good: Checked) -> None:
    draw, told = np.random.default_rng(9), 0
    for _ in range(10):
        shifts = draw.integers(3, 30, SOURCES) * draw.choice([-1, 1], SOURCES)
        moved = [
            replace(clip, onset=np.roll(clip.onset, shift))
            for clip, shift in zip(good.clips, shifts.tolist(), strict=True)
        ]
        told += lag.lag_records(moved, draw).records[0].verdict == "fail"
    assert told <= 1


def test_rhythm_of_notes_has_its_peak_at_the_onset() -> None:
    rhythm = heard.note_rhythm(Notes.create([1.0, 1.0, 2.5], [1.1, 1.1, 2.6], [60, 64, 67]), 80)
    assert len(rhythm) == 80
    assert rhythm.argmax() == 20
    assert rhythm[50] == pytest.approx(rhythm[20] / 2)
    assert rhythm[19] == pytest.approx(rhythm[21])
    assert not heard.note_rhythm(Notes.create([], [], []), 80).any()


def test_the_verdict_of_what_needs_no_training_is_never_a_pass(good: Checked, late: Checked) -> None:
    def verdict(each: Checked) -> records.Decision:
        report = Report.decided(
            each.release, (*each.static, *each.lag.records), seeds=(0,), settings={"lag": each.lag.data()}
        )
        assert Report.from_json(report.to_json()) == report
        return records.Decision(report.verdict, report.why)

    assert verdict(good).verdict == "not-testable"
    assert verdict(good).why == ("Not run: stage C, D, E, G. Run the whole gate.",)
    assert verdict(late).verdict == "fail"
    assert "ms later than the music" in verdict(late).why[0]
