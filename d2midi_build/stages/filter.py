"""Screening: one decode of a video measures what says whether its shots are usable.

The stage measures and stores scores; ``decide`` holds them against the recipe's thresholds. So a changed
threshold decodes nothing again, and a take's id does not depend on it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from d2midi_build import clock
from d2midi_build.recipe import Recipe
from d2midi_build.stages.base import Made, Stage, Work

Verdict = Literal["accept", "review", "reject"]


@dataclass(frozen=True)
class Decision:
    """What screening says of a take: the verdict, the reasons' names, and both in words with numbers."""

    status: Verdict
    reasons: tuple[str, ...] = ()
    explanation: str = ""

    def goes_on(self, recipe: Recipe) -> bool:
        """Whether the take becomes a clip."""
        return self.status == "accept" or (self.status == "review" and recipe.filter.review == "keep")


def decide(scores: Mapping[str, Any], recipe: Recipe) -> Decision:
    """Hold a take's scores against the recipe's thresholds.

    Parameters
    ----------
    scores : mapping
        ``start_s``, ``end_s`` and the scores that table ``takes`` describes.
    recipe : Recipe
        Sections ``filter`` and ``window`` (a take shorter than a window is of no use).

    Returns
    -------
    Decision
        ``reject`` if any criterion rejects, else ``review`` if any asks for a human, else ``accept``.
    """
    limits = recipe.filter
    found: list[tuple[Verdict, str, str]] = []

    def share(name: str, reason: str, words: str, reject: float, review: float) -> None:
        value = scores[name]
        if value is None or value <= review:
            return
        verdict: Verdict = "reject" if value > reject else "review"
        found.append(
            (
                verdict,
                reason,
                f"{words} {value:.0%} of the time (review above {review:.0%}, reject above {reject:.0%})",
            )
        )

    n_frames = clock.whole_frames(scores["end_s"] - scores["start_s"])
    if n_frames < recipe.window.frames:
        found.append(("reject", "too_short", f"{n_frames} frames, a window has {recipe.window.frames}"))
    share(
        "several_share",
        "several_people",
        "more than one person",
        limits.several_reject,
        limits.several_review,
    )
    share("nobody_share", "no_person", "no person", limits.nobody_reject, limits.nobody_review)
    change = scores["change"]
    if change is not None and change < limits.still_below:
        found.append(
            (
                "reject",
                "still_picture",
                f"the picture changes by {change:.2f} grey levels (at least {limits.still_below})",
            )
        )
    if scores["loudness_db"] is None:
        found.append(("reject", "no_audio", "there is no sound"))
    share("silent_share", "silent", "silence", limits.silent_reject, limits.silent_review)
    share("clipped_share", "clipped", "clipped sound", limits.clipped_reject, limits.clipped_review)

    if not found:
        return Decision("accept")
    status: Verdict = "reject" if any(verdict == "reject" for verdict, _, _ in found) else "review"
    return Decision(
        status, tuple(reason for _, reason, _ in found), "; ".join(words for _, _, words in found)
    )
