"""Synthetic releases: in a good one dance and music agree, and each sabotage takes away what it says and no more."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import gaussian_filter1d

from d2midi_build.clock import FPS
from d2midi_build.errors import UsageError
from d2midi_build.motion.keypoints import PARTS, PRESENCES, Keypoints
from d2midi_build.motion.kinematic_beats import find_kinematic_beats
from d2midi_build.motion.skeleton import BODY_NAMES
from d2midi_build.music.beat_scores import beat_score
from d2midi_build.recipe import Recipe
from d2midi_build.release.build import build
from d2midi_build.release.planning import choose
from d2midi_build.release.reader import open_release
from d2midi_build.release.verify import verify
from d2midi_build.synchrony import motion_rhythm, phase_test, pooled_offset
from d2midi_build.synthetic.releases import GENRES, SABOTAGES, Source, contents, plan, release
from d2midi_build.synthetic.releases.sabotage import spoiled
from d2midi_build.synthetic.releases.sources import as_noise, turns

SEED, N, SECONDS = 5, 12, 40.0
SMALL = Recipe().with_field("window.frames", 60).with_field("window.stride", 20)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """A source's motion as a build sees it."""

    keypoints: Keypoints
    beats_s: Floats
    rhythm: npt.NDArray[Any]

    @classmethod
    def of(cls, keypoints: Keypoints) -> Seen:
        body = keypoints.body_world, keypoints.present_body
        beats = find_kinematic_beats(*body, body_image=keypoints.body_image)
        return cls(keypoints, beats.times_s, motion_rhythm(*body, keypoints.body_image))


def made(
    sources: int = N, seconds: float = SECONDS, effect: float = 1.0, seed: int = SEED
) -> tuple[Source, ...]:
    return plan(seed, sources, seconds, 6, effect, False)


@pytest.fixture(scope="module")
def good() -> tuple[Source, ...]:
    return made()


@pytest.fixture(scope="module")
def seen(good: tuple[Source, ...]) -> list[Seen]:
    return [Seen.of(source.keypoints()) for source in good]


def music(source: Source) -> tuple[Floats, Floats]:
    """Beats of the music and rhythm of its onsets."""
    notes, beats_s, _ = source.song.heard(source.song_start_s, source.n_frames / FPS)
    onsets = np.bincount(np.round(notes.onset_s * 200).astype(int), minlength=source.n_frames * 10 + 1)
    return beats_s, gaussian_filter1d(onsets.astype(float), 8.0)[:-1:10]


def agreement(sources: tuple[Source, ...], seen: list[Seen]) -> float:
    """Mean F of kinematic beats against musical ones, 70 ms; by chance about a quarter."""
    return float(
        np.mean([beat_score(music(s)[0], each.beats_s) for s, each in zip(sources, seen, strict=True)])
    )


def in_time(sources: tuple[Source, ...], seen: list[Seen]) -> int:
    """How many dances keep a place on the beat, whichever."""
    found = [phase_test(each.beats_s, music(s)[0]) for s, each in zip(sources, seen, strict=True)]
    return sum(test.status == "synchronised" for test in found)


def offset(sources: tuple[Source, ...], seen: list[Seen]) -> Any:
    pairs = [(each.rhythm, music(s)[1]) for s, each in zip(sources, seen, strict=True)]
    return pooled_offset(pairs, np.random.default_rng(0))


def sabotaged(sources: tuple[Source, ...], kind: Any) -> tuple[Source, ...]:
    return spoiled(sources, kind, np.random.default_rng(7))


def test_every_beat_of_a_good_source_is_a_turning_point(good: tuple[Source, ...], seen: list[Seen]) -> None:
    assert agreement(good, seen) > 0.97
    assert in_time(good, seen) == N


def test_a_good_release_has_its_common_lag_at_zero(good: tuple[Source, ...], seen: list[Seen]) -> None:
    found = offset(good, seen)
    assert found.status == "ok"
    assert abs(found.offset_ms) < 15
    assert found.r_zero > 0.4


def test_swapped_music_is_another_one_of_the_same_genre_and_fits_no_better_than_chance(
    good: tuple[Source, ...], seen: list[Seen]
) -> None:
    bad = sabotaged(good, "swapped")
    giver = {id(source.song): source for source in good}
    for before, after in zip(good, bad, strict=True):
        from_whom = giver[id(after.song)]
        assert from_whom is not before
        assert from_whom.genre == before.genre
        assert from_whom.music_group == after.music_group
        assert after.dance is before.dance
    assert sorted(source.music_group for source in bad) == sorted(source.music_group for source in good)
    assert agreement(bad, seen) < 0.4
    assert in_time(bad, seen) <= 2


def test_offsets_per_source_leave_no_common_lag_but_each_dance_keeps_a_place_on_the_beat(
    good: tuple[Source, ...], seen: list[Seen]
) -> None:
    bad = sabotaged(good, "offset-per-source")
    moved = np.array([b.song_start_s - a.song_start_s for a, b in zip(good, bad, strict=True)])
    assert ((np.abs(moved) >= 0.15) & (np.abs(moved) <= 1.5)).all()
    assert (moved < 0).any()
    assert (moved > 0).any()
    assert len(np.unique(moved)) == N
    assert in_time(bad, seen) == N
    assert offset(bad, seen).status == "unknown"
    assert agreement(bad, seen) < 0.5


def test_a_constant_offset_is_found_as_200_ms(good: tuple[Source, ...], seen: list[Seen]) -> None:
    bad = sabotaged(good, "offset-constant")
    found = offset(bad, seen)
    assert found.status == "offset"
    assert found.offset_ms == pytest.approx(200, abs=15)
    assert found.r_zero < 0.1 < found.peak_r
    assert agreement(bad, seen) < 0.1


def test_constant_genres_change_labels_only(good: tuple[Source, ...]) -> None:
    bad = sabotaged(good, "genre-constant")
    assert {source.genre for source in bad} == {good[0].genre}
    assert all(a.song is b.song and a.dance is b.dance for a, b in zip(good, bad, strict=True))


def test_noise_goes_with_no_beat(good: tuple[Source, ...], seen: list[Seen]) -> None:
    bad = sabotaged(good, "noise")
    assert all(source.noise for source in bad)
    noisy = [Seen.of(as_noise(each.keypoints, np.random.default_rng(i))) for i, each in enumerate(seen)]
    assert agreement(bad, noisy) < 0.35
    assert in_time(bad, noisy) <= 3
    assert abs(offset(bad, noisy).r_zero) < 0.05


def test_noise_has_the_means_spectra_and_gaps_of_the_dance(seen: list[Seen]) -> None:
    dance, noise = seen[0].keypoints, as_noise(seen[0].keypoints, np.random.default_rng(0))
    for name in PRESENCES:
        assert np.array_equal(dance.present(name), noise.present(name))
    assert dance.present_left_hand.mean() < 1
    for name in ("body_image", "body_world"):
        a, b = (each.points(name).reshape(len(dance), -1).astype(float) for each in (dance, noise))
        np.testing.assert_allclose(b.mean(axis=0), a.mean(axis=0), atol=1e-5)
        powers = [np.abs(np.fft.rfft(each - each.mean(axis=0), axis=0)) ** 2 for each in (a, b)]
        for low, high in ((0, 1), (1, 2), (2, 4), (4, 10)):  # hertz
            band = slice(round(low * SECONDS), round(high * SECONDS))
            before, after = (power[band].sum() for power in powers)
            assert after == pytest.approx(before, rel=0.5), (name, low)  # smoothing leaks a little
        assert np.abs(np.corrcoef(a.T)[0] - np.corrcoef(b.T)[0]).mean() < 0.25


def test_every_clip_as_noise_is_what_the_source_gives_when_it_is_marked(good: tuple[Source, ...]) -> None:
    dance, noise = good[0].keypoints(), replace(good[0], noise=True).keypoints()
    assert np.array_equal(dance.present_right_hand, noise.present_right_hand)
    assert not np.allclose(dance.body_world, noise.body_world, atol=0.05)


def test_agreement_grows_with_the_effect_from_chance_on() -> None:
    found = []
    for effect in (0.0, 0.3, 0.6, 1.0):
        sources = made(6, seconds=30.0, effect=effect)
        found.append(agreement(sources, [Seen.of(source.keypoints()) for source in sources]))
    assert (np.diff(found) > 0.05).all(), found
    assert found[0] < 0.35


def test_the_effect_changes_turning_points_and_nothing_else() -> None:
    loose, tight = made(2, effect=0.2)[1], made(2, effect=1.0)[1]
    assert loose.song.notes == tight.song.notes
    assert loose.camera == tight.camera
    shared = min(len(loose.dance.keys), len(tight.dance.keys))
    np.testing.assert_array_equal(loose.dance.keys[:shared], tight.dance.keys[:shared])
    np.testing.assert_array_equal(loose.dance.sway, tight.dance.sway)


def test_turns_are_the_beats_at_one_and_independent_of_them_at_zero() -> None:
    beats_s = 0.3 + 0.5 * np.arange(200)
    np.testing.assert_allclose(turns(np.random.default_rng(0), beats_s, 1.0, 0.7), beats_s)
    free = turns(np.random.default_rng(0), beats_s, 0.0, 0.7)
    assert np.mean(np.diff(free)) == pytest.approx(0.7, rel=0.1)
    half = turns(np.random.default_rng(0), beats_s, 0.5, 0.5)
    assert np.diff(half).min() >= 0.25
    near = np.abs(half[:, None] - beats_s).min(axis=1)
    assert 0.3 < np.mean(near < 0.07) < 0.9


def test_at_zero_the_same_dancer_turns_alike_to_another_tempo() -> None:
    beats_s = 0.5 * np.arange(120)
    a, b = (turns(np.random.default_rng(3), beats, 0.0, 0.6) for beats in (beats_s, beats_s * 1.001))
    shared = min(len(a), len(b)) - 2
    np.testing.assert_allclose(a[:shared], b[:shared])


def test_genres_are_told_by_how_limbs_move_and_by_drums() -> None:
    sources = made(24, seconds=10.0)
    joints = [
        [BODY_NAMES.index(f"{s}_{j}") for s in ("left", "right")] for j in ("wrist", "ankle", "shoulder")
    ]
    moved = [
        [np.log(k.body_world[:, j].std(axis=0).mean()) for j in joints]
        for k in (s.keypoints() for s in sources)
    ]
    struck = [
        np.bincount(d.pitch, minlength=128) / len(d)
        for d in (source.song.notes.drums() for source in sources)
    ]
    genres = np.array([source.genre for source in sources])
    assert share_told(np.array(moved), genres) > 0.5  # by chance: 1/6
    assert share_told(np.array(struck), genres) > 0.5


def share_told(features: Floats, genres: npt.NDArray[Any]) -> float:
    """Share of sources whose genre's middle, without them, is the nearest."""
    right = 0
    for i, mine in enumerate(features):
        others = np.arange(len(features)) != i
        middles = {name: features[others & (genres == name)].mean(axis=0) for name in np.unique(genres)}
        right += min(middles, key=lambda name: float(np.linalg.norm(mine - middles[name]))) == genres[i]
    return right / len(features)


def test_tempi_overlap_between_genres_and_nearly_every_source_has_a_partner_in_its_own() -> None:
    sources = made(120, seconds=5.0)
    bpm, genre = (np.array([f(s) for s in sources]) for f in (lambda s: s.song.bpm, lambda s: s.genre))
    assert bpm.min() >= 80
    assert bpm.max() <= 150
    close = np.abs(bpm[:, None] / bpm - 1) <= 0.04
    np.fill_diagonal(close, False)
    same = genre[:, None] == genre
    assert (close & same).any(axis=1).mean() > 0.9
    assert (close & ~same).any(axis=1).mean() > 0.9
    assert Counter(genre.tolist()) == {each.name: 20 for each in GENRES}


def test_no_song_repeats_and_every_one_has_drums() -> None:
    sources = made(36, seconds=8.0)
    songs = {(source.song.notes.pitch.tobytes(), source.song.notes.onset_s.tobytes()) for source in sources}
    assert len(songs) == 36
    assert all(len(source.song.notes.drums()) > 10 for source in sources)
    assert len({source.camera.position_m for source in sources}) == 36


def test_more_sources_leave_the_first_ones_as_they_were() -> None:
    few, many = made(2, seconds=5.0)[1], made(9, seconds=5.0)[1]
    assert few.song.notes == many.song.notes
    np.testing.assert_array_equal(few.keypoints().body_world, many.keypoints().body_world)


def test_a_clip_that_begins_later_in_its_song_hears_the_same_earlier(good: tuple[Source, ...]) -> None:
    now, later = (good[0].song.heard(start_s, 20.0) for start_s in (2.0, 2.5))
    shared_s = now[1][now[1] >= 0.5] - 0.5
    np.testing.assert_allclose(later[1][: len(shared_s)], shared_s, atol=1e-3)
    assert (now[2][:-1] % 4 + 1 == now[2][1:]).all()
    onsets_s = now[0].onset_s[now[0].onset_s >= 0.5 + 1e-3] - 0.5
    np.testing.assert_allclose(later[0].starting_in(1e-3, 19.4).onset_s, onsets_s[onsets_s < 19.4], atol=1e-3)
    assert now[0].offset_s.max() <= 20.0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"effect": 1.5}, "effect is 1.5: give a number from 0 to 1"),
        ({"genres": 7}, "genres is 7"),
        ({"sources": 0}, "sources is 0"),
        ({"sources": 4, "sabotage": "swapped"}, "it has one source, make more sources"),
        ({"sources": 4, "sabotage": "broken"}, "there is no sabotage 'broken': use one of swapped"),
    ],
)
def test_what_cannot_be_made_is_refused_with_words(tmp_path: Path, options: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        contents(tmp_path, 0, seconds=5.0, recipe=SMALL, **options)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_ones(tmp_path: Path) -> None:
    digests = []
    for name, seed, kind in (("a", 1, "noise"), ("b", 1, "noise"), ("c", 2, None)):
        one = contents(tmp_path / name, seed, sources=2, seconds=5.0, sabotage=kind, recipe=SMALL)
        digests.append([dict(clip.row) | dict(clip.digests) for clip in one.contents.clips])
    assert digests[0] == digests[1]
    assert all(a["frames"] != b["frames"] for a, b in zip(digests[0], digests[2], strict=True))


@pytest.mark.slow
def test_two_processes_write_what_one_does(tmp_path: Path) -> None:
    one, two = (
        contents(
            tmp_path / str(n), 1, sources=2, seconds=5.0, sabotage="noise", recipe=SMALL, workers=n
        ).contents.clips
        for n in (1, 2)
    )
    assert [dict(clip.digests) for clip in one] == [dict(clip.digests) for clip in two]


def test_a_real_release_is_built_and_verified(tmp_path: Path) -> None:
    built = release(
        tmp_path / "made", tmp_path / "release", 3, sources=6, seconds=12.0, genres=2, recipe=SMALL
    )
    assert verify(built.folder).ok
    opened = open_release(built.folder, parts=["body"])
    assert {str(row) for row in opened.clips.column("genre").to_pylist()} == {"ballet", "classical"}
    assert opened.clips.column("sync").to_pylist() == ["synchronised"] * 6
    assert set(opened.clips.column("face_share").to_pylist()) == {0.0}
    assert not any(opened.clips.column("has_audio").to_pylist())
    window = opened[0]
    assert np.isfinite(window.keypoints).all()
    assert len(window.notes) > 5


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any]:
    folder = tmp_path_factory.mktemp("leaky")
    leaking = contents(folder / "made", 3, sources=10, seconds=6.0, genres=1, sabotage="leak", recipe=SMALL)
    built = build(
        leaking.contents, folder / "release", "1.0.0", "leaky", SMALL, before=leaking.before, workers=1
    )
    return folder, leaking, built


def test_copies_of_test_clips_are_in_train_and_no_gate_of_the_build_sees_them(
    leaky: tuple[Path, Any, Any],
) -> None:
    _, leaking, built = leaky
    assert built.split_of == leaking.before
    assert not built.left_out
    assert verify(built.folder).ok
    counts = Counter(built.split_of.values())
    assert counts == {"train": 8 + counts["test"], "validation": 1, "test": 1}
    clips = {clip.clip_id: clip for clip in leaking.contents.clips}
    for kind in ("music_group", "performer_group", "video_group", "video_id", "audio_sha256"):
        assert len({clip.row[kind] for clip in clips.values()}) == len(clips)


def test_a_copy_has_the_notes_and_the_dance_of_its_original_but_a_tracker_of_its_own(
    leaky: tuple[Path, Any, Any],
) -> None:
    _, leaking, _ = leaky
    *_, copy = leaking.contents.clips
    (original,) = (c for c in leaking.contents.clips if leaking.before[c.clip_id] == "test")
    assert copy.digests["notes"] == original.digests["notes"]
    assert copy.digests["frames"] != original.digests["frames"]
    assert copy.row["tempo_bpm"] == original.row["tempo_bpm"]


def test_the_splits_of_a_sabotaged_release_are_those_of_the_good_one(tmp_path: Path) -> None:
    options: Any = {"sources": 12, "seconds": 3.0, "genres": 2, "recipe": SMALL}
    whole = contents(tmp_path / "good", 3, **options)
    bad = contents(tmp_path / "bad", 3, sabotage="genre-constant", **options)
    assert not whole.before
    assert bad.before == choose(whole.contents, SMALL, {}).split_of
    assert choose(bad.contents, SMALL, bad.before).split_of == bad.before
    assert {clip.row["genre"] for clip in bad.contents.clips} == {"ballet"}
    for a, b in zip(whole.contents.clips, bad.contents.clips, strict=True):
        assert a.digests == b.digests


def test_faces_are_found_where_they_are_asked_for() -> None:
    (source,) = plan(0, 1, 2.0, 1, 1.0, True)
    assert source.keypoints().present_face.all()
    assert PARTS["face"].shape == source.keypoints().face.shape[1:]


def test_all_sabotages_are_named() -> None:
    assert set(SABOTAGES) == {
        "swapped", "offset-per-source", "offset-constant", "genre-constant", "leak", "noise",
    }  # fmt: skip
