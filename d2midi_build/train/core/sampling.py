"""Which examples make which batch: a function of the seed and of a place in the run, so that any place can be taken
up again."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset

from d2midi_build.train.core.task import Examples

Piece = tuple[list[int], Any]
"""Numbers of the examples, and what was collated from them."""


@dataclass(frozen=True)
class Place:
    """How far a run is through its examples.

    Attributes
    ----------
    epoch : int
        Times that all examples were seen.
    position : int
        Examples seen since.
    seed : int
        Of the orders.
    n_examples : int
        Length of the dataset.
    """

    epoch: int
    position: int
    seed: int
    n_examples: int

    @classmethod
    def after(cls, seen: int, seed: int, n_examples: int) -> Place:
        """The place after so many examples."""
        epoch, position = divmod(seen, n_examples)
        return cls(epoch, position, seed, n_examples)

    def as_data(self) -> dict[str, int]:
        """Plain data for a checkpoint."""
        return asdict(self)


class Order:
    """The endless sequence of examples: all of them in a new order in each epoch.

    Batches run over the end of an epoch into the next, so every batch is full and nothing is left out or repeated
    within an epoch.
    """

    def __init__(self, n_examples: int, seed: int) -> None:
        self.n_examples = n_examples
        self.seed = seed
        self._epochs: dict[int, npt.NDArray[np.int64]] = {}

    def __getitem__(self, place: int) -> int:
        """Number of the example at a place of the sequence."""
        epoch, position = divmod(place, self.n_examples)
        if epoch not in self._epochs:
            self._epochs = {each: order for each, order in self._epochs.items() if each == epoch - 1}
            self._epochs[epoch] = np.random.default_rng([self.seed, epoch]).permutation(self.n_examples)
        return int(self._epochs[epoch][position])


@dataclass(frozen=True)
class Share:
    """The part of every batch that one process computes.

    The pieces of a batch lie one after another; process ``rank`` takes every ``processes``-th.

    Attributes
    ----------
    size : int
        Examples in a piece.
    accumulate : int
        Pieces of a batch for each process.
    rank, processes : int
        Which process of how many.
    """

    size: int
    accumulate: int = 1
    rank: int = 0
    processes: int = 1

    def places(self, piece: int) -> range:
        """Places in the sequence of a piece, counted from 0 over the whole run of this process."""
        start = (piece * self.processes + self.rank) * self.size
        return range(start, start + self.size)


class _Pieces(Dataset[Piece]):
    """Pieces by number. Each example is fetched with random numbers seeded by its place, in whichever process."""

    def __init__(
        self, dataset: Examples, collate: Callable[[Sequence[Any]], Any], order: Order, share: Share
    ) -> None:
        self.dataset, self.collate, self.order, self.share = dataset, collate, order, share

    def __getitem__(self, piece: int) -> Piece:
        numbers, examples = [], []
        with kept_random_state():
            for place in self.share.places(piece):
                seed_all(self.order.seed, place)
                numbers.append(self.order[place])
                examples.append(self.dataset[numbers[-1]])
        return numbers, self.collate(examples)


def pieces(
    dataset: Examples,
    collate: Callable[[Sequence[Any]], Any],
    order: Order,
    share: Share,
    updates: range,
    workers: int = 0,
    pinned: bool = False,
) -> Iterator[Piece]:
    """The pieces of some updates, counted from 0, ``share.accumulate`` for each.

    Parameters
    ----------
    workers : int, optional
        Processes that read ahead. Default is 0, none.
    pinned : bool, optional
        Put tensors where a GPU can fetch them. Default is False.
    """
    loader: DataLoader[Piece] = DataLoader(
        _Pieces(dataset, collate, order, share),
        sampler=range(updates.start * share.accumulate, updates.stop * share.accumulate),
        batch_size=None,
        collate_fn=_as_it_is,
        num_workers=workers,
        pin_memory=pinned,
        generator=torch.Generator().manual_seed(order.seed),  # otherwise it draws from the global one
    )
    return iter(loader)


def seed_all(*seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch (its CPU one) from some whole numbers >= 0."""
    first, second, third = (int(each) for each in np.random.SeedSequence(seed).generate_state(3))
    random.seed(first)
    np.random.seed(second)
    torch.default_generator.manual_seed(third)


def random_state() -> dict[str, Any]:
    """State of the global generators of Python, NumPy, torch and its GPU, as ``torch.load`` takes it back safely."""
    kind, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    cuda: Any = torch.cuda
    return {
        "python": random.getstate(),
        "numpy": (kind, [int(key) for key in keys], int(position), int(has_gauss), float(gauss)),
        "torch": torch.get_rng_state(),
        "cuda": cuda.get_rng_state() if cuda.is_initialized() else None,
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Put back what `random_state` gave."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


@contextmanager
def kept_random_state() -> Iterator[None]:
    """Leave the global generators as they were, whatever is drawn within."""
    python, numpy, cpu = random.getstate(), np.random.get_state(legacy=True), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)


def _as_it_is(piece: Any) -> Any:
    return piece
