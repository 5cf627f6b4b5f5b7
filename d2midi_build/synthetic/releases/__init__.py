"""Synthetic releases: motion and notes of many sources without rendering, for tests of the release check and its power.

What is in one is known: in a good one every dance turns on the beats of its music, ever more loosely as ``effect``
goes to 0, and each sabotage takes away one thing. A synthetic dance is much cleaner than a real one: how large an
effect is here says nothing of real data, only what the check can tell.
"""

from __future__ import annotations

from d2midi_build.synthetic.releases.genres import GENRES
from d2midi_build.synthetic.releases.making import Made, contents, release, spoiled_plan
from d2midi_build.synthetic.releases.sabotage import OFFSET_S, OFFSETS_S, SABOTAGES, Sabotage
from d2midi_build.synthetic.releases.sources import Source, plan

__all__ = [
    "GENRES",
    "OFFSETS_S",
    "OFFSET_S",
    "SABOTAGES",
    "Made",
    "Sabotage",
    "Source",
    "contents",
    "plan",
    "release",
    "spoiled_plan",
]
