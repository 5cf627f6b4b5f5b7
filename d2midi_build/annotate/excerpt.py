"""A light video of a take for people to look at: small, with sound, a minute at most."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ffmpeg

from d2midi_build.media.ffmpeg import file_url, note_decode, os_error, run
from d2midi_build.media.picture import picture_filters
from d2midi_build.media.probe import AudioStream, MediaInfo, probe
from d2midi_build.media.sound import placed_sound

MOST_S: Final = 60.0
"""Takes up to here are shown whole."""

FPS: Final = 25
"""Frames per second of what is shown: Label Studio counts time on a video in frames."""

_PARTS: Final = 3
SIDE_PX: Final = 640
"""What is shown is at most so wide and so high."""

_RATE_HZ: Final = 48_000
_BAR_PX: Final = 8
_RUN_UP_S: Final = 5.0
_SEEKABLE: Final = ("mov", "matroska")  # containers with an index and a time on every packet


@dataclass(frozen=True)
class Piece:
    """A part of a video that is shown, in seconds from its first picture."""

    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        """How long it is."""
        return self.end_s - self.start_s


@dataclass(frozen=True)
class Excerpt:
    """What is shown of a take: its pieces, one after the other, each a whole number of frames."""

    pieces: tuple[Piece, ...]

    @property
    def length_s(self) -> float:
        """How long the excerpt is."""
        return sum(piece.length_s for piece in self.pieces)

    def source_s(self, time_s: float) -> float:
        """Seconds in the video of a time in the excerpt; the nearest there is for times outside it.

        A time at a joint is the end of the piece before.
        """
        left = max(0.0, time_s)
        for piece in self.pieces:
            if left <= piece.length_s + 1e-9:
                return piece.start_s + min(left, piece.length_s)
            left -= piece.length_s
        return self.pieces[-1].end_s

    def told(self) -> str:
        """In words for whoever watches it; empty where the take is shown whole."""
        if len(self.pieces) == 1:
            return ""
        spans = ", ".join(f"{piece.start_s:.0f}-{piece.end_s:.0f} s" for piece in self.pieces)
        return (
            f"Too long to be shown whole: beginning, middle and end ({spans} of the video), joined. The bar at the "
            "bottom tells which. The jumps between them are not the video's."
        )


def excerpt_of(start_s: float, end_s: float, most_s: float = MOST_S) -> Excerpt:
    """What is shown of a take.

    All of it if that is no longer than ``most_s``, else its beginning, middle and end, a third of ``most_s`` each.

    Parameters
    ----------
    start_s, end_s : float
        The take, in seconds from the video's first picture.
    most_s : float, optional
        Default is 60 s.

    Raises
    ------
    ValueError
        If the take is shorter than a frame.
    """
    frames = int((end_s - start_s) * FPS + 1e-6)
    if frames < 1:
        raise ValueError(f"a take from {start_s} to {end_s} s is shorter than a frame")
    if frames <= most_s * FPS:
        return Excerpt((Piece(start_s, start_s + frames / FPS),))
    part = int(most_s * FPS / _PARTS)
    begins = (round(place * (frames - part) / (_PARTS - 1)) for place in range(_PARTS))
    return Excerpt(tuple(Piece(start_s + at / FPS, start_s + (at + part) / FPS) for at in begins))


def render_excerpt(video: Path, excerpt: Excerpt, out: Path) -> None:
    """Write an excerpt as MP4 (H.264, 25 frames/s, at most 640 x 640 pixels; AAC); replaced whole if it exists.

    Picture and sound of each piece keep their places beside each other; either is continued (last picture, silence)
    where the file ends early. Where there are several pieces, a bar at the bottom has a third per piece.

    Raises
    ------
    PermanentError
        If the video is broken, or shows nothing there.
    TransientError
        If the disk is full.
    """
    info = probe(video)
    partial = out.with_name(f".{out.stem}.{os.getpid()}{out.suffix}")
    doing = f"making an excerpt of {video.name}"
    note_decode("video", video)
    note_decode("audio", video)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        run(_graph(info, excerpt, partial), doing)
        partial.replace(out)
    except OSError as error:
        raise os_error(error, doing) from error
    finally:
        partial.unlink(missing_ok=True)


def _graph(info: MediaInfo, excerpt: Excerpt, out: Path) -> Any:
    """Input per piece, each brought to its length; joined; encoded."""
    size = _size(info.video.display_width, info.video.display_height)
    streams = []
    for number, piece in enumerate(excerpt.pieces):
        source = ffmpeg.input(file_url(info.path), max_error_rate=1, copyts=None, **_seek(info, piece))
        picture = _picture(source, info, piece, size)
        if len(excerpt.pieces) > 1:
            width, top = size[0] / len(excerpt.pieces), size[1] - _BAR_PX
            picture = picture.filter(
                "drawbox", round(number * width), top, round(width), _BAR_PX, color="white", t="fill"
            )
        streams.append(picture)
        if info.audio is not None:
            streams.append(_sound(source, info.audio, info.video.start_s, piece))
    has_sound = int(info.audio is not None)
    joined = ffmpeg.concat(*streams, v=1, a=has_sound).node
    return ffmpeg.output(*(joined[place] for place in range(1 + has_sound)), file_url(out), **encoding(FPS))


def _seek(info: MediaInfo, piece: Piece) -> dict[str, Any]:
    """Where to begin to decode: near the piece where the container has an index, else at the beginning."""
    if piece.start_s < _RUN_UP_S or not info.container.startswith(_SEEKABLE):
        return {}
    return {
        "seek_timestamp": 1,
        "noaccurate_seek": None,
        "ss": info.video.start_s + piece.start_s - _RUN_UP_S,
    }


def _picture(source: Any, info: MediaInfo, piece: Piece, size: tuple[int, int]) -> Any:
    zero_s = info.video.start_s + piece.start_s
    filters = (
        f"trim=start={zero_s - 0.5 / FPS:.6f}:end={zero_s + piece.length_s + 1:.6f},"
        f"setpts=PTS-{zero_s:.6f}/TB,fps={FPS}:start_time=0,{picture_filters(info.video, *size, 'yuv420p')}"
    )
    shown = _chained(source[str(info.video.index)], filters)
    shown = shown.filter("tpad", stop_mode="clone", stop=-1).filter("trim", end=piece.length_s)
    return shown.filter("setpts", "PTS-STARTPTS")


def _sound(source: Any, audio: AudioStream, zero_s: float, piece: Piece) -> Any:
    placed = placed_sound(audio, zero_s, piece.start_s, piece.end_s)
    heard = _chained(source[str(audio.index)], f"{placed},asetpts=N/SR/TB,aresample={_RATE_HZ}")
    heard = heard.filter("aformat", channel_layouts="stereo").filter("apad")
    return heard.filter("atrim", end=piece.length_s)


def encoding(fps: int) -> dict[str, Any]:
    """ffmpeg's options for small videos that browsers play and seek in at once, without a word on their making."""
    return {
        "vcodec": "libx264",
        "preset": "veryfast",
        "crf": 24,
        "g": fps,  # a key frame per second
        "bf": 0,
        "pix_fmt": "yuv420p",
        "acodec": "aac",
        "audio_bitrate": "128k",
        "ar": _RATE_HZ,
        "movflags": "+faststart",
        "map_metadata": -1,
        "fflags": "+bitexact",
        "flags": "+bitexact",
        "threads": 1,
    }


def _size(width: int, height: int) -> tuple[int, int]:
    """The largest even size of the same shape that fits the square, never enlarged."""
    scale = min(1.0, SIDE_PX / max(width, height))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def _chained(stream: Any, filters: str) -> Any:
    """Apply a chain of filters that is written as text; ffmpeg-python knows single ones only."""
    for each in filters.split(","):
        name, _, given = each.partition("=")
        options = dict(part.split("=", 1) for part in given.split(":") if "=" in part)
        stream = stream.filter(
            name, *(part for part in given.split(":") if part and "=" not in part), **options
        )
    return stream
