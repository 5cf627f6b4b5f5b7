"""Small media whose every frame says when it is shown and whose sound clicks at known instants."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

CLICKS_S = (0.61, 1.27, 1.83, 2.41)
_BITS = 16
_UNIT_S = 0.00025
_COLUMNS, _ROWS = 4, 4


def regular(fps: float, duration_s: float = 3.0, first_s: float = 0.0) -> Array:
    """Times of a steady frame rate."""
    return first_s + np.arange(round(duration_s * fps)) / fps


def picture(time_s: float, width: int, height: int) -> npt.NDArray[np.uint8]:
    """RGB picture of 4 x 4 black and white tiles that spell the time in quarters of a millisecond."""
    number = round(time_s / _UNIT_S)
    bits = np.array([number >> bit & 1 for bit in range(_BITS)]).reshape(_ROWS, _COLUMNS)
    rows, columns = np.arange(height) * _ROWS // height, np.arange(width) * _COLUMNS // width
    return np.repeat((40 + 170 * bits[rows][:, columns])[..., None], 3, axis=2).astype(np.uint8)


def read_time_s(grey: npt.NDArray[np.uint8]) -> float:
    """The time a picture spells; grey, any size, upright."""
    height, width = grey.shape
    number = 0
    for bit in range(_BITS):
        row, column = divmod(bit, _COLUMNS)
        tile = grey[
            round((row + 0.3) * height / _ROWS) : round((row + 0.7) * height / _ROWS),
            round((column + 0.3) * width / _COLUMNS) : round((column + 0.7) * width / _COLUMNS),
        ]
        number |= int(tile.mean() > 125) << bit
    return number * _UNIT_S


def shown_times_s(video: Path) -> Array:
    """The times that the frames of a video file spell."""
    with av.open(str(video)) as container:
        return np.array([read_time_s(f.to_ndarray(format="gray")) for f in container.decode(video=0)])


def _burst(time_s: Array) -> Array:
    return np.asarray(np.exp(-0.5 * (time_s / 0.002) ** 2) * np.cos(2 * np.pi * 1000 * time_s))


def clicks(rate_hz: int, start_s: float, end_s: float, at_s: Iterable[float] = CLICKS_S) -> Array:
    """Sound from ``start_s`` to ``end_s`` with a click at each instant."""
    time_s = start_s + np.arange(round((end_s - start_s) * rate_hz)) / rate_hz
    return np.asarray(0.6 * np.sum([_burst(time_s - at) for at in at_s], axis=0))


def click_times_s(sound: Array, rate_hz: int) -> Array:
    """Where clicks are, to a fraction of a sample; mono."""
    template = _burst(np.arange(-round(0.008 * rate_hz), round(0.008 * rate_hz) + 1) / rate_hz)
    match = np.correlate(sound, template, mode="same")
    found = []
    while match.max() > 0.3 * np.sum(template**2):
        k = int(np.clip(np.argmax(match), 1, len(match) - 2))
        a, b, c = match[k - 1 : k + 2]
        found.append((k + 0.5 * (a - c) / (a - 2 * b + c)) / rate_hz)
        match[max(0, k - round(0.1 * rate_hz)) : k + round(0.1 * rate_hz)] = 0
    return np.sort(np.array(found))


def write_media(
    path: Path,
    times_s: Array,
    sound: Array | None = None,
    *,
    rate_hz: int = 48_000,
    sound_start_s: float = 0.0,
    layout: str = "stereo",
    sound_codec: str = "aac",
    size: tuple[int, int] = (128, 96),
    pix_fmt: str = "yuv420p",
    codec: str = "libx264",
    ticks_hz: int = 90_000,
    rotation: int = 0,
    pixel_aspect: Fraction | None = None,
    transfer: int | None = None,
    pictures: Iterable[npt.NDArray[np.uint8]] | None = None,
) -> Path:
    """Write a media file.

    ``times_s`` are the frames' timestamps, ``sound`` mono samples that begin at ``sound_start_s`` and go to
    every channel of ``layout``. ``size`` is as stored; ``rotation`` the display matrix in degrees clockwise;
    ``transfer`` the H.273 number (16 is PQ, with BT.2020); ``ticks_hz`` the unit of the timestamps.
    Pictures spell their times, upright, unless ``pictures`` gives others.
    """
    width, height = size
    with av.open(str(path), "w") as container:
        options = {"crf": "18", "preset": "veryfast"} if codec == "libx264" else {"b": "2000000"}
        stream: Any = container.add_stream(codec, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.time_base = stream.codec_context.time_base = Fraction(1, ticks_hz)
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if transfer is not None:
            stream.codec_context.color_trc = transfer
            stream.codec_context.color_primaries = stream.codec_context.colorspace = 9
            stream.codec_context.color_range = 1
        if rotation:
            stream.set_display_rotation(-rotation)
        speaker: Any = None
        if sound is not None:
            speaker = container.add_stream(sound_codec, rate=rate_hz, layout=layout)
        shown = pictures if pictures is not None else (_stored(t, size, rotation) for t in times_s)
        packets = []
        for time_s, image in zip(times_s, shown, strict=False):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = round(time_s * ticks_hz), Fraction(1, ticks_hz)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        if sound is not None:
            packets += _encode_sound(speaker, sound, rate_hz, sound_start_s, layout)
        packets.sort(key=lambda p: -1.0 if p.dts is None else float(p.dts * p.time_base))
        container.mux(packets)
    return path


def _stored(time_s: float, size: tuple[int, int], rotation: int) -> npt.NDArray[np.uint8]:
    upright = size if rotation % 180 == 0 else size[::-1]
    return np.rot90(picture(time_s, *upright), rotation // 90)


def _encode_sound(stream: Any, sound: Array, rate_hz: int, start_s: float, layout: str) -> list[Any]:
    n_channels = av.AudioLayout(layout).nb_channels
    planes = np.repeat(sound[None].astype(np.float32), n_channels, axis=0)
    resampler = av.AudioResampler(stream.codec_context.format or "fltp", layout, rate_hz)
    packets = []
    for first in range(0, planes.shape[1], 1024):
        part = np.ascontiguousarray(planes[:, first : first + 1024])
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
        frame.sample_rate, frame.time_base = rate_hz, Fraction(1, rate_hz)
        frame.pts = round(start_s * rate_hz) + first
        for converted in resampler.resample(frame):
            packets += stream.encode(converted)
    return packets + list(stream.encode(None))
