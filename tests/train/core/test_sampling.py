"""Which examples come when."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch

from d2midi_build.train.core.sampling import Order, Place, Share, pieces, random_state, set_random_state
from tests.train.core import small


def draws() -> tuple[float, float, float]:
    """A number from each global generator."""
    return random.random(), float(np.random.random()), float(torch.rand(1))


def test_every_epoch_has_each_example_once_in_a_new_order() -> None:
    order = Order(13, seed=3)
    epochs = [[order[place] for place in range(13 * each, 13 * each + 13)] for each in range(3)]
    assert all(sorted(epoch) == list(range(13)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert [Order(13, seed=3)[place] for place in range(13, 26)] == epochs[1]
    assert [Order(13, seed=4)[place] for place in range(13)] != epochs[0]


@pytest.mark.parametrize(("accumulate", "processes"), [(1, 1), (3, 1), (1, 2), (2, 3)])
def test_the_shares_of_a_batch_are_the_batch(accumulate: int, processes: int) -> None:
    shares = [Share(12 // (accumulate * processes), accumulate, rank, processes) for rank in range(processes)]
    for update in range(3):
        own = range(update * accumulate, (update + 1) * accumulate)
        places = [place for share in shares for piece in own for place in share.places(piece)]
        assert sorted(places) == list(range(12 * update, 12 * update + 12))


def test_a_place_says_how_far_a_run_is() -> None:
    assert Place.after(30, seed=7, n_examples=13) == Place(2, 4, 7, 13)


def fetched(updates: range, workers: int = 0, size: int = 4) -> list[tuple[list[int], Any]]:
    """Pieces of shaken points."""
    task, share = small.Noisy(), Share(size, accumulate=8 // size)
    return list(pieces(task.dataset, task.collate, Order(13, 0), share, updates, workers))


@pytest.mark.parametrize("workers", [0, 2])
def test_random_examples_depend_on_their_place_alone(workers: int) -> None:
    whole, later = fetched(range(6)), fetched(range(2, 6), workers)
    assert [numbers for numbers, _ in whole[4:]] == [numbers for numbers, _ in later]
    assert all(
        torch.equal(one["inputs"], other["inputs"])
        for (_, one), (_, other) in zip(whole[4:], later, strict=True)
    )
    big = torch.cat([batch["inputs"] for _, batch in fetched(range(6), size=8)])
    assert torch.equal(big, torch.cat([batch["inputs"] for _, batch in whole]))


def test_fetching_leaves_the_global_generators_alone() -> None:
    state = random_state()
    expected = draws()
    set_random_state(state)
    fetched(range(2))
    found = draws()
    assert found[:2] == expected[:2]


def test_random_states_come_back() -> None:
    np.random.standard_normal()  # one more of the pair is kept in the state
    random.gauss(0, 1)
    state = random_state()
    expected = (np.random.standard_normal(), random.gauss(0, 1), *draws())
    draws()
    set_random_state(state)
    assert (np.random.standard_normal(), random.gauss(0, 1), *draws()) == expected
