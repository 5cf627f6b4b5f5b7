"""Which sheets people are asked to correct: of a split or genre, doubtful ones, or a random sample for an audit."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from d2midi_build import manifests, tables
from d2midi_build.annotate.clips import agreed_in
from d2midi_build.annotate.corrections import Corrections, path_in
from d2midi_build.annotate.sheets import Sheet, sheet_numbers
from d2midi_build.annotate.sheets import sheets as tiles
from d2midi_build.digests import sha256_data
from d2midi_build.errors import UsageError
from d2midi_build.music.opinions import sureness
from d2midi_build.workspace import Workspace


@dataclass(frozen=True)
class Candidate:
    """A sheet that people could correct.

    Attributes
    ----------
    sheet : Sheet
    clip_id, video_id : str
    genre : str
        Of the list of sources; empty if not given.
    split : str
        Of the newest release; empty if the clip is in none.
    confidence : float
        0-1: the sum of the sureness of the machine's notes (`music.opinions.sureness`), over their number plus that of
        the notes it lacks: the p_note of all that others heard and it did not, by the number of others. 1 without any.
    n_notes : int
        The machine's.
    corrected : bool
        Whether a correction counts.
    """

    sheet: Sheet
    clip_id: str
    video_id: str
    genre: str
    split: str
    confidence: float
    n_notes: int
    corrected: bool


def candidates(workspace: Workspace) -> list[Candidate]:
    """The sheets of all clips that have notes, in the order of their ids; without what was removed for good.

    Raises
    ------
    SchemaError
        If a table is missing or damaged.
    UsageError
        If the file of splits, or a line of the removals, cannot be understood.
    """
    from d2midi_build.release.workspace import removals, splits

    removed, split_of = removals(workspace), splits(workspace)
    genre_of = dict(zip(*_columns(workspace, "videos", "video_id", "genre"), strict=True))
    found: list[tuple[str, Sheet]] = []
    for clip_id, video_id, n_frames, n_notes in sorted(
        zip(*_columns(workspace, "clips", "clip_id", "video_id", "n_frames", "n_notes"), strict=True)
    ):
        if n_notes is not None and not any(each.covers(video_id, clip_id) for each in removed):
            found += [(video_id, sheet) for sheet in tiles(clip_id, n_frames)]
    counts, confidences = _measured(workspace, [sheet for _, sheet in found])
    corrections = Corrections.read(path_in(workspace))
    corrected = {
        sheet_id for sheet_id in corrections.sheet_ids() if corrections.standing(sheet_id).applied is not None
    }
    return [
        Candidate(
            sheet=sheet,
            clip_id=sheet.clip_id,
            video_id=video_id,
            genre=genre_of.get(video_id, ""),
            split=split_of.get(sheet.clip_id, ""),
            confidence=confidence,
            n_notes=n_notes,
            corrected=sheet.sheet_id in corrected,
        )
        for (video_id, sheet), n_notes, confidence in zip(
            found, counts.tolist(), confidences.tolist(), strict=True
        )
    ]


def select(
    sheets: Sequence[Candidate],
    *,
    split: str | None = None,
    genre: str | None = None,
    below: float | None = None,
    sample: int | None = None,
    seed: int = 0,
    limit: int | None = None,
    clips: Sequence[str] = (),
) -> list[Candidate]:
    """Some of the sheets: those that every condition given holds for.

    Parameters
    ----------
    sheets : sequence of Candidate
    split, genre : str, optional
        Only of these.
    below : float, optional
        Only sheets whose confidence (0-1) is lower; the least confident come first.
    sample : int, optional
        That many at random, or all if there are fewer. No source gives a second sheet before all have given one, and
        so on in rounds; however many are taken of a round, they are of the genres in the proportion of their sources.
        A smaller sample is the beginning of a larger one.
    seed : int, optional
        Which sample. The same sheets and seed give the same one, whatever order the sheets come in.
    limit : int, optional
        No more than the first so many.
    clips : sequence of str, optional
        Only sheets of the clips with these ids.

    Returns
    -------
    list of Candidate
        As sampled; else the least confident first if ``below`` is given; else by id.

    Raises
    ------
    UsageError
        If no sheet is of the split, genre or a clip (the message says which there are), or a number is out of range.
    """
    _check_numbers(below, sample, limit)
    chosen = sorted(sheets, key=lambda each: each.sheet.sheet_id)
    if clips:
        chosen = _of_clips(chosen, clips)
    if split is not None:
        _check_known("split", split, sheets, lambda each: each.split)
        chosen = [each for each in chosen if each.split == split]
    if genre is not None:
        _check_known("genre", genre, sheets, lambda each: each.genre)
        chosen = [each for each in chosen if each.genre == genre]
    if below is not None:
        chosen = [each for each in chosen if each.confidence < below]
        chosen.sort(key=lambda each: each.confidence)
    if sample is not None:
        chosen = _shuffled(chosen, seed)[:sample]
    return chosen[:limit]


def _measured(
    workspace: Workspace, found: Sequence[Sheet]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Number of notes of each sheet and its confidence; sheets of a clip are consecutive."""
    columns = ["clip_id", "onset_s", "p_note", "p_instrument", "agreement"]
    table = tables.read(workspace.manifests / "notes.parquet", columns)
    place, there = _places(table, found)
    agreed = agreed_in(table)
    p_note, p_instrument = (tables.to_numpy(table.column(name)) for name in ("p_note", "p_instrument"))
    sure = sureness(p_note, p_instrument, np.nan if agreed is None else agreed)[there]
    counts = np.bincount(place, minlength=len(found)).astype(np.int64)
    sums = np.bincount(place, weights=sure, minlength=len(found))
    of = counts + _missing(workspace, found)
    return counts, np.divide(sums, of, out=np.ones(len(found)), where=of > 0)


def _missing(workspace: Workspace, found: Sequence[Sheet]) -> npt.NDArray[np.float64]:
    """How many notes of each sheet the machine lacks, as far as other transcribers can be believed, shape (n,)."""
    path = workspace.manifests / "opinions.parquet"
    if not path.exists():  # as in old workspaces
        return np.zeros(len(found))
    table = tables.read(path, ["clip_id", "transcriber", "onset_s", "p_note", "in_primary"])
    alone = table.filter(pc.invert(table.column("in_primary")))  # not where the machine could not hear it
    if not len(alone):
        return np.zeros(len(found))
    told = tables.metadata(path).get(manifests.OTHERS)  # older tables only know those who heard something
    n_others = int(told) if told else pc.count_distinct(table.column("transcriber")).as_py()
    place, there = _places(alone, found)
    p_note = tables.to_numpy(alone.column("p_note"))[there]
    return np.asarray(np.bincount(place, weights=p_note, minlength=len(found)) / n_others)


def _places(table: pa.Table, found: Sequence[Sheet]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Which sheet each note belongs to, and which notes belong to any: those of removed clips do not."""
    first: dict[str, int] = {}
    n_sheets: Counter[str] = Counter()
    for place, sheet in enumerate(found):
        first.setdefault(sheet.clip_id, place)
        n_sheets[sheet.clip_id] += 1
    encoded = table.column("clip_id").combine_chunks().dictionary_encode()
    ids = encoded.dictionary.to_pylist()
    start, length = (
        np.array([of.get(clip_id, 0) for clip_id in ids], dtype=np.int64) for of in (first, n_sheets)
    )
    clip = tables.to_numpy(encoded.indices)
    number = sheet_numbers(tables.to_numpy(table.column("onset_s")))
    there = number < length[clip]
    return (start[clip] + number)[there], there


def _shuffled(chosen: Sequence[Candidate], seed: int) -> list[Candidate]:
    """All of them at random, in rounds in which each source has one, with the genres spread evenly over each."""

    def drawn(*what: str | int) -> str:
        # Digests instead of a generator: what they say of one sheet does not depend on which others there are.
        return sha256_data([seed, *what])

    by_source: dict[str, list[Candidate]] = defaultdict(list)
    for each in sorted(chosen, key=lambda each: drawn(each.sheet.sheet_id)):
        by_source[each.video_id].append(each)
    strata: dict[tuple[int, str], list[Candidate]] = defaultdict(list)
    for of_source in by_source.values():
        for turn, each in enumerate(of_source):
            strata[turn, each.genre].append(each)
    placed: list[tuple[tuple[int, float, str], Candidate]] = []
    for (turn, genre), some in strata.items():
        ranked = sorted(((drawn(each.video_id, turn), each) for each in some), key=itemgetter(0))
        placed += [
            ((turn, (rank + 0.5) / len(some), drawn(genre)), each) for rank, (_, each) in enumerate(ranked)
        ]
    return [each for _, each in sorted(placed, key=itemgetter(0))]


def _of_clips(chosen: Sequence[Candidate], clips: Sequence[str]) -> list[Candidate]:
    known = {each.clip_id for each in chosen}
    unknown = [clip for clip in clips if clip not in known]
    if unknown:
        raise UsageError(
            f"no clip with notes is called {', '.join(map(repr, unknown))}; there are {len(known)}: "
            f"{_some(sorted(known))}"
        )
    return [each for each in chosen if each.clip_id in set(clips)]


def _check_known(what: str, wanted: str, sheets: Sequence[Candidate], of: Callable[[Candidate], str]) -> None:
    counted = Counter(of(each) for each in sheets)
    unnamed = counted.pop("", 0)
    if wanted in counted:
        return
    there = ", ".join(f"{name} ({n})" for name, n in sorted(counted.items()))
    if there:
        raise UsageError(f"no sheet is of {what} {wanted!r}; sheets by {what}: {there}; {unnamed} without")
    way_out = {
        "split": "build a release first (`d2midi release build`)",
        "genre": "give genres in the list of sources and build again",
    }[what]
    raise UsageError(f"no sheet is of {what} {wanted!r}, since none has a {what} yet: {way_out}")


def _check_numbers(below: float | None, sample: int | None, limit: int | None) -> None:
    if below is not None and not (math.isfinite(below) and 0 < below <= 1):
        raise UsageError(f"a confidence to be below of {below} selects nothing: it is over 0 and at most 1")
    for name, number in (("sample", sample), ("limit", limit)):
        if number is not None and number < 1:
            raise UsageError(f"{name} is {number}: at least 1 sheet")


def _columns(workspace: Workspace, table: str, *names: str) -> list[list[object]]:
    read = tables.read(workspace.manifests / f"{table}.parquet", names)
    return [read.column(name).to_pylist() for name in names]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
