"""Digests of the models a recipe names: as this machine has them, or as the last build had them.

Keys hold these digests, so whoever asks how far a workspace has come needs them. Weights that users bring may be
elsewhere by then, or others may have taken their name. So a build keeps the digests of those it was made with in the
workspace's ``models.json``, by what the recipe calls them.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Final

from d2midi_build.errors import UsageError
from d2midi_build.ledger import Ledger
from d2midi_build.recipe import Recipe
from d2midi_build.stages.base import NAMES, Read, Stage, stage
from d2midi_build.workspace import Workspace, write_whole

Known = dict[str, dict[str, str]]
"""Digests by file, by what the recipe calls the weights."""

_UNKNOWN: Final = {"unknown": ""}
"""Stands for weights that neither this machine nor the workspace knows: no record is made with it."""


def known(workspace: Workspace) -> Known:
    """What earlier builds were made with; nothing where that is not said, or damaged."""
    try:
        found = json.loads(workspace.models_path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    whole = isinstance(found, dict) and all(isinstance(files, dict) for files in found.values())
    return found if whole else {}


def digests(workspace: Workspace, described: Stage, recipe: Recipe, *, runs: bool) -> dict[str, str]:
    """Digests of the models of a stage.

    Parameters
    ----------
    workspace : Workspace
    described : Stage
    recipe : Recipe
    runs : bool
        Whether the stage is to run, so that its models must be here; otherwise those of the last build count.

    Raises
    ------
    UsageError
        If a model is not here and has to be: because the stage is to run, or because it ran before and nothing says
        with which.
    """

    def look(name: str, read: Read) -> dict[str, str]:
        if not runs and (found := known(workspace).get(name)):
            return found
        try:
            return read()
        except UsageError:
            if runs or _ran(workspace, described.name, name.partition(" ")[0]):
                raise
            return _UNKNOWN

    try:
        return described.digests(described.params(recipe), look)
    except OSError as error:
        raise UsageError(
            f"model files of {described.name} are missing ({error}): `d2midi doctor` says what to do"
        ) from error


def remember(workspace: Workspace, recipe: Recipe, runs: Collection[str]) -> None:
    """Keep what the stages that are to run are made with."""
    brought = {
        name: read()
        for described in map(stage, NAMES)
        if described.name in runs
        for name, read in described.brought(described.params(recipe)).items()
    }
    if brought:
        together = json.dumps(known(workspace) | brought, indent=1, sort_keys=True)
        write_whole(workspace.models_path, together.encode())


def _ran(workspace: Workspace, name: str, tool: str) -> bool:
    """Whether a stage has any result that the tool made, with whatever weights."""
    if not workspace.ledger_path.exists():
        return False
    return any(
        record.stage == name and record.status == "done" and record.used(tool)
        for record in Ledger(workspace.ledger_path)
    )
