"""A clip as one video to watch and listen to: dance, skeleton, notes, and both sounds."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from d2midi_build.errors import UsageError
from d2midi_build.media.ffmpeg import Frame
from d2midi_build.motion.keypoints import Keypoints
from d2midi_build.motion.keypoints import read_frames as read_keypoints
from d2midi_build.music.notes import Notes
from d2midi_build.report.clips import clip_of, notes_of
from d2midi_build.report.film import Draw, film, fitted, fresh_file, missing, wrong_length
from d2midi_build.report.roll import Box, Roll
from d2midi_build.report.skeleton import draw_skeleton

_BESIDE: Final = (1280, 720)
"""Canvas of clips that are taller than wide, or nearly so: the picture on the left, the roll on its right."""

_BELOW: Final = (960, 540, 460)
"""Wide clips: the most the picture gets (width, height), and the roll's height below it."""

_WIDE_FROM: Final = 1.2


@dataclass(frozen=True)
class Layout:
    """Where things lie on the canvas; all sizes in pixels and even."""

    width: int
    height: int
    picture: Box
    roll: Box

    @classmethod
    def of(cls, width: int, height: int) -> Layout:
        """The layout for a clip of a size: at most 1280 x 720 or 960 x 1000, whatever the clip's size.

        Parameters
        ----------
        width, height : int
            Of the clip's picture.
        """
        if width < _WIDE_FROM * height:
            canvas_width, canvas_height = _BESIDE
            w, h = fitted(width, height, canvas_width // 2, canvas_height)
            top = (canvas_height - h) // 2
            return cls(
                canvas_width, canvas_height, Box(0, top, w, top + h), Box(w, 0, canvas_width, canvas_height)
            )
        canvas_width, most, roll = _BELOW
        w, h = fitted(width, height, canvas_width, most)
        left = (canvas_width - w) // 2
        return cls(canvas_width, h + roll, Box(left, 0, left + w, h), Box(0, h, canvas_width, h + roll))


def render_preview(
    workspace: Path, clip_id: str, out: Path, *, progress: Callable[[float], None] | None = None
) -> None:
    """Write a video (H.264, AAC, MP4) of a clip with its skeleton, its notes and both sounds.

    A frame of the preview is a frame of the clip. The playhead stands where the frame begins. Left is the
    original sound, channels averaged; right are the notes, played by a synthesiser, as loud as the original.
    Both start with the clip's first sample. The same clip and notes give the same bytes.

    Parameters
    ----------
    workspace : Path
    clip_id : str
        The whole id; see ``clips.find_clip``.
    out : Path
        Ends in .mp4; replaced if it exists, and only once the new file is whole.
    progress : callable, optional
        Is told now and then which share (0-1) is done.

    Raises
    ------
    UsageError
        If there is no such workspace or clip, if the clip lacks keypoints or notes, or if ``out`` cannot be
        written.
    PermanentError
        If a file of the clip is missing or does not have the clip's length, or ffmpeg failed.
    TransientError
        If the disk is full.
    """
    clip = clip_of(workspace, clip_id, ("resample", "keypoints", "transcribe"))
    with fresh_file(out, _folder_beside(out)) as partial:
        keypoints, notes = _keypoints(workspace, clip), notes_of(workspace, clip_id)
        layout = Layout.of(clip["width"], clip["height"])
        film(
            workspace / "clips" / clip_id,
            clip,
            (0, clip["n_frames"]),
            notes,
            (layout.width, layout.height),
            layout.picture,
            _drawing(layout, keypoints, notes, clip),
            partial,
            progress,
        )


def _drawing(layout: Layout, keypoints: Keypoints, notes: Notes, clip: Mapping[str, Any]) -> Draw:
    """Draws the skeleton and the roll."""
    box = layout.roll
    roll = Roll(notes, clip["n_frames"], box.right - box.left, box.bottom - box.top, clip["clip_id"])

    def draw(canvas: Frame, picture: Frame, frame: int) -> None:
        draw_skeleton(picture, keypoints, frame)
        roll.draw(frame, canvas[box.top : box.bottom, box.left : box.right])

    return draw


def _keypoints(workspace: Path, clip: Mapping[str, Any]) -> Keypoints:
    path = workspace / "frames" / f"{clip['clip_id']}.parquet"
    if not path.is_file():
        raise missing(clip, path)
    table = read_keypoints(path)
    if table.num_rows != clip["n_frames"]:
        raise wrong_length(clip, path.name, table.num_rows, clip["n_frames"], "frames")
    return Keypoints.from_table(table)


def _folder_beside(out: Path) -> tempfile.TemporaryDirectory[str]:
    """A fresh folder where ``out`` will lie."""
    if out.suffix.lower() != ".mp4":
        raise UsageError(f"--out {out}: a preview is an MP4 file; give it a name that ends in .mp4")
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder: name a file in it")
    if not out.parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.parent}; make it or choose another")
    try:
        return tempfile.TemporaryDirectory(dir=out.parent, prefix=".d2midi-preview-")
    except OSError as error:
        raise UsageError(
            f"--out {out}: cannot write in {out.parent} ({error.strerror}); choose another folder"
        ) from error
