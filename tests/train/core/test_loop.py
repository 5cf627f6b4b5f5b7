"""What a run learns, keeps and says."""

from __future__ import annotations

import json
import math
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from d2midi_build.errors import UsageError
from d2midi_build.train.core import Progress, TrainingError, load_weights, loop, train
from d2midi_build.train.core.sampling import Order
from tests.train.core import small


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def weights(folder: Path, name: str = "last.pt") -> torch.Tensor:
    """All weights of a checkpoint in one row."""
    return torch.cat([each.flatten().double() for each in load_weights(folder / name).values()])


def rows(folder: Path, kind: str = "train") -> list[dict[str, Any]]:
    """Rows of the log of one kind."""
    found = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [row for row in found if row["kind"] == kind]


def test_it_is_adam_on_the_batches_of_the_order(tmp_path: Path) -> None:
    train(small.Line(), small.settings(steps=8, clip_norm=0.5), tmp_path)
    task, order, chosen = small.Line(), Order(13, 0), small.settings(steps=8)
    adam = torch.optim.Adam(task.model.parameters(), betas=(0.9, 0.98), eps=1e-9)
    for step in range(1, 9):
        adam.param_groups[0]["lr"] = chosen.rate(step)
        adam.zero_grad()
        batch = task.collate([task.dataset[order[place]] for place in range(4 * step - 4, 4 * step)])
        task.loss(batch)[0].backward()
        torch.nn.utils.clip_grad_norm_(task.model.parameters(), 0.5)
        adam.step()
    expected = torch.cat([each.detach().flatten().double() for each in task.model.state_dict().values()])
    assert torch.allclose(weights(tmp_path), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("accumulate", [2, 4, 8])
def test_accumulated_pieces_are_the_big_batch(tmp_path: Path, accumulate: int) -> None:
    train(small.Line(), small.settings(batch=8), tmp_path / "big")
    train(small.Line(), small.settings(batch=8, accumulate=accumulate), tmp_path / "pieces")
    assert torch.allclose(weights(tmp_path / "big"), weights(tmp_path / "pieces"), rtol=0, atol=1e-6)
    for one, other in zip(rows(tmp_path / "big"), rows(tmp_path / "pieces"), strict=True):
        names = ("loss", "absolute", "grad_norm")
        assert [one[name] for name in names] == pytest.approx([other[name] for name in names], abs=1e-5)


class Positive(small.Line):
    """Learns from the examples whose target is above 0 alone, as a loss leaves out padding."""

    def weight(self, batch: Mapping[str, torch.Tensor]) -> float:
        return float((batch["targets"] > 0).sum())

    def loss(self, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        chosen = batch["targets"] > 0
        return super().loss({name: each[chosen] for name, each in batch.items()})


def test_pieces_count_by_their_weight(tmp_path: Path) -> None:
    train(Positive(), small.settings(batch=8), tmp_path / "big")
    train(Positive(), small.settings(batch=8, accumulate=8), tmp_path / "pieces")
    assert torch.allclose(weights(tmp_path / "big"), weights(tmp_path / "pieces"), rtol=0, atol=1e-6)


def test_a_batch_without_weight_is_named(tmp_path: Path) -> None:
    task = Positive()
    task.dataset.targets[:] = -1
    with pytest.raises(TrainingError, match=r"step 1: .* weight 0, .*\(examples \d+, \d+, \d+, \d+ of"):
        train(task, small.settings(), tmp_path)


def test_a_loss_that_is_no_number_names_step_and_examples(tmp_path: Path) -> None:
    task = small.Broken()
    place = next(place for place in range(13) if Order(13, 0)[place] == 6)
    step, numbers = place // 2 + 1, [Order(13, 0)[each] for each in (place // 2 * 2, place // 2 * 2 + 1)]
    named = rf"step {step}: the loss is nan \(examples {numbers[0]}, {numbers[1]} of the dataset\)"
    with pytest.raises(TrainingError, match=named):
        train(task, small.settings(batch=2, checkpoint_every=1), tmp_path)
    kept = torch.load(tmp_path / "last.pt", weights_only=True)
    assert kept["step"] == step - 1 and bool(torch.isfinite(weights(tmp_path)).all())


class Rooted(small.Line):
    """Its loss is 0 and has no slope there."""

    def loss(self, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        return (0 * super().loss(batch)[0]).sqrt(), {}


def test_a_gradient_that_is_no_number_names_the_weights(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"step 1: the gradient of 0.weight, .* is no number \(examples"):
        train(Rooted(), small.settings(), tmp_path)


class Told(small.Line):
    """Its evaluations are what it was told."""

    def __init__(self, *scores: float) -> None:
        super().__init__()
        self.scores = iter(scores)

    def evaluate(self) -> dict[str, float]:
        return {"f1": next(self.scores), "other": math.nan}


def test_the_best_checkpoint_is_kept_beside_the_last(tmp_path: Path) -> None:
    chosen = small.settings(steps=8, checkpoint_every=2, best="f1", best_is="highest")
    result = train(Told(0.2, 0.7, math.nan, 0.7), chosen, tmp_path)
    assert result.best is not None and (result.best.step, result.best.value) == (4, 0.7)
    train(small.Line(), small.settings(steps=4), tmp_path / "four")
    assert torch.equal(weights(tmp_path, "best.pt"), weights(tmp_path / "four"))
    assert [row["f1"] for row in rows(tmp_path, "evaluation")] == [0.2, 0.7, None, 0.7]
    assert result.metrics["f1"] == 0.7 and result.step == 8


def test_without_an_evaluation_the_mean_loss_decides(tmp_path: Path) -> None:
    result = train(small.Line(), small.settings(steps=6, checkpoint_every=3), tmp_path)
    assert [row["loss"] for row in rows(tmp_path)][1] == pytest.approx(result.metrics["loss"])
    losses: list[float] = []
    train(small.Line(), small.settings(steps=6), tmp_path / "b", progress=lambda now: losses.append(now.loss))
    assert result.metrics["loss"] == pytest.approx(sum(losses[3:]) / 3)


def test_a_best_metric_nobody_gives_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"best = 'f2' .* it has f1, other"):
        train(Told(0.1), small.settings(best="f2"), tmp_path)


def test_evaluating_more_often_changes_nothing(tmp_path: Path) -> None:
    train(small.Noisy(), small.settings(checkpoint_every=1), tmp_path / "often")
    train(small.Noisy(), small.settings(checkpoint_every=10), tmp_path / "seldom")
    assert torch.equal(weights(tmp_path / "often"), weights(tmp_path / "seldom"))


def test_a_longer_run_goes_on_from_a_shorter_one(tmp_path: Path) -> None:
    train(small.Noisy(), small.settings(steps=7), tmp_path / "parts")
    result = train(small.Noisy(), small.settings(steps=10, workers=1), tmp_path / "parts")
    train(small.Noisy(), small.settings(steps=10), tmp_path / "whole")
    assert result.resumed_from == 7
    assert torch.equal(weights(tmp_path / "parts"), weights(tmp_path / "whole"))


def test_a_finished_run_is_not_run_again(tmp_path: Path) -> None:
    first = train(small.Line(), small.settings(), tmp_path)
    before = weights(tmp_path)
    seen: list[Progress] = []
    task = small.Line()
    again = train(task, small.settings(), tmp_path, progress=seen.append)
    assert seen == [] and again.resumed_from == 10 and again.metrics == first.metrics
    assert again.best == first.best
    left = torch.cat([each.detach().flatten().double() for each in task.model.state_dict().values()])
    assert torch.equal(left, before)


def test_without_resuming_it_begins_anew(tmp_path: Path) -> None:
    train(small.Line(), small.settings(seed=1), tmp_path)
    result = train(small.Line(), small.settings(seed=2), tmp_path, resume=False)
    assert result.resumed_from is None
    assert [row["step"] for row in rows(tmp_path)] == [3, 6, 9, 10]
    train(small.Line(), small.settings(seed=2), tmp_path / "clean")
    assert torch.equal(weights(tmp_path), weights(tmp_path / "clean"))


class Wider(small.Line):
    """Another network."""

    def __init__(self) -> None:
        super().__init__()
        self.model = torch.nn.Linear(3, 2)


class About(small.Line):
    """Says what it is made of."""

    about: Mapping[str, Any] = {"release": "ab12", "sizes": (3, 8)}


@pytest.mark.parametrize(
    ("task", "fields", "message"),
    [
        (small.Line, {"lr": 0.5}, "lr = 0.01, not 0.5"),
        (small.Line, {"steps": 3}, "step 10 reached, more than steps = 3"),
        (lambda: small.Line(n=12), {}, "13 examples, not 12"),
        (Wider, {"steps": 20}, "another model"),
        (About, {"steps": 20}, 'task = {}, not {"release": "ab12"'),
    ],
)
def test_going_on_with_another_run_is_refused(
    tmp_path: Path, task: Callable[[], Any], fields: dict[str, Any], message: str
) -> None:
    train(small.Line(), small.settings(), tmp_path)
    with pytest.raises(UsageError, match=message):
        train(task(), small.settings(**fields), tmp_path)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", None])
def test_a_broken_checkpoint_says_what_to_do(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "last.pt"
    if content is None:
        train(small.Line(), small.settings(steps=1), tmp_path)
        path.write_bytes(path.read_bytes()[:-300])
    else:
        path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"last\.pt cannot be read .*resume=False"):
        train(small.Line(), small.settings(), tmp_path)


def test_the_manifest_says_what_was_run(tmp_path: Path) -> None:
    task = About()
    task.model[0].weight.requires_grad = False  # type: ignore[index, union-attr]
    first = task.model[0].weight.clone()  # type: ignore[index, union-attr, operator]
    result = train(task, small.settings(amp="bf16"), tmp_path)
    data = json.loads((tmp_path / "run.json").read_text())
    assert torch.equal(load_weights(result.last_weights)["0.weight"], first)
    assert data["task"] == {"release": "ab12", "sizes": [3, 8]}
    assert data["settings"]["betas"] == [0.9, 0.98] and data["settings"]["batch"] == 4
    assert data["model"] == {"weights": 3 * 8 + 8 + 8 + 1, "trained": 8 + 8 + 1}
    assert data["device"]["precision"] == "float32"  # whatever was asked for: it is a CPU
    assert data["versions"]["torch"] == torch.__version__ and len(data["code"]) == 64
    assert (data["status"], data["step"]) == ("finished", 10)
    assert data["metrics"] == result.metrics and data["wall_s"] > 0
    assert sorted(each.name for each in tmp_path.iterdir()) == ["best.pt", "last.pt", "log.jsonl", "run.json"]


def test_progress_tells_rate_and_time_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))

    seen: list[Progress] = []
    real = loop.Pace
    monkeypatch.setattr(loop, "Pace", lambda _: Ticking(real(0.0), clock))
    train(small.Line(), small.settings(), tmp_path, progress=seen.append)
    assert [now.step for now in seen] == list(range(1, 11))
    assert {now.steps_per_s for now in seen} == {0.5} and {now.examples_per_s for now in seen} == {2.0}
    assert [now.eta_s for now in seen] == [2.0 * left for left in range(9, -1, -1)]
    assert seen[3].epoch == 16 / 13 and seen[1].lr == 0.005 and set(seen[0].metrics) == {"absolute"}


class Ticking:
    """A pace whose updates take two seconds each."""

    def __init__(self, pace: Any, clock: Iterator[int]) -> None:
        self.pace, self.clock = pace, clock
        next(clock)

    def tick(self, _: float) -> float:
        return float(self.pace.tick(2.0 * next(self.clock)))


def test_rows_are_means_since_the_last_one(tmp_path: Path) -> None:
    losses: list[float] = []
    train(small.Line(), small.settings(), tmp_path, progress=lambda now: losses.append(now.loss))
    means = [sum(losses[a:b]) / (b - a) for a, b in ((0, 3), (3, 6), (6, 9), (9, 10))]
    assert [row["loss"] for row in rows(tmp_path)] == pytest.approx(means)
    assert rows(tmp_path)[0]["lr"] == small.settings().rate(3)


def test_tensorboard_gets_what_the_log_gets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, float, int]] = []

    class SummaryWriter:
        def __init__(self, log_dir: str, purge_step: int) -> None:
            assert log_dir == str(tmp_path / "tensorboard") and purge_step == 0

        def add_scalar(self, name: str, value: float, step: int) -> None:
            told.append((name, value, step))

        def flush(self) -> None:
            assert told

        def close(self) -> None:
            told.append(("closed", 0, 0))

    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    train(small.Line(), small.settings(tensorboard=True), tmp_path)
    losses = [(value, step) for name, value, step in told if name == "train/loss"]
    assert losses == [(row["loss"], row["step"]) for row in rows(tmp_path)]
    assert told[-1][0] == "closed"


def test_tensorboard_that_is_not_installed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UsageError, match=r"pip install 'd2midi\[train\]'"):
        train(small.Line(), small.settings(tensorboard=True), tmp_path)


def test_nothing_to_learn_from_or_with_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no examples"):
        train(small.Line(n=0), small.settings(), tmp_path)
    frozen = small.Line()
    frozen.model.requires_grad_(False)
    with pytest.raises(UsageError, match="no weight of the model"):
        train(frozen, small.settings(), tmp_path)


def test_a_gpu_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="device = 'cuda'"):
        train(small.Line(), small.settings(device="cuda"), tmp_path)
