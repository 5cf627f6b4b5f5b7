"""Part a clip's sound into stems, if the recipe asks for it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from d2midi_build import clock
from d2midi_build.digests import sha256_file
from d2midi_build.errors import UsageError
from d2midi_build.stages.base import Made, Read, Stage, Work


@cache
def _demucs_digests(model: str, folder: str) -> dict[str, str]:
    from d2midi_build.music.separation import demucs_files

    return {path.name: sha256_file(path) for path in demucs_files(model, Path(folder))}


def _brought(params: Mapping[str, Any]) -> dict[str, Read]:
    if params["separate.method"] != "demucs":
        return {}
    model, folder = params["separate.demucs_model"], params["separate.demucs_folder"]

    def read() -> dict[str, str]:
        if importlib.util.find_spec("demucs") is None:
            raise UsageError('separate.method = "demucs" needs the package: uv sync --extra demucs')
        if not folder:
            raise UsageError(
                'separate.method = "demucs" needs the folder of your weights: set separate.demucs_folder in the recipe'
            )
        return _demucs_digests(model, folder)

    return {f"demucs {model}": read}


def _run(work: Work) -> Made:
    import soundfile

    from d2midi_build.music import separation

    audio, rate_hz = soundfile.read(work.inputs["audio"], dtype="float32", always_2d=True)
    if work.params["separate.method"] == "hpss":
        stems = separation.hpss(audio, rate_hz)
        made_by = {"librosa": importlib.metadata.version("librosa")}
    else:
        model, folder = work.params["separate.demucs_model"], Path(work.params["separate.demucs_folder"])
        stems = separation.demucs(audio, rate_hz, model, folder)
        made_by = {"demucs": importlib.metadata.version("demucs")}
        made_by |= {f"model:{name}": digest for name, digest in STAGE.digests(work.params).items()}
    for name, stem in stems.items():
        soundfile.write(work.out / f"{name}.flac", stem, rate_hz, subtype="PCM_16")
    return Made({"stems": sorted(stems), "media_s": clock.frame_time_s(work.inputs["n_frames"])}, made_by)


STAGE = Stage(
    name="separate",
    version=1,
    reads=("separate.method", "separate.demucs_model"),
    hints=("separate.demucs_folder",),
    unit="s",
    cpu_per_unit=0.2,
    run=_run,
    brought=_brought,
)
