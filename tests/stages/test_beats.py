from __future__ import annotations

from typing import Any

import pytest

from d2midi_build.recipe import Recipe
from d2midi_build.stages.beats import decide

IN_TIME: dict[str, Any] = {
    "status": "synchronised",
    "lag_s": 0.02,
    "lag_modulo_s": 0.5,
    "explanation": "fine",
}


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        ({}, ()),
        ({"lag_s": 0.16}, ("lag",)),
        ({"lag_s": -0.16}, ("lag",)),
        # On half beats a lag is known within .125 s either way: beyond a third of .25 s it may be of either sign.
        ({"lag_s": 0.09, "lag_modulo_s": 0.25}, ("lag",)),
        ({"lag_s": 0.08, "lag_modulo_s": 0.25}, ()),
        ({"status": "not_synchronised", "lag_s": None, "lag_modulo_s": None}, ("not_synchronised",)),
        ({"status": "unknown", "lag_s": None, "lag_modulo_s": None}, ()),
    ],
)
def test_what_makes_a_clip_a_case_for_review(change: dict[str, Any], reasons: tuple[str, ...]) -> None:
    decision = decide({"synchrony": IN_TIME | change}, Recipe())
    assert decision.reasons == reasons
    assert decision.status == ("review" if reasons else "accept")
    assert (
        decide({"synchrony": IN_TIME | change}, Recipe().with_field("beats.review", False)).status == "accept"
    )


def test_a_clip_without_beats_yet_is_none() -> None:
    assert decide({}, Recipe()).status == "accept"
