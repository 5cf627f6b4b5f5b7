from __future__ import annotations

import itertools
import logging
from fractions import Fraction
from pathlib import Path

import av
import cv2
import ffmpeg
import numpy as np
import pytest

from d2midi_build.errors import PermanentError
from d2midi_build.media.ffmpeg import DECODE_LOGGER, run
from d2midi_build.media.scan import ScannedPicture, scan_frames, scan_pictures
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


@pytest.mark.parametrize("size", [(128, 96), (1280, 720)])
def test_small_pictures_have_the_colours_of_large_ones(size: tuple[int, int], tmp_path: Path) -> None:
    """Nobody says which matrix the colours are in: 601 below 720 lines, 709 from there on."""
    width, height = size
    picture = np.full((height, width, 3), (250, 130, 20), np.uint8)
    picture[:, : width // 2] = (20, 90, 200)
    path = write_media(tmp_path / "a.mkv", regular(10, 0.3), pictures=[picture] * 3, size=size)
    # The encoder here means BT.601 whatever the size; read as BT.709 its colours are these, by hand.
    as_meant = {96: ((200, 90, 20), (20, 130, 250)), 720: ((206, 90, 12), (14, 135, 255))}[height]
    whole = next(scan_pictures(path, 48))
    assert whole.size == whole.bgr().shape[1::-1]
    for lines in (48, 24, 20):
        image = whole.bgr(lines)
        assert image.shape == (lines, round(whole.size[0] * lines / 48), 3)
        for x, colour in zip((0.2, 0.8), as_meant, strict=True):
            np.testing.assert_allclose(
                image[lines // 2, round(x * image.shape[1])].astype(int), colour, atol=6
            )


def test_black_and_white_are_black_and_white() -> None:
    planes = np.full((12, 8), 128, np.uint8)
    planes[:4], planes[4:8] = 16, 235
    for matrix in ("bt601", "bt709"):
        image = ScannedPicture(0, 0.0, planes, matrix).bgr()
        assert image[0, 0].tolist() == [0, 0, 0]
        assert image[7, 7].tolist() == [255, 255, 255]
    assert ScannedPicture(0, 0.0, planes, "bt601").bgr(480).shape == (8, 8, 3)  # never enlarged


def test_broken_off_files_give_their_beginning(tmp_path: Path) -> None:
    whole = write_media(tmp_path / "w.mkv", regular(30, 2.0)).read_bytes()
    (tmp_path / "a.mkv").write_bytes(whole[: len(whole) // 2])
    assert 10 < len(list(scan_frames(tmp_path / "a.mkv", 48))) < 50


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_a_half_picture_at_the_end_of_a_broken_off_file_is_no_damage(suffix: str, tmp_path: Path) -> None:
    """Cut inside a picture of noise, which is large, by way of the faststart layout for MP4."""
    noise = np.random.default_rng(3).integers(0, 256, (30, 96, 128, 3), dtype=np.uint8)
    write_media(tmp_path / "w.mkv", regular(30, 1.0), pictures=noise)
    output = ffmpeg.input(str(tmp_path / "w.mkv")).output(
        str(tmp_path / f"w.{suffix}"), codec="copy", movflags="+faststart"
    )
    if suffix == "mp4":
        run(output, "moving the index to the front")
    whole = (tmp_path / f"w.{suffix}").read_bytes()
    (tmp_path / f"a.{suffix}").write_bytes(whole[: round(len(whole) * 0.62)])
    numbers = [number for number, _, _ in scan_frames(tmp_path / f"a.{suffix}", 48)]
    assert 10 < len(numbers) < 25


def test_damage_in_between_is_an_error_after_the_last_picture(tmp_path: Path) -> None:
    """Two of thirty pictures say that they are longer than they are. The others come, but are not whole."""
    whole = write_media(tmp_path / "w.mkv", regular(30, 1.0))
    with av.open(str(whole)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0)]
    data = bytearray(whole.read_bytes())
    for packet in (packets[10], packets[20]):
        at = data.index(packet)
        data[at : at + 4] = b"\xff\xff\xff\xff"
    (tmp_path / "a.mkv").write_bytes(data)
    frames = scan_frames(tmp_path / "a.mkv", 48)
    assert len(list(itertools.islice(frames, 25))) == 25
    with pytest.raises(PermanentError, match=r"a\.mkv is damaged in 2 places") as caught:
        list(frames)
    assert "Invalid NAL unit size" in caught.value.tool_message


def test_no_video_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    with pytest.raises(PermanentError, match="empty"):
        next(scan_frames(tmp_path / "a.mp4", 48))
