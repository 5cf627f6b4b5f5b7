"""Files of a run, each written whole or not at all.

FOLDER/
  last.pt         all that is needed to go on: weights, optimiser, random states, place, sums not yet logged
  best.pt         the weights of the best checkpoint, with its step and metrics
  log.jsonl       a row every so many updates, and one for each evaluation
  run.json        the manifest: what was run, on what, and what came of it
  tensorboard/    the log for TensorBoard, if asked for
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final

import torch

from d2midi_build.errors import TrainingError, UsageError

LAST: Final = "last.pt"
BEST: Final = "best.pt"
LOG: Final = "log.jsonl"
MANIFEST: Final = "run.json"
TENSORBOARD: Final = "tensorboard"
FORMAT: Final = 1
"""Of checkpoints and manifests."""


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file beside its place, safely on disk, and move it there.

    Killed at any moment, the place holds the old file or the new one. What is left beside it is overwritten by the
    next run: only one writes in a folder.
    """
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)  # the new name itself
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_checkpoint(path: Path, data: Mapping[str, Any]) -> None:
    """Write a checkpoint: tensors and plain data, so that reading it runs no code.

    Raises
    ------
    TrainingError
        If it cannot be written; the one before stays.
    """
    try:
        write_whole(path, lambda file: torch.save(dict(data), file))
    except (OSError, RuntimeError) as error:  # torch tells a full disk as the latter, in its own words
        raise TrainingError(
            f"{path} cannot be written ({type(error).__name__}): make room or mend the disk, then go on with the same "
            "command"
        ) from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint, its tensors in this machine's memory.

    Raises
    ------
    TrainingError
        If the file is none, or of another format.
    """
    try:
        data: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        found = data["format"]
    except (FileNotFoundError, PermissionError):
        raise
    except (
        OSError,
        RuntimeError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        pickle.UnpicklingError,
    ) as error:
        # Not torch's own words: they advise to read the file with weights_only=False, which runs code in it.
        raise TrainingError(
            f"{path} cannot be read as a checkpoint ({type(error).__name__}): "
            "delete it, or train with resume=False"
        ) from error
    if found != FORMAT:
        raise TrainingError(
            f"{path} is a checkpoint of format {found}, this d2midi reads {FORMAT}: train with resume=False"
        )
    return data


def load_weights(path: Path) -> dict[str, torch.Tensor]:
    """Weights of ``last.pt`` or ``best.pt``, for ``model.load_state_dict``.

    Raises
    ------
    TrainingError
        If the file is no checkpoint.
    """
    weights: dict[str, torch.Tensor] = read_checkpoint(path)["model"]
    return weights


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write plain data as JSON; a number that is none becomes null."""
    text = json.dumps(_plain(data), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(path, lambda file: file.write(text.encode()))


def clear(folder: Path) -> None:
    """Remove what an earlier run left; the checkpoint first, so that nobody goes on with half of it."""
    for name in (LAST, BEST, MANIFEST, LOG):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / TENSORBOARD, ignore_errors=True)


class Log:
    """Rows of numbers in ``log.jsonl``, and for TensorBoard.

    Parameters
    ----------
    folder : Path
        Of the run.
    step : int
        The step that the run is at: rows of later ones, written after the checkpoint, are dropped, since they come
        again.
    tensorboard : bool, optional
        Default is False.

    Raises
    ------
    UsageError
        If TensorBoard is asked for and not installed.
    """

    def __init__(self, folder: Path, step: int, tensorboard: bool = False) -> None:
        self._board = _board(folder / TENSORBOARD, step) if tensorboard else None
        path = folder / LOG
        kept = b"".join(line for line in _whole_lines(path) if json.loads(line)["step"] <= step)
        write_whole(path, lambda file: file.write(kept))
        self._file = path.open("ab")

    def row(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Write a row of a kind, "train" or "evaluation"."""
        text = json.dumps(_plain({"kind": kind, "step": step, **values}), allow_nan=False)
        self._file.write(f"{text}\n".encode())
        self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(f"{kind}/{name}", value, step)
            self._board.flush()  # it would lose its queue if the run were killed

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._board is not None:
            self._board.close()


def _board(folder: Path, step: int) -> Any:
    try:
        board = importlib.import_module("torch.utils.tensorboard")
    except ImportError as error:
        raise UsageError(
            "settings: tensorboard = True, but TensorBoard is not installed: "
            "`pip install 'd2midi[train]'`, or leave it out, the log is in log.jsonl anyway"
        ) from error
    return board.SummaryWriter(log_dir=str(folder), purge_step=step + 1)


def _whole_lines(path: Path) -> list[bytes]:
    """Lines of a file; a last one that was being written when the run was killed is none."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [line for line in lines if line.endswith(b"\n")]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and value - value != 0:  # NaN and the infinities
        return None
    return value
