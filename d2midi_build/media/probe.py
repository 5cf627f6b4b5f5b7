"""What a media file is, without decoding more than its first picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import av

from d2midi_build.errors import PermanentError

_HDR_TRANSFERS: Final = {16: "smpte2084", 18: "arib-std-b67"}  # ITU-T H.273: PQ and HLG
_UNSPECIFIED: Final = 2
_FIRST_PICTURE_PACKETS: Final = 300  # give up looking for a decodable picture after so many


@dataclass(frozen=True)
class VideoStream:
    """A picture stream.

    ``width`` and ``height`` are pixels as coded; ``display_width`` and ``display_height`` with square
    pixels and upright. ``rotation`` is degrees clockwise. ``transfer`` is ``smpte2084``,
    ``arib-std-b67`` or empty for SDR. ``start_s`` is the first picture's time in the container: zero of
    the source clock.
    """

    index: int
    codec: str
    width: int
    height: int
    pixel_aspect: float
    rotation: int
    display_width: int
    display_height: int
    pix_fmt: str
    bit_depth: int
    transfer: str
    matrix_known: bool
    average_fps: float | None
    base_fps: float | None
    start_s: float
    n_frames: int | None

    @property
    def hdr(self) -> bool:
        """Whether the picture has a high dynamic range transfer (PQ or HLG)."""
        return bool(self.transfer)


@dataclass(frozen=True)
class AudioStream:
    """A sound stream. ``start_s`` is on the source clock: negative if it starts before the picture;
    ``bits`` is the depth of lossless sound, 0 for lossy."""

    index: int
    codec: str
    rate_hz: int
    channels: int
    bits: int
    start_s: float
    duration_s: float | None


@dataclass(frozen=True)
class MediaInfo:
    """What ``probe`` finds. ``duration_s`` is the container's claim, None if it makes none."""

    path: Path
    container: str
    duration_s: float | None
    video: VideoStream
    audio: AudioStream | None

    def to_facts(self) -> dict[str, Any]:
        """The columns of table ``videos`` that describe the file."""
        video, audio = self.video, self.audio
        return {
            "duration_s": self.duration_s,
            "width": video.display_width,
            "height": video.display_height,
            "fps": video.average_fps,
            "rotation": video.rotation,
            "video_codec": video.codec,
            "hdr": video.hdr,
            "audio_codec": audio.codec if audio else None,
            "audio_rate_hz": audio.rate_hz if audio else None,
            "audio_channels": audio.channels if audio else None,
        }


def probe(path: Path) -> MediaInfo:
    """Read what a media file is.

    Of several picture streams the default one is taken, then the one with most pixels, then the first;
    cover pictures do not count. Of several sound streams the default one, then the highest rate, then the
    first; streams that nothing here can decode do not count. ``clip``, ``scan`` and ``loudness`` tell
    ffmpeg to take the same streams.

    Parameters
    ----------
    path : Path

    Returns
    -------
    MediaInfo

    Raises
    ------
    PermanentError
        If the file is missing, empty, not media, or has no picture that can be decoded.
    """
    name = path.name
    try:
        size = path.stat().st_size
    except OSError as error:
        raise PermanentError(f"{name} cannot be read: {error.strerror}", str(error)) from error
    if size == 0:
        raise PermanentError(f"{name} is empty (0 bytes): fetch it again", "0 bytes")
    try:
        with av.open(str(path)) as container:
            return _read(path, container)
    except (av.error.FFmpegError, UnicodeDecodeError) as error:
        raise PermanentError(
            f"{name} is not a media file, or is broken from the start", str(error)
        ) from error


def _read(path: Path, container: Any) -> MediaInfo:
    pictures = [
        s
        for s in container.streams.video
        if s.codec_context is not None and not _has(s, "attached_pic") and s.width
    ]
    sounds = [
        s for s in container.streams.audio if s.codec_context is not None and s.codec_context.sample_rate
    ]
    if not pictures:
        raise PermanentError(f"{path.name} has no video stream", "no video stream")
    picture = min(pictures, key=lambda s: (not _has(s, "default"), -s.width * s.height, s.index))
    sound = min(
        sounds, key=lambda s: (not _has(s, "default"), -s.codec_context.sample_rate, s.index), default=None
    )

    first = _first_picture(container, picture)
    if first is None:
        raise PermanentError(
            f"{path.name} has no picture that can be decoded", "no frame in the first packets"
        )
    video = _video(picture, first)
    return MediaInfo(
        path=path,
        container=container.format.name,
        duration_s=None if container.duration is None else container.duration / av.time_base,
        video=video,
        audio=None if sound is None else _audio(sound, video.start_s),
    )


def _has(stream: Any, flag: str) -> bool:
    return bool(stream.disposition & getattr(av.stream.Disposition, flag))


def _first_picture(container: Any, stream: Any) -> Any:
    for number, packet in enumerate(container.demux(stream)):
        if number > _FIRST_PICTURE_PACKETS:
            break
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            continue  # a broken beginning: later packets may be whole
        for frame in frames:
            return frame
    return None


def _video(stream: Any, first: Any) -> VideoStream:
    context = stream.codec_context
    aspect = float(stream.sample_aspect_ratio or 1)
    # A tag like 639/640 is rounding in the file, not another shape.
    aspect = 1.0 if abs(aspect - 1) < 0.005 else aspect
    rotation = round(-first.rotation / 90) * 90 % 360
    width, height = max(1, round(first.width * aspect)), first.height
    if rotation % 180:
        width, height = height, width
    start_s = first.time if first.time is not None else float((stream.start_time or 0) * stream.time_base)
    return VideoStream(
        index=stream.index,
        codec=context.codec.canonical_name,
        width=first.width,
        height=first.height,
        pixel_aspect=aspect,
        rotation=rotation,
        display_width=width,
        display_height=height,
        pix_fmt=first.format.name,
        bit_depth=max(component.bits for component in first.format.components),
        transfer=_HDR_TRANSFERS.get(int(first.color_trc), ""),
        matrix_known=int(first.colorspace) != _UNSPECIFIED,
        average_fps=float(stream.average_rate) if stream.average_rate else None,
        base_fps=float(stream.base_rate) if stream.base_rate else None,
        start_s=round(start_s, 6),  # frames are timed to the microsecond too
        n_frames=stream.frames or None,
    )


def _audio(stream: Any, zero_s: float) -> AudioStream:
    context = stream.codec_context
    codec = context.codec.canonical_name
    lossless = codec.startswith("pcm_") or codec in {"flac", "alac", "wavpack", "truehd"}
    start_s = float(stream.start_time * stream.time_base) if stream.start_time is not None else zero_s
    return AudioStream(
        index=stream.index,
        codec=codec,
        rate_hz=context.sample_rate,
        channels=context.layout.nb_channels,
        bits=context.format.bits if lossless and context.format is not None else 0,
        start_s=start_s - zero_s,
        duration_s=float(stream.duration * stream.time_base) if stream.duration else None,
    )
