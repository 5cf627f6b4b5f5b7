"""How a release lies on disk: names, tables and what joins them.

    RELEASE/
      README.md                             the card, with the configs that `datasets.load_dataset` reads
      manifest.json                         version, counts, splits, recipe, everything that made it
      schema.json                           every column with unit and meaning, joints, how missing is told
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
from typing import Any, Final

from d2midi_build import tables
from d2midi_build.motion.keypoints import PARTS

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
REMOVED: Final = "removed.parquet"
CARD: Final = "README.md"
SUMS: Final = "SHA256SUMS"


def table_file(table: str, split: str, shard: int = 0) -> str:
    """Path below the release of one file of a table."""
    return f"data/{table}/{split}-{shard:05d}.parquet"


def schema(table: str) -> tables.Schema:
    """Columns of a table of a release, ``removed`` included."""
    return tables.schema(f"release/{table}")


def to_json(data: Mapping[str, Any]) -> str:
    """Plain data as the text of a file: the same data give the same bytes."""
    return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


SCALES: Final = {name: part.scale for name, part in PARTS.items()}
"""What one step of a part's integers stands for."""
