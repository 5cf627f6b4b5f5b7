"""Audio that cannot be listened to."""

from __future__ import annotations

import numpy as np
import pytest

from d2midi_build.errors import PermanentError
from d2midi_build.music.audio import checked


def test_numbers_that_are_none_are_named_with_their_time() -> None:
    audio = np.zeros((100, 2), np.float32)
    audio[50, 1], audio[60, 0] = np.nan, np.inf
    with pytest.raises(PermanentError, match=r"2 samples .* first at 5\.000 s"):
        checked(audio, 10)


def test_shapes_that_cannot_be() -> None:
    for audio, rate_hz in ((np.zeros((2, 2, 2)), 10), (np.zeros((5, 0)), 10), (np.zeros(5), 0)):
        with pytest.raises(ValueError, match="is not"):
            checked(audio, rate_hz)  # type: ignore[arg-type]
