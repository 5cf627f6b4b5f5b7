"""The network against the real MT3's numbers, and against itself: cached, uncached, in half precision."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch")

from d2midi_build.transcribers.mt3.checkpoint import parameter_shapes, read  # noqa: E402
from d2midi_build.transcribers.mt3.network import Network  # noqa: E402
from d2midi_build.transcribers.mt3.presets import Dimensions  # noqa: E402
from tests.transcribers.mt3.reference import Reference, reference  # noqa: E402

SMALL = Dimensions(
    vocab_size=40,
    emb_dim=32,
    num_heads=4,
    head_dim=6,
    mlp_dim=48,
    num_encoder_layers=2,
    num_decoder_layers=3,
    input_depth=16,
)


def random_weights(dimensions: Dimensions, seed: int) -> dict[str, npt.NDArray[np.float32]]:
    """Kernels that keep a signal's size, scales about 1."""
    rng = np.random.default_rng(seed)
    made = {}
    for name, shape in parameter_shapes(dimensions).items():
        values = rng.standard_normal(shape, dtype=np.float32)
        made[name] = 1 + values / 10 if name.endswith("scale") else values / np.float32(np.sqrt(shape[0]))
    return made


def made(dtype: torch.dtype = torch.float32) -> Network:
    network = Network(SMALL, dtype=dtype)
    network.load(random_weights(SMALL, 1))
    return network


def heard(n: int, n_frames: int = 9) -> torch.Tensor:
    """Input of the small network."""
    values = np.random.default_rng(2).standard_normal((n, n_frames, SMALL.input_depth), dtype=np.float32)
    return torch.from_numpy(values)


def step_by_step(network: Network, encoded: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Logits of cached decoding that is made to choose ``ids``."""
    steps = network.start(encoded)
    given = torch.cat([torch.zeros_like(ids[:, :1]), ids[:, :-1]], dim=1)
    return torch.stack([steps.step(column) for column in given.T], dim=1)


@pytest.fixture(scope="module")
def real() -> tuple[Reference, Network]:
    found = reference()
    checkpoint = read(found.checkpoint, num_heads=found.dimensions.num_heads)
    network = Network(checkpoint.dimensions)
    network.load(checkpoint.weights)
    return found, network


@pytest.mark.real_data
def test_the_encoder_of_the_real_mt3(real: tuple[Reference, Network]) -> None:
    found, network = real
    encoded = network.encode(torch.from_numpy(found.array("logmel"))).numpy()
    assert np.abs(encoded[0] - found.array("encoder_out")).max() <= 1e-4
    assert np.abs(encoded[-1] - found.array("encoder_out_last")).max() <= 1e-4  # partly padding, not masked


@pytest.mark.real_data
@pytest.mark.parametrize("way", ["uncached", "cached"])
def test_the_logits_of_the_real_mt3(real: tuple[Reference, Network], way: str) -> None:
    found, network = real
    assert network.n_parameters == found.model["num_parameters"]
    encoded = network.encode(torch.from_numpy(found.array("logmel")))
    first, of_segment_0 = found.array("logits_step0"), found.array("logits_seg0_first16")
    ids = torch.from_numpy(found.array("tokens")[:, : len(of_segment_0)]).long()
    logits = network.logits(encoded, ids) if way == "uncached" else step_by_step(network, encoded, ids)
    assert np.abs(logits[:, 0].numpy() - first).max() <= 1e-3
    assert np.abs(logits[0].numpy() - of_segment_0).max() <= 1e-3


def test_the_published_size() -> None:
    assert Network(Dimensions(vocab_size=1_536)).n_parameters == 45_896_704


def test_positions_are_sines_then_cosines_of_rates_from_1_to_1_in_10_000() -> None:
    # Without layers and with silence the encoder's output is the positions, normalised: sines and cosines have a
    # mean square of 1/2.
    sizes = Dimensions(40, emb_dim=6, num_encoder_layers=0, num_decoder_layers=0, input_depth=16)
    network = Network(sizes)
    network.load({name: np.ones(shape, np.float32) for name, shape in parameter_shapes(sizes).items()})
    found = network.encode(torch.zeros(1, 3, 16))[0] / np.sqrt(2)
    rates = np.array([1.0, 0.01, 0.0001])
    for position in range(3):
        expected = [*np.sin(position * rates), *np.cos(position * rates)]
        assert found[position].tolist() == pytest.approx(expected, abs=1e-5)


def test_cached_logits_are_the_uncached_ones() -> None:
    network, ids = made(), torch.from_numpy(np.random.default_rng(3).integers(2, 40, (5, 150)))
    encoded = network.encode(heard(5))
    uncached = network.logits(encoded, ids)
    assert uncached.std() > 0.5
    assert (step_by_step(network, encoded, ids) - uncached).abs().max() < 1e-4


def test_no_step_hears_later_ids() -> None:
    network = made()
    encoded = network.encode(heard(1))
    ids = torch.tensor([[5, 6, 7, 8]])
    other = torch.tensor([[5, 6, 9, 10]])
    one, two = network.logits(encoded, ids), network.logits(encoded, other)
    assert torch.equal(one[:, :3], two[:, :3])
    assert not torch.equal(one[:, 3], two[:, 3])


def test_rows_that_are_kept_go_on_as_if_they_had_been_alone() -> None:
    network = made()
    encoded = network.encode(heard(6))
    ids = torch.from_numpy(np.random.default_rng(4).integers(2, 40, (6, 130)))
    alone = network.logits(encoded, ids)
    steps = network.start(encoded)
    rows = np.arange(6)
    given = torch.cat([torch.zeros_like(ids[:, :1]), ids], dim=1)
    for number in range(130):
        assert (steps.step(given[rows, number]) - alone[rows, number]).abs().max() < 1e-4
        for at, places in ((3, [0, 5, 2, 3, 4]), (70, [4, 1]), (100, [1])):
            if number == at:
                steps.keep(np.array(places))
                rows = rows[places]
    assert rows.tolist() == [5]


def test_half_precision_is_near_and_its_logits_are_float32() -> None:
    whole, half = made(), made(torch.bfloat16)
    assert {each.dtype for name, each in half.named_parameters() if name != "logits_kernel"} == {
        torch.bfloat16
    }
    encoded = half.encode(heard(3))
    exact = whole.encode(heard(3))
    assert encoded.dtype == torch.bfloat16
    assert 1e-4 < (encoded.float() - exact).abs().max() < 0.1  # values of size 1, 8 bits each
    ids = torch.from_numpy(np.random.default_rng(5).integers(2, 40, (3, 20)))
    logits, exact_logits = step_by_step(half, encoded, ids), whole.logits(exact, ids)
    assert logits.dtype == torch.float32
    assert len(logits.unique()) > 0.99 * logits.numel()  # not rounded to bfloat16
    assert (logits - exact_logits).abs().max() < 0.1 * exact_logits.abs().max()
