"""The two models that Magenta published, and the sizes of a network.

Figures are those of the gin files of magenta/mt3 (``mt3.gin``, ``ismir2021.gin``, ``model.gin``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Preset:
    """How a checkpoint was trained, as far as reading its output needs it.

    Attributes
    ----------
    name : str
        ``"mt3"`` or ``"ismir2021"``.
    num_velocity_bins : int
        1 says only that a note starts; 127 are MIDI velocities.
    ties : bool
        Whether segments begin with a list of the notes still sounding.
    segment_frames : int
        Frames of 8 ms the encoder is given at a time.
    max_tokens : int
        Steps of decoding at most.
    """

    name: str
    num_velocity_bins: int
    ties: bool
    segment_frames: int
    max_tokens: int = 1_024


MT3: Final = Preset("mt3", num_velocity_bins=1, ties=True, segment_frames=256)
"""Many instruments and drums, no velocities (Gardner et al., ICLR 2022)."""

ISMIR2021: Final = Preset("ismir2021", num_velocity_bins=127, ties=False, segment_frames=512)
"""Piano with velocities (Hawthorne et al., ISMIR 2021)."""

PRESETS: Final = {preset.name: preset for preset in (MT3, ISMIR2021)}


@dataclass(frozen=True)
class Dimensions:
    """Sizes of a network, named as in T5X's ``T5Config``; all but ``vocab_size`` default to the published ones."""

    vocab_size: int
    emb_dim: int = 512
    num_heads: int = 6
    head_dim: int = 64
    mlp_dim: int = 1_024
    num_encoder_layers: int = 8
    num_decoder_layers: int = 8
    input_depth: int = 512
