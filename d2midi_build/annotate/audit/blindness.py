"""Whether an excerpt was written down blind: by somebody who had not corrected these seconds before."""

from __future__ import annotations

from datetime import UTC, datetime

from d2midi_build import clock
from d2midi_build.annotate.audit.record import BlindResult
from d2midi_build.annotate.corrections import Corrections, person
from d2midi_build.annotate.sheets import CONTEXT_FRAMES, sheets


def had_seen(result: BlindResult, corrections: Corrections) -> bool:
    """Whether its author had been shown the machine's notes of the excerpt, or some of them.

    That is so if they have a correction, withdrawn or not, of a sheet that shows some of it, in its context of 2 s
    maybe, made before they wrote it down. A time that cannot be read is taken for an earlier one: nobody can say that
    they had not seen the notes by then.
    """
    wrote_at = _instant(result.at)
    for sheet_id in _showing(result):
        for line in corrections.of(sheet_id):
            corrected_at = _instant(line.at)
            earlier = wrote_at is None or corrected_at is None or corrected_at < wrote_at
            if earlier and person(line.by) == person(result.by):
                return True
    return False


def _showing(result: BlindResult) -> list[str]:
    """Sheets in which some of it is seen."""
    start, end = result.start_s * clock.FPS, result.end_s * clock.FPS
    shown = {each.sheet_id: each.shown_frames for each in sheets(result.clip_id, end + CONTEXT_FRAMES)}
    return [sheet_id for sheet_id, (first, last) in shown.items() if start < last and first < end]


def _instant(at: str) -> datetime | None:
    """A time of a line; without a zone it is UTC, as all of them are meant to be."""
    try:
        read = datetime.fromisoformat(at)
    except ValueError:
        return None
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read
