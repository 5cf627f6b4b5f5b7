"""What videos of clips are made of: the dance, both sounds, and the finished file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import ffmpeg
import numpy as np
import soundfile
from scipy.io import wavfile

from d2midi_build import clock
from d2midi_build.errors import PermanentError
from d2midi_build.media.ffmpeg import Frame, FrameWriter, file_url, note_decode, os_error, read_frames
from d2midi_build.music.notes import Notes
from d2midi_build.music.synthesis import TAIL_S, synthesise
from d2midi_build.report.roll import Box
from d2midi_build.report.sound import FloatArray, side_by_side

Draw = Callable[[Frame, Frame, int], None]
"""Completes a canvas, given the place of the picture on it, which holds the picture, and the frame's number."""

_AAC_RATES_HZ: Final = (44_100, 48_000)


def film(
    media: Path,
    clip: Mapping[str, Any],
    frames: tuple[int, int],
    notes: Notes,
    size: tuple[int, int],
    picture: Box,
    draw: Draw,
    partial: Path,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Write some frames of a clip as a video (H.264, AAC, MP4): what is drawn, and both sounds.

    A frame of it is a frame of the clip; there is a key frame each second, and the first one has time 0. Left is the
    original sound, channels averaged; right are the notes, played by a synthesiser, as loud as the original. Both start
    with the first frame. The same input gives the same bytes.

    Parameters
    ----------
    media : Path
        The clip's folder, with ``video.mp4`` and ``original.flac``.
    clip : dict
        Its row of the table of clips.
    frames : (int, int)
        The first, and the one after the last.
    notes : Notes
        Seconds from the clip's first frame.
    size : (int, int)
        Width and height of the canvas; even.
    picture : Box
        Where the picture lies on it.
    draw : callable
        Draws everything else.
    partial : Path
        The video, in a folder of its own: the sound is written beside it.
    progress : callable, optional
        Is told now and then which share (0-1) is done.

    Raises
    ------
    PermanentError
        If a file of the clip is missing or does not have the clip's length, or ffmpeg failed.
    TransientError
        If the disk is full.
    """
    sound = partial.with_name("sound.wav")
    sound_rate_hz = _write_sound(media / "original.flac", notes, clip, frames, sound)
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    place = canvas[picture.top : picture.bottom, picture.left : picture.right]
    first, last = frames
    with (
        closing(_pictures(media / "video.mp4", picture, clip, frames)) as pictures,
        FrameWriter(_encoding(size, sound, sound_rate_hz, partial), f"writing {partial.name}") as writer,
    ):
        for frame, shown in enumerate(pictures, first):
            place[:] = shown
            draw(canvas, place, frame)
            writer.write(canvas)
            if progress is not None:
                progress((frame + 1 - first) / (last - first))
        writer.finish()


@contextmanager
def fresh_file(out: Path, folder: tempfile.TemporaryDirectory[str]) -> Iterator[Path]:
    """A path to write to, in ``folder``; moved to ``out`` if all went well. The folder goes in any case.

    Raises
    ------
    PermanentError, TransientError
        In place of what the system refuses.
    """
    with folder as name:
        partial = Path(name) / "video.mp4"
        try:
            yield partial
            partial.replace(out)
        except OSError as error:
            raise os_error(error, f"writing {out}") from error


def fitted(width: int, height: int, most_width: int, most_height: int) -> tuple[int, int]:
    """The largest even size of the same shape that fits."""
    scale = min(most_width / width, most_height / height)
    w, h = (max(2, int(side * scale + 1e-6) // 2 * 2) for side in (width, height))
    return w, h


def missing(clip: Mapping[str, Any], path: Path) -> PermanentError:
    """What to say of a file of a clip that is not there."""
    return PermanentError(f"clip {clip['clip_id']}: {path} is missing; `d2midi build` puts it back")


def wrong_length(clip: Mapping[str, Any], file: str, found: int, expected: int, unit: str) -> PermanentError:
    """What to say of a file of a clip that has another length than the table of clips says."""
    return PermanentError(
        f"clip {clip['clip_id']}: {file} has {found} {unit}, the table of clips says {expected}; "
        "`d2midi validate` tells which files are damaged"
    )


def _pictures(
    video: Path, box: Box, clip: Mapping[str, Any], frames: tuple[int, int]
) -> Generator[Frame, None, None]:
    """The pictures of some frames, scaled to a box; the whole clip's are counted beyond its end."""
    width, height = box.right - box.left, box.bottom - box.top
    first, last = frames
    whole = (first, last) == (0, clip["n_frames"])
    # Half a frame early, since what lies before is dropped; the times say that it was the right one.
    seek = {} if first == 0 else {"ss": f"{clock.frame_time_s(first) - 0.5 / clock.FPS:.3f}", "copyts": None}
    most = {} if whole else {"frames:v": last - first}

    def output(name: str, **options: Any) -> Any:
        scaled = ffmpeg.input(file_url(video), threads=1, **seek).video.filter("scale", width, height)
        return scaled.output(name, **most, **options)

    if not video.is_file():
        raise missing(clip, video)
    note_decode("video", video)
    n_shown = first
    for time_s, picture in read_frames(output, width, height, "bgr24", f"reading {video}"):
        if not whole and round(time_s * clock.FPS) != n_shown:
            raise PermanentError(
                f"clip {clip['clip_id']}: video.mp4 has a frame at {time_s:.3f} s where number {n_shown} should be; "
                "`d2midi validate` tells which files are damaged"
            )
        n_shown += 1
        if n_shown <= last:
            yield picture
    if n_shown != last:
        raise wrong_length(clip, "video.mp4", n_shown, clip["n_frames"], "frames")


def _encoding(size: tuple[int, int], sound: Path, sound_rate_hz: int, out: Path) -> Any:
    """The graph from raw frames and a sound to the finished file."""
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


def _write_sound(
    original: Path, notes: Notes, clip: Mapping[str, Any], frames: tuple[int, int], out: Path
) -> int:
    """Write the stereo sound of some frames as WAV at the original's rate, and return the rate in Hz."""
    if not original.is_file():
        raise missing(clip, original)
    note_decode("audio", original)
    try:
        with soundfile.SoundFile(original) as file:
            rate_hz, n_samples = int(file.samplerate), int(file.frames)
            if n_samples != clip["original_samples"]:
                raise wrong_length(clip, "original.flac", n_samples, clip["original_samples"], "samples")
            first, last = _samples(frames, clip, rate_hz)
            file.seek(first)
            sound: FloatArray = file.read(last - first, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise PermanentError(
            f"clip {clip['clip_id']}: {original} cannot be read; `d2midi validate` tells more", str(error)
        ) from error
    if len(sound) != last - first:
        raise wrong_length(clip, "original.flac", first + len(sound), n_samples, "samples")
    # MIDI's velocities are relative, so the notes' own loudness says nothing: it follows the original's.
    both = side_by_side(sound, _played(notes, frames[0], rate_hz, len(sound)), rate_hz)
    wavfile.write(out, rate_hz, np.rint(both * np.iinfo(np.int16).max).astype(np.int16))
    return rate_hz


def _samples(frames: tuple[int, int], clip: Mapping[str, Any], rate_hz: int) -> tuple[int, int]:
    """First sample of some frames and the one after their last, at any rate; the clip's last is its sound's."""
    first, last = (round(frame * rate_hz / clock.FPS) for frame in frames)
    return first, clip["original_samples"] if frames[1] == clip["n_frames"] else last


def _played(notes: Notes, first: int, rate_hz: int, n_samples: int) -> FloatArray:
    """The notes' sound from a frame on, shape (n_samples, 2); notes that sound on from before it are heard."""
    if first == 0:
        return synthesise(notes, rate_hz, n_samples)
    start_s, end_s = clock.frame_time_s(first), clock.frame_time_s(first) + n_samples / rate_hz
    near = notes.playable().sounding_in(start_s - TAIL_S, end_s)
    earliest_s = float(near.onset_s.min(initial=start_s))
    begin = min(first, int(earliest_s * clock.FPS))
    before = round(first * rate_hz / clock.FPS) - round(begin * rate_hz / clock.FPS)
    shifted = near.shifted(-clock.frame_time_s(begin))
    return synthesise(shifted, rate_hz, before + n_samples)[before:]
