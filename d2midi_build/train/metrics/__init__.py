"""Scores of generated music: every row of the papers' tables under a name that means one thing. No torch.

    from d2midi_build.train.metrics import Beats, Detector, Piece, score

    score(Piece(notes, length_s=30.0), reference, dance)   # a dict of named scores

``beats``, ``pieces``, ``notes``, ``embeddings`` and ``poses`` hold the formulas; ``scoring`` all of one clip;
``aggregate`` and ``chance`` make means, intervals and chance levels; ``evaluation`` does it for a release.
"""

from d2midi_build.train.metrics.aggregate import Bootstrap, Mean
from d2midi_build.train.metrics.beats import (
    BeatCounts,
    bas_alignment,
    bas_average,
    bcs_precision,
    bcs_ratio,
    beat_f1,
    beat_scores,
    bhs,
    count_beats,
    count_seconds,
    events,
    f1_of_means,
)
from d2midi_build.train.metrics.chance import Identity, RePairing, re_pair
from d2midi_build.train.metrics.embeddings import FrechetDistance, fad, frechet_distance, genre_acc, genre_kld
from d2midi_build.train.metrics.notes import note_scores
from d2midi_build.train.metrics.pieces import annotated_bars, empty_bar_share, gs, nominal_bars, phe_k
from d2midi_build.train.metrics.poses import cosine_similarity, pearson_dm
from d2midi_build.train.metrics.scoring import COMPARISONS, ONSETS, Beats, Detector, Piece, compare, score

__all__ = [
    "COMPARISONS",
    "ONSETS",
    "BeatCounts",
    "Beats",
    "Bootstrap",
    "Detector",
    "FrechetDistance",
    "Identity",
    "Mean",
    "Piece",
    "RePairing",
    "annotated_bars",
    "bas_alignment",
    "bas_average",
    "bcs_precision",
    "bcs_ratio",
    "beat_f1",
    "beat_scores",
    "bhs",
    "compare",
    "cosine_similarity",
    "count_beats",
    "count_seconds",
    "empty_bar_share",
    "events",
    "f1_of_means",
    "fad",
    "frechet_distance",
    "genre_acc",
    "genre_kld",
    "gs",
    "nominal_bars",
    "note_scores",
    "pearson_dm",
    "phe_k",
    "re_pair",
    "score",
]
