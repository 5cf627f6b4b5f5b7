"""The benchmark's own arithmetic on hand-made notes, its pieces, and whole small runs."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transcription as bench
import transcription_peer as peer
import transcription_pieces as pieces
import transcription_report as report
from transcription_scores import compare

from d2midi_build.digests import sha256_file
from d2midi_build.errors import UsageError
from d2midi_build.music.instruments import BASS, GUITAR, PIANO
from d2midi_build.music.midi import write_midi
from d2midi_build.music.notes import Notes
from d2midi_build.music.synthesis import default_soundfont

SCRIPT = Path(bench.__file__)


def song(n: int = 240, beat_s: float = 0.25) -> Notes:
    """A minute of chords and bass, every onset on an eighth of 120 bpm."""
    onset_s = np.arange(n) * beat_s
    return Notes.concat(
        [
            Notes.create(onset_s, onset_s + 0.2, 60 + np.arange(n) % 12, program=GUITAR.program),
            Notes.create(onset_s[::2], onset_s[::2] + 0.4, 40, program=BASS.program),
            Notes.create(onset_s[::2], onset_s[::2] + 0.1, 36, is_drum=True),
        ]
    )


def test_a_perfect_transcription_scores_one_everywhere() -> None:
    truth = pieces.composed_piece(pieces.SEEDS[0]).notes
    heard = compare(truth, truth)
    scores = {name: score for name, score in heard.scores.items() if score is not None}
    assert scores.pop("octave errors") == 0.0
    assert set(scores) >= {"onset", "onset+offset", "instrument", "instrument+drums", "kick", "snare", "hat"}
    assert set(scores.values()) == {1.0}
    assert heard.scores["tom"] is None  # there are none
    assert all(matched == ours == theirs for matched, ours, theirs in heard.counts.values())
    for group in ("instrument", "polyphony", "pitch"):
        n = sum(counts[1] for key, counts in heard.counts.items() if key.startswith(group))
        assert n == len(truth.pitched())
    assert np.trace(heard.confusion) == heard.confusion.sum() == len(truth.pitched())


def test_places_of_failure_by_hand() -> None:
    # Two together, then one alone; the second of the two is missed, and one is made up where one sounds.
    truth = Notes.create([0.0, 0.0, 2.0], [1.0, 1.0, 3.0], [40, 64, 90])
    found = Notes.create([0.01, 2.5], [1.0, 3.0], [40, 91], p_note=[0.9, 0.3])
    heard = compare(truth, found)
    assert heard.counts["polyphony/2"] == (1, 2, 1)
    assert heard.counts["polyphony/1"] == (0, 1, 1)
    assert heard.counts["pitch/36-47"] == (1, 1, 1)
    assert heard.counts["pitch/60-71"] == (0, 1, 0)
    assert heard.counts["pitch/84-127"] == (0, 1, 1)
    probability, right = heard.trust["p_note, pitched"]
    assert probability == pytest.approx([0.9, 0.3])
    assert right.tolist() == [True, False]
    assert heard.late_s["pitched"] == pytest.approx([0.01], abs=1e-4)


def test_p_instrument_is_judged_on_found_notes_only() -> None:
    truth = Notes.create([0.0, 1.0], [0.5, 1.5], [60, 62], program=[PIANO.program, GUITAR.program])
    found = Notes.create([0.0, 1.0, 2.0], [0.5, 1.5, 2.5], [60, 62, 64], p_instrument=[0.8, 0.4, 0.1])
    probability, right = compare(truth, found).trust["p_instrument"]
    assert probability == pytest.approx([0.8, 0.4])
    assert right.tolist() == [True, False]


def test_midi_files_that_cannot_be_used_are_named_with_the_reason(tmp_path: Path) -> None:
    write_midi(song(), tmp_path / "good.mid")
    write_midi(song(), tmp_path / "twin.mid")
    write_midi(song(100), tmp_path / "short.mid")
    write_midi(song().pitched().where(song().pitched().program == GUITAR.program), tmp_path / "solo.midi")
    (tmp_path / "broken.mid").write_bytes(b"MThd")
    found, left_out = pieces.midi_pieces([tmp_path])
    assert [piece.name for piece in found] == ["good"]
    assert left_out["twin.mid"] == "the same file again"
    assert "1 pitched instruments" in left_out["solo.midi"]
    assert "25 s" in left_out["short.mid"]
    assert left_out["broken.mid"].startswith("unreadable")


def test_a_midi_piece_is_cut_on_its_clock_and_knows_its_beats(tmp_path: Path) -> None:
    write_midi(song(), tmp_path / "song.mid")  # a minute: the cut is its last 30 s
    piece = pieces.midi_pieces([tmp_path])[0][0]
    end_s = float(song().offset_s.max())
    start_s = np.floor(end_s - pieces.SECONDS)
    assert piece.notes.onset_s.min() == 0.0
    assert piece.notes.offset_s.max() <= pieces.SECONDS
    assert len(piece.notes) == len(song().starting_in(start_s, start_s + pieces.SECONDS))
    assert piece.beats_s is not None
    assert piece.beats_s[:3] == pytest.approx([0.0, 0.5, 1.0] if start_s % 0.5 == 0 else [])
    assert piece.downbeats_s is not None
    assert np.isin(piece.downbeats_s, piece.beats_s).all()


def test_a_tempo_map_that_the_notes_do_not_keep_to_is_not_believed(tmp_path: Path) -> None:
    write_midi(song(beat_s=0.21), tmp_path / "free.mid")
    assert pieces.midi_pieces([tmp_path])[0][0].beats_s is None


def test_onsets_stay_where_they_are_whatever_is_done_to_the_sound() -> None:
    notes = Notes.create([1.0], [1.5], 60, 100, 80)
    piece = pieces.Piece("beep", "composed", notes, None, None)
    for sound in ("dry", "reverb", "mp3", "clip"):
        heard, rate_hz = pieces.Condition(default_soundfont(), sound=sound).heard(piece)
        assert len(heard) == round(pieces.SECONDS * rate_hz)
        level = np.abs(heard).max(axis=1)
        loud = np.argmax(level > 0.2 * level[: 2 * rate_hz].max()) / rate_hz
        assert loud == pytest.approx(1.0, abs=0.004), sound
    dry, wet = (
        pieces.Condition(default_soundfont(), sound=sound).heard(piece)[0] for sound in ("dry", "reverb")
    )
    after = slice(round(1.9 * pieces.RATE_HZ), round(2.1 * pieces.RATE_HZ))
    assert np.square(wet[after]).sum() > 10 * np.square(dry[after]).sum()


def test_a_condition_without_drums_has_none_in_its_truth() -> None:
    piece = pieces.composed_piece(pieces.SEEDS[1])
    silent = pieces.Condition(default_soundfont(), drums=False)
    assert not silent.truth(piece).is_drum.any()
    assert silent.name == "TimGM6mb, no drums"


def test_a_font_is_marked_by_its_bytes(tmp_path: Path) -> None:
    digest = sha256_file(default_soundfont())
    known = {"soundfonts": [{"name": "renamed.sf2", "sha256": digest, "licence": "x", "role": "calibration"}]}
    assert bench.seen_in(known, "embedded", digest) == "calibration"
    assert bench.seen_in({"soundfonts": []}, "embedded", digest) == "unseen"
    assert bench.seen_in(None, "embedded", digest) == "not stated"
    assert bench.seen_in(None, "basic-pitch", digest) == "unseen"
    broken = tmp_path / "provenance.json"
    broken.write_text("{")
    with pytest.raises(UsageError, match="no provenance file"):
        bench.provenance_of("embedded", broken)


def test_what_was_trained_on_is_refused(tmp_path: Path) -> None:
    write_midi(song(), tmp_path / "song.mid")
    provenance = tmp_path / "provenance.json"
    trained = {"soundfonts": [], "midi": [{"sha256": sha256_file(tmp_path / "song.mid")}]}
    provenance.write_text(json.dumps(trained | {"seeds": {"band": list(pieces.SEEDS)}}))
    options = argparse.Namespace(
        midi=[tmp_path], soundfont=[], transcriber=["basic-pitch"], training_digests=provenance, pieces=None
    )
    with pytest.raises(UsageError, match="no piece is left"):
        bench.benchmark(options)


def test_fonts_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.sf2"):
        bench.fonts_to_play([tmp_path / "absent.sf2"])
    fonts, absent = bench.fonts_to_play([])
    assert fonts[0] == default_soundfont()
    assert len(fonts) + len(absent) == 1 + len(pieces.DEBIAN_FONTS)


def test_events_of_the_command_are_read_as_it_wrote_them(tmp_path: Path) -> None:
    events = tmp_path / "x_basic_pitch.csv"
    events.write_text(
        "start_time_s,end_time_s,pitch_midi,velocity,pitch_bend\n1.5,2.0,64,127,0,1,0\n0.5,1.0,60,64\n"
    )
    notes = peer.read_events(events)
    assert notes.onset_s.tolist() == [0.5, 1.5]
    assert notes.pitch.tolist() == [60, 64]
    assert notes.p_note == pytest.approx([64 / 127, 1.0])
    events.write_text("start_time_s,end_time_s,pitch_midi,velocity,pitch_bend\n")
    assert not len(peer.read_events(events))


def ran(folder: Path, *arguments: str) -> dict[str, Any]:
    """The JSON of a run on one MIDI file and as many composed pieces as fit."""
    write_midi(song(), folder / "song.mid")
    command = [sys.executable, SCRIPT, "--midi", folder, "--transcriber", "basic-pitch", "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results: dict[str, Any] = json.loads(done.stdout)
    return results


def test_a_small_run_says_everything(tmp_path: Path) -> None:
    out = tmp_path / "out"
    results = ran(tmp_path, "--quick", "--pieces", "1", "--no-peer", "--out", str(out))
    options = "--transcriber basic-pitch --pieces 1 --quick --no-peer"
    assert results["command"] == f"python benchmarks/transcription.py --midi {tmp_path.name} {options}"
    assert [piece["name"] for piece in results["pieces"]] == [f"composed {pieces.SEEDS[0]}"]
    figures = results["conditions"][0]["transcribers"]["basic-pitch"]
    assert 0.2 < figures["scores"]["onset"]["value"] < 1
    assert figures["scores"]["beats"]["n"] == 1
    assert figures["speed"]["s_per_cpu_s"] > 1
    assert results["models"]["basic-pitch"]["nmp.onnx"]
    assert results["fonts"][0]["sha256"] == sha256_file(default_soundfont())
    assert json.loads((out / "results.json").read_text()) == results
    assert all((out / plot).read_text().count("<svg") == 1 for plot in report.PLOTS)

    page = tmp_path / "transcription.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.write_docs(results, tmp_path)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| TimGM6mb | basic-pitch | ." in text
    plots = [(tmp_path / "transcription" / plot).read_bytes() for plot in report.PLOTS]
    report.write_docs(results, tmp_path)
    assert page.read_text() == text
    assert plots == [(tmp_path / "transcription" / plot).read_bytes() for plot in report.PLOTS]


@pytest.mark.slow
def test_workers_change_no_score_and_the_command_stands_beside(tmp_path: Path) -> None:
    alone = ran(tmp_path, "--pieces", "2")
    together = ran(tmp_path, "--pieces", "2", "--workers", "2", "--no-peer")
    assert [condition["name"] for condition in alone["conditions"]] == [
        "TimGM6mb",
        *(f"TimGM6mb, {changed}" for changed in ("no drums", "reverb", "mp3 128k", "10240 Hz")),
    ]
    for one, other in zip(alone["conditions"], together["conditions"], strict=True):
        assert one["pieces"]["basic-pitch"] == other["pieces"]["basic-pitch"]
        beside = one["transcribers"][peer.PEER]
        assert beside["scores"]["onset"]["value"] > 0.2
        assert beside["speed"]["s_per_cpu_s"] > beside["speed"]["s_per_cpu_s_with_start"] > 0
        assert one["transcribers"]["basic-pitch"]["scores"]["onset over peer"]["n"] == 2
