"""Stage G, the negative control: on music that was mixed up within genres, E and F must not pass.

If they do, the check finds what is not there, and says nothing of the release either. Chance alone makes E pass in one
of twenty such controls, so one that passes is repeated twice with music mixed up anew: the check is broken if it passes
again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from d2midi_build.train.gate.records import Record

ROUNDS: Final = 3
_NAMES: Final = {"alignment": "F", "association": "E"}

Round = Mapping[str, float | None]
"""p of ``alignment`` and of ``association``, after Holm's correction; None where there was nothing to compare."""


def control_records(judge: Callable[[int], Round], levels: Mapping[str, float]) -> list[Record]:
    """``control.alignment`` and ``control.association``: that neither passes.

    Parameters
    ----------
    judge : callable
        Mixes music up as the round with this number does, trains and tests.
    levels : dict
        p below which each passes.
    """
    rounds = [judge(0)]
    if any(_passes(rounds[0][name], level) for name, level in levels.items()):
        rounds += [judge(number) for number in range(1, ROUNDS)]
    return [_record(name, level, [each[name] for each in rounds]) for name, level in levels.items()]


def _record(name: str, level: float, found: list[float | None]) -> Record:
    known = [p for p in found if p is not None]
    what = f"p of stage {_NAMES[name]} on music mixed up within genres"
    if not known:
        why = f"not testable: no {what} could be computed, since there was nothing to compare"
        return Record("G", f"control.{name}", None, 0, None, level, "not-testable", why, 0.0)
    passed = sum(_passes(p, level) for p in known)
    told = ", ".join(f"{p:.2g}" for p in known)
    if passed > 1:
        why = (
            f"{what} is below {level} in {passed} of {len(known)} controls ({told}): the check finds what is not "
            "there, so it says nothing of this release. Tell who made d2midi, with this report"
        )
        return Record("G", f"control.{name}", known[0], len(known), None, level, "fail", why, 0.0, known[0])
    why = f"{what}, as it should be no less than {level}"
    if passed:
        why += f" in two of {len(known)} controls; by chance it was in one: {told}"
    return Record("G", f"control.{name}", known[0], len(known), None, level, "pass", why, 0.0, known[0])


def _passes(p: float | None, level: float) -> bool:
    return p is not None and p < level
