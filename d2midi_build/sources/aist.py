"""Sources of the AIST Dance Video Database, from its file names.

``gBR_sBM_c01_d04_mBR0_ch01``: genre, situation, camera, dancer, music, choreography. Lists of the AIST++
kind write ``cAll`` for a dance that all cameras filmed. The naming rule and the tempi are AIST's (Tsuchida
et al., ISMIR 2019).
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from d2midi_build.errors import SourceListError, UsageError
from d2midi_build.sources.lists import VIDEO_SUFFIXES

GENRES = {
    "BR": "break", "PO": "pop", "LO": "lock", "MH": "middle hip-hop", "LH": "LA-style hip-hop", "HO": "house",
    "WA": "waack", "KR": "krump", "JS": "street jazz", "JB": "ballet jazz",
}  # fmt: skip
SITUATIONS = {
    "BM": "basic", "FM": "advanced", "GR": "group", "MT": "moving camera", "SH": "showcase", "CY": "cypher",
    "BT": "battle",
}  # fmt: skip
SOLO = frozenset({"BM", "FM"})
TERMS_URL = "https://aistdancedb.ongaaccel.jp/terms_of_use/"
LICENCE = f"AIST Dance Video Database terms of use ({TERMS_URL})"
URL_TEMPLATE = "https://aistdancedb.ongaaccel.jp/v1.0.0/video/10M/{name}.mp4"

_NAME = re.compile(
    r"g(?P<genre>[A-Z]{2})_s(?P<situation>[A-Z]{2})_c(?P<camera>\d\d|All)"
    r"_(?P<dancers>d\d\d(?:_d\d\d)*)_m(?P<music>[A-Z]{2}\d)_ch(?P<choreography>\d\d)"
)
_SCHEMA = pa.schema(
    [
        (name, pa.string())
        for name in (
            "genre",
            "performer",
            "licence",
            "music",
            "bpm",
            "situation",
            "camera",
            "choreography",
            "dance",
        )
    ]
)


@dataclass(frozen=True)
class AistName:
    """The parts of a name, as written: ``BR``, ``BM``, ``01``, ``("d04",)``, ``BR0``, ``01``."""

    genre: str
    situation: str
    camera: str
    dancers: tuple[str, ...]
    music: str
    choreography: str

    @property
    def solo(self) -> bool:
        """One dancer, frontal and fixed cameras: basic and advanced dance."""
        return self.situation in SOLO

    @property
    def bpm(self) -> int:
        """Tempo of the piece in beats per minute: 80 to 130 by tens; house 110 to 135 by fives."""
        index = int(self.music[-1])
        return 110 + 5 * index if self.music.startswith("HO") else 80 + 10 * index

    def seen_by(self, camera: int) -> AistName:
        """The same dance filmed by another camera (1-10)."""
        return AistName(
            self.genre, self.situation, f"{camera:02d}", self.dancers, self.music, self.choreography
        )

    @property
    def dance(self) -> str:
        """The name with ``cAll``: what is one and the same over all cameras."""
        return self._joined("All")

    def __str__(self) -> str:
        return self._joined(self.camera)

    def _joined(self, camera: str) -> str:
        dancers = "_".join(self.dancers)
        return f"g{self.genre}_s{self.situation}_c{camera}_{dancers}_m{self.music}_ch{self.choreography}"


def parse_name(name: str) -> AistName:
    """Take an AIST name apart; an extension is ignored.

    Raises
    ------
    ValueError
        Not an AIST name, or a part of it that AIST does not have.
    """
    stem = name.strip()
    if "." in stem:
        stem = stem.rpartition(".")[0]
    match = _NAME.fullmatch(stem)
    if not match:
        raise ValueError(f"'{name.strip()}' is not an AIST name like gBR_sBM_c01_d04_mBR0_ch01")
    parts = match.groupdict()
    dancers = tuple(parts["dancers"].split("_"))
    wrong = []
    if parts["genre"] not in GENRES:
        wrong.append(f"genre g{parts['genre']} (known: {', '.join(GENRES)})")
    if parts["situation"] not in SITUATIONS:
        wrong.append(f"situation s{parts['situation']} (known: {', '.join(SITUATIONS)})")
    if parts["camera"] != "All" and not 1 <= int(parts["camera"]) <= 10:
        wrong.append(f"camera c{parts['camera']} (01 to 10, or All)")
    if any(not 1 <= int(dancer[1:]) <= 35 for dancer in dancers):
        wrong.append(f"dancer {'_'.join(dancers)} (01 to 35)")
    if parts["music"][:2] not in GENRES or int(parts["music"][2]) > 5:
        wrong.append(f"music m{parts['music']} (a genre and 0 to 5)")
    elif parts["situation"] in SOLO and parts["music"][:2] != parts["genre"]:
        wrong.append(f"music m{parts['music']} for a solo dance of g{parts['genre']}")
    if parts["situation"] in SOLO and len(dancers) > 1:
        wrong.append(f"{len(dancers)} dancers in a solo dance")
    if wrong:
        raise ValueError(f"'{name.strip()}' cannot be an AIST name: {'; '.join(wrong)}")
    return AistName(
        parts["genre"], parts["situation"], parts["camera"], dancers, parts["music"], parts["choreography"]
    )


def aist_table(
    where: Path,
    *,
    cameras: Collection[int] = (1,),
    solo_only: bool = True,
    ignore: Path | None = None,
    url_template: str = URL_TEMPLATE,
    terms_accepted: bool = False,
    relative_to: Path | None = None,
) -> pa.Table:
    """Make a table of sources from a folder of AIST videos or a list of AIST names.

    Parameters
    ----------
    where : Path
        A folder (its videos become local paths) or a text file with a name per line (they become URLs).
    cameras : collection of int, optional
        Cameras to take, 1-10; 1 is the frontal one. ``cAll`` in a list becomes one row for each. Default is
        (1,).
    solo_only : bool, optional
        Leave out everything but basic and advanced dance. Default is True: the pipeline wants one dancer.
    ignore : Path, optional
        A list of names to leave out, whatever their camera (AIST++ ships one of dances it could not
        reconstruct).
    url_template : str, optional
        Where the videos are, with ``{name}``. Default is AIST's own server, 10 Mbit/s.
    terms_accepted : bool, optional
        The user has read and accepted AIST's terms of use. Needed for URLs.
    relative_to : Path, optional
        Write local paths relative to this folder: the one the table will lie in. Default is absolute paths.

    Returns
    -------
    pa.Table
        Columns ``url`` or ``path`` (string), then ``genre`` (full name), ``performer`` (``aist-d04``),
        ``licence``, ``music`` (``aist-mBR0``), ``bpm``, ``situation`` (full name), ``camera``,
        ``choreography`` and ``dance`` (the name with ``cAll``). Rows in the list's order, each name once.

    Raises
    ------
    UsageError
        URLs without ``terms_accepted``.
    SourceListError
        A name that cannot be AIST's (with its line), or nothing left to write.
    """
    dropped = {name.dance for _, name in _names(ignore)} if ignore else set()
    local = where.is_dir()
    if not local and not terms_accepted:
        raise UsageError(
            f"AIST's videos may be used only under its terms: read {TERMS_URL}, then say that you accept them"
        )
    if not local and "{name}" not in url_template:
        raise UsageError(f"the URL template '{url_template}' has no {{name}}")
    rows: dict[str, dict[str, str]] = {}
    for place, found in _videos(where) if local else _names(where):
        if (solo_only and not found.solo) or found.dance in dropped:
            continue
        cast = [found.seen_by(camera) for camera in sorted(cameras)] if found.camera == "All" else [found]
        for name in cast:
            if int(name.camera) not in cameras:
                continue
            if not local:
                address = url_template.format(name=name)
            elif relative_to is not None:
                address = Path(os.path.relpath(place, relative_to)).as_posix()
            else:
                address = place.absolute().as_posix()
            rows.setdefault(address, _row(name))
    if not rows:
        raise SourceListError(
            f"{where}: no AIST name is left (cameras {sorted(cameras)}, solo only: {solo_only})"
        )
    column = "path" if local else "url"
    table = pa.Table.from_pylist(list(rows.values()), schema=_SCHEMA)
    return table.add_column(0, pa.field(column, pa.string()), pa.array(rows, pa.string()))


def _row(name: AistName) -> dict[str, str]:
    return {
        "genre": GENRES[name.genre],
        "performer": " ".join(f"aist-{dancer}" for dancer in name.dancers),
        "licence": LICENCE,
        "music": f"aist-m{name.music}",
        "bpm": str(name.bpm),
        "situation": SITUATIONS[name.situation],
        "camera": f"c{name.camera}",
        "choreography": f"ch{name.choreography}",
        "dance": name.dance,
    }


def _names(path: Path) -> Iterator[tuple[Path, AistName]]:
    """The names in a text file, each with the file; raises ``SourceListError`` with the line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceListError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            yield path, parse_name(line)
        except ValueError as error:
            raise SourceListError(f"{path}:{number}: {error}") from None


def _videos(folder: Path) -> Iterator[tuple[Path, AistName]]:
    """The videos below a folder with their names; a video that is not AIST's is an error."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in VIDEO_SUFFIXES:
            continue
        try:
            yield path, parse_name(path.name)
        except ValueError as error:
            raise SourceListError(f"{path}: {error}. Move it out of the folder or rename it.") from None
