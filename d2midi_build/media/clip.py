"""The clip: a take on the one clock.

Times are seconds on the source clock, which begins with the file's first picture; sound keeps the place
its own timestamps give it beside the picture. The source is decoded once: its frames pass through here,
where one of the two nearest is chosen for each clip frame (``timing``), and its sound goes to a file beside.
When the picture is done, the mean of (time shown - time of the frame) is known; the sound is cut that
much later, so that picture and sound agree on average to well under a millisecond whatever the source's
frame rate. ffmpeg's own ``fps`` filter would leave the picture 8 to 17 ms off.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import av
import ffmpeg
import numpy as np
import numpy.typing as npt
import soundfile

from d2midi_build import clock
from d2midi_build.errors import PermanentError
from d2midi_build.media.ffmpeg import (
    Frame,
    FrameWriter,
    ffmpeg_version,
    file_url,
    note_decode,
    os_error,
    read_frames,
    run,
)
from d2midi_build.media.picture import fitted_size, picture_filters
from d2midi_build.media.probe import AudioStream, MediaInfo, probe
from d2midi_build.media.sound import first_sample, placed_sound
from d2midi_build.media.timing import FrameChoice, mean_offset_s

VIDEO: Final = "video.mp4"
AUDIO: Final = "audio.flac"
ORIGINAL: Final = "original.flac"

_SEEKABLE: Final = ("mov", "matroska")  # containers with a time on every packet and an index
_SEEK_FROM_S: Final = 10.0  # earlier takes are not worth a seek
_SEEK_MARGIN_S: Final = 5.0  # decoders need a run-up, and sound may lie apart from its picture
_PRESET: Final = "veryfast"
_UNKNOWN_FRAMES: Final = 2**62  # libsndfile's count for a FLAC file without a sample is the largest there is
_BLOCK: Final = 4096  # samples; else ffmpeg's first piece sets it, and FLAC refuses one of under 16
_AUDIO_MARGIN_S: Final = 1.0  # sound kept around the take, for the shift found only later


@dataclass(frozen=True)
class ClipInfo:
    """What ``make_clip`` made.

    ``source_start_s`` is the source time of the clip's instant 0, ``source_times_s`` (float64,
    shape=(n_frames,)) the source time of the picture that each frame shows. ``picture_shift_ms`` is how
    far ``source_start_s`` was moved from the take's start to make up for the choice of frames;
    ``video_offset_ms`` what remains of the mean of (time shown - time of the frame). ``audio_padded_s`` is
    silence added because the sound began late or ended early. Paths are relative to ``out_dir``.
    """

    n_frames: int
    n_samples: int
    width: int
    height: int
    original_rate_hz: int
    original_channels: int
    original_samples: int
    source_start_s: float
    source_times_s: npt.NDArray[np.float64]
    picture_shift_ms: float
    video_offset_ms: float
    audio_padded_s: float
    ffmpeg_version: str
    video: str = VIDEO
    audio: str = AUDIO
    original: str = ORIGINAL


def make_clip(
    source: Path, start_s: float, end_s: float, out_dir: Path, *, height: int, crf: int
) -> ClipInfo:
    """Put a take on the one clock.

    Makes ``video.mp4`` (20 frames/s, H.264, upright, square pixels, BT.709, even size), ``audio.flac``
    (10,240 Hz, mono, exactly 512 samples per frame) and ``original.flac`` (its own rate and channels; the
    sample count nearest to the same length). The clip has the whole frames of the part of the take that
    has a picture; sound that does not last as long is continued with silence.

    Parameters
    ----------
    source : Path
        The video file.
    start_s, end_s : float
        The take, in seconds from the file's first picture. ``end_s`` may lie behind the end, or be
        ``inf``. No picture at or after ``end_s`` is shown.
    out_dir : Path
        An existing folder.
    height : int
        Height of the picture in pixels; smaller pictures are not enlarged.
    crf : int
        H.264 quality.

    Returns
    -------
    ClipInfo

    Raises
    ------
    PermanentError
        If the file is broken, has no picture or no sound there, or the take is shorter than a frame.
    TransientError
        If the disk is full.
    """
    info = probe(source)
    where = f"{source.name} from {start_s:.2f} s to {end_s:.2f} s"
    if info.audio is None:
        raise PermanentError(f"{source.name} has no sound: a clip needs music", "no audio stream")
    width, height = fitted_size(info.video, height)
    take = FrameChoice[Frame](start_s, end_s, 1 / (info.video.average_fps or clock.FPS))
    try:
        with tempfile.TemporaryDirectory(dir=out_dir, prefix="sound-") as scratch:
            sound = Path(scratch) / "sound.flac"
            with closing(_decode(info, info.audio, take, width, height, sound)) as frames:
                _encode(take.choose(frames), out_dir / VIDEO, width, height, crf, where)
                for _ in frames:
                    pass  # what is left ends with the sound's end
            if not take.times_s:
                raise PermanentError(
                    f"{where} has no whole frame of picture that can be decoded", "no frames"
                )
            times_s = np.array(take.times_s)
            shift_s = mean_offset_s(times_s, start_s)
            cut = _cut_sound(info.audio, sound, start_s, start_s + shift_s, len(times_s), out_dir, where)
    except OSError as error:
        raise os_error(error, f"writing the clip of {where}") from error
    return ClipInfo(
        n_frames=len(times_s),
        n_samples=clock.frames_to_samples(len(times_s)),
        width=width,
        height=height,
        original_rate_hz=info.audio.rate_hz,
        original_channels=cut.channels,
        original_samples=cut.samples,
        source_start_s=cut.start_s,
        source_times_s=times_s,
        picture_shift_ms=1000 * (cut.start_s - start_s),
        video_offset_ms=1000 * (shift_s - (cut.start_s - start_s)),
        audio_padded_s=cut.padded_s,
        ffmpeg_version=ffmpeg_version(),
    )


def clip_frames(video: Path) -> Iterator[Frame]:
    """Decode a clip's picture.

    Yields
    ------
    np.ndarray, shape=(height, width, 3), dtype=uint8
        RGB, read-only, one per frame of the clip.

    Raises
    ------
    PermanentError
        If the file is not a video or breaks off.
    """
    note_decode("video", video)
    try:
        # In this process: half the cost of a pipe, and the same pictures to the bit for files made here.
        with av.open(str(video)) as container:
            container.streams.video[0].thread_type = "NONE"
            for frame in container.decode(video=0):
                yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    except (av.error.FFmpegError, IndexError) as error:
        raise PermanentError(
            f"{video.name} cannot be decoded: run `d2midi build --refresh resample`", str(error)
        ) from error


def _decode(
    info: MediaInfo, audio: AudioStream, take: FrameChoice[Frame], width: int, height: int, sound: Path
) -> Generator[tuple[float, Frame], None, None]:
    """The one decode: a generator of (time on the source clock, small frame); the sound goes to ``sound``.

    ``sound`` begins ``_AUDIO_MARGIN_S`` before the take and keeps the original rate and channels.
    """
    video = info.video
    zero_s = video.start_s
    options: dict[str, Any] = {"copyts": None}  # the source's own times; shifts would part picture and sound
    if take.start_s > _SEEK_FROM_S and info.container.startswith(_SEEKABLE):
        options |= {
            "seek_timestamp": 1,
            "noaccurate_seek": None,
            "ss": zero_s + take.start_s - _SEEK_MARGIN_S,
        }
    source = ffmpeg.input(file_url(info.path), max_error_rate=1, **options)
    end_s = zero_s + take.end_s if np.isfinite(take.end_s) else None

    def output_of(name: str, **picture_options: Any) -> Any:
        until = "" if end_s is None else f":end={end_s + 0.1:.6f}"
        pictures = source[str(video.index)].output(
            name,
            vf=f"trim=start={zero_s + take.start_s - 0.01:.6f}{until},"
            + picture_filters(video, width, height, "yuv420p"),
            **picture_options,
        )
        sounds = source[str(audio.index)].output(
            file_url(sound),
            af=placed_sound(audio, zero_s, take.start_s - _AUDIO_MARGIN_S, take.end_s + _AUDIO_MARGIN_S)
            + f",aformat=sample_fmts={'s32' if audio.bits > 16 else 's16'},asetnsamples={_BLOCK}:pad=0",
            acodec="flac",
            compression_level=0,
        )
        return ffmpeg.merge_outputs(pictures, sounds)

    note_decode("video", info.path)
    note_decode("audio", info.path)
    for time_s, frame in read_frames(output_of, width, height, "yuv420p", f"decoding {info.path.name}"):
        yield time_s - zero_s, frame


def _encode(frames: Iterator[Frame], video: Path, width: int, height: int, crf: int, where: str) -> None:
    """Write frames of shape (height * 3 // 2, width) as H.264."""
    # No B-frames: then the first frame is at 0 even for readers that ignore edit lists.
    output = ffmpeg.input(
        "pipe:", format="rawvideo", pix_fmt="yuv420p", video_size=(width, height), framerate=clock.FPS
    ).output(
        file_url(video),
        vf="setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709",
        vcodec="libx264",
        preset=_PRESET,
        crf=crf,
        bf=0,
        g=2 * clock.FPS,
        threads=1,
        movflags="+faststart",
        fflags="+bitexact",
        flags="+bitexact",
        map_metadata=-1,
    )
    with FrameWriter(output, f"writing the picture of {where}") as writer:
        for frame in frames:
            writer.write(frame)
        writer.finish()


@dataclass(frozen=True)
class _Cut:
    start_s: float
    samples: int
    channels: int
    padded_s: float


def _cut_sound(
    audio: AudioStream,
    sound: Path,
    take_start_s: float,
    start_s: float,
    n_frames: int,
    out_dir: Path,
    where: str,
) -> _Cut:
    """Cut the clip's sound out of the sound kept aside, at its own rate and at the clock's."""
    rate_hz = audio.rate_hz
    kept = soundfile.info(sound) if sound.exists() and sound.stat().st_size else None
    if kept is None or kept.frames >= _UNKNOWN_FRAMES:
        raise PermanentError(f"{where} has no sound that can be decoded", "no samples")
    first_kept = first_sample(take_start_s - _AUDIO_MARGIN_S, rate_hz)
    begin = round(start_s * rate_hz)  # to the nearest sample
    n_original = round(n_frames * rate_hz / clock.FPS)
    n_clip = clock.frames_to_samples(n_frames)
    missing = max(0, begin + n_original - (first_kept + kept.frames))
    late = max(0, round(audio.start_s * rate_hz) - begin)

    tags = {"fflags": "+bitexact", "flags": "+bitexact", "map_metadata": -1, "acodec": "flac"}
    parts = (
        ffmpeg.input(file_url(sound))
        .audio.filter("atrim", start_sample=begin - first_kept)
        .filter("asetpts", "N/SR/TB")
        .filter("apad", whole_len=n_original)
        .filter("atrim", end_sample=n_original)
        .filter("asetnsamples", _BLOCK, pad=0)
        .filter_multi_output("asplit")
    )
    clip = (
        parts[1]
        .filter("aresample", clock.SAMPLE_RATE_HZ, resampler="soxr", precision=28)
        .filter("aformat", sample_fmts="s16", channel_layouts="mono")
        .filter("apad", whole_len=n_clip)
        .filter("atrim", end_sample=n_clip)
        .filter("asetnsamples", _BLOCK, pad=0)
    )
    run(
        ffmpeg.merge_outputs(
            ffmpeg.output(parts[0], file_url(out_dir / ORIGINAL), **tags),
            ffmpeg.output(clip, file_url(out_dir / AUDIO), **tags),
        ),
        f"cutting the sound of {where}",
    )
    return _Cut(
        start_s=begin / rate_hz,
        samples=n_original,
        channels=kept.channels,
        padded_s=min(missing + late, n_original) / rate_hz,
    )
