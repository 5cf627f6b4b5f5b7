"""Lay windows over a clip, after checking that picture, sound, frames and notes agree to the sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from d2midi_build import clock, tables
from d2midi_build.errors import PermanentError
from d2midi_build.stages.base import Made, Stage, Work


def lay_windows(
    body: npt.NDArray[np.bool_],
    onset_s: npt.NDArray[np.float64],
    offset_s: npt.NDArray[np.float64],
    frames: int,
    stride: int,
) -> pa.Table:
    """Windows of a clip with what they hold.

    Parameters
    ----------
    body : np.ndarray, shape=(n_frames,), bool
        Whether each frame has a body.
    onset_s, offset_s : np.ndarray, shape=(n_notes,)
        The notes, in seconds from the clip's first frame.
    frames, stride : int
        Length of a window and distance between starts, in frames.

    Returns
    -------
    pa.Table
        ``start_frame``, ``n_frames``, ``n_notes`` (notes that sound in it), ``body_share`` (0-1).
    """
    starts = np.array(clock.window_starts(len(body), frames, stride), dtype=np.int64)
    seen = np.concatenate([[0], np.cumsum(body)])
    begin_s, end_s = starts / clock.FPS, (starts + frames) / clock.FPS
    # A note sounds in a window unless it begins at or after its end, or ends at or before its start.
    n_notes = np.searchsorted(np.sort(onset_s), end_s, "left") - np.searchsorted(
        np.sort(offset_s), begin_s, "right"
    )
    return pa.table(
        {
            "start_frame": pa.array(starts, pa.int32()),
            "n_frames": pa.array(np.full(len(starts), frames), pa.int32()),
            "n_notes": pa.array(n_notes, pa.int32()),
            "body_share": pa.array((seen[starts + frames] - seen[starts]) / frames, pa.float64()),
        }
    )


def _run(work: Work) -> Made:
    n_frames, n_samples = work.inputs["n_frames"], work.inputs["n_samples"]
    frames = tables.read(Path(work.inputs["frames"]), columns=["frame", "present_body"])
    notes = tables.read(Path(work.inputs["notes"]), columns=["onset_s", "offset_s"])
    onset_s, offset_s = (notes.column(name).to_numpy() for name in ("onset_s", "offset_s"))
    if n_samples != clock.frames_to_samples(n_frames):
        raise PermanentError(
            f"the clip has {n_samples} samples for {n_frames} frames: run `d2midi build --refresh resample`"
        )
    if len(frames) != n_frames:
        raise PermanentError(
            f"{len(frames)} rows of keypoints for {n_frames} frames: run `d2midi build --refresh keypoints`"
        )
    if len(notes) and (onset_s.min() < 0 or offset_s.max() > clock.frame_time_s(n_frames)):
        raise PermanentError("notes lie outside the clip: run `d2midi build --refresh transcribe`")
    body = frames.column("present_body").to_numpy(zero_copy_only=False)
    windows = lay_windows(body, onset_s, offset_s, work.params["window.frames"], work.params["window.stride"])
    tables.write(work.out / "windows.parquet", windows)
    return Made({"n_windows": len(windows)}, {"pyarrow": pa.__version__})


STAGE = Stage(
    name="window",
    version=1,
    reads=("window.frames", "window.stride"),
    unit="items",
    cpu_per_unit=0.02,
    run=_run,
)
