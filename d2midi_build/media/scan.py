"""The decode for screening: every picture of a video, small, with its true time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import ffmpeg

from d2midi_build.errors import PermanentError
from d2midi_build.media.ffmpeg import Frame, file_url, note_decode, read_frames
from d2midi_build.media.picture import fitted_size, picture_filters
from d2midi_build.media.probe import probe

# What ffmpeg says of a picture that it could not decode whole (from version 6 on, and before), and of a
# Matroska file some of whose pictures it had to pass over.
_DAMAGE: Final = re.compile(
    r"corrupt decoded frame|Error submitting packet to decoder|Decoding error|Error while decoding stream"
    r"|exceeds containing master element"
)
_BREAKS_OFF: Final = re.compile(r"partial file|File ended prematurely")
_SAID: Final = 4000  # characters of it that are kept


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
        If the file is not a video; after the last picture, if some are damaged. A file that breaks off
        gives what comes before.
    TransientError
        If the disk is full.
    """
    info = probe(path)
    width, height = fitted_size(info.video, height)
    source = ffmpeg.input(file_url(path), copyts=None, max_error_rate=1)

    def output_of(name: str, **options: Any) -> Any:
        filters = picture_filters(info.video, width, height, "bgr24")
        # Damage is a warning, and each piece has to be told, also if the words repeat.
        return source[str(info.video.index)].output(name, vf=filters, loglevel="repeat+warning", **options)

    def judge(said: str) -> None:
        places = len(_DAMAGE.findall(said))
        # The last picture of a file that breaks off is cut in two: no other depends on it.
        if places > (1 if _BREAKS_OFF.search(said) else 0):
            raise PermanentError(
                f"{path.name} is damaged in {places} places: pictures are missing, or show things that were "
                "not there. Fetch it again",
                said[:_SAID],
            )

    note_decode("video", path)
    frames = read_frames(output_of, width, height, "bgr24", f"decoding {path.name}", judge)
    for number, (time_s, frame) in enumerate(frames):
        yield number, time_s - info.video.start_s, frame
