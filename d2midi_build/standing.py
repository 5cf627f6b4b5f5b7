"""How far a workspace has come, by its ledger, and its tables brought up to date with that."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from d2midi_build import manifests
from d2midi_build.engine.base import Job
from d2midi_build.errors import WorkspaceLocked
from d2midi_build.flow import Flow, SourceNode
from d2midi_build.groups import repeats
from d2midi_build.ledger import Ledger, Record
from d2midi_build.recipe import Recipe
from d2midi_build.sources.lists import Source
from d2midi_build.workspace import Workspace


def holds(record: Record, workspace: Workspace) -> bool:
    """Whether a record still holds: nothing replaces it, and what it names is there."""
    if record.status == "void":
        return False
    return record.status == "failed" or workspace.holds(record.stage, record.item, record.key, record.files)


def publish(
    workspace: Workspace,
    sources: Sequence[Source],
    recipe: Recipe,
    ledger: Ledger,
    compared: Callable[[int, int], None] | None,
) -> list[SourceNode]:
    """Bring the tables up to date with the ledger and with what people have decided meanwhile; hold the lock.

    Parameters
    ----------
    compared : callable or None
        Is told how many new takes are compared with all others, and of how many; None compares nothing new.

    Returns
    -------
    list of SourceNode
        How far everything has come.
    """
    nodes = state_of(sources, Flow(workspace, recipe), ledger, workspace)
    pairs = repeats.update(workspace.repeats_path, manifests.members(workspace, nodes), compared).pairs
    if recipe.groups.repeats == "drop":  # which takes are dropped is known only now
        nodes = state_of(sources, Flow(workspace, recipe), ledger, workspace)
    manifests.publish(workspace, nodes, recipe, pairs)
    return nodes


def refresh(workspace: Workspace) -> tuple[list[SourceNode], bool]:
    """Bring the tables up to date with what people have decided.

    Returns
    -------
    list of SourceNode
        How far everything has come.
    bool
        Whether the tables say so: not while a build runs, which brings them up to date when it ends.
    """
    try:
        with workspace.lock():
            sources, recipe = manifests.remembered(workspace)
            ledger = Ledger(workspace.ledger_path)
            return publish(workspace, sources, recipe, ledger, lambda done, total: None), True
    except WorkspaceLocked:
        return state(workspace), False


def state(workspace: Workspace) -> list[SourceNode]:
    """How far everything that a workspace was last built from has come.

    Raises
    ------
    WorkspaceError
        If nothing was built in it.
    """
    sources, recipe = manifests.remembered(workspace)
    return state_of(sources, Flow(workspace, recipe), Ledger(workspace.ledger_path), workspace)


def state_of(sources: Sequence[Source], flow: Flow, ledger: Ledger, workspace: Workspace) -> list[SourceNode]:
    """How far sources have come, as the ledger has it: also those that a run did not come to."""

    def found(job: Job) -> Record | None:
        record = ledger.find(job.stage, job.item, job.key)
        return record if record is not None and holds(record, workspace) else None

    return [flow.source(source, found) for source in sources]
