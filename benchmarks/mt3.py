"""What MT3's network costs: encoder and decoding, beside the bare matrix products of a step and Hugging Face's T5.

    OMP_NUM_THREADS=1 python benchmarks/mt3.py [--batches 1 8 32] [--steps 200 1024] [--device cpu]
        [--precision float32] [--threads 1] [--peer /tmp/t5/bin/python] [--json]

The published size with random weights, which never come to an end, so that every segment takes all steps.

- encoder: ms per segment of 256 frames.
- decoding: ms per segment and step, the whole of `decode` with the reference's rule, averaged over the steps.
- floor: the same for `torch.mm` with every weight matrix of a step, and a sum over the keys and values that an average
  step reads. In the same run, before and after the decoding; the mean counts.
- peer: `generate` of Hugging Face's T5 of the same size, in an environment of its own that has no part in d2midi:

      python3.11 -m venv /tmp/t5
      /tmp/t5/bin/pip install "transformers==4.57.1" "torch==2.*" "numpy<2"

- hours per hour of sound: encoder and decoding of 1,758 segments at a number of tokens each, at the largest batch; what
  a step costs grows with its number, along the line through the two longest measured.
- peak memory: of the process while it decodes, weights (184 MB) and libraries included; on CUDA, what PyTorch
  allocated.

On a CPU times are CPU seconds of all threads, so that other work on the machine lengthens them less. On CUDA they are
wall-clock seconds.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from d2midi_build.transcribers.mt3.checkpoint import parameter_shapes
from d2midi_build.transcribers.mt3.decoding import decode
from d2midi_build.transcribers.mt3.network import Network
from d2midi_build.transcribers.mt3.presets import MT3, Dimensions
from d2midi_build.transcribers.mt3.vocabulary import EOS, Vocabulary

SIZES: Final = Dimensions(Vocabulary.of(MT3.num_velocity_bins).n_embeddings)
SEGMENTS_PER_H: Final = 3_600 / (MT3.segment_frames * 0.008)
TOKENS: Final = (100, 200, 400, 1_024)

_PEER: Final = """
import json, sys, time, torch
from transformers import T5Config, T5ForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput
sizes, frames, threads, tries = json.loads(sys.argv[1])
torch.set_num_threads(threads)
torch.manual_seed(0)
model = T5ForConditionalGeneration(T5Config(**sizes)).eval()
taken = {}
for batch, steps in tries:
    heard = BaseModelOutput(last_hidden_state=torch.randn(batch, frames, sizes["d_model"]))
    begun = time.process_time()
    ids = model.generate(encoder_outputs=heard, do_sample=False, min_new_tokens=steps, max_new_tokens=steps)
    taken[f"{batch} {steps}"] = (time.process_time() - begun) / batch / steps * 1e3
    assert ids.shape == (batch, steps + 1)
print(json.dumps(taken))
"""


def endless(device: str, precision: str) -> Network:
    """A network of random weights; every step EOS has the logit 0, far below the best two of 1,536."""
    rng = np.random.default_rng(0)
    weights = {}
    for name, shape in parameter_shapes(SIZES).items():
        values = rng.standard_normal(shape, dtype=np.float32)
        weights[name] = (
            np.ones_like(values) if name.endswith("scale") else values / np.float32(np.sqrt(shape[0]))
        )
    weights["decoder/logits_dense/kernel"][:, EOS] = 0
    network = Network(SIZES, device, getattr(torch, precision))
    network.load(weights)
    return network


def timed_s(device: str, work: Callable[[], object]) -> float:
    """CPU seconds on a CPU, wall-clock seconds on CUDA."""
    if device == "cpu":
        begun_s = time.process_time()
        work()
        return time.process_time() - begun_s
    torch.cuda.synchronize()
    begun_s = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - begun_s


@torch.inference_mode()
def floor_ms(network: Network, batch: int, steps: int, device: str) -> float:
    """Milliseconds per segment of one step's bare matrix products and of reading what an average step reads."""
    joined = SIZES.num_heads * SIZES.head_dim
    matrices = [network.logits_kernel]
    for layer in network.decoder:
        of_step = (layer.self_query_key_value, layer.self_out, layer.cross_query, layer.cross_out)
        matrices += [*of_step, layer.mlp.inside, layer.mlp.out]
    inputs = [torch.ones(batch, len(each), dtype=each.dtype, device=device) for each in matrices]
    n_read = 2 * batch * joined * (MT3.segment_frames + steps // 2)
    caches = [torch.zeros(n_read, dtype=network.dtype, device=device) for _ in network.decoder]

    def step() -> None:
        for values, matrix in zip(inputs, matrices, strict=True):
            torch.mm(values, matrix)
        for cache in caches:
            cache.sum()

    step()
    rounds = max(5, 200 // batch)
    return timed_s(device, lambda: [step() for _ in range(rounds)]) / rounds / batch * 1e3


def forget_peak(device: str) -> None:
    """Begin to watch memory anew."""
    if device == "cpu":
        Path("/proc/self/clear_refs").write_text("5")
    else:
        torch.cuda.reset_peak_memory_stats()


def peak_mb(device: str) -> float:
    """Megabytes of memory at the most since it was forgotten."""
    if device == "cpu":
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        assert found
        return int(found[1]) * 1_024 / 1e6
    return torch.cuda.max_memory_allocated() / 1e6


def measured(network: Network, batch: int, all_steps: list[int], device: str) -> list[dict[str, Any]]:
    """One row per number of steps."""
    heard = torch.randn(batch, MT3.segment_frames, SIZES.input_depth, device=device)
    network.encode(heard)
    encoder_s = timed_s(device, lambda: network.encode(heard))
    encoded = network.encode(heard)
    decode(network, encoded, "reference", 3)
    rows = []
    for steps in all_steps:
        floor = floor_ms(network, batch, steps, device)
        forget_peak(device)
        taken_s = timed_s(device, lambda n=steps: decode(network, encoded, "reference", n))
        peak = peak_mb(device)
        floor = (floor + floor_ms(network, batch, steps, device)) / 2
        ms = taken_s / batch / steps * 1e3
        rows.append(
            {
                "batch": batch,
                "steps": steps,
                "encoder_ms_per_segment": encoder_s / batch * 1e3,
                "decoding_ms_per_segment_step": ms,
                "floor_ms_per_segment_step": floor,
                "over_floor": ms / floor,
                "peak_mb": round(peak),
            }
        )
    return rows


def of_peer(python: Path, rows: list[dict[str, Any]], threads: int) -> None:
    """Add what T5 of transformers takes for the same."""
    sizes = {
        "vocab_size": SIZES.vocab_size,
        "d_model": SIZES.emb_dim,
        "d_kv": SIZES.head_dim,
        "d_ff": SIZES.mlp_dim,
        "num_layers": SIZES.num_encoder_layers,
        "num_decoder_layers": SIZES.num_decoder_layers,
        "num_heads": SIZES.num_heads,
        "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": False,
        "decoder_start_token_id": 0,
    }
    tries = [[row["batch"], row["steps"]] for row in rows]
    said = json.dumps([sizes, MT3.segment_frames, threads, tries])
    out = subprocess.run([python, "-c", _PEER, said], check=True, stdout=subprocess.PIPE, text=True).stdout
    for row in rows:
        row["peer_ms_per_segment_step"] = json.loads(out)[f"{row['batch']} {row['steps']}"]


def hours(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Hours per hour of sound by tokens per segment, at the largest batch."""
    largest = max(row["batch"] for row in rows)
    short, long = [row for row in rows if row["batch"] == largest][-2:]
    slope = (long["decoding_ms_per_segment_step"] - short["decoding_ms_per_segment_step"]) / (
        long["steps"] - short["steps"]
    )
    found = {}
    for tokens in TOKENS:
        ms_per_step = short["decoding_ms_per_segment_step"] + slope * (tokens - short["steps"])
        ms = long["encoder_ms_per_segment"] + tokens * ms_per_step
        found[str(tokens)] = SEGMENTS_PER_H * ms / 3_600_000
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--steps", type=int, nargs="+", default=[200, 1_024], help="two at least")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["float32", "bfloat16", "float16"], default="float32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--peer", type=Path, metavar="PYTHON", help="interpreter that has transformers (CPU only)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    options = parser.parse_args()
    if len(options.steps) < 2:
        parser.error("--steps needs two numbers: what a step costs grows with its number")
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    network = endless(options.device, options.precision)
    rows = [
        row
        for batch in sorted(options.batches)
        for row in measured(network, batch, sorted(options.steps), options.device)
    ]
    if options.peer:
        of_peer(options.peer, rows, options.threads)
    found = {
        "device": options.device,
        "precision": options.precision,
        "threads": options.threads,
        "parameters": network.n_parameters,
        "rows": rows,
        "hours_per_hour_of_sound": hours(rows),
    }
    if options.json:
        print(json.dumps(found))
        return
    title = f"MT3's network, {network.n_parameters:,} parameters, {options.precision} on {options.device}"
    table = Table(*(name.replace("_", " ") for name in rows[0]), title=f"{title}, {options.threads} threads")
    for row in rows:
        table.add_row(
            *(f"{value:.2f}" if isinstance(value, float) else f"{value:,}" for value in row.values())
        )
    Console().print(table)
    by_tokens = Table(
        "tokens per segment", "hours per hour of sound", title=f"Largest batch, {options.device}"
    )
    for tokens, value in found["hours_per_hour_of_sound"].items():
        by_tokens.add_row(tokens, f"{value:.2f}")
    Console().print(by_tokens)


if __name__ == "__main__":
    main()
