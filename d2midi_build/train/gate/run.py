"""The whole gate: reads a release, asks all stages, and writes what they say."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
import torch

from d2midi_build.digests import sha256_data
from d2midi_build.errors import UsageError
from d2midi_build.release.checking import Checked
from d2midi_build.release.format import GATE, GATE_FILES, GATE_PAGE, read_manifest
from d2midi_build.release.reader import Release
from d2midi_build.train.core.files import write_whole
from d2midi_build.train.core.watching import code_version
from d2midi_build.train.gate import (
    alignment,
    association,
    control,
    drum_task,
    generation,
    heard,
    lag,
    masked,
    overfitting,
    pairs,
    static,
    styles,
    summary,
)
from d2midi_build.train.gate.heard import Heard
from d2midi_build.train.gate.page import page
from d2midi_build.train.gate.records import Record, Report, enough
from d2midi_build.train.gate.statistics import holm

SEEDS: Final = (0, 1, 2)
"""Fixed, so that nobody looks for a lucky one."""

MOST_TRAIN: Final = 400
"""Sources of train that models learn from; a generator draws them where there are more."""

MOST_TEST: Final = 200
"""Sources that they are judged on."""

_RUNS: Final = ".gate-runs"
"""Below the folder of the report: a name that nobody else uses, since what is in it is deleted."""

LEVELS: Final = {"alignment": alignment.LEVEL, "association": association.LEVEL}

Progress = Callable[[str, float], None]
"""Takes what is being done, and the share of all that is done."""


def gate(
    folder: Path,
    out: Path,
    *,
    seeds: Sequence[int] = SEEDS,
    explained: str = "",
    progress: Progress = lambda what, share: None,
) -> Report:
    """Check a release, and write ``gate.json`` and ``gate.html``.

    Killed and called again it goes on: trained models are kept beside it until the report is written, and are
    used again if release, code and settings are the same.

    Parameters
    ----------
    folder : Path
        Of the release.
    out : Path
        Folder for the report; made where it is missing.
    seeds : sequence of int, optional
        Default is 0, 1 and 2.
    explained : str, optional
        Why E may fail: see `records.decide`.
    progress : callable, optional

    Raises
    ------
    UsageError
        If the release is not in a folder on this machine, or another process writes there.
    ReleaseError
        If its format or files are ones that the reader does not take.
    """
    read_manifest(folder)  # before a folder is made for what is no release
    if folder.resolve() == out.resolve() or folder.resolve() in out.resolve().parents:
        raise UsageError(f"--out {out} is inside the release, which is never changed: choose another folder")
    with _held(out):
        for name in GATE_FILES:  # of an earlier run, which nobody may take for this one's
            (out / name).unlink(missing_ok=True)
        report = checked(folder, out / _RUNS, seeds=seeds, explained=explained, progress=progress)
        try:
            for name, data in _files(report).items():
                write_whole(out / name, lambda file, data=data: file.write(data))  # type: ignore[misc]
        except OSError as error:
            raise UsageError(
                f"the report cannot be written to {out} ({error}): mend this and run the same command again, what was "
                "trained is kept"
            ) from error
        shutil.rmtree(out / _RUNS, ignore_errors=True)
    return report


def check(folder: Path, *, explained: str = "", progress: Progress = lambda what, share: None) -> Checked:
    """What `release.build.build` takes as ``check``: the gate, with its report as files for the release.

    Times are left out of the report, so that the same release gives the same bytes on the same machine. Trained models
    are kept beside the folder until it is done.
    """
    found = checked(folder, folder.parent / _RUNS, explained=explained, progress=progress)
    report = replace(
        found,
        records=tuple(replace(each, seconds=0.0) for each in found.records),
        settings={**found.settings, "digest": "of its SHA256SUMS before this report was added to it"},
    )
    return Checked(report.verdict, report.why, _files(report))


def checked(
    folder: Path,
    runs: Path,
    *,
    seeds: Sequence[int] = SEEDS,
    explained: str = "",
    progress: Progress = lambda what, share: None,
) -> Report:
    """The report on a release; trained models stay in a folder ``runs``, for who has to begin again."""
    progress("read", 0.0)
    release, clips = heard.read(folder, lambda done, total: progress("read", 0.05 * done / total))
    progress("static checks", 0.05)
    rng = np.random.default_rng(0)
    found = static.static_records(folder, release, clips)
    progress("statistics", 0.1)
    found += _timed(lambda: summary.summary_records(release, clips, rng))
    curve = lag.lag_records(clips, rng)
    found += curve.records
    about = {"release": release.digest, "code": code_version(), "torch": str(torch.__version__)}
    kept = _kept(runs, about)
    if any(each.stage == "A" and each.verdict == "fail" for each in found):
        progress("done", 1.0)
        return _report(release, found, curve, seeds, about, explained)
    found += trained_records(
        clips, kept, rng, seeds=seeds, progress=lambda what, share: progress(what, 0.15 + 0.85 * share)
    )
    progress("done", 1.0)
    return _report(release, found, curve, seeds, about, explained)


def trained_records(
    clips: Sequence[Heard],
    runs: Path,
    rng: np.random.Generator,
    *,
    seeds: Sequence[int] = SEEDS,
    informing: bool = True,
    progress: Progress = lambda what, share: None,
) -> list[Record]:
    """All stages that train models: C to H.

    E, F and G are left out where `records.enough` says that there is too little.

    Parameters
    ----------
    clips : sequence of Heard
    runs : Path
        Folder for runs of the trainer.
    rng : np.random.Generator
        Draws sources, partners and resamples.
    seeds : sequence of int, optional
        Of models; the control and what only informs are trained with the first.
    informing : bool, optional
        Whether what decides nothing is asked too: genres, masked tokens, generation. Default is yes.
    progress : callable, optional
    """
    chosen, told = drawn(clips, rng), _Parts(progress)
    with _one_thread():
        found, first = _deciding(chosen, clips, runs, rng, seeds, told)
        if informing:
            found += styles.style_records(chosen, runs / "style", seeds[0], told.part("D: genres", 0.03))
            found += masked.masked_records(chosen, runs / "masked", seeds[0], told.part("D: tokens", 0.07))
            found += generation.generation_records(
                first, pairs.real(chosen), chosen, rng, progress=told.part("H: generation", 0.05)
            )
    return found


def _deciding(
    chosen: Sequence[Heard],
    clips: Sequence[Heard],
    runs: Path,
    rng: np.random.Generator,
    seeds: Sequence[int],
    told: _Parts,
) -> tuple[list[Record], drum_task.DrumTask | None]:
    """Records that decide, and the first drum decoder."""
    ours = pairs.real(chosen)
    found = [
        overfitting.overfit_beats(ours, runs, progress=told.part("C: overfit", 0.02)),
        drum_task.overfit_tokens(ours, runs, progress=told.part("C: overfit", 0.05)),
    ]
    test = {clip.source: clip.genre for clip in clips if clip.split == "test"}
    amount = enough(test, (clip.genre for clip in clips))
    found.append(amount)
    testable = amount.verdict == "pass"
    drums = association.association(
        ours,
        chosen,
        runs,
        seeds=seeds if testable else seeds[:1],
        rng=rng,
        progress=told.part("E: drums", 0.4),
    )
    if testable:
        beats = alignment.gains(ours, chosen, runs, seeds, rng, progress=told.part("F: beats", 0.2))
        p = _holm({"alignment": beats.p(rng), "association": drums.p(rng)})
        found += association.association_records(drums, p["association"], rng)
        found += alignment.alignment_records(beats, p["alignment"], rng)
        found += _timed(
            lambda: control.control_records(
                lambda number: _mixed_up(chosen, runs, number, seeds[:1], told), LEVELS
            )
        )
    tokens = association.tokens_records(drums, rng)
    found += tokens if testable else [_too_early(each, amount) for each in tokens]
    return found, drums.first


def drawn(clips: Sequence[Heard], rng: np.random.Generator) -> list[Heard]:
    """Clips of so many sources as models can learn from and be judged on in minutes; all where there are no more."""
    most = {"train": MOST_TRAIN, "validation": MOST_TEST, "test": MOST_TEST}
    kept: set[str] = set()
    for split, number in most.items():
        names = heard.sources([clip for clip in clips if clip.split == split])
        kept |= {names[place] for place in rng.permutation(len(names))[:number]}
    return [clip for clip in clips if clip.source in kept]


def _mixed_up(
    clips: Sequence[Heard], runs: Path, number: int, seeds: Sequence[int], told: _Parts
) -> Mapping[str, float | None]:
    """p of E and F on music mixed up in one of many ways, whatever else was drawn."""
    rng = np.random.default_rng((number, 7))
    wrong, where = pairs.shuffled(clips, rng, in_split=number == 0), runs / f"control-{number}"
    part = 0.18 if number == 0 else 0.0
    beats = alignment.gains(wrong, clips, where, seeds, rng, progress=told.part("G: control", part / 3))
    drums = association.association(
        wrong, clips, where, seeds=seeds, rng=rng, progress=told.part("G: control", 2 * part / 3)
    )
    return _holm({"alignment": beats.p(rng), "association": drums.p(rng)})


def _holm(p: Mapping[str, float | None]) -> dict[str, float | None]:
    known = holm({name: each for name, each in p.items() if each is not None})
    return {name: known.get(name) for name in p}


def _too_early(record: Record, amount: Record) -> Record:
    """Models that learnt from a handful of sources and fail on others say nothing of a release."""
    if record.verdict != "fail":
        return record
    why = f"not judged: models that learn from so few sources say nothing of others ({amount.n} sources in test)"
    return replace(record, verdict="info", why=why)


def _timed(make: Callable[[], list[Record]]) -> list[Record]:
    """The records with the time that all of them took, on the first."""
    begun = perf_counter()
    found = make()
    return [replace(found[0], seconds=round(perf_counter() - begun, 3)), *found[1:]] if found else []


class _Parts:
    """Progress of parts that are known shares of the whole."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._done = progress, 0.0

    def part(self, what: str, share: float) -> Callable[[float], None]:
        """The next part: a function that takes how much of it is done."""
        begun = self._done
        self._done += share
        self._progress(what, begun)
        return lambda done: self._progress(what, min(begun + share * done, 1.0))


def _files(report: Report) -> dict[str, bytes]:
    return {GATE: report.to_json().encode(), GATE_PAGE: page(report).encode()}


def _report(
    release: Release,
    found: Sequence[Record],
    curve: lag.Lag,
    seeds: Sequence[int],
    about: Mapping[str, Any],
    explained: str,
) -> Report:
    settings = {
        "lag": curve.data(),
        "steps": {"beats": alignment.STEPS, "drums": drum_task.STEPS},
        "most_sources": {"train": MOST_TRAIN, "test": MOST_TEST},
        "levels": dict(LEVELS),
        **{name: value for name, value in about.items() if name != "release"},
        **({"explained": explained} if explained else {}),
    }
    return Report.decided(release, found, seeds=seeds, settings=settings, explained=explained)


def _kept(runs: Path, about: Mapping[str, Any]) -> Path:
    """The folder for runs on this very release by this very code; those of others are deleted."""
    mine = runs / sha256_data(dict(about))[:16]
    if runs.is_dir():
        for path in runs.iterdir():
            if path != mine:
                shutil.rmtree(path, ignore_errors=True)
    mine.mkdir(parents=True, exist_ok=True)
    return mine


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one core.

    Models this small gain little from more and lose much on a busy machine, and sums taken in another order are other
    numbers.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _held(out: Path) -> Iterator[None]:
    """A folder for the report that no other process writes to."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        handle = (out / ".lock").open("a+")
    except OSError as error:
        raise UsageError(f"cannot write to {out}: {error.strerror}. Choose another --out") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(
                f"another process writes a report to {out}: wait for it, or choose another --out"
            ) from None
        yield
