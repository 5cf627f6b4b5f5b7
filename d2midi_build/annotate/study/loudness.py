"""How loud a sound is to people, after ITU-R BS.1770-4."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

RATE_HZ: Final = 48_000
"""The rate that the filters below are given for."""

_HEAD: Final = (
    (1.53512485958697, -2.69169618940638, 1.19839281085285),
    (1.0, -1.69065929318241, 0.73248077421585),
)
_LOW_CUT: Final = ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621))
_BLOCK: Final = RATE_HZ * 2 // 5
_HOP: Final = _BLOCK // 4
_OFFSET_DB: Final = -0.691
_SILENT_DB: Final = -70.0
_BELOW_DB: Final = -10.0


def loudness(sound: FloatArray) -> float | None:
    """Integrated loudness in LUFS.

    Parameters
    ----------
    sound : np.ndarray, shape (n, channels), float32
        At `RATE_HZ`; one or two channels.

    Returns
    -------
    float or None
        None for silence: nothing is louder than -70 LUFS.
    """
    from scipy.signal import lfilter

    weighted = np.asarray(sound, np.float64)
    for numerator, denominator in (_HEAD, _LOW_CUT):
        weighted = lfilter(numerator, denominator, weighted, axis=0)
    power = np.concatenate([[0.0], np.cumsum(np.square(weighted).sum(axis=1))])
    starts = np.arange(0, max(1, len(weighted) - _BLOCK + 1), _HOP)
    ends = np.minimum(starts + _BLOCK, len(weighted))
    mean = (power[ends] - power[starts]) / np.maximum(ends - starts, 1)
    heard = mean[mean > _power(_SILENT_DB)]
    if not len(heard):
        return None
    heard = heard[heard > heard.mean() * 10 ** (_BELOW_DB / 10)]
    return float(_OFFSET_DB + 10 * np.log10(heard.mean()))


def equally_loud(sounds: list[FloatArray], wanted: float = -20.0, peak: float = 0.9) -> list[FloatArray]:
    """Sounds scaled to one loudness: ``wanted``, or as much less as keeps all of them below ``peak``.

    Parameters
    ----------
    sounds : list of np.ndarray, shape (n, channels), float32
        At `RATE_HZ`. Silent ones stay as they are.
    wanted : float, optional
        LUFS. Default is -20.
    peak : float, optional
        The largest sample; lossy coding adds a little. Default is 0.9.
    """
    measured = [loudness(sound) for sound in sounds]
    gains = [1.0 if level is None else float(10 ** ((wanted - level) / 20)) for level in measured]
    audible = [
        (gain, sound) for gain, sound, level in zip(gains, sounds, measured, strict=True) if level is not None
    ]
    loudest = max((gain * float(np.abs(sound).max()) for gain, sound in audible), default=0.0)
    less = min(1.0, peak / loudest) if loudest > 0 else 1.0
    return [
        sound if level is None else np.asarray(sound * np.float32(gain * less), np.float32)
        for gain, sound, level in zip(gains, sounds, measured, strict=True)
    ]


def _power(level_db: float) -> float:
    return float(10 ** ((level_db - _OFFSET_DB) / 10))
