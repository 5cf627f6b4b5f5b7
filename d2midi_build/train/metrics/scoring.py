"""All scores of one clip: a generated piece, its reference and the dance go in, a dict of named scores comes out.

    piece = Piece(Notes.create(onset_s, offset_s, pitch, program=program, is_drum=is_drum), length_s=30.0)
    dance = Beats(kinematic_s, Detector("speed-minima-3", {}))
    score(piece, reference, dance)["onsets_vs_dance.beat_f1@70ms"]

Two scores of beats can be compared only if the same detector found both pieces' beats. A generated MIDI file has no
annotated beats, so its beats are its onsets, read from the file: a beat tracker on a rendering hears 80.7 bpm in a loop
of 120. So that there is something to compare with, the reference's are its onsets as well (``onsets_vs_...``); where
beats were annotated they are scored under names of their own (``beats_vs_...``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from d2midi_build.music.notes import Notes
from d2midi_build.train.metrics.beats import DEDUPE_S, TOLERANCES_S, beat_scores, events
from d2midi_build.train.metrics.notes import note_scores
from d2midi_build.train.metrics.pieces import empty_bar_share, gs, nominal_bars, phe_k

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Detector:
    """What found beats: ``name`` and ``parameters``, kept beside every score of them."""

    name: str
    parameters: Mapping[str, float | str | bool] = field(default_factory=dict)

    def data(self) -> dict[str, Any]:
        """Plain data."""
        return {"name": self.name, "parameters": dict(self.parameters)}


ONSETS: Final = Detector("symbolic-onsets", {"drums": True, "pitched": True, "dedupe_s": DEDUPE_S})
"""Times at which any note starts, read from notes; together within 30 ms is one."""


@dataclass(frozen=True, eq=False)
class Beats:
    """Beats and what found them: ``times_s`` of shape (n,), seconds from the clip's first frame."""

    times_s: FloatArray
    detector: Detector


@dataclass(frozen=True, eq=False)
class Rhythm:
    """When things happen in a piece: its onsets, and its beats if annotated.

    Attributes
    ----------
    onsets : Beats
    beats : Beats or None
    length_s : float
    """

    onsets: Beats
    beats: Beats | None
    length_s: float


@dataclass(frozen=True, eq=False)
class Piece:
    """Music of a clip.

    Attributes
    ----------
    notes : Notes
        Times from the clip's first frame. Notes that started before it are to be left out: that is no onset.
    length_s : float
        Length of the clip.
    beats : Beats or None
        Annotated beats; None where not known.
    bars : np.ndarray, shape (n, 2), or None
        Annotated bars (`pieces.annotated_bars`); None where not known.
    """

    notes: Notes
    length_s: float
    beats: Beats | None = None
    bars: FloatArray | None = None

    @cached_property
    def rhythm(self) -> Rhythm:
        """Its onsets and beats within the clip."""
        return Rhythm(Beats(events(self.notes.onset_s, self.length_s), ONSETS), self.beats, self.length_s)

    @cached_property
    def cropped(self) -> Notes:
        """Notes that start in the clip, cut at its end."""
        inside = self.notes.starting_in(0.0, self.length_s)
        kept = {name: getattr(inside, name) for name in inside.__dataclass_fields__}
        return Notes(**kept | {"offset_s": np.minimum(inside.offset_s, self.length_s)})


COMPARISONS: Final = ("onsets_vs_reference", "beats_vs_reference", "onsets_vs_dance", "beats_vs_dance")
"""What of the piece is compared with what; the first part of the names of beat scores."""


def sides(
    comparison: str, piece: Rhythm, reference: Rhythm | None, dance: Beats | None
) -> tuple[Beats, Beats] | None:
    """The beats of the piece and those they are compared with; None where either is unknown.

    Raises
    ------
    KeyError
        If ``comparison`` is none of `COMPARISONS`.
    """
    mine = {"onsets": piece.onsets, "beats": piece.beats}
    theirs = {
        "onsets_vs_reference": reference.onsets if reference else None,
        "beats_vs_reference": reference.beats if reference else None,
        "onsets_vs_dance": dance,
        "beats_vs_dance": dance,
    }
    ours, other = mine[comparison.split("_vs_")[0]], theirs[comparison]
    return (ours, other) if ours is not None and other is not None else None


def compare(
    comparison: str,
    piece: Rhythm,
    reference: Rhythm | None,
    dance: Beats | None,
    length_s: float,
    tolerances_s: tuple[float, ...] = TOLERANCES_S,
) -> dict[str, float | None]:
    """Beat scores of one comparison as ``<comparison>.<score>``; empty where there is nothing to compare."""
    both = sides(comparison, piece, reference, dance)
    if both is None:
        return {}
    of_motion = comparison.endswith("_vs_dance")
    found = beat_scores(both[1].times_s, both[0].times_s, length_s, tolerances_s, of_motion)
    return {f"{comparison}.{name}": value for name, value in found.items()}


def piece_scores(piece: Piece) -> dict[str, float | None]:
    """What a piece is like by itself.

    Returns
    -------
    dict of str to float or None
        ``phe_1`` and ``phe_4`` over nominal bars; ``gs_q64`` and ``gs_q32`` and ``empty_bar_share``, each ``@nominal``
        and ``@annotated`` bars, the latter None where bars are not annotated.
    """
    notes, nominal = piece.cropped, nominal_bars(piece.length_s)
    pitched = notes.pitched()
    found = {f"phe_{k}": phe_k(pitched.onset_s, pitched.pitch, nominal, k) for k in (1, 4)}
    for kind, bars in (("nominal", nominal), ("annotated", piece.bars)):
        for q in (64, 32):
            found[f"gs_q{q}@{kind}"] = None if bars is None else gs(notes.onset_s, bars, q)
        found[f"empty_bar_share@{kind}"] = None if bars is None else empty_bar_share(notes.onset_s, bars)
    return found


def score(
    piece: Piece,
    reference: Piece | None = None,
    dance: Beats | None = None,
    tolerances_s: tuple[float, ...] = TOLERANCES_S,
) -> dict[str, float | None]:
    """All scores of a piece.

    Parameters
    ----------
    piece : Piece
        The generated piece, or a reference whose own values are wanted.
    reference : Piece, optional
        The clip's own music. Without it there are no note scores and no ``..._vs_reference``.
    dance : Beats, optional
        Beats of the motion; None where not known.
    tolerances_s : tuple of float, optional
        Of beat scores.

    Returns
    -------
    dict of str to float or None
        `piece_scores`, `notes.note_scores`, and `beats.beat_scores` as ``<comparison>.<score>`` for those of
        `COMPARISONS` of which both sides are known. None where a denominator is 0.
    """
    found = piece_scores(piece)
    if reference is not None:
        found |= note_scores(reference.cropped, piece.cropped)
    music = reference.rhythm if reference is not None else None
    for comparison in COMPARISONS:
        found |= compare(comparison, piece.rhythm, music, dance, piece.length_s, tolerances_s)
    return found
