"""Decoding against the real MT3's ids, against T5X's search written out plainly, and against itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch")

from d2midi_build.errors import UsageError  # noqa: E402
from d2midi_build.transcribers.mt3.checkpoint import parameter_shapes, read  # noqa: E402
from d2midi_build.transcribers.mt3.decoding import DecodedSegment, Rule, decode  # noqa: E402
from d2midi_build.transcribers.mt3.network import Network  # noqa: E402
from d2midi_build.transcribers.mt3.presets import Dimensions  # noqa: E402
from d2midi_build.transcribers.mt3.vocabulary import EOS  # noqa: E402
from tests.transcribers.mt3.reference import reference  # noqa: E402

RULES: tuple[Rule, ...] = ("reference", "argmax")
ROUNDING = 1e-3
"""Gap of two logits below which rounding may choose the other."""


class Scripted:
    """Stands in for network and steps: logits by row, step and id before, shape (rows, steps, vocab, vocab)."""

    dtype = torch.float32

    def __init__(self, script: npt.NDArray[np.float32]) -> None:
        self.script = torch.from_numpy(script)
        self.n_rows: list[int] = []

    def start(self, encoded: torch.Tensor) -> Scripted:
        self._rows = np.arange(len(encoded))
        return self

    def step(self, ids: torch.Tensor) -> torch.Tensor:
        self.n_rows.append(len(ids))
        return self.script[self._rows, len(self.n_rows) - 1, ids]

    def keep(self, places: npt.NDArray[np.intp]) -> None:
        self._rows = self._rows[places]


class Uncached:
    """Stands in for network and steps: computes everything anew at each step."""

    def __init__(self, network: Network) -> None:
        self._network, self.dtype = network, network.dtype

    def start(self, encoded: torch.Tensor) -> Uncached:
        self._encoded = encoded
        self._ids = torch.zeros(len(encoded), 0, dtype=torch.long)
        return self

    def step(self, ids: torch.Tensor) -> torch.Tensor:
        self._ids = torch.cat([self._ids, ids[:, None]], dim=1)
        given = torch.cat([self._ids[:, 1:], torch.zeros_like(ids[:, None])], dim=1)
        return self._network.logits(self._encoded, given)[:, -1]

    def keep(self, places: npt.NDArray[np.intp]) -> None:
        self._encoded, self._ids = self._encoded[places], self._ids[places]


def decoded(stand_in: Any, encoded: torch.Tensor, rule: Rule, max_tokens: int) -> list[DecodedSegment]:
    return decode(cast("Network", stand_in), encoded, rule, max_tokens)


def searched(
    script: npt.NDArray[np.float32], alpha: float, to_the_end: bool
) -> tuple[list[int], list[float]]:
    """Ids and their probabilities by T5X's search with one beam, one row at a time, as its description has it.

    Parameters
    ----------
    script : np.ndarray, shape (steps, vocab, vocab)
        Logits by step and id before.
    to_the_end : bool
        Whether to go on when the search could stop, as T5X does while other rows of a batch go on.
    """

    def penalty(length: int) -> np.float32:
        return np.float32((5 + length) / 6) ** np.float32(alpha)

    live: list[int] = []
    live_p: list[float] = []
    live_log_p = np.float32(0)
    finished: tuple[np.float32, list[int], list[float]] | None = None
    for table in script:
        if not to_the_end and finished and finished[0] > live_log_p / penalty(len(script) + 1):
            break
        logits = table[live[-1] if live else 0]
        shifted = logits - logits.max()
        log_p = shifted - np.log(np.exp(shifted).sum())
        total = live_log_p + log_p
        before, before_p = live, live_p
        goes_on = False
        for candidate in sorted(range(len(total)), key=lambda i: (-total[i], i))[:2]:
            ids, p = [*before, candidate], [*before_p, float(np.exp(log_p[candidate]))]
            if candidate == EOS:
                score = total[candidate] / penalty(len(ids))
                if finished is None or score > finished[0]:
                    finished = score, ids, p
            elif not goes_on:
                live, live_p, live_log_p, goes_on = ids, p, total[candidate], True
    return finished[1:] if finished else (live, live_p)


def scripts(rng: np.random.Generator, n: int, n_steps: int, vocab: int) -> npt.NDArray[np.float32]:
    """Logits in quarters, so that there are ties, with EOS near the top of a part of them."""
    logits = rng.normal(0, rng.uniform(0.5, 4), (n, n_steps, vocab, vocab))
    near = rng.random(logits.shape[:-1]) < rng.uniform(0, 0.5)
    logits[near, EOS] = logits[near].max(axis=-1) + rng.normal(0, 1, np.count_nonzero(near))
    return (np.round(4 * logits) / 4).astype(np.float32)


@pytest.mark.parametrize("to_the_end", [False, True])
def test_the_reference_rule_is_t5x_s_search_with_one_beam(to_the_end: bool) -> None:
    rng = np.random.default_rng(7)
    n_ended = n_unlike_argmax = n_tied = 0
    for _ in range(150):
        n_steps, vocab = int(rng.integers(1, 16)), int(rng.integers(3, 8))
        script = scripts(rng, 20, n_steps, vocab)
        ours = decoded(Scripted(script), torch.zeros(20, 1, 1), "reference", n_steps)
        plain = decoded(Scripted(script), torch.zeros(20, 1, 1), "argmax", n_steps)
        for row, (found, likeliest) in enumerate(zip(ours, plain, strict=True)):
            ids, p = searched(script[row], 0.6, to_the_end)
            assert found.ids.tolist() == ids
            assert found.p == pytest.approx(p, rel=1e-5)
            n_ended += ids[-1] == EOS
            n_unlike_argmax += ids != likeliest.ids.tolist()
            n_tied += bool((found.gap == 0).any())
    assert (
        n_ended > 1_000 and n_unlike_argmax > 500 and n_tied > 300
    )  # of 3,000: the cases are worth something


def test_argmax_takes_the_first_of_the_likeliest_until_eos() -> None:
    rng = np.random.default_rng(8)
    script = scripts(rng, 200, 12, 5)
    for row, found in enumerate(decoded(Scripted(script), torch.zeros(200, 1, 1), "argmax", 12)):
        ids: list[int] = []
        gaps: list[float] = []
        while len(ids) < 12 and EOS not in ids:
            logits = script[row, len(ids), ids[-1] if ids else 0]
            best, second = np.sort(logits)[:-3:-1]
            ids.append(int(np.argmax(logits)))
            gaps.append(best - second)
        assert found.ids.tolist() == ids
        assert found.gap.tolist() == gaps
        assert (found.ids.dtype, found.p.dtype, found.gap.dtype) == (np.int32, np.float32, np.float32)


def test_an_eos_in_second_place_wins_if_what_follows_is_unlikely_enough() -> None:
    # Step 1: id 2 with p = .6, EOS with p = .4; then id 2 with p = .5 at best. As ((5 + 1) / 6)^.6 = 1, EOS at once
    # scores ln .4 = -.92; after step 2 no path is above ln(.6 * .5) / ((5 + 5) / 6)^.6 = -.89, after three ln(.6 * .25)
    # / 1.36 = -1.40, which is where the search stops: of at most 4 steps it makes 3.
    script = np.log(np.full((1, 4, 4, 4), 1e-6, np.float32))
    script[:, 0, :, 2], script[:, 0, :, EOS] = np.log([0.6, 0.4])
    script[:, 1:, :, 2:] = np.log(0.5)
    network = Scripted(script)
    (found,) = decoded(network, torch.zeros(1, 1, 1), "reference", 4)
    assert found.ids.tolist() == [EOS]
    assert found.p.tolist() == pytest.approx([0.4], abs=1e-5)
    assert found.gap.tolist() == pytest.approx([np.log(0.6 / 0.4)], abs=1e-5)
    assert len(network.n_rows) == 3
    (plain,) = decoded(Scripted(script), torch.zeros(1, 1, 1), "argmax", 4)
    assert plain.ids.tolist() == [2, 2, 2, 2]
    assert plain.p.tolist() == pytest.approx([0.6, 0.5, 0.5, 0.5], abs=1e-5)


def test_a_later_eos_can_win_over_one_that_was_the_likeliest() -> None:
    # Step 1: id 2 with p = .26; step 2: EOS .5, id 2 .49; step 3: EOS. Ended at 2 it scores ln(.26 * .5) / (7/6)^.6 =
    # -1.86, at 3 ln(.26 * .49) / (8/6)^.6 = -1.73.
    script = np.log(np.full((1, 3, 4, 4), 1e-6, np.float32))
    script[:, 0, :, 2], script[:, 0, :, 3], script[:, 0, :, [0, EOS]] = (
        np.log(0.26),
        np.log(0.25),
        np.log(0.245),
    )
    script[:, 1, :, EOS], script[:, 1, :, 2], script[:, 1, :, 3] = np.log(0.5), np.log(0.49), np.log(0.01)
    script[:, 2, :, EOS] = 0
    (found,) = decoded(Scripted(script), torch.zeros(1, 1, 1), "reference", 3)
    assert found.ids.tolist() == [2, 2, EOS]
    assert found.p.tolist() == pytest.approx([0.26, 0.49, 1.0], abs=1e-4)


def test_rows_that_are_finished_leave_the_batch() -> None:
    ends = [4, 1, 6, 2, 4]
    script = np.zeros((5, 6, 3, 3), np.float32)
    script[..., 2] = 20
    for row, end in enumerate(ends):
        script[row, end - 1, :, EOS] = 40
    network = Scripted(script)
    found = decoded(network, torch.zeros(5, 1, 1), "argmax", 6)
    assert [each.ids.tolist() for each in found] == [[*[2] * (end - 1), EOS] for end in ends]
    assert network.n_rows == [5, 4, 3, 3, 1, 1]


@pytest.mark.parametrize("broken", [np.nan, np.inf])
@pytest.mark.parametrize("rule", RULES)
def test_weights_that_give_no_numbers_are_said(rule: Rule, broken: float) -> None:
    weights = chained_weights(SMALL, 1)
    weights["decoder/layers_1/mlp/wo/kernel"][3, 4] = broken
    network = Network(SMALL)
    network.load(weights)
    with pytest.raises(UsageError, match=r"no finite numbers \(step 1 of decoding, torch.float32\).*verify"):
        decode(network, network.encode(heard(SMALL, 2, 9)), rule, 5)


SMALL = Dimensions(
    vocab_size=120,
    emb_dim=32,
    num_heads=4,
    head_dim=6,
    mlp_dim=48,
    num_encoder_layers=2,
    num_decoder_layers=2,
    input_depth=16,
)


def chained_weights(dimensions: Dimensions, seed: int) -> dict[str, npt.NDArray[np.float32]]:
    """Random weights whose decoding is not degenerate.

    Of plain random weights one id soon follows itself for ever. Here the logits' kernel leads from each id to two
    others, and from every fifteenth to EOS as well; sharp attention to what was heard chooses between them.
    """
    rng = np.random.default_rng(seed)
    weights = {}
    for name, shape in parameter_shapes(dimensions).items():
        values = rng.standard_normal(shape, dtype=np.float32)
        if name.endswith("scale"):
            values = 1 + values / 10
        elif name.endswith("embedding"):
            values = 4 * values
        else:
            values /= np.float32(np.sqrt(shape[0]))
        if "/query/" in name:
            values *= 4 / np.float32(np.sqrt(dimensions.head_dim))
        if name.endswith("encoder_decoder_attention/out/kernel"):
            values *= 4
        weights[name] = values
    n = dimensions.vocab_size
    embedding = weights["decoder/token_embedder/embedding"]
    towards = 0.6 * (embedding / np.linalg.norm(embedding, axis=1, keepdims=True)).T
    kernel = weights["decoder/logits_dense/kernel"]
    kernel[:, rng.permutation(n)] += towards
    kernel[:, rng.permutation(n)] += towards
    kernel[:, EOS] += towards[:, rng.choice(n, n // 15, replace=False)].sum(axis=1)
    return weights


def heard(dimensions: Dimensions, n: int, n_frames: int) -> torch.Tensor:
    """Input of n segments."""
    rng = np.random.default_rng(2)
    values = rng.standard_normal((n, n_frames, dimensions.input_depth), dtype=np.float32)
    return torch.from_numpy(2 * values - 3)


def in_batches(
    network: Network, encoded: torch.Tensor, size: int, rule: Rule, n: int
) -> list[DecodedSegment]:
    return [found for some in encoded.split(size) for found in decode(network, some, rule, n)]


def assert_same(ours: Sequence[DecodedSegment], theirs: Sequence[DecodedSegment], what: str) -> None:
    """Same ids in every segment, but for what follows a step that rounding may have decided."""
    n_excused = 0
    for one, two in zip(ours, theirs, strict=True):
        n = min(len(one.ids), len(two.ids))
        unlike = np.flatnonzero(one.ids[:n] != two.ids[:n])
        same = int(unlike[0]) if unlike.size else n
        assert one.ids.tolist() == two.ids.tolist() or (same < n and one.gap[same] < ROUNDING), (what, same)
        n_excused += one.ids.tolist() != two.ids.tolist()
        assert np.abs(one.p[:same] - two.p[:same]).max(initial=0) < 1e-3
    n_close = sum(int((each.gap < ROUNDING).sum()) for each in ours)
    n_steps = sum(len(each.ids) for each in ours)
    logging.getLogger(__name__).info(
        "%s: %d of %d steps have a gap below %g, %d of %d segments differ after one",
        *(what, n_close, n_steps, ROUNDING, n_excused, len(ours)),
    )


def assert_worth_it(found: Sequence[DecodedSegment], n: int) -> None:
    """Several ids, and ends at several steps, some of them early and some not at all."""
    lengths = [len(each.ids) for each in found]
    assert len(np.unique(np.concatenate([each.ids for each in found]))) > 20
    assert len(set(lengths)) > 5 and min(lengths) < n / 4 and lengths.count(n) > 1


def assert_the_same_however(network: Network, encoded: torch.Tensor, rule: Rule) -> None:
    """Of 32 segments and 80 steps: whatever the batch, and with nothing kept from step to step."""
    whole = in_batches(network, encoded, 32, rule, 80)
    assert_worth_it(whole, 80)
    assert_same(whole, in_batches(network, encoded, 8, rule, 80), f"{rule}, batches of 32 and 8")
    assert_same(whole, in_batches(network, encoded, 1, rule, 80), f"{rule}, batches of 32 and 1")
    assert_same(whole, decoded(Uncached(network), encoded, rule, 80), f"{rule}, cached and uncached")


@pytest.mark.parametrize("rule", RULES)
def test_a_segment_s_ids_depend_neither_on_the_batch_nor_on_the_cache(rule: Rule) -> None:
    network = Network(SMALL)
    network.load(chained_weights(SMALL, 1))
    assert_the_same_however(network, network.encode(heard(SMALL, 32, 12)), rule)


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_the_same_at_the_published_size(rule: Rule) -> None:
    sizes = Dimensions(vocab_size=1_536)
    network = Network(sizes)
    network.load(chained_weights(sizes, 4))
    assert network.n_parameters == 45_896_704
    assert_the_same_however(network, network.encode(heard(sizes, 32, 256)), rule)


@pytest.mark.real_data
@pytest.mark.parametrize(("rule", "name"), [("reference", "tokens"), ("argmax", "tokens_greedy")])
@pytest.mark.parametrize("variant", [lambda network: network, Uncached], ids=["cached", "uncached"])
def test_the_ids_of_the_real_mt3(rule: Rule, name: str, variant: Callable[[Network], Any]) -> None:
    found = reference()
    checkpoint = read(found.checkpoint, num_heads=found.dimensions.num_heads)
    network = Network(checkpoint.dimensions)
    network.load(checkpoint.weights)
    expected = found.array(name)
    encoded = network.encode(torch.from_numpy(found.array("logmel")))
    ours = decoded(variant(network), encoded, rule, expected.shape[1])
    for each, ids in zip(ours, expected, strict=True):
        padded = np.zeros_like(ids)
        padded[: len(each.ids)] = each.ids
        assert padded.tolist() == ids.tolist()
