"""Whether a release is as it was made: every file whole, nothing lacking or added, and every gate passed.

Files are compared with ``SHA256SUMS`` first, and tables are opened only if all of them are whole: what is in a
damaged file says nothing about the release, and its reader may not survive it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from d2midi_build import clock, tables
from d2midi_build.errors import SchemaError, UsageError
from d2midi_build.motion.keypoints import quantisation
from d2midi_build.release import checking
from d2midi_build.release import format as layout
from d2midi_build.release.gates import Gate, Policy, gates

_LINE: Final = re.compile(r"(?P<sha256>[0-9a-f]{64})  (?P<file>[^\\\x00-\x1f]+)")
_PIECE: Final = 1 << 20
_HASHING: Final = 0.5
"""Share of the work that reading every file is; the gates are the rest."""

_AGAIN: Final = "Fetch it again from where the release came from"
_MADE: Final = "The release was not made as it says: do not use it, and tell who gave it out"
_NOT_OURS: Final = (".git", ".gitattributes", ".cache")
_TOLD_LINES: Final = 20
_ALWAYS: Final = (layout.CARD, layout.MANIFEST, layout.REMOVED, layout.SCHEMA, layout.VOCABULARY)

Report = Callable[[float], None]


@dataclass(frozen=True)
class Problem:
    """Something wrong with a release.

    Attributes
    ----------
    file : str
        Path below the release.
    what : str
    remedy : str
        What to do about it.
    """

    file: str
    what: str
    remedy: str


@dataclass(frozen=True)
class Verification:
    """What was found about a release.

    Attributes
    ----------
    problems : tuple of Problem
        With its files and what they say of themselves.
    gates : tuple of Gate
        What was found in its tables; empty if they were not opened, because files are damaged or missing.
    n_files, n_bytes : int
        What was read and compared with its SHA-256.
    """

    problems: tuple[Problem, ...]
    gates: tuple[Gate, ...]
    n_files: int
    n_bytes: int

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong, and everything was looked at."""
        return not self.problems and bool(self.gates) and all(gate.passed for gate in self.gates)

    def data(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "ok": self.ok,
            "files": self.n_files,
            "bytes": self.n_bytes,
            "problems": [asdict(problem) for problem in self.problems],
            "tables_opened": bool(self.gates),
            "gates": [asdict(gate) | {"passed": gate.passed} for gate in self.gates],
        }


def verify(folder: Path, *, report: Report | None = None) -> Verification:
    """Check every file of a release, and what is in its tables.

    Parameters
    ----------
    folder : Path
    report : callable, optional
        Is told the share done, 0-1.

    Raises
    ------
    UsageError
        If there is no release at all. Whatever is wrong with one that is there is told, not raised.
    """
    if not any((folder / name).is_file() for name in (layout.MANIFEST, layout.SUMS)):
        raise UsageError(
            f"{folder} is no release: it has neither {layout.MANIFEST} nor {layout.SUMS}. "
            "Name the folder that holds them"
        )
    problems: list[Problem] = []
    there = _there(folder)
    sums = _sums(folder, problems)
    hashed = _hashed(folder, there, report)
    sound = {file for file, digest in sums.items() if file in hashed and hashed[file][0] == digest}
    manifest, files = None, {}
    wanted: tuple[str, ...] = _ALWAYS
    if layout.MANIFEST in hashed and sums.get(layout.MANIFEST) in (None, hashed[layout.MANIFEST][0]):
        manifest = _json(folder, layout.MANIFEST, problems)  # a damaged one would only blame other files
    known = manifest is not None and _format_known(manifest, problems)
    if manifest is not None and known:
        files = _described(manifest, problems)
        wanted += layout.GATE_FILES if manifest.get("gate") is not None else ()
        found = checking.contradictions(folder, manifest, sound)
        problems += [Problem(file, what, _MADE) for file, what in found]
        ids = hashlib.sha256(layout.vocabulary()).hexdigest()
        if layout.VOCABULARY in sound and sums[layout.VOCABULARY] != ids:
            what = f"is not the vocabulary of format {layout.FORMAT}: other ids, or other text"
            problems.append(Problem(layout.VOCABULARY, what, _MADE))
    whole = _compare(there, hashed, sums, files, wanted, problems)
    judged = []
    if manifest is not None and known and whole:
        problems += _tables(folder, manifest, files)
        if layout.SCHEMA in hashed:
            problems += _schema(folder, files)
        policy = _policy(manifest, problems)
        judged = gates(folder, policy, report=None if report is None else _later(report))
    if report is not None:
        report(1.0)
    return Verification(tuple(problems), tuple(judged), len(hashed), sum(size for _, size in hashed.values()))


def _later(report: Report) -> Report:
    return lambda share: report(_HASHING + (1 - _HASHING) * share)


# ---- files ----


def _there(folder: Path) -> dict[str, int]:
    """Bytes of every file below a folder, hidden ones too; -1 for what is no plain file.

    What git and Hugging Face's downloads leave at the top is theirs, not the release's.
    """
    found = {}
    for root, folders, names in os.walk(folder):
        if Path(root) == folder:
            folders[:] = [each for each in folders if each not in _NOT_OURS]
            names = [each for each in names if each not in _NOT_OURS]
        for name in [*names, *(each for each in folders if Path(root, each).is_symlink())]:
            path = Path(root, name)
            try:
                about = path.stat()
                size = about.st_size if stat.S_ISREG(about.st_mode) else -1
            except OSError:
                size = -1
            found[path.relative_to(folder).as_posix()] = size
    return dict(sorted(found.items()))


def _sums(folder: Path, problems: list[Problem]) -> dict[str, str]:
    """SHA-256 by file, as ``SHA256SUMS`` has it."""
    try:
        text = (folder / layout.SUMS).read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        what = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        problems.append(Problem(layout.SUMS, what, _AGAIN))
        return {}
    if not text:
        problems.append(Problem(layout.SUMS, "is empty", _AGAIN))
        return {}
    *lines, rest = text.split("\n")
    wrong, found = [], {}
    if rest:
        wrong.append("it ends within a line")
        lines.append(rest)
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line)
        if match is None or not _is_below(match["file"]):
            wrong.append(
                f"line {number} is not a SHA-256, two spaces and a file of the release: {_quoted(line)}"
            )
        elif match["file"] in found:
            wrong.append(f"line {number} names {_quoted(match['file'])} again")
        else:
            found[match["file"]] = match["sha256"]
    problems += [Problem(layout.SUMS, what, _AGAIN) for what in wrong[:_TOLD_LINES]]
    if len(wrong) > _TOLD_LINES:
        problems.append(Problem(layout.SUMS, f"{len(wrong) - _TOLD_LINES} more lines like these", _AGAIN))
    return found


def _is_below(file: str) -> bool:
    """Whether a path, as written, leads to a file below the release."""
    return file != layout.SUMS and all(part not in ("", ".", "..") for part in file.split("/"))


def _quoted(text: str) -> str:
    return ascii(text[:100])


def _hashed(folder: Path, there: Mapping[str, int], report: Report | None) -> dict[str, tuple[str, int]]:
    """SHA-256 and bytes of every file that can be read, but ``SHA256SUMS``."""
    wanted = {file: size for file, size in there.items() if size >= 0 and file != layout.SUMS}
    total, done = max(sum(wanted.values()), 1), 0
    found = {}
    for file in wanted:
        digest, size = hashlib.sha256(), 0
        try:
            with (folder / file).open("rb") as handle:
                while piece := handle.read(_PIECE):
                    digest.update(piece)
                    size += len(piece)
                    if report is not None:
                        report(_HASHING * min((done + size) / total, 1.0))
        except OSError:
            continue
        done += size
        found[file] = (digest.hexdigest(), size)
    return found


def _compare(
    there: Mapping[str, int],
    hashed: Mapping[str, tuple[str, int]],
    sums: Mapping[str, str],
    files: Mapping[str, Mapping[str, Any]],
    wanted: Sequence[str],
    problems: list[Problem],
) -> bool:
    """Note files that are missing, damaged or not of the release; whether its tables can be opened."""
    damaged = set()
    for file in sorted({*sums, *files, *wanted}):
        told = [told for told in (sums.get(file), files.get(file, {}).get("sha256")) if told is not None]
        if file not in hashed:
            if file not in there:
                what = f"is missing, though {layout.SUMS} names it" if file in sums else "is missing"
            else:
                what = "is no plain file" if there[file] < 0 else "cannot be read: look at its permissions"
            problems.append(Problem(file, what, _AGAIN))
            damaged.add(file)
        elif told and hashed[file][0] not in told:
            by = layout.SUMS if file in sums else layout.MANIFEST
            what = f"its SHA-256 is {hashed[file][0]}, {by} says {told[0]}: one of the two files is damaged"
            problems.append(Problem(file, what, _AGAIN))
            damaged.add(file)
        elif file in sums and hashed[file][0] != sums[file]:
            what = f"its line for {file} says {sums[file]}, file and {layout.MANIFEST} say {hashed[file][0]}"
            problems.append(Problem(layout.SUMS, what, _AGAIN))
        elif file in files and hashed[file][0] != files[file]["sha256"]:
            what = f"files: {file} has SHA-256 {hashed[file][0]}, not {files[file]['sha256']}"
            problems.append(Problem(layout.MANIFEST, what, _MADE))
        if (
            file in files
            and file in hashed
            and file not in damaged
            and hashed[file][1] != files[file]["bytes"]
        ):
            what = f"files: {file} has {hashed[file][1]:,} bytes, not {files[file]['bytes']:,}"
            problems.append(Problem(layout.MANIFEST, what, _MADE))
        if file not in sums and sums:
            problems.append(Problem(layout.SUMS, f"has no line for {file}", _AGAIN))
        if files and file not in files and file.endswith(".parquet"):
            problems.append(Problem(layout.MANIFEST, f"files does not name {file}", _MADE))
    for file in there:
        if file not in sums and file not in files and file not in (*wanted, layout.SUMS):
            problems.append(Problem(file, "is not of the release", "Delete it, or move it elsewhere"))
            damaged.add(file)
    return not any(file.endswith(".parquet") for file in damaged)


# ---- what files say ----


def _json(folder: Path, file: str, problems: list[Problem]) -> dict[str, Any] | None:
    """A file's JSON object; None, and a note, if it has none."""
    try:
        data = json.loads((folder / file).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        what = f"is not JSON: {error}"
    else:
        if isinstance(data, dict):
            return data
        what = f"holds no JSON object, but {_quoted(repr(data))}"
    problems.append(Problem(file, what, _AGAIN))
    return None


def _format_known(manifest: Mapping[str, Any], problems: list[Problem]) -> bool:
    if manifest.get("format") == layout.FORMAT:
        return True
    maker = manifest.get("made_by")
    made_by = f", made by d2midi {maker.get('d2midi')}" if isinstance(maker, dict) else ""
    problems.append(
        Problem(
            layout.MANIFEST,
            f"the release has format {manifest.get('format')!r}{made_by}; d2midi {version('d2midi')} knows "
            f"format {layout.FORMAT}",
            "Verify it with the d2midi that made it, or a later one",
        )
    )
    return False


def _described(manifest: Mapping[str, Any], problems: list[Problem]) -> dict[str, dict[str, Any]]:
    """What the manifest says of each table's file; what cannot be understood is noted and left out."""
    files: Any = manifest.get("files")
    found = {}
    if not isinstance(files, dict):
        problems.append(Problem(layout.MANIFEST, f"files is {_quoted(repr(files))}, no JSON object", _MADE))
        return {}
    for file, told in files.items():
        wanted = {"bytes": int, "rows": int, "sha256": str}
        if (
            _is_below(file)
            and isinstance(told, dict)
            and all(type(told.get(k)) is v for k, v in wanted.items())
        ):
            found[file] = told
        else:
            what = f"files: {_quoted(file)} has {_quoted(repr(told))}, not bytes, rows and sha256"
            problems.append(Problem(layout.MANIFEST, what, _MADE))
    return found


def _policy(manifest: Mapping[str, Any], problems: list[Problem]) -> Policy:
    """What the release's own recipe allows."""
    try:
        told = manifest["recipe"]["release"]
        policy = Policy(
            licences=tuple(map(_text, told["licences"])),
            audio_licences=tuple(map(_text, told["audio_licences"])),
            least_body_share=float(told["least_body_share"]),
            keep_apart=tuple(map(_text, told["keep_apart"])),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        what = f"recipe.release does not say what the release allows ({type(error).__name__}: {error})"
        problems.append(Problem(layout.MANIFEST, what, _MADE))
        return Policy()
    return policy


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _tables(
    folder: Path, manifest: Mapping[str, Any], files: Mapping[str, Mapping[str, Any]]
) -> Iterator[Problem]:
    """What the manifest says of the tables' rows and what is in them."""
    rows = {}
    for file, said in files.items():
        try:
            rows[file] = pq.read_metadata(folder / file).num_rows
        except (pa.ArrowException, OSError):
            continue  # gate schema names it
        if rows[file] != said["rows"]:
            yield Problem(
                layout.MANIFEST, f"files: {file} has {rows[file]:,} rows, not {said['rows']:,}", _MADE
            )
    counted = {
        split: counts for split in layout.SPLITS if (counts := _counts(folder, split, rows)) is not None
    }
    totals = {key: sum(each[key] for each in counted.values()) for key in next(iter(counted.values()), {})}
    splits = manifest.get("splits")
    told_of = {split: splits[split] for split in splits} if isinstance(splits, dict) else {}
    for name, there, told in (
        *(
            (f"splits.{split}", counted.get(split, {}), told_of.get(split))
            for split in sorted({*counted, *told_of})
        ),
        ("totals", totals, manifest.get("totals")),
    ):
        if not isinstance(told, dict) or {*told} != {*there}:
            yield Problem(
                layout.MANIFEST, f"{name} is {_quoted(repr(told))}, not counts of {sorted(there)}", _MADE
            )
            continue
        for key, number in there.items():
            if not _is_number(told[key], number):
                yield Problem(
                    layout.MANIFEST, f"{name}.{key} is {told[key]!r}, the tables have {number!r}", _MADE
                )


def _is_number(told: Any, number: float) -> bool:
    """Whether something of JSON is a number, to within the rounding of hours."""
    if type(told) not in (int, float):
        return False
    try:
        return math.isclose(told, number, rel_tol=1e-9)
    except OverflowError:  # JSON's integers have no end
        return False


def _counts(folder: Path, split: str, rows: Mapping[str, int]) -> dict[str, float] | None:
    """What the manifest should say of a split; None if it has no clips, or none that can be read."""
    clips, windows = (layout.table_file(table, split) for table in ("clips", "windows"))
    if clips not in rows or windows not in rows:
        return None
    try:
        n_frames = tables.read(folder / clips, ["n_frames"]).column("n_frames").cast(pa.int64())
        covered = tables.read(folder / windows, ["n_frames"]).column("n_frames").cast(pa.int64())
    except (SchemaError, pa.ArrowException, KeyError):
        return None
    per_hour = clock.FPS * 3600
    return {
        "videos": rows.get(layout.table_file("videos", split), 0),
        "clips": rows[clips],
        "windows": rows[windows],
        "notes": sum(count for file, count in rows.items() if file.startswith(f"data/notes/{split}-")),
        "window_hours": (pc.sum(covered).as_py() or 0) / per_hour,
        "unique_hours": (pc.sum(n_frames).as_py() or 0) / per_hour,
    }


def _schema(folder: Path, files: Mapping[str, Any]) -> list[Problem]:
    """Whether ``schema.json`` says what this format's tables are; wording is free."""
    problems: list[Problem] = []
    told = _json(folder, layout.SCHEMA, problems)
    if told is None:
        return problems
    quantised = _quantised(folder, [file for file in files if file.startswith("data/frames/")], problems)
    wanted = json.loads(layout.to_json(layout.description(quantised)))
    try:
        bare_told, bare_wanted = _bare(told), _bare(wanted)
        problems += [
            Problem(
                layout.SCHEMA, f"{key}{_first_difference(bare_told.get(key), bare_wanted.get(key))}", _MADE
            )
            for key in sorted({*told, *wanted})
            if bare_told.get(key) != bare_wanted.get(key)
        ]
    except RecursionError:
        problems.append(Problem(layout.SCHEMA, "is nested too deeply to be what it should", _MADE))
    return problems


def _quantised(folder: Path, files: Sequence[str], problems: list[Problem]) -> dict[str, dict[str, float]]:
    """What the files of frames say of their integers, all together."""
    noted = []
    for file in sorted(files):
        try:
            noted.append(quantisation(pq.read_schema(folder / file)))
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            problems.append(Problem(file, f"does not say how exact its integers are: {error}", _MADE))
    parts = set(noted[0]).intersection(*noted) if noted else set()
    return {
        part: {
            "scale": noted[0][part].scale,
            "max_error": max(each[part].max_error for each in noted),
            "saturated": sum(each[part].saturated for each in noted),
        }
        for part in parts
    }


def _bare(data: Any) -> Any:
    """JSON without what is said to people alone."""
    if isinstance(data, dict):
        return {key: _bare(value) for key, value in data.items() if key not in ("title", "meaning")}
    return [_bare(value) for value in data] if isinstance(data, list) else data


def _first_difference(told: Any, wanted: Any) -> str:
    """Where two JSON values part, and how."""
    if isinstance(told, dict) and isinstance(wanted, dict):
        for key in sorted({*told, *wanted}):
            if told.get(key) != wanted.get(key) or (key in told) != (key in wanted):
                return f".{key}{_first_difference(told.get(key), wanted.get(key))}"
    if isinstance(told, list) and isinstance(wanted, list):
        for place, (one, other) in enumerate(zip(told, wanted, strict=False)):
            if one != other:
                return f"[{place}]{_first_difference(one, other)}"
    return f" is {_quoted(repr(told))}, not {_quoted(repr(wanted))}"
