"""What every function that listens asks of its audio."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from d2midi_build.errors import PermanentError


def checked(audio: npt.NDArray[np.float32], sample_rate_hz: int) -> npt.NDArray[np.float32]:
    """Audio as float32 of shape ``(n,)`` or ``(n, channels)``, known to be finite.

    Raises
    ------
    PermanentError
        If a sample is not a finite number.
    ValueError
        If the shape or the rate cannot be.
    """
    samples = np.asarray(audio, dtype=np.float32)
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and samples.shape[1] == 0) or sample_rate_hz <= 0:
        raise ValueError(
            f"audio of shape {samples.shape} at {sample_rate_hz} Hz is not (n,) or (n, channels)"
        )
    finite = np.isfinite(samples)
    if not finite.all():
        first = int(np.argmin(finite.reshape(len(samples), -1).all(axis=1)))
        raise PermanentError(
            f"the audio holds {int((~finite).sum())} samples that are not numbers, the first at "
            f"{first / sample_rate_hz:.3f} s. Decode the source again; if it stays so, the file is damaged."
        )
    return samples
