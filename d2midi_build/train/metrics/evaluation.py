"""Scores of a set of pieces against a release, with intervals and chance levels, as plain data.

Without generated pieces, the release's own music is scored against its dances: the values that anything generated is to
be compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from d2midi_build.errors import ItemError, UsageError
from d2midi_build.release.reader import Release, open_release
from d2midi_build.train.metrics.aggregate import COVERAGE, RESAMPLES, Bootstrap, Mean
from d2midi_build.train.metrics.beats import DEDUPE_S, EPSILON_S, PAPER_BINS, SIGMA_S, TOLERANCES_S, at
from d2midi_build.train.metrics.chance import DERANGEMENTS, TEMPO_WITHIN, RePairing, re_pair
from d2midi_build.train.metrics.scoring import COMPARISONS, ONSETS, Rhythm, compare, piece_scores, score
from d2midi_build.train.metrics.subjects import (
    Subject,
    Subjects,
    Timing,
    match_names,
    midi_files,
    read_piece,
)

Progress = Callable[[float, float], None]
Scores = dict[str, float | None]

SCHEMA: Final = "d2midi/evaluation-1"


@dataclass(frozen=True, eq=False)
class Scored:
    """One scored piece.

    Attributes
    ----------
    subject : Timing
        Its clip's music and dance.
    rhythm : Rhythm
        The piece's own.
    row : dict
        Where it belongs: ``clip_id``, ``start_frame``, ``n_frames``, ``video_id``, ``split``, ``genre``, and ``file``
        if generated.
    scores, chance, reference : dict
        Its scores; those of its beats against re-paired clips, averaged over them; `piece_scores` of its clip's own
        music, if it is generated.
    """

    subject: Timing
    rhythm: Rhythm
    row: Mapping[str, Any]
    scores: Scores
    chance: Scores
    reference: Scores


@dataclass(frozen=True)
class Settings:
    """How to evaluate.

    Attributes
    ----------
    layer : str
        Of the release's notes: ``heard`` (the default) for anything that compares music with dance.
    seed : int
        Of re-pairing and of the bootstrap.
    derangements, resamples : int
    tolerances_s : tuple of float
        Of beat scores, seconds.
    """

    layer: str = "heard"
    seed: int = 0
    derangements: int = DERANGEMENTS
    resamples: int = RESAMPLES
    tolerances_s: tuple[float, ...] = TOLERANCES_S


def evaluate(
    location: str | Path,
    generated: Path | None = None,
    split: str | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Score generated pieces, or the release's own music, against the release.

    Parameters
    ----------
    location : str or Path
        Folder or URL of the release.
    generated : Path, optional
        Folder of MIDI files named ``<clip_id>.mid`` or ``<clip_id>_<start_frame>.mid``. Default: the release's own
        music in windows that do not overlap.
    split : str, optional
        Default is all.
    settings : Settings, optional
    progress : callable, optional
        Told how many windows are done, and of how many.

    Returns
    -------
    dict
        Plain data: docs/evaluating.md describes it. Files that could not be scored are under ``problems``.

    Raises
    ------
    UsageError
        If there is no release there, it has no such split or layer, no windows or no beats of dances, or no file's name
        fits it.
    """
    chosen = settings or Settings()
    release = open_release(location, parts=("body",), layer=chosen.layer)
    view = release.filter(split=split) if split is not None else release
    subjects = Subjects(view)
    pool, scored, problems, elsewhere = _score_all(release, view, subjects, generated, chosen, progress)
    _check(pool, f"{release.name} {release.version}" + (f", split {split}," if split else ""))
    rng = np.random.default_rng(chosen.seed)
    paired = re_pair(
        [each.subject.identity for each in scored], [t.identity for t in pool], rng, chosen.derangements
    )
    scored = [
        _with_chance(each, [pool[place] for place in partners], generated is not None, chosen)
        for each, partners in zip(scored, paired.partners, strict=True)
    ]
    detectors = {
        "onsets": ONSETS.data(),
        "beats": subjects.musical.data(),
        "dance": subjects.kinematic.data(),
    }
    return {
        "schema": SCHEMA,
        "release": {"name": release.name, "version": release.version, "digest": release.digest},
        "layer": chosen.layer,
        "what": "release" if generated is None else "generated",
        "split": split,
        "settings": _settings_data(chosen),
        "groups": [
            _group(where, [scored[i] for i in members], _part(paired, members), detectors, chosen)
            for where, members in _groups(scored)
        ],
        "clips": [
            {**each.row, "scores": each.scores, "chance": each.chance, "reference": each.reference}
            for each in scored
        ],
        "problems": [{"file": path.name, "problem": problem} for path, problem in sorted(problems.items())],
        "files_of_other_splits": [path.name for path in elsewhere],
    }


def _check(pool: Sequence[Timing], what: str) -> None:
    """That there is something to compare music with."""
    if not pool:
        raise UsageError(f"{what} has no windows: there is nothing to evaluate")
    if all(timing.dance is None for timing in pool):
        raise UsageError(
            f"{what} has no beats of dances: there is nothing to compare music with. Build its workspace with the "
            "stage beats (d2midi build) and release it again; a dancer who was not seen, or who stands, has none."
        )


def _score_all(
    release: Release,
    view: Release,
    subjects: Subjects,
    generated: Path | None,
    settings: Settings,
    progress: Progress | None,
) -> tuple[list[Timing], list[Scored], dict[Path, str], tuple[Path, ...]]:
    """Timings of all windows that may be partners, scored pieces without chance levels, and problems with files."""
    files = [] if generated is None else midi_files(generated)
    named = match_names(files, release, view)
    if files and not named.places:
        raise UsageError(
            f"none of the {len(files)} MIDI files in {generated} fits: "
            + "; ".join(f"{path.name}: {problem}" for path, problem in list(named.problems.items())[:3])
            + (f"; {len(named.elsewhere)} are of clips of other splits" if named.elsewhere else "")
        )
    problems, windows = dict(named.problems), subjects.apart()
    pool, scored, total = [], [], len(windows) + len(named.places)
    for done, place in enumerate(windows):
        subject = subjects.read(*place)
        pool.append(subject.timing)
        if generated is None:
            found = score(subject.music, None, subject.dance, settings.tolerances_s)
            scored.append(Scored(pool[-1], subject.music.rhythm, _row(subject), found, {}, {}))
        if progress:
            progress(done + 1, total)
    for done, (path, (clip_id, start)) in enumerate(named.places.items()):
        subject = subjects.read(clip_id, start)
        try:
            piece = read_piece(path, subject.music.length_s)
        except (ItemError, OSError) as error:
            problems[path] = str(error)
        else:
            found = score(piece, subject.music, subject.dance, settings.tolerances_s)
            row = {"file": path.name, **_row(subject)}
            own = piece_scores(subject.music)
            scored.append(Scored(subject.timing, piece.rhythm, row, found, {}, own))
        if progress:
            progress(len(windows) + done + 1, total)
    return pool, scored, problems, named.elsewhere


def _row(subject: Subject) -> dict[str, Any]:
    names = ("clip_id", "start_frame", "n_frames", "video_id", "split", "genre")
    return {name: getattr(subject, name) for name in names}


def _with_chance(scored: Scored, partners: Sequence[Timing], generated: bool, settings: Settings) -> Scored:
    """The piece with its scores against other clips, over the time that both have, averaged over these."""
    totals: dict[str, list[float]] = {}
    for other in partners:
        length_s = min(scored.rhythm.length_s, other.music.length_s)
        music = other.music if generated else None
        for comparison in COMPARISONS:
            found = compare(comparison, scored.rhythm, music, other.dance, length_s, settings.tolerances_s)
            for name, value in found.items():
                totals.setdefault(name, []).extend([] if value is None else [value])
    chance: Scores = {name: float(np.mean(values)) if values else None for name, values in totals.items()}
    return Scored(scored.subject, scored.rhythm, scored.row, scored.scores, chance, scored.reference)


def _groups(scored: Sequence[Scored]) -> list[tuple[dict[str, str | None], list[int]]]:
    """Everything, each split, and each genre of each split, with the numbers of their pieces."""
    everything = list(range(len(scored)))
    found: list[tuple[dict[str, str | None], list[int]]] = [({"split": None, "genre": None}, everything)]
    for split in sorted({each.row["split"] for each in scored}):
        here = [i for i in everything if scored[i].row["split"] == split]
        found.append(({"split": split, "genre": None}, here))
        for genre in sorted({scored[i].row["genre"] for i in here}):
            found.append(
                ({"split": split, "genre": genre}, [i for i in here if scored[i].row["genre"] == genre])
            )
    return found


def _part(paired: RePairing, members: Sequence[int]) -> RePairing:
    return RePairing(
        tuple(paired.partners[i] for i in members), tuple(paired.tempo_matched[i] for i in members)
    )


def _group(
    where: Mapping[str, str | None],
    scored: Sequence[Scored],
    paired: RePairing,
    detectors: Mapping[str, Any],
    settings: Settings,
) -> dict[str, Any]:
    """One group of the report."""
    sources = [each.row["video_id"] for each in scored]
    rng = np.random.default_rng(settings.seed)  # the same draws whatever other groups there are
    bootstrap = Bootstrap(sources, rng, settings.resamples)
    parts = {part: [getattr(each, part) for each in scored] for part in ("scores", "chance", "reference")}
    pairing = {
        "n_derangements": paired.n_derangements,
        "n_pairs": paired.n_pairs,
        "n_tempo_matched": sum(paired.tempo_matched),
        "n_without_partner": sum(not partners for partners in paired.partners),
    }
    found: dict[str, Any] = {}
    for name in dict.fromkeys(name for each in parts["scores"] for name in each):
        entry = asdict(bootstrap.mean(_column(parts["scores"], name)))
        comparison, dot, metric = name.partition(".")
        if dot:
            chance = bootstrap.mean(_column(parts["chance"], name))
            above = bootstrap.mean(_above(parts["scores"], parts["chance"], name))
            found[name] = entry | _about(comparison, metric, chance, detectors, settings)
            found[name]["above_chance"] = asdict(above)
        else:
            found[name] = entry | _beside_reference(entry["mean"], name, parts["reference"], bootstrap)
    for comparison in COMPARISONS:
        for tolerance_s in settings.tolerances_s:
            names = [f"{comparison}.{at(metric, tolerance_s)}" for metric in ("bcs_precision", "bhs")]
            if all(name in found for name in names):
                means = {
                    part: bootstrap.f1_of_means(*(_column(parts[part], name) for name in names))
                    for part in ("scores", "chance")
                }
                metric = at("f1_of_means", tolerance_s)
                found[f"{comparison}.{metric}"] = asdict(means["scores"]) | _about(
                    comparison, metric, means["chance"], detectors, settings
                )
    return {
        **where,
        "n_clips": len(scored),
        "n_sources": len(set(sources)),
        "re_pairing": pairing,
        "scores": found,
    }


def _column(scores: Sequence[Scores], name: str) -> list[float | None]:
    return [each.get(name) for each in scores]


def _above(scores: Sequence[Scores], chance: Sequence[Scores], name: str) -> list[float | None]:
    """By how much each clip's score is above its own chance level, where it has both."""
    pairs = zip(_column(scores, name), _column(chance, name), strict=True)
    return [None if ours is None or other is None else ours - other for ours, other in pairs]


def _about(
    comparison: str, metric: str, chance: Mean, detectors: Mapping[str, Any], settings: Settings
) -> dict[str, Any]:
    """What stands beside a beat score: its chance level, what found the beats, its tolerance."""
    ours, against = comparison.split("_vs_")
    tolerance = {at("", tolerance_s): tolerance_s for tolerance_s in settings.tolerances_s}
    return {
        "chance": asdict(chance),
        "detectors": {
            "piece": detectors[ours],
            "against": detectors["dance" if against == "dance" else ours],
        },
        "tolerance_s": tolerance.get(metric[metric.rfind("@") :] if "@" in metric else ""),
        "for_comparison_only": metric.startswith((PAPER_BINS, "bas_average")),
    }


def _beside_reference(
    mean: float | None, name: str, reference: Sequence[Scores], bootstrap: Bootstrap
) -> dict[str, Any]:
    """The same value of the clips' own music, and the distance to it, where pieces are generated."""
    if not any(name in each for each in reference):
        return {}
    own = bootstrap.mean(_column(reference, name))
    known = mean is not None and own.mean is not None
    return {"reference": asdict(own), "distance": abs(mean - own.mean) if known else None}  # type: ignore[operator]


def _settings_data(settings: Settings) -> dict[str, Any]:
    return {
        **asdict(settings),
        "coverage": COVERAGE,
        "dedupe_s": DEDUPE_S,
        "epsilon_s": EPSILON_S,
        "bas_alignment_sigma_s": SIGMA_S,
        "tempo_within": TEMPO_WITHIN,
        "paired_within": "split and genre",
    }
