"""Put a take on the one clock: picture, standard sound and original sound of exactly the same length."""

from __future__ import annotations

from pathlib import Path

from d2midi_build.stages.base import Made, Stage, Work

FACTS = (
    "n_frames",
    "n_samples",
    "width",
    "height",
    "original_rate_hz",
    "original_channels",
    "original_samples",
    "source_start_s",
    "video_offset_ms",
    "audio_padded_s",
)
"""Fields of ``ClipInfo`` that the ledger keeps; columns of table ``clips``."""


def _run(work: Work) -> Made:
    import numpy as np

    from d2midi_build.media.clip import make_clip

    start_s, end_s = work.inputs["start_s"], work.inputs["end_s"]
    clip = make_clip(
        Path(work.inputs["video"]),
        start_s,
        end_s,
        work.out,
        height=work.params["resample.height"],
        crf=work.params["resample.crf"],
    )
    np.save(work.out / "timing.npy", clip.source_times_s)
    facts = {name: getattr(clip, name) for name in FACTS}
    return Made(facts | {"media_s": end_s - start_s}, {"ffmpeg": clip.ffmpeg_version})


STAGE = Stage(
    name="resample",
    version=1,
    reads=("resample.height", "resample.crf"),
    unit="s",
    cpu_per_unit=0.4,
    run=_run,
)
