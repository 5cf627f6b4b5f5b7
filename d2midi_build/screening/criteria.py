"""What screening says of a take: its scores against the recipe's thresholds, in words and with the numbers.

The stage ``filter`` measures; nothing here decodes anything. A criterion is a score, which side of it is bad, and
two thresholds in the recipe's section ``filter``: ``<name>_review`` and ``<name>_reject``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from d2midi_build import clock
from d2midi_build.recipe import FilterRecipe, Recipe

Status = Literal["accept", "review", "reject"]

BEST_FIRST: Final[tuple[Status, ...]] = ("accept", "review", "reject")

FACTS: Final = ("too_short", "no_audio")
"""Reasons that are no judgement: without a window's length, or without sound, there is nothing to pair. Nobody can
overrule them."""


@dataclass(frozen=True)
class Decision:
    """What screening says of a take: the status, the reasons' names, and both in words with numbers."""

    status: Status
    reasons: tuple[str, ...] = ()
    explanation: str = ""

    def goes_on(self, recipe: Recipe) -> bool:
        """Whether the take becomes a clip."""
        return self.status == "accept" or (self.status == "review" and recipe.filter.review == "keep")


@dataclass(frozen=True)
class Criterion:
    """One thing that can be wrong with a take.

    Attributes
    ----------
    name : str
        The recipe's thresholds are ``filter.<name>_review`` and ``filter.<name>_reject``.
    score : str
        Column of table ``takes`` it looks at; where that is null the criterion says nothing.
    reason : str
        What it is called in ``takes.reasons``.
    words : str
        For people; ``{value}`` is the score.
    bad : {"above", "below"}
        On which side of the thresholds a take is bad; at a threshold it is not.
    form : str
        How numbers are written: a format specification.
    truth : str
        Column of a truth table (``screening.truth``) that says the same by eye or ear; empty if none does.
    bad_labels, good_labels : tuple of str
        That column's labels with which a take should be caught, and should not; others count for neither.
    """

    name: str
    score: str
    reason: str
    words: str
    bad: Literal["above", "below"]
    form: str
    truth: str
    bad_labels: tuple[str, ...]
    good_labels: tuple[str, ...]

    def thresholds(self, limits: FilterRecipe) -> tuple[float, float]:
        """The recipe's thresholds: for review, for rejection."""
        return getattr(limits, f"{self.name}_review"), getattr(limits, f"{self.name}_reject")

    def beyond(self, value: float, threshold: float) -> bool:
        """Whether a score lies on the bad side of a threshold."""
        return value > threshold if self.bad == "above" else value < threshold

    def status(self, value: float | None, review: float, reject: float) -> Status:
        """What a score alone says."""
        if value is None or not (self.beyond(value, review) or self.beyond(value, reject)):
            return "accept"
        return "reject" if self.beyond(value, reject) else "review"

    def explain(self, value: float, review: float, reject: float) -> str:
        """The score in words, with both thresholds."""
        limits = f"review {self.bad} {review:{self.form}}, reject {self.bad} {reject:{self.form}}"
        return f"{self.words.format(value=f'{value:{self.form}}')} ({limits})"


CRITERIA: Final = (
    Criterion(
        "nobody", "nobody_share", "no_person", "no person {value} of the time", "above", ".0%",
        "people", ("none",), ("one",),
    ),
    Criterion(
        "several", "several_share", "several_people", "more than one person {value} of the time", "above", ".0%",
        "people", ("several",), ("one",),
    ),
    Criterion(
        "overlap", "overlap_share", "overlapped", "somebody overlaps the dancer {value} of the time", "above", ".0%",
        "people", ("several",), ("one",),
    ),
    Criterion(
        "small", "person_height", "small_person", "the dancer is {value} of the picture high", "below", ".0%",
        "", (), (),
    ),
    Criterion(
        "body", "whole_share", "body_not_in_view", "the whole body is in view {value} of the time", "below", ".0%",
        "body", ("part",), ("full",),
    ),
    Criterion(
        "background", "clutter", "busy_background", "clutter of the background {value}", "above", ".2f",
        "background", ("busy",), ("pure",),
    ),
    Criterion(
        "moving_background", "background_motion", "moving_background", "the background changes by {value} grey levels",
        "above", ".1f", "", (), (),
    ),
    Criterion(
        "camera", "camera_motion", "camera_moves", "the camera moves {value} picture heights a second", "above", ".2f",
        "camera", ("moves",), ("fixed",),
    ),
    Criterion(
        "still", "change", "still_picture", "the picture changes by {value} grey levels", "below", ".2f",
        "picture", ("still",), ("moving",),
    ),
    Criterion(
        "silent", "silent_share", "silent", "silence {value} of the time", "above", ".0%",
        "sound", ("silent",), ("music",),
    ),
    Criterion(
        "quiet", "loudness_db", "quiet", "a level of {value} dBFS", "below", ".0f",
        "sound", ("silent",), ("music",),
    ),
    Criterion(
        "clipped", "clipped_share", "clipped", "clipped sound: {value} of the samples", "above", ".1%",
        "clipped", ("yes",), ("no",),
    ),
    Criterion(
        "music", "music_share", "not_music", "music {value} of the time", "below", ".0%",
        "sound", ("speech", "noise", "silent"), ("music",),
    ),
    Criterion(
        "speech", "speech_share", "speech", "a voice without music {value} of the time", "above", ".0%",
        "sound", ("speech",), ("music",),
    ),
    Criterion(
        "noise", "noise_db", "noisy", "steady noise may be {value} dB beside the loud moments", "above", ".1f",
        "sound", ("noise",), ("music",),
    ),
    Criterion(
        "bandwidth", "bandwidth_hz", "narrow_band", "sound up to {value} Hz only", "below", ".0f", "", (), (),
    ),
)  # fmt: skip
"""All criteria, in the order in which reasons are told."""


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
    found: list[tuple[Status, str, str]] = []
    n_frames = clock.whole_frames(scores["end_s"] - scores["start_s"])
    if n_frames < recipe.window.frames:
        found.append(("reject", "too_short", f"{n_frames} frames, a window has {recipe.window.frames}"))
    if scores["loudness_db"] is None:
        found.append(("reject", "no_audio", "there is no sound"))
    for criterion in CRITERIA:
        value, limits = scores[criterion.score], criterion.thresholds(recipe.filter)
        status = criterion.status(value, *limits)
        if status != "accept":
            found.append((status, criterion.reason, criterion.explain(value, *limits)))
    return Decision(
        max((status for status, _, _ in found), key=BEST_FIRST.index, default="accept"),
        tuple(reason for _, reason, _ in found),
        "; ".join(words for _, _, words in found),
    )
