"""Stage A: what must hold of a whole release before anything is trained on it.

Files, schema, windows, notes, MIDI, licences and ids are what `release.verify` looks at, and it is asked. Added here is
what only a look at the content tells: that tokens are lossless, that nothing lacks that training needs, and that no
song and no dance is in two splits under other names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from d2midi_build import clock
from d2midi_build.errors import UsageError
from d2midi_build.release import format as layout
from d2midi_build.release.reader import Release
from d2midi_build.release.verify import Verification, verify
from d2midi_build.train.gate.copies import Alike, pairs_told, phrases, same_dance, same_music
from d2midi_build.train.gate.heard import LAYER, Heard
from d2midi_build.train.gate.records import Record, timed
from d2midi_build.train.tokens.grid import bars_of, grid
from d2midi_build.train.tokens.quad import decode, encode

_TOLD: Final = 10

_APART: Final = (
    "Put them in one split (give both the same group of music or video), or remove one, and "
    "build the release again"
)


def static_records(folder: Path, release: Release, clips: Sequence[Heard]) -> list[Record]:
    """All of stage A.

    Parameters
    ----------
    folder : Path
        Of the release.
    release : Release
        The same, opened.
    clips : sequence of Heard
        All of its clips, from `heard.read`.
    """
    return [*_timed_gates(folder), timed(lambda: window_record(release)), *clip_records(clips)]


def clip_records(clips: Sequence[Heard]) -> list[Record]:
    """What of stage A only looks at clips."""
    return [
        timed(lambda: split_record(clips)),
        timed(lambda: notes_record(clips)),
        timed(lambda: finite_record(clips)),
        timed(lambda: tokens_record(clips)),
        timed(lambda: music_record(clips)),
        timed(lambda: motion_record(clips)),
    ]


def _timed_gates(folder: Path) -> list[Record]:
    found: list[Record] = []

    def first() -> Record:
        found.extend(gate_records(verify(folder)))
        return found[0]

    return [timed(first), *found[1:]]


def gate_records(found: Verification) -> list[Record]:
    """A record per gate of the release, and one for its files.

    Where files are damaged no table was opened: the one record says so, and gates are missing.
    """
    problems = [f"{each.file} {each.what}. {each.remedy}" for each in found.problems]
    files = _counted("release.files", problems, len(problems), found.n_files, "every file is as it was made")
    return [
        files,
        *(
            _counted(f"release.{gate.name}", gate.offenders, gate.n_offenders, found.n_files, gate.meaning)
            for gate in found.gates
        ),
    ]


def window_record(release: Release) -> Record:
    """Whether each clip has as many windows as its length gives.

    ``floor((n_frames - length) / stride) + 1``, of test those that share no frame: stride is length.
    """
    window = release.manifest["recipe"]["window"]
    counts = Counter(release.windows.column("clip_id").to_pylist())
    wrong = []
    rows = release.clips.to_pylist()
    for row in rows:
        stride = window["frames"] if row["split"] == "test" else window["stride"]
        wanted = len(clock.window_starts(row["n_frames"], window["frames"], stride))
        if counts[row["clip_id"]] != wanted:
            wrong.append(f"clip {row['clip_id']} has {counts[row['clip_id']]} windows, not {wanted}")
    meaning = (
        f"every clip has all windows of {window['frames']} frames, one each {window['stride']} (test: apart)"
    )
    return _counted("windows.count", wrong, len(wrong), len(rows), meaning)


def split_record(clips: Sequence[Heard]) -> Record:
    """Whether all three splits have clips."""
    there = {clip.split for clip in clips}
    missing = [
        f"split {split} has no clips: add sources, or build with shares that leave it some"
        for split in layout.SPLITS
        if split not in there
    ]
    return _counted("splits", missing, len(missing), len(clips), "train, validation and test have clips")


def notes_record(clips: Sequence[Heard]) -> Record:
    """Whether every clip has notes, and any has drums."""
    wrong = [
        f"clip {clip.clip_id} ({clip.split}) has no note in layer {LAYER}: transcribe it again or remove it"
        for clip in clips
        if not len(clip.notes)
    ]
    if clips and not any(clip.notes.is_drum.any() for clip in clips):
        wrong.append("no clip has drums, which the drum model is trained on: transcribe with drums")
    return _counted(
        "notes", wrong, len(wrong), len(clips), f"every clip has notes in layer {LAYER}, some drums"
    )


def finite_record(clips: Sequence[Heard]) -> Record:
    """Whether every point that is not marked as missing is a number."""
    wrong = [f"clip {clip.clip_id} has points that are no numbers" for clip in clips if not clip.finite]
    return _counted("motion.finite", wrong, len(wrong), len(clips), "points are numbers where a body is")


def tokens_record(clips: Sequence[Heard]) -> Record:
    """Whether the notes of every clip come back from quads exactly as they are on the grid of 62.5 ms."""
    wrong = []
    for clip in clips:
        n_bars = bars_of(clip.n_frames)
        try:
            same = decode(encode(clip.notes, n_bars)) == grid(clip.notes, n_bars)
        except UsageError as error:
            wrong.append(f"clip {clip.clip_id}: {error}")
            continue
        if not same:
            wrong.append(f"clip {clip.clip_id}: its notes do not come back from tokens; tell who made d2midi")
    return _counted("tokens.round-trip", wrong, len(wrong), len(clips), "notes come back from tokens exactly")


def music_record(clips: Sequence[Heard]) -> Record:
    """The leak probe of music: `copies.same_music` over all clips."""
    found = {
        clip.clip_id: phrases(clip.notes, 60 / clip.tempo_bpm if clip.tempo_bpm else None) for clip in clips
    }
    pairs, rest = same_music(found, _split_of(clips))
    return _leak("leak.music", "song", pairs, rest, len(clips))


def motion_record(clips: Sequence[Heard]) -> Record:
    """The leak probe of motion: `copies.same_dance` over all clips."""
    pairs, rest = same_dance({clip.clip_id: clip.movement for clip in clips}, _split_of(clips))
    return _leak("leak.motion", "dance", pairs, rest, len(clips))


def _leak(name: str, what: str, pairs: Sequence[Alike], rest: float, n: int) -> Record:
    meaning = f"no {what} is in two splits (the most alike of other pairs: {rest:.2f})"
    if not pairs:
        return _counted(name, (), 0, n, meaning)
    why = (
        f"{len(pairs)} pairs of clips of different splits are the same {what}, so that what is tested on was trained "
        f"on: {pairs_told(pairs)}. {_APART}"
    )
    return Record("A", name, len(pairs), n, None, 0, "fail", why, 0.0)


def _split_of(clips: Sequence[Heard]) -> Mapping[str, str]:
    return {clip.clip_id: clip.split for clip in clips}


def _counted(name: str, offenders: Sequence[str], n_offenders: int, n: int, meaning: str) -> Record:
    """A record of how many things are wrong, none allowed."""
    if not n_offenders:
        return Record("A", name, 0, n, None, 0, "pass", meaning, 0.0)
    more = f"; and {n_offenders - _TOLD} more" if n_offenders > _TOLD else ""
    why = f"not so: {meaning}. {'; '.join(offenders[:_TOLD])}{more}"
    return Record("A", name, n_offenders, n, None, 0, "fail", why, 0.0)
