"""What people decided about takes, laid over what screening says.

An append-only file of the workspace, never made again from anything: one line per verdict, with who, when and why. A
line that names a take counts for it, one that names a video for all its takes without one of their own; the newest
counts. Thresholds and re-runs do not touch it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, get_args

from d2midi_build import overlays
from d2midi_build.screening.criteria import FACTS, Decision

Word = Literal["accept", "reject", "withdraw"]
"""``withdraw`` takes an earlier verdict back: one on the take's video, or else the automatic decision, counts again."""

WORDS: Final[tuple[str, ...]] = get_args(Word)


@dataclass(frozen=True)
class Verdict:
    """What somebody decided: about which take or video, why, who, and when (UTC, ISO 8601)."""

    item: str
    verdict: Word
    why: str
    by: str
    at: str

    def told(self) -> str:
        """In words, for explanations."""
        return f"{self.verdict}ed by {self.by} on {self.at[:10]}: {self.why}"


@dataclass(frozen=True)
class Judgement:
    """Everything that is said of a take, and what comes of it.

    Attributes
    ----------
    automatic : Decision
        What screening says.
    verdict : Verdict or None
        What a person says; overrules it, but for ``criteria.FACTS``.
    repeats : str
        Whose music or picture it repeats, where the recipe drops repeats; empty otherwise.
    """

    automatic: Decision
    verdict: Verdict | None = None
    repeats: str = ""

    @property
    def by_itself(self) -> Decision:
        """The decision without a look at other takes."""
        if self.verdict is None:
            return self.automatic
        told = self.verdict.told()
        if self.verdict.verdict == "reject":
            return Decision("reject", ("by_hand",), told)
        facts = tuple(reason for reason in self.automatic.reasons if reason in FACTS)
        if facts:
            return Decision(
                "reject", facts, f"{self.automatic.explanation}; {told}, which cannot change that"
            )
        said = f" (by itself: {self.automatic.explanation})" if self.automatic.explanation else ""
        return Decision("accept", (), told + said)

    @property
    def decision(self) -> Decision:
        """What counts."""
        own = self.by_itself
        if self.repeats and own.status != "reject":
            return Decision(
                "reject", (*own.reasons, "repeat"), f"repeats {self.repeats} (groups.repeats = drop)"
            )
        return own


class Verdicts:
    """The verdicts of a workspace.

    Parameters
    ----------
    path : Path
        The file; it need not exist. A damaged line is ignored with a warning.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._newest: dict[str, Verdict] = {}
        for verdict in overlays.read(path, _decoded):
            self._newest[verdict.item] = verdict

    def __len__(self) -> int:
        """How many items have one that counts."""
        return len(self.items())

    def items(self) -> list[Verdict]:
        """Those that count, by item."""
        return [
            self._newest[item] for item in sorted(self._newest) if self._newest[item].verdict != "withdraw"
        ]

    def of(self, take_id: str, video_id: str) -> Verdict | None:
        """The one that counts for a take."""
        for item in (take_id, video_id):
            found = self._newest.get(item)
            if found is not None and found.verdict != "withdraw":
                return found
        return None

    def newest(self, item: str) -> Verdict | None:
        """The last one on an item, one that withdraws included."""
        return self._newest.get(item)

    def says(self, verdict: Verdict) -> bool:
        """Whether the same is said of the same item already, by the same person for the same reason."""
        known = self._newest.get(verdict.item)
        return known is not None and replace(known, at=verdict.at) == verdict

    def append(self, verdicts: Iterable[Verdict]) -> None:
        """Add verdicts, all or none; on return they are on disk. Two people may do so at once.

        Raises
        ------
        WorkspaceError
            If the file cannot be written.
        """
        new = list(verdicts)
        overlays.append(self.path, map(asdict, new))
        self._newest |= {verdict.item: verdict for verdict in new}


def _decoded(data: dict[str, Any]) -> Verdict:
    verdict = Verdict(**data)
    if verdict.verdict not in WORDS or not all(isinstance(value, str) for value in asdict(verdict).values()):
        raise ValueError(f"{verdict} is no verdict")
    return verdict
