"""The files of a release on this machine: where it lies, or fetched whole, checked and kept.

What is fetched or converted lies below a cache folder, one folder per release, named by the SHA-256 of its SHA256SUMS:

    CACHE/addresses/<hash of the address>.json   which release an address last gave, for when there is no network
    CACHE/<digest>/...                           its files as fetched
    CACHE/<digest>/mapped/...                    see `release.stored`

A file appears there whole or not at all: it is written beside its place under a lock, checked, and moved.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from d2midi_build.digests import sha256_data, sha256_file
from d2midi_build.errors import SchemaError, UsageError
from d2midi_build.release.format import MANIFEST, REMOVED, SUMS

_LOG = logging.getLogger(__name__)
_PIECE: Final = 1 << 20
_TIMEOUT_S: Final = 60
_SUM: Final = re.compile(r"^(?P<digest>[0-9a-f]{64}) [ *](?P<name>.+)$")


@dataclass(frozen=True)
class Files:
    """Where the files of one release are.

    Attributes
    ----------
    location : str
        Path or URL of the release, as the user gave it.
    digest : str
        SHA-256 of its SHA256SUMS: two releases with the same are the same.
    kept : Path
        Folder of what is fetched or made from it; exists only if something was.
    sums : dict
        SHA-256 of every file but SHA256SUMS, by its path in the release.
    """

    location: str
    digest: str
    kept: Path
    sums: Mapping[str, str]

    @property
    def remote(self) -> bool:
        """Whether files have to be fetched."""
        return is_url(self.location)

    def has(self, name: str) -> bool:
        """Whether the release has a file."""
        return name in self.sums

    def path(self, name: str) -> Path:
        """A file of the release on this machine, fetched if need be.

        Raises
        ------
        SchemaError
            If the release has no such file, or what was fetched is not what SHA256SUMS says.
        UsageError
            If it cannot be fetched.
        """
        if name not in self.sums:
            raise SchemaError(f"{self.location}: its {SUMS} has no {name}; is the release complete?")
        if self.remote:
            return self._fetched(name)
        path = Path(self.location, name)
        if not path.is_file():
            raise SchemaError(f"{path} is missing: {SUMS} names it; fetch the release again")
        return path

    def _fetched(self, name: str) -> Path:
        path = self.kept / name
        if path.exists():
            return path
        with locked(path):
            if not path.exists():
                partial = path.with_name(f".{path.name}.partial")
                try:
                    digest = _copy(f"{self.location}/{name}", partial)
                    if digest != self.sums[name]:
                        raise SchemaError(
                            f"{self.location}/{name} is not what {SUMS} says (SHA-256 {digest}, not "
                            f"{self.sums[name]}): the download or the release is damaged. Try again; if it stays so, "
                            "tell whoever publishes it."
                        )
                    partial.replace(path)
                finally:
                    partial.unlink(missing_ok=True)
        return path


def find(location: str | Path, cache: str | Path | None = None) -> Files:
    """The files of the release at a path or URL; of a URL only SHA256SUMS is fetched.

    Parameters
    ----------
    location : str or Path
        Folder or URL of a release. ``http`` and ``https`` are read by Python itself, any other protocol by fsspec.
    cache : str or Path, optional
        Default is ``d2midi/releases`` below ``$XDG_CACHE_HOME``, else below ``~/.cache``.

    Raises
    ------
    UsageError
        If there is no release, or the address cannot be reached and never was.
    SchemaError
        If SHA256SUMS cannot be read.
    """
    kept = (cache_folder() if cache is None else Path(cache)).absolute()
    text = str(location)
    text = text.rstrip("/") if is_url(text) else str(Path(text).expanduser())
    if is_url(text):
        return _find_remote(text, kept)
    folder = Path(text)
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder: give the folder or the URL of a release")
    for name in (MANIFEST, SUMS):
        if not (folder / name).is_file():
            raise UsageError(f"{folder} is no release: it has no {name}")
    digest = sha256_file(folder / SUMS)
    return Files(str(folder.resolve()), digest, kept / digest, _sums(folder / SUMS, text))


def read_removals(location: str | Path) -> pa.Table:
    """A list of removals, from the path or URL of its Parquet file.

    Raises
    ------
    UsageError
        If there is none, or it cannot be read.
    """
    try:
        if not is_url(str(location)):
            path = Path(location).expanduser()
            return pq.ParquetFile(path / REMOVED if path.is_dir() else path).read()
        with _opened(str(location)) as file:
            return pq.ParquetFile(pa.BufferReader(file.read())).read()
    except (OSError, HTTPException, ImportError, ValueError) as error:  # ArrowInvalid is a ValueError
        raise UsageError(f"{location} cannot be read as a list of removals (Parquet): {error}") from error


def cache_folder() -> Path:
    """Where releases are kept by default."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "d2midi", "releases")


def is_url(location: str) -> bool:
    """Whether a location has to be fetched."""
    return "://" in location


class _Unreachable(UsageError):
    """Whether something is at an address cannot be told now."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Be the only one, of all processes, who makes ``path``; the lock ends with the process that holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _find_remote(url: str, cache: Path) -> Files:
    known = cache / "addresses" / f"{sha256_data(url)}.json"
    with locked(known):
        partial = known.with_suffix(".partial")
        try:
            digest = _copy(f"{url}/{SUMS}", partial)
            if MANIFEST not in _sums(partial, url):
                raise _Unreachable(f"{url}/{SUMS} names no {MANIFEST}: it is not that of a release")
        except (_Unreachable, SchemaError) as error:
            if (found := _known(known)) is None:
                raise
            digest = found
            _LOG.warning(
                "%s. Going on with what was fetched from there before, release %s.", error, digest[:12]
            )
        else:
            folder = cache / digest
            folder.mkdir(parents=True, exist_ok=True)
            partial.replace(folder / SUMS)
            partial.write_text(json.dumps({"url": url, "digest": digest}), encoding="utf-8")
            partial.replace(known)
        finally:
            partial.unlink(missing_ok=True)
    return Files(url, digest, cache / digest, _sums(cache / digest / SUMS, url))


def _known(path: Path) -> str | None:
    """The release that an address gave before; None if it never did."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sums(path: Path, location: str) -> dict[str, str]:
    found = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        lines = ["?"]
    for number, line in enumerate(lines, start=1):
        match = _SUM.match(line)
        if match is None or ".." in Path(match["name"]).parts or match["name"].startswith("/"):
            raise SchemaError(
                f"{location}: line {number} of {SUMS} is not a line of `sha256sum`; is it a release?"
            )
        found[match["name"]] = match["digest"]
    return found


def _copy(url: str, target: Path) -> str:
    """Write what is at an address into a file; its SHA-256."""
    digest = hashlib.sha256()
    try:
        with _opened(url) as source, target.open("wb") as file:
            announced = getattr(source, "length", None)  # of an HTTP answer
            while piece := source.read(_PIECE):
                digest.update(piece)
                file.write(piece)
            if announced is not None and file.tell() != announced:
                raise OSError(f"only {file.tell()} of {announced} bytes came")
            file.flush()
            os.fsync(file.fileno())
    except (FileNotFoundError, urllib.error.HTTPError) as error:
        if isinstance(error, urllib.error.HTTPError) and error.code >= 500:
            raise _Unreachable(f"{url} cannot be fetched now: {error}") from error
        raise UsageError(f"{url} is not there ({error}): is the address that of a release?") from error
    except (OSError, HTTPException, ImportError, ValueError) as error:
        # The last two are fsspec's: a protocol that needs another package, and one that it does not know.
        raise _Unreachable(f"{url} cannot be fetched: {error}") from error
    return digest.hexdigest()


def _opened(url: str) -> BinaryIO:
    # fsspec needs another package for http and asks for ranges, which not every server has.
    opened: Any
    if url.startswith(("http://", "https://")):
        opened = urllib.request.urlopen(url, timeout=_TIMEOUT_S)
    else:
        import fsspec

        try:
            opened = fsspec.open(url, "rb").open()
        except FileNotFoundError:
            raise
        except Exception as error:  # each of its many back ends has errors of its own
            raise _Unreachable(f"{url} cannot be fetched: {error or type(error).__name__}") from error
    return opened  # type: ignore[no-any-return]
