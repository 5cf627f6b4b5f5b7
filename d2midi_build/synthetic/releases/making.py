"""From sources to the contents of a release: files in a folder, rows as a build of real videos has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from d2midi_build import clock, tables
from d2midi_build.digests import sha256_data, sha256_file
from d2midi_build.motion.keypoints import Keypoints, write_frames
from d2midi_build.motion.kinematic_beats import KinematicBeats, Settings, find_kinematic_beats
from d2midi_build.recipe import Recipe
from d2midi_build.release.build import Built, build
from d2midi_build.release.contents import Clip, Contents
from d2midi_build.release.planning import choose
from d2midi_build.stages.beats import decide
from d2midi_build.synchrony.phase import phase_test
from d2midi_build.synthetic.anatomy import Array
from d2midi_build.synthetic.releases.sabotage import Sabotage, leaked, spoiled
from d2midi_build.synthetic.releases.sources import SIZE_PX, Source, plan

_LICENCE: Final = ""
"""One that allows no sound to be passed on by the default recipe: there is none."""
_TOGETHER: Final = 4
"""Seeds, with the seed and the number of sources, what is done to all of them; lower ones are parts of a source."""


@dataclass(frozen=True)
class Made:
    """Contents of a synthetic release.

    Attributes
    ----------
    contents : Contents
    before : dict
        What to give `release.build.build` as ``before``: with a sabotage the splits of the good release, so that
        labels and copies change none; else nothing.
    """

    contents: Contents
    before: Mapping[str, str] = field(default_factory=dict)


def contents(
    folder: Path,
    seed: int,
    *,
    sources: int = 120,
    seconds: float = 60.0,
    genres: int = 6,
    effect: float = 1.0,
    sabotage: Sabotage | None = None,
    faces: bool = False,
    recipe: Recipe | None = None,
    workers: int = 1,
) -> Made:
    """Make sources and write what a release of them needs.

    Parameters
    ----------
    folder : Path
        Gets three files per clip; made where it is missing.
    seed : int
        0 or more: the same arguments give the same bytes.
    sources : int
        One video, song and dancer each; their genres take turns. Default is 120.
    seconds : float
        Of each clip. Default is 60.
    genres : int
        1-6. Default is 6.
    effect : float
        How much motion follows the beat, 0-1: see `sources.turns`. Default is 1.
    sabotage : str, optional
        What is wrong: see `sabotage.spoiled`. ``None``, the default: nothing.
    faces : bool
        Whether faces are found: more than twice the time and bytes. Default is no.
    recipe : Recipe, optional
        Decides review and, with a sabotage, splits: build with the same. Default is the default recipe.
    workers : int
        Processes; they change no byte. With more than one, the caller's main module is imported by each of them.

    Returns
    -------
    Made
        No clip has sound: where the recipe lets any licence pass sound on, set ``release.audio`` to ``none``.

    Raises
    ------
    UsageError
        If a number is outside its range, or the sabotage is unknown, or not possible with so few sources or with
        clips shorter than the recipe's window.
    """
    chosen = recipe or Recipe()
    planned, split_of = spoiled_plan(
        seed,
        sources=sources,
        seconds=seconds,
        genres=genres,
        effect=effect,
        sabotage=sabotage,
        faces=faces,
        recipe=chosen,
    )
    before = split_of if sabotage is not None else {}
    folder.mkdir(parents=True, exist_ok=True)
    clips = tuple(_each(partial(_write, folder, chosen), planned, workers))
    return Made(Contents(tuple(map(_video, planned)), clips), before)


def spoiled_plan(
    seed: int,
    *,
    sources: int = 120,
    seconds: float = 60.0,
    genres: int = 6,
    effect: float = 1.0,
    sabotage: Sabotage | None = None,
    faces: bool = False,
    recipe: Recipe | None = None,
) -> tuple[tuple[Source, ...], dict[str, str]]:
    """Sources with what is wrong with them, and the split of each clip: those of the good release.

    Parameters and errors are those of `contents`.
    """
    planned = plan(seed, sources, seconds, genres, effect, faces)
    stubs = tuple(Clip(_row(source), {}, {}) for source in planned)
    split_of = dict(choose(Contents((), stubs), recipe or Recipe(), {}).split_of)
    if sabotage == "leak":
        return leaked(planned, split_of)
    if sabotage is not None:
        planned = spoiled(planned, sabotage, np.random.default_rng((seed, sources, _TOGETHER)))
    return planned, split_of


def release(
    folder: Path, out: Path, seed: int, *, recipe: Recipe | None = None, workers: int = 1, **options: Any
) -> Built:
    """Make `contents` in a folder and build a release of them.

    Parameters
    ----------
    folder : Path
        For the files it is made of.
    out : Path
        The release's folder.
    seed : int
    recipe : Recipe, optional
        Sections ``window``, ``release`` and ``beats``. Default is the default recipe: windows of 600 frames, every 40.
    workers : int
    **options
        As of `contents`.
    """
    chosen = recipe or Recipe()
    made = contents(folder, seed, recipe=chosen, workers=workers, **options)
    return build(made.contents, out, "1.0.0", "synthetic", chosen, before=made.before, workers=workers)


def _each(write: partial[Clip], sources: Sequence[Source], workers: int) -> Iterator[Clip]:
    if workers == 1:
        yield from map(write, sources)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(write, sources)


def _write(folder: Path, recipe: Recipe, source: Source) -> Clip:
    """A clip's files and its row."""
    files = {name: folder / f"{source.clip_id}.{name}.parquet" for name in ("frames", "notes", "beats")}
    keypoints = source.keypoints()
    notes, musical_s, positions = source.song.heard(source.song_start_s, clock.frame_time_s(source.n_frames))
    kinematic = _kinematic(keypoints, recipe)
    write_frames(files["frames"], keypoints.to_table(np.arange(source.n_frames) / clock.FPS))
    tables.write(files["notes"], notes.to_table())
    tables.write(files["beats"], _beats(kinematic, musical_s, positions))
    digests = {name: sha256_file(path) for name, path in files.items()}
    files["audio"] = folder / f"{source.clip_id}.audio.flac"  # never read: no licence allows it
    digests["audio"] = sha256_data([source.clip_id, "no sound"])
    row = _row(source) | {
        "audio_sha256": digests["audio"],
        **_synchrony(kinematic.times_s, musical_s, recipe),
    }
    return Clip(row, files, digests)


def _kinematic(keypoints: Keypoints, recipe: Recipe) -> KinematicBeats:
    return find_kinematic_beats(
        keypoints.body_world,
        keypoints.present_body,
        body_image=keypoints.body_image,
        settings=Settings(least_prominence=recipe.beats.least_prominence),
    )


def _beats(kinematic: KinematicBeats, musical_s: Array, positions: Any) -> pa.Table:
    """Kinematic beats as found, musical ones as they are."""
    n_kinematic, n_musical = len(kinematic), len(musical_s)
    sure = np.ones(n_musical, np.float32)
    return pa.table(
        {
            "kind": pa.array(["kinematic"] * n_kinematic + ["musical"] * n_musical, pa.string()),
            "beat": pa.array([*range(n_kinematic), *range(n_musical)], pa.int32()),
            "time_s": np.concatenate([kinematic.times_s, musical_s]),
            "position": pa.array([None] * n_kinematic + positions.tolist(), pa.int8()),
            "strength": np.concatenate([kinematic.strengths, sure]),
            "confidence": np.concatenate([kinematic.confidences, sure]),
        }
    )


def _synchrony(kinematic_s: Array, musical_s: Array, recipe: Recipe) -> dict[str, Any]:
    """What a build would say of the beats."""
    found = phase_test(kinematic_s, musical_s)
    return {
        "sync": found.status,
        "sync_lag_s": found.lag_s,
        "review": list(decide({"synchrony": asdict(found)}, recipe).reasons),
    }


def _row(source: Source) -> dict[str, Any]:
    """Columns of the table of clips that do not depend on its files."""
    return {
        "clip_id": source.clip_id,
        "video_id": source.video_id,
        "genre": source.genre,
        "licence": _LICENCE,
        "source_start_s": 0.0,
        "n_frames": source.n_frames,
        "n_samples": clock.frames_to_samples(source.n_frames),
        "width": SIZE_PX,
        "height": SIZE_PX,
        "video_offset_ms": 0.0,
        "tempo_bpm": source.song.bpm,
        "metre": 4,
        "beats_confidence": 1.0,
        "music_group": f"{source.music_group}_00000000",
        "performer_group": f"{source.video_id}_00000000",
        "video_group": source.clip_id,
        "made_by": "{}",
    }


def _video(source: Source) -> dict[str, Any]:
    return {
        "video_id": source.video_id,
        "url": "",
        "site": "synthetic",
        "site_id": source.video_id,
        **dict.fromkeys(("title", "uploader", "channel", "upload_date", "performer", "music"), ""),
        "licence": _LICENCE,
        "genre": source.genre,
        "duration_s": clock.frame_time_s(source.n_frames),
        "width": SIZE_PX,
        "height": SIZE_PX,
        "fps": float(clock.FPS),
        "sha256": sha256_data([source.video_id, "no video"]),
    }
