"""The truth of the screening cases is true of what is drawn and heard."""

from __future__ import annotations

import csv
import hashlib
import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from d2midi_build.errors import PermanentError
from d2midi_build.motion.people import PersonDetector
from d2midi_build.synthetic import camerawork
from d2midi_build.synthetic.anatomy import Array
from d2midi_build.synthetic.render import Camera
from d2midi_build.synthetic.scenery import BACKDROPS
from d2midi_build.synthetic.screening import CASES, COLUMNS, Case, make_cases, truth_rows, write_case
from d2midi_build.synthetic.screening_cases import case_named
from d2midi_build.synthetic.soundtracks import RATE_HZ, babble, noise
from d2midi_build.synthetic.staging import pictures, shots, sound, timing

SEED = 3
REAL_TRUTH = Path(__file__).parents[1] / "real_data" / "screening_truth.csv"
VALUES = {
    "verdict": {"good", "bad", "unclear"},
    "people": {"none", "one", "several"},
    "body": {"full", "part", "none"},
    "background": {"pure", "light", "busy", ""},
    "camera": {"fixed", "moves", ""},
    "picture": {"moving", "still", ""},
    "sound": {"music", "music_speech", "speech", "noise", "silent", "none"},
    "clipped": {"yes", "no", ""},
}
ORIGINALS = [case for case in CASES if not case.copy_of]


def _heard(name: str) -> Array:
    samples = sound(case_named(name), SEED)
    assert samples is not None
    return samples


def _in_view(case: Case, seed: int) -> tuple[Array, Array]:
    """How many people stand in the picture, and the least share of landmarks inside it, ten times a second.

    Somebody is in the picture whose hips are.
    """
    people, inside = [], []
    for shot in shots(case, seed):
        times = np.arange(shot.start, shot.end, case.fps / 10) / case.fps
        width, height = case.size_px
        centre = np.array([shot.camera.width_px, shot.camera.height_px]) / 2
        counts, shares = np.zeros(len(times)), np.ones(len(times))
        for dance in shot.dances:
            at = shot.camera.project(dance.landmarks(times)) - centre
            seen = (np.abs(at) < np.array([width, height]) / 2).all(axis=-1)
            here = np.abs(at[:, [23, 24], 0].mean(axis=1)) < width / 2
            counts += here
            shares = np.where(here, np.minimum(shares, seen.mean(axis=1)), shares)
        people.append(counts)
        inside.append(shares)
    return np.concatenate(people), np.concatenate(inside)


def _small(name: str) -> Case:
    """The named case at a quarter of the size and half the length: faster."""
    case = case_named(name)
    return replace(case, size_px=(case.size_px[0] // 2, case.size_px[1] // 2), duration_s=5.0)


def _changes(case: Case, seed: int) -> Array:
    """Mean absolute change from frame to frame, coarse pixels; the first is 0."""
    small = np.array([p[::4, ::4].astype(np.float32).mean(axis=-1) for p in pictures(case, seed)])
    return np.concatenate([[0.0], np.abs(np.diff(small, axis=0)).mean(axis=(1, 2))])


def test_every_label_is_one_of_those_agreed() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 30
    rows = [row for case in CASES for row in truth_rows(case, SEED)]
    for row in rows:
        assert tuple(row) == COLUMNS
        for label, values in VALUES.items():
            assert row[label] in values, row["file"]
    assert min(Counter(row["verdict"] for row in rows).values()) >= 10
    by_source = Counter(row["source"] for row in rows)
    assert len(by_source) >= 6
    assert all(source.startswith("synthetic/") for source in by_source)


def test_the_table_of_real_videos_has_the_same_columns_and_values() -> None:
    with REAL_TRUTH.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS[: len(rows[0])]
    assert COLUMNS[len(rows[0])] == "sync"  # from here on only a drawn video knows
    for row in rows:
        for label, values in VALUES.items():
            assert row[label] in values, row["file"]
        if row["verdict"] == "good":
            assert (row["people"], row["body"], row["sound"]) == ("one", "full", "music"), row["file"]
        if row["sound"] == "none":
            assert row["verdict"] == "bad", row["file"]
        cuts = [float(cut) for cut in row["cuts_s"].split(";") if cut]
        assert cuts == sorted(cuts)


@pytest.mark.parametrize("case", ORIGINALS, ids=lambda case: case.name)
def test_as_many_people_as_said_are_in_view_and_whole_if_said(case: Case) -> None:
    people, inside = _in_view(case, SEED)
    rows = truth_rows(case, SEED)
    first = people[: round(float(rows[0]["end_s"]) * 10)] if len(rows) > 1 else people
    assert int(first.max()) == {"none": 0, "one": 1, "several": max(2, int(first.max()))}[case.people]
    # Two with their arms out do not fit into an upright picture; a moving camera is not projected here.
    if case.body == "full" and not case.move and case.cast != "close-pair":
        assert np.mean(inside < 1) < 0.06  # a hand may leave a narrow picture for a moment
    if case.body == "part":
        assert np.mean(inside < 0.95) > 0.4


@pytest.mark.parametrize(
    ("name", "several", "none"), [("visitor-10", 0.1, 0.0), ("visitor-50", 0.5, 0.0), ("leaver", 0.0, 0.48)]
)
def test_people_come_and_go_for_as_long_as_said(name: str, several: float, none: float) -> None:
    for seed in range(4):
        people, _ = _in_view(case_named(name), seed)
        assert np.mean(people > 1) == pytest.approx(several, abs=0.025)
        assert np.mean(people == 0) == pytest.approx(none, abs=0.025)


@pytest.mark.parametrize("name", ["montage", "montage-walls", "half-busy", "end-card"])
def test_cuts_lie_on_the_frames_the_truth_names(name: str) -> None:
    case = _small(name)
    cuts = [float(cut) for row in truth_rows(case, SEED) for cut in row["cuts_s"].split(";") if cut]
    changes = _changes(case, SEED)
    largest = np.sort(np.argsort(changes)[-len(cuts) :])
    assert largest.tolist() == pytest.approx([cut * case.fps for cut in cuts], abs=0.02)


def test_flashes_change_more_than_a_cut_but_the_dance_goes_on() -> None:
    case = _small("flashes")
    assert truth_rows(case, SEED)[0]["cuts_s"] == ""
    changes = _changes(case, SEED)
    assert np.sort(changes)[-2:].min() > 10 * np.median(changes)
    assert len(shots(case, SEED)) == 1


def test_copies_are_what_they_say_of_what_they_say() -> None:
    grey, mirrored = (next(pictures(case_named(name), SEED)) for name in ("grey", "mirrored"))
    assert np.array_equal(grey[:, ::-1], mirrored)
    assert not np.array_equal(grey, mirrored)
    whole, cropped = (next(pictures(case_named(name), SEED)) for name in ("coloured", "cropped"))
    dy, dx = ((a - b) // 2 for a, b in zip(whole.shape[:2], cropped.shape[:2], strict=True))
    assert np.array_equal(whole[dy:-dy, dx:-dx], cropped)
    assert min(dx, dy) > 0
    assert np.array_equal(_heard("grey"), _heard("mirrored"))
    row = truth_rows(case_named("mirrored"), SEED)[0]
    assert row["copy_of"] == f"grey-{SEED}.mp4"
    assert row["bpm_dance"] == truth_rows(case_named("grey"), SEED)[0]["bpm_dance"]


def test_another_dancer_to_the_same_music() -> None:
    assert np.array_equal(_heard("grey"), _heard("same-music"))
    first, other = (shots(case_named(name), SEED)[0].dances[0] for name in ("grey", "same-music"))
    assert np.array_equal(first.beats_s, other.beats_s)
    assert not np.array_equal(first.keys, other.keys)


def test_cropping_keeps_the_dancer_whole() -> None:
    case, (width, height) = case_named("coloured"), next(pictures(case_named("cropped"), SEED)).shape[1::-1]
    shot = shots(case, SEED)[0]
    at = shot.camera.project(shot.dances[0].landmarks(np.arange(100) / 10))
    off = np.abs(at - [shot.camera.width_px / 2, shot.camera.height_px / 2])
    assert (off < [width / 2, height / 2]).all()


@pytest.mark.parametrize("case", ORIGINALS, ids=lambda case: case.name)
def test_poses_are_as_far_apart_as_said(case: Case) -> None:
    row = truth_rows(case, SEED)[0]
    if row["bpm_dance"]:
        beats_s = shots(case, SEED)[0].dances[0].beats_s
        step_s = 60 / float(row["bpm_dance"]) * float(row["beats_per_pose"])
        assert np.diff(beats_s) == pytest.approx(step_s, rel=1e-4)


def test_music_starts_with_the_dance_unless_said() -> None:
    for name in ("grey", "late-180", "late", "wrong-tempo"):
        when = timing(case_named(name), SEED)
        row = truth_rows(case_named(name), SEED)[0]
        loud = np.flatnonzero(np.abs(_heard(name)).max(axis=1) > 0.01)[0] / RATE_HZ
        assert loud - when.first_beat_s == pytest.approx(float(row["shift_s"]), abs=0.03), name
    assert float(truth_rows(case_named("late-180"), SEED)[0]["shift_s"]) == 0.18
    for seed in range(20):
        late, other = timing(case_named("late"), seed), timing(case_named("wrong-tempo"), seed)
        assert 0.25 <= late.shift_s * late.bpm_dance / 60 % 1 <= 0.75
        assert 0.2 <= late.shift_s <= 1.0
        assert other.bpm_music / other.bpm_dance == pytest.approx(1.17)


def test_spoilt_sounds_are_spoilt_as_said() -> None:
    assert sound(case_named("no-sound"), SEED) is None
    assert not _heard("silence").any()
    full = {name: float(np.mean(np.abs(_heard(name)) >= 0.999)) for name in ("grey", "clipped")}
    assert full["grey"] == 0
    assert full["clipped"] > 0.005
    ratio_db = 20 * np.log10(_heard("quiet").std() / _heard("grey").std())
    assert ratio_db == pytest.approx(-28, abs=4)
    spectrum = np.abs(np.fft.rfft(_heard("narrow-band")[:, 0])) ** 2
    hz = np.fft.rfftfreq(len(_heard("narrow-band")), 1 / RATE_HZ)
    assert spectrum[hz > 5000].sum() < 1e-7 * spectrum.sum()


def test_babble_pauses_and_moves_at_the_rate_of_syllables() -> None:
    voice = babble(np.random.default_rng(SEED), 20)
    level = np.sqrt(np.mean(voice.reshape(-1, RATE_HZ // 100) ** 2, axis=1))
    sounding = level > 0.05
    assert 0.4 < sounding.mean() < 0.9
    pauses = [len(list(run)) for silent, run in itertools.groupby(~sounding) if silent]
    assert sum(length >= 20 for length in pauses) >= 5  # of 0.2 s and more
    power = np.abs(np.fft.rfft(level - level.mean())) ** 2
    hz = np.fft.rfftfreq(len(level), 0.01)
    assert power[(hz > 2) & (hz < 8)].sum() > 0.3 * power[hz > 0.5].sum()


def test_noise_has_the_colour_it_is_named_after() -> None:
    def slope_db(kind: str) -> float:
        power = np.abs(np.fft.rfft(noise(np.random.default_rng(SEED), 2.0, kind))) ** 2
        hz = np.fft.rfftfreq(2 * RATE_HZ, 1 / RATE_HZ)
        low, high = (power[(hz > f) & (hz < 1.4 * f)].mean() for f in (500, 8000))
        return float(10 * np.log10(high / low))

    assert slope_db("white") == pytest.approx(0, abs=1)
    assert slope_db("pink") == pytest.approx(-12, abs=1)  # four octaves of 3 dB
    with pytest.raises(ValueError, match="brown"):
        noise(np.random.default_rng(SEED), 1.0, "brown")


@pytest.mark.parametrize("name", sorted(BACKDROPS))
def test_only_streets_and_shows_move(name: str) -> None:
    backdrop = BACKDROPS[name](Camera.framing(320, 180), np.random.default_rng(SEED))
    first, later = backdrop(0.0), backdrop(1.3)
    assert first is not backdrop(0.0)
    assert first.shape == (180, 320, 3)
    assert np.array_equal(first, later) == (name not in ("street", "light-show", "video-wall"))


def test_busy_backgrounds_have_more_edges_than_pure_ones() -> None:
    def edges(name: str) -> float:
        backdrop = BACKDROPS[name](Camera.framing(640, 360), np.random.default_rng(SEED))
        grey = backdrop(0.0)[:240].mean(axis=-1)
        steps = np.maximum(np.abs(np.diff(grey, axis=1))[1:], np.abs(np.diff(grey, axis=0))[:, 1:])
        return float(np.mean(steps))

    pure = max(edges(name) for name in ("grey", "white", "coloured", "gradient", "studio"))
    light = [edges(name) for name in ("panels", "door", "plant", "tripod")]
    busy = min(edges(name) for name in ("shelves", "posters", "brick", "checkerboard", "street"))
    assert pure < min(light)
    assert max(light) < busy


def test_a_moving_camera_stays_inside_what_is_drawn() -> None:
    times = np.arange(300) / 25
    spare = (camerawork.MARGIN - 1) / 2
    for move in ("drift", "pan", "zoom", "shake"):
        for seed in range(5):
            path = camerawork.camera_path(move, times, np.random.default_rng(seed))
            assert (np.abs(path[:, :2]) <= spare).all()
            assert (path[:, 2] >= 1).all()
            assert np.abs(np.diff(path, axis=0)).max() > 0
    picture = np.random.default_rng(0).integers(0, 255, (130, 260, 3)).astype(np.uint8)
    still = camerawork.look_through(picture, np.array([0.0, 0.0, 1.0]), 200, 100)
    assert np.array_equal(still, picture[15:115, 30:230])
    with pytest.raises(ValueError, match="roll"):
        camerawork.camera_path("roll", times, np.random.default_rng(0))


def test_files_decode_stay_and_are_the_same_again(tmp_path: Path) -> None:
    cases = [_small("no-sound"), case_named("re-encoded")]
    table = make_cases(tmp_path / "videos", [SEED], cases=cases)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [f"no-sound-{SEED}.mp4", f"re-encoded-{SEED}.mp4"]
    assert rows == [row for case in cases for row in truth_rows(case, SEED)]
    made = zip(rows, [(320, 180), (480, 270)], [0, 1], [125, 250], strict=True)
    for row, size, tracks, n in made:
        with av.open(str(table.parent / row["file"])) as container:
            assert len(container.streams.audio) == tracks
            frames = [(frame.time, frame.width, frame.height) for frame in container.decode(video=0)]
        assert len(frames) == n
        assert frames[-1] == (pytest.approx((n - 1) / 25, abs=1e-4), *size)
    kept = table.parent / rows[0]["file"]
    before = kept.stat().st_mtime_ns
    make_cases(table.parent, [SEED], cases=cases)
    assert kept.stat().st_mtime_ns == before
    assert sorted(path.name for path in table.parent.iterdir()) == sorted(
        ["truth.csv", *(row["file"] for row in rows)]
    )
    again = write_case(tmp_path, cases[0], SEED)
    other = write_case(tmp_path, cases[0], SEED + 1)
    first, second, third = (hashlib.sha256(p.read_bytes()).hexdigest() for p in (kept, again, other))
    assert first == second
    assert first != third


def test_an_unknown_case_is_an_error() -> None:
    with pytest.raises(PermanentError, match="'polka'"):
        case_named("polka")


def test_the_detector_counts_the_people_the_truth_names() -> None:
    detector = PersonDetector()
    counts = {}
    for name in ("grey", "upright", "pair", "trio", "nobody", "street"):
        picture = next(pictures(case_named(name), SEED))
        counts[name] = detector.count(np.ascontiguousarray(picture[..., ::-1]))
    detector.close()
    assert counts == {"grey": 1, "upright": 1, "pair": 2, "trio": 3, "nobody": 0, "street": 1}
