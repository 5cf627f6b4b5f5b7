"""The videos that people rate: a dance with a method's music, equally loud for all methods of a dance.

Notes are played by d2midi's synthesiser with the dataset's 13 programs, whoever wrote them: what is rated is the music,
not somebody's choice of sounds. Recorded sound (``@original``, WAV, FLAC) is used as it is, but for its loudness.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from d2midi_build import clock
from d2midi_build.annotate.study.design import NOTES, ORIGINAL, Dance, Stimulus, Study
from d2midi_build.annotate.study.loudness import RATE_HZ, equally_loud
from d2midi_build.errors import PermanentError, UsageError
from d2midi_build.music.notes import Notes
from d2midi_build.workspace import Workspace

FloatArray = npt.NDArray[np.float32]
Music = Mapping[tuple[str, str], Path]
"""File of music by dance and method; a method that names none of its own (``@...``) has none."""

_MIDI: Final = (".mid", ".midi")
_SOUND: Final = (".wav", ".flac")


def folder_of(study: Study) -> Path:
    """Where a study's videos lie, below the workspace's media."""
    return Path("study", study.name)


def music_in(folder: Path) -> dict[str, Path]:
    """The files of music in a folder, by the dance that they are named after.

    Raises
    ------
    UsageError
        If there is no such folder, no music in it, or two files of one name.
    """
    if not folder.is_dir():
        raise UsageError(
            f"there is no folder {folder}: name one with MIDI, WAV or FLAC files, or {ORIGINAL} or {NOTES}"
        )
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in _MIDI + _SOUND or path.name.startswith("."):
            continue
        if path.stem in found:
            raise UsageError(f"{found[path.stem]} and {path.name} are for the same dance: remove one of them")
        found[path.stem] = path
    if not found:
        raise UsageError(
            f"there is no file {', '.join(f'*{ending}' for ending in _MIDI + _SOUND)} in {folder}"
        )
    return found


def make(
    workspace: Workspace,
    study: Study,
    music: Music,
    workers: int = 1,
    done: Callable[[int, int], None] = lambda n, of: None,
) -> None:
    """Make the videos of a study that are missing; they appear whole or not at all, so that it may be stopped.

    Parameters
    ----------
    workspace : Workspace
    study : Study
    music : mapping of (str, str) to Path
    workers : int, optional
        Processes. Default is 1: this one.
    done : callable, optional
        Is told after each dance how many of how many are done.

    Raises
    ------
    UsageError
        If a clip's files are not there.
    PermanentError
        If a file of music or a clip is damaged.
    TransientError
        If the disk is full.
    """
    one = partial(_make, workspace.root, study, dict(music))
    with ExitStack() as stack:
        if workers > 1 and len(study.dances) > 1:
            pool = ProcessPoolExecutor(min(workers, len(study.dances)), mp_context=get_context("spawn"))
            stack.callback(pool.shutdown, cancel_futures=True)
            made: Iterable[None] = pool.map(one, study.dances)
        else:
            made = map(one, study.dances)
        for number, _ in enumerate(made, 1):
            done(number, len(study.dances))


def _make(root: Path, study: Study, music: Music, dance: Dance) -> None:
    """The videos of one dance."""
    workspace, folder = Workspace(root), Workspace(root).media / folder_of(study)
    shown = [stimulus for stimulus in study.stimuli if stimulus.dance == dance.name]
    wanted = [folder / f"{stimulus.token}.mp4" for stimulus in shown]
    if not all(path.exists() for path in wanted):
        sounds = equally_loud([_sound(workspace, study, dance, each, music) for each in shown])
        for path, sound in zip(wanted, sounds, strict=True):
            if not path.exists():
                render(_video(workspace, dance), dance, sound, path)


def played(notes: Notes, length_s: float, start_s: float = 0.0) -> FloatArray:
    """Notes as sound, from a time on: shape (n, 2) at 48 kHz."""
    from d2midi_build.music.synthesis import synthesise

    first, end = round(start_s * RATE_HZ), round((start_s + length_s) * RATE_HZ)
    return synthesise(notes.as_dataset(), RATE_HZ, end)[first:]


def recorded(path: Path, length_s: float, start_s: float = 0.0) -> FloatArray:
    """A sound file from a time on: shape (n, 2) at 48 kHz, silence after its end.

    Raises
    ------
    PermanentError
        If it cannot be read.
    """
    import soundfile
    from scipy.signal import resample_poly

    try:
        with soundfile.SoundFile(path) as file:
            rate_hz = file.samplerate
            file.seek(min(round(start_s * rate_hz), file.frames))
            sound = file.read(round(length_s * rate_hz), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise PermanentError(f"{path} cannot be read as sound: replace it", str(error)) from error
    if not np.isfinite(sound).all():
        raise PermanentError(f"{path} holds samples that are not numbers: replace it")
    stereo = sound[:, :2] if sound.shape[1] > 1 else np.repeat(sound, 2, axis=1)
    if rate_hz != RATE_HZ and len(stereo):
        stereo = resample_poly(stereo, RATE_HZ, rate_hz, axis=0)
    n_samples = round(length_s * RATE_HZ)
    padded = np.zeros((n_samples, 2), np.float32)
    padded[: len(stereo[:n_samples])] = stereo[:n_samples]
    return padded


def render(video: Path, dance: Dance, sound: FloatArray, out: Path) -> None:
    """Write a dance with a sound as MP4, whole or not at all: 20 frames/s, at most 640 x 640 pixels.

    The same dance and sound give the same bytes; nothing in them tells where the sound came from.

    Raises
    ------
    PermanentError
        If the video is damaged.
    TransientError
        If the disk is full.
    """
    from scipy.io import wavfile

    from d2midi_build.media.ffmpeg import os_error, run

    doing = f"making a stimulus of {dance.name}"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            wav = Path(scratch) / "sound.wav"
            wavfile.write(
                wav, RATE_HZ, np.rint(np.clip(sound, -1, 1) * np.iinfo(np.int16).max).astype(np.int16)
            )
            partial = out.with_name(f".{out.stem}.{os.getpid()}.mp4")
            try:
                run(_graph(video, dance, wav, partial), doing)
                partial.replace(out)
            finally:
                partial.unlink(missing_ok=True)
    except OSError as error:
        raise os_error(error, doing) from error


def _graph(video: Path, dance: Dance, wav: Path, out: Path) -> Any:
    import ffmpeg

    from d2midi_build.annotate.excerpt import SIDE_PX, encoding
    from d2midi_build.media.ffmpeg import file_url, note_decode

    note_decode("video", video)
    end = dance.start_frame + dance.n_frames
    picture = (
        ffmpeg.input(file_url(video))
        .video.filter("trim", start_frame=dance.start_frame, end_frame=end)
        .filter("setpts", "PTS-STARTPTS")
        .filter("scale", SIDE_PX, SIDE_PX, force_original_aspect_ratio="decrease", force_divisible_by=2)
    )
    return ffmpeg.output(
        picture, ffmpeg.input(file_url(wav)).audio, file_url(out), t=dance.length_s, **encoding(clock.FPS)
    )


def _sound(workspace: Workspace, study: Study, dance: Dance, stimulus: Stimulus, music: Music) -> FloatArray:
    where = study.methods[stimulus.method]
    if where == ORIGINAL:
        return recorded(_of_clip(workspace, dance, "original.flac"), dance.length_s, dance.start_s)
    if where == NOTES:
        from d2midi_build.report.clips import notes_of

        return played(notes_of(workspace.root, dance.clip_id), dance.length_s, dance.start_s)
    path = music[dance.name, stimulus.method]
    if path.suffix.lower() in _MIDI:
        from d2midi_build.music.midi import read_midi

        return played(read_midi(path), dance.length_s)
    return recorded(path, dance.length_s)


def _video(workspace: Workspace, dance: Dance) -> Path:
    return _of_clip(workspace, dance, "video.mp4")


def _of_clip(workspace: Workspace, dance: Dance, file: str) -> Path:
    path = workspace.root / "clips" / dance.clip_id / file
    if not path.is_file():
        raise UsageError(f"{path} is not there: `d2midi build -w {workspace.root}` makes it")
    return path
