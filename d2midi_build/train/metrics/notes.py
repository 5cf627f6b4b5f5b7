"""Note F1 against a reference, None where there is nothing to find."""

from __future__ import annotations

from d2midi_build.music.notes import Notes
from d2midi_build.music.scores import Score, multi_instrument_score, onset_offset_score, onset_score


def note_scores(reference: Notes, generated: Notes) -> dict[str, float | None]:
    """F1 of notes by mir_eval's definitions (`d2midi_build.music.scores`), onsets within 50 ms.

    Parameters
    ----------
    reference, generated : Notes
        Of the same clip, times from its first frame.

    Returns
    -------
    dict of str to float or None
        - ``note_f1_onset``: pitched notes; onset and pitch fit.
        - ``note_f1_onset_offset``: the offset too, within 50 ms or a fifth of the reference note's length.
        - ``note_f1_instrument``: all notes; onset, pitch and instrument fit, and of drums onset and class (MT3's
          multi-instrument F1 with the dataset's 13 instruments and five classes of drums).

        None where the reference has no such notes; 0 where it has and none was found.
    """
    return {
        "note_f1_onset": _f1(onset_score(reference, generated)),
        "note_f1_onset_offset": _f1(onset_offset_score(reference, generated)),
        "note_f1_instrument": _f1(multi_instrument_score(reference, generated)),
    }


def _f1(score: Score) -> float | None:
    return score.f1 if score.n_reference else None
