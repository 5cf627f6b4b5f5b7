"""The filters that make any picture upright, square-pixelled, small, 8-bit and BT.709."""

from __future__ import annotations

import math
from typing import Final

from d2midi_build.media.probe import VideoStream

_HD_HEIGHT: Final = (
    720  # players take unlabelled pictures of at least this height for BT.709, smaller for BT.601
)
_SDR_WHITE_NITS: Final = 203  # ITU-R BT.2408: diffuse white of HDR programmes


def fitted_size(video: VideoStream, height: int) -> tuple[int, int]:
    """Width and height in pixels of the displayed picture at a height, never enlarged, both even.

    >>> from types import SimpleNamespace as N
    >>> fitted_size(N(display_width=1920, display_height=1080), 640)
    (1138, 640)
    >>> fitted_size(N(display_width=301, display_height=35), 640)
    (292, 34)
    """
    fitted = max(2, min(height, video.display_height) // 2 * 2)
    # Ties go down: display widths of oblong pixels have been rounded up to whole ones.
    return max(2, math.ceil(video.display_width * fitted / video.display_height / 2 - 0.5) * 2), fitted


def picture_filters(video: VideoStream, width: int, height: int, pix_fmt: str) -> str:
    """An ffmpeg filter chain from decoded, upright frames (ffmpeg turns them itself) to a size and format.

    HDR (PQ and HLG) is mapped to SDR. The result has square pixels and, in YUV, BT.709 in limited range.
    """
    if video.hdr:
        # Made small before the costly part in linear light; every property is stated because files forget some.
        return (
            f"zscale=w={width}:h={height}:f=bicubic:tin={video.transfer}:min=bt2020nc:pin=bt2020"
            f":t=linear:npl={_SDR_WHITE_NITS},format=gbrpf32le,zscale=p=bt709,"
            "tonemap=tonemap=mobius:desat=0,zscale=t=bt709:m=bt709:r=tv,format=yuv420p,"
            f"scale=out_range={'tv' if pix_fmt == 'yuv420p' else 'pc'},format={pix_fmt},setsar=1"
        )
    matrix = "auto" if video.matrix_known else ("bt709" if video.height >= _HD_HEIGHT else "bt601")
    to = ":out_color_matrix=bt709:out_range=tv" if pix_fmt == "yuv420p" else ""
    return f"scale={width}:{height}:flags=bicubic:in_color_matrix={matrix}{to},format={pix_fmt},setsar=1"
