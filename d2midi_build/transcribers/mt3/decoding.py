"""From the network's logits to ids: as magenta's notebook does it, or always the likeliest.

The notebook decodes with ``t5x.decoding.beam_search`` and one beam, which is not the same as the likeliest id at
every step. The two likeliest ids are looked at. An ``EOS`` among them, even in second place, makes a finished
candidate, scored by its log-probability over a power of its length; decoding goes on with the better one of the
others. It stops when no continuation can beat the best candidate any more, and a candidate wins over a path without
end. T5X stops a batch when this holds for all of it; as going on changes no result, each segment stops for itself here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from d2midi_build.errors import UsageError
from d2midi_build.transcribers.mt3.network import Network
from d2midi_build.transcribers.mt3.vocabulary import EOS, PAD

Rule = Literal["reference", "argmax"]

_ALPHA: Final = 0.6
"""Power of the length penalty, as in T5X."""


@dataclass(frozen=True)
class DecodedSegment:
    """What the network says of one segment.

    Attributes
    ----------
    ids : np.ndarray, shape (n,), int32
        Up to and with ``EOS``, or as many as were allowed.
    p : np.ndarray, shape (n,), float32
        Softmax probability of each id at its step.
    gap : np.ndarray, shape (n,), float32
        Difference of the two best logits of each step. Where it is below about 1e-3, rounding may choose.
    """

    ids: npt.NDArray[np.int32]
    p: npt.NDArray[np.float32]
    gap: npt.NDArray[np.float32]


@torch.inference_mode()
def decode(
    network: Network,
    encoded: torch.Tensor,
    rule: Rule = "reference",
    max_tokens: int = 1_024,
) -> list[DecodedSegment]:
    """Ids of a batch of segments; a segment that has come to its end costs nothing more.

    Parameters
    ----------
    network : Network
    encoded : torch.Tensor, shape (batch, frames, emb_dim)
        As `Network.encode` gives it.
    rule : {"reference", "argmax"}
        As T5X's beam search with one beam, or the likeliest id until it is ``EOS``.
    max_tokens : int
        Steps at most, 2,048 or fewer.

    Returns
    -------
    list of DecodedSegment
        In the order of ``encoded``.

    Raises
    ------
    UsageError
        If the network's logits are no finite numbers.
    """
    n = len(encoded)
    ids = np.full((n, max_tokens), PAD, dtype=np.int32)
    p, gap = np.zeros((2, n, max_tokens), dtype=np.float32)
    log_p = np.zeros(n, dtype=np.float32)
    length = np.full(n, max_tokens)
    # The best finished candidate: its score, and the probability of its EOS.
    score, p_end = np.full(n, -np.inf, dtype=np.float32), np.zeros(n, dtype=np.float32)

    steps = network.start(encoded)
    rows, last = np.arange(n), np.full(n, PAD)  # the segments that go on, and what each was given last
    for step in range(max_tokens):
        if not len(rows):
            break
        logits = steps.step(torch.from_numpy(last).to(encoded.device))
        two = _two_best(logits, log_p[rows] if rule == "reference" else None)
        _check(two, network, step)
        is_end = two.ids == EOS
        if rule == "argmax":
            is_end[1] = False
        at = np.arange(len(rows))
        on = is_end[0].astype(np.intp), at  # the second goes on where the first is the end
        ids[rows, step], p[rows, step], gap[rows, step] = two.ids[on], two.p[on], two.gap
        log_p[rows] = two.log_p[on]

        end = is_end.argmax(axis=0), at
        end_score = two.log_p[end] / _penalty(step + 1)
        better = is_end.any(axis=0) & (end_score > score[rows])
        found = rows[better]
        score[found], p_end[found], length[found] = end_score[better], two.p[end][better], step + 1

        bound = log_p[rows] / _penalty(max_tokens + 1)
        goes_on = score[rows] <= bound if rule == "reference" else ~is_end[0]
        places = _closed_up(goes_on)
        steps.keep(places)
        rows, last = rows[places], two.ids[on][places]

    ended = np.flatnonzero(np.isfinite(score))
    ids[ended, length[ended] - 1], p[ended, length[ended] - 1] = EOS, p_end[ended]
    return [DecodedSegment(ids[i, :m], p[i, :m], gap[i, :m]) for i, m in enumerate(length)]


class _Two(NamedTuple):
    """The two best continuations of each row, the better one first; of equal ones that with the lower id."""

    ids: npt.NDArray[np.int64]  # (2, rows)
    log_p: npt.NDArray[np.float32]  # (2, rows), of the whole path
    p: npt.NDArray[np.float32]  # (2, rows)
    gap: npt.NDArray[np.float32]  # (rows,), of their logits


def _two_best(logits: torch.Tensor, log_p: npt.NDArray[np.float32] | None) -> _Two:
    """Of logits (rows, vocab_size): by log-probability of the path, as T5X ranks, or by logits where none is given.

    The sum with a long path's log-probability rounds differences away that logits have, hence the two ways.
    """
    each = torch.log_softmax(logits, dim=-1)
    ranked = logits if log_p is None else each + torch.from_numpy(log_p).to(logits.device)[:, None]
    first = ranked.argmax(dim=-1, keepdim=True)
    second = ranked.scatter(1, first, -torch.inf).argmax(dim=-1, keepdim=True)
    ids = torch.cat([first, second], dim=1)
    best = logits.gather(1, ids)
    found = torch.cat(
        [ids.float(), ranked.gather(1, ids), each.gather(1, ids).exp(), best[:, :1] - best[:, 1:]], dim=1
    )
    numbers = found.T.cpu().numpy()  # one transfer; ids are small enough for float32
    return _Two(numbers[:2].astype(np.int64), numbers[2:4], numbers[4:6], np.abs(numbers[6]))


def _check(two: _Two, network: Network, step: int) -> None:
    if not np.isfinite(two.log_p).all():
        raise UsageError(
            f"MT3's network gives no finite numbers (step {step + 1} of decoding, {network.dtype}). If it is to "
            "compute in float16, let it do so in bfloat16 or float32; otherwise the sound is absurdly loud or "
            "the weights are broken: see what `d2midi models verify` says"
        )


def _penalty(length: int) -> np.float32:
    """T5X's brevity penalty."""
    return np.float32((5 + length) / 6) ** np.float32(_ALPHA)


def _closed_up(goes_on: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Places of the rows that go on, such that as few as can be change theirs: the last ones fill the gaps."""
    n = np.count_nonzero(goes_on)
    places = np.arange(n)
    places[~goes_on[:n]] = n + np.flatnonzero(goes_on[n:])
    return places
