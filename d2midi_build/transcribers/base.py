"""What a transcriber is, and how one is found by name.

Every other module of this package is one transcriber: ``basic_pitch.py`` is ``basic-pitch``. It
defines ``create(**options)``, which returns a `Transcriber`; nothing else has to know about it.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from d2midi_build.engine.base import Report
from d2midi_build.errors import UsageError
from d2midi_build.music.notes import Notes


class Transcriber(ABC):
    """Sound in, notes out.

    Constructing one is cheap. `load` reads models once per worker; `transcribe` calls it if nobody
    did. The same audio gives the same notes whatever was transcribed before.

    Attributes
    ----------
    name : str
        As users write it, e.g. ``"basic-pitch"``.
    version : str
        Changes whenever the same audio may give other notes; part of the stage's key.
    how : frozenset of str
        Options that say how it works and not what it hears, or where models lie, whose digests are told; no part of
        the stage's key.
    cpu_per_s : float
        Processor seconds per second of sound, measured; for plans.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    how: ClassVar[frozenset[str]] = frozenset()
    cpu_per_s: ClassVar[float] = 0.04

    @property
    def brought(self) -> str:
        """What its options call the weights that the user brought; empty if it comes with its own."""
        return ""

    @property
    def names_instruments(self) -> bool:
        """Whether it tells instruments apart; else it calls every note piano."""
        return True

    @property
    def hears_drums(self) -> bool:
        """Whether it writes down drums."""
        return True

    @abstractmethod
    def model_digests(self) -> dict[str, str]:
        """SHA-256 of every model file by file name; part of the stage's key."""

    @abstractmethod
    def load(self) -> None:
        """Read the models; later calls do nothing."""

    @abstractmethod
    def transcribe(
        self, audio: npt.NDArray[np.float32], sample_rate_hz: int, progress: Report | None = None
    ) -> Notes:
        """Notes of a recording, in seconds from its first sample.

        Parameters
        ----------
        audio : np.ndarray, shape (n,) or (n, channels), float32
            Samples at any rate, any length, full scale 1.0.
        sample_rate_hz : int
        progress : callable, optional
            Is told the share done, 0-1, by those that may take hours.

        Raises
        ------
        PermanentError
            If a sample is not a finite number.
        """


def transcriber(name: str, **options: Any) -> Transcriber:
    """The transcriber called ``name``, not loaded yet.

    Raises
    ------
    UsageError
        If there is none of that name; the message lists those there are.
    TypeError
        If it does not know one of the options.
    """
    if name not in transcriber_names():
        raise UsageError(f"no transcriber is called {name!r}; use one of: {', '.join(transcriber_names())}")
    module = importlib.import_module(f"{__package__}.{name.replace('-', '_')}")
    made: Transcriber = module.create(**options)
    return made


def transcriber_names() -> list[str]:
    """Names of all transcribers, sorted."""
    import d2midi_build.transcribers as package

    modules = (module.name for module in pkgutil.iter_modules(package.__path__))
    return sorted(module.replace("_", "-") for module in modules if module != "base")


def one_thread_session(model: Path) -> Any:
    """An ``onnxruntime.InferenceSession`` that computes in one thread.

    Workers are the parallelism, and so sums come out in the same order everywhere.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
