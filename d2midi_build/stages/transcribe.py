"""Turn a clip's sound into notes and MIDI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from d2midi_build import clock, tables
from d2midi_build.recipe import BasicPitchRecipe
from d2midi_build.stages.base import Made, Stage, Work

if TYPE_CHECKING:
    from d2midi_build.music.notes import Notes
    from d2midi_build.transcribers.base import Transcriber

_DRUM_STEMS = ("drums", "percussive")


def _chosen(params: Mapping[str, Any]) -> Transcriber:
    """The transcriber with its options: the fields of the recipe's section of its name."""
    name = params["transcribe.transcriber"]
    section = name.replace("-", "_") + "."
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
    return _digests(_chosen(params))


def _run(work: Work) -> Made:
    import pyarrow as pa
    import soundfile

    from d2midi_build.music.midi import write_midi
    from d2midi_build.music.notes import Notes

    chosen = _chosen(work.params)
    if work.state.get("transcriber") is not chosen:
        chosen.load()
        work.state["transcriber"] = chosen
    if stems := work.inputs.get("stems"):
        sounds = {name: soundfile.read(path, dtype="float32", always_2d=True) for name, path in stems.items()}
        rate_hz = next(iter(sounds.values()))[1]
        drums = sum(sound for name, (sound, _) in sounds.items() if name in _DRUM_STEMS)
        others = sum(sound for name, (sound, _) in sounds.items() if name not in _DRUM_STEMS)
        notes = Notes.concat(
            [chosen.transcribe(others, rate_hz).pitched(), chosen.transcribe(drums, rate_hz).drums()]
        )
    else:
        audio, rate_hz = soundfile.read(work.inputs["audio"], dtype="float32", always_2d=True)
        notes = chosen.transcribe(audio, rate_hz)
    end_s = clock.frame_time_s(work.inputs["n_frames"])
    notes = _inside(notes, end_s)
    numbers = pa.array(range(len(notes)), pa.int32())
    tables.write(work.out / "notes.parquet", notes.to_table().add_column(0, "note", numbers))
    write_midi(notes, work.out / "notes.mid")
    made_by = {f"model:{name}" if digest else name: digest for name, digest in _models(work.params).items()}
    return Made({"n_notes": len(notes), "media_s": end_s}, made_by)


def _inside(notes: Notes, end_s: float) -> Notes:
    """The notes that start in a clip, cut at its end."""
    import numpy as np

    started = notes.starting_in(0.0, end_s).sorted()
    return replace(started, offset_s=np.minimum(started.offset_s, end_s))


STAGE = Stage(
    name="transcribe",
    version=1,
    reads=("transcribe.transcriber", *(f"basic_pitch.{name}" for name in BasicPitchRecipe.model_fields)),
    unit="s",
    cpu_per_unit=0.09,
    run=_run,
    models=_models,
)
