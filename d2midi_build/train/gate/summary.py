"""Stage B: what is in a release, by genre and split. It decides nothing; it is for the card, and for readers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from d2midi_build import clock
from d2midi_build.release import format as layout
from d2midi_build.release.reader import Release
from d2midi_build.train.gate.heard import PARTS, Heard
from d2midi_build.train.gate.records import Record
from d2midi_build.train.metrics.aggregate import Bootstrap
from d2midi_build.train.metrics.pieces import gs, nominal_bars, phe_k


def _length_s(clip: Heard) -> float:
    return clock.frame_time_s(clip.n_frames)


def _phe(clip: Heard, k: int) -> float | None:
    pitched = clip.notes.where(~clip.notes.is_drum)
    return phe_k(pitched.onset_s, pitched.pitch, nominal_bars(_length_s(clip)), k)


MEASURES: Final[Mapping[str, tuple[str, Callable[[Heard], float | None]]]] = {
    "notes_per_s": ("notes that start per second", lambda clip: len(clip.notes) / _length_s(clip)),
    "instruments": ("instruments in a clip", lambda clip: float(len(set(clip.notes.instrument.tolist())))),
    "drum_share": (
        "share of notes that are drums",
        lambda clip: float(clip.notes.is_drum.mean()) if len(clip.notes) else None,
    ),
    "tempo_bpm": ("beats per minute", lambda clip: clip.tempo_bpm),
    "phe_1": ("pitch class entropy of bars of 2 s, bits", lambda clip: _phe(clip, 1)),
    "phe_4": ("pitch class entropy of four bars of 2 s, bits", lambda clip: _phe(clip, 4)),
    "gs": (
        "grooving similarity of bars of 2 s",
        lambda clip: gs(clip.notes.onset_s, nominal_bars(_length_s(clip))),
    ),
    **{
        f"missing_{part}": (
            f"share of frames without {part.replace('_', ' ')}",
            lambda clip, part=part: clip.missing[part],  # type: ignore[misc]
        )
        for part in PARTS
    },
    "confidence": ("mean visibility of the body's points", lambda clip: clip.confidence),
    "still": ("share of frames in which the body moves less than 0.1 m/s", lambda clip: clip.still),
}
"""Of each clip: what it is called, in words, and how it is found; None where a clip has none."""


def summary_records(release: Release, clips: Sequence[Heard], rng: np.random.Generator) -> list[Record]:
    """All of stage B: hours, sources by genre and split, and means over clips with intervals over sources.

    Names are ``measure``, ``measure split=test``, ``measure genre=house``, and ``sources genre=house split=test``.
    """
    return [
        *hour_records(release),
        *source_records(release, clips),
        *(record for name in MEASURES for record in _measured(name, clips, rng)),
        *shift_records(clips),
    ]


def hour_records(release: Release) -> list[Record]:
    """Hours of windows and hours of clips: windows overlap, and hold the same seconds up to fifteen times."""
    windows, clips = (
        release.windows.column("n_frames").to_pylist(),
        release.clips.column("n_frames").to_pylist(),
    )
    per_hour = clock.FPS * 3600
    n = len(release.videos)
    return [
        _info(
            "hours.windows", sum(windows) / per_hour, n, f"hours of {len(windows):,} windows, which overlap"
        ),
        _info("hours.unique", sum(clips) / per_hour, n, f"hours of {len(clips):,} clips, every second once"),
    ]


def source_records(release: Release, clips: Sequence[Heard]) -> list[Record]:
    """Sources of each genre in each split, beside what the recipe's shares would give.

    More than one source away from them is told, not failed: sources that belong together go to one split together.
    """
    told = release.manifest["recipe"]["release"]
    shares = {"validation": float(told["validation_share"]), "test": float(told["test_share"])}
    shares["train"] = 1 - sum(shares.values())
    genre_of = {clip.video_id: clip.genre for clip in clips}
    split_of = {clip.video_id: clip.split for clip in clips}
    records = []
    for genre in sorted(set(genre_of.values())):
        mine = [video for video, name in genre_of.items() if name == genre]
        for split in layout.SPLITS:
            count = sum(split_of[video] == split for video in mine)
            wanted = shares[split] * len(mine)
            far = "" if abs(count - wanted) <= 1 else "; more than one away from it"
            records.append(
                _info(
                    f"sources genre={genre} split={split}",
                    count,
                    len(mine),
                    f"{count} of {len(mine)} sources of {genre or 'no genre'} are in {split}; its share would be "
                    f"{wanted:.1f}{far}",
                )
            )
    return records


def shift_records(clips: Sequence[Heard]) -> list[Record]:
    """How far train and test are apart in each measure: the largest distance of their cumulative shares of clips.

    The two-sample Kolmogorov-Smirnov statistic, 0-1. Small sets are apart by chance: with m and n clips by about
    1.36 sqrt((m + n) / (m n)) in one of twenty cases.
    """
    records = []
    for name, (words, measure) in MEASURES.items():
        one, other = (
            np.sort([value for clip in clips if clip.split == split and (value := measure(clip)) is not None])
            for split in ("train", "test")
        )
        if not len(one) or not len(other):
            continue
        every = np.concatenate([one, other])
        below = [np.searchsorted(side, every, side="right") / len(side) for side in (one, other)]
        chance = 1.36 * float(np.sqrt((len(one) + len(other)) / (len(one) * len(other))))
        records.append(
            _info(
                f"shift.{name}",
                float(np.abs(below[0] - below[1]).max()),
                len({clip.video_id for clip in clips if clip.split in ("train", "test")}),
                f"distance of test from train in {words}; by chance up to {min(chance, 1.0):.2f}",
            )
        )
    return records


def _measured(name: str, clips: Sequence[Heard], rng: np.random.Generator) -> list[Record]:
    words, measure = MEASURES[name]
    values = [measure(clip) for clip in clips]
    groups: dict[str, list[int]] = {"": list(range(len(clips)))}
    for split in layout.SPLITS:
        groups[f" split={split}"] = [i for i, clip in enumerate(clips) if clip.split == split]
    for genre in sorted({clip.genre for clip in clips}):
        groups[f" genre={genre}"] = [i for i, clip in enumerate(clips) if clip.genre == genre]
    records = []
    for group, members in groups.items():
        if not members:
            continue
        mean = Bootstrap([clips[i].source for i in members], rng).mean([values[i] for i in members])
        ci = None if mean.low is None or mean.high is None else (mean.low, mean.high)
        lacking = f" ({mean.n_none} of {len(members)} clips have none)" if mean.n_none else ""
        records.append(
            Record("B", name + group, mean.mean, mean.n_sources, ci, None, "info", words + lacking, 0.0)
        )
    return records


def _info(name: str, value: float, n: int, why: str) -> Record:
    return Record("B", name, value, n, None, None, "info", why, 0.0)
