"""Every error d2midi raises on purpose.

    D2midiError
    ├── UsageError                 the user asked for something that cannot be (exit code 2)
    │   ├── RecipeError            a recipe has an unknown field, a wrong type or an impossible value
    │   ├── SourceListError        a list of sources cannot be read; names the file, line and column
    │   └── WorkspaceError         the workspace cannot be used
    │       └── WorkspaceLocked    another run holds it
    ├── SchemaError                a table does not match its schema in schemas/
    ├── ReleaseError               a release does not pass its gates, or cannot be written or read
    ├── TrainingError              training cannot go on: a loss is no number, a checkpoint cannot be read
    └── ItemError                  one item cannot be processed; the run goes on
        ├── TransientError         trying again later may help (network, rate limit, full disk)
        ├── PermanentError         trying again will not help (removed, corrupt, no such stream)
        └── PolicyError            the recipe or the site does not allow it (private, too long, licence)

An ``ItemError`` becomes a ledger record of status ``failed`` whose ``reason`` is the class's ``reason``. A worker
that dies or hangs on an item raises nothing; its record says ``crash``.
"""

from __future__ import annotations

from typing import ClassVar, Literal

Reason = Literal["transient", "permanent", "policy"]


class D2midiError(Exception):
    """Base of every error d2midi raises on purpose."""


class UsageError(D2midiError):
    """The user asked for something that cannot be; the message says what to do instead."""


class RecipeError(UsageError):
    """A recipe has an unknown field, a wrong type or an impossible value."""


class SourceListError(UsageError):
    """A list of sources cannot be read."""


class WorkspaceError(UsageError):
    """The workspace cannot be used as it is."""


class WorkspaceLocked(WorkspaceError):
    """Another run holds the workspace."""


class SchemaError(D2midiError):
    """A table does not match its schema."""


class ReleaseError(D2midiError):
    """A release does not pass its gates, or cannot be written or read."""


class TrainingError(D2midiError):
    """Training cannot go on: a loss or a gradient is no number, or a checkpoint cannot be read."""


class ItemError(D2midiError):
    """One item cannot be processed.

    Parameters
    ----------
    message : str
        What happened, in one or two sentences.
    tool_message : str, optional
        The tool's or site's own words, kept whole in the ledger.
    """

    reason: ClassVar[Reason] = "permanent"

    def __init__(self, message: str, tool_message: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.tool_message = tool_message

    def __reduce__(self) -> tuple[type[ItemError], tuple[str, str]]:
        """Survive pickling between processes, where ``Exception`` keeps only ``args``."""
        return (type(self), (self.message, self.tool_message))


class TransientError(ItemError):
    """Trying again later may help."""

    reason = "transient"


class PermanentError(ItemError):
    """Trying again will not help."""

    reason = "permanent"


class PolicyError(ItemError):
    """The recipe or the site does not allow it."""

    reason = "policy"
