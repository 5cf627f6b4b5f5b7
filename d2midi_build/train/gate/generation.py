"""Stage H: drums drawn for test clips, with the scores of facts/baselines.md, section 2, each beside its chance level.

It decides nothing; that all of what is drawn is music by the grammar is a test of the code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import numpy as np
import torch

from d2midi_build import clock
from d2midi_build.errors import UsageError
from d2midi_build.music.instruments import DRUM
from d2midi_build.music.notes import Notes
from d2midi_build.train.gate.dances import CROP_FRAMES, starts
from d2midi_build.train.gate.drum_task import BARS, Crop, DrumTask, drums_of, first_crop
from d2midi_build.train.gate.heard import Heard
from d2midi_build.train.gate.pairs import Pair, one_each, re_paired
from d2midi_build.train.gate.records import Record, Verdict
from d2midi_build.train.gate.statistics import cluster_means, mean_gap
from d2midi_build.train.metrics.beats import beat_scores
from d2midi_build.train.metrics.scoring import Piece, score
from d2midi_build.train.models.drums import sample
from d2midi_build.train.tokens.grammar import Grammar
from d2midi_build.train.tokens.order import Quads
from d2midi_build.train.tokens.quad import Tokens, decode

CLIPS: Final = 8
MOST_QUADS: Final = 400
"""Of 8 s with BOS and EOS; the fullest crops of synthetic releases have 260."""

_LENGTH_S: Final = clock.frame_time_s(CROP_FRAMES)

BEATS: Final = {
    "beat_f1@70ms": "F-measure at 70 ms of drawn onsets against the beats of the clip's music",
    "bhs@70ms": "share of the beats of the clip's music that drawn onsets hit within 70 ms",
    "bcs_precision@70ms": "share of drawn onsets that hit a beat of the clip's music within 70 ms",
    "bcs_ratio": "drawn onsets per beat of the clip's music",
}
"""Scores against annotated beats, and what they mean."""

NOTES: Final = {
    "onsets_vs_reference.beat_f1@70ms": "F-measure at 70 ms of drawn onsets against those of the clip's drums",
    "note_f1_instrument": "F-measure of drawn notes against the clip's, onset within 50 ms and class of drum right",
}
"""Scores against the clip's own drums."""

OWN: Final = {
    "gs_q32@nominal": "how alike the rhythms of nominal bars are",
    "empty_bar_share@nominal": "share of nominal bars without an onset",
}
"""What pieces are like by themselves: no direction is better, the clips' own value stands beside it."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """Drums drawn for a crop.

    Attributes
    ----------
    crop : Crop
    quads : np.ndarray, shape (n, 4), int16
    notes : Notes or None
        None where the quads are none that the grammar and `decode` accept.
    """

    crop: Crop
    quads: Quads
    notes: Notes | None


def generation_records(
    task: DrumTask | None,
    pairs: Sequence[Pair],
    music: Sequence[Heard],
    rng: np.random.Generator,
    *,
    clips: int = CLIPS,
    progress: Callable[[float], None] = lambda share: None,
) -> list[Record]:
    """All of stage H.

    Parameters
    ----------
    task : DrumTask or None
        A trained decoder, as `association.Association.first`; None where there was nothing to learn from.
    pairs : sequence of Pair
        For the first crop with drums of each of the first sources of test drums are drawn.
    music : sequence of Heard
        Where other music is taken from, for chance levels.
    rng : np.random.Generator
        Draws drums and other music.
    clips : int, optional
        Most sources. Default is 8.
    progress : callable, optional
    """
    begun = perf_counter()
    chosen = one_each(pairs, "test", clips, first_crop) if task is not None else []
    if task is None or not chosen:
        why = (
            "not testable: there is no model, or no source of test has drums and a dance; transcribe with drums, or "
            "add sources that have some"
        )
        return [Record("H", "generation.valid", None, 0, None, 1.0, "not-testable", why, 0.0)]
    found = drawn(task, chosen, rng)
    progress(0.9)
    records = [_valid(found, perf_counter() - begun)]
    records += _scored(found, music, rng)
    progress(1.0)
    return records


def drawn(task: DrumTask, chosen: Sequence[Crop], rng: np.random.Generator) -> list[Drawn]:
    """Drums for the dances of crops, four bars each, all together."""
    device = next(task.model.parameters()).device
    features = torch.from_numpy(np.stack([crop.view.features for crop in chosen])).to(device)
    grammars = [Grammar([DRUM], n_bars=BARS, max_quads=MOST_QUADS) for _ in chosen]
    task.model.eval()
    found = sample(task.model, features, grammars, rng)
    return [Drawn(crop, quads, notes_said(quads)) for crop, quads in zip(chosen, found, strict=True)]


def notes_said(quads: Quads) -> Notes | None:
    """The notes that quads say; None where they are no whole sequence of four bars by the grammar, or no notes."""
    grammar = Grammar([DRUM], n_bars=BARS, max_quads=MOST_QUADS)
    try:
        grammar.extend(quads)
        notes = decode(Tokens(quads))
    except UsageError:
        return None
    return notes if grammar.finished else None


def _valid(found: Sequence[Drawn], seconds: float) -> Record:
    share = float(np.mean([each.notes is not None for each in found]))
    verdict: Verdict = "pass" if share == 1 else "fail"
    why = f"share of {len(found)} test clips whose drawn drums are tokens by the grammar and become notes"
    if verdict == "fail":
        wrong = ", ".join(each.crop.pair.dance.clip_id for each in found if each.notes is None)
        why += f". Not so: {wrong}. That is a mistake of d2midi: tell who made it, with this report"
    return Record("H", "generation.valid", share, len(found), None, 1.0, verdict, why, round(seconds, 3))


def _scored(found: Sequence[Drawn], music: Sequence[Heard], rng: np.random.Generator) -> list[Record]:
    """Mean scores over clips, each with the mean against other music of the genre."""
    scores: dict[str, list[tuple[str, float]]] = {}
    chance: dict[str, list[float]] = {}
    whole = [each for each in found if each.notes is not None]
    others = re_paired([each.crop.pair for each in whole], music, rng)
    for each, partners in zip(whole, others, strict=True):
        assert each.notes is not None
        pair, start = each.crop.pair, each.crop.start
        for name, value in against(each.notes, pair.music, start, pair.n_frames).items():
            scores.setdefault(name, []).append((pair.dance.source, value))
        for other in partners:
            places = starts(other.music.n_frames, CROP_FRAMES)
            there = places[start // CROP_FRAMES % len(places)]
            for name, value in against(each.notes, other.music, there, other.music.n_frames).items():
                chance.setdefault(name, []).append(value)
        own = score(Piece(drums_of(pair.music, start, pair.n_frames), _LENGTH_S))
        for name in OWN:
            if (known := own[name]) is not None:
                chance.setdefault(name, []).append(known)
    return [
        _record(name, meaning, scores[name], chance.get(name, ()), rng)
        for name, meaning in (BEATS | NOTES | OWN).items()
        if name in scores
    ]


def against(notes: Notes, music: Heard, start: int, end: int) -> dict[str, float]:
    """Scores of drawn drums that there are against the music of a clip from a frame on, by name."""
    begin_s = clock.frame_time_s(start)
    beats_s = music.beats_s[(music.beats_s >= begin_s) & (music.beats_s < begin_s + _LENGTH_S)] - begin_s
    found = score(Piece(notes, _LENGTH_S), Piece(drums_of(music, start, end), _LENGTH_S))
    if len(beats_s):
        found |= beat_scores(beats_s, notes.onset_s, _LENGTH_S)
    return {name: value for name in (*BEATS, *NOTES, *OWN) if (value := found.get(name)) is not None}


def _record(
    name: str,
    meaning: str,
    values: Sequence[tuple[str, float]],
    beside: Sequence[float],
    rng: np.random.Generator,
) -> Record:
    """A score; what it is held against is its threshold."""
    per_source, names = cluster_means([value for _, value in values], [source for source, _ in values])
    mean = mean_gap(per_source, rng)
    level = float(np.mean(beside)) if len(beside) else None
    what = "the clips' own drums have" if name in OWN else "by chance, against other music of the genre,"
    why = f"{meaning}; {what} {level:.3f}" if level is not None else f"{meaning}; nothing to hold it against"
    return Record("H", name, mean.mean, len(names), mean.ci, level, "info", why, 0.0)
