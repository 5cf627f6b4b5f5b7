"""Studies and their ratings."""

from __future__ import annotations

from typing import Any

from d2midi_build.annotate.study.design import Dance, Study, plan
from d2midi_build.annotate.study.ratings import Rating
from tests.annotate.filled import choice, text

SECRET = "ab" * 32


def study(dances: int = 3, methods: tuple[str, ...] = ("ours", "truth"), seed: int = 0) -> Study:
    """A study whose secret is known."""
    shown = [Dance(f"clip-{number}", f"clip-{number}", 0, 40) for number in range(dances)]
    return plan("trial", shown, dict.fromkeys(methods, "folder"), {}, seed, SECRET)


def ratings(scores: dict[str, list[list[int | None]]]) -> list[Rating]:
    """Ratings by method: a row per dance, a column per rater; noise is always 3."""
    made = []
    for method, rows in scores.items():
        shown = {
            each.dance: each for each in study(len(rows), tuple(scores)).stimuli if each.method == method
        }
        for dance, row in enumerate(rows):
            for rater, score in enumerate(row):
                if score is not None:
                    made.append(
                        Rating(
                            shown[f"clip-{dance}"], f"rater-{rater}", score, 3, "2026-11-26T10:00:00+00:00"
                        )
                    )
    return made


def form(
    consistency: str = "4", noise: str = "2", heard: bool = True, remark: str = ""
) -> list[dict[str, Any]]:
    """A filled-in form."""
    filled = [choice("consistency", consistency), choice("noise", noise)]
    return filled + [choice("heard", "heard")] * heard + [text("remark", remark)] * bool(remark)
