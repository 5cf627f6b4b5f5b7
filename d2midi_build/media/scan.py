"""The decode for screening: every picture of a video, small, with its true time.

Pictures come from ffmpeg as it has them, brightness in full and colour in half resolution: half the bytes of
BGR, and no conversion of pictures that nobody looks at. ``ScannedPicture`` makes BGR of those that somebody
does. Pictures are made smaller by area averaging, and on one thread: a worker has one core.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import cv2
import ffmpeg
import numpy as np
import numpy.typing as npt

from d2midi_build.errors import PermanentError
from d2midi_build.media.ffmpeg import Frame, file_url, note_decode, read_frames
from d2midi_build.media.picture import fitted_size, picture_filters
from d2midi_build.media.probe import VideoStream, probe

Matrix = Literal["bt601", "bt709"]

# What ffmpeg says of a picture that it could not decode whole (from version 6 on, and before), and of a
# Matroska file some of whose pictures it had to pass over.
_DAMAGE: Final = re.compile(
    r"corrupt decoded frame|Error submitting packet to decoder|Decoding error|Error while decoding stream"
    r"|exceeds containing master element"
)
_BREAKS_OFF: Final = re.compile(r"partial file|File ended prematurely")
_SAID: Final = 4000  # characters of it that are kept
_HD_HEIGHT: Final = 720  # unlabelled pictures of at least this height are taken for BT.709; as in ``picture``


def _to_bgr(red: float, blue: float) -> npt.NDArray[np.float32]:
    """From Y, Cb, Cr in limited range to B, G, R, as a matrix with offsets; ITU-R BT.601 and BT.709.

    ``red`` and ``blue`` are their shares in the brightness.
    """
    green = 1 - red - blue
    y, c = 255 / 219, 255 / 224
    rows = np.array(
        [
            [y, 2 * (1 - blue) * c, 0],
            [y, -2 * (1 - blue) * blue / green * c, -2 * (1 - red) * red / green * c],
            [y, 0, 2 * (1 - red) * c],
        ]
    )
    return np.column_stack([rows, -rows @ np.array([16, 128, 128])]).astype(np.float32)


_BGR: Final = {"bt601": _to_bgr(0.299, 0.114), "bt709": _to_bgr(0.2126, 0.0722)}


@dataclass(frozen=True, eq=False)
class ScannedPicture:
    """A picture of a scan.

    Attributes
    ----------
    number : int
        From 0.
    time_s : float
        Its time in seconds on the source clock: from the file's first picture. Sources of varying frame
        rate keep their times.
    planes : np.ndarray, shape=(height * 3 // 2, width), dtype=uint8
        Y, then Cb and Cr in half the width and height (I420), limited range; read-only.
    matrix : str
        What its colours mean: ``bt601`` or ``bt709``.
    """

    number: int
    time_s: float
    planes: npt.NDArray[np.uint8]
    matrix: Matrix

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, both even."""
        return self.planes.shape[1], self.planes.shape[0] * 2 // 3

    def bgr(self, height: int | None = None) -> Frame:
        """The picture in BGR, shape (height, width, 3).

        Parameters
        ----------
        height : int, optional
            Made smaller to this many lines if it has more. Default: as it is. Half of it costs 0.03 ms of
            CPU at 640 x 360, all of it 0.2 ms.
        """
        width, lines = self.size
        y = self.planes[:lines]
        colours = self.planes[lines:].reshape(2, lines // 2, width // 2)
        to = (width, lines)
        if height is not None and height < lines:
            to = (max(1, round(width * height / lines)), height)
            y = np.asarray(cv2.resize(y, to, interpolation=cv2.INTER_AREA), np.uint8)
        cb, cr = (_scaled(plane, to) for plane in colours)
        return np.asarray(cv2.transform(cv2.merge([y, cb, cr]), _BGR[self.matrix]), np.uint8)


def _scaled(plane: npt.NDArray[np.uint8], to: tuple[int, int]) -> npt.NDArray[np.uint8]:
    if plane.shape == to[::-1]:
        return plane
    how = cv2.INTER_AREA if plane.shape[0] > to[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, to, interpolation=how), np.uint8)


def scan_pictures(path: Path, height: int) -> Iterator[ScannedPicture]:
    """Decode a video once and yield its pictures as they will be displayed, only smaller.

    Parameters
    ----------
    path : Path
    height : int
        Height of the pictures in pixels; smaller pictures are not enlarged.

    Yields
    ------
    ScannedPicture

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
    filters, matrix = _filters(info.video, width, height)
    source = ffmpeg.input(file_url(path), copyts=None, max_error_rate=1, threads=1)

    def output_of(name: str, **options: Any) -> Any:
        # Damage is a warning, and each piece has to be told, also if the words repeat.
        return source[str(info.video.index)].output(
            name, vf=filters, filter_threads=1, loglevel="repeat+warning", **options
        )

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
    frames = read_frames(output_of, width, height, "yuv420p", f"decoding {path.name}", judge)
    for number, (time_s, planes) in enumerate(frames):
        yield ScannedPicture(number, time_s - info.video.start_s, planes, matrix)


def scan_frames(path: Path, height: int) -> Iterator[tuple[int, float, Frame]]:
    """``scan_pictures`` for those who look at every picture in full: number, time and BGR of each."""
    for picture in scan_pictures(path, height):
        yield picture.number, picture.time_s, picture.bgr()


def _filters(video: VideoStream, width: int, height: int) -> tuple[str, Matrix]:
    """The filter chain of a scan and what its colours mean. Only pictures that say they are neither BT.709
    nor HDR are converted: that costs as much as all the rest for small ones."""
    if video.hdr:
        return picture_filters(video, width, height, "yuv420p"), "bt709"
    sd = not video.matrix_known and video.height < _HD_HEIGHT
    matrix: Matrix = "bt601" if sd else "bt709"
    given = "auto" if video.matrix_known else matrix
    return (
        f"scale={width}:{height}:flags=area:in_color_matrix={given}:out_color_matrix={matrix}:out_range=tv,"
        "format=yuv420p,setsar=1"
    ), matrix
