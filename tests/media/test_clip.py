"""Clips are checked from their pictures and sound, not from what ``make_clip`` says of them."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from d2midi_build import clock
from d2midi_build.errors import PermanentError
from d2midi_build.media.clip import ClipInfo, clip_frames, make_clip
from d2midi_build.media.ffmpeg import DECODE_LOGGER
from tests.media.making import (
    CLICKS_S,
    Array,
    click_times_s,
    clicks,
    read_time_s,
    regular,
    shown_times_s,
    write_media,
)

_RNG = np.random.default_rng(5)
_VFR = np.sort(
    np.concatenate([regular(30, 1.4), 1.4 + regular(60, 0.8), 2.2 + regular(12.5, 0.8)])
) + np.append(0, _RNG.uniform(0, 0.008, 99))


def sound(start_s: float = 0.0, end_s: float = 3.2, rate_hz: int = 48_000) -> dict[str, Any]:
    return {"sound": clicks(rate_hz, start_s, end_s), "sound_start_s": start_s, "rate_hz": rate_hz}


SHAPES: dict[str, tuple[str, Array, dict[str, Any]]] = {
    "30": ("a.mp4", regular(30), sound()),
    "29.97": ("a.mp4", regular(30 / 1.001), sound(rate_hz=44_100)),
    "60": ("a.mp4", regular(60), sound()),
    "59.94-mkv": ("a.mkv", regular(60 / 1.001), sound()),
    "25": ("a.mp4", regular(25), sound()),
    "24-mkv": ("a.mkv", regular(24), sound()),
    "23.976": ("a.mov", regular(24 / 1.001), sound()),
    "15": ("a.mp4", regular(15), sound()),
    "vfr": ("a.mp4", _VFR, sound()),
    "vfr-mkv": ("a.mkv", _VFR, sound()),
    "late-audio": ("a.mp4", regular(30), sound(0.476)),
    "late-audio-mkv": ("a.mkv", regular(30), sound(0.476)),
    "late-video": ("a.mp4", regular(30, 2.6, 0.4), sound()),
    "late-video-mkv": ("a.mkv", regular(25, 2.6, 0.4), sound()),
    "far-from-zero": ("a.mkv", regular(30, 2.8, 0.2), sound(0.1)),
    "rotated-90": ("a.mp4", regular(30), sound() | {"rotation": 90}),
    "rotated-180": ("a.mp4", regular(30), sound() | {"rotation": 180}),
    "rotated-270": ("a.mov", regular(30), sound() | {"rotation": 270}),
    "anamorphic": ("a.mp4", regular(30), sound() | {"pixel_aspect": Fraction(4, 3)}),
    "narrow-rotated": ("a.mp4", regular(30), sound() | {"pixel_aspect": Fraction(3, 4), "rotation": 90}),
    "10-bit": ("a.mp4", regular(30), sound() | {"pix_fmt": "yuv420p10le"}),
    "hdr-pq": ("a.mp4", regular(30), sound() | {"pix_fmt": "yuv420p10le", "transfer": 16}),
    "hdr-hlg": ("a.mkv", regular(30), sound() | {"pix_fmt": "yuv420p10le", "transfer": 18}),
    "5.1": ("a.mp4", regular(30), sound() | {"layout": "5.1"}),
    "8-kHz": ("a.mkv", regular(30), sound(rate_hz=8000) | {"layout": "mono"}),
    "11.025-kHz": (
        "a.mkv",
        regular(30),
        sound(rate_hz=11_025) | {"layout": "mono", "sound_codec": "pcm_s16le"},
    ),
    "24-bit-96-kHz": ("a.mkv", regular(30), sound(rate_hz=96_000) | {"sound_codec": "flac"}),
    "odd-size": ("a.mkv", regular(30), sound() | {"size": (131, 97), "pix_fmt": "yuv444p"}),
    "avi": ("a.avi", regular(30), sound() | {"codec": "mpeg4", "sound_codec": "pcm_s16le", "ticks_hz": 30}),
    "transport-stream": ("a.ts", regular(30), sound()),
    "webm": ("a.webm", regular(30), sound() | {"codec": "libvpx", "sound_codec": "libopus"}),
}


def measured_av_offset_s(info: ClipInfo, folder: Path, clicks_s: Array, rate_of: str = "audio") -> float:
    """Sound minus picture, from the files: mean over clicks and over frames that hold no picture too long."""
    shown = shown_times_s(folder / info.video)
    samples, rate_hz = soundfile.read(folder / getattr(info, rate_of), always_2d=True)
    heard = click_times_s(samples.mean(axis=1), rate_hz)
    late = shown - np.arange(len(shown)) / clock.FPS
    steady = np.abs(late - np.median(late)) < 0.045
    begins = (
        clicks_s[:, None] - heard[None, :]
    )  # each click as heard says where in the source the clip begins
    nearest = begins.ravel()[np.argsort(np.abs(begins.ravel() - np.median(late)))[: len(heard)]]
    return float(np.mean(late[steady]) - np.mean(nearest))


@pytest.mark.parametrize("shape", SHAPES)
def test_picture_and_sound_agree(shape: str, tmp_path: Path) -> None:
    name, times_s, options = SHAPES[shape]
    source = write_media(tmp_path / name, times_s, **options)
    info = make_clip(source, 0.0, float("inf"), tmp_path, height=640, crf=18)

    assert abs(measured_av_offset_s(info, tmp_path, np.array(CLICKS_S))) <= 0.0025
    assert abs(measured_av_offset_s(info, tmp_path, np.array(CLICKS_S), "original")) <= 0.0025
    assert abs(info.video_offset_ms) < 0.1

    expected = clock.whole_frames(3.0 - times_s[0])
    # Where the last picture ends is a guess if frames vary; transport streams lose their last picture.
    assert 0 <= expected - info.n_frames <= (shape in ("vfr", "vfr-mkv", "transport-stream"))
    audio = soundfile.info(tmp_path / info.audio)
    assert (audio.samplerate, audio.channels) == (clock.SAMPLE_RATE_HZ, 1)
    assert audio.frames == info.n_samples == clock.SAMPLES_PER_FRAME * info.n_frames
    original = soundfile.info(tmp_path / info.original)
    assert original.samplerate == info.original_rate_hz == options["rate_hz"]
    assert original.channels == info.original_channels
    assert original.frames == info.original_samples == round(info.n_frames * options["rate_hz"] / clock.FPS)

    shown = shown_times_s(tmp_path / info.video)
    assert len(shown) == info.n_frames == len(info.source_times_s)
    # What the pictures say is what source_times_s says; the source clock's zero is the first picture.
    np.testing.assert_allclose(shown - times_s[0], info.source_times_s, atol=0.0012)


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({}, (128, 96)),
        ({"rotation": 90}, (96, 128)),
        ({"pixel_aspect": Fraction(4, 3)}, (170, 96)),
        ({"pixel_aspect": Fraction(4, 3), "rotation": 270}, (96, 170)),
        ({"size": (131, 97), "pix_fmt": "yuv444p"}, (130, 96)),
    ],
)
def test_pixels_are_square_and_sizes_even(
    options: dict[str, Any], size: tuple[int, int], tmp_path: Path
) -> None:
    source = write_media(
        tmp_path / "a.mkv" if "size" in options else tmp_path / "a.mp4",
        regular(30, 1.0),
        **sound(),
        **options,
    )
    info = make_clip(source, 0.0, 1.0, tmp_path, height=640, crf=18)
    with av.open(str(tmp_path / info.video)) as container:
        frame = next(container.decode(video=0))
        stream = container.streams.video[0]
        assert (frame.width, frame.height) == size == (info.width, info.height)
        assert stream.sample_aspect_ratio in (None, 1)
        assert frame.rotation == 0
        assert (frame.format.name, stream.codec_context.name, stream.average_rate) == (
            "yuv420p",
            "h264",
            clock.FPS,
        )
        # BT.709, limited range, whatever the source was
        assert (frame.colorspace, frame.color_range, frame.color_trc) == (1, 1, 1)


def test_height_is_only_ever_reduced(tmp_path: Path) -> None:
    source = write_media(tmp_path / "a.mp4", regular(30, 1.0), **sound(), size=(320, 240))
    info = make_clip(source, 0.0, 1.0, tmp_path, height=101, crf=18)
    assert (info.width, info.height) == (134, 100)


def test_a_take_is_cut_to_the_frame_and_the_sample(tmp_path: Path) -> None:
    """Also where ffmpeg seeks: far into a long file with rare keyframes."""
    at_s = np.arange(0.35, 16, 0.83)
    source = write_media(tmp_path / "a.mp4", regular(30, 16), clicks(44_100, 0, 16.2, at_s), rate_hz=44_100)
    for start_s, end_s in ((1 / 30, 2.3), (3.4, 5.4), (12.1, 15.1)):
        info = make_clip(source, start_s, end_s, tmp_path, height=96, crf=18)
        shown = shown_times_s(tmp_path / info.video)
        assert info.n_frames == clock.whole_frames(end_s - start_s)
        assert shown.min() >= start_s - 0.001
        assert shown.max() < end_s - 0.001
        assert abs(shown[0] - start_s) <= 1 / 30 + 0.001
        np.testing.assert_allclose(shown, info.source_times_s, atol=0.001)
        heard = click_times_s(soundfile.read(tmp_path / info.audio)[0], clock.SAMPLE_RATE_HZ)
        inside = at_s[
            (at_s > info.source_start_s + 0.02)
            & (at_s < info.source_start_s + info.n_frames / clock.FPS - 0.02)
        ]
        np.testing.assert_allclose(heard, inside - info.source_start_s, atol=0.0005)
        assert abs(measured_av_offset_s(info, tmp_path, at_s)) <= 0.002


def test_frames_of_the_next_shot_are_not_shown(tmp_path: Path) -> None:
    """At 10 frames/s the nearest picture to a late clip frame can lie behind the cut."""
    source = write_media(tmp_path / "a.mp4", regular(10), **sound())
    info = make_clip(source, 0.5, 1.5, tmp_path, height=96, crf=18)
    shown = shown_times_s(tmp_path / info.video)
    assert info.n_frames == 20
    assert shown.min() == pytest.approx(0.5, abs=0.001)
    assert shown.max() == pytest.approx(1.4, abs=0.001)


def test_short_sound_is_continued_with_silence(tmp_path: Path) -> None:
    source = write_media(tmp_path / "a.mkv", regular(30), **sound(0.5, 2.0), sound_codec="pcm_s16le")
    info = make_clip(source, 0.0, 3.0, tmp_path, height=96, crf=18)
    assert info.n_frames == 60
    assert info.audio_padded_s == pytest.approx(1.5, abs=0.02)
    assert np.all(soundfile.read(tmp_path / info.original)[0][round(2.05 * 48_000) :] == 0)


def test_a_hole_in_the_sound_is_filled(tmp_path: Path) -> None:
    """Without filling, the second click would come 60 ms early."""
    whole = clicks(48_000, 0, 3.0)
    source = tmp_path / "a.mkv"
    intact = write_media(tmp_path / "w.mkv", regular(30), whole, sound_codec="pcm_s16le")
    with av.open(str(intact)) as inside, av.open(str(source), "w") as outside:
        to = {s.index: outside.add_stream_from_template(s) for s in inside.streams}
        for packet in inside.demux():
            lost = packet.stream.type == "audio" and 0.9 <= (packet.pts or 0) * packet.time_base < 0.96
            if packet.size and not lost:
                packet.stream = to[packet.stream.index]
                outside.mux(packet)
    info = make_clip(source, 0.0, 3.0, tmp_path, height=96, crf=18)
    heard = click_times_s(soundfile.read(tmp_path / info.audio)[0], clock.SAMPLE_RATE_HZ)
    np.testing.assert_allclose(heard, np.array(CLICKS_S) - info.source_start_s, atol=0.001)


def test_slow_sources_repeat_pictures(tmp_path: Path) -> None:
    source = write_media(tmp_path / "a.mp4", np.array([0.0, 1.0, 2.0]), **sound(), size=(16, 16))
    info = make_clip(source, 0.0, 10.0, tmp_path, height=96, crf=18)
    assert info.n_frames == 60  # the last picture lasts as long as the others
    assert np.unique(info.source_times_s).tolist() == pytest.approx([0, 1, 2], abs=1e-5)


def test_a_picture_of_one_pixel(tmp_path: Path) -> None:
    source = write_media(
        tmp_path / "a.mkv",
        regular(5, 1.0),
        **sound(),
        size=(1, 1),
        pix_fmt="yuv444p",
        pictures=[np.zeros((1, 1, 3), np.uint8)] * 5,
    )
    info = make_clip(source, 0.0, 1.0, tmp_path, height=96, crf=18)
    assert (info.width, info.height, info.n_frames) == (2, 2, 20)


def test_hdr_becomes_plain_brightness(tmp_path: Path) -> None:
    """PQ code 0.58 is about 203 cd/m2, reference white: it must come out near white, not grey."""
    grey = round(0.58 * 255)
    flat = [np.full((96, 128, 3), level, np.uint8) for level in (grey, 0) for _ in range(15)]
    options = sound() | {"pix_fmt": "yuv420p10le", "transfer": 16}
    source = write_media(tmp_path / "a.mp4", regular(30, 1.0), **options, pictures=flat)
    info = make_clip(source, 0.0, 1.0, tmp_path, height=96, crf=18)
    with av.open(str(tmp_path / info.video)) as container:
        luma = [f.to_ndarray(format="gray").mean() for f in container.decode(video=0)]
    assert luma[2] > 165
    assert luma[-2] < 25


def test_same_input_same_bytes(tmp_path: Path) -> None:
    source = write_media(tmp_path / "a.mp4", regular(30), **sound())
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        info = make_clip(source, 0.2, 2.9, tmp_path / name, height=96, crf=18)
        made.append(
            [(tmp_path / name / file).read_bytes() for file in (info.video, info.audio, info.original)]
        )
        assert sorted(path.name for path in (tmp_path / name).iterdir()) == [
            "audio.flac",
            "original.flac",
            "video.mp4",
        ]
    assert made[0] == made[1]
    assert not any(b"Lavf" in content or str(tmp_path).encode() in content for content in made[0])


def test_one_decode(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = write_media(tmp_path / "a.mp4", regular(30, 1.0), **sound())
    with caplog.at_level(logging.DEBUG, DECODE_LOGGER):
        make_clip(source, 0.0, 1.0, tmp_path, height=96, crf=18)
    assert caplog.messages.count(f"video {source}") == 1


def test_no_sound_is_an_error(tmp_path: Path) -> None:
    source = write_media(tmp_path / "a.mp4", regular(30, 1.0))
    with pytest.raises(PermanentError, match="no sound"):
        make_clip(source, 0.0, 1.0, tmp_path, height=96, crf=18)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_undecodable_sound_is_an_error(tmp_path: Path) -> None:
    source = write_media(tmp_path / "a.mkv", regular(30, 1.0), **sound())
    content = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        for packet in container.demux(audio=0):
            if packet.size:
                at = content.find(bytes(packet))
                content[at : at + packet.size] = b"\xff" * packet.size
    source.write_bytes(content)
    with pytest.raises(PermanentError, match="no sound that can be decoded"):
        make_clip(source, 0.0, 1.0, tmp_path, height=96, crf=18)


def test_sound_that_ended_before_the_take_is_an_error(tmp_path: Path) -> None:
    source = write_media(tmp_path / "a.mkv", regular(30), **sound(0.0, 0.5))
    with pytest.raises(PermanentError, match="no sound that can be decoded"):
        make_clip(source, 2.0, 3.0, tmp_path, height=96, crf=18)


def test_a_take_without_frames_is_an_error(tmp_path: Path) -> None:
    source = write_media(tmp_path / "a.mp4", regular(30, 1.0), **sound())
    for start_s, end_s in ((0.5, 0.52), (5.0, 7.0)):
        with pytest.raises(PermanentError, match="no whole frame"):
            make_clip(source, start_s, end_s, tmp_path, height=96, crf=18)


def test_a_file_that_breaks_off_gives_what_can_be_decoded(tmp_path: Path) -> None:
    whole = write_media(tmp_path / "w.mkv", regular(30), **sound()).read_bytes()
    source = tmp_path / "a.mkv"
    source.write_bytes(whole[: len(whole) * 6 // 10])
    info = make_clip(source, 0.0, 3.0, tmp_path, height=96, crf=18)
    assert 20 < info.n_frames < 50
    shown = shown_times_s(tmp_path / info.video)
    np.testing.assert_allclose(shown, info.source_times_s, atol=0.0012)


def test_damaged_pictures_leave_the_rest_in_time(tmp_path: Path) -> None:
    source = write_media(tmp_path / "a.mkv", regular(30, 3.0), **sound())
    content = bytearray(source.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300] = bytes(300)
    source.write_bytes(content)
    info = make_clip(source, 0.0, 3.0, tmp_path, height=96, crf=18)
    with av.open(str(tmp_path / info.video)) as container:
        first = read_time_s(next(container.decode(video=0)).to_ndarray(format="gray"))
    assert first == pytest.approx(info.source_times_s[0], abs=0.0012)
    heard = click_times_s(soundfile.read(tmp_path / info.audio)[0], clock.SAMPLE_RATE_HZ)
    assert heard[0] == pytest.approx(CLICKS_S[0] - info.source_start_s, abs=0.001)


def test_colours_survive(tmp_path: Path) -> None:
    """Unlabelled small pictures are BT.601, as they were written; the clip says BT.709 and is."""
    orange = np.full((96, 160, 3), (230, 120, 40), np.uint8)
    source = write_media(
        tmp_path / "a.mkv", regular(30, 0.5), **sound(), size=(160, 96), pictures=[orange] * 15
    )
    make_clip(source, 0.0, 0.5, tmp_path, height=96, crf=18)
    frame = next(clip_frames(tmp_path / "video.mp4"))
    np.testing.assert_allclose(frame[40, 10].astype(int), (230, 120, 40), atol=8)


def test_sound_may_begin_a_few_samples_before_a_block_ends(tmp_path: Path) -> None:
    """At 8,190 samples/s the sound kept aside is cut 2 samples before the end of a block of 4,096, a length in
    which FLAC does not write."""
    sound_of = clicks(8190, 0.0, 2.0)
    source = write_media(
        tmp_path / "a.mkv", regular(20, 2.0), sound_of, rate_hz=8190, sound_codec="pcm_s16le", layout="mono"
    )
    made = make_clip(source, 0.0, 1.5, tmp_path, height=96, crf=30)
    kept, rate_hz = soundfile.read(tmp_path / made.original)
    assert (rate_hz, len(kept)) == (8190, round(1.5 * 8190))
    np.testing.assert_allclose(kept, sound_of[: len(kept)], atol=1e-4)
