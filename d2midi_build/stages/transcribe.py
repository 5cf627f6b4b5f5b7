"""Turn a clip's sound into notes and MIDI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from d2midi_build import tables
from d2midi_build.recipe import Recipe
from d2midi_build.screening.criteria import Decision
from d2midi_build.stages import listening
from d2midi_build.stages.base import Made, Read, Stage, Work

if TYPE_CHECKING:
    from d2midi_build.transcribers.base import Transcriber


def decide(facts: Mapping[str, Any], recipe: Recipe) -> Decision:
    """Hold what transcription measured of a clip against the recipe's thresholds.

    Parameters
    ----------
    facts : mapping
        ``vocal_share``, 0-1 or None where it cannot be told.
    recipe : Recipe
        Section ``transcribe``.

    Returns
    -------
    Decision
        ``review`` with the reason ``singing`` where a human should look, else ``accept``; nothing is rejected.
    """
    share, limit = facts.get("vocal_share"), recipe.transcribe.vocals_review_above
    if recipe.transcribe.vocals != "review" or share is None or share <= limit:
        return Decision("accept")
    return Decision(
        "review", ("singing",), f"a voice {share:.0%} of the sounding time (review above {limit:.0%})"
    )


def _chosen(params: Mapping[str, Any]) -> Transcriber:
    """The transcriber whose notes are the dataset's."""
    return listening.listener(params["transcribe.transcriber"], params)


def _models(params: Mapping[str, Any]) -> dict[str, str]:
    return listening.models(_chosen(params), params) | listening.vocals_digests()


def _brought(params: Mapping[str, Any]) -> dict[str, Read]:
    return listening.brought([_chosen(params)])


def _cpu_per_s(params: Mapping[str, Any]) -> float:
    return listening.BESIDE_CPU_PER_S + _chosen(params).cpu_per_s


def _run(work: Work) -> Made:
    from d2midi_build.music.midi import write_midi

    chosen = _chosen(work.params)
    chosen.load()
    sound = listening.Sound.of(work)
    notes, n_sung = sound.heard_by(chosen, work.params["transcribe.vocals"], work.report)
    tables.write(work.out / "notes.parquet", listening.numbered(notes))
    write_midi(notes, work.out / "notes.mid")
    share = sound.voice.share
    facts = {
        "n_notes": len(notes),
        "vocal_share": None if share is None else round(share, 4),
        "n_sung": n_sung,
        "names_instruments": chosen.names_instruments,
        "hears_drums": chosen.hears_drums,
        "media_s": sound.end_s,
    }
    return Made(facts, listening.made_by(STAGE.digests(work.params)))


STAGE = Stage(
    name="transcribe",
    version=2,
    reads=("transcribe.transcriber", "transcribe.vocals"),
    hints=listening.HINTS,
    unit="s",
    cpu_per_unit=_cpu_per_s,
    run=_run,
    models=_models,
    brought=_brought,
)
