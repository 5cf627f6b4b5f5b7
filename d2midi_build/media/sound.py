"""The filter that gives sound its place beside the picture."""

from __future__ import annotations

import math
from typing import Final

from d2midi_build.media.probe import AudioStream

_GAP_S: Final = 0.012
"""Holes longer than this are filled, overlaps cut: less than one packet of any common codec, more than
containers round times by."""


def first_sample(start_s: float, rate_hz: int) -> int:
    """The sample nearest to a time, counted from the source clock's zero."""
    return round(start_s * rate_hz)


def placed_sound(audio: AudioStream, zero_s: float, start_s: float, end_s: float = math.inf) -> str:
    """An ffmpeg filter chain that makes sound begin at ``first_sample(start_s, audio.rate_hz)`` exactly.

    Sound that begins later is preceded by silence, earlier sound is dropped, and holes are filled: a plain
    pipe would lose them and shift everything after.

    Parameters
    ----------
    audio : AudioStream
    zero_s : float
        The container's time of the source clock's zero; the input must keep its times (``-copyts``).
    start_s, end_s : float
        On the source clock, in seconds. The sound may end earlier.
    """
    until = f":end={zero_s + end_s:.6f}" if math.isfinite(end_s) else ""
    first = round(zero_s * audio.rate_hz) + first_sample(start_s, audio.rate_hz)
    # The trim is coarse, only so that nothing far away is resampled.
    return (
        f"atrim=start={zero_s + start_s - 0.5:.6f}{until},"
        f"aresample={audio.rate_hz}:min_comp=0.001:min_hard_comp={_GAP_S}:first_pts={first}"
    )
