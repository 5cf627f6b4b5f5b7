from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from d2midi_build.errors import PermanentError
from d2midi_build.media.ffmpeg import DECODE_LOGGER
from d2midi_build.media.scan import scan_frames
from tests.media.making import clicks, read_time_s, regular, write_media


def test_every_picture_comes_with_its_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Varying rate, not from zero, rotated, oblong pixels: the picture itself says when it is."""
    times = 0.4 + np.cumsum(np.random.default_rng(2).uniform(0.012, 0.09, 60))
    path = write_media(
        tmp_path / "a.mp4", times, clicks(48_000, 0, 3), rotation=90, pixel_aspect=Fraction(4, 3)
    )
    with caplog.at_level(logging.DEBUG, DECODE_LOGGER):
        frames = list(scan_frames(path, 64))
    assert caplog.messages == [f"video {path}"]
    assert [number for number, _, _ in frames] == list(range(60))
    assert {image.shape for _, _, image in frames} == {(64, 36, 3)}
    said = [read_time_s(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)) for _, _, image in frames]
    np.testing.assert_allclose([t for _, t, _ in frames], times - times[0], atol=1e-4)
    np.testing.assert_allclose(said, times, atol=0.0003)


def test_colours_are_blue_green_red(tmp_path: Path) -> None:
    orange = np.full((96, 128, 3), (250, 130, 20), np.uint8)
    path = write_media(tmp_path / "a.mkv", regular(10, 0.5), pictures=[orange] * 5)
    _, _, image = next(scan_frames(path, 48))
    np.testing.assert_allclose(image[20, 30].astype(int), (20, 130, 250), atol=6)


def test_broken_off_files_give_their_beginning(tmp_path: Path) -> None:
    whole = write_media(tmp_path / "w.mkv", regular(30, 2.0)).read_bytes()
    (tmp_path / "a.mkv").write_bytes(whole[: len(whole) // 2])
    assert 10 < len(list(scan_frames(tmp_path / "a.mkv", 48))) < 50


def test_no_video_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    with pytest.raises(PermanentError, match="empty"):
        next(scan_frames(tmp_path / "a.mp4", 48))
