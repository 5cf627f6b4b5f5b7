"""The gates of what is cut into shards: frames, notes, beats, MIDI and sound of some clips."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from d2midi_build import clock
from d2midi_build.motion.keypoints import PARTS, PRESENCES
from d2midi_build.music.instruments import DRUM_CHANNEL, INSTRUMENTS, instrument_of
from d2midi_build.release import format as layout
from d2midi_build.release.offenders import (
    Book,
    BoolArray,
    IntArray,
    flags,
    floats,
    ints,
    note_orphans,
    noting,
    ordinals,
    places_of,
    read_table,
)

_GROUPS_AT_ONCE: Final = 20
"""Row groups of ``frames`` that are in memory together: 4,000 frames, 15 MB of points."""

_PIECE: Final = 1 << 18
"""Samples of sound that are in memory together."""

_INSTRUMENTS: Final = tuple(sorted(instrument.name for instrument in INSTRUMENTS))
_KINDS: Final = ("kinematic", "musical")


@dataclass(frozen=True)
class Shard:
    """What the whole tables say of a shard's clips, in their order."""

    split: str
    number: int
    clips: pa.Table
    windows: pa.Table
    ids: pa.Array
    n_frames: IntArray

    @classmethod
    def of(cls, split: str, number: int, whole: dict[str, pa.Table]) -> Shard:
        """A shard by its split and number, from the split's whole tables."""
        clips = whole["clips"].filter(pc.equal(whole["clips"].column("shard"), number))
        ids = clips.column("clip_id").combine_chunks()
        mine = pc.is_in(whole["windows"].column("clip_id"), value_set=ids)
        # A length below 0 is told elsewhere; it must not be counted with here.
        n_frames = np.maximum(ints(clips, "n_frames"), 0)
        return cls(split, number, clips, whole["windows"].filter(mine), ids, n_frames)

    def file(self, table: str) -> str:
        """Where its part of a table lies."""
        return layout.table_file(table, self.split, self.number)

    def name(self, clip: int) -> str:
        """A clip by its place."""
        return f"clip {self.ids[clip].as_py()}"

    def __len__(self) -> int:
        return len(self.ids)


def judge(book: Book, folder: Path, shard: Shard) -> None:
    """Note all that does not fit in a shard's files."""
    body = _frames(book, folder, shard)
    notes = _notes(book, folder, shard)
    if body is not None and notes is not None:
        _what_windows_tell(book, shard, body, *notes)
    _beats(book, folder, shard)
    if notes is not None:
        _midi(book, folder, shard, *notes)
    _audio(book, folder, shard)


def _counted(book: Book, gate: str, shard: Shard, places: IntArray, column: str) -> None:
    told, there = ints(shard.clips, column), np.bincount(places[places >= 0], minlength=len(shard))
    book.where(
        gate,
        told != there,
        lambda clip: f"{shard.name(clip)}: {column} is {told[clip]}, there are {there[clip]}",
    )


def _what_windows_tell(book: Book, shard: Shard, body: BoolArray, notes: pa.Table, places: IntArray) -> None:
    """Windows' share of frames with a body, and what sounds in them."""
    windows, ids = shard.windows, shard.windows.column("clip_id")
    start, length = ints(windows, "start_frame"), ints(windows, "n_frames")
    clip = places_of(ids, shard.ids)
    inside = (
        (start >= 0) & (length > 0) & (start + length <= shard.n_frames[clip]) if len(shard) else clip >= 0
    )
    if len(body) != shard.n_frames.sum() or not inside.all() or (places < 0).any():
        return  # told already; nothing can be counted here
    seen = np.concatenate([[0], np.cumsum(body)])
    first = np.concatenate([[0], np.cumsum(shard.n_frames)])[clip] + start
    share, said = (seen[first + length] - seen[first]) / np.maximum(length, 1), floats(windows, "body_share")

    def named(row: int) -> str:
        return f"window {ids[row]}/{start[row]}"

    book.where(
        "windows",
        ~(np.abs(share - said) < 1e-6),
        lambda row: f"{named(row)}: body_share is {said[row]:.4f}, its frames say {share[row]:.4f}",
    )
    final = flags(notes, "in_final")
    onset, offset = (_samples_of(floats(notes, name))[final] for name in ("onset_s", "offset_s"))
    instrument, of = places_of(notes.column("instrument"), pa.array(_INSTRUMENTS))[final], places[final]
    # Times of all clips on one line: those of clips before count in both sums and so fall out.
    far = int(shard.n_frames.max(initial=0) + 1) * clock.SAMPLES_PER_FRAME
    begins, ends = (clip * far + frame * clock.SAMPLES_PER_FRAME for frame in (start, start + length))

    def sounding(which: BoolArray) -> IntArray:
        began = np.searchsorted(np.sort(of[which] * far + onset[which]), ends, "left")
        return began - np.searchsorted(np.sort(of[which] * far + offset[which]), begins, "right")

    n_notes, told = sounding(np.ones(len(of), np.bool_)), ints(windows, "n_notes")
    book.where(
        "windows",
        n_notes != told,
        lambda row: f"{named(row)}: n_notes is {told[row]}, {n_notes[row]} final notes sound in it",
    )
    heard = np.stack([sounding(instrument == each) > 0 for each in range(len(_INSTRUMENTS))], axis=1)
    _instruments(book, "windows", windows.column("instruments"), heard, named)


def _instruments(
    book: Book, gate: str, told: pa.ChunkedArray, heard: BoolArray, named: Callable[[int], str]
) -> None:
    """Whether lists of instruments are what is heard, sorted; ``heard`` has a column for each of ``_INSTRUMENTS``."""
    column = told.combine_chunks()
    lists = pc.list_value_length(column).to_numpy()
    values = places_of(pc.list_flatten(column), pa.array(_INSTRUMENTS))
    rows, wanted = np.nonzero(heard)
    ends = np.cumsum(lists)
    wrong = lists != heard.sum(axis=1)
    if not wrong.any():  # the lists are as long as they should be, so their values stand beside each other
        wrong[rows[values != wanted]] = True
    else:
        begins = ends - lists
        wanted_begins = np.searchsorted(rows, np.arange(len(lists)))
        for row in np.flatnonzero(~wrong):
            mine = values[begins[row] : ends[row]]
            wrong[row] = not np.array_equal(mine, wanted[wanted_begins[row] : wanted_begins[row] + len(mine)])
    book.where(
        gate,
        wrong,
        lambda row: (
            f"{named(row)}: instruments are {column[row].as_py()}, its final notes have "
            f"{[_INSTRUMENTS[each] for each in np.flatnonzero(heard[row])]}"
        ),
    )


def _frames(book: Book, folder: Path, shard: Shard) -> BoolArray | None:
    """Judge a shard's frames; whether each has a body, None if they cannot be read."""
    file = shard.file("frames")
    light = ["clip_id", "frame", *(f"present_{name}" for name in PRESENCES)]
    frames = read_table(book, folder, "frames", file, light)
    if frames is None:
        return None
    places = places_of(frames.column("clip_id"), shard.ids)
    note_orphans(book, file, frames.column("clip_id"), places, f"of shard {shard.number}")
    _frame_numbers(book, shard, places, ints(frames, "frame"))
    for name in PRESENCES:
        _shares(book, shard, places, flags(frames, f"present_{name}"), f"{name}_share")
    with noting(book, file), pq.ParquetFile(folder / file) as parquet:
        groups = [parquet.metadata.row_group(each).num_rows for each in range(parquet.num_row_groups)]
        changes = np.flatnonzero(np.diff(ordinals(frames.column("clip_id")))) + 1
        book.where(
            "frames",
            ~np.isin(changes, np.cumsum([0, *groups])),
            lambda each: (
                f"{file}: row {changes[each]}, clip {frames.column('clip_id')[int(changes[each])]} begins "
                "within a row group"
            ),
        )
        _points(book, parquet, frames)
    return flags(frames, "present_body")


def _frame_numbers(book: Book, shard: Shard, places: IntArray, frame: IntArray) -> None:
    there = np.bincount(places[places >= 0], minlength=len(shard))
    book.where(
        "frames",
        there != shard.n_frames,
        lambda clip: f"{shard.name(clip)}: {there[clip]:,} rows for {shard.n_frames[clip]:,} frames",
    )
    # Rows of a clip stand together in order, or gate schema says so: then each number is the row's within the clip.
    first = (
        np.concatenate([[0], np.flatnonzero(np.diff(places)) + 1]) if len(places) else np.zeros(0, np.int64)
    )
    lengths = np.diff(np.append(first, len(places)))
    numbers = np.arange(len(places)) - np.repeat(first, lengths)
    wrong = (places >= 0) & (numbers != frame)
    worst = np.flatnonzero(wrong)
    _, one_each = np.unique(places[worst], return_index=True)
    for row in worst[one_each].tolist():
        book.note(
            "frames", f"{shard.name(places[row])}: frame {frame[row]} stands where {numbers[row]} should"
        )


def _shares(book: Book, shard: Shard, places: IntArray, present: BoolArray, column: str) -> None:
    there = np.bincount(places[(places >= 0) & present], minlength=len(shard)) / np.maximum(shard.n_frames, 1)
    told = floats(shard.clips, column)
    book.where(
        "coverage",
        ~(np.abs(there - told) < 1e-6),
        lambda clip: f"{shard.name(clip)}: {column} is {told[clip]:.4f}, its frames say {there[clip]:.4f}",
    )


def _points(book: Book, parquet: pq.ParquetFile, frames: pa.Table) -> None:
    """Whether points are missing where they are said to be, and nowhere else."""
    present = {name: flags(frames, f"present_{name}") for name in PRESENCES}
    row = 0
    for first in range(0, parquet.num_row_groups, _GROUPS_AT_ONCE):
        groups = range(first, min(first + _GROUPS_AT_ONCE, parquet.num_row_groups))
        table = parquet.read_row_groups(list(groups), columns=[f"{name}.list.element" for name in PARTS])
        for name, part in PARTS.items():
            at = row
            for chunk in table.column(name).chunks:
                points = chunk.flatten().to_numpy().reshape(len(chunk), part.size)
                _chunk(book, name, points, present[part.presence][at : at + len(chunk)], frames, at)
                at += len(chunk)
        row += len(table)


def _chunk(
    book: Book, name: str, points: npt.NDArray[np.int16], present: BoolArray, frames: pa.Table, first: int
) -> None:
    # MISSING is the smallest integer: a row has one if it is the row's minimum, and nothing else if its maximum.
    lowest = points.min(axis=1)
    wrong = present & (lowest == layout.MISSING)
    absent = np.flatnonzero(~present)
    wrong[absent] = points[absent].max(axis=1, initial=layout.MISSING) != layout.MISSING

    def told(row: int) -> str:
        missing = int((points[row] == layout.MISSING).sum())
        where = f"clip {frames.column('clip_id')[first + row]}, frame {frames.column('frame')[first + row]}"
        return f"{where}: {missing} of {points.shape[1]} numbers of {name} are missing, present is {present[row]}"

    book.where("missing", wrong, told)


def _notes(book: Book, folder: Path, shard: Shard) -> tuple[pa.Table, IntArray] | None:
    """Judge a shard's notes; they and the place of each one's clip, None if they cannot be read."""
    file = shard.file("notes")
    columns = [name for name in layout.schema("notes").arrow().names if name != "origin"]
    notes = read_table(book, folder, "notes", file, columns)
    if notes is None:
        return None
    places = places_of(notes.column("clip_id"), shard.ids)
    note_orphans(book, file, notes.column("clip_id"), places, f"of shard {shard.number}")
    _counted(book, "notes", shard, places, "n_notes")
    _note_values(book, shard, notes, places)
    instrument = places_of(notes.column("instrument"), pa.array(_INSTRUMENTS))
    heard = np.zeros((len(shard), len(_INSTRUMENTS)), np.bool_)
    final = flags(notes, "in_final") & (places >= 0) & (instrument >= 0)
    heard[places[final], instrument[final]] = True
    _instruments(book, "notes", shard.clips.column("instruments"), heard, shard.name)
    return notes, places


def _note_values(book: Book, shard: Shard, notes: pa.Table, places: IntArray) -> None:
    ids, number = notes.column("clip_id"), ints(notes, "note")
    end_s = np.append(shard.n_frames / clock.FPS, np.inf)[places]
    onset_s, offset_s = floats(notes, "onset_s"), floats(notes, "offset_s")
    pitch, velocity, program = (ints(notes, name) for name in ("pitch", "velocity", "program"))
    instrument, drum = notes.column("instrument"), flags(notes, "is_drum")

    def note(wrong: BoolArray, told: Callable[[int], str]) -> None:
        book.where("notes", wrong, lambda row: f"note {ids[row]}/{number[row]}: {told(row)}")

    inside = (onset_s >= 0) & (offset_s >= onset_s) & (offset_s <= end_s)
    note(~inside, lambda row: f"{onset_s[row]} to {offset_s[row]} s, its clip has {end_s[row]} s")
    whole = _on_grid(onset_s) & _on_grid(offset_s)
    note(inside & ~whole, lambda row: f"{onset_s[row]} to {offset_s[row]} s is not a whole number of samples")
    # The columns are 8-bit integers, so none is above 127.
    note(pitch < 0, lambda row: f"pitch {pitch[row]}")
    note(velocity < 1, lambda row: f"velocity {velocity[row]}")
    note(program < 0, lambda row: f"program {program[row]}")
    note(
        (program >= 0)
        & (places_of(instrument, pa.array(_INSTRUMENTS)) != _INSTRUMENT_OF[drum.astype(np.int64), program]),
        lambda row: f"instrument {instrument[row].as_py()!r} of program {program[row]}, is_drum {drum[row]}",
    )
    for name in ("p_note", "p_instrument"):
        share = floats(notes, name)
        note(~((share >= 0) & (share <= 1)), lambda row, name=name, share=share: f"{name} {share[row]}")  # type: ignore[misc]
    layers = np.any([flags(notes, f"in_{layer}") for layer in layout.LAYERS], axis=0)
    note(~layers, lambda row: "in none of the layers")


_INSTRUMENT_OF: Final = np.array(
    [
        [_INSTRUMENTS.index(instrument_of(program, drum).name) for program in range(128)]
        for drum in (False, True)
    ]
)
"""Place in ``_INSTRUMENTS`` by drum or not, and program."""


def _samples_of(times_s: npt.NDArray[np.float64]) -> IntArray:
    """Nearest samples; times that are no numbers or far from any clip become -1."""
    possible = np.where(np.isfinite(times_s) & (np.abs(times_s) < 1e9), times_s, -1 / clock.SAMPLE_RATE_HZ)
    return np.asarray(np.round(possible * clock.SAMPLE_RATE_HZ), dtype=np.int64)


def _on_grid(times_s: npt.NDArray[np.float64]) -> BoolArray:
    return np.asarray(_samples_of(times_s) / clock.SAMPLE_RATE_HZ == times_s, dtype=np.bool_)


def _beats(book: Book, folder: Path, shard: Shard) -> None:
    file = shard.file("beats")
    beats = read_table(book, folder, "beats", file)
    if beats is None:
        return
    ids, kind, number = beats.column("clip_id"), beats.column("kind"), ints(beats, "beat")
    places, time_s = places_of(ids, shard.ids), floats(beats, "time_s")
    note_orphans(book, file, ids, places, f"of shard {shard.number}")
    _counted(book, "beats", shard, places, "n_beats")
    which = places_of(kind, pa.array(_KINDS))

    def note(wrong: BoolArray, told: Callable[[int], str]) -> None:
        book.where("beats", wrong, lambda row: f"beat {ids[row]}/{kind[row]}/{number[row]}: {told(row)}")

    note(which < 0, lambda row: f"kind {kind[row].as_py()!r} is neither musical nor kinematic")
    end_s = np.append(shard.n_frames / clock.FPS, np.inf)[places]
    note(~((time_s >= 0) & (time_s < end_s)), lambda row: f"{time_s[row]} s, its clip has {end_s[row]} s")
    follows = np.zeros(len(beats), np.bool_)
    follows[1:] = (places[1:] == places[:-1]) & (which[1:] == which[:-1])
    before = np.append(np.nan, time_s[:-1])
    note(
        follows & ~(time_s > before), lambda row: f"{time_s[row]} s, the beat before it is at {before[row]} s"
    )
    first = np.flatnonzero(~follows)
    wanted = np.arange(len(beats)) - np.repeat(first, np.diff(np.append(first, len(beats))))
    note(number != wanted, lambda row: f"stands where number {wanted[row]} should")
    position = beats.column("position")
    known = np.asarray(position.is_valid().to_numpy(), dtype=np.bool_)
    place = np.asarray(pc.fill_null(position, 1).to_numpy(), dtype=np.int64)
    note(
        (known != (which == _KINDS.index("musical"))) | (place < 1),
        lambda row: f"position {position[row]} of a {kind[row]} beat",
    )
    for name in ("strength", "confidence"):
        share = floats(beats, name)
        note(~((share >= 0) & (share <= 1)), lambda row, name=name, share=share: f"{name} {share[row]}")  # type: ignore[misc]


def _midi(book: Book, folder: Path, shard: Shard, notes: pa.Table, places: IntArray) -> None:
    """Whether each clip has a file for each layer that starts the layer's notes, and no others.

    What cannot be played is no fault: of notes with one onset, pitch and instrument MIDI holds one. So sets of
    (instrument, pitch, onset) are compared. When notes end and how loud they are is not.
    """
    file = shard.file("midi")
    midi = read_table(book, folder, "midi", file)
    if midi is None:
        return
    ids, layers = midi.column("clip_id"), midi.column("layer")
    of, layer = places_of(ids, shard.ids), places_of(layers, pa.array(layout.LAYERS))
    note_orphans(book, file, ids, of, f"of shard {shard.number}")
    book.where("midi", layer < 0, lambda row: f"clip {ids[row]}: layer {layers[row].as_py()!r} is none")
    there = np.zeros((len(shard), len(layout.LAYERS)), np.bool_)
    there[of[(of >= 0) & (layer >= 0)], layer[(of >= 0) & (layer >= 0)]] = True
    book.where(
        "midi",
        ~there.ravel(),
        lambda at: (
            f"{shard.name(at // len(layout.LAYERS))}: layer {layout.LAYERS[at % len(layout.LAYERS)]} has no file"
        ),
    )
    tick, pitch = _samples_of(floats(notes, "onset_s")), ints(notes, "pitch")
    instrument = places_of(notes.column("instrument"), pa.array(_INSTRUMENTS))
    keys = (tick * 128 + pitch) * len(_INSTRUMENTS) + instrument
    within = [flags(notes, f"in_{name}") for name in layout.LAYERS]
    rows = np.argsort(places, kind="stable")
    bounds = np.searchsorted(places[rows], np.arange(len(shard) + 1))
    parsed: tuple[bytes | None, IntArray | str] = (None, "")
    for row in np.flatnonzero((of >= 0) & (layer >= 0)).tolist():
        data = midi.column("midi")[row].as_py()
        if data != parsed[0]:  # layers of a clip that nobody corrected are the same file
            parsed = (data, _starts(data))
        starts, clip = parsed[1], int(of[row])
        mine = rows[bounds[clip] : bounds[clip + 1]]
        wanted = np.unique(keys[mine[within[int(layer[row])][mine]]])
        named = f"clip {ids[row]}, layer {layers[row]}"
        if isinstance(starts, str):
            book.note("midi", f"{named}: {starts}")
        elif not np.array_equal(starts, wanted):
            book.note(
                "midi",
                f"{named}: {len(starts)} notes in the MIDI file, {len(wanted)} playable ones in the table, "
                f"{len(np.intersect1d(starts, wanted))} in both",
            )


def _starts(data: bytes) -> IntArray | str:
    """Instrument, pitch and tick of each note-on as one number, sorted; or what is wrong with the file."""
    import mido

    from d2midi_build.music.midi import DAMAGE

    try:
        file = mido.MidiFile(file=io.BytesIO(data))
    except DAMAGE as error:
        return f"the MIDI file cannot be read ({str(error) or type(error).__name__})"
    if file.ticks_per_beat != clock.TICKS_PER_QUARTER:
        return f"{file.ticks_per_beat} ticks per quarter, not {clock.TICKS_PER_QUARTER}"
    found = []
    for track in file.tracks:
        tick, program = 0, [0] * 16
        for message in track:
            tick += message.time
            if message.type == "program_change":
                program[message.channel] = message.program
            elif message.type == "set_tempo" and message.tempo != 60_000_000 // clock.TEMPO_BPM:
                return f"a tempo of {60_000_000 / max(message.tempo, 1):.2f} bpm, not {clock.TEMPO_BPM}"
            elif message.type == "note_on" and message.velocity:
                drum = message.channel == DRUM_CHANNEL
                instrument = _INSTRUMENT_OF[int(drum), program[message.channel]]
                found.append((tick * 128 + message.note) * len(_INSTRUMENTS) + int(instrument))
    return np.array(sorted(found), dtype=np.int64)


def _audio(book: Book, folder: Path, shard: Shard) -> None:
    file = shard.file("audio")
    wanted = flags(shard.clips, "has_audio")
    if not wanted.any() and not (folder / file).exists():
        return  # a shard whose sound must not be passed on has no such file
    audio = read_table(book, folder, "audio", file, ["clip_id", "sample_rate_hz", "n_samples"])
    if audio is None:
        return
    ids, n_samples, rate = audio.column("clip_id"), ints(audio, "n_samples"), ints(audio, "sample_rate_hz")
    of = places_of(ids, shard.ids)
    note_orphans(book, file, ids, of, f"of shard {shard.number}")
    there = np.bincount(of + 1, minlength=len(shard) + 1)[1:] > 0
    book.where(
        "samples",
        there != wanted,
        lambda clip: (
            f"{shard.name(clip)}: has_audio is {wanted[clip]}, "
            + ("but its sound is in the release" if there[clip] else "but its sound is not in the release")
        ),
    )
    if (there & ~wanted).any():
        for clip in np.flatnonzero(there & ~wanted).tolist():
            book.note(
                "licence", f"{shard.name(clip)}: its sound is in the release, though has_audio is False"
            )
    told = np.append(ints(shard.clips, "n_samples"), 0)[of]
    book.where(
        "samples",
        (of >= 0) & ((n_samples != told) | (rate != clock.SAMPLE_RATE_HZ)),
        lambda row: (
            f"sound of clip {ids[row]}: {n_samples[row]:,} samples at {rate[row]:,} Hz, the clip has "
            f"{told[row]:,} at {clock.SAMPLE_RATE_HZ:,}"
        ),
    )
    digests = shard.clips.column("audio_sha256")
    with noting(book, file), pq.ParquetFile(folder / file) as parquet:
        row = 0
        for batch in parquet.iter_batches(batch_size=1, columns=["flac"]):
            for data in batch.column(0):
                if of[row] >= 0 and (
                    fault := _fault(data.as_buffer(), digests[int(of[row])].as_py(), int(told[row]))
                ):
                    book.note("samples", f"sound of clip {ids[row]}: {fault}")
                row += 1


def _fault(data: pa.Buffer, sha256: str, n_samples: int) -> str:
    """What is wrong with a FLAC file; empty if nothing is."""
    import soundfile

    if (found := hashlib.sha256(data).hexdigest()) != sha256:
        return f"SHA-256 {found[:12]}..., the clip says {sha256[:12]}..."
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            what = f"{file.format}, {file.channels} channels, {file.samplerate:,} Hz"
            if what != f"FLAC, 1 channels, {clock.SAMPLE_RATE_HZ:,} Hz":
                return f"{what}, not FLAC, 1 channels, {clock.SAMPLE_RATE_HZ:,} Hz"
            decoded = 0
            while read := len(file.read(_PIECE, dtype="int16")):
                decoded += read
    except (soundfile.LibsndfileError, RuntimeError, ValueError) as error:
        return f"cannot be decoded: {error}"
    return "" if decoded == n_samples else f"decodes to {decoded:,} samples, the clip has {n_samples:,}"
