"""Sources before anything is written: a song, a dance to it, and how a tracker sees it.

A source is small: its keypoints are computed when they are asked for, so that a hundred sources can be planned,
spoiled (`sabotage`) and then written one after the other or side by side.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from d2midi_build import clock
from d2midi_build.errors import UsageError
from d2midi_build.motion.keypoints import PARTS, Keypoints
from d2midi_build.motion.kinematic_beats import bridged
from d2midi_build.synthetic.anatomy import Array
from d2midi_build.synthetic.dancer import Dance, choreograph
from d2midi_build.synthetic.kinematics import ARM, AT, FIELDS
from d2midi_build.synthetic.motion import tracked
from d2midi_build.synthetic.releases.genres import GENRES, Genre
from d2midi_build.synthetic.releases.songs import MARGIN_S, Song, compose
from d2midi_build.synthetic.render import Camera

SIZE_PX: Final = 640

_JITTER_S: Final = 0.1
"""Standard deviation of turning points about the beat as the effect goes to 0."""
_RESTLESS: Final = 0.25
"""Standard deviation of the log intervals of a dancer who does not listen."""
_LEAST_TURN_S: Final = 0.25
_LINE_HZ: Final = 0.25
"""Standard deviation of the Gaussian over spectra that leaves no line in them."""
_LEGS: Final = ("hips_x", "hips_z", "crouch", "foot_x", "foot_z", "lift", "turn")
_LIMITS: Final = {
    "raise": (8, 165),
    "elbow": (8, 125),
    "curl": (4, 40),
    "lift": (0, 0.3),
    "crouch": (0, 0.16),
}
"""What `synthetic.dancer` and `synthetic.kinematics` can pose: degrees, and metres for lift and crouch."""


@dataclass(frozen=True, eq=False)
class Source:
    """One video with one clip.

    Attributes
    ----------
    video_id : str
    genre : str
        The label, whatever is danced.
    n_frames : int
        Length of the clip.
    song : Song
    song_start_s : float
        Where in the song the clip begins; ``songs.MARGIN_S`` where dance and music belong together.
    music_group : str
        Goes with the song.
    dance : Dance
        In the clip's time.
    camera : Camera
    tracker : tuple of int
        Seeds the tracker's noise.
    faces : bool
        Whether faces are found: two thirds of a release's bytes, and no part of any rhythm.
    noise : bool
        Whether smooth noise stands in for the keypoints: see `as_noise`.
    """

    video_id: str
    genre: str
    n_frames: int
    song: Song
    song_start_s: float
    music_group: str
    dance: Dance
    camera: Camera
    tracker: tuple[int, ...]
    faces: bool = False
    noise: bool = False

    @property
    def clip_id(self) -> str:
        """The only clip's id."""
        return f"{self.video_id}_00000000"

    def keypoints(self) -> Keypoints:
        """What a tracker makes of the dance."""
        rng = np.random.default_rng(self.tracker)
        found = tracked(self.dance, np.arange(self.n_frames) / clock.FPS, self.camera, rng)
        if not self.faces:
            nothing = np.zeros(len(found), dtype=np.bool_)
            found = replace(found, face=np.full_like(found.face, np.nan), present_face=nothing)
        return as_noise(found, rng) if self.noise else found


def plan(
    seed: int, sources: int, seconds: float, genres: int, effect: float, faces: bool
) -> tuple[Source, ...]:
    """Sources in which dance and music belong together; their genres take turns.

    Each part of a source (song, choreography, timing, tracker) has a generator of its own: another ``effect`` changes
    when the dancer turns and nothing else, more sources change nothing of the first ones.

    Parameters
    ----------
    seed : int
    sources : int
        At least 1.
    seconds : float
        Of each clip; at least 1.
    genres : int
        1-6: the first of `GENRES`.
    effect : float
        0-1: see `turns`.
    faces : bool

    Raises
    ------
    UsageError
        If a number is outside its range; says which.
    """
    for name, value, low, high in (
        ("seed", seed, 0, np.inf), ("sources", sources, 1, np.inf), ("seconds", seconds, 1, np.inf),
        ("genres", genres, 1, len(GENRES)), ("effect", effect, 0, 1),
    ):  # fmt: skip
        if not low <= value <= high:
            raise UsageError(f"{name} is {value}: give a number from {low} to {high}")
    n_frames = clock.whole_frames(seconds)
    return tuple(
        _source(seed, number, GENRES[number % genres], n_frames, effect, faces) for number in range(sources)
    )


def turns(rng: np.random.Generator, beats_s: Array, effect: float, own_s: float) -> Array:
    """When a dancer turns who follows the beat more or less.

    A share ``effect`` of the beats is met, with a deviation of ``(1 - effect) * 0.1`` s; where none is near, the
    dancer goes on in an own time that knows nothing of the music. So at 1 every beat is a turning point, and at 0
    motion and music are independent, tempo included.

    Parameters
    ----------
    rng : np.random.Generator
        Draws as much whatever the effect.
    beats_s : np.ndarray, shape (n,)
        Ascending, seconds, steady.
    effect : float
        0-1.
    own_s : float
        The dancer's own usual interval, seconds.

    Returns
    -------
    np.ndarray, shape (m,)
        Ascending, at least 0.25 s apart.
    """
    met = rng.random(len(beats_s)) < effect
    late_s = (1 - effect) * _JITTER_S * rng.normal(size=len(beats_s))
    on_beat = (beats_s + late_s)[met]
    n_own = int(np.ceil(2 * np.ptp(beats_s) / own_s)) + 8
    intervals_s = own_s * np.exp(_RESTLESS * rng.normal(size=n_own))
    free = beats_s[0] - own_s * rng.random() + np.concatenate([[0.0], np.cumsum(intervals_s)])
    free = free[free < beats_s[-1] + own_s]
    # Within six tenths of a beat met there is no room for another turn: none at all where every beat is met.
    room_s = 0.6 * max(own_s, float(np.median(np.diff(beats_s))))
    far = np.abs(free[:, None] - on_beat[None]).min(axis=1, initial=np.inf) > room_s
    found: list[float] = []
    for turn in np.sort(np.concatenate([on_beat, free[far]])).tolist():
        if not found or turn - found[-1] >= _LEAST_TURN_S:
            found.append(turn)
    return np.array(found)


def as_noise(found: Keypoints, rng: np.random.Generator) -> Keypoints:
    """Keypoints replaced by smooth noise of about the same spectra; where points are missing is left as it is.

    Each principal component of the movement gets random phases of its own (surrogates: Theiler et al., Physica D 58,
    1992) and keeps its power spectrum, smoothed over 0.25 Hz; so coordinates keep their means, their variances and
    how they vary together. With the same phases for all coordinates, or with the line of a foot that leaves the floor
    on every beat, rests would keep a place on the beat, if an unknown one.
    """
    from scipy.ndimage import gaussian_filter1d

    n = len(found)
    moving = [
        (name, found.present(part.presence))
        for name, part in PARTS.items()
        if name != "body_visibility" and found.present(part.presence).any()
    ]
    known = [bridged(found.points(name).astype(np.float64), there).reshape(n, -1) for name, there in moving]
    together = np.concatenate(known, axis=1)
    left, size, right = np.linalg.svd(together - together.mean(axis=0), full_matrices=False)
    power = np.abs(np.fft.rfft(left * size, axis=0)) ** 2
    smooth = np.zeros_like(power)
    smooth[1:] = gaussian_filter1d(power[1:], _LINE_HZ * n / clock.FPS, axis=0)
    phases = np.exp(1j * rng.uniform(0, 2 * np.pi, power.shape))
    noise = np.fft.irfft(np.sqrt(smooth) * phases, n, axis=0) @ right + together.mean(axis=0)
    columns: dict[str, Any] = {}
    ends = np.cumsum([each.shape[1] for each in known])[:-1]
    for (name, there), points in zip(moving, np.split(noise, ends, axis=1), strict=True):
        columns[name] = points.reshape(found.points(name).shape).astype(np.float32)
        columns[name][~there] = np.nan
    return replace(found, **columns)


def _source(seed: int, number: int, genre: Genre, n_frames: int, effect: float, faces: bool) -> Source:
    song_rng, step_rng, time_rng = (np.random.default_rng((seed, number, part)) for part in range(3))
    clip_s = clock.frame_time_s(n_frames)
    song = compose(song_rng, genre, clip_s)
    own_s = 60.0 / float(time_rng.triangular(*genre.tempo_bpm))
    turns_s = turns(time_rng, song.beats_s - MARGIN_S, effect, own_s)
    camera = _camera(step_rng)
    # As many poses as there could be turns: what is drawn after them must not depend on the effect.
    n_poses = int(np.ceil((clip_s + 3 * MARGIN_S) / _LEAST_TURN_S))
    video_id = f"syn-{number:05d}"
    return Source(
        video_id=video_id,
        genre=genre.name,
        n_frames=n_frames,
        song=song,
        song_start_s=MARGIN_S,
        music_group=video_id,
        dance=_dance(step_rng, genre, turns_s, n_poses),
        camera=camera,
        tracker=(seed, number, 3),
        faces=faces,
    )


def _dance(rng: np.random.Generator, genre: Genre, turns_s: Array, n_poses: int) -> Dance:
    """A choreography with the genre's amplitudes, each dancer's own a little larger or smaller."""
    gains = dict(zip(("arms", "legs", "trunk"), np.exp(0.12 * rng.normal(size=3)), strict=True))
    made = choreograph(
        rng,
        60.0,
        float(n_poses),
        yaw_deg=float(rng.uniform(-25, 25)),
        place=(float(rng.uniform(-0.2, 0.2)), float(rng.uniform(-0.2, 0.2))),
    )
    rest, keys = made.keys[0], made.keys[: len(turns_s)].copy()
    for name in FIELDS:
        bare = name.removeprefix("left_").removeprefix("right_")
        group = "arms" if bare in ARM else "legs" if bare in _LEGS else "trunk"
        at = AT[name]
        keys[:, at] = rest[at] + getattr(genre, group) * gains[group] * (keys[:, at] - rest[at])
        keys[:, at] = np.clip(keys[:, at], *_LIMITS.get(bare, (-np.inf, np.inf)))
    return replace(made, beats_s=turns_s, keys=keys)


def _camera(rng: np.random.Generator) -> Camera:
    height_m, away_m = float(rng.uniform(1.0, 1.3)), float(rng.uniform(4.4, 5.4))
    return replace(Camera.framing(SIZE_PX, SIZE_PX), position_m=(0.0, height_m, away_m))
