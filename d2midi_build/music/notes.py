"""Notes as columns: what transcribers write, people correct and trainers read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from d2midi_build import clock
from d2midi_build.music.instruments import INSTRUMENTS, instrument_of

_ORDER: Final = {instrument.name: place for place, instrument in enumerate(INSTRUMENTS)}

_DTYPES: Final[dict[str, Any]] = {
    "onset_s": np.float64,
    "offset_s": np.float64,
    "pitch": np.int8,
    "velocity": np.int8,
    "program": np.int8,
    "instrument": np.str_,
    "is_drum": np.bool_,
    "p_note": np.float32,
    "p_instrument": np.float32,
    "origin": np.str_,
}

NOTES_SCHEMA: Final = pa.schema(
    [
        pa.field("onset_s", pa.float64(), nullable=False),
        pa.field("offset_s", pa.float64(), nullable=False),
        pa.field("pitch", pa.int8(), nullable=False),
        pa.field("velocity", pa.int8(), nullable=False),
        pa.field("program", pa.int8(), nullable=False),
        pa.field("instrument", pa.string(), nullable=False),
        pa.field("is_drum", pa.bool_(), nullable=False),
        pa.field("p_note", pa.float32(), nullable=False),
        pa.field("p_instrument", pa.float32(), nullable=False),
        pa.field("origin", pa.string(), nullable=False),
    ]
)
"""The Arrow schema of a table of notes; column names are the attributes of `Notes`."""


def snap(times_s: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Times moved to the nearest sample of the one clock (10,240 Hz), in seconds."""
    samples = np.round(np.asarray(times_s, dtype=np.float64) * clock.SAMPLE_RATE_HZ)
    return np.asarray(samples / clock.SAMPLE_RATE_HZ, dtype=np.float64)


def to_samples(times_s: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """The samples of the one clock (which are also MIDI ticks) nearest to times in seconds."""
    return np.asarray(np.round(np.asarray(times_s, dtype=np.float64) * clock.SAMPLE_RATE_HZ), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Notes:
    """``n`` notes as NumPy columns of shape ``(n,)``, in any order (see `sorted`).

    Build them with `Notes.create`, which snaps times, fills in what is not given and finds the
    instrument. The constructor takes finished columns, coerces their types and checks them.

    Attributes
    ----------
    onset_s, offset_s : float64
        Seconds from the clip's first frame, on the 10,240 Hz sample grid; ``offset_s >= onset_s >= 0``.
    pitch : int8
        MIDI pitch 0-127; for drums the General MIDI percussion key (36 kick, 38 snare, 42 closed hat).
    velocity : int8
        1-127.
    program : int8
        General MIDI program 0-127 as the transcriber or the file gave it; 0 for drums.
    instrument : str
        One of the 13 names in `d2midi_build.music.instruments`, always the one its program maps to.
    is_drum : bool
    p_note : float32
        0-1: how likely there is such a note, its onset within 50 ms. Whether that is calibrated or only an
        order is the origin's affair: each transcriber's docstring says.
    p_instrument : float32
        0-1: how likely its instrument is right, given that there is such a note.
    origin : str
        Who says so, e.g. ``"basic-pitch/bass-by-pitch"``.

    Raises
    ------
    ValueError
        If columns differ in length or hold a value outside its range.
    """

    onset_s: npt.NDArray[np.float64]
    offset_s: npt.NDArray[np.float64]
    pitch: npt.NDArray[np.int8]
    velocity: npt.NDArray[np.int8]
    program: npt.NDArray[np.int8]
    instrument: npt.NDArray[np.str_]
    is_drum: npt.NDArray[np.bool_]
    p_note: npt.NDArray[np.float32]
    p_instrument: npt.NDArray[np.float32]
    origin: npt.NDArray[np.str_]

    def __post_init__(self) -> None:
        n = len(self.onset_s)
        for name, dtype in _DTYPES.items():
            given = np.asarray(getattr(self, name))
            if given.shape != (n,):
                raise ValueError(f"column {name} has shape {given.shape}, onset_s has {(n,)}")
            if dtype == np.int8 and n and not (given.min() >= 0 and given.max() <= 127):
                raise ValueError(f"{name} goes from {given.min()} to {given.max()}, allowed is 0-127")
            column = given.astype(dtype)
            column.flags.writeable = False
            object.__setattr__(self, name, column)
        if not n:
            return
        if not (np.isfinite(self.onset_s).all() and np.isfinite(self.offset_s).all()):
            raise ValueError("onset_s and offset_s must be finite")
        if self.onset_s.min() < 0 or (self.offset_s < self.onset_s).any():
            raise ValueError("a note must start at 0 s or later and must not end before it starts")
        if self.velocity.min() < 1:
            raise ValueError("velocity 0 means note-off in MIDI; allowed is 1-127")
        for name in ("p_note", "p_instrument"):
            if not ((getattr(self, name) >= 0) & (getattr(self, name) <= 1)).all():
                raise ValueError(f"{name} must be within 0-1")
        if self.program[self.is_drum].any():
            raise ValueError("drums have program 0")
        expected = _instruments(self.program, self.is_drum)
        if (self.instrument != expected).any():
            i = int(np.argmax(self.instrument != expected))
            raise ValueError(
                f"note {i}: instrument {str(self.instrument[i])!r} does not match program "
                f"{self.program[i]}, which is {str(expected[i])!r}"
            )

    @classmethod
    def create(
        cls,
        onset_s: npt.ArrayLike,
        offset_s: npt.ArrayLike,
        pitch: npt.ArrayLike,
        velocity: npt.ArrayLike = 80,
        program: npt.ArrayLike = 0,
        is_drum: npt.ArrayLike = False,
        p_note: npt.ArrayLike = 1.0,
        p_instrument: npt.ArrayLike = 1.0,
        origin: npt.ArrayLike = "",
    ) -> Notes:
        """Notes from arrays or scalars (which hold for every note), in canonical order.

        Times are snapped to the sample grid and the instrument follows from program and drum flag.

        Raises
        ------
        ValueError
            As the constructor.
        """
        onset = snap(np.atleast_1d(onset_s))
        n = len(onset)
        programs = np.broadcast_to(np.asarray(program, dtype=np.int64), (n,))
        drums = np.broadcast_to(np.asarray(is_drum, dtype=np.bool_), (n,))
        if n and not (programs.min() >= 0 and programs.max() <= 127):
            raise ValueError(f"program goes from {programs.min()} to {programs.max()}, allowed is 0-127")
        return cls(
            onset_s=onset,
            offset_s=snap(np.broadcast_to(np.asarray(offset_s, dtype=np.float64), (n,))),
            pitch=np.broadcast_to(np.asarray(pitch), (n,)),
            velocity=np.broadcast_to(np.asarray(velocity), (n,)),
            program=np.where(drums, 0, programs),
            instrument=_instruments(programs, drums),
            is_drum=drums,
            p_note=np.broadcast_to(np.asarray(p_note, dtype=np.float32), (n,)),
            p_instrument=np.broadcast_to(np.asarray(p_instrument, dtype=np.float32), (n,)),
            origin=np.broadcast_to(np.asarray(origin, dtype=np.str_), (n,)),
        ).sorted()

    @classmethod
    def empty(cls) -> Notes:
        """No notes."""
        return cls(**{name: np.empty(0, dtype) for name, dtype in _DTYPES.items()})

    @classmethod
    def concat(cls, parts: Sequence[Notes]) -> Notes:
        """All notes of ``parts`` in canonical order."""
        if not parts:
            return cls.empty()
        return cls(
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in _DTYPES}
        ).sorted()

    @classmethod
    def from_table(cls, table: pa.Table) -> Notes:
        """Notes from a table with the columns of `NOTES_SCHEMA`; other columns are ignored.

        Raises
        ------
        ValueError
            If a column is missing, or as the constructor.
        """
        missing = [name for name in _DTYPES if name not in table.column_names]
        if missing:
            raise ValueError(f"a table of notes needs the columns {', '.join(missing)}")
        columns: dict[str, Any] = {
            name: np.array(table.column(name).to_pylist(), dtype=dtype)
            if dtype is np.str_
            else table.column(name).to_numpy()
            for name, dtype in _DTYPES.items()
        }
        return cls(**columns)

    def to_table(self) -> pa.Table:
        """A table with `NOTES_SCHEMA`, one row per note, in this order."""
        return pa.table(
            {
                name: getattr(self, name).tolist() if dtype is np.str_ else getattr(self, name)
                for name, dtype in _DTYPES.items()
            },
            schema=NOTES_SCHEMA,
        )

    def __len__(self) -> int:
        return len(self.onset_s)

    def __eq__(self, other: object) -> bool:
        """Whether both hold the same notes in the same order, every column equal."""
        if not isinstance(other, Notes):
            return NotImplemented
        return all(np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))

    __hash__ = None  # type: ignore[assignment]

    def where(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Notes:
        """The notes that a mask or an index array of shape ``(m,)`` picks, in its order."""
        return Notes(**{name: getattr(self, name)[which] for name in _DTYPES})

    def sorted(self) -> Notes:
        """The same notes in canonical order.

        By onset, then instrument (order of `INSTRUMENTS`), pitch, offset, and the rest, so that equal
        sets of notes are equal in bytes.
        """
        place = np.array([_ORDER[name] for name in self.instrument], dtype=np.int64)
        keys = (
            self.origin,
            self.p_instrument,
            self.p_note,
            self.program,
            self.velocity,
            self.offset_s,
            self.pitch,
            place,
            self.onset_s,
        )
        return self.where(np.lexsort(keys))

    def starting_in(self, start_s: float, end_s: float) -> Notes:
        """Notes whose onset lies in ``[start_s, end_s)``."""
        return self.where((self.onset_s >= start_s) & (self.onset_s < end_s))

    def sounding_in(self, start_s: float, end_s: float) -> Notes:
        """Notes that sound at some time in ``[start_s, end_s)``, with their own onsets and offsets."""
        return self.where((self.onset_s < end_s) & (self.offset_s > start_s))

    def shifted(self, by_s: float) -> Notes:
        """All notes moved by ``by_s`` seconds and snapped; none may come to start before 0 s."""
        moved = {"onset_s": snap(self.onset_s + by_s), "offset_s": snap(self.offset_s + by_s)}
        return Notes(**{name: moved.get(name, getattr(self, name)) for name in _DTYPES})

    @property
    def confidence(self) -> npt.NDArray[np.float32]:
        """How likely the note is right, instrument included: ``p_note * p_instrument``."""
        return self.p_note * self.p_instrument

    def pitched(self) -> Notes:
        """The notes that are not drums."""
        return self.where(~self.is_drum)

    def drums(self) -> Notes:
        """The drum notes."""
        return self.where(self.is_drum)

    def as_dataset(self) -> Notes:
        """The same notes, each with the program of its instrument: the 13 programs of the dataset only."""
        own = {instrument.name: instrument.program for instrument in INSTRUMENTS}
        programs = np.array([own[str(name)] for name in self.instrument], dtype=np.int8)
        columns = {name: getattr(self, name) for name in _DTYPES} | {"program": programs}
        return Notes(**columns).sorted()

    def playable(self) -> Notes:
        """The notes as one keyboard per instrument can play them, in canonical order.

        MIDI cannot hold a pitch twice on one channel. Where two notes of one instrument and pitch
        overlap, the first is cut at the second's onset; of notes with the same onset the longest
        stays. A note of no length gets one sample.
        """
        notes = self.sorted()
        onset, offset = to_samples(notes.onset_s), to_samples(notes.offset_s)
        offset = np.maximum(offset, onset + 1)
        keep = np.ones(len(notes), dtype=np.bool_)
        previous: dict[tuple[str, int], int] = {}
        for i in np.lexsort((-offset, onset)):
            key = (str(notes.instrument[i]), int(notes.pitch[i]))
            if key in previous:
                last = previous[key]
                if onset[last] == onset[i]:
                    keep[i] = False
                    continue
                offset[last] = min(offset[last], onset[i])
            previous[key] = int(i)
        columns = {name: getattr(notes, name) for name in _DTYPES}
        columns["offset_s"] = offset / clock.SAMPLE_RATE_HZ
        return Notes(**columns).where(keep).sorted()


def _instruments(program: npt.NDArray[Any], is_drum: npt.NDArray[np.bool_]) -> npt.NDArray[np.str_]:
    """Instrument name per note, shape ``(n,)``."""
    names = [instrument_of(int(p), bool(d)).name for p, d in zip(program, is_drum, strict=True)]
    return np.array(names, dtype=np.str_)
