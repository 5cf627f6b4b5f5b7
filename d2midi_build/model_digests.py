"""Digests of the models a recipe names: as this machine has them, or as the last build had them.

Keys hold these digests, so whoever asks how far a workspace has come needs them. Models that users bring may be
elsewhere by then, or others may have taken their name. So a build keeps what it was made with in the workspace's
``models.json``: by stage, and by digest of the recipe's fields that the stage is given.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from d2midi_build.digests import sha256_data
from d2midi_build.errors import UsageError
from d2midi_build.recipe import Recipe
from d2midi_build.stages.base import NAMES, Stage, stage
from d2midi_build.workspace import Workspace, write_whole

Known = dict[str, dict[str, dict[str, str]]]
"""Digests by file or option, by digest of fields, by stage."""

_UNKNOWN: Final = {"unknown": ""}
"""Stands for what neither this machine nor the workspace knows: no record is made with it."""


def known(workspace: Workspace) -> Known:
    """What earlier builds were made with; nothing if none says."""
    try:
        found: Known = json.loads(workspace.models_path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # damaged: the next build writes it anew
        return {}
    return found


def digests(described: Stage, recipe: Recipe, earlier: Known, *, runs: bool) -> dict[str, str]:
    """Digests of the models of a stage.

    Parameters
    ----------
    described : Stage
    recipe : Recipe
    earlier : Known
        See `known`.
    runs : bool
        Whether the stage is to run, so that its models must be here; otherwise those of the last build count.

    Raises
    ------
    UsageError
        If a model that must be here is not.
    """
    params = described.params(recipe)
    if described.brought and not runs:
        if found := earlier.get(described.name, {}).get(sha256_data(params)):
            return found
        try:
            return described.models(params)
        except UsageError:
            return _UNKNOWN
    try:
        return described.models(params)
    except OSError as error:
        raise UsageError(
            f"model files of {described.name} are missing ({error}): `d2midi doctor` says what to do"
        ) from error


def remember(workspace: Workspace, recipe: Recipe, found: Mapping[str, Mapping[str, str]]) -> None:
    """Keep what a build is made with, by stage."""
    earlier = known(workspace)
    for described in map(stage, NAMES):
        if described.brought and found[described.name] != _UNKNOWN:
            of_stage = earlier.setdefault(described.name, {})
            of_stage[sha256_data(described.params(recipe))] = dict(found[described.name])
    write_whole(workspace.models_path, json.dumps(earlier, indent=1, sort_keys=True).encode())
