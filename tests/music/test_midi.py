"""MIDI files: exact round trips, other readers, damaged files."""

from __future__ import annotations

import io
from pathlib import Path

import mido
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from d2midi_build.clock import SAMPLE_RATE_HZ
from d2midi_build.errors import PermanentError
from d2midi_build.music.instruments import INSTRUMENTS
from d2midi_build.music.midi import read_midi, to_midi_bytes, write_midi
from d2midi_build.music.notes import Notes, to_samples
from tests.music.test_notes import many_notes


def _everything() -> Notes:
    """A note per instrument, at times no float holds exactly."""
    return Notes.concat(
        [
            Notes.create([i / 3], [i / 3 + 0.5], 36 + i, 60 + i, ins.program, ins.is_drum)
            for i, ins in enumerate(INSTRUMENTS)
        ]
    )


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(notes=many_notes())
def test_round_trip_is_exact_to_the_tick(notes: Notes, tmp_path: Path) -> None:
    path = tmp_path / "a.mid"
    write_midi(notes, path)
    # Every program finds a channel here, so notes give way to each other only within a program.
    programs = [notes.where(notes.program == program) for program in np.unique(notes.program)]
    expected = Notes.concat([part.playable() for part in programs])
    assert sorted(_rows(read_midi(path))) == sorted(_rows(expected))


def _rows(notes: Notes) -> list[tuple[int, ...]]:
    """Onset, offset (samples), pitch, velocity, program, drum of each note."""
    columns = (to_samples(notes.onset_s), to_samples(notes.offset_s), notes.pitch, notes.velocity)
    return [tuple(map(int, row)) for row in zip(*columns, notes.program, notes.is_drum, strict=True)]


def test_bytes_do_not_depend_on_order() -> None:
    notes = _everything()
    assert to_midi_bytes(notes) == to_midi_bytes(notes.where(np.arange(len(notes))[::-1]))


def test_layout_as_mido_reads_it() -> None:
    file = mido.MidiFile(file=io.BytesIO(to_midi_bytes(_everything())), clip=False)
    assert (file.type, file.ticks_per_beat) == (1, 5120)
    assert [t.name for t in file.tracks[1:]] == [i.name for i in INSTRUMENTS]
    assert next(m.tempo for m in file.tracks[0] if m.type == "set_tempo") == 500_000
    channels = []
    for track, instrument in zip(file.tracks[1:], INSTRUMENTS, strict=True):
        used = {m.channel for m in track if not m.is_meta}
        assert len(used) == 1
        channels += used
        assert [m.program for m in track if m.type == "program_change"] == [instrument.program]
    assert len(set(channels)) == 13
    assert channels[-1] == 9


def test_pretty_midi_reads_the_same_notes(tmp_path: Path) -> None:
    import pretty_midi

    notes = _everything()
    write_midi(notes, tmp_path / "a.mid")
    song = pretty_midi.PrettyMIDI(str(tmp_path / "a.mid"))
    assert [(i.name, i.program, i.is_drum) for i in song.instruments] == [
        (i.name, i.program, i.is_drum) for i in INSTRUMENTS
    ]
    onset_s = sorted(note.start for i in song.instruments for note in i.notes)
    assert onset_s == pytest.approx(notes.onset_s, abs=1e-9)


def test_bytes_parse_by_the_standard_alone() -> None:
    """A third reader, from the MIDI file standard: chunk lengths, deltas and note pairs are right."""
    data = to_midi_bytes(Notes.create([0.5], [1.0], 60, 100, 40))
    assert data[:14] == b"MThd\x00\x00\x00\x06\x00\x01\x00\x02\x14\x00"  # type 1, 2 tracks, 5120 ticks
    first = int.from_bytes(data[18:22], "big")
    track = data[22 + first :]
    assert track[:4] == b"MTrk"
    assert int.from_bytes(track[4:8], "big") == len(track) - 8
    # Delta 5120 is the variable-length quantity A8 00; mido writes note 60 (3C) at velocity 100 (64),
    # channel 6 (violin is the sixth instrument), and ends it 5120 ticks later at velocity 0.
    assert (
        track[8:]
        == b"\x00\xff\x03\x06Violin\x00\xc5\x28\xa8\x00\x95\x3c\x64\xa8\x00\x85\x3c\x00\x00\xff\x2f\x00"
    )


def test_note_of_no_length_lasts_one_tick(tmp_path: Path) -> None:
    write_midi(Notes.create([1.0], [1.0], 60), tmp_path / "a.mid")
    notes = read_midi(tmp_path / "a.mid")
    assert notes.offset_s[0] - notes.onset_s[0] == pytest.approx(1 / SAMPLE_RATE_HZ)


def test_programs_of_one_instrument_sound_together_and_stay_apart(tmp_path: Path) -> None:
    """A piano and an electric piano on one key at once: one channel could not hold both."""
    notes = Notes.create([0.0, 0.5], [2.0, 1.0], 60, program=[0, 4])
    write_midi(notes, tmp_path / "a.mid")
    assert read_midi(tmp_path / "a.mid", origin="") == notes
    write_midi(notes.as_dataset(), tmp_path / "b.mid")
    merged = read_midi(tmp_path / "b.mid")
    assert (merged.program.tolist(), merged.offset_s.tolist()) == ([0, 0], [0.5, 1.0])


@given(order=st.permutations(range(128)), n=st.integers(1, 128), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_program_of_every_note_survives_however_many_there_are(
    order: list[int], n: int, seed: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(seed)
    programs = np.repeat(order[:n], rng.integers(1, 4, n))
    onset = rng.permutation(len(programs)) / 4  # in turns: nothing needs cutting
    notes = Notes.create(onset, onset + 0.25, rng.integers(0, 128, len(programs)), program=programs)
    drums = Notes.create([0.1, 0.2], 0.3, [36, 42], is_drum=True)
    write_midi(Notes.concat([notes, drums]), tmp_path / "a.mid")
    assert _rows(read_midi(tmp_path / "a.mid")) == _rows(Notes.concat([notes, drums]))
    channels = {
        message.channel
        for track in mido.MidiFile(tmp_path / "a.mid").tracks
        for message in track
        if message.type == "note_on"
    }
    assert len(channels) == min(n, 15) + 1 or n > 15


def test_the_rarest_programs_share_when_channels_run_out(tmp_path: Path) -> None:
    # 12 instruments and six more programs: three channels are left, for those with most notes.
    more = {1: 5, 2: 1, 33: 4, 34: 1, 81: 3, 82: 2}
    parts = [Notes.create([0.0], [9.0], 50, program=i.program) for i in INSTRUMENTS if not i.is_drum]
    parts += [
        Notes.create(np.arange(count), np.arange(count) + 0.5, 70, program=p) for p, count in more.items()
    ]
    write_midi(Notes.concat(parts), tmp_path / "a.mid")
    tracks = mido.MidiFile(tmp_path / "a.mid").tracks[1:]
    alone = {int(track.name.rsplit(" ", 1)[1]) for track in tracks if "program" in track.name}
    assert alone == {1, 33, 81}
    assert len(tracks) == 15
    assert _rows(read_midi(tmp_path / "a.mid")) == _rows(Notes.concat(parts))


def test_no_notes_survive_the_round_trip(tmp_path: Path) -> None:
    write_midi(Notes.empty(), tmp_path / "a.mid")
    assert read_midi(tmp_path / "a.mid") == Notes.empty()


def test_tempo_changes_are_followed(tmp_path: Path) -> None:
    file = mido.MidiFile(type=0, ticks_per_beat=480)
    track = mido.MidiTrack()
    file.tracks.append(track)
    track.append(mido.Message("note_on", note=60, velocity=64, time=480))  # 0.5 s at 120 bpm
    track.append(mido.MetaMessage("set_tempo", tempo=1_000_000, time=480))  # at 1 s: 60 bpm
    track.append(mido.Message("note_on", note=60, velocity=0, time=240))
    file.save(tmp_path / "a.mid")
    notes = read_midi(tmp_path / "a.mid", origin="test")
    assert (notes.onset_s.tolist(), notes.offset_s.tolist()) == ([0.5], [1.5])
    assert notes.origin.tolist() == ["test"]


def _saved(path: Path, *tracks: list[mido.Message | mido.MetaMessage], type: int = 1) -> Notes:
    """What is read from a file of these tracks at 480 ticks per quarter, without any end of track."""
    file = mido.MidiFile(type=type, ticks_per_beat=480)
    file.tracks += [mido.MidiTrack(track) for track in tracks]
    file.save(path)
    end = b"\x00\xff\x2f\x00"  # mido adds it; here it goes again, and the chunks get shorter
    data = path.read_bytes()
    whole, rest = data[:14], data[14:]
    while rest:
        length = int.from_bytes(rest[4:8], "big")
        body, rest = rest[8 : 8 + length], rest[8 + length :]
        body = body.removesuffix(end)
        whole += b"MTrk" + len(body).to_bytes(4, "big") + body
    path.write_bytes(whole)
    return read_midi(path)


def _note(channel: int, pitch: int, start: int = 0, length: int = 480) -> list[mido.Message]:
    """On after ``start`` ticks, off after ``length`` more."""
    return [
        mido.Message("note_on", channel=channel, note=pitch, velocity=64, time=start),
        mido.Message("note_off", channel=channel, note=pitch, time=length),
    ]


def _program(channel: int, program: int) -> mido.Message:
    return mido.Message("program_change", channel=channel, program=program)


def test_tracks_that_share_a_channel_keep_their_own_programs(tmp_path: Path) -> None:
    notes = _saved(
        tmp_path / "a.mid",
        [_program(0, 85), *_note(0, 60, length=960)],
        [_program(0, 31), *_note(0, 60), *_note(0, 62)],
    )
    assert list(zip(notes.program, notes.pitch, notes.offset_s, strict=True)) == [
        (31, 60, 0.5),
        (85, 60, 1.0),
        (31, 62, 1.0),
    ]


def test_a_first_track_may_set_the_programs_of_others(tmp_path: Path) -> None:
    notes = _saved(tmp_path / "a.mid", [_program(0, 40), _program(1, 70)], _note(0, 60), _note(1, 61))
    assert notes.program.tolist() == [40, 70]


def test_ports_tell_channels_of_one_number_apart(tmp_path: Path) -> None:
    port = mido.MetaMessage("midi_port", port=1)
    notes = _saved(
        tmp_path / "a.mid", [_program(0, 40)], [port, _program(0, 70)], _note(0, 60), [port, *_note(0, 62)]
    )
    assert notes.program.tolist() == [40, 70]


def test_one_track_may_end_what_another_began(tmp_path: Path) -> None:
    on, off = _note(0, 60)
    notes = _saved(tmp_path / "a.mid", [on], [off], _note(1, 50, 960))
    assert notes.offset_s.tolist() == [0.5, 1.5]


def test_programs_change_in_the_middle_and_sysex_does_no_harm(tmp_path: Path) -> None:
    sysex = mido.Message("sysex", data=[0x41, 0x10, 0x42, 0x12])
    notes = _saved(
        tmp_path / "a.mid",
        [sysex, _program(3, 24), *_note(3, 60), _program(3, 30), sysex, *_note(3, 60), *_note(9, 36)],
        type=0,
    )
    assert notes.program.tolist() == [24, 30, 0]
    assert notes.is_drum.tolist() == [False, False, True]


def test_files_that_count_in_frames_say_so(tmp_path: Path) -> None:
    path = tmp_path / "a.mid"
    path.write_bytes(b"MThd\x00\x00\x00\x06\x00\x01\x00\x00\xe7\x28")  # 25 frames/s, 40 ticks each
    with pytest.raises(PermanentError, match="SMPTE"):
        read_midi(path)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_never_raise_anything_else(data: st.DataObject, tmp_path: Path) -> None:
    whole = bytearray(to_midi_bytes(_everything()))
    if data.draw(st.booleans()):
        whole = whole[: data.draw(st.integers(0, len(whole)))]
    for _ in range(data.draw(st.integers(0, 6))):
        if whole:
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.mid"
    path.write_bytes(whole)
    try:
        read_midi(path)
    except PermanentError as error:
        assert "damaged.mid" in error.message


@pytest.mark.real_data
def test_real_damaged_and_odd_files(shared_data: Path) -> None:
    edge = shared_data / "salu133445+muspy/tests/data/midi"
    corrupt = shared_data / "Natooz+MidiTok/tests/MIDIs_corrupted/ValueError_Control168.mid"
    bad = [corrupt, *(edge / f"{n}-ticks-per-beat.mid" for n in ("negative", "zero")), edge / "type2.mid"]
    for path in bad:
        with pytest.raises(PermanentError):
            read_midi(path)
    assert len(read_midi(edge / "empty.mid")) == 0
    tempos = read_midi(edge / "tempos.mid")
    assert tempos.offset_s.max() == pytest.approx(4.4, abs=0.01)


@pytest.mark.real_data
def test_real_files_of_odd_shapes(shared_data: Path) -> None:
    testdata = shared_data / "magenta+note-seq/note_seq/testdata"
    # 19 tracks on 16 channels: tracks 1 and 16 share the first, each with a program of its own.
    programs = set(read_midi(testdata / "example_complex.mid").pitched().program.tolist())
    assert programs == {85, 100, 25, 5, 28, 30, 33, 29, 84, 65, 66, 50, 54, 31, 87}
    # 41 tracks without an end, a note each.
    drums = read_midi(testdata / "example_is_drum.mid")
    assert len(drums) == 40
    # Type 0, 420 tempi, 12 metres, sysex; a third reader agrees on every onset.
    song = shared_data / "craffel+pretty-midi/example.mid"
    assert _onsets_differ_s(song) < 1 / SAMPLE_RATE_HZ
    bars = read_midi(shared_data / "salu133445+muspy/tests/data/midi/time-signatures.mid")
    assert bars.onset_s.max() < bars.offset_s.max() == pytest.approx(21.25)


@pytest.mark.real_data
def test_real_songs_keep_their_programs(shared_data: Path, tmp_path: Path) -> None:
    """All 12 have fewer than 16 programs: no program is lost, and no key struck goes unheard."""
    for path in sorted((shared_data / "Natooz+MidiTok/tests/MIDIs_multitrack").glob("*.mid")):
        notes = read_midi(path)
        write_midi(notes, tmp_path / "a.mid")
        again = read_midi(tmp_path / "a.mid")
        assert len(np.unique(notes.pitched().program)) <= 15
        assert _begun(again) == _begun(notes), path.name


def _begun(notes: Notes) -> set[tuple[int, int, int, int]]:
    """What begins when: onset, pitch, program, drum."""
    return {(on, pitch, program, drum) for on, _, pitch, _, program, drum in _rows(notes)}


@pytest.mark.real_data
def test_real_songs_as_pretty_midi_reads_them(shared_data: Path) -> None:
    for name in ("Aicha.mid", "Mr. Blue Sky.mid"):
        path = shared_data / "Natooz+MidiTok/tests/MIDIs_multitrack" / name
        assert _onsets_differ_s(path) < 1 / SAMPLE_RATE_HZ


def _onsets_differ_s(path: Path) -> float:
    """How far any onset that pretty_midi reads is from the nearest one read here, in seconds."""
    import pretty_midi

    mine = read_midi(path)
    song = pretty_midi.PrettyMIDI(str(path))
    theirs = np.array(sorted(note.start for i in song.instruments for note in i.notes))
    # Notes that end where they start are dropped by pretty_midi, kept here.
    assert len(theirs) <= len(mine) <= len(theirs) * 1.01
    onsets_s = np.unique(mine.onset_s)
    place = np.searchsorted(onsets_s, theirs).clip(1, len(onsets_s) - 1)
    return float(np.minimum(abs(theirs - onsets_s[place - 1]), abs(theirs - onsets_s[place])).max())
