"""The same music twice: what must be found, with place, speed and pitch; and what must not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from d2midi_build.media.ffmpeg import ffmpeg_exe
from d2midi_build.music.fingerprints import MusicFeatures, find_repeats, music_features
from d2midi_build.music.fingerprints.hashes import hash_hits
from d2midi_build.music.fingerprints.spectrum import FRAMES_PER_S, content, contrast
from d2midi_build.music.notes import Notes
from d2midi_build.music.synthesis import synthesise
from d2midi_build.stretch import best_stretch
from d2midi_build.synthetic.band import compose

Samples = npt.NDArray[np.int16]

RATE_HZ = 11_025
SECONDS = 20.0


def song(seed: int, bpm: float = 110.0) -> Samples:
    notes = compose(np.random.default_rng(seed), bpm, SECONDS, 0.5).notes
    return played(notes)


def played(notes: Notes) -> Samples:
    sound = synthesise(notes, RATE_HZ, round(SECONDS * RATE_HZ)).mean(axis=1)
    return np.asarray(sound / np.abs(sound).max() * 26_000, dtype=np.int16)


def ffmpeg(sound: bytes, *arguments: str, raw: bool = True) -> bytes:
    before = ["-f", "s16le", "-ar", str(RATE_HZ), "-ac", "1"] if raw else []
    command = [ffmpeg_exe(), "-v", "error", *before, "-i", "pipe:", *arguments, "pipe:"]
    return subprocess.run(command, input=sound, capture_output=True, check=True).stdout


def features(sound: Samples) -> MusicFeatures:
    raw = sound.tobytes()
    return music_features(sound, np.frombuffer(ffmpeg(raw, "-f", "chromaprint", "-fp_format", "raw"), "<u4"))


def filtered(sound: Samples, filters: str) -> MusicFeatures:
    return features(np.frombuffer(ffmpeg(sound.tobytes(), "-af", filters, "-f", "s16le"), "<i2"))


@pytest.fixture(scope="module")
def original() -> MusicFeatures:
    return features(song(3))


def test_encoded_again_and_cut_is_found_by_chromaprint(original: MusicFeatures) -> None:
    mp3 = ffmpeg(song(3).tobytes(), "-b:a", "32k", "-f", "mp3")
    cut = ffmpeg(mp3, "-af", "atrim=start=3.7", "-f", "s16le", "-ar", str(RATE_HZ), raw=False)
    (found,) = find_repeats([original, features(np.frombuffer(cut, "<i2"))])
    assert (found.first, found.second, found.how) == (0, 1, "chromaprint")
    assert found.offset_s == pytest.approx(-3.7, abs=0.13)
    assert found.overlap_s == pytest.approx(SECONDS - 3.7, abs=1.0)
    assert (found.speed, found.semitones) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("filters", "speed", "semitones"),
    [
        (f"asetrate={RATE_HZ * 1.05},aresample={RATE_HZ}", 1.05, 0.845),
        (f"asetrate={RATE_HZ * 0.95},aresample={RATE_HZ}", 0.95, -0.888),
        ("atempo=0.95", 0.95, 0.0),
        ("atempo=1.033", 1.033, 0.0),
        (f"asetrate={RATE_HZ * 2 ** (2 / 12)},aresample={RATE_HZ},atempo={2 ** (-2 / 12)}", 1.0, 2.0),
        (f"asetrate={RATE_HZ * 2 ** (-2 / 12)},aresample={RATE_HZ},atempo={2 ** (2 / 12)}", 1.0, -2.0),
    ],
)
def test_another_speed_or_pitch_is_found_and_measured(
    original: MusicFeatures, filters: str, speed: float, semitones: float
) -> None:
    (found,) = find_repeats([original, filtered(song(3), f"atrim=start=2,asetpts=PTS-STARTPTS,{filters}")])
    assert found.speed == pytest.approx(speed, abs=0.006)
    assert found.semitones == pytest.approx(semitones, abs=0.15)
    assert found.offset_s == pytest.approx(-2 / speed, abs=0.2)
    assert found.overlap_s == pytest.approx(SECONDS - 2, abs=1.5)
    assert found.score > 0.8


def test_changed_over_the_answer_is_the_inverse(original: MusicFeatures) -> None:
    faster = filtered(song(3), "atempo=1.04")
    (there,), (back,) = find_repeats([original, faster]), find_repeats([faster, original])
    assert back.speed == pytest.approx(1 / there.speed, abs=0.004)
    assert back.offset_s == pytest.approx(-there.offset_s * there.speed, abs=0.2)
    assert back.semitones == pytest.approx(-there.semitones, abs=0.1)


def test_takes_that_share_ten_seconds(original: MusicFeatures) -> None:
    (found,) = find_repeats([original.between(0, 14), original.between(4, 20)])
    assert found.offset_s == pytest.approx(-4, abs=0.13)
    assert found.overlap_s == pytest.approx(10, abs=0.7)
    assert not find_repeats([original.between(0, 10), original.between(5, 15)])  # 5 s are too few


def test_only_pairs_with_an_unknown_item_are_compared(original: MusicFeatures) -> None:
    three = [original, original, original]
    assert [(r.first, r.second) for r in find_repeats(three)] == [(0, 1), (0, 2), (1, 2)]
    assert [(r.first, r.second) for r in find_repeats(three, known={0, 1})] == [(0, 2), (1, 2)]
    assert not find_repeats(three, known={0, 1, 2})
    slower = filtered(song(3), "atempo=0.97")
    assert [(r.first, r.how) for r in find_repeats([slower, original], known={1})] == [(0, "pitch")]
    assert [(r.first, r.how) for r in find_repeats([slower, original], known={0})] == [(0, "pitch")]


def test_songs_of_one_tempo_and_one_drum_loop_are_no_repeats() -> None:
    songs = [compose(np.random.default_rng(seed), 110.0, SECONDS, 0.5).notes for seed in range(20, 26)]
    drums = songs[0].where(songs[0].is_drum)
    items = [features(played(Notes.concat([each.where(~each.is_drum), drums]))) for each in songs]
    assert not find_repeats([*items, features(played(drums)), features(played(drums))])


def test_silence_noise_and_clicks_repeat_nothing() -> None:
    rng = np.random.default_rng(1)
    time_s = np.arange(round(SECONDS * RATE_HZ)) / RATE_HZ
    click = np.exp(-200 * (time_s % 0.5)) * np.sin(2 * np.pi * 1000 * (time_s % 0.5))
    sounds = [0 * time_s, 0 * time_s, rng.normal(size=len(time_s)) / 5, rng.normal(size=len(time_s)) / 5]
    sounds += [
        click,
        np.roll(click, 3000),
        np.sin(2 * np.pi * 220 * time_s),
        np.sin(2 * np.pi * 220 * time_s),
    ]
    assert not find_repeats([features(np.asarray(20_000 * each, np.int16)) for each in sounds])


def test_nothing_and_next_to_nothing_can_be_compared(original: MusicFeatures) -> None:
    empty = music_features(np.zeros(100, np.int16), np.zeros(0, np.uint32))
    assert empty.levels.shape == (0, 156)
    assert not find_repeats([])
    assert not find_repeats([empty, empty, original, original.between(0, 1)])


def test_progress_counts_the_items_that_are_new(original: MusicFeatures) -> None:
    told: list[tuple[int, int]] = []
    find_repeats([original] * 3, known={0}, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_arrays_hold_everything(original: MusicFeatures, tmp_path: Path) -> None:
    part = original.between(2.03, 15)
    np.savez_compressed(tmp_path / "music.npz", **part.to_arrays())
    with np.load(tmp_path / "music.npz") as stored:
        back = MusicFeatures.from_arrays(stored)
    np.testing.assert_array_equal(back.levels, part.levels)
    np.testing.assert_array_equal(back.hashes, part.hashes)
    assert back.lead_s == part.lead_s


def test_between_keeps_what_lies_inside(original: MusicFeatures) -> None:
    part = original.between(2.03, 15)
    first = int(np.ceil(2.03 * FRAMES_PER_S))
    assert part.lead_s == pytest.approx(first / FRAMES_PER_S - 2.03)
    np.testing.assert_array_equal(part.levels[0], original.levels[first])
    last_end_s = 2.03 + part.lead_s + (len(part.levels) - 1) / FRAMES_PER_S + 4096 / RATE_HZ
    assert 15 - 1 / FRAMES_PER_S < last_end_s <= 15
    again = part.between(1, 5)
    np.testing.assert_array_equal(again.levels, original.between(3.03, 7.03).levels)


def test_a_tone_lies_in_its_bin_at_its_level() -> None:
    time_s = np.arange(RATE_HZ) / RATE_HZ
    tone = np.asarray(3276.8 * np.sin(2 * np.pi * 600 * time_s), np.int16)  # -20 dB
    levels = music_features(tone, np.zeros(0, np.uint32)).levels
    assert int(levels[2].argmax()) == 72  # two octaves above 150 Hz in thirds of a semitone
    assert levels[2, 72] * 0.4 - 80 == pytest.approx(-20 - 4, abs=3)  # spread over the band's triangle


def test_content_of_music_and_of_a_loop() -> None:
    music = contrast(features(song(3)).levels)
    notes = compose(np.random.default_rng(3), 110.0, SECONDS, 0.5).notes
    drums = contrast(features(played(notes.where(notes.is_drum))).levels)
    assert content(music[:48]) > 15
    assert content(drums[20:68]) < 8
    assert content(np.zeros((48, 156), np.float32)) == 0


def test_the_best_stretch() -> None:
    assert best_stretch(np.array([-1.0, 2.0, -1.0, 3.0, -5.0, 1.0])) == (1, 4, 4.0)
    assert best_stretch(np.array([-1.0, 2.0, -1.0, 3.0, -5.0, 1.0]), least=5) == (1, 6, 4.0)
    assert best_stretch(np.array([-1.0, -2.0]), least=9) == (0, 2, 0.0)


def test_hash_hits_by_hand() -> None:
    rng = np.random.default_rng(0)
    one = rng.integers(0, 2**32, 60, dtype=np.uint32)
    other = np.concatenate([rng.integers(0, 2**32, 7, dtype=np.uint32), one[10:40] ^ np.uint32(1)])
    other[10:14] ^= np.uint32(1)  # four exact hits at a lag of -3
    drone = np.full(60, 5, np.uint32)
    ((pair, (hit,)),) = hash_hits([one, other, drone, drone], np.ones(4, np.bool_)).items()
    assert pair == (0, 1)
    assert (hit.first, hit.second, hit.lag, hit.start, hit.stop) == (0, 1, -3, 10, 40)
    assert hit.agreement == pytest.approx(1 - 26 / 30 / 32)
