"""The door for DAWs: what goes out, what DAWs make of it, and what comes back."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import mido
import numpy as np
import pretty_midi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2midi_build.annotate.clips import ClipNotes
from d2midi_build.annotate.corrections import Correction, Corrections
from d2midi_build.annotate.daw_export import export_midi, stamp_of
from d2midi_build.annotate.daw_files import read
from d2midi_build.annotate.daw_import import Imported, import_midi
from d2midi_build.annotate.edits import edits
from d2midi_build.annotate.layering import Reason, Row, notes_of, rows
from d2midi_build.annotate.layers import layers, sheeted
from d2midi_build.annotate.tempo import TempoMap
from d2midi_build.errors import UsageError
from d2midi_build.music.instruments import INSTRUMENTS
from d2midi_build.music.midi import read_midi
from d2midi_build.music.notes import Notes
from tests.annotate.making import band, later, row
from tests.annotate.sequencer import absolute, coarser, edited, opened, relative, remade, saved, without

NONE = Corrections()


def _beats(seconds: float, first_s: float = 0.37, bpm: float = 113.0) -> dict[str, Any]:
    """Beats of a person who does not quite keep time."""
    n = int((seconds - first_s) * bpm / 60)
    wobble = np.random.default_rng(3).normal(0, 0.01, n)
    return {"beats_s": first_s + np.arange(n) * 60 / bpm + wobble, "positions": np.arange(2, n + 2) % 4 + 1}


PLAIN = ClipNotes("yt-abc_00001000", 1300, band(65, 6))
BEATEN = ClipNotes("yt-abc_00001000", 1300, band(65, 6), **_beats(65))
CLIPS = pytest.mark.parametrize("clip", [PLAIN, BEATEN], ids=["120 bpm", "beats"])


def back(data: bytes, clip: ClipNotes = PLAIN, corrections: Corrections = NONE, **fields: Any) -> Imported:
    """A file read again by Ada, who did it because she heard it."""
    given = {"by": "ada", "at": "2026-01-02", "reason": "heard"} | fields
    return import_midi(read(data, "song.mid"), clip, corrections, **given)


def tempo_of(clip: ClipNotes) -> TempoMap:
    """The map that a clip's files have."""
    return TempoMap.of_beats(clip.beats_s.tolist(), clip.positions.tolist())


def kinds(found: Imported) -> list[tuple[str, str, str]]:
    """Sheet, kind and reason of all edits."""
    return [
        (each.sheet_id[-4:], edit.kind, edit.reason)
        for each in found.corrections
        for edit in edits(each.layered)
    ]


def test_what_a_daw_is_given() -> None:
    file = opened(export_midi(PLAIN, NONE))
    assert (file.type, file.ticks_per_beat) == (1, 5120)
    assert [track.name for track in file.tracks[1:]] == [each.name for each in INSTRUMENTS]
    texts = [message.text for message in file.tracks[0] if message.type == "marker"]
    assert texts[1:] == [
        "sheet 000 begins",
        "sheet 000 ends",
        "sheet 001 begins",
        "sheet 001 ends",
        "sheet 002 begins",
        "sheet 002 ends",
    ]
    assert texts[0].startswith('d2midi {"clip":"yt-abc_00001000","sheet":null,"shown":"')


def test_bars_are_marked_where_the_music_has_them() -> None:
    file = opened(export_midi(BEATEN, NONE))
    bars, tick = {}, 0
    for message in file.tracks[0]:
        tick += message.time
        if message.type == "marker" and message.text.startswith("bar "):
            bars[message.text] = tick
    downbeats = BEATEN.beats_s[BEATEN.positions == 1]
    assert list(bars) == [f"bar {k + 1}" for k in range(len(downbeats))]
    song = pretty_midi.PrettyMIDI(io.BytesIO(saved(file)))
    for tick, wanted_s in zip(bars.values(), downbeats, strict=True):
        assert song.tick_to_time(tick) == pytest.approx(wanted_s, abs=1e-6)
    assert song.get_downbeats()[1:20] == pytest.approx(downbeats[:19], abs=1e-6), (
        "and its bar lines are there"
    )


def test_files_are_the_clips_notes_to_other_readers(tmp_path: Any) -> None:
    for clip, allowed_s in ((PLAIN, 0.0), (BEATEN, 1e-4)):
        path = tmp_path / "a.mid"
        path.write_bytes(export_midi(clip, NONE))
        found, wanted = read_midi(path), clip.notes.as_dataset().playable()
        for one, other in ((found.pitched(), wanted.pitched()), (found.drums(), wanted.drums())):
            order = [np.lexsort((each.onset_s, each.pitch, each.instrument)) for each in (one, other)]
            one, other = one.where(order[0]), other.where(order[1])
            assert (one.pitch == other.pitch).all() and (one.instrument == other.instrument).all()
            assert np.abs(one.onset_s - other.onset_s).max() <= allowed_s
            assert np.abs(one.offset_s - other.offset_s).max() <= allowed_s


@CLIPS
def test_a_file_that_nobody_changed_changes_nothing(clip: ClipNotes) -> None:
    found = back(export_midi(clip, NONE), clip)
    assert found.corrections == ()
    assert found.n_notes == found.n_same == len(clip.notes) - found.n_unheld


@CLIPS
@pytest.mark.parametrize("ticks", [960, 480, 192])
@pytest.mark.parametrize("rounded", [round, math.floor])
def test_a_daws_own_ticks_change_nothing(
    clip: ClipNotes, ticks: int, rounded: Callable[[float], float]
) -> None:
    """Reaper has 960 ticks per quarter, Logic 480."""
    thinned = ClipNotes(clip.clip_id, clip.n_frames, _sparse(), clip.beats_s, clip.positions)
    found = back(coarser(export_midi(thinned, NONE), ticks, rounded), thinned)
    assert found.corrections == ()


def _sparse() -> Notes:
    """Notes of one key at least 50 ms apart: coarser ticks run closer ones into each other."""
    found: dict[tuple[str, int], float] = {}
    kept = []
    for each in rows(band(65, 6).playable()):
        key = each.instrument, each.pitch
        if each.onset_s >= found.get(key, 0.0) + 0.05:
            kept.append(each)
            found[key] = each.offset_s
    return notes_of(kept)


@CLIPS
def test_exactly_what_was_changed_comes_back(clip: ClipNotes) -> None:
    def change(notes: list[Row]) -> list[Row]:
        by_time = sorted(notes, key=lambda each: each.onset_s)
        first = [each for each in by_time if each.onset_s < 30]
        second = [each for each in by_time if 30 <= each.onset_s < 59]
        moved, longer, louder, higher = first[2], first[7], second[1], second[6]
        new = {
            moved: later(moved, 0.2),
            longer: later(longer, 0.0, 0.3),
            louder: louder._replace(velocity=127),
            higher: higher._replace(pitch=higher.pitch + 12),
        }
        return [new.get(each, each) for each in notes if each is not first[11]] + [row(62.0, 100, 0.25)]

    data = edited(export_midi(clip, NONE), "Violin", change, tempo_of(clip))
    found = back(data, clip)
    assert sorted(kinds(found)) == [
        ("s000", "deleted", "heard"),
        ("s000", "moved", "heard"),
        ("s000", "resized", "heard"),
        ("s001", "pitch", "heard"),
        ("s001", "velocity", "heard"),
        ("s002", "added", "heard"),
    ]
    untouched = set(rows(clip.notes))
    final = layers(clip, Corrections(found.corrections))["final"]
    assert len(final) == len(clip.notes)
    assert sum(each not in untouched for each in rows(final)) == 5, "all others are the same to the last bit"
    moved = next(e for c in found.corrections for e in edits(c.layered) if e.kind == "moved")
    assert moved.before is not None and moved.after is not None
    assert moved.after.onset_s - moved.before.onset_s == pytest.approx(0.2, abs=1e-3)
    assert np.diff(moved.after.span) == np.diff(moved.before.span)


@CLIPS
def test_a_note_dragged_to_another_track_is_relabelled(clip: ClipNotes) -> None:
    file = opened(export_midi(clip, NONE))
    names = [track.name for track in file.tracks]
    violin, sax = (names.index(name) for name in ("Violin", "Soprano Sax"))
    events = list(file.tracks[violin])
    on = next(place for place, message in enumerate(events) if message.type == "note_on")
    off = next(
        place
        for place, message in enumerate(events)
        if message.type == "note_off" and message.note == events[on].note and place > on
    )
    start = sum(message.time for message in events[: on + 1])
    length = sum(message.time for message in events[on + 1 : off + 1])
    for place in (off, on):
        gone = events.pop(place)
        events[place] = events[place].copy(time=events[place].time + gone.time)
    file.tracks[violin] = mido.MidiTrack(events)
    name, program, end = file.tracks[sax]
    moved = [mido.Message(kind, note=gone.note, velocity=80, channel=0) for kind in ("note_on", "note_off")]
    file.tracks[sax] = mido.MidiTrack(
        [name, program, moved[0].copy(time=start), moved[1].copy(time=length), end]
    )
    found = back(saved(file), clip)
    made = [edit for each in found.corrections for edit in edits(each.layered)]
    assert {edit.kind for edit in made} - {"velocity"} == {"instrument"}
    assert made[0].after is not None and made[0].after.instrument == "Soprano Sax"


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_any_changes_come_back_as_the_notes_they_leave(data: st.DataObject) -> None:
    """Whatever a person does, layer final is what they left, and untouched notes are untouched."""
    with_beats = data.draw(st.booleans())
    small = ClipNotes(
        "c", 660, band(33, 2, seed=data.draw(st.integers(0, 5))), **(_beats(33) if with_beats else {})
    )
    shown = rows(small.notes.where(small.notes.instrument == "Violin"))
    left = [
        later(
            each, data.draw(st.sampled_from([0.0, 0.0, 0.1, 0.3])), data.draw(st.sampled_from([0.0, 0.2]))
        )._replace(pitch=each.pitch + data.draw(st.sampled_from([0, 0, 12])))
        for each in shown
        if data.draw(st.integers(0, 4))
    ]
    out = edited(export_midi(small, NONE), "Violin", lambda _: left, tempo_of(small))
    in_file = [each for each in read(out, "a").notes if each.instrument.name == "Violin"]
    final = layers(small, Corrections(back(out, small, anyway=True).corrections))["final"]
    violins = final.where(final.instrument == "Violin")
    wanted = [(tempo_of(small).to_seconds(each.onset), each.pitch, each.velocity) for each in in_file]
    found = list(zip(violins.onset_s, violins.pitch.tolist(), violins.velocity.tolist(), strict=True))
    assert len(found) == len(wanted)
    for one, other in zip(sorted(found), sorted(wanted), strict=True):
        assert one[0] == pytest.approx(other[0], abs=1e-3)
    assert sorted(each[1:] for each in found) == sorted(each[1:] for each in wanted)
    rest = final.where(final.instrument != "Violin")
    assert rest == small.notes.where(small.notes.instrument != "Violin")
    once = back(out, small, anyway=True)
    again = back(out, small, Corrections(once.corrections), anyway=True, reason="aligned")
    assert (again.corrections, len(again.again)) == ((), len(once.corrections)), (
        "a second time it says nothing new"
    )
    undone = back(export_midi(small, NONE), small, Corrections(once.corrections), anyway=True)
    assert layers(small, Corrections([*once.corrections, *undone.corrections]))["final"] == small.notes


@pytest.mark.parametrize("reason", ["heard", "aligned", "pleasant"])
def test_all_notes_shifted_is_what_the_layers_say(reason: Reason) -> None:
    clip = ClipNotes("c", 600, _sparse().starting_in(0, 29))
    scale = tempo_of(clip)
    data = export_midi(clip, NONE)
    for name in {*clip.notes.instrument.tolist()}:
        data = edited(data, name, lambda notes: [later(each, 0.05) for each in notes], scale)
    found = back(data, clip, reason=reason)
    assert {edit[1:] for edit in kinds(found)} == {("moved", reason)}
    made = layers(clip, Corrections(found.corrections))
    assert made["final"].onset_s == pytest.approx(clip.notes.onset_s + 0.05, abs=1e-4)
    assert (made["heard"] == clip.notes) == (reason != "heard")


def test_one_sheet_goes_out_and_comes_back_alone() -> None:
    data = export_midi(BEATEN, NONE, 1)
    onsets = [tempo_of(BEATEN).to_seconds(each.onset) for each in read(data, "a").notes]
    assert min(onsets) > 29.99 and max(onsets) < 60
    found = back(edited(data, "Violin", lambda notes: notes[1:], tempo_of(BEATEN)), BEATEN)
    assert kinds(found) == [("s001", "deleted", "heard")]
    with pytest.raises(UsageError, match=r"added outside of the sheet .*yt-abc_00001000_s001"):
        back(edited(data, "Violin", lambda notes: [*notes, row(5.0, 100)], tempo_of(BEATEN)), BEATEN)
    with pytest.raises(UsageError, match="has no sheet 3: it has 3"):
        export_midi(BEATEN, NONE, 3)


def test_who_vouches_for_a_clip_vouches_for_the_sheets_they_left_as_they_were() -> None:
    found = back(export_midi(PLAIN, NONE), checked=True)
    assert [each.sheet_id[-4:] for each in found.corrections] == ["s000", "s001", "s002"]
    assert all(each.layered.final == each.layered.machine for each in found.corrections)


def test_work_goes_on_from_what_was_corrected_before() -> None:
    first = back(edited(export_midi(PLAIN, NONE), "Violin", lambda notes: notes[1:], tempo_of(PLAIN)))
    then = Corrections(first.corrections)
    data = edited(
        export_midi(PLAIN, then), "Violin", lambda notes: [later(notes[0], 0.2), *notes[1:]], tempo_of(PLAIN)
    )
    second = back(data, corrections=then, by="bob", reason="aligned")
    assert kinds(second) == [("s000", "deleted", "heard"), ("s000", "moved", "aligned")]
    standing = Corrections([*first.corrections, *second.corrections]).standing("yt-abc_00001000_s000")
    assert standing.applied == second.corrections[0]
    assert not standing.others


def test_what_others_did_meanwhile_is_not_undone() -> None:
    out = export_midi(PLAIN, NONE)
    bobs = back(edited(out, "Violin", lambda notes: notes[:-1], tempo_of(PLAIN)), by="bob")
    assert [each.sheet_id[-4:] for each in bobs.corrections] == ["s002"]
    since = Corrections(bobs.corrections)
    adas = back(edited(out, "Violin", lambda notes: notes[1:], tempo_of(PLAIN)), corrections=since)
    assert kinds(adas) == [("s000", "deleted", "heard")]
    both = Corrections([*since.lines, *adas.corrections])
    assert len(layers(PLAIN, both)["final"]) == len(PLAIN.notes) - 2
    again = back(edited(out, "Violin", lambda notes: notes[1:], tempo_of(PLAIN)), corrections=both)
    assert (again.corrections, again.again) == ((), ("yt-abc_00001000_s000",)), (
        "read again it says nothing new"
    )


def violins(data: bytes, place: int, change: Callable[[Row], Row | None], clip: ClipNotes = PLAIN) -> bytes:
    """A file in which the violin's note at a place, by time, is another or gone."""

    def changed(notes: list[Row]) -> list[Row]:
        by_time = sorted(notes, key=lambda each: each.onset_s)
        at = place % len(by_time)
        return [row for row in [*by_time[:at], change(by_time[at]), *by_time[at + 1 :]] if row]

    return edited(data, "Violin", changed, tempo_of(clip))


@CLIPS
def test_a_file_that_comes_back_again_adds_what_is_new_in_it(clip: ClipNotes) -> None:
    """As the page says: what was heard first, then what was aligned, in one project."""
    heard = violins(export_midi(clip, NONE), 3, lambda note: note._replace(pitch=note.pitch + 12), clip)
    once = back(heard, clip)
    then = Corrections(once.corrections)
    aligned = violins(
        violins(heard, 3, lambda note: later(note, 0.2), clip), 9, lambda note: later(note, 0.1), clip
    )
    for data in (aligned, coarser(aligned, 960)):
        found = back(data, clip, then, reason="aligned")
        assert kinds(found) == [
            ("s000", "pitch", "heard"),
            ("s000", "moved", "aligned"),
            ("s000", "moved", "aligned"),
        ]
        assert {name[-4:]: [edit.kind for edit in new] for name, new in found.edits.items()} == {
            "s000": ["moved", "moved"]
        }
        assert found.corrections[0].shown == once.corrections[0].shown
        both = Corrections([*then.lines, *found.corrections])
        assert layers(clip, both)["heard"] == layers(clip, then)["heard"]
        assert back(data, clip, both).corrections == ()
        vouched = back(data, clip, both, checked=True).corrections
        assert [each.sheet_id[-4:] for each in vouched] == ["s001", "s002"], (
            "they have left the first one before"
        )
        (ruled,) = back(data, clip, both, reviewer=True).corrections
        assert (ruled.reviewer, ruled.layered) == (True, found.corrections[0].layered)


@CLIPS
@pytest.mark.parametrize(
    "change", [lambda note: later(note, 0.2), lambda note: note._replace(velocity=1), lambda note: None]
)
def test_what_is_undone_in_the_daw_is_undone(clip: ClipNotes, change: Callable[[Row], Row | None]) -> None:
    out = export_midi(clip, NONE)
    once = back(violins(out, 3, change, clip), clip)
    assert len(once.corrections) == 1
    found = back(out, clip, Corrections(once.corrections))
    (undone,) = found.corrections
    assert undone.layered.final == undone.layered.heard == undone.layered.machine
    assert list(found.undone.values()) == [1]
    both = Corrections([*once.corrections, undone])
    assert layers(clip, both)["final"] == clip.notes
    redone = back(violins(out, 3, change, clip), clip, both)
    assert [each.layered for each in redone.corrections] == [each.layered for each in once.corrections]


def test_a_file_that_is_older_than_its_authors_newest_work_does_not_replace_it() -> None:
    first = violins(export_midi(PLAIN, NONE), 3, lambda note: note._replace(pitch=note.pitch + 12))
    lines = list(back(first).corrections)
    second = violins(export_midi(PLAIN, Corrections(lines)), 9, lambda note: later(note, 0.2))
    lines += back(second, corrections=Corrections(lines)).corrections
    since = Corrections(lines)
    assert len(lines) == 2
    old = back(first, corrections=since)
    assert (old.corrections, old.again) == ((), ("yt-abc_00001000_s000",))
    more = violins(first, 5, lambda note: None)
    with pytest.raises(
        UsageError, match=r"ada has corrected yt-abc_00001000_s000 since this file went out.*export ag"
    ):
        back(more, corrections=since)
    assert kinds(back(more, corrections=since, anyway=True)) == [
        ("s000", "pitch", "heard"),
        ("s000", "deleted", "heard"),
    ]
    assert kinds(back(violins(first, -1, lambda note: None), corrections=since)) == [
        ("s002", "deleted", "heard")
    ], "in other sheets it is as good as any"
    assert len(back(more, corrections=since, by="bob").corrections) == 1, "and other people's are their own"


def test_a_deleted_note_that_is_put_back_is_not_there_twice() -> None:
    """Also where ticks have rounded it."""
    gone = violins(export_midi(BEATEN, NONE), 3, lambda note: None, BEATEN)
    first = back(gone, BEATEN, reason="pleasant")
    then = Corrections(first.corrections)
    note = sorted(
        (each for each in rows(BEATEN.notes) if each.instrument == "Violin"), key=lambda e: e.onset_s
    )[3]
    data = edited(export_midi(BEATEN, then), "Violin", lambda notes: [*notes, note], tempo_of(BEATEN))
    second = back(data, BEATEN, then, by="bob")
    made = layers(BEATEN, Corrections([*then.lines, *second.corrections]))
    assert made["heard"] == made["final"] == BEATEN.notes


def test_tracks_that_lost_their_names_are_not_new_instruments() -> None:
    def renamed(number: int, event: tuple[int, Any]) -> tuple[int, Any]:
        tick, message = event
        if message.type == "program_change":
            return tick, message.copy(program=0)
        return tick, message.copy(
            name=f"Inst {number}"
        ) if message.type == "track_name" and number else message

    data = remade(export_midi(PLAIN, NONE), renamed)
    with pytest.raises(UsageError, match=r"^190 notes of .* have tracks lost their names\?"):
        back(data)
    assert {edit[1] for edit in kinds(back(data, anyway=True))} == {"instrument"}


def test_a_slow_stretch_of_the_music_hides_no_edits_elsewhere() -> None:
    """The beats are unknown for ten seconds: a tick there is 21 ms long, and 1 ms elsewhere."""
    beats_s = np.concatenate([np.arange(0.5, 30, 0.5), np.arange(40, 64, 0.5)])
    gap = ClipNotes("yt-abc_00001000", 1300, _sparse(), beats_s, np.arange(len(beats_s)) % 4 + 1)
    assert tempo_of(gap).tick_s(35.0) * 5120 / 480 > 0.02
    data = export_midi(gap, NONE)
    for rounded in (round, math.floor):
        assert back(coarser(data, 480, rounded), gap).corrections == ()
    data = violins(data, 3, lambda note: later(note, 0.01), gap)
    assert kinds(back(coarser(data, 480), gap)) == [("s000", "moved", "heard")]


@pytest.mark.parametrize("late", [0, 1, 10])
def test_a_repeated_note_does_not_end_with_the_one_before(late: int) -> None:
    """DAWs write the end of a note at or after the beginning of the next of its pitch."""
    clip = ClipNotes("c", 600, notes_of([row(1 + k / 2, 60, 0.5) for k in range(20)]))
    file = opened(export_midi(clip, NONE))
    for place, track in enumerate(file.tracks):
        events = [(tick + late * (event.type == "note_off"), event) for tick, event in absolute(track)]
        events.sort(key=lambda each: (each[0], each[1].type == "note_off"))
        last = events[-1][0]
        file.tracks[place] = relative(
            [each for each in events if each[1].type != "end_of_track"]
            + [(last, mido.MetaMessage("end_of_track"))]
        )
    found = read(saved(file), "a").notes
    assert [(note.onset, note.offset) for note in found[:-1]] == [
        (10240 + 5120 * k, 15360 + 5120 * k) for k in range(19)
    ]
    assert found[-1].offset == 10240 + 5120 * 20 + late


def test_a_note_off_that_is_missing_makes_the_next_one_no_longer() -> None:
    """Then nothing says whose the others are: each ends what sounds."""
    file = opened(export_midi(ClipNotes("c", 600, Notes.empty()), NONE))
    violin = next(track for track in file.tracks if track.name == "Violin")
    on, off = (mido.Message(kind, note=60, velocity=80, channel=5) for kind in ("note_on", "note_off"))
    violin[-1:-1] = [
        on.copy(time=100),
        on.copy(time=100),
        off.copy(time=100),
        on.copy(time=100),
        off.copy(time=100),
    ]
    found = [(note.onset, note.offset) for note in read(saved(file), "a").notes]
    assert found == [(100, 200), (200, 300), (400, 500)]


def test_files_of_other_clips_and_of_old_notes_are_refused() -> None:
    data = export_midi(PLAIN, NONE)
    other = ClipNotes("yt-xyz_00000000", 1300, PLAIN.notes)
    with pytest.raises(UsageError, match=r"is of clip yt-abc_00001000, not of yt-xyz_00000000"):
        back(data, other)
    again = ClipNotes(PLAIN.clip_id, 1300, PLAIN.notes.where(np.arange(len(PLAIN.notes)) != 40))
    with pytest.raises(UsageError, match="have been made again since"):
        back(data, again)
    assert kinds(back(data, again, anyway=True)) == [("s000", "added", "heard")]
    with pytest.raises(UsageError, match=r"only \d+ of the \d+ notes .* are in the file"):
        back(edited_away(data), PLAIN)


def edited_away(data: bytes) -> bytes:
    """The file without most of its notes."""
    file = opened(data)
    file.tracks = [track for number, track in enumerate(file.tracks) if number == 0 or track.name == "Drum"]
    return saved(file)


def test_the_stamp_survives_in_one_place_or_another() -> None:
    data = export_midi(PLAIN, NONE)
    for dropped in (("text", "marker"), ("text", "track_name"), ("marker", "track_name")):
        stamp = stamp_of(read(without(data, *dropped), "a"))
        assert stamp is not None and stamp.clip == PLAIN.clip_id
    bare = without(data, "text", "marker", "track_name")
    with pytest.raises(UsageError, match="does not say which clip it is of"):
        back(bare)
    assert back(bare, anyway=True).corrections == (), "programs and channels say the instruments"
    one = without(export_midi(PLAIN, NONE, 0), "text", "marker", "track_name")
    with pytest.raises(UsageError, match="another clip or sheet"):
        back(one, anyway=True)
    assert back(one, anyway=True, sheet=0).corrections == ()


@pytest.mark.parametrize(
    "words",
    [
        'd2midi {"clip":' + "[" * 200_000,
        'd2midi {"clip":"yt-abc_00001000","sheet":1e999,"shown":"","tempo":""}',
        'd2midi {"clip":"' + " " * 1000 + '","sheet":0,"shown":"","tempo":""}',
        "d2midi {",
        'd2midi {"clip": 3}',
        "d2midi []",
        'd2midi {"clip":"a","sheet":"x","shown":"","tempo":""}',
    ],
)
def test_a_damaged_stamp_is_none(words: str) -> None:
    data = remade(
        export_midi(PLAIN, NONE),
        lambda _, event: (
            (event[0], mido.MetaMessage("text", text=words))
            if event[1].type in ("text", "marker", "track_name")
            else event
        ),
    )
    assert stamp_of(read(data, "a")) is None


def test_a_daw_that_drops_the_tempo_map_and_keeps_the_beats() -> None:
    def change(number: int, event: tuple[int, Any]) -> tuple[int, Any] | None:
        return None if event[1].type == "set_tempo" else event

    found = back(remade(export_midi(BEATEN, NONE), change), BEATEN)
    assert (found.corrections, found.tempo) == ((), "clip")


def test_a_daw_that_drops_the_tempo_map_and_keeps_the_times() -> None:
    scale = tempo_of(BEATEN)

    def change(number: int, event: tuple[int, Any]) -> tuple[int, Any] | None:
        tick = round(float(scale.to_seconds(event[0])) * 2 * 960)
        return None if event[1].type == "set_tempo" else (tick, event[1])

    thinned = ClipNotes(BEATEN.clip_id, 1300, _sparse(), BEATEN.beats_s, BEATEN.positions)
    found = back(remade(export_midi(thinned, NONE), change, 960), thinned)
    assert (found.corrections, found.tempo) == ((), "file")


def test_a_daw_that_rounds_tempos_does_not_shift_the_end() -> None:
    """To a hundredth of a beat per minute: 80 ms over a quarter of an hour."""

    def change(number: int, event: tuple[int, Any]) -> tuple[int, Any] | None:
        tick, message = event
        if message.type != "set_tempo":
            return event
        return tick, message.copy(tempo=round(60e6 / math.floor(6e9 / message.tempo) * 100))

    data = remade(export_midi(BEATEN, NONE), change)
    assert read(data, "a").tempo.to_seconds(130 * 5120) > tempo_of(BEATEN).to_seconds(130 * 5120) + 1e-3
    found = back(data, BEATEN)
    assert (found.corrections, found.tempo) == ((), "clip")


def test_beats_that_were_made_again_do_no_harm() -> None:
    other = ClipNotes(BEATEN.clip_id, 1300, BEATEN.notes, **_beats(65, 0.2, 99))
    assert back(export_midi(BEATEN, NONE), other).corrections == ()


def test_one_track_with_channels_is_read_too() -> None:
    """Type 0, as some programs export."""
    file = opened(export_midi(PLAIN, NONE))
    one = mido.MidiFile(type=0, ticks_per_beat=file.ticks_per_beat)
    one.tracks.append(mido.merge_tracks(file.tracks))
    assert back(saved(one)).corrections == ()


def test_names_count_before_channels_and_programs() -> None:
    def on_one_channel(number: int, event: tuple[int, Any]) -> tuple[int, Any] | None:
        tick, message = event
        if message.type == "program_change":
            return None
        if message.type == "track_name" and number:
            return tick, message.copy(
                name={"Drum": "Drums", "Violin": "VIOLIN 2"}.get(message.name, message.name)
            )
        return (tick, message) if message.is_meta else (tick, message.copy(channel=0))

    assert back(remade(export_midi(PLAIN, NONE), on_one_channel)).corrections == ()


def test_a_track_without_an_instrument_is_named_and_the_list_given() -> None:
    def renamed(number: int, event: tuple[int, Any]) -> tuple[int, Any] | None:
        tick, message = event
        if message.type == "program_change":
            return None
        if message.type == "track_name" and message.name == "Violin":
            return tick, message.copy(name="Violinist")
        return event

    with pytest.raises(
        UsageError, match=r"song\.mid: track 7 \('Violinist'\) has notes, .*: Acoustic Grand Piano, .*Drum"
    ):
        back(remade(export_midi(PLAIN, NONE), renamed))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", r"cannot be read as a MIDI file \(EOFError\)"),
        (b"MThd nothing", "cannot be read as a MIDI file"),
        (b"MThd\0\0\0\6\0\2\0\0\1\xe0", "of type 2"),
        (b"MThd\0\0\0\6\0\1\0\0\xe7\x28", "SMPTE"),
    ],
)
def test_what_is_no_file_of_notes_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read(data, "song.mid")


@settings(deadline=None, max_examples=200)
@given(place=st.integers(0, 3000), byte=st.integers(0, 255))
def test_damaged_files_give_notes_or_a_message(place: int, byte: int) -> None:
    data = bytearray(export_midi(ClipNotes("c", 60, band(3)), NONE))
    data[place % len(data)] = byte
    try:
        assert read(bytes(data), "a").tempo.ticks_per_quarter > 0
    except UsageError as error:
        assert str(error).startswith("a")


def test_notes_after_the_end_of_the_clip_are_refused() -> None:
    data = edited(export_midi(PLAIN, NONE), "Violin", lambda notes: [*notes, row(65.5, 70)], tempo_of(PLAIN))
    with pytest.raises(
        UsageError, match=r"Violin 70 at 65\.500 s starts after the end of yt-abc_00001000 \(65 s\)"
    ):
        back(data)
    long = edited(
        export_midi(PLAIN, NONE), "Violin", lambda notes: [*notes, row(64.5, 100, 9.0)], tempo_of(PLAIN)
    )
    added = [each for each in back(long).corrections[0].layered.final.values() if each.pitch == 100]
    assert [each.offset_s for each in added] == [65.0]


def test_notes_that_midi_cannot_hold_share_the_fate_of_the_one_it_holds() -> None:
    twins = [row(1.0, 60, 0.5), row(1.0, 60, 0.3, velocity=60), row(3.0, 62), row(4.0, 64)]
    clip = ClipNotes("c", 600, notes_of(twins))
    data = export_midi(clip, NONE)
    same = back(data, clip)
    assert (same.corrections, same.n_unheld, same.n_notes) == ((), 1, 3)
    gone = back(edited(data, "Violin", lambda notes: notes[1:], tempo_of(clip)), clip)
    assert [edit[1] for edit in kinds(gone)] == ["deleted", "deleted"]
    other = back(edited(data, "Violin", lambda notes: notes[:-1], tempo_of(clip)), clip)
    assert len(layers(clip, Corrections(other.corrections))["final"]) == 3


def test_a_note_that_midi_cuts_keeps_its_end() -> None:
    """The first violin note sounds into the second: the file cuts it, the clip does not."""
    clip = ClipNotes("c", 600, notes_of([row(1.0, 60, 2.0), row(2.0, 60, 2.0), row(5.0, 62)]))
    data = export_midi(clip, NONE)
    assert back(data, clip).corrections == ()
    moved = back(edited(data, "Violin", lambda n: [later(n[0], -0.2), *n[1:]], tempo_of(clip)), clip)
    assert [edit[1] for edit in kinds(moved)] == ["moved"]
    final = layers(clip, Corrections(moved.corrections))["final"]
    assert final.offset_s[0] == pytest.approx(2.8, abs=1e-4)


def test_a_clip_without_notes_goes_out_and_is_filled() -> None:
    clip = ClipNotes("c", 600, Notes.empty())
    data = edited(export_midi(clip, NONE), "Piccolo", lambda _: [row(1.0, 90)], tempo_of(clip))
    found = back(data, clip)
    assert kinds(found) == [("s000", "added", "heard")]
    assert isinstance(found.corrections[0], Correction)
    assert sheeted(clip, Corrections(found.corrections))[0].layered.final[0].instrument == "Piccolo"
