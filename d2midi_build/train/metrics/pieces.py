"""What a piece is like by itself: how many pitch classes it uses, how alike the rhythms of its bars are.

Neither has a better direction: a piece of one chord, or of no notes at all, has extreme values. Compare them with
those of a reference set.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build import clock
from d2midi_build.train.metrics.beats import EPSILON_S

FloatArray = npt.NDArray[np.float64]

NOMINAL_BAR_S: Final = 4 * 60 / clock.TEMPO_BPM
"""2 s: four quarters at the nominal tempo of the dataset's MIDI files, 40 frames, whatever the music's own tempo."""


def nominal_bars(length_s: float) -> FloatArray:
    """The whole bars of 2 s in a clip: shape (n, 2), begin and end in seconds. A rest shorter than a bar is none."""
    count = int((length_s + EPSILON_S) // NOMINAL_BAR_S)
    begins = np.arange(count) * NOMINAL_BAR_S
    return np.stack([begins, begins + NOMINAL_BAR_S], axis=1)


def annotated_bars(beats_s: npt.ArrayLike, position: npt.ArrayLike) -> FloatArray:
    """Bars from downbeat to downbeat: shape (n, 2), begin and end in seconds.

    Parameters
    ----------
    beats_s : array_like, shape=(n,)
        Seconds, ascending.
    position : array_like, shape=(n,)
        Place of each beat in its bar, 1 for a downbeat. Where none is known (no 1 among them), every fourth beat from
        the first begins a bar.

    Returns
    -------
    np.ndarray
        Only bars with as many beats as most have: a bar with a beat too few has a gap in it. Of counts equally
        frequent, the higher.

    Raises
    ------
    ValueError
        If there are not as many positions as beats.
    """
    beats, place = np.asarray(beats_s, dtype=np.float64), np.asarray(position)
    if beats.shape != place.shape:
        raise ValueError(f"{beats.shape} beats and {place.shape} positions: give one position per beat")
    begins = np.flatnonzero(place == 1) if (place == 1).any() else np.arange(0, len(beats), 4)
    if len(begins) < 2:
        return np.empty((0, 2))
    counts = np.diff(begins)
    values, often = np.unique(counts, return_counts=True)
    usual = int(values[::-1][often[::-1].argmax()])
    edges = beats[begins]
    return np.asarray(np.stack([edges[:-1], edges[1:]], axis=1)[counts == usual], dtype=np.float64)


def pitch_entropy(pitches: npt.ArrayLike) -> float | None:
    """-sum h log2 h over the 12 pitch classes, h the share of notes of a class (Dance2MIDI, equation 3).

    The equation prints n_i where it means h_i; 0 log 0 is 0.

    Returns
    -------
    float or None
        Bits, 0 to log2 12 = 3.585; None without notes.
    """
    given = np.asarray(pitches, dtype=np.int64)
    if not len(given):
        return None
    shares = np.bincount(given % 12, minlength=12) / len(given)
    shares = shares[shares > 0]
    return float(abs(-(shares * np.log2(shares)).sum()))


def phe_k(onset_s: npt.ArrayLike, pitches: npt.ArrayLike, bars: FloatArray, k: int) -> float | None:
    """Mean `pitch_entropy` over windows of k bars, one beginning at each bar, those without notes left out.

    As MusDr's ``compute_piece_pitch_entropy`` (Wu and Yang, ISMIR 2020), on note onsets.

    Parameters
    ----------
    onset_s, pitches : array_like, shape=(n,)
        Of pitched notes **without drums**: General MIDI drum numbers are not pitches.
    bars : np.ndarray, shape (m, 2)
        Begin and end of each bar in seconds, see `nominal_bars`.
    k : int
        Bars in a window: the papers report 1 and 4.

    Returns
    -------
    float or None
        Bits; None without notes in whole bars, or with fewer than k bars.
    """
    onsets, given = np.asarray(onset_s, dtype=np.float64), np.asarray(pitches, dtype=np.int64)
    found = [
        pitch_entropy(given[(onsets >= begin - EPSILON_S) & (onsets < end - EPSILON_S)])
        for begin, end in zip(bars[: max(len(bars) - k + 1, 0), 0], bars[k - 1 :, 1], strict=True)
    ]
    known = [each for each in found if each is not None]
    return float(np.mean(known)) if known else None


def patterns(onset_s: npt.ArrayLike, bars: FloatArray, q: int) -> npt.NDArray[np.bool_]:
    """In which of the q equal cells of each bar something starts: shape (bars, q).

    An onset counts to the nearest grid position, so one a little early for a bar counts to its first cell.
    """
    onsets = np.asarray(onset_s, dtype=np.float64)
    found = np.zeros((len(bars), q), dtype=np.bool_)
    if not len(onsets) or not len(bars):
        return found
    begin, end = bars[:, :1], bars[:, 1:]
    # Half a cell on: the nearest grid position is the floor. A bar without length would be no bar.
    cells = np.floor((onsets - begin + EPSILON_S) / (end - begin) * q + 0.5).astype(np.int64)
    bar, note = np.nonzero((cells >= 0) & (cells < q))
    found[bar, cells[bar, note]] = True
    return found


def pattern_similarity(bars: npt.NDArray[np.bool_]) -> float | None:
    """Mean over all pairs of bars of 1 - (cells in which they differ) / Q, empty bars included.

    As MusDr's grooving similarity, over every pair. (MusPy's ``groove_consistency`` takes neighbours only: other
    numbers.)

    Parameters
    ----------
    bars : np.ndarray, shape (n, q), bool

    Returns
    -------
    float or None
        0-1; None with fewer than two bars.
    """
    count, q = bars.shape
    if count < 2:
        return None
    filled = bars.astype(np.float64)
    each = filled.sum(axis=1)
    differ = each[:, None] + each[None] - 2 * filled @ filled.T
    return float(1 - differ[np.triu_indices(count, 1)].mean() / q)


def gs(onset_s: npt.ArrayLike, bars: FloatArray, q: int = 64) -> float | None:
    """Grooving similarity: `pattern_similarity` of the bars in which something starts (Dance2MIDI, section 5.2.2).

    Two empty bars would be perfectly alike, and an empty piece score 1: bars without an onset are left out; see
    `empty_bar_share`. High values are weak evidence: two random bars with 4 of 64 cells filled have .883.

    Parameters
    ----------
    onset_s : array_like, shape=(n,)
        Of all notes, drums among them.
    bars : np.ndarray, shape (m, 2)
        Begin and end of each bar in seconds: `nominal_bars` or `annotated_bars`.
    q : int, optional
        Cells per bar. Default is 64, the papers'; a bar of tokens has 32, so that every other of 64 stays empty.

    Returns
    -------
    float or None
        0-1; None with fewer than two bars that are not empty.
    """
    found = patterns(onset_s, bars, q)
    return pattern_similarity(found[found.any(axis=1)])


def empty_bar_share(onset_s: npt.ArrayLike, bars: FloatArray) -> float | None:
    """Share of bars in which nothing starts, 0-1; None without bars."""
    return float(1 - patterns(onset_s, bars, 64).any(axis=1).mean()) if len(bars) else None
