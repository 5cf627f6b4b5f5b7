"""Video files in the odd shapes real ones come in, each with a slate, each frame drawn at its own time.

Frames go to ffmpeg as NUT, the one pipe format that carries a timestamp per raw frame.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import cv2
import imageio_ffmpeg
import numpy as np
import soundfile

from d2midi_build.errors import PermanentError
from d2midi_build.synthetic import slate
from d2midi_build.synthetic.anatomy import Array
from d2midi_build.synthetic.dancer import Dance
from d2midi_build.synthetic.render import Camera, Image, render

_TICKS_HZ: Final = 90_000
"""Frame times are whole ticks of this clock: exact for 25, 29.97, 30 and 60 fps."""


@dataclass(frozen=True)
class Shape:
    """What is odd about a file.

    Attributes
    ----------
    fps : Fraction
        Frames per second; for ``irregular`` the nominal rate.
    irregular : bool
        Every frame's time is moved by up to 30 % of a frame, and one frame in eight is dropped.
    audio_late_s, video_late_s : float
        The stream's first timestamp, seconds. What it would have shown before is lost, the rest stays in
        time.
    rotated : bool
        Stored lying on its side, with a display matrix that puts it upright.
    pixel_aspect : Fraction
        Width of a stored pixel over its height.
    size_px : tuple of int
        Width and height as displayed.
    """

    fps: Fraction = field(default=Fraction(30))
    irregular: bool = False
    audio_late_s: float = 0.0
    video_late_s: float = 0.0
    rotated: bool = False
    pixel_aspect: Fraction = field(default=Fraction(1))
    size_px: tuple[int, int] = (640, 640)


SHAPES: Final[dict[str, Shape]] = {
    "30fps": Shape(),
    "29.97fps": Shape(fps=Fraction(30_000, 1001)),
    "60fps": Shape(fps=Fraction(60)),
    "25fps": Shape(fps=Fraction(25)),
    "vfr": Shape(irregular=True),
    "late-audio": Shape(audio_late_s=0.5),
    "late-video": Shape(video_late_s=0.4),
    "rotated": Shape(rotated=True, size_px=(480, 640)),
    "anamorphic": Shape(pixel_aspect=Fraction(4, 3), size_px=(640, 640)),
}
"""One of each; lengths of lateness leave the slate's flashes whole."""


def frame_times_s(shape: Shape, duration_s: float, rng: np.random.Generator) -> Array:
    """When the frames of a file are shown.

    Parameters
    ----------
    shape : Shape
    duration_s : float
        Frames start before this time, seconds.
    rng : np.random.Generator
        Used by irregular shapes only.

    Returns
    -------
    np.ndarray, shape=(n_frames,)
        Seconds, ascending, whole 1/90,000 s.
    """
    n = int(np.ceil(duration_s * shape.fps - 1e-9))
    step = _TICKS_HZ / shape.fps
    ticks = np.array([round(k * step) for k in range(n)])
    if shape.irregular:
        ticks[1:] += np.round(rng.uniform(-0.3, 0.3, n - 1) * float(step)).astype(np.int64)
        kept = rng.random(n) >= 1 / 8
        kept[0] = True
        ticks = ticks[kept]
    late = round(shape.video_late_s * _TICKS_HZ)
    return np.asarray(ticks[ticks >= late] / _TICKS_HZ)


def write_video(
    path: Path,
    shape: Shape,
    dances: Sequence[Dance],
    audio: Array | None,
    sample_rate_hz: int,
    duration_s: float,
    rng: np.random.Generator,
    *,
    frozen_at_s: float | None = None,
) -> None:
    """Draw dancers, add a slate and music, and write a video file.

    Parameters
    ----------
    path : Path
        Ends in .mp4, .mov or .mkv; H.264 and AAC.
    shape : Shape
        One of ``SHAPES``, or your own.
    dances : sequence of Dance
        Who is in the picture, in the file's time: first beats belong after ``slate.SLATE_S``.
    audio : np.ndarray, shape=(n,) or (n, 2), or None
        Music from ``slate.SLATE_S`` on, -1 to 1, cut or padded with silence to the picture. None: no sound
        track.
    sample_rate_hz : int
        Of the audio.
    duration_s : float
        Of the picture with its slate, seconds.
    rng : np.random.Generator
        Irregular frame times.
    frozen_at_s : float, optional
        Show one still picture, of this time.

    Raises
    ------
    PermanentError
        If ffmpeg fails; its message is kept.
    """
    times = frame_times_s(shape, duration_s, rng)
    with tempfile.TemporaryDirectory(prefix="d2midi-synthetic-") as folder:
        sound = None
        if audio is not None:
            sound = Path(folder) / "sound.wav"
            late = round(shape.audio_late_s * sample_rate_hz)
            track = _fit(slate.with_clicks(audio, sample_rate_hz), round(duration_s * sample_rate_hz))
            soundfile.write(sound, track[late:], sample_rate_hz, subtype="PCM_16")
        encoded = path if not shape.rotated else Path(folder) / f"lying{path.suffix}"
        encode(encoded, shape, _stored(shape, dances, times, frozen_at_s), times, sound)
        if shape.rotated:
            # The display matrix is set on the input and copied; while encoding, ffmpeg would apply it.
            _run(["-display_rotation:v:0", "-90", "-i", str(encoded), "-map", "0", "-c", "copy"], path)


def write_truncated(path: Path, whole: Path, share: float = 0.5) -> None:
    """Write the first part of a file's bytes: an MP4 loses its index and cannot be opened."""
    content = whole.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def _fit(audio: Array, n: int) -> Array:
    """Cut or pad with silence to n samples."""
    missing = max(n - len(audio), 0)
    return np.pad(audio[:n], [(0, missing)] + [(0, 0)] * (audio.ndim - 1))


def encode(
    path: Path, shape: Shape, pictures: Iterable[Image], times_s: Array, sound: Path | None, crf: int = 20
) -> None:
    """Pipe pictures into ffmpeg, which encodes them with their timestamps.

    Parameters
    ----------
    path : Path
        Ends in .mp4, .mov or .mkv; H.264 and AAC.
    shape : Shape
        Lateness and pixel aspect are taken from it; the pictures are as they are stored.
    pictures : iterable of np.ndarray, shape=(height, width, 3), uint8
        RGB, one per time, all of one size; even numbers of pixels.
    times_s : np.ndarray, shape=(n,)
        Seconds, ascending.
    sound : Path, optional
        A file ffmpeg can read. None: no sound track.
    crf : int
        x264's quality: higher is worse. Default is 20.

    Raises
    ------
    PermanentError
        If ffmpeg fails; its message is kept.
    """
    inputs = ["-itsoffset", str(shape.video_late_s), "-f", "nut", "-i", "pipe:0"]
    if sound is not None:
        inputs += ["-itsoffset", str(shape.audio_late_s), "-i", str(sound), "-map", "1:a"]
        inputs += ["-c:a", "aac", "-b:a", "160k"]
    matrix = "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"
    aspect = f"setsar={shape.pixel_aspect.numerator}/{shape.pixel_aspect.denominator}"
    options = [
        *inputs,
        *("-map", "0:v", "-vf", f"{matrix},{aspect}"),
        *("-c:v", "libx264", "-preset", "veryfast", "-crf", str(crf)),
        *("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"),
        *("-fps_mode", "passthrough", "-enc_time_base:v", "demux"),
    ]
    if path.suffix in (".mp4", ".mov"):
        options += ["-video_track_timescale", str(_TICKS_HZ)]
    command = _command(options, path)
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=errors)
        assert process.stdin is not None
        broken = ""
        try:
            _pipe(process.stdin, pictures, times_s)
        except OSError as error:  # ffmpeg has gone; its own words say why
            broken = str(error)
        finally:
            process.stdin.close()
            code = process.wait()
        if code or broken:
            errors.seek(0)
            message = errors.read().decode(errors="replace")
            raise PermanentError(f"ffmpeg could not write {path.name} (exit code {code})", message or broken)


def _stored(shape: Shape, dances: Sequence[Dance], times: Array, frozen_at_s: float | None) -> Any:
    """The frames as they are stored: with the slate, then squeezed or laid on the side."""
    width, height = shape.size_px
    shown = times if frozen_at_s is None else np.full(len(times), frozen_at_s)
    pictures = render(dances, shown, Camera.framing(width, height))
    for time_s, picture in zip(times, pictures, strict=True):
        slate.draw(picture, float(time_s))
        if shape.pixel_aspect != 1:
            narrow = 2 * round(width / float(shape.pixel_aspect) / 2)
            picture = np.asarray(
                cv2.resize(picture, (narrow, height), interpolation=cv2.INTER_AREA), np.uint8
            )
        yield np.ascontiguousarray(np.rot90(picture)) if shape.rotated else picture


def _pipe(pipe: Any, pictures: Any, times: Array) -> None:
    """Write raw frames with their timestamps as NUT."""
    container = None
    first = times[0]
    for time_s, picture in zip(times, pictures, strict=True):
        if container is None:
            container = av.open(pipe, "w", format="nut")
            stream: Any = container.add_stream("rawvideo", rate=_TICKS_HZ)
            stream.height, stream.width = picture.shape[:2]
            stream.pix_fmt = "rgb24"
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.time_base = Fraction(1, _TICKS_HZ)
        frame.pts = round((time_s - first) * _TICKS_HZ)
        container.mux(stream.encode(frame))
    if container is not None:
        container.mux(stream.encode(None))
        container.close()


def _command(options: list[str], path: Path) -> list[str]:
    executable = imageio_ffmpeg.get_ffmpeg_exe()
    exact = ["-bitexact", "-fflags", "+bitexact", "-map_metadata", "-1", "-threads", "1"]
    return [executable, "-y", "-hide_banner", "-loglevel", "error", *options, *exact, str(path)]


def _run(options: list[str], path: Path) -> None:
    done = subprocess.run(_command(options, path), capture_output=True, check=False)
    if done.returncode:
        raise PermanentError(f"ffmpeg could not write {path.name}", done.stderr.decode(errors="replace"))
