"""Weights that users brought: where they lie, what they are and under which terms they came.

One JSON file, ``$XDG_DATA_HOME/d2midi/models.json`` (default ``~/.local/share``); ``D2MIDI_MODELS`` names another.
It holds no weights: they stay where the user put them.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from d2midi_build.errors import UsageError
from d2midi_build.workspace import write_whole

FORMAT: Final = "d2midi-models"
VERSION: Final = 1
BUCKET: Final = "gs://mt3/checkpoints"
"""Where Magenta's own notebook copies its weights from."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Weights:
    """A checkpoint that somebody registered.

    Attributes
    ----------
    name : str
        As recipes call it.
    kind : str
        The preset it was trained with: ``"mt3"`` or ``"ismir2021"``.
    path : Path
        A T5X folder or a ``.safetensors`` file; absolute.
    digest : str
        Of the parameters, however they are stored (`Checkpoint.digest`).
    num_heads, n_parameters : int
    licence, origin : str
        Terms, and the URL it came from; empty if nobody said.
    added : str
        UTC, e.g. ``"2026-11-26T19:08:47Z"``.
    """

    name: str
    kind: str
    path: Path
    digest: str
    num_heads: int
    n_parameters: int
    licence: str = ""
    origin: str = ""
    added: str = ""

    def data(self) -> dict[str, Any]:
        """Plain data, as it is stored and told."""
        return dataclasses.asdict(self) | {"path": str(self.path)}

    def there(self) -> bool:
        """Whether anything lies at its path, as far as this user can see."""
        return _exists(self.path)

    def same_network(self, other: Weights) -> bool:
        """Whether both give the same notes: parameters, and how they are cut into heads and read."""
        return (self.digest, self.num_heads, self.kind) == (other.digest, other.num_heads, other.kind)


def place() -> Path:
    """The file that lists the weights."""
    if named := os.environ.get("D2MIDI_MODELS"):
        return Path(named)
    home = Path(os.environ.get("XDG_DATA_HOME", ""))
    try:
        return (home if home.is_absolute() else Path.home() / ".local" / "share") / "d2midi" / "models.json"
    except RuntimeError as error:  # as in containers
        raise UsageError(
            f"this user has no home folder to keep a list of models in ({error}): name a file in D2MIDI_MODELS"
        ) from error


def registered() -> dict[str, Weights]:
    """All weights by name, sorted; none if there is no list yet.

    Raises
    ------
    UsageError
        If the list cannot be read, is none of d2midi's, or was written by a newer d2midi.
    """
    path = place()
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(
            f"{path}, the list of models, cannot be read: {error.strerror}. Mend that, or name another file in "
            "D2MIDI_MODELS"
        ) from error
    except (ValueError, RecursionError) as error:  # no JSON or no UTF-8; nested a thousand times
        raise _foreign(path, str(error)) from error
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise _foreign(path, f'it does not say "format": "{FORMAT}"')
    if told.get("version") != VERSION:
        raise UsageError(
            f"{path}, the list of models, has version {told.get('version')!r}, and this d2midi reads {VERSION}: "
            "update d2midi, or name another file in D2MIDI_MODELS"
        )
    try:
        found = [_weights(entry) for entry in told["models"]]
    except (KeyError, TypeError, ValueError) as error:
        raise _foreign(path, f"an entry is damaged: {error}") from error
    return {weights.name: weights for weights in sorted(found, key=lambda weights: weights.name)}


def add(weights: Weights, replace: bool = False) -> Weights:
    """Register weights, or where they lie now.

    Returns
    -------
    Weights
        As they are registered. Where the same ones were, the time stays, and so do a licence and an origin that
        ``weights`` does not say.

    Raises
    ------
    UsageError
        If the name cannot be one, or other weights have it and ``replace`` is not set; as `registered`.
    """
    if not _NAME.fullmatch(weights.name):
        raise UsageError(
            f"{weights.name!r} cannot be the name of a model: use up to 64 letters, digits, '.', '_' and '-', the "
            "first one a letter or digit"
        )
    with _changing() as models:
        known = models.get(weights.name)
        if known is not None and known.same_network(weights):
            weights = dataclasses.replace(
                weights,
                licence=weights.licence or known.licence,
                origin=weights.origin or known.origin,
                added=known.added,
            )
        elif known is not None and not replace:
            raise UsageError(
                f"the name {weights.name} is taken by other weights ({known.kind}, {known.num_heads} heads, digest "
                f"{known.digest[:12]}, {known.path}), and these have {weights.num_heads} heads and digest "
                f"{weights.digest[:12]}: give them another --name, or --replace those"
            )
        models[weights.name] = weights
    return weights


def remove(name: str) -> Weights:
    """Forget weights; no file of theirs is touched.

    Raises
    ------
    UsageError
        If none have that name; as `registered`.
    """
    required(name)  # before a lock is made where nothing is registered
    with _changing() as models:
        try:
            return models.pop(name)
        except KeyError:
            raise _unknown(name, models) from None


def required(name: str) -> Weights:
    """The registered weights of a name; raises `UsageError` if there are none."""
    models = registered()
    if name not in models:
        raise _unknown(name, models)
    return models[name]


def find(name_or_path: str) -> Weights | Path:
    """Weights as a user names them: a registered name, or the path of a checkpoint.

    A name counts before a path. What has neither a slash nor the ending ``.safetensors`` is a name: a folder ``mt3``
    that happens to lie here is ``./mt3``.

    Raises
    ------
    UsageError
        If there is neither, or the registered weights are gone; says what to do.
    """
    models = registered()
    if known := models.get(name_or_path):
        if not known.there():
            raise UsageError(
                f"the weights of {known.name} are not at {known.path} any more, or this user may not see them: bring "
                f"them back, mend the rights, or say where they are with `d2midi models add PATH --name {known.name}`"
            )
        return known
    if "/" in name_or_path or name_or_path.endswith(".safetensors"):
        path = Path(name_or_path)
        with suppress(RuntimeError):  # ~somebody who is not there
            path = path.expanduser()
        if _exists(path):
            return path
    names = (
        f"registered are {', '.join(models)}: `mt3.model` can name one" if models else "none are registered"
    )
    which = name_or_path if name_or_path == "ismir2021" else "mt3"
    raise UsageError(
        f"there are no weights {name_or_path!r}, neither a registered name nor a path with a / ({names}). Magenta's "
        f"are downloaded once, `gsutil -m cp -r {BUCKET}/{which} .`, and registered with `d2midi models add ./{which}` "
        "(docs/models.md)"
    )


@contextmanager
def _changing() -> Iterator[dict[str, Weights]]:
    """The list, to be changed; written when the block ends well. Others wait meanwhile."""
    path = place().resolve()  # a link stays one
    lock = path.with_name(f".{path.name}.lock")
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # as others may write who share the folder, whatever the umask of who comes first
            new = not lock.exists()
            handle = stack.enter_context(lock.open("a"))
            if new:
                lock.chmod(0o666)
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            raise UsageError(
                f"{path}, the list of models, cannot be changed: {error.strerror} ({error.filename or lock}). Mend "
                "that, or name another file in D2MIDI_MODELS"
            ) from error
        models = registered()
        yield models
        entries = [models[name].data() for name in sorted(models)]
        text = json.dumps({"format": FORMAT, "version": VERSION, "models": entries}, indent=1)
        write_whole(path, f"{text}\n".encode())


def _weights(entry: Any) -> Weights:
    """An entry of the list; raises KeyError, TypeError or ValueError if it is none."""
    texts = {
        field: entry[field] for field in ("name", "kind", "path", "digest", "licence", "origin", "added")
    }
    numbers = {field: entry[field] for field in ("num_heads", "n_parameters")}
    for field, value in (texts | numbers).items():
        if type(value) is not (str if field in texts else int):
            raise ValueError(f"{field} is {value!r}")
    return Weights(**texts | numbers | {"path": Path(texts["path"])})


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long, a folder that is closed
        return False


def _unknown(name: str, models: dict[str, Weights]) -> UsageError:
    names = f"registered are {', '.join(models)}" if models else "none are; `d2midi models add` does that"
    return UsageError(f"no model {name!r} is registered ({names})")


def _foreign(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path} is no list of models, or a damaged one: {why}. Move it away and register the models again, or name "
        "another file in D2MIDI_MODELS"
    )
