"""The decode for screening: every picture of a video, small, with its true time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ffmpeg

from d2midi_build.media.ffmpeg import Frame, file_url, note_decode, read_frames
from d2midi_build.media.picture import fitted_size, picture_filters
from d2midi_build.media.probe import probe


def scan_frames(path: Path, height: int) -> Iterator[tuple[int, float, Frame]]:
    """Decode a video once and yield its pictures as they will be displayed, only smaller.

    Parameters
    ----------
    path : Path
    height : int
        Height of the pictures in pixels; smaller pictures are not enlarged.

    Yields
    ------
    int
        Number of the picture, from 0.
    float
        Its time in seconds on the source clock: from the file's first picture. Sources of varying frame
        rate keep their times.
    np.ndarray, shape=(height, width, 3), dtype=uint8
        BGR, read-only.

    Raises
    ------
    PermanentError
        If the file is not a video. A file that breaks off or has broken parts gives what can be decoded.
    TransientError
        If the disk is full.
    """
    info = probe(path)
    width, height = fitted_size(info.video, height)
    source = ffmpeg.input(file_url(path), copyts=None, max_error_rate=1)

    def output_of(name: str, **options: Any) -> Any:
        filters = picture_filters(info.video, width, height, "bgr24")
        return source[str(info.video.index)].output(name, vf=filters, **options)

    note_decode("video", path)
    frames = read_frames(output_of, width, height, "bgr24", f"decoding {path.name}")
    for number, (time_s, frame) in enumerate(frames):
        yield number, time_s - info.video.start_s, frame
