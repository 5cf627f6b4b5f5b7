"""Turn a clip's sound into notes and MIDI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from d2midi_build import clock, tables
from d2midi_build.recipe import BasicPitchRecipe, Recipe
from d2midi_build.screening.criteria import Decision
from d2midi_build.stages.base import Made, Stage, Work

if TYPE_CHECKING:
    from d2midi_build.music.notes import Notes
    from d2midi_build.transcribers.base import Transcriber

_DRUM_STEMS = ("drums", "percussive")


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
    """The transcriber with its options: the fields of the recipe's section of its name."""
    name, section = params["transcribe.transcriber"], _section(params)
    options = {key.removeprefix(section): value for key, value in params.items() if key.startswith(section)}
    return _transcriber(name, tuple(sorted(options.items())))


@cache
def _transcriber(name: str, options: tuple[tuple[str, Any], ...]) -> Transcriber:
    from d2midi_build.transcribers.base import transcriber

    return transcriber(name, **dict(options))


@cache
def _digests(chosen: Transcriber) -> dict[str, str]:
    return {f"{chosen.name} {chosen.version}": "", **chosen.model_digests()}


def _models(params: Mapping[str, Any]) -> dict[str, str]:
    """Digests of what listens; the chosen transcriber's options are among them, others' options are not."""
    used = {name: str(value) for name, value in params.items() if name.startswith(_section(params))}
    return _digests(_chosen(params)) | used | _vocals_digests()


def _section(params: Mapping[str, Any]) -> str:
    """How the recipe fields of the chosen transcriber begin."""
    return f"{params['transcribe.transcriber'].replace('-', '_')}."


@cache
def _vocals_digests() -> dict[str, str]:
    from d2midi_build.music import vocals

    return {f"vocals {vocals.VERSION}": "", **vocals.model_digests()}


def _run(work: Work) -> Made:
    import pyarrow as pa

    from d2midi_build.music import vocals
    from d2midi_build.music.audio import read_sound
    from d2midi_build.music.midi import write_midi
    from d2midi_build.music.notes import Notes

    chosen = _chosen(work.params)
    if work.state.get("transcriber") is not chosen:
        chosen.load()
        work.state["transcriber"] = chosen
    if stems := work.inputs.get("stems"):
        sounds = {name: read_sound(Path(path), work.out) for name, path in stems.items()}
        rate_hz = next(iter(sounds.values()))[1]
        drums: Any = sum(sound for name, (sound, _) in sounds.items() if name in _DRUM_STEMS)
        others: Any = sum(sound for name, (sound, _) in sounds.items() if name not in _DRUM_STEMS)
        notes = Notes.concat(
            [chosen.transcribe(others, rate_hz).pitched(), chosen.transcribe(drums, rate_hz).drums()]
        )
        voice = vocals.find_voice(others, rate_hz)
    else:
        audio, rate_hz = read_sound(Path(work.inputs["audio"]), work.out)
        notes = chosen.transcribe(audio, rate_hz)
        voice = vocals.find_voice(audio, rate_hz)
    end_s = clock.frame_time_s(work.inputs["n_frames"])
    notes = _inside(notes, end_s)
    likely = vocals.sung(notes, voice)
    notes = vocals.apply(notes, likely, work.params["transcribe.vocals"])
    numbers = pa.array(range(len(notes)), pa.int32())
    tables.write(work.out / "notes.parquet", notes.to_table().add_column(0, "note", numbers))
    write_midi(notes, work.out / "notes.mid")
    made_by = {
        f"model:{name}" if len(digest) == 64 else name: digest
        for name, digest in _models(work.params).items()
    }
    facts = {
        "n_notes": len(notes),
        "vocal_share": None if voice.share is None else round(voice.share, 4),
        "n_sung": vocals.count(likely),
        "media_s": end_s,
    }
    return Made(facts, made_by)


def _inside(notes: Notes, end_s: float) -> Notes:
    """The notes that start in a clip, cut at its end."""
    import numpy as np

    started = notes.starting_in(0.0, end_s).sorted()
    return replace(started, offset_s=np.minimum(started.offset_s, end_s))


STAGE = Stage(
    name="transcribe",
    version=2,
    reads=("transcribe.transcriber", "transcribe.vocals"),
    hints=tuple(f"basic_pitch.{name}" for name in BasicPitchRecipe.model_fields),
    unit="s",
    cpu_per_unit=0.05,
    run=_run,
    models=_models,
)
