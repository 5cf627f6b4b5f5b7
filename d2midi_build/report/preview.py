"""A clip as one video to watch and listen to: dance, skeleton, notes, and both sounds."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ffmpeg
import numpy as np
import soundfile
from scipy.io import wavfile

from d2midi_build import clock
from d2midi_build.errors import PermanentError, UsageError
from d2midi_build.media.ffmpeg import Frame, FrameWriter, file_url, note_decode, os_error, read_frames
from d2midi_build.motion.keypoints import Keypoints
from d2midi_build.motion.keypoints import read_frames as read_keypoints
from d2midi_build.music.notes import Notes
from d2midi_build.music.synthesis import synthesise
from d2midi_build.report.clips import clip_of, notes_of
from d2midi_build.report.roll import Box, Roll
from d2midi_build.report.skeleton import draw_skeleton
from d2midi_build.report.sound import FloatArray, side_by_side

_BESIDE: Final = (1280, 720)
"""Canvas of clips that are taller than wide, or nearly so: the picture on the left, the roll on its right."""

_BELOW: Final = (960, 540, 460)
"""Wide clips: the most the picture gets (width, height), and the roll's height below it."""

_WIDE_FROM: Final = 1.2
_AAC_RATES_HZ: Final = (44_100, 48_000)


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
            w, h = _fitted(width, height, canvas_width // 2, canvas_height)
            top = (canvas_height - h) // 2
            return cls(
                canvas_width, canvas_height, Box(0, top, w, top + h), Box(w, 0, canvas_width, canvas_height)
            )
        canvas_width, most, roll = _BELOW
        w, h = _fitted(width, height, canvas_width, most)
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
    with _fresh_file(out) as partial:
        media = workspace / "clips" / clip_id
        keypoints = _keypoints(workspace, clip)
        notes = notes_of(workspace, clip_id)
        sound = partial.with_name("sound.wav")
        sound_rate_hz = _write_sound(media / "original.flac", notes, clip, sound)
        layout = Layout.of(clip["width"], clip["height"])
        with (
            closing(_pictures(media / "video.mp4", layout.picture)) as pictures,
            FrameWriter(_encoding(layout, sound, sound_rate_hz, partial), f"writing {out}") as writer,
        ):
            for frame, canvas in enumerate(_drawn(pictures, layout, keypoints, notes, clip)):
                writer.write(canvas)
                if progress is not None:
                    progress((frame + 1) / clip["n_frames"])
            writer.finish()


def _drawn(
    pictures: Iterator[Frame], layout: Layout, keypoints: Keypoints, notes: Notes, clip: dict[str, Any]
) -> Iterator[Frame]:
    """The canvas of every frame; always the same array."""
    box, n_frames = layout.roll, clip["n_frames"]
    roll = Roll(notes, n_frames, box.right - box.left, box.bottom - box.top, clip["clip_id"])
    canvas = np.zeros((layout.height, layout.width, 3), np.uint8)
    at_picture, at_roll = (
        canvas[place.top : place.bottom, place.left : place.right] for place in (layout.picture, layout.roll)
    )
    shown = 0
    for picture in pictures:
        if shown < n_frames:
            at_picture[:] = picture
            draw_skeleton(at_picture, keypoints, shown)
            roll.draw(shown, at_roll)
            yield canvas
        shown += 1
    if shown != n_frames:
        raise _wrong_length(clip, "video.mp4", shown, n_frames, "frames")


def _pictures(video: Path, box: Box) -> Generator[Frame, None, None]:
    width, height = box.right - box.left, box.bottom - box.top

    def output(name: str, **options: Any) -> Any:
        return ffmpeg.input(file_url(video)).video.filter("scale", width, height).output(name, **options)

    note_decode("video", video)
    for _, picture in read_frames(output, width, height, "bgr24", f"reading {video}"):
        yield picture


def _encoding(layout: Layout, sound: Path, sound_rate_hz: int, out: Path) -> Any:
    """The graph from raw frames and a sound to the finished file."""
    size = (layout.width, layout.height)
    frames = ffmpeg.input("pipe:", format="rawvideo", pix_fmt="bgr24", video_size=size, framerate=clock.FPS)
    return ffmpeg.output(
        frames.video.filter("scale", out_color_matrix="bt709", out_range="tv").filter("format", "yuv420p"),
        ffmpeg.input(file_url(sound)).audio,
        file_url(out),
        vcodec="libx264",
        preset="veryfast",
        crf=21,
        g=clock.FPS,  # a key frame per second: seeking lands at once
        bf=0,  # the first frame then has time 0 in every player, edit list or not
        acodec="aac",
        audio_bitrate="160k",
        ar=sound_rate_hz if sound_rate_hz in _AAC_RATES_HZ else _AAC_RATES_HZ[-1],
        colorspace="bt709",
        color_primaries="bt709",
        color_trc="bt709",
        movflags="+faststart",
        map_metadata=-1,
        bitexact=None,
        threads=1,
    )


def _write_sound(original: Path, notes: Notes, clip: dict[str, Any], out: Path) -> int:
    """Write the stereo sound as WAV at the original's rate, and return the rate in Hz."""
    if not original.is_file():
        raise _missing(clip, original)
    note_decode("audio", original)
    sound: FloatArray
    try:
        sound, rate_hz = soundfile.read(original, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise PermanentError(
            f"clip {clip['clip_id']}: {original} cannot be read; `d2midi validate` tells more", str(error)
        ) from error
    if len(sound) != clip["original_samples"]:
        raise _wrong_length(clip, "original.flac", len(sound), clip["original_samples"], "samples")
    # MIDI's velocities are relative, so the notes' own loudness says nothing: it follows the original's.
    both = side_by_side(sound, synthesise(notes, rate_hz, len(sound)), rate_hz)
    wavfile.write(out, rate_hz, np.rint(both * np.iinfo(np.int16).max).astype(np.int16))
    return int(rate_hz)


def _keypoints(workspace: Path, clip: dict[str, Any]) -> Keypoints:
    path = workspace / "frames" / f"{clip['clip_id']}.parquet"
    if not path.is_file():
        raise _missing(clip, path)
    table = read_keypoints(path)
    if table.num_rows != clip["n_frames"]:
        raise _wrong_length(clip, path.name, table.num_rows, clip["n_frames"], "frames")
    return Keypoints.from_table(table)


@contextmanager
def _fresh_file(out: Path) -> Iterator[Path]:
    """A path to write to, in a folder of its own beside ``out``; moved to ``out`` if all went well."""
    if out.suffix.lower() != ".mp4":
        raise UsageError(f"--out {out}: a preview is an MP4 file; give it a name that ends in .mp4")
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder: name a file in it")
    if not out.parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.parent}; make it or choose another")
    try:
        folder = tempfile.TemporaryDirectory(dir=out.parent, prefix=".d2midi-preview-")
    except OSError as error:
        raise UsageError(
            f"--out {out}: cannot write in {out.parent} ({error.strerror}); choose another folder"
        ) from error
    with folder as name:
        partial = Path(name) / "preview.mp4"
        try:
            yield partial
            partial.replace(out)
        except OSError as error:
            raise os_error(error, f"writing {out}") from error


def _fitted(width: int, height: int, most_width: int, most_height: int) -> tuple[int, int]:
    """The largest even size of the same shape that fits."""
    scale = min(most_width / width, most_height / height)
    w, h = (max(2, int(side * scale + 1e-6) // 2 * 2) for side in (width, height))
    return w, h


def _missing(clip: dict[str, Any], path: Path) -> PermanentError:
    return PermanentError(f"clip {clip['clip_id']}: {path} is missing; `d2midi build` puts it back")


def _wrong_length(clip: dict[str, Any], file: str, found: int, expected: int, unit: str) -> PermanentError:
    return PermanentError(
        f"clip {clip['clip_id']}: {file} has {found} {unit}, the table of clips says {expected}; "
        "`d2midi validate` tells which files are damaged"
    )
