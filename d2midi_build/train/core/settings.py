"""What a training run is asked for, and its learning rate at every update."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal, get_args

from d2midi_build.errors import UsageError

Schedule = Literal["paper", "constant"]
Amp = Literal["auto", "off", "bf16", "fp16"]
Device = Literal["auto", "cpu", "cuda"]

_FREE: Final = frozenset(
    {"steps", "accumulate", "workers", "device", "checkpoint_every", "log_every", "tensorboard"}
)
"""Settings that may differ when a run is taken up again: they do not change what an update learns."""


@dataclass(frozen=True)
class Settings:
    """Settings of a training run.

    Attributes
    ----------
    steps : int
        Updates of the weights, in all.
    batch : int
        Examples of one update, over all pieces and all processes together: what is learned depends neither on
        ``accumulate`` nor on how many processes there are, but for rounding. Default is 32.
    lr : float
        Peak learning rate of Adam. Default is 7e-4 [Dance2MIDI, section 5.3].
    betas : (float, float)
        Default is (0.9, 0.98); the paper prints 0.9 for the second, very likely a slip.
    eps : float
        Default is 1e-9.
    schedule : str
        "paper" (see `rate`) or "constant". Default is "paper".
    warmup : int
        Updates until "paper" has its peak. Default is 6000.
    clip_norm : float or None
        Gradients whose L2 norm over all weights is greater are scaled down to it. Default is 1.0; None never.
    accumulate : int
        Pieces in which each process computes its share of a batch, for less memory. Default is 1.
    seed : int
        Of the order of examples and of all random numbers while training. Default is 0.
    amp : str
        Reduced precision, on GPUs only: "bf16", "fp16" (with scaled losses), "off", or "auto", bf16 where the GPU
        has it, else fp16. A CPU always computes in float32: bf16 gave NaN on an AMD one. Default is "auto".
    device : str
        "cpu", "cuda", or "auto", a GPU where there is one. Default is "auto".
    workers : int
        Processes that read examples ahead; 0 reads in this one. Default is 0.
    checkpoint_every, log_every : int
        Updates between checkpoints (and evaluations) and between rows of the log. Defaults are 1000 and 50.
    best : str
        Metric that says which checkpoint is the best. Default is "loss".
    best_is : str
        "lowest" or "highest". Default is "lowest".
    tensorboard : bool
        Write what is logged for TensorBoard too. Default is False.

    Raises
    ------
    UsageError
        If a value is impossible.
    """

    steps: int
    batch: int = 32
    lr: float = 7e-4
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-9
    schedule: Schedule = "paper"
    warmup: int = 6000
    clip_norm: float | None = 1.0
    accumulate: int = 1
    seed: int = 0
    amp: Amp = "auto"
    device: Device = "auto"
    workers: int = 0
    checkpoint_every: int = 1000
    log_every: int = 50
    best: str = "loss"
    best_is: Literal["lowest", "highest"] = "lowest"
    tensorboard: bool = False

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "warmup", "accumulate", "checkpoint_every", "log_every"):
            _check(name, getattr(self, name), getattr(self, name) >= 1, "at least 1")
        for name in ("seed", "workers"):
            _check(name, getattr(self, name), getattr(self, name) >= 0, "at least 0")
        for name in ("lr", "eps", "clip_norm"):
            value = getattr(self, name)
            if value is not None:
                _check(name, value, math.isfinite(value) and value > 0, "a finite number above 0")
        _check(
            "betas", self.betas, all(0 <= beta < 1 for beta in self.betas), "two numbers from 0 to below 1"
        )
        choices = {"schedule": get_args(Schedule), "amp": get_args(Amp), "device": get_args(Device)}
        for name, known in {**choices, "best_is": ("lowest", "highest")}.items():
            _check(name, getattr(self, name), getattr(self, name) in known, f"one of {', '.join(known)}")

    def rate(self, step: int) -> float:
        """Learning rate of an update; the first is step 1.

        "paper": ``lr * min(step / warmup, sqrt(warmup / step))``, a linear rise to the peak and then the inverse
        square root [Dance2MIDI, section 5.3]: with 7e-4 and 6000, 3.5e-4 at steps 3000 and 24,000.
        """
        if self.schedule == "constant":
            return self.lr
        return self.lr * min(step / self.warmup, math.sqrt(self.warmup / step))

    def share(self, processes: int) -> int:
        """Examples in one piece of a batch on one of so many processes.

        Raises
        ------
        UsageError
            If a batch cannot be cut into equal pieces.
        """
        pieces = self.accumulate * processes
        if self.batch % pieces:
            raise UsageError(
                f"settings: batch = {self.batch} cannot be cut into {self.accumulate} equal pieces on each of "
                f"{processes} processes: choose a multiple of {pieces}"
            )
        return self.batch // pieces

    def as_data(self) -> dict[str, Any]:
        """Plain data, as JSON gives it back."""
        return {**asdict(self), "betas": list(self.betas)}

    def differences(self, earlier: dict[str, Any]) -> list[str]:
        """Settings that stand in the way of going on with an earlier run, as "name = earlier, not now"."""
        mine = self.as_data()
        names = [each.name for each in fields(self) if each.name not in _FREE]
        return [
            f"{name} = {earlier.get(name)!r}, not {mine[name]!r}"
            for name in names
            if earlier.get(name) != mine[name]
        ]


def _check(name: str, value: object, right: bool, wanted: str) -> None:
    if not right:
        raise UsageError(f"settings: {name} = {value!r} must be {wanted}")
