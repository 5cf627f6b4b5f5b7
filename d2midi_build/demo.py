"""The main job on videos whose truth is known: drawn, played, served on loopback, fetched, built, compared.

Three good videos in odd shapes, each with its own dancer and song, and four sources that must not get
through: two dancers, no sound, a still picture, and an address where nothing is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from d2midi_build import clock, tables
from d2midi_build.digests import sha256_data
from d2midi_build.pipeline import Listener, build
from d2midi_build.recipe import Recipe
from d2midi_build.sources.lists import read_sources

if TYPE_CHECKING:
    from d2midi_build.synthetic.videos import Shape

_AUDIO_RATE_HZ: Final = 44_100
_HOST: Final = "127.0.0.1"
_VERSION: Final = 1
"""Raised when the same seed would give other videos."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cast:
    """One source of the demo: how its video is made, and how it has to end.

    ``ends`` is ``windows``, a reason of screening, or ``failed`` for a download that cannot succeed.
    """

    name: str
    ends: str
    suffix: str = ".mp4"
    shape: str = "30fps"
    bpm: float = 110.0
    yaw_deg: float = 0.0
    duration_s: float = 40.0
    dancers: int = 1
    sound: bool = True
    still: bool = False
    exists: bool = True


CASTS: Final = (
    Cast("plain-30fps", "windows", bpm=100.0),
    Cast("irregular-vfr", "windows", suffix=".mkv", shape="vfr", bpm=120.0, yaw_deg=-30.0),
    Cast("late-audio", "windows", suffix=".mov", shape="late-audio", bpm=92.0),
    Cast("two-dancers", "several_people", dancers=2, duration_s=32.0),
    Cast("no-sound", "no_audio", sound=False, duration_s=32.0),
    Cast("still-picture", "still_picture", still=True, duration_s=32.0),
    Cast("not-there", "failed", exists=False),
)


@dataclass(frozen=True)
class ClipResult:
    """One clip against the truth; see ``Result`` for the units."""

    name: str
    yaw_deg: float
    windows: int
    pck: float
    pa_mpjpe_cm: float
    motion_lag_ms: float
    left_right_swaps: float
    av_offset_ms: float
    onset_f1: float
    instrument_f1: float
    drum_f1: float
    beat_f1: float


@dataclass(frozen=True)
class Result:
    """The demo's outcome.

    ``pck`` is PCK at 0.1 torso lengths and ``pa_mpjpe_cm`` the joint error after a similarity fit, both of
    the frontal clips; ``motion_lag_ms`` and ``av_offset_ms`` are the largest of any clip (signed);
    ``left_right_swaps`` the share of frames. Means: ``onset_f1`` of pitched notes (50 ms), ``instrument_f1`` the same
    with the right instrument, ``drum_f1`` of kick, snare, hi-hat, ``beat_f1`` of musical beats (70 ms; 0 if unknown).
    ``unexpected`` names each source that ended otherwise than it should.
    """

    windows: int
    pck: float
    pa_mpjpe_cm: float
    motion_lag_ms: float
    left_right_swaps: float
    av_offset_ms: float
    onset_f1: float
    instrument_f1: float
    drum_f1: float
    beat_f1: float
    seconds: float
    clips: list[ClipResult]
    endings: dict[str, str]
    unexpected: list[str]


def run(folder: Path, seed: int, workers: int | None = None, listener: Listener | None = None) -> Result:
    """Make the videos, serve them, build a workspace from them and compare it with the truth.

    Parameters
    ----------
    folder : Path
        Gets ``web/``, ``urls.txt`` and ``workspace/``; run again, it goes on from what is there.
    seed : int
        Decides dances, songs and looks.
    workers : int, optional
        Processes; one per core by default.
    listener : Listener, optional
        Hears how the build goes.
    """
    started = time.monotonic()
    state = sha256_data([_VERSION, seed, [asdict(cast) for cast in CASTS]])[:8]
    make_videos(folder / "web" / state, seed, workers)
    workspace = folder / "workspace"
    # The site is this process: no need to be gentle with it.
    recipe = Recipe().with_field("crawl.sleep_s", 0.0).with_field("crawl.sleep_requests_s", 0.0)
    with _served(folder / "web", folder / "urls.txt") as address:
        urls = [f"{address}/{state}/{cast.name}{cast.suffix}" for cast in CASTS]
        lines = ["# Written by `d2midi demo`: videos that it made and serves while it runs.", *urls]
        (folder / "urls.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        sources = list(read_sources(folder / "urls.txt"))
        build(sources, workspace, recipe, workers=workers, listener=listener)
    return compare(workspace, seed, time.monotonic() - started)


def make_videos(web: Path, seed: int, workers: int | None = None) -> None:
    """Draw and play every source that exists into a folder of this seed's own; what is there stays."""
    web.mkdir(parents=True, exist_ok=True)
    casts = [cast for cast in CASTS if cast.exists and not (web / f"{cast.name}{cast.suffix}").exists()]
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        list(pool.map(partial(_make_video, web, seed), casts))


def _truth(cast: Cast, seed: int) -> tuple[list[Any], Any]:
    """The dances, in the file's time, and the song, which follows the slate; the same for the same seed."""
    from d2midi_build.synthetic.band import compose
    from d2midi_build.synthetic.dancer import choreograph
    from d2midi_build.synthetic.slate import SLATE_S

    number = CASTS.index(cast)
    rng = np.random.default_rng([seed, number])
    places = [(0.0, 0.0)] if cast.dancers == 1 else [(-0.55, 0.0), (0.55, 0.0)]
    dances = [
        choreograph(
            rng,
            cast.bpm,
            cast.duration_s,
            cast.yaw_deg,
            first_beat_s=SLATE_S,
            place=place,
            look=number + which,
        )
        for which, place in enumerate(places)
    ]
    return dances, compose(rng, cast.bpm, cast.duration_s - SLATE_S, start_s=0.0)


def _shape(cast: Cast) -> Shape:
    """The shape of a source's file; wider where there are two dancers."""
    from d2midi_build.synthetic.videos import SHAPES

    shape = SHAPES[cast.shape]
    return replace(shape, size_px=(960, 640)) if cast.dancers > 1 else shape


def _make_video(web: Path, seed: int, cast: Cast) -> None:
    from d2midi_build.synthetic.band import render
    from d2midi_build.synthetic.videos import write_video

    dances, song = _truth(cast, seed)
    partial_path = web / f".{cast.name}{cast.suffix}"
    write_video(
        partial_path,
        _shape(cast),
        dances,
        render(song, _AUDIO_RATE_HZ).astype(np.float64) if cast.sound else None,
        _AUDIO_RATE_HZ,
        cast.duration_s,
        np.random.default_rng([seed, CASTS.index(cast), 1]),
        frozen_at_s=cast.duration_s / 2 if cast.still else None,
    )
    partial_path.replace(web / f"{cast.name}{cast.suffix}")


def compare(workspace: Path, seed: int, seconds: float) -> Result:
    """Hold a demo's workspace against the truth of its seed."""
    folder = workspace / "manifests"
    names = ("sources", "videos", "takes", "clips")
    found = {name: tables.read(folder / f"{name}.parquet").to_pylist() for name in names}
    notes = tables.read(folder / "notes.parquet")
    beats = tables.read(folder / "beats.parquet")
    by_name = {source["url"].rsplit("/", 1)[-1].partition(".")[0]: source for source in found["sources"]}
    endings, clips = {}, []
    for cast in CASTS:
        source = by_name[cast.name]
        mine = [clip for clip in found["clips"] if clip["video_id"] in source["video_ids"]]
        reasons = {
            reason
            for take in found["takes"]
            if take["video_id"] in source["video_ids"]
            for reason in take["reasons"]
        }
        whole = [clip for clip in mine if clip["n_windows"]]
        if whole:
            endings[cast.name] = "windows"
        else:
            endings[cast.name] = (
                cast.ends if cast.ends in reasons else ",".join(sorted(reasons)) or source["status"]
            )
        clips += [
            _compare_clip(workspace, cast, seed, clip, notes, beats)
            for clip in whole
            if cast.ends == "windows"
        ]
    unexpected = [
        f"{cast.name}: {endings[cast.name]}, should be {cast.ends}"
        for cast in CASTS
        if endings[cast.name] != cast.ends
    ]
    frontal = [clip for clip in clips if clip.yaw_deg == 0.0]

    def mean(of: list[ClipResult], name: str) -> float:
        return float(np.mean([getattr(clip, name) for clip in of])) if of else float("nan")

    def worst(name: str) -> float:
        return max((getattr(clip, name) for clip in clips), key=abs, default=float("nan"))

    return Result(
        windows=sum(clip.windows for clip in clips),
        pck=mean(frontal, "pck"),
        pa_mpjpe_cm=mean(frontal, "pa_mpjpe_cm"),
        motion_lag_ms=worst("motion_lag_ms"),
        left_right_swaps=mean(clips, "left_right_swaps"),
        av_offset_ms=worst("av_offset_ms"),
        onset_f1=mean(clips, "onset_f1"),
        instrument_f1=mean(clips, "instrument_f1"),
        drum_f1=mean(clips, "drum_f1"),
        beat_f1=mean(clips, "beat_f1"),
        seconds=round(seconds, 1),
        clips=clips,
        endings=endings,
        unexpected=unexpected,
    )


def _compare_clip(
    workspace: Path, cast: Cast, seed: int, clip: dict[str, Any], notes: Any, beats: Any
) -> ClipResult:
    import pyarrow.compute as pc

    from d2midi_build.motion.keypoints import Keypoints, read_frames
    from d2midi_build.music.beat_scores import beat_score
    from d2midi_build.music.notes import Notes
    from d2midi_build.music.scores import drum_class_score, instrument_score, onset_score
    from d2midi_build.synthetic.accuracy import left_right_swap_rate, motion_lag_ms, pa_mpjpe_cm, pck
    from d2midi_build.synthetic.render import Camera
    from d2midi_build.synthetic.slate import SLATE_S, clip_av_offset_ms

    (dance,), song = _truth(cast, seed)
    name = clip["clip_id"]
    start_s = clip["source_start_s"]
    seen = Keypoints.from_table(read_frames(workspace / "frames" / f"{name}.parquet"))
    times_s = start_s + np.arange(clip["n_frames"]) / clock.FPS
    camera = Camera.framing(*_shape(cast).size_px)
    stage = dance.landmarks(times_s)
    size = np.array([camera.width_px, camera.height_px])
    true_xy, seen_xy = camera.project(stage), seen.body_image[..., :2] * size
    # MediaPipe's metres have y down and z away from the camera; the stage has y up and z towards it.
    true_world = stage * np.array([1.0, -1.0, -1.0])
    heard = Notes.from_table(notes.filter(pc.equal(notes.column("clip_id"), name)))
    end_s = clock.frame_time_s(clip["n_frames"])
    played = song.notes.shifted(SLATE_S - start_s).starting_in(0.0, end_s)
    music_s = SLATE_S - start_s - 0.1  # the slate's clicks are no music
    heard = heard.starting_in(music_s, end_s)
    true_beats_s = song.beats_s + SLATE_S - start_s
    musical = pc.and_(pc.equal(beats.column("clip_id"), name), pc.equal(beats.column("kind"), "musical"))
    beats_s = beats.filter(musical).column("time_s").to_numpy()
    media = workspace / "clips" / name
    return ClipResult(
        name=cast.name,
        yaw_deg=cast.yaw_deg,
        windows=clip["n_windows"],
        pck=pck(seen_xy, true_xy),
        pa_mpjpe_cm=pa_mpjpe_cm(seen.body_world.astype(np.float64), true_world),
        motion_lag_ms=motion_lag_ms(seen_xy, true_xy),
        left_right_swaps=left_right_swap_rate(seen_xy, true_xy),
        av_offset_ms=clip_av_offset_ms(media / "video.mp4", media / "audio.flac"),
        onset_f1=onset_score(played, heard).f1,
        instrument_f1=instrument_score(played, heard).f1,
        drum_f1=drum_class_score(played, heard).f1,
        beat_f1=beat_score(true_beats_s[true_beats_s < end_s], beats_s[beats_s >= music_s]),
    )


class _Handler(SimpleHTTPRequestHandler):
    """Files of a folder, without a line on stderr per request."""

    def log_message(self, format: str, *args: Any) -> None:
        _log.debug(format, *args)


@contextmanager
def _served(web: Path, urls: Path) -> Iterator[str]:
    """Serve a folder on loopback; on the port an earlier run used if it is free, so that its downloads count."""
    port = 0
    with suppress(OSError, IndexError, ValueError):
        port = int(urls.read_text().splitlines()[1].split(":")[2].split("/")[0])
    handler = partial(_Handler, directory=str(web))
    try:
        server = ThreadingHTTPServer((_HOST, port), handler)
    except OSError:
        server = ThreadingHTTPServer((_HOST, 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{_HOST}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
