"""Copies of real recordings and real videos are found; different ones are not taken for copies."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import numpy as np
import pytest

from d2midi_build.media.ffmpeg import ffmpeg_exe
from d2midi_build.media.likeness import MotionCollector, MotionSignature, find_copies
from d2midi_build.media.scan import scan_frames
from d2midi_build.music.fingerprints import MusicFeatures, find_repeats, music_features

pytestmark = pytest.mark.real_data

MUSIC = (
    "facebookresearch+demucs/test.mp3",
    "deezer+spleeter/audio_example.mp3",
    "olincollege+just-dance/test/test.mp4",
    "TMElyralab+MusePose/assets/videos/dance.mp4",
    "google+aichoreographer/assets/gen_results_1.mp4",
    "mjhydri+BeatNet/test/test_data/808kick120bpm.mp3",
)
VIDEOS = (
    "olincollege+just-dance/test/test.mp4",
    "google+aichoreographer/assets/gen_results_1.mp4",
    "antgroup+animate-x/data/videos/dance_3.mp4",
    "antgroup+animate-x/data/videos/ubc.mp4",
)


def ffmpeg(*arguments: str) -> bytes:
    command = [ffmpeg_exe(), "-v", "error", "-y", *arguments]
    return subprocess.run(command, capture_output=True, check=True).stdout


def hear(path: Path, filters: str = "acopy") -> MusicFeatures:
    chain = ["-i", str(path), "-vn", "-af", f"aresample=44100,{filters}"]
    mono = ffmpeg(*chain, "-ac", "1", "-ar", "11025", "-f", "s16le", "pipe:")
    prints = ffmpeg(*chain, "-f", "chromaprint", "-fp_format", "raw", "pipe:")
    return music_features(np.frombuffer(mono, "<i2"), np.frombuffer(prints, "<u4"))


def watch(path: Path) -> MotionSignature:
    collector = MotionCollector()
    for _, time_s, picture in scan_frames(path, 360):
        collector.add(time_s, picture)
    return collector.finish()


def test_different_recordings_are_no_repeats(shared_data: Path) -> None:
    assert not find_repeats([hear(shared_data / name) for name in MUSIC])


@pytest.mark.parametrize("name", [MUSIC[0], MUSIC[4]])
def test_a_recording_two_semitones_up_and_later(shared_data: Path, name: str) -> None:
    higher = f"atrim=start=2.1,asetpts=PTS-STARTPTS,asetrate={44100 * 2 ** (2 / 12)},aresample=44100"
    (found,) = find_repeats(
        [hear(shared_data / name), hear(shared_data / name, f"{higher},atempo={2 ** (-2 / 12)}")]
    )
    assert found.semitones == pytest.approx(2, abs=0.15)
    assert found.speed == pytest.approx(1, abs=0.006)
    assert found.offset_s == pytest.approx(-2.1, abs=0.2)


def test_a_video_mirrored_cropped_and_encoded_again(shared_data: Path, tmp_path: Path) -> None:
    originals = [watch(shared_data / name) for name in VIDEOS]
    assert not find_copies(originals)
    filters = "scale=-2:480,hflip,crop=iw*.85:ih*.85,fps=24,scale=trunc(iw/2)*2:trunc(ih/2)*2"
    copies = []
    for name in VIDEOS:
        out = tmp_path / "copy.mp4"
        ffmpeg("-i", str(shared_data / name), "-an", "-vf", filters, "-crf", "33", str(out))
        copies.append(watch(out))
    found = find_copies([*originals, *copies])
    assert {(each.first, each.second, each.mirrored) for each in found} == {
        (number, number + len(VIDEOS), True) for number in range(len(VIDEOS))
    }
    assert all(abs(each.offset_s) < 0.1 for each in found)


def test_shots_of_one_studio_are_no_copies(shared_data: Path) -> None:
    montage = watch(shared_data / "researchmm+MM-Diffusion/fig/aist++.mp4")  # another dancer every 1.6 s
    parts = [montage.between(start_s, start_s + 8) for start_s in range(0, 48, 8)]
    assert all(len(part.cells) == 80 for part in parts)
    assert len(list(itertools.combinations(parts, 2))) == 15
    assert not find_copies(parts)
