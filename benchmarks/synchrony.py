"""How well synchrony is told from its absence, on dancers and songs whose beats are known.

    python benchmarks/synchrony.py [--part zero|phase|tempo|tracked|null|envelopes|pooled] [--n N] [--seed S]
    python benchmarks/synchrony.py --part real --workspace DIR

Dancers of ``synthetic/dancer.py`` at 20 frames/s: 20-40 ms of timing jitter per beat, a tenth of the beats left out, no
two moves within 0.28 s, joints with 5 mm of white and 10 mm of slow noise (together 0.077 m/s; MediaPipe's trembling on
somebody who stands is 0.05), 5 % of the frames missing in runs. Their kinematic beats are found from that. Dancers who
hit "on and off" move on all half beats (songs up to 100 bpm), "on or off" on two thirds of them at random. Musical
beats are grids of 70-160 bpm, half of them with a tempo that swings by 3 %, with 10-20 ms of a tracker's jitter; in
``tracked`` and ``pooled``, songs of ``synthetic/band.py`` are rendered.
Shares come with 95 % Clopper-Pearson intervals. Everything follows from the seed.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from d2midi_build import clock, tables
from d2midi_build.motion.kinematic_beats import (
    KinematicBeats,
    Settings,
    bridged,
    find_kinematic_beats,
    joint_speed,
)
from d2midi_build.motion.skeleton import HIPS, LIMBS
from d2midi_build.music.beats import find_beats
from d2midi_build.synchrony.lag import PooledOffset, lag_curve, lags, pooled_offset
from d2midi_build.synchrony.null import BeatsOf, matched_null
from d2midi_build.synchrony.phase import PhaseTest, phase_test
from d2midi_build.synchrony.rhythm import motion_rhythm, onset_rhythm
from d2midi_build.synthetic.band import compose, render
from d2midi_build.synthetic.dancer import choreograph
from d2midi_build.synthetic.slate import click

FloatArray = npt.NDArray[np.float64]
Rng = np.random.Generator

SMOOTHING_S = Settings().position_sigma_s  # of positions and of speed; --smoothing-s sets it
LENGTHS_S = (12.0, 30.0)
BPM = (70.0, 160.0)
SONG_HZ = 22_050
KINDS = ("every beat", "quarter left out", "on and off", "on or off", "half time")
SLOW = {"on and off": 100.0}  # limbs cannot move on every half beat of faster songs


@dataclass(frozen=True, eq=False)
class Music:
    """A grid of beats: from well before the clip to well after it."""

    beats_s: FloatArray
    bpm: float

    def tracked(self, rng: Rng, duration_s: float) -> FloatArray:
        """What a tracker makes of it: those inside, 10-20 ms off."""
        inside = self.beats_s[(self.beats_s > 0) & (self.beats_s < duration_s)]
        return np.sort(inside + rng.normal(0, rng.uniform(0.010, 0.020), len(inside)))


def music(rng: Rng, duration_s: float, kind: str = "") -> Music:
    """A song's beats, for this kind of dancer: steady, or swinging by 3 % within 8-20 s."""
    bpm = float(rng.uniform(BPM[0], SLOW.get(kind, BPM[1])))
    reach = int(np.ceil(duration_s * bpm / 60)) + 12
    times = (np.arange(-8, reach) + rng.uniform()) * 60 / bpm
    if rng.random() < 0.5:
        period = rng.uniform(8, 20)
        times = times + 0.03 * period / (2 * np.pi) * np.sin(2 * np.pi * (times / period + rng.uniform()))
    return Music(times, bpm)


def steps(rng: Rng, grid_s: FloatArray, kind: str) -> FloatArray:
    """Which moments of a grid of beats somebody moves to."""
    if kind == "half time":
        grid_s = grid_s[int(rng.integers(2)) :: 2]
    if kind in ("on and off", "on or off"):
        halves = np.sort(np.concatenate([grid_s, (grid_s[1:] + grid_s[:-1]) / 2]))
        return halves[rng.random(len(halves)) > (0.1 if kind == "on and off" else 0.35)]
    return grid_s[rng.random(len(grid_s)) > (0.25 if kind == "quarter left out" else 0.1)]


def seen(rng: Rng, steps_s: FloatArray, duration_s: float) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Hip-centred joints (n, 33, 3) of a dancer with these beats, as MediaPipe might see them, and where."""
    n = round(duration_s * clock.FPS)
    times = np.arange(n) / clock.FPS
    drawn = choreograph(rng, 100.0, 0.6 * len(steps_s) + 2.0, float(rng.uniform(-30, 30)))
    dance = replace(drawn, beats_s=steps_s, keys=drawn.keys[: len(steps_s)])
    points = dance.landmarks(times)
    slow = rng.normal(0, 1, points.shape)
    for i in range(1, n):
        slow[i] = 0.95 * slow[i - 1] + np.sqrt(1 - 0.95**2) * slow[i]
    points = points + 0.01 * slow + rng.normal(0, 0.005, points.shape)
    points -= points[:, HIPS].mean(axis=1, keepdims=True)
    present = np.ones(n, dtype=np.bool_)
    for start in rng.integers(0, n, round(0.05 * n / 3)):
        present[start : start + int(rng.integers(1, 6))] = False
    points[~present] = np.nan
    return points, present


def jittered(rng: Rng, times_s: FloatArray, sd_s: tuple[float, float] = (0.02, 0.04)) -> FloatArray:
    """Times with a dancer's jitter, in order; limbs need 0.28 s for a move, so one that comes sooner is left out."""
    times = np.sort(times_s + rng.normal(0, rng.uniform(*sd_s), len(times_s)))
    kept = [float(times[0])]
    for time_s in times[1:]:
        if time_s - kept[-1] >= 0.28:
            kept.append(float(time_s))
    return np.array(kept)


def danced(rng: Rng, steps_s: FloatArray, duration_s: float) -> KinematicBeats:
    """Kinematic beats found in a dancer with these beats."""
    points, present = seen(rng, steps_s, duration_s)
    return find_kinematic_beats(points, present, settings=Settings(SMOOTHING_S, SMOOTHING_S))


def tested(beats: KinematicBeats, musical_s: FloatArray) -> PhaseTest:
    """The phase test, as a build calls it."""
    return phase_test(beats.times_s, musical_s)


def share(hits: int, n: int) -> str:
    """A share with its 95 % Clopper-Pearson interval."""
    from scipy.stats import beta

    low = float(beta.ppf(0.025, hits, n - hits + 1)) if hits else 0.0
    high = float(beta.ppf(0.975, hits + 1, n - hits)) if hits < n else 1.0
    return f"{hits / max(n, 1):.3f} ({low:.3f}-{high:.3f})"


def in_time(rng: Rng, kind: str, duration_s: float) -> tuple[PhaseTest, float]:
    """A dancer who goes with the music, shifted by under half a beat: the test, and the shift in seconds."""
    song = music(rng, duration_s, kind)
    late_s = float(rng.uniform(-0.5, 0.5)) * 60 / song.bpm
    moves = jittered(rng, steps(rng, song.beats_s, kind)) + late_s
    return tested(danced(rng, moves, duration_s), song.tracked(rng, duration_s)), late_s


def out_of_time(rng: Rng, ratio: float, kind: str, duration_s: float, wander: float = 0.0) -> PhaseTest:
    """A dancer with the intervals of the music, swings included, at ``ratio`` times its tempo.

    ``wander`` is the standard deviation of each interval, in shares of it: errors that add up.
    """
    song = music(rng, duration_s, kind)
    intervals = np.diff(song.beats_s) / ratio
    intervals = np.concatenate([intervals, np.full(int(0.4 * len(intervals)) + 4, 60 / song.bpm / ratio)])
    walk = np.cumsum(intervals * np.maximum(1 + wander * rng.normal(0, 1, len(intervals)), 0.3))
    grid = walk - walk[4] + rng.uniform(-1, 0) * intervals[0]
    moves = jittered(rng, steps(rng, grid, kind))
    return tested(danced(rng, moves, duration_s), song.tracked(rng, duration_s))


def phase_part(n: int, seed: int) -> None:
    """Dancers in time and out of it."""
    for duration_s in LENGTHS_S:
        print(f"\n{duration_s:.0f} s, in time, {n} each\n")
        print(
            "| dancer | synchronised | not (other tempo) | unknown | harmonic .5/1/2 | lag within 50 ms | median, ms |"
        )
        print("|---|---|---|---|---|---|---|")
        called = total = 0
        for i, kind in enumerate(KINDS):
            rng = np.random.default_rng([seed, 1, i, int(duration_s)])
            found = [in_time(rng, kind, duration_s) for _ in range(n)]
            yes = [(test, late) for test, late in found if test.status == "synchronised"]
            errors = np.array([_off(test, late) for test, late in yes])
            harmonics = "/".join(str(sum(test.harmonic == h for test, _ in yes)) for h in (0.5, 1, 2))
            unknown = sum(test.status == "unknown" for test, _ in found)
            blamed = sum(test.cause == "other_tempo" for test, _ in found)
            print(
                f"| {kind} | {share(len(yes), n)} | {n - len(yes) - unknown} ({blamed}) | {unknown} | {harmonics} | "
                f"{share(int((errors <= 0.05).sum()), len(yes))} | {1000 * np.median(errors):.0f} |"
            )
            called, total = called + len(yes), total + n
        print(f"| all | {share(called, total)} | | | | | |")
        print(f"\n{duration_s:.0f} s, out of time, {n} each; share called synchronised\n")
        print("| tempo | " + " | ".join(KINDS) + " |\n|---" * 1 + "|---" * len(KINDS) + "|")
        wrong, own_tempo = [0, 0, 0], 0
        for j, ratio in enumerate((0.75, 0.8, 0.9, 0.95, 1.05, 1.08, 1.13, 1.2, 1.25, 1.3)):
            cells = []
            for i, kind in enumerate(KINDS):
                rng = np.random.default_rng([seed, 2, i, j, int(duration_s)])
                tests = [out_of_time(rng, ratio, kind, duration_s) for _ in range(n)]
                hits = sum(test.status == "synchronised" for test in tests)
                unknown = sum(test.status == "unknown" for test in tests)
                cells.append(f"{share(hits, n)}" + (f", {unknown} unknown" if unknown else ""))
                wrong = [wrong[0] + hits, wrong[1] + unknown, wrong[2] + n]
                own_tempo += sum(test.cause == "other_tempo" for test in tests)
            print(f"| x {ratio:.2f} | " + " | ".join(cells) + " |", flush=True)
        flagged = wrong[2] - wrong[0] - wrong[1]
        print(
            f"\nall tempi: called synchronised {share(wrong[0], wrong[2])}, flagged {share(flagged, wrong[2])}, "
            f"of those answered {share(flagged, wrong[2] - wrong[1])}; as of another tempo {share(own_tempo, wrong[2])}"
        )
        for wander in (0.03, 0.06, 0.1, 0.2, 0.4):
            cells = []
            for name, draw in (
                ("any tempo", lambda rng: rng.uniform(0.7, 1.4)),
                ("the music's", lambda rng: 1.0),
            ):
                rng = np.random.default_rng([seed, 3, int(100 * wander), int(duration_s)])
                tests = [out_of_time(rng, draw(rng), "every beat", duration_s, wander) for _ in range(n)]
                cells.append(f"{name} {share(sum(t.status == 'synchronised' for t in tests), n)}")
            print(f"intervals wander by {wander:.0%}, called synchronised: " + ", ".join(cells), flush=True)


def _off(test: PhaseTest, late_s: float) -> float:
    """How far the lag is from the true one, modulo what it is known by."""
    assert test.lag_s is not None and test.lag_modulo_s is not None
    error = test.lag_s - late_s
    return abs((error + test.lag_modulo_s / 2) % test.lag_modulo_s - test.lag_modulo_s / 2)


def tempo_part(n: int, seed: int) -> None:
    """The smallest error of tempo that can be told."""
    print(f"\nShare called synchronised by error of tempo, dancers on every beat, {n} each\n")
    errors = (0.0, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04)
    print("| length | " + " | ".join(f"{error:.2%}" for error in errors) + " |\n" + "|---" * 10 + "|")
    for duration_s in LENGTHS_S:
        cells = []
        for j, error in enumerate(errors):
            rng = np.random.default_rng([seed, 4, j, int(duration_s)])
            tests = [out_of_time(rng, 1 + error, "every beat", duration_s) for _ in range(n)]
            cells.append(f"{sum(t.status == 'synchronised' for t in tests) / n:.3f}")
        print(f"| {duration_s:.0f} s | " + " | ".join(cells) + " |", flush=True)


def tracked_part(n: int, seed: int) -> None:
    """Musical beats as `find_beats` hears them in rendered songs, with the true notes."""
    print(f"\nSongs of the band, beats found in their sound and true notes, {n} songs of 14 s\n")
    right = wrong = known = 0
    errors = []
    rng = np.random.default_rng([seed, 5])
    harmonics = {0.5: 0, 1.0: 0, 2.0: 0}
    for i in range(n):
        bpm = float(rng.uniform(*BPM))
        song = compose(rng, bpm, 14.0, start_s=0.5)
        heard = find_beats(render(song, SONG_HZ), SONG_HZ, song.notes)
        if not heard.known:
            continue
        known += 1
        beat_s = 60 / bpm
        grid = 0.5 + beat_s * np.arange(-6, 14 / beat_s + 8)
        late_s = float(rng.uniform(-0.5, 0.5)) * beat_s
        kind = KINDS[i % len(KINDS)]
        test = tested(danced(rng, jittered(rng, steps(rng, grid, kind)) + late_s, 14.0), heard.times_s)
        if test.status == "synchronised":
            right += 1
            harmonics[float(test.harmonic or 0)] += 1
            modulo_s = min(float(test.lag_modulo_s or 0), beat_s)
            error = float(test.lag_s or 0) - late_s
            errors.append(abs((error + modulo_s / 2) % modulo_s - modulo_s / 2))
        ratio = float(rng.choice([0.75, 0.8, 0.9, 0.95, 1.05, 1.13, 1.2, 1.3]))
        other = jittered(rng, steps(rng, (grid - grid[0]) / ratio + grid[0] + rng.uniform(0, beat_s), kind))
        other = np.concatenate([other, other[-1] + np.cumsum(np.full(12, beat_s / ratio))])
        wrong += tested(danced(rng, other, 14.0), heard.times_s).status == "synchronised"
    print(f"beats known {known} of {n}")
    print(f"in time, synchronised: {share(right, known)}; harmonics {harmonics}")
    print(
        f"lag within 50 ms: {share(int((np.array(errors) <= 0.05).sum()), right)}, "
        f"median {1000 * np.median(errors):.0f} ms"
    )
    print(f"another tempo, synchronised: {share(wrong, known)}")


def null_part(n: int, seed: int) -> None:
    """The null of other clips: own music, other music of the same tempo, other music within 4 %."""
    print(f"\nNull of 8 other clips of the tempo, {n} each\n")
    print("| length | dance | median p | p < .05 | p < .2 |\n|---|---|---|---|---|")
    for duration_s, (j, mode) in itertools.product(
        LENGTHS_S,
        enumerate(("in time", "in time, 60 ms late", "in time, any lag", "to other music of the tempo")),
    ):
        rng = np.random.default_rng([seed, 6, j, int(duration_s)])
        ps = []
        for _ in range(n):
            song = music(rng, duration_s)
            beat_s = 60 / song.bpm
            grid = {
                "in time": song.beats_s,
                "in time, 60 ms late": song.beats_s + 0.06,
                "in time, any lag": song.beats_s + rng.uniform() * beat_s,
                "to other music of the tempo": _near(rng, song.bpm, duration_s).beats_s,
            }[mode]
            grid = np.concatenate(
                [grid[0] - beat_s * np.arange(3, 0, -1), grid, grid[-1] + beat_s * np.arange(1, 5)]
            )
            beats = danced(rng, jittered(rng, steps(rng, grid, "every beat")), duration_s)
            others = [_other(rng, song.bpm, duration_s) for _ in range(8)]
            found = matched_null(BeatsOf(beats.times_s, song.tracked(rng, duration_s)), others, rng)
            if found.p is not None:
                ps.append(found.p)
        below = [share(int((np.array(ps) < level).sum()), len(ps)) for level in (0.05, 0.2)]
        print(f"| {duration_s:.0f} s | {mode} | {np.median(ps):.3f} | {below[0]} | {below[1]} |", flush=True)


def _near(rng: Rng, bpm: float, duration_s: float) -> Music:
    """Other music of about this tempo."""
    song = music(rng, duration_s)
    return Music(song.beats_s * song.bpm / (bpm * rng.uniform(0.965, 1.035)), bpm)


def _other(rng: Rng, bpm: float, duration_s: float) -> BeatsOf:
    """Another clip with music of about this tempo."""
    return BeatsOf(np.empty(0), _near(rng, bpm, duration_s).tracked(rng, duration_s))


def zero_part(n: int, seed: int) -> None:
    """Whether no offset measures as none: clicks, bursts, songs; dancers against their own beats."""
    rng = np.random.default_rng([seed, 7])
    n_frames = round(20 * clock.FPS)
    print(f"\nWhere rhythms lie against what made them, ms, mean over {n} (sd)\n")
    kinds: dict[str, list[float]] = {
        "clicks": [],
        "noise bursts": [],
        "notes of songs": [],
        "rest of dancers": [],
    }
    for _ in range(n):
        rate_hz = int(rng.choice([10_240, 22_050, 44_100, 48_000]))
        times = np.cumsum(rng.uniform(0.35, 0.8, 60))
        times = times[times < 19.5]
        for name in ("clicks", "noise bursts"):
            sound = np.zeros(20 * rate_hz)
            for time_s in times:
                event = click(rate_hz) if name == "clicks" else _burst(rng, rate_hz)
                first = round(time_s * rate_hz) - (len(event) // 2 if name == "clicks" else 0)
                sound[first : first + len(event)] += event[: len(sound) - first]
            kinds[name].append(_place(onset_rhythm(sound.astype(np.float32), rate_hz, n_frames), times))
        song = compose(rng, float(rng.uniform(*BPM)), 20.0, start_s=0.5)
        onsets = np.unique(np.round(song.notes.onset_s, 3))
        kinds["notes of songs"].append(_place(onset_rhythm(render(song, SONG_HZ), SONG_HZ, n_frames), onsets))
        moves = jittered(rng, steps(rng, music(rng, 20.0).beats_s, "every beat"))
        points, present = seen(rng, moves, 20.0)
        rhythm = motion_rhythm(points, present)
        kinds["rest of dancers"].append(_place(np.nan_to_num(rhythm), moves[(moves > 0) & (moves < 20)]))
    for name, found in kinds.items():
        print(f"{name}: {1000 * np.mean(found):+.1f} ({1000 * np.std(found):.1f})")


def _burst(rng: Rng, rate_hz: int) -> FloatArray:
    at = np.arange(round(0.08 * rate_hz)) / rate_hz
    return np.exp(-at / 0.02) * rng.normal(0, 0.3, len(at))


def _place(rhythm: npt.NDArray[np.float32], times_s: FloatArray) -> float:
    """By how much a rhythm's bumps are later than some moments, within 150 ms."""
    at_s = np.arange(len(rhythm)) / clock.FPS
    shifts = np.arange(-0.15, 0.1501, 0.002)
    fits = [
        np.corrcoef(np.exp(-0.5 * ((at_s[:, None] - times_s - shift) / 0.06) ** 2).sum(axis=1), rhythm)[0, 1]
        for shift in shifts
    ]
    return float(shifts[int(np.argmax(fits))])


def envelopes_part(n: int, seed: int) -> None:
    """What of a movement goes best with onsets: the rhythm as it is, and others."""
    from scipy.ndimage import gaussian_filter1d

    rng = np.random.default_rng([seed, 9])
    curves: dict[str, list[FloatArray]] = {}
    for i in range(n):
        bpm = float(rng.uniform(*BPM))
        song = compose(rng, bpm, 20.0, start_s=0.25)
        onset = onset_rhythm(render(song, SONG_HZ), SONG_HZ, 20 * clock.FPS)
        grid = 0.25 + 60 / bpm * np.arange(-6, 20 * bpm / 60 + 8)
        points, present = seen(rng, jittered(rng, steps(rng, grid, KINDS[i % len(KINDS)])), 20.0)
        speed = joint_speed(bridged(points[:, LIMBS], present), clock.FPS, Settings())
        trend = gaussian_filter1d(speed, clock.FPS, mode="nearest")
        rhythms = {
            "motion_rhythm": motion_rhythm(points, present),
            "minus speed": -speed,
            "minus speed over its mean within a second": -speed / trend,
            "deceleration, half-wave": np.maximum(-np.gradient(speed), 0.0),
        }
        for name, rhythm in rhythms.items():
            curves.setdefault(name, []).append(lag_curve(np.asarray(rhythm), onset))
    print(f"\nCorrelation with onsets, mean over {n} clips of 20 s\n")
    print("| curve | r at 0 | highest r | its lag, ms |\n|---|---|---|---|")
    for name, found in curves.items():
        z = np.arctanh(np.stack(found))
        mean = np.tanh(z.mean(axis=0))
        clear = z[:, 20].mean() / z[:, 20].std() * np.sqrt(n)
        print(
            f"| {name} | {mean[20]:.3f} (t {clear:.1f}) | {mean.max():.3f} | {1000 * lags()[mean.argmax()]:.0f} |"
        )


def pooled_part(n: int, seed: int) -> None:
    """The pooled curve: offsets found and claimed, by number of clips."""
    songs = 96
    rng = np.random.default_rng([seed, 8])
    print(f"\nPooled offset, {n} draws from {songs} songs of 12 s and 30 s, five kinds of dancers\n")
    print(
        "| length | clips | true offset | ok | offset | unknown | error median ms | off by more than 50 ms |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for duration_s in LENGTHS_S:
        library = [_rhythms(rng, duration_s, i) for i in range(songs)]
        for n_clips in (8, 12, 16, 24, 40):
            for name in ("0 ms", "200 ms", "-300 ms", "random music"):
                answers = []
                for _ in range(n):
                    drawn = rng.choice(songs, n_clips, replace=False)
                    pairs = [
                        library[i].pair(0 if name == "random music" else int(name.split()[0])) for i in drawn
                    ]
                    if name == "random music":
                        turned = np.roll(np.arange(n_clips), int(rng.integers(1, n_clips)))
                        pairs = [_cut(pairs[i][0], pairs[j][1]) for i, j in enumerate(turned)]
                    answers.append(pooled_offset(pairs, rng))
                _print_pooled(f"{duration_s:.0f} s | {n_clips} | {name}", answers, name)


@dataclass(frozen=True, eq=False)
class Library:
    """A clip's rhythm of motion, longer than the clip, and of onsets: both from 0.5 s before it."""

    motion: npt.NDArray[np.float32]
    onset: npt.NDArray[np.float32]

    def pair(self, offset_ms: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Rhythms with the dance later by so much, whole frames up to 0.5 s."""
        frames = round(offset_ms / 1000 * clock.FPS)
        margin = clock.FPS // 2
        n = len(self.onset) - 2 * margin
        return self.motion[margin - frames : margin - frames + n], self.onset[margin : margin + n]


def _rhythms(rng: Rng, duration_s: float, i: int) -> Library:
    whole_s = duration_s + 1.0
    bpm = float(rng.uniform(*BPM))
    song = compose(rng, bpm, whole_s, start_s=0.25)
    grid = 0.25 + 60 / bpm * np.arange(-6, whole_s * bpm / 60 + 8)
    points, present = seen(rng, jittered(rng, steps(rng, grid, KINDS[i % len(KINDS)])), whole_s)
    onset = onset_rhythm(render(song, SONG_HZ), SONG_HZ, round(whole_s * clock.FPS))
    return Library(motion_rhythm(points, present), onset)


def _cut(
    motion: npt.NDArray[np.float32], onset: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], ...]:
    n = min(len(motion), len(onset))
    return motion[:n], onset[:n]


def _print_pooled(row: str, answers: list[PooledOffset], name: str) -> None:
    counts = [
        share(sum(a.status == status for a in answers), len(answers))
        for status in ("ok", "offset", "unknown")
    ]
    errors = "| "
    if name != "random music":
        off = np.array(
            [abs(float(a.offset_ms or 0) - int(name.split()[0])) for a in answers if a.status != "unknown"]
        )
        errors = f"{np.median(off):.0f} | {int((off > 50).sum())}" if len(off) else "| "
    print(f"| {row} | " + " | ".join(counts) + f" | {errors} |", flush=True)


def real_part(workspace: Path) -> None:
    """What is said of the clips of a workspace."""
    from d2midi_build.motion.keypoints import Keypoints, read_frames

    manifests = workspace / "manifests"
    beats = tables.read(manifests / "beats.parquet").to_pylist()
    names = {v["video_id"]: Path(str(v.get("path") or v.get("title") or v["video_id"])).name
             for v in tables.read(manifests / "videos.parquet").to_pylist()}  # fmt: skip
    for clip in tables.read(manifests / "clips.parquet").to_pylist():
        mine = [row for row in beats if row["clip_id"] == clip["clip_id"]]
        times = {
            kind: np.array([r["time_s"] for r in mine if r["kind"] == kind])
            for kind in ("kinematic", "musical")
        }
        frames = Keypoints.from_table(read_frames(workspace / "frames" / f"{clip['clip_id']}.parquet"))
        test = phase_test(times["kinematic"], times["musical"])
        print(f"{names[clip['video_id']]}, {len(frames.present_body) / clock.FPS:.1f} s: {test.explanation}")


PARTS: dict[str, tuple[Callable[[int, int], None], int]] = {
    "zero": (zero_part, 20),
    "phase": (phase_part, 80),
    "tempo": (tempo_part, 100),
    "tracked": (tracked_part, 80),
    "null": (null_part, 100),
    "envelopes": (envelopes_part, 60),
    "pooled": (pooled_part, 60),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=[*PARTS, "real"], help="default: all but real")
    parser.add_argument("--n", type=int, help="of each kind; default: enough for the figures in decision 9")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoothing-s", type=float, help="of the kinematic beats; default: theirs")
    parser.add_argument("--workspace", type=Path, help="for the part real")
    options = parser.parse_args()
    global SMOOTHING_S
    SMOOTHING_S = options.smoothing_s or SMOOTHING_S
    if options.part == "real":
        if options.workspace is None:
            parser.error("--part real needs --workspace")
        real_part(options.workspace)
        return
    for name, (part, n) in PARTS.items():
        if options.part in (None, name):
            part(options.n or n, options.seed)


if __name__ == "__main__":
    main()
