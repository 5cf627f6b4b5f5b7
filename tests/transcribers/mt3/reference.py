"""Outputs of the real MT3 for a small network of random weights, as their folder's README describes them.

Another set of the same layout can be tried: ``MT3_REFERENCE=/its/folder``.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from d2midi_build.transcribers.mt3.presets import Dimensions, Preset

_REPOSITORY = Path(__file__).resolve().parents[3]
_DEFAULT = _REPOSITORY.parent / "shared" / "data" / "mt3-reference"


@dataclass(frozen=True)
class Reference:
    """A folder of reference outputs."""

    folder: Path

    def array(self, name: str) -> npt.NDArray[Any]:
        """``name.npy``."""
        found: npt.NDArray[Any] = np.load(self.folder / f"{name}.npy")
        return found

    def json(self, name: str) -> Any:
        """``name.json``."""
        return json.loads((self.folder / f"{name}.json").read_text())

    @property
    def checkpoint(self) -> Path:
        """The T5X checkpoint."""
        return self.folder / "checkpoint"

    @property
    def model(self) -> Any:
        """``model.json``."""
        return self.json("model")

    @property
    def dimensions(self) -> Dimensions:
        """Sizes of its network."""
        given = self.model["hyperparameters"]
        return Dimensions(
            vocab_size=given["vocab_size"],
            emb_dim=given["emb_dim"],
            num_heads=given["num_heads"],
            head_dim=given["head_dim"],
            mlp_dim=given["mlp_dim"],
            num_encoder_layers=given["num_encoder_layers"],
            num_decoder_layers=given["num_decoder_layers"],
            input_depth=self.model["input_depth"],
        )

    @property
    def preset(self) -> Preset:
        """How its output is read."""
        gin = self.model["mt3_gin"]
        bins = gin["NUM_VELOCITY_BINS"]
        return Preset(
            "mt3" if bins == 1 else "ismir2021",
            num_velocity_bins=bins,
            ties=gin["USE_TIES"],
            segment_frames=self.model["inputs_length"],
            max_tokens=self.model["targets_length"],
        )


@cache
def reference() -> Reference:
    """The set of ``MT3_REFERENCE``, by default the one beside the checkout; skips the test where there is none."""
    folder = Path(os.environ.get("MT3_REFERENCE") or _DEFAULT)
    if not folder.is_dir():
        pytest.skip(f"no reference outputs at {folder}: set MT3_REFERENCE")
    return Reference(folder)
