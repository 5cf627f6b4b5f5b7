"""Settings and the learning rate."""

from __future__ import annotations

import json
from typing import Any

import pytest

from d2midi_build.errors import UsageError
from d2midi_build.train.core import Settings


@pytest.mark.parametrize(
    ("step", "lr"), [(1, 7e-4 / 6000), (3000, 3.5e-4), (6000, 7e-4), (24000, 3.5e-4), (96000, 1.75e-4)]
)
def test_the_paper_schedule_is_that_of_the_worked_example(step: int, lr: float) -> None:
    assert Settings(steps=1).rate(step) == pytest.approx(lr, rel=1e-12)


def test_a_constant_rate_has_no_warm_up() -> None:
    chosen = Settings(steps=1, schedule="constant", lr=0.5)
    assert [chosen.rate(step) for step in (1, 100, 10**6)] == [0.5] * 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("batch", 0),
        ("accumulate", 0),
        ("warmup", 0),
        ("log_every", 0),
        ("checkpoint_every", 0),
        ("seed", -1),
        ("workers", -1),
        ("lr", float("nan")),
        ("eps", 0.0),
        ("clip_norm", -1.0),
        ("betas", (0.9, 1.0)),
        ("schedule", "cosine"),
        ("amp", "fp8"),
        ("device", "tpu"),
        ("best_is", "biggest"),
    ],
)
def test_an_impossible_value_is_named(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"settings: {name} = "):
        Settings(**({"steps": 1} | {name: value}))


def test_a_batch_that_cannot_be_cut_says_what_could() -> None:
    assert Settings(steps=1, batch=12, accumulate=2).share(3) == 2
    with pytest.raises(UsageError, match=r"batch = 12 .* multiple of 8"):
        Settings(steps=1, batch=12, accumulate=4).share(2)


def test_only_what_changes_learning_stands_in_the_way_of_going_on() -> None:
    earlier = json.loads(json.dumps(Settings(steps=10, batch=8).as_data()))
    assert Settings(steps=99, batch=8, accumulate=2, workers=1, log_every=7).differences(earlier) == []
    assert Settings(steps=10, batch=4).differences(earlier) == ["batch = 8, not 4"]
