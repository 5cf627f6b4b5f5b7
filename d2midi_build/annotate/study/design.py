"""Which dance is shown with which music, in what order, and under which name.

The names of stimuli are keyed digests (HMAC-SHA256): without the study's secret nobody can tell from a task, or from
the name of a file, what made the music, or which stimuli belong together. The secret, and what each name stands for,
lie in ``annotation/study/<name>.json``, which no project of d2midi has Label Studio serve.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from d2midi_build import clock
from d2midi_build.errors import UsageError
from d2midi_build.workspace import Workspace

FOLDER: Final = Path("annotation", "study")
"""Where studies lie, below the workspace."""

ORIGINAL: Final = "@original"
NOTES: Final = "@notes"
"""What a method may name instead of a folder: the clips' own sound, and their notes."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGITS: Final = 16


@dataclass(frozen=True)
class Dance:
    """A part of a clip.

    Attributes
    ----------
    name : str
        ``<clip_id>`` or ``<clip_id>_<start_frame>``: what files of music are called.
    clip_id : str
    start_frame, n_frames : int
    """

    name: str
    clip_id: str
    start_frame: int
    n_frames: int

    @property
    def start_s(self) -> float:
        """Where it begins in the clip."""
        return clock.frame_time_s(self.start_frame)

    @property
    def length_s(self) -> float:
        """How long it is."""
        return clock.frame_time_s(self.n_frames)


@dataclass(frozen=True)
class Stimulus:
    """A dance with a method's music.

    Attributes
    ----------
    token : str
        Its name for the outside.
    dance, method : str
    place : int
        From 1, in the order in which stimuli are shown.
    music : str
        SHA-256 of the file of music; empty for what the workspace has itself.
    """

    token: str
    dance: str
    method: str
    place: int
    music: str = ""


@dataclass(frozen=True)
class Study:
    """A study as it was sent.

    Attributes
    ----------
    name : str
    seed : int
        Of the order, and of all resampling.
    secret : str
        Hex; what keeps names from being guessed.
    methods : mapping of str to str
        Where each method's music was taken from.
    dances : tuple of Dance
    stimuli : tuple of Stimulus
        By place.
    """

    name: str
    seed: int
    secret: str
    methods: Mapping[str, str]
    dances: tuple[Dance, ...]
    stimuli: tuple[Stimulus, ...]

    def key(self, stimulus: Stimulus) -> str:
        """A stimulus's task key."""
        return f"study/{self.name}/{stimulus.token}"

    def pseudonym(self, email: str) -> str:
        """A rater's name in tables that may be shown around; the same person always has the same."""
        return f"rater-{_digest(self.secret, 'rater', email.lower())[:8]}"

    def same_as(self, other: Study) -> bool:
        """Whether it shows the same music for the same dances."""
        return {(each.dance, each.method, each.music) for each in self.stimuli} == {
            (each.dance, each.method, each.music) for each in other.stimuli
        } and set(self.dances) == set(other.dances)

    def data(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "name": self.name,
            "seed": self.seed,
            "secret": self.secret,
            "methods": dict(self.methods),
            "dances": [asdict(dance) for dance in self.dances],
            "stimuli": [asdict(stimulus) for stimulus in self.stimuli],
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Study:
        """From `data`; raises ``KeyError`` or ``TypeError`` if that is of something else."""
        return cls(
            data["name"],
            data["seed"],
            data["secret"],
            dict(data["methods"]),
            tuple(Dance(**dance) for dance in data["dances"]),
            tuple(Stimulus(**stimulus) for stimulus in data["stimuli"]),
        )


def plan(
    name: str,
    dances: Sequence[Dance],
    methods: Mapping[str, str],
    music: Mapping[tuple[str, str], str],
    seed: int,
    secret: str | None = None,
) -> Study:
    """A study of every dance with every method's music.

    Parameters
    ----------
    name : str
    dances : sequence of Dance
    methods : mapping of str to str
        Method to where its music comes from.
    music : mapping of (str, str) to str
        SHA-256 of the file of each dance and method; those the workspace has itself may lack.
    seed : int
        Of the order.
    secret : str, optional
        Hex. Default: a new one of 32 random bytes.

    Raises
    ------
    UsageError
        With fewer than two methods or without a dance, or if a name cannot be.
    """
    for each in (name, *methods):
        if not _NAME.fullmatch(each):
            raise UsageError(f"{each!r} cannot be a name here: use letters, digits, dot, hyphen, underscore")
    if len(methods) < 2:
        raise UsageError("a study compares methods: give --method NAME=FOLDER at least twice")
    if not dances:
        raise UsageError("there is no dance to show")
    secret = secrets.token_hex(32) if secret is None else secret
    shown = order([dance.name for dance in dances], list(methods), np.random.default_rng(seed))
    stimuli = tuple(
        Stimulus(
            _digest(secret, dance, method)[:_DIGITS], dance, method, place, music.get((dance, method), "")
        )
        for place, (dance, method) in enumerate(shown, 1)
    )
    return Study(name, seed, secret, dict(methods), tuple(dances), stimuli)


def order(dances: Sequence[str], methods: Sequence[str], rng: np.random.Generator) -> list[tuple[str, str]]:
    """In which order dances with their methods are shown.

    As many rounds as there are methods; each round shows every dance once. Each dance meets the methods in an order of
    its own, and a round has each method as often as any other, give or take one: so no method gains by coming first.
    No dance comes twice running, if there is more than one.

    Parameters
    ----------
    dances, methods : sequence of str
    rng : np.random.Generator

    Returns
    -------
    list of (dance, method)
    """
    lines = [list(rng.permutation(len(methods))) for _ in range(-(-len(dances) // len(methods)))]
    turned = [line[turn:] + line[:turn] for line in lines for turn in range(len(methods))]  # Latin squares
    mine = dict(zip(rng.permutation(list(dances)).tolist(), turned, strict=False))
    shown: list[tuple[str, str]] = []
    for number in range(len(methods)):
        sequence = rng.permutation(list(dances)).tolist()
        if shown and len(sequence) > 1 and sequence[0] == shown[-1][0]:
            sequence.append(sequence.pop(0))
        shown += [(dance, methods[int(mine[dance][number])]) for dance in sequence]
    return shown


def dance_named(name: str, lengths: Mapping[str, int], seconds: float) -> Dance:
    """The dance that a file of music is named after.

    Parameters
    ----------
    name : str
        ``<clip_id>`` or ``<clip_id>_<start_frame>``, as `d2midi evaluate` has it.
    lengths : mapping of str to int
        Frames of the workspace's clips by id.
    seconds : float
        The most that is shown.

    Raises
    ------
    UsageError
        If there is no such clip, or it has no such frame.
    """
    most = max(1, round(seconds * clock.FPS))
    clip_id, _, start = name.rpartition("_")
    if name in lengths:  # ids of clips end in _<milliseconds> themselves
        return Dance(name, name, 0, min(most, lengths[name]))
    if clip_id not in lengths or not start.isdecimal():
        raise UsageError(
            f"no clip of the workspace is called {name}: name files <clip_id>.mid or <clip_id>_<start_frame>.mid"
        )
    left = lengths[clip_id] - int(start)
    if left < 1:
        raise UsageError(f"{name}: clip {clip_id} has {lengths[clip_id]} frames, none numbered {int(start)}")
    return Dance(name, clip_id, int(start), min(most, left))


def path_in(workspace: Workspace, name: str) -> Path:
    """Where a study of this name lies."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a study: use letters, digits, dot, hyphen, underscore"
        )
    return workspace.root / FOLDER / f"{name}.json"


def read(workspace: Workspace, name: str) -> Study | None:
    """The study of a name; None if there is none.

    Raises
    ------
    UsageError
        If its file is damaged, or the name cannot be.
    """
    path = path_in(workspace, name)
    try:
        return Study.from_data(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} cannot be read as a study ({error}): restore it, for without it nobody knows what was rated"
        ) from error


def write(workspace: Workspace, study: Study) -> None:
    """Keep a study, readable for its owner only, whole or not at all.

    Raises
    ------
    UsageError
        If it cannot be written.
    """
    path = path_in(workspace, study.name)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(study.data(), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


def _digest(secret: str, *parts: str) -> str:
    return hmac.new(bytes.fromhex(secret), "\0".join(parts).encode(), "sha256").hexdigest()
