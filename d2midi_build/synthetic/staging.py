"""From a screening case and a seed to its frames and its sound: who dances where, when, and before what."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np

from d2midi_build.synthetic import band, camerawork, soundtracks
from d2midi_build.synthetic.anatomy import Array
from d2midi_build.synthetic.dancer import Dance, choreograph
from d2midi_build.synthetic.render import Backdrop, Camera, Image, render
from d2midi_build.synthetic.scenery import BACKDROPS
from d2midi_build.synthetic.screening_cases import Case, case_named
from d2midi_build.synthetic.soundtracks import RATE_HZ

_WALLS: Final = ("grey", "white", "coloured", "gradient", "studio")


@dataclass(frozen=True, eq=False)
class Walker(Dance):
    """A dancer who is carried about.

    Attributes
    ----------
    path : np.ndarray, shape=(n, 3)
        Times (s), and x and z on the stage (m) relative to ``place``; straight lines between.
    """

    path: Array

    def pose(self, times_s: Array) -> tuple[Array, Array]:
        rotations, positions = super().pose(times_s)
        when = np.atleast_1d(times_s)
        x, z = (np.interp(when, self.path[:, 0], self.path[:, k]) for k in (1, 2))
        offset = np.stack([x, np.zeros_like(x), z], axis=1)
        return rotations, positions + offset[:, None]


@dataclass(frozen=True)
class Timing:
    """When things happen in one video: tempi, the first beat of the dance, the music's delay (s)."""

    bpm_dance: float
    bpm_music: float
    first_beat_s: float
    shift_s: float


@dataclass(frozen=True, eq=False)
class Shot:
    """What is drawn from ``start`` to before ``end`` (frames)."""

    start: int
    end: int
    dances: tuple[Dance, ...]
    backdrop: Backdrop
    camera: Camera


def timing(case: Case, seed: int) -> Timing:
    """Tempi and starts of a video; copies and videos with another's music have the other's."""
    if case.copy_of or case.music_of:
        return timing(case_named(case.copy_of or case.music_of), seed)
    rng = _rng(case, seed, "timing")
    bpm, first_s = float(rng.uniform(*case.bpm)), float(rng.uniform(0.3, 0.7))
    low, high = case.shift_s
    shift_s = low
    while low < high:
        shift_s = float(rng.uniform(low, high))
        if 0.25 <= shift_s * bpm / 60 % 1 <= 0.75:
            break
    return Timing(bpm, bpm * case.music_tempo, first_s, shift_s)


def edges(case: Case, seed: int) -> list[int]:
    """First frames of a video's shots, and the number of its frames; a copy is cut as its original."""
    if case.copy_of:
        return edges(case_named(case.copy_of), seed)
    rng = _rng(case, seed, "cuts")
    n = round(case.duration_s * case.fps)
    if case.edit in ("dancers", "walls"):
        inner = (np.cumsum(rng.dirichlet(np.full(5, 12.0)))[:-1] * n).round().astype(int).tolist()
        return [0, *inner, n]
    return [0, round(n * rng.uniform(0.5, 0.75)), n] if case.edit else [0, n]


def shots(case: Case, seed: int) -> list[Shot]:
    """What the video shows, one shot after the other; a copy shows what its original does."""
    if case.copy_of:
        return shots(case_named(case.copy_of), seed)
    rng = _rng(case, seed, "shots")
    camera = _camera(case)
    looks, walls = rng.permutation(4), rng.permutation(len(_WALLS))
    one_wall = BACKDROPS[case.backdrop](camera, rng)
    made = []
    for k, (start, end) in enumerate(itertools.pairwise(edges(case, seed))):
        backdrop, cast = one_wall, case.cast
        if case.edit == "walls":
            backdrop = BACKDROPS[_WALLS[walls[k]]](camera, rng)
        elif case.edit == "busy" and k:
            backdrop = BACKDROPS["posters"](camera, rng)
        elif case.edit == "card" and k:
            backdrop, cast = BACKDROPS["end-card"](camera, rng), "nobody"
        dances = tuple(_CASTS[cast](_Director(case, timing(case, seed), rng, int(looks[k % 4]))))
        made.append(Shot(start, end, dances, backdrop, camera))
    return made


def pictures(case: Case, seed: int) -> Iterator[Image]:
    """The frames of a video, RGB."""
    if case.copy_of:
        treat = _TREATS[case.treat]
        yield from (treat(picture) for picture in pictures(case_named(case.copy_of), seed))
        return
    rng = _rng(case, seed, "frames")
    width, height = case.size_px
    times = np.arange(round(case.duration_s * case.fps)) / case.fps
    path = camerawork.camera_path(case.move, times, rng) if case.move else None
    drawn_at = np.full_like(times, times[len(times) // 2]) if case.grade == "frozen" else times
    for shot in shots(case, seed):
        part = slice(shot.start, shot.end)
        drawn = render(shot.dances, drawn_at[part], shot.camera, shot.backdrop)
        for k, picture in zip(range(shot.start, shot.end), drawn, strict=True):
            if path is not None:
                picture = camerawork.look_through(picture, path[k], width, height)
            picture = _graded(picture, case.grade, rng)
            yield _written_over(picture, case, timing(case, seed), times[k])


def sound(case: Case, seed: int) -> Array | None:
    """The sound of a video.

    Returns
    -------
    np.ndarray, shape=(duration * RATE_HZ, 2), or None
        -1 to 1; None: no sound track.
    """
    if case.copy_of:
        return sound(case_named(case.copy_of), seed)
    if case.audio == "none":
        return None
    origin = case_named(case.music_of) if case.music_of else case
    when = timing(case, seed)
    start_s = when.first_beat_s + when.shift_s
    song = band.compose(_rng(origin, seed, "song"), when.bpm_music, case.duration_s, start_s)
    music = band.render(song, RATE_HZ).astype(np.float64)
    return _AUDIO[case.audio](music, _rng(case, seed, "sound"))


def _rng(case: Case, seed: int, what: str) -> np.random.Generator:
    """A generator of its own for everything that is drawn by chance: a new case changes no other."""
    return np.random.default_rng([seed, zlib.crc32(f"{case.name}/{what}".encode())])


def _camera(case: Case) -> Camera:
    large = camerawork.MARGIN if case.move else 1.0
    width_px, height_px = (2 * round(size * large / 2) for size in case.size_px)
    return Camera(width_px, height_px, case.size_px[1] * 4.6 / case.view_m, (0.0, case.eye_m, 4.6))


# Who is in the picture.


@dataclass(frozen=True, eq=False)
class _Director:
    """Makes up dances of one shot."""

    case: Case
    when: Timing
    rng: np.random.Generator
    look: int

    def dance(self, x: float = 0.0, z: float = 0.0, other: int = 0) -> Dance:
        """A dance at the video's tempo; ``other`` counts further dancers, who look different."""
        # choreograph() itself leaves out every other beat above 150 bpm.
        pace = self.when.bpm_dance / (self.case.beats_per_pose if self.when.bpm_dance <= 150 else 1.0)
        return choreograph(
            self.rng,
            pace,
            self.case.duration_s,
            float(self.rng.uniform(-1, 1)) * self.case.yaw_deg,
            first_beat_s=self.when.first_beat_s,
            place=(x + float(self.rng.uniform(-0.08, 0.08)), z),
            look=self.look + other,
        )

    def walker(self, dance: Dance, points: Sequence[tuple[float, float, float]]) -> Walker:
        """The same dance on a path of (share of the video, x, z)."""
        path = np.array(points, dtype=np.float64) * [self.case.duration_s, 1.0, 1.0]
        fields = {name: getattr(dance, name) for name in dance.__dataclass_fields__}
        return Walker(**fields, path=path)


def _solo(film: _Director) -> list[Dance]:
    return [film.dance()]


def _pair(film: _Director) -> list[Dance]:
    return [film.dance(-0.85), film.dance(0.85, other=1)]


def _close_pair(film: _Director) -> list[Dance]:
    return [film.dance(-0.45, 0.1), film.dance(0.45, -0.2, other=1)]


def _trio(film: _Director) -> list[Dance]:
    return [film.dance(-1.3, -0.2), film.dance(0.0, 0.2, other=1), film.dance(1.3, -0.2, other=2)]


def _crossing(film: _Director) -> list[Dance]:
    turns = np.linspace(0, 1, 5)
    there, back = (
        [(t, side * (1.0 if k % 2 else -1.0), 0.0) for k, t in enumerate(turns)] for side in (1.0, -1.0)
    )
    return [film.walker(film.dance(0, 0.2), there), film.walker(film.dance(0, -0.5, other=1), back)]


def _visitor(share: float) -> Callable[[_Director], list[Dance]]:
    """Somebody slides in from the side, and is in view for that share of the time."""

    def cast(film: _Director) -> list[Dance]:
        step = 0.4 / film.case.duration_s  # share of the video that coming in takes
        # Of the way from 3.4 to 1.3 m, 57 % are in view of a wide picture that shows 2.8 m of height.
        stays = share - 2 * 0.57 * step
        start = float(film.rng.uniform(0.1 + step, 0.9 - stays - step))
        points = [
            *((0.0, 3.4, 0.0), (start, 3.4, 0.0), (start + step, 1.3, 0.0)),
            *((start + step + stays, 1.3, 0.0), (start + 2 * step + stays, 3.4, 0.0)),
        ]
        return [film.dance(-0.5), film.walker(film.dance(other=1), points)]

    return cast


def _far(film: _Director) -> list[Dance]:
    return [film.dance(-0.4), film.dance(3.2, -8.0, other=1)]


def _leaver(film: _Director) -> list[Dance]:
    return [film.walker(film.dance(), [(0.0, 0.0, 0.0), (0.46, 0.0, 0.0), (0.54, 3.6, 0.0)])]


def _closer(film: _Director) -> list[Dance]:
    return [film.walker(film.dance(), [(0.0, 0.0, 0.0), (0.42, 0.0, 0.0), (0.55, 0.0, 2.6)])]


def _standing(film: _Director) -> list[Dance]:
    late = replace(film.when, first_beat_s=film.case.duration_s + 1.0)
    return [replace(film, when=late).dance()]


_CASTS: Final[dict[str, Callable[[_Director], list[Dance]]]] = {
    "solo": _solo,
    "pair": _pair,
    "close-pair": _close_pair,
    "trio": _trio,
    "crossing": _crossing,
    "visitor-10": _visitor(0.1),
    "visitor-50": _visitor(0.5),
    "far": _far,
    "leaver": _leaver,
    "closer": _closer,
    "standing": _standing,
    "nobody": lambda film: [],
}


# What is done to a picture.


def _graded(picture: Image, grade: str, rng: np.random.Generator) -> Image:
    if grade == "grey":
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)
    if grade in ("dark", "bright", "black"):
        gain, lift = {"dark": (0.5, 0.0), "bright": (1.15, 26.0), "black": (0.0, 2.0)}[grade]
        return np.clip(picture * gain + lift, 0, 255).astype(np.uint8)
    if grade == "grain":
        height, width = picture.shape[:2]
        return np.clip(picture + rng.normal(0, 6, (height, width, 1)), 0, 255).astype(np.uint8)
    return picture


def _written_over(picture: Image, case: Case, when: Timing, time_s: float) -> Image:
    if case.overlay == "flash":
        every_s = 6 * 60 / when.bpm_dance
        since_s = (time_s - when.first_beat_s) % every_s
        return camerawork.flash(picture, since_s) if time_s >= when.first_beat_s else picture
    if case.overlay:
        write = {"caption": camerawork.caption, "title": camerawork.title, "logo": camerawork.logo}
        write[case.overlay](picture, time_s)
    return picture


def _cropped(picture: Image) -> Image:
    """Without 9 % at the left and right and 5 % above and below: the dancer stays whole."""
    height, width = picture.shape[:2]
    dx, dy = 2 * round(0.045 * width), 2 * round(0.025 * height)
    return np.ascontiguousarray(picture[dy:-dy, dx:-dx])


def _smaller(picture: Image) -> Image:
    height, width = picture.shape[:2]
    size = (3 * width // 8 * 2, 3 * height // 8 * 2)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


_TREATS: Final[dict[str, Callable[[Image], Image]]] = {
    "mirror": lambda picture: np.ascontiguousarray(picture[:, ::-1]),
    "crop": _cropped,
    "recode": _smaller,
}


# What is heard.


def _both(mono: Array) -> Array:
    return np.repeat(mono[:, None], 2, axis=1)


def _speech(music: Array, rng: np.random.Generator) -> Array:
    """A voice in a room that is never quite silent."""
    seconds = len(music) / RATE_HZ
    voice = 0.09 * soundtracks.babble(rng, seconds) + 0.0006 * soundtracks.noise(rng, seconds, "pink")
    return _both(np.clip(voice, -1, 1))


def _few_words(music: Array, rng: np.random.Generator) -> Array:
    words = _speech(music[: 2 * RATE_HZ], rng)
    start = int(rng.uniform(0.2, 0.6) * len(music))
    mixed = 0.6 * music
    mixed[start : start + len(words)] += words
    return np.clip(mixed, -1, 1)


def _noise(kind: str) -> Callable[[Array, np.random.Generator], Array]:
    return lambda music, rng: _both(np.clip(0.08 * soundtracks.noise(rng, len(music) / RATE_HZ, kind), -1, 1))


_AUDIO: Final[dict[str, Callable[[Array, np.random.Generator], Array]]] = {
    "music": lambda music, rng: music,
    "speech": _speech,
    "speech-over-music": lambda music, rng: np.clip(0.4 * music + _speech(music, rng), -1, 1),
    "few-words": _few_words,
    **{kind: _noise(kind) for kind in ("white", "pink", "crowd")},
    "silence": lambda music, rng: np.zeros_like(music),
    "clipped": lambda music, rng: soundtracks.clipped(music, 14.0),
    "quiet": lambda music, rng: music * 10 ** (-28 / 20),
    "narrow": lambda music, rng: soundtracks.low_passed(music, 3_400.0),
}
