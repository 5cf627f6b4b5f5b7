"""MT3 (Gardner et al., ICLR 2022), the paper's transcriber, and its predecessor for piano.

An inference of our own in PyTorch, which gives the tokens and notes of magenta/mt3 on t5x. The weights are
the user's: ``d2midi models add`` registers them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from d2midi_build import registry
from d2midi_build.engine.base import Report
from d2midi_build.errors import TransientError, UsageError
from d2midi_build.music.audio import checked, is_constant
from d2midi_build.music.instruments import PIANO
from d2midi_build.music.notes import Notes
from d2midi_build.transcribers.base import Transcriber
from d2midi_build.transcribers.mt3.presets import MT3, Preset

if TYPE_CHECKING:
    import torch

    from d2midi_build.transcribers.mt3.checkpoint import Checkpoint
    from d2midi_build.transcribers.mt3.codec import CodedNote
    from d2midi_build.transcribers.mt3.model import Mt3Model


def create(**options: Any) -> Mt3:
    """The transcriber; its options are the parameters of `Mt3`."""
    return Mt3(**options)


@contextmanager
def extra() -> Iterator[None]:
    """Turn a missing package into a `UsageError` that names the extra which brings it."""
    try:
        yield
    except ImportError as error:
        raise UsageError(
            f"MT3 needs the extra `mt3` ({error.name} is missing): uv sync --inexact --extra mt3"
        ) from error


class _Known(NamedTuple):
    """What is known of weights once they were read."""

    digest: str
    preset: Preset
    num_heads: int


class Mt3(Transcriber):
    """Pitches, instruments and drums with the weights ``mt3``, piano with the weights ``ismir2021``.

    Onsets and offsets are in steps of 10 ms; drum hits are 10 ms long. ``p_note`` is the probability that the
    network gave the note's pitch, ``p_instrument`` that of its program: they order notes and are not calibrated.
    With ``mt3`` every velocity is 127, for it says none; with ``ismir2021`` every note is called piano, and
    ``p_instrument`` is 0.

    Parameters
    ----------
    model : str
        Name of registered weights, or the path of a checkpoint.
    decode : {"reference", "argmax"}
        As magenta's notebook decodes (T5X's beam search with one beam), or always the likeliest token.
    precision : {"float32", "bfloat16", "float16"}
        What the network computes in.
    batch : int
        Segments at a time; changes speed and memory only.
    device : {"auto", "cpu", "cuda"}
    """

    name: ClassVar[str] = "mt3"
    version: ClassVar[str] = "1"
    how: ClassVar[frozenset[str]] = frozenset({"model", "batch", "device"})
    cpu_per_s: ClassVar[float] = 0.25

    def __init__(
        self,
        model: str = MT3.name,
        decode: Literal["reference", "argmax"] = "reference",
        precision: Literal["float32", "bfloat16", "float16"] = "float32",
        batch: int = 32,
        device: Literal["auto", "cpu", "cuda"] = "auto",
    ) -> None:
        self._weights, self._decode, self._precision = model, decode, precision
        self._batch, self._device = batch, device
        self._model: Mt3Model | None = None
        self._known: _Known | None = None

    @property
    def brought(self) -> str:
        """Name or path of the weights."""
        return self._weights

    @property
    def names_instruments(self) -> bool:
        """Not the piano weights."""
        return self._weights_known().preset == MT3

    @property
    def hears_drums(self) -> bool:
        """Not the piano weights."""
        return self._weights_known().preset == MT3

    def model_digests(self) -> dict[str, str]:
        """Digest of the weights, the same in whatever form they lie; reads all of them (about a second, once).

        Raises
        ------
        UsageError
            As `load`.
        """
        if self._device == "cuda":
            self._place()  # a whole run would fail for it
        known = self._weights_known()
        return {f"{known.preset.name}, {known.num_heads} heads": known.digest}

    def load(self) -> None:
        """Read the weights and hand them to the device (1-5 s, once).

        Raises
        ------
        UsageError
            If there are no such weights, or they are broken or not those that were registered; if the extra
            `mt3` or a CUDA device that was asked for is missing.
        """
        if self._model is not None:
            return
        checkpoint = self._read()
        with extra():
            import torch

            from d2midi_build.transcribers.mt3.model import Mt3Model

        dtype = getattr(torch, self._precision)
        self._model = Mt3Model(checkpoint, self._decode, self._place(), dtype, self._batch)

    def transcribe(
        self, audio: npt.NDArray[np.float32], sample_rate_hz: int, progress: Report | None = None
    ) -> Notes:
        """Notes that start within the recording; see `Transcriber.transcribe`."""
        audio = checked(audio, sample_rate_hz)
        if is_constant(audio):
            return Notes.empty()
        self.load()
        assert self._model is not None
        try:
            heard = self._model.hear(audio, sample_rate_hz, progress).notes
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
            raise TransientError(
                f"MT3 has not enough memory for {self._batch} segments at a time: lower `mt3.batch` or `run.workers` "
                "(docs/models.md says what they take)",
                str(error),
            ) from error
        return self._notes(heard).starting_in(0.0, len(audio) / sample_rate_hz)

    def _notes(self, heard: list[CodedNote]) -> Notes:
        if not heard:
            return Notes.empty()
        onset_s, offset_s, pitch, velocity, program, is_drum, p_note, p_program = zip(*heard, strict=True)
        named = self.names_instruments
        return Notes.create(
            onset_s,
            offset_s,
            pitch,
            velocity,
            program if named else PIANO.program,
            is_drum,
            p_note=p_note,
            p_instrument=p_program if named else 0.0,
            origin="mt3" if named else f"{self._weights_known().preset.name}/instrument-unknown",
        )

    def _weights_known(self) -> _Known:
        if self._known is None:
            self._read()
        assert self._known is not None
        return self._known

    def _read(self) -> Checkpoint:
        """All weights, checked against what was registered."""
        with extra():
            from d2midi_build.transcribers.mt3.checkpoint import read

            if importlib.util.find_spec("torch") is None:  # importing it takes seconds
                raise ModuleNotFoundError(name="torch")
        found = registry.find(self._weights)
        if isinstance(found, Path):
            checkpoint = read(found)
        else:
            checkpoint = read(found.path, num_heads=found.num_heads)
            if checkpoint.digest != found.digest:
                raise UsageError(
                    f"the weights at {found.path} are not those registered as {found.name} (digest "
                    f"{checkpoint.digest[:12]}, registered {found.digest[:12]}): bring those back, or register these "
                    f"with `d2midi models add {found.path} --name {found.name} --replace`"
                )
        known = _Known(checkpoint.digest, checkpoint.preset, checkpoint.dimensions.num_heads)
        if self._known not in (None, known):
            raise UsageError(
                f"the weights {self._weights} were exchanged while they were in use: start again"
            )
        self._known = known
        return checkpoint

    def _place(self) -> torch.device:
        with extra():
            import torch

        there = torch.cuda.is_available()
        if self._device == "cuda" and not there:
            raise UsageError('PyTorch finds no CUDA device here: set `mt3.device` to "cpu" or "auto"')
        return torch.device("cuda" if there and self._device != "cpu" else "cpu")


def _out_of_memory(error: RuntimeError) -> bool:
    """Whether PyTorch says so: of CUDA with a class, of a CPU with words."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
