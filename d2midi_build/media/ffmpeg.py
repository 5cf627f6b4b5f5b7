"""Running ffmpeg: one way to start it, to read frames from it, to feed it, and to learn what went wrong.

Graphs are described with ffmpeg-python; the processes are run here. Every process has its standard error
drained by a thread (a full pipe would stop it), dies with the thread that started it, and is killed when
its consumer stops early. ``decode`` messages on the logger ``d2midi_build.media.decode`` tell what was
decoded, so that tests can count.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import logging
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final, Literal

import av
import ffmpeg
import imageio_ffmpeg
import numpy as np
import numpy.typing as npt

from d2midi_build.errors import ItemError, PermanentError, TransientError

Frame = npt.NDArray[np.uint8]
Samples = npt.NDArray[np.float32]

DECODE_LOGGER: Final = "d2midi_build.media.decode"
"""Logger that gets ``("%s %s", "video" or "audio", path)`` at level DEBUG for every decode of a file."""

_GLOBAL: Final = ("-hide_banner", "-nostdin", "-nostats", "-loglevel", "error", "-y")
_FULL_DISK: Final = ("No space left on device", "Disk quota exceeded")
_NUT_BUFFER: Final = 1 << 20
_SAMPLES_READ: Final = 1 << 17
_PR_SET_PDEATHSIG: Final = 1


@functools.cache
def ffmpeg_exe() -> str:
    """Path of the ffmpeg that runs: the environment's ``D2MIDI_FFMPEG``, else imageio-ffmpeg's binary.

    Raises
    ------
    PermanentError
        If ``D2MIDI_FFMPEG`` names nothing that can be run.
    """
    chosen = os.environ.get("D2MIDI_FFMPEG")
    if not chosen:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    found = shutil.which(chosen)
    if found is None:
        raise PermanentError(f"D2MIDI_FFMPEG is {chosen!r}, which cannot be run: correct or unset it")
    return found


@functools.cache
def ffmpeg_version() -> str:
    """Version of ``ffmpeg_exe()`` as it states it, e.g. ``n9.0.2-17-g2a571b6068-20260930``."""
    words = subprocess.run(
        [ffmpeg_exe(), "-version"], capture_output=True, text=True, check=True
    ).stdout.split()
    return words[2]


def file_url(path: Path) -> str:
    """A path as ffmpeg takes it literally, even if it starts with a dash or looks like a protocol."""
    return f"file:{path}"


def note_decode(kind: Literal["video", "audio"], path: Path) -> None:
    """Tell ``DECODE_LOGGER`` that a file's picture or sound is decoded."""
    logging.getLogger(DECODE_LOGGER).debug("%s %s", kind, path)


def run(output: Any, doing: str) -> None:
    """Run a graph to its end.

    Parameters
    ----------
    output : ffmpeg.nodes.OutputStream
        From ``ffmpeg.output`` or ``ffmpeg.merge_outputs``.
    doing : str
        What this does, for the error message, e.g. ``"cutting the sound of x.mp4"``.

    Raises
    ------
    TransientError
        If the disk is full.
    PermanentError
        If ffmpeg failed; ``tool_message`` is all it said.
    """
    with _Child(output, doing) as child:
        child.finish()


def read_frames(
    output_of: Callable[..., Any],
    width: int,
    height: int,
    pix_fmt: Literal["bgr24", "rgb24", "yuv420p"],
    doing: str,
    heard: Callable[[str], None] = lambda said: None,
) -> Iterator[tuple[float, Frame]]:
    """Read raw frames with their times while ffmpeg runs. At most a few frames are in memory.

    Parameters
    ----------
    output_of : callable
        Is called with a file name and output options and returns an ffmpeg-python output whose first
        video stream has the given size; other outputs may be merged in.
    width, height : int
        Size of the frames in pixels; even for ``yuv420p``.
    pix_fmt : str
        ``bgr24`` and ``rgb24`` give frames of shape (height, width, 3), ``yuv420p`` of shape
        (height * 3 // 2, width).
    doing : str
        What this does, for the error message.
    heard : callable, optional
        Is given all that ffmpeg said, after the last frame of a run that went well. May raise.

    Yields
    ------
    float
        The frame's timestamp in seconds, to the microsecond, as the graph has it.
    np.ndarray, dtype=uint8
        The frame; read-only.

    Raises
    ------
    TransientError, PermanentError
        As ``run``, after the last frame that could be read.
    """
    shape = (height * 3 // 2, width) if pix_fmt == "yuv420p" else (height, width, 3)
    # NUT carries each frame's time beside its bytes; the microsecond time base keeps what the source says.
    output = output_of("pipe:", format="nut", vcodec="rawvideo", pix_fmt=pix_fmt, fps_mode="passthrough",
                       enc_time_base="1:1000000")  # fmt: skip
    with _Child(output, doing, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        try:
            container: Any = av.open(child.stdout, format="nut", buffer_size=_NUT_BUFFER)
        except (av.error.FFmpegError, EOFError, OSError):
            while child.stdout.read(_NUT_BUFFER):
                pass
            child.finish()  # raises ffmpeg's own words; if it has none, there just was no frame
            heard(child.said)
            return
        with container:
            for packet in container.demux(video=0):
                if packet.pts is None or not packet.size:
                    continue
                yield float(packet.pts * packet.time_base), np.frombuffer(packet, np.uint8).reshape(shape)
        child.finish()
        heard(child.said)


def read_samples(output_of: Callable[..., Any], channels: int, doing: str) -> Iterator[Samples]:
    """Read sound while ffmpeg runs, a few seconds at a time.

    Parameters
    ----------
    output_of : callable
        Is called with a file name and output options and returns an ffmpeg-python output with one sound
        stream of ``channels`` channels.
    channels : int
    doing : str
        What this does, for the error message.

    Yields
    ------
    np.ndarray, shape=(n, channels), dtype=float32
        Full scale is 1; lossy sound may go beyond. Read-only.

    Raises
    ------
    TransientError, PermanentError
        As ``run``, after the last samples that could be read.
    """
    frame_bytes = 4 * channels
    with _Child(
        output_of("pipe:", format="f32le", acodec="pcm_f32le"), doing, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        while part := child.stdout.read(_SAMPLES_READ * frame_bytes):
            whole = len(part) // frame_bytes * frame_bytes  # ffmpeg may have died within a sample
            yield np.frombuffer(part[:whole], "<f4").reshape(-1, channels)
        child.finish()


class FrameWriter:
    """Feeds raw frames to a graph whose input is ``pipe:``. A context manager; leaving it without
    ``finish()`` kills ffmpeg."""

    def __init__(self, output: Any, doing: str) -> None:
        self._child = _Child(output, doing, stdin=subprocess.PIPE)

    def __enter__(self) -> FrameWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.__exit__()

    def write(self, frame: Frame) -> None:
        """Give ffmpeg one frame.

        Raises
        ------
        TransientError, PermanentError
            If ffmpeg ended early; see ``run``.
        """
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(np.ascontiguousarray(frame).data)
        except BrokenPipeError:
            self._child.finish()
            raise self._child.error("it stopped reading") from None

    def finish(self) -> None:
        """Say that all frames are written and wait until ffmpeg has ended.

        Raises
        ------
        TransientError, PermanentError
            See ``run``.
        """
        self._child.finish()


class _Child:
    """An ffmpeg process with its standard error."""

    def __init__(
        self, output: Any, doing: str, stdin: int = subprocess.DEVNULL, stdout: int = subprocess.DEVNULL
    ) -> None:
        command = [ffmpeg_exe(), *_GLOBAL, *ffmpeg.get_args(output)]
        self._doing = doing
        try:
            self._process = subprocess.Popen(
                command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, preexec_fn=die_with_parent
            )
        except OSError as caught:
            raise os_error(caught, doing) from caught
        self._said: list[bytes] = []
        self._drain = threading.Thread(target=self._read_stderr, name="ffmpeg-stderr", daemon=True)
        self._drain.start()

    @property
    def stdin(self) -> IO[bytes] | None:
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes] | None:
        return self._process.stdout

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._drain.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(
                    BrokenPipeError
                ):  # what was left in the buffer has no reader any more
                    pipe.close()

    def finish(self) -> None:
        """Wait for the end; raise if it was a bad one."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # it has ended already: its exit code says why
                self._process.stdin.close()
        code = self._process.wait()
        self._drain.join()
        if code != 0:
            raise self.error(f"exit code {code}")

    def error(self, why: str) -> ItemError:
        """The error of this process in our and its words."""
        said = self.said
        if any(words in said for words in _FULL_DISK):
            return TransientError(f"The disk is full while {self._doing}: free some room and run again", said)
        return PermanentError(f"ffmpeg failed {self._doing} ({why})", said or why)

    @property
    def said(self) -> str:
        """What it has said so far; all of it after ``finish``."""
        return b"".join(self._said).decode("utf-8", "replace").strip()

    def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._said.append(line)


def os_error(caught: OSError, doing: str) -> ItemError:
    """A full disk is worth another try; anything else the system refuses is not."""
    if caught.errno in (errno.ENOSPC, errno.EDQUOT):
        return TransientError(f"The disk is full while {doing}: free some room and run again", str(caught))
    return PermanentError(f"The system refused {doing}: {caught}", str(caught))


_libc = ctypes.CDLL(
    None, use_errno=True
)  # loaded before any fork: nothing is allocated between fork and exec


def die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
