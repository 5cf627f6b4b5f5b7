"""How a release lies on disk: names, tables and what joins them.

    RELEASE/
      README.md                             the card, with the configs that `datasets.load_dataset` reads
      manifest.json                         version, counts, splits, recipe, everything that made it
      schema.json                           every column with unit and meaning, joints, how missing is told
      vocabulary.json                       ids of the tokens that models are trained on, and their names
      gate.json, gate.html                  what a check of pairing found; only if there was one
      removed.parquet                       what must not be used any more
      data/<table>/<split>-<shard>.parquet  see TABLES
      SHA256SUMS                            of every other file, in the format of `sha256sum`

``videos``, ``clips`` and ``windows`` are one file per split. The other tables hold much per clip and are cut into
shards: a shard's files hold the same clips in the same order, those whose row of ``clips`` names it, sorted by id.
So a clip's rows begin where those of the clips before it in its shard end: after the sum of their ``n_frames``,
``n_notes`` and ``n_beats``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from d2midi_build import clock, tables
from d2midi_build.errors import ReleaseError, UsageError
from d2midi_build.motion.skeleton import BODY_NAMES, HAND_NAMES, N_FACE
from d2midi_build.resources import resource

FORMAT: Final = "1.0"
"""Version of this layout; the first number changes when readers must."""

SPLITS: Final = ("train", "validation", "test")
LAYERS: Final = ("machine", "heard", "final")
"""Of notes: as transcribed; what the recording says; also moved to fit the dance or for pleasantness."""

WHOLE: Final = ("windows", "videos", "clips")
"""Tables of one file per split, the default config first."""

SHARDED: Final = ("frames", "notes", "beats", "midi", "audio")
"""Tables of one file per shard."""

TABLES: Final = (*WHOLE, *SHARDED)

MISSING: Final = -32768
"""In every element of a part of ``frames`` that was not found; no point ever has it."""

FRAMES_PER_ROW_GROUP: Final = 200
"""A window of 600 frames at a stride of 40 reads at most 800 rows; with groups of 600 it would be 1,200."""

MANIFEST: Final = "manifest.json"
SCHEMA: Final = "schema.json"
VOCABULARY: Final = "vocabulary.json"
GATE: Final = "gate.json"
GATE_PAGE: Final = "gate.html"
GATE_FILES: Final = (GATE, GATE_PAGE)
"""There if the manifest's ``gate`` is not null, and only then."""

REMOVED: Final = "removed.parquet"
CARD: Final = "README.md"
SUMS: Final = "SHA256SUMS"


def table_file(table: str, split: str, shard: int = 0) -> str:
    """Path below the release of one file of a table."""
    return f"data/{table}/{split}-{shard:05d}.parquet"


def read_manifest(folder: Path) -> dict[str, Any]:
    """What a release says of itself.

    Raises
    ------
    UsageError
        If the folder is no release.
    ReleaseError
        If its manifest is damaged, or its format is one that this version of d2midi does not know.
    """
    path = folder / MANIFEST
    try:
        return parse_manifest(path.read_bytes(), str(path))
    except OSError as error:
        raise UsageError(
            f"{folder} is no release: its {MANIFEST} cannot be read ({error}). `d2midi release build` makes releases"
        ) from error


def parse_manifest(data: bytes, origin: str) -> dict[str, Any]:
    """What a manifest says; ``origin`` is where it lies, for messages.

    Raises
    ------
    ReleaseError
        If it is damaged, or its format is one that this version of d2midi does not know.
    """
    try:
        manifest: dict[str, Any] = json.loads(data)
        number = manifest["format"].split(".")[0]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReleaseError(
            f"the manifest of {origin} is damaged ({error!r}): fetch the release again"
        ) from error
    if number != FORMAT.split(".")[0]:
        raise ReleaseError(
            f"{origin} has format {manifest['format']}, this d2midi reads {FORMAT.split('.')[0]}.x: use a newer one, "
            f"or the one that made it"
        )
    return manifest


def schema(table: str) -> tables.Schema:
    """Columns of a table of a release, ``removed`` included."""
    return tables.schema(f"release/{table}")


def vocabulary() -> bytes:
    """What ``vocabulary.json`` holds.

    It is `train.tokens.vocabulary.VOCABULARY` as text, kept as a file because ``train`` reads releases and no release
    needs ``train``.
    """
    return resource("schemas/tokens/vocabulary.json").read_bytes()


def to_json(data: Mapping[str, Any]) -> str:
    """Plain data as the text of a file: the same data give the same bytes."""
    return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def description(quantised: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """What ``schema.json`` says, so that nobody needs d2midi to understand a release.

    Parameters
    ----------
    quantised : dict
        Of each part: its ``scale``, the largest error in metres or shares, and how many numbers were clipped.
    """
    joints = {
        "body": BODY_NAMES,
        "left_hand": HAND_NAMES,
        "right_hand": HAND_NAMES,
        "face": [f"face mesh point {number}" for number in range(N_FACE)],
    }
    return {
        "format": FORMAT,
        "tables": {
            name: json.loads(resource(f"schemas/release/{name}.json").read_text(encoding="utf-8"))
            for name in (*TABLES, "removed")
        },
        "clock": {
            "frames_per_s": clock.FPS,
            "samples_per_s": clock.SAMPLE_RATE_HZ,
            "samples_per_frame": clock.SAMPLES_PER_FRAME,
            "midi_ticks_per_quarter": clock.TICKS_PER_QUARTER,
            "midi_bpm": clock.TEMPO_BPM,
        },
        "joints": {part: list(names) for part, names in joints.items()},
        "missing": {
            "value": MISSING,
            "meaning": "In every element of a part that was not found in a frame; its present_ column is false.",
        },
        "quantisation": {part: dict(told) for part, told in quantised.items()},
        "layers": {
            "machine": "As transcribed.",
            "heard": "What the recording says. Scores that judge music against dance read this.",
            "final": "Also moved to fit the dance, or for pleasantness.",
        },
        "normalisation": {
            "meaning": "x * width / height, then minus the clip's centre, divided by its torso; y down; z as x. The "
            "reader's default; centre_x, centre_y and torso are in table clips, medians over the clip.",
        },
    }
