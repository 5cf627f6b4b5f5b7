"""Of stage D: can a small model learn to guess what is masked of notes (facts/baselines.md, section 3.4)?

It informs: it tells whether the notes of sources say something of each other, nothing of the dance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Final

import numpy as np
import numpy.typing as npt

from d2midi_build import clock
from d2midi_build.train.gate.fitting import Progress, fit
from d2midi_build.train.gate.heard import Heard
from d2midi_build.train.gate.quad_task import BARS, Crop, QuadTask, crops, masked
from d2midi_build.train.gate.records import Record, Verdict
from d2midi_build.train.gate.statistics import mean_gap, sign_flip_p
from d2midi_build.train.models.masked import ATTRIBUTES
from d2midi_build.train.tokens.vocabulary import FRAMES_PER_BAR, VOCABULARY

FloatArray = npt.NDArray[np.float64]

LEVEL: Final = 0.05

LEAST_SOURCES: Final = 5
"""With fewer, even all of them better give no p of 0.05 (2^-5 is 0.031)."""

STEPS: Final = 300

_BATCH: Final = 8
_LR: Final = 3e-3
_JUDGED_AT_ONCE: Final = 32

_MOST_CROPS: Final = 15
"""Of a test source, drawn: a minute."""

_CROP_S: Final = BARS * FRAMES_PER_BAR // clock.FPS

_WHAT: Final = {
    "event": "pitch",
    "duration": "duration",
    "track": "track (place of its instrument among the clip's)",
    "instrument": "instrument",
}


@dataclass(frozen=True, eq=False)
class Guesses:
    """How often one attribute was right.

    Attributes
    ----------
    model, constant : np.ndarray, shape (n_sources,), float64
        Of each source's masked values the share that the model guesses, and the share that is the value which is the
        most frequent in train.
    constant_id : int
        That value's id.
    """

    model: FloatArray
    constant: FloatArray
    constant_id: int


def masked_records(
    clips: Sequence[Heard], folder: Path, seed: int, progress: Progress = lambda share: None
) -> list[Record]:
    """``masked.event``, ``masked.duration``, ``masked.track`` and ``masked.instrument``.

    The share of masked values of test sources, the mean over sources, that a model guesses which learned on train, held
    against that of the most frequent value of train. It passes if it is better in sources on average, p < .05
    (`statistics.sign_flip_p`).

    Parameters
    ----------
    clips : sequence of Heard
        Of all splits.
    folder : Path
        Where the run is kept; one that was killed goes on.
    seed : int
    progress : callable, optional
        Told the share that is done, 0-1.

    Returns
    -------
    list of Record
        One each, not testable where there is too little to learn from or to judge by.

    Raises
    ------
    UsageError
        If the folder has a run of other clips.
    """
    begun = perf_counter()
    ordered = sorted(clips, key=lambda clip: clip.clip_id)
    learned = [crop for clip in ordered if clip.split == "train" for crop in crops(clip)]
    test = [clip for clip in ordered if clip.split == "test"]
    judged = _by_source(test, np.random.default_rng([seed, 1]))
    lacking = _lacking(len(learned), len(judged))
    if lacking:
        records = [_untested(name, len(judged), lacking) for name in ATTRIBUTES]
    else:
        task = QuadTask(learned, seed)
        fit(
            task,
            folder,
            seed=seed,
            steps=STEPS,
            batch=_BATCH,
            lr=_LR,
            warmup=STEPS // 15,
            progress=lambda share: progress(0.9 * share),
        )
        records = []
        for number in range(len(ATTRIBUTES)):
            records.append(_judged(task, number, judged, np.random.default_rng([seed, 2, number])))
            progress(0.9 + 0.1 * (number + 1) / len(ATTRIBUTES))
    return [replace(records[0], seconds=round(perf_counter() - begun, 3)), *records[1:]]


def guesses(
    task: QuadTask, attribute: int, judged: Mapping[str, Sequence[Crop]], rng: np.random.Generator
) -> Guesses:
    """How often an attribute, by its number, is right in sources."""
    counts = np.bincount(
        np.concatenate([crop.quads[crop.notes, attribute] for crop in task.dataset.crops]),
        minlength=VOCABULARY.sizes[attribute],
    )
    constant_id = int(counts.argmax())
    examples = [masked(crop, attribute, rng) for mine in judged.values() for crop in mine]
    right = [
        each
        for first in range(0, len(examples), _JUDGED_AT_ONCE)
        for each in task.guessed(examples[first : first + _JUDGED_AT_ONCE])
    ]
    constant = [each.wanted == constant_id for each in examples]
    ends = np.cumsum([len(mine) for mine in judged.values()])
    spans = list(zip([0, *ends[:-1]], ends, strict=True))
    model, most = (
        np.array([float(np.concatenate(each[first:last]).mean()) for first, last in spans])
        for each in (right, constant)
    )
    return Guesses(model, most, constant_id)


def _judged(
    task: QuadTask, attribute: int, judged: Mapping[str, Sequence[Crop]], rng: np.random.Generator
) -> Record:
    name = ATTRIBUTES[attribute]
    values = np.unique(np.concatenate([crop.quads[crop.notes, attribute] for crop in task.dataset.crops]))
    table = getattr(VOCABULARY, name)
    if len(values) < 2:
        return _untested(
            name, len(judged), f"all notes of train have the same {_WHAT[name]}, {table[values[0]]}"
        )
    found = guesses(task, attribute, judged, rng)
    gaps = found.model - found.constant
    p = sign_flip_p(gaps, rng)
    value, constant = float(found.model.mean()), float(found.constant.mean())
    why = (
        f"masked, the {_WHAT[name]} of {value:.0%} of the notes of {len(judged)} test sources is guessed from the "
        f"rest; always guessing the most frequent value of train, {table[found.constant_id]}, is right for "
        f"{constant:.0%}"
    )
    verdict: Verdict = "pass"
    if not (value > constant and p < LEVEL):
        verdict = "fail"
        why += (
            f" (p {p:.2g} that it is no better). Listen to some sources: notes that say nothing of each other are "
            "seldom music"
        )
    return Record(
        "D",
        f"masked.{name}",
        value,
        len(judged),
        mean_gap(found.model, rng).ci,
        constant,
        verdict,
        why,
        0.0,
        p,
    )


def _by_source(clips: Sequence[Heard], rng: np.random.Generator) -> dict[str, list[Crop]]:
    """Some crops of each source that has any."""
    every: dict[str, list[Crop]] = {}
    for clip in clips:
        every.setdefault(clip.source, []).extend(crops(clip))
    return {
        name: [mine[place] for place in np.sort(rng.permutation(len(mine))[:_MOST_CROPS])]
        for name, mine in every.items()
        if mine
    }


def _lacking(n_learned: int, n_judged: int) -> str:
    """What is missing, in words; nothing if all is there."""
    if not n_learned:
        return f"train has no clip of {_CROP_S} s with notes: add sources, or transcribe them again"
    if n_judged < LEAST_SOURCES:
        return (
            f"{n_judged} test sources have a clip of {_CROP_S} s with notes, {LEAST_SOURCES} are needed: "
            f"{LEAST_SOURCES - n_judged} more"
        )
    return ""


def _untested(name: str, n: int, lacking: str) -> Record:
    return Record("D", f"masked.{name}", None, n, None, None, "not-testable", f"not testable: {lacking}", 0.0)
