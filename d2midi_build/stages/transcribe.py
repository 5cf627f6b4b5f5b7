"""Turn a clip's sound into notes and MIDI."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from d2midi_build import clock, tables
from d2midi_build.stages.base import Made, Stage, Work

if TYPE_CHECKING:
    from d2midi_build.transcribers.base import Transcriber

_SETTINGS = ("onset_threshold", "frame_threshold", "minimum_note_s")


@cache
def _transcriber(name: str, *settings: float) -> Transcriber:
    from d2midi_build.transcribers.base import transcriber

    return transcriber(name, **dict(zip(_SETTINGS, settings, strict=True)))


def _models(params: Mapping[str, Any]) -> dict[str, str]:
    return _chosen(params).model_digests()


def _chosen(params: Mapping[str, Any]) -> Transcriber:
    return _transcriber(
        params["transcribe.transcriber"], *(params[f"transcribe.{name}"] for name in _SETTINGS)
    )


def _run(work: Work) -> Made:
    import soundfile

    from d2midi_build.music.midi import write_midi

    heard = _chosen(work.params)
    if "transcriber" not in work.state:
        heard.load()
        work.state["transcriber"] = heard
    audio, rate_hz = soundfile.read(work.inputs["audio"], dtype="float32", always_2d=True)
    stems = {
        name: soundfile.read(path, dtype="float32", always_2d=True)[0]
        for name, path in work.inputs.get("stems", {}).items()
    }
    end_s = clock.frame_time_s(work.inputs["n_frames"])
    notes = heard.transcribe(audio, rate_hz).within(end_s)
    tables.write(work.out / "notes.parquet", notes.to_table())
    write_midi(notes, work.out / "notes.mid")
    return Made(
        {"n_notes": len(notes), "media_s": end_s},
        {
            "transcriber": f"{heard.name} {heard.version}",
            **{f"model:{name}": digest for name, digest in heard.model_digests().items()},
        },
    )
