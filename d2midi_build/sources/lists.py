"""Read the user's list of sources.

A list is a text file (one URL or path per line), a CSV, TSV or Parquet table, a folder of videos, one URL,
or one video file. Nothing is opened or fetched here: a missing video is the failure of one item, found by
the crawl.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from d2midi_build.errors import SourceListError

TEXT_SUFFIXES = frozenset({".txt", ".list"})
TABLE_SUFFIXES = frozenset({".csv", ".tsv"})
PARQUET_SUFFIXES = frozenset({".parquet", ".pq"})
VIDEO_SUFFIXES = frozenset(
    {
        ".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg",
        ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv",
    }
)  # fmt: skip
COLUMNS = ("url", "path", "genre", "performer", "licence", "music", "notes")
_ALIASES = {"license": "licence", "dancer": "performer"}

# Query parameters that say where a link was shared, never what it shows.
_TRACKING = re.compile(r"utm_\w+|fbclid|gclid|igshid|igsh", re.IGNORECASE)
_YOUTUBE_HOSTS = re.compile(r"(?:.+\.)?(?:youtube\.com|youtu\.be)")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Source:
    """One line of the user's list.

    Parameters
    ----------
    source_id : str
        ``s-`` and 16 hex digits of the SHA-256 of ``url``: the same line is the same source on every machine.
    url : str
        The normalised URL, or the local path as written (with ``/``, without ``./``).
    kind : {"url", "file"}
        Whether ``url`` is fetched or opened.
    path : Path or None
        Where the file lies, absolute; None for a URL. Never write it into an artefact: it names this machine.
    genre, performer, licence, music, notes : str
        As written; empty when the list does not say. ``music`` is the piece's id, which a split may not
        separate.
    origin : str
        ``list.csv:12``: where it was written.
    extra : Mapping[str, str]
        Columns that d2midi does not know, kept as text.
    """

    source_id: str
    url: str
    kind: Literal["url", "file"]
    path: Path | None = None
    genre: str = ""
    performer: str = ""
    licence: str = ""
    music: str = ""
    notes: str = ""
    origin: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceList:
    """What a list said.

    Parameters
    ----------
    sources : tuple of Source
        In the list's order, each ``source_id`` once.
    duplicates : int
        How many lines repeated an earlier one and were merged into it.
    warnings : tuple of str
        Repeated lines whose genre, performer, licence... differ from the first, which is the one kept.
    """

    sources: tuple[Source, ...]
    duplicates: int = 0
    warnings: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Source]:
        return iter(self.sources)

    def __len__(self) -> int:
        return len(self.sources)


def read_sources(where: str | Path) -> SourceList:
    """Read a list of sources.

    Parameters
    ----------
    where : str or Path
        A list (.txt, .csv, .tsv, .parquet), a folder of videos (searched in depth), one URL, or one video
        file. Relative paths inside a list are relative to the list's folder.

    Raises
    ------
    SourceListError
        The list is missing, empty, not UTF-8, of an unknown kind, or a line of it cannot be understood.
    """
    text = str(where)
    if _SCHEME.match(text):
        return _merge([_source({"url": text}, Path(), origin="command line")], text)
    path = Path(where)
    suffix = path.suffix.lower()
    if path.is_dir():
        return _merge(_folder(path), text)
    if not path.exists():
        raise SourceListError(
            f"{path}: no such file or folder. Give a list, a folder of videos, or a URL with https://"
        )
    if suffix in VIDEO_SUFFIXES:
        return _merge([_source({"path": text}, Path(), origin="command line")], text)
    if suffix in TEXT_SUFFIXES:
        return _merge(_text_lines(path), text)
    if suffix in TABLE_SUFFIXES:
        return _merge(_csv_rows(path), text)
    if suffix in PARQUET_SUFFIXES:
        return _merge(_parquet_rows(path), text)
    known = ", ".join(sorted(TEXT_SUFFIXES | TABLE_SUFFIXES | PARQUET_SUFFIXES))
    raise SourceListError(
        f"{path}: the extension '{path.suffix}' is neither a list ({known}) nor a video. Rename it."
    )


def merge_lists(lists: Iterable[SourceList]) -> SourceList:
    """Join several lists into one, as if their lines stood in one file.

    Raises
    ------
    SourceListError
        Two lists write two different files in the same way (``a.mp4`` beside each list).
    """
    given = list(lists)
    joined = _merge((source for each in given for source in each), "the given lists")
    return SourceList(
        joined.sources,
        joined.duplicates + sum(each.duplicates for each in given),
        tuple(warning for each in given for warning in each.warnings) + joined.warnings,
    )


def write_sources(table: pa.Table, out: Path) -> None:
    """Write a table of sources as CSV, TSV or Parquet, by ``out``'s extension.

    Raises
    ------
    SourceListError
        Another extension.
    """
    suffix = out.suffix.lower()
    partial = out.with_name(out.name + ".part")
    if suffix in PARQUET_SUFFIXES:
        pq.write_table(table, partial)
    elif suffix in TABLE_SUFFIXES:
        with partial.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, delimiter="\t" if suffix == ".tsv" else ",", lineterminator="\n")
            writer.writerow(table.column_names)
            for row in table.to_pylist():
                writer.writerow("" if value is None else value for value in row.values())
    else:
        raise SourceListError(
            f"{out}: a table of sources is written as .csv, .tsv or .parquet, not '{out.suffix}'"
        )
    partial.replace(out)


def normalise_url(url: str) -> str:
    """Two spellings of one address become one; nothing that could change what it shows is touched.

    Scheme and host in lower case, no default port, no fragment, no tracking parameters. What two addresses
    of one video have in common beyond that (``youtu.be`` and ``watch?v=``) only the site's own id says:
    ``crawl.identity.video_id``.

    Raises
    ------
    ValueError
        Not an http(s) URL with a host, or it holds a password.
    """
    if re.search(r"[\s\x00-\x1f]", url):
        raise ValueError("has a space in it; write one URL per line, with spaces as %20")
    parts = urllib.parse.urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        raise ValueError(
            f"has the scheme '{parts.scheme}'; only http and https are fetched, and a local path has none"
        )
    host, port = (parts.hostname or "").lower(), parts.port
    if not host:
        raise ValueError("has no host")
    if "@" in parts.netloc:
        raise ValueError(
            "holds a user name or password, which would end up in the dataset; use a cookies file"
        )
    netloc = f"[{host}]" if ":" in host else host
    if port is not None and port != _DEFAULT_PORTS[scheme]:
        netloc += f":{port}"
    kept = [
        pair
        for pair in parts.query.split("&")
        if not _TRACKING.fullmatch(pair.partition("=")[0])
        and not (pair.startswith("si=") and _YOUTUBE_HOSTS.fullmatch(host))
    ]
    return urllib.parse.urlunsplit((scheme, netloc, parts.path or "/", "&".join(kept), ""))


def source_id(url: str) -> str:
    """``s-`` and 16 hex digits of the SHA-256 of a normalised URL or of a path as written."""
    return "s-" + hashlib.sha256(url.encode()).hexdigest()[:16]


def _source(row: Mapping[str, str], folder: Path, origin: str) -> Source:
    """One row of a list; raises ``SourceListError`` naming ``origin`` and the column."""
    url, path = row.get("url", ""), row.get("path", "")
    if url and path:
        raise SourceListError(f"{origin}: has a url ('{url}') and a path ('{path}'); give one of them")
    if not url and not path:
        raise SourceListError(f"{origin}: the column 'url' (or 'path') is empty")
    known = {name: row.get(name, "") for name in ("genre", "performer", "licence", "music", "notes")}
    extra = {name: value for name, value in row.items() if name not in COLUMNS and value}
    if url and _SCHEME.match(url):
        try:
            address = normalise_url(url)
        except ValueError as error:
            raise SourceListError(f"{origin}: the url '{url}' {error}") from None
        return Source(source_id(address), address, "url", None, origin=origin, extra=extra, **known)
    if _SCHEME.match(path):
        raise SourceListError(f"{origin}: the path '{path}' is a URL; write it in the column 'url'")
    if "\0" in url + path:
        raise SourceListError(f"{origin}: holds a NUL byte, which no path has; is this a list at all?")
    try:
        (url + path).encode()
    except UnicodeEncodeError:
        name = (url or path).encode(errors="backslashreplace").decode()
        raise SourceListError(f"{origin}: the name {name} is not UTF-8 text; rename the file") from None
    written = PurePosixPath(url or path).as_posix()
    absolute = folder / (url or path)
    with suppress(RuntimeError):  # "~draft.mp4" is a file, not the home of a user draft.mp4
        absolute = absolute.expanduser()
    absolute = absolute.absolute()
    return Source(source_id(written), written, "file", absolute, origin=origin, extra=extra, **known)


def _merge(rows: Iterable[Source], name: str) -> SourceList:
    """Keep the first of equal sources; count the others and say where they disagree."""
    first: dict[str, Source] = {}
    duplicates, warnings = 0, []
    for row in rows:
        kept = first.get(row.source_id)
        if kept is None:
            first[row.source_id] = row
            continue
        if kept.path != row.path:
            raise SourceListError(
                f"{row.origin}: '{row.url}' is {row.path}, but {kept.origin} writes {kept.path} "
                "in the same way. Put the files' folder into the path of one of them, or both into one list."
            )
        duplicates += 1
        for column in ("genre", "performer", "licence", "music"):
            old, new = getattr(kept, column), getattr(row, column)
            if new and new != old:
                warnings.append(
                    f"{row.origin}: {row.url} is repeated with {column} '{new}'; "
                    f"'{old}' from {kept.origin} is kept"
                )
    if not first:
        raise SourceListError(
            f"{name}: holds no source. Write one URL or path per line, or a table with a column 'url'."
        )
    return SourceList(tuple(first.values()), duplicates, tuple(warnings))


def _read_text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SourceListError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SourceListError(
            f"{path}:{line}: byte 0x{raw[error.start]:02x} is not UTF-8. Save the list as UTF-8 "
            "(`iconv -f latin1 -t utf-8` if it came from an old spreadsheet)."
        ) from None


def _folder(folder: Path) -> Iterator[Source]:
    """The videos below a folder, by name. Hidden ones are left out."""
    files = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()
    )
    visible = [
        path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not visible:
        raise SourceListError(
            f"{folder}: no video in this folder (looked for {' '.join(sorted(VIDEO_SUFFIXES))})"
        )
    for path in visible:
        yield _source({"path": path.as_posix()}, Path(), origin=f"{folder.name}/")


def _text_lines(path: Path) -> Iterator[Source]:
    for number, raw in enumerate(_read_text(path).splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if _SCHEME.match(line):
            # "https://... # why": a file name may well hold " #", a URL cannot.
            line = re.split(r"\s+#", line, maxsplit=1)[0]
        yield _source({"url": line}, path.parent, origin=f"{path.name}:{number}")


def _columns(names: Iterable[str], where: str) -> list[str]:
    """Header names in lower case, aliases resolved, checked."""
    header = [_ALIASES.get(name.strip().lower(), name.strip().lower()) for name in names]
    for name in header:
        if header.count(name) > 1:
            raise SourceListError(f"{where}: the column '{name}' is there twice; remove or rename one")
    if not {"url", "path"} & set(header):
        raise SourceListError(
            f"{where}: no column 'url' or 'path'; the columns are {', '.join(header) or 'none'}. "
            "Name the column that holds the addresses 'url'."
        )
    return header


def _csv_rows(path: Path) -> Iterator[Source]:
    text = _read_text(path)
    first_line = next((line for line in text.splitlines() if line.strip()), "")
    # Spreadsheets of half of Europe write ';' into files named .csv.
    delimiter = max(",;\t", key=first_line.count) if path.suffix.lower() == ".csv" else "\t"
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    try:
        for cells in reader:
            origin = f"{path.name}:{reader.line_num}"
            if not any(cell.strip() for cell in cells) or cells[0].lstrip().startswith("#"):
                continue
            if header is None:
                header = _columns(cells, f"{path}:{reader.line_num}")
                continue
            if len(cells) != len(header):
                raise SourceListError(
                    f"{path}:{reader.line_num}: has {len(cells)} cells, the header has {len(header)}. "
                    f"Put a cell that holds '{delimiter}' between double quotes."
                )
            row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
            yield _source(row, path.parent, origin)
    except csv.Error as error:
        raise SourceListError(
            f"{path}:{reader.line_num}: not CSV ({error}); check the double quotes"
        ) from error


def _parquet_rows(path: Path) -> Iterator[Source]:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise SourceListError(f"{path}: cannot be read as Parquet ({error})") from error
    header = _columns(table.column_names, str(path))
    for number, values in enumerate(
        zip(*(column.to_pylist() for column in table.columns), strict=True), start=1
    ):
        row = {
            name: "" if value is None else str(value).strip()
            for name, value in zip(header, values, strict=True)
        }
        yield _source(row, path.parent, origin=f"{path.name}:{number}")
