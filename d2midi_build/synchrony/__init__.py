"""Does the dance go with the music?

`phase_test` per clip, from its beats; `matched_null` against the music of other clips; `pooled_offset` for a constant
time between dance and music, over the clips of a source or site.
"""

from __future__ import annotations

from d2midi_build.synchrony.lag import PooledOffset, lag_curve, lags, pooled_offset
from d2midi_build.synchrony.null import BeatsOf, NullTest, matched_null
from d2midi_build.synchrony.phase import PhaseTest, beat_places, phase_test
from d2midi_build.synchrony.rhythm import motion_rhythm, onset_rhythm

__all__ = [
    "BeatsOf",
    "NullTest",
    "PhaseTest",
    "PooledOffset",
    "beat_places",
    "lag_curve",
    "lags",
    "matched_null",
    "motion_rhythm",
    "onset_rhythm",
    "phase_test",
    "pooled_offset",
]
