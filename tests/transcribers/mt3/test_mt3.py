"""The whole of MT3: sound in, notes out, with weights whose answer is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from d2midi_build import registry
from d2midi_build.errors import PermanentError, TransientError, UsageError
from d2midi_build.music.instruments import PIANO
from d2midi_build.transcribers.base import transcriber
from d2midi_build.transcribers.mt3 import Mt3, decoding
from d2midi_build.transcribers.mt3.checkpoint import Checkpoint, digest_of, read, write_safetensors
from d2midi_build.transcribers.mt3.codec import CodedNote, Tokens
from d2midi_build.transcribers.mt3.decoding import DecodedSegment
from d2midi_build.transcribers.mt3.front_end import resampled
from d2midi_build.transcribers.mt3.model import Mt3Model
from d2midi_build.transcribers.mt3.network import Network
from d2midi_build.transcribers.mt3.presets import ISMIR2021
from tests.transcribers.mt3 import music_box
from tests.transcribers.mt3.reference import reference

RATE_HZ = 16_000
SEGMENT_S = 2.048


@pytest.fixture
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    return music_box.register(tmp_path, monkeypatch)


def noise(seconds: float, rate_hz: int = RATE_HZ) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 0.1, round(seconds * rate_hz)).astype(np.float32)


# --- the reference ---


@pytest.mark.real_data
@pytest.mark.parametrize(("rule", "key"), [("reference", None), ("argmax", "from_greedy")])
def test_the_reference_s_notes_from_its_sound(rule: Literal["reference", "argmax"], key: str | None) -> None:
    """From samples to notes through every part, with nothing of the reference's in between."""
    given = reference()
    checkpoint = read(given.checkpoint, num_heads=given.dimensions.num_heads)
    full = given.model["official_targets_length"]
    assert checkpoint.preset == replace(given.preset, max_tokens=full)
    model = Mt3Model(replace(checkpoint, preset=given.preset), rule, batch=3)
    heard = model.hear(given.array("audio"), RATE_HZ)
    expected = given.json("notes") if key is None else given.json("notes")[key]
    told = [
        (note.onset_s, note.offset_s, note.pitch, note.velocity, note.program, note.is_drum)
        for note in heard.notes
    ]
    fields = ("onset", "offset", "pitch", "velocity", "program", "is_drum")
    wanted = [tuple(note[field] for field in fields) for note in expected["notes"]]
    assert sorted(told) == [pytest.approx(note, abs=1e-6) for note in sorted(wanted)]
    assert (heard.n_invalid, heard.n_dropped) == (expected["invalid_events"], expected["dropped_events"])
    assert all(0 <= note.p_note <= 1 and 0 <= note.p_program <= 1 for note in heard.notes)


# --- the music box ---


def test_the_tune_of_the_music_box_in_every_segment(registered: Checkpoint) -> None:
    found = transcriber("mt3").transcribe(noise(2 * SEGMENT_S), RATE_HZ)
    # The third segment is the frame of silence that MT3 appends to whole frames; its notes start after the end.
    starts = [0.0, 2.04]
    piano, bass = (found.where(found.pitch == pitch) for pitch in (60, 40))
    for notes in (piano, bass):
        assert notes.onset_s == pytest.approx([start + 0.1 for start in starts], abs=1e-4)
        assert notes.offset_s == pytest.approx([2.04, 4.09], abs=1e-4)
    assert set(piano.instrument) == {PIANO.name}
    assert set(bass.program) == {33}
    drums = found.drums()
    assert drums.onset_s == pytest.approx([0.5, 1.0, 2.54, 3.04], abs=1e-4)
    assert drums.pitch.tolist() == [36, 38, 36, 38]
    assert len(found) == len(piano) + len(bass) + len(drums)
    assert found.p_note.min() > 0.99
    assert found.p_instrument.min() > 0.99
    assert set(found.origin) == {"mt3"}
    assert set(found.velocity) == {127}


@pytest.mark.parametrize("seconds", [1e-4, 0.1, 1.0, SEGMENT_S, 7.3])
def test_no_note_starts_after_the_sound(registered: Checkpoint, seconds: float) -> None:
    found = transcriber("mt3").transcribe(noise(seconds, 44_100), 44_100)
    assert (found.onset_s < seconds).all()
    assert len(found.drums()) == len([at for at in (0.5, 1.0) if at < seconds]) + (
        len([at for at in (0.5, 1.0) for start in (2.04, 4.09, 6.14) if start + at < seconds])
    )


def test_silence_and_nothing_need_no_weights(tmp_path: Path) -> None:
    made = Mt3(str(tmp_path / "absent"))
    for sound in (np.zeros(0, np.float32), np.zeros(16_000, np.float32), np.full((999, 2), 0.5, np.float32)):
        assert len(made.transcribe(sound, RATE_HZ)) == 0


def test_batch_and_form_of_the_weights_do_not_matter(registered: Checkpoint, tmp_path: Path) -> None:
    sound = noise(13.0)
    expected = transcriber("mt3").transcribe(sound, RATE_HZ)
    assert transcriber("mt3", batch=1).transcribe(sound, RATE_HZ) == expected
    assert transcriber("mt3", batch=100).transcribe(sound, RATE_HZ) == expected
    by_path = transcriber("mt3", model=str(tmp_path / "mt3.safetensors"))
    assert by_path.transcribe(sound, RATE_HZ) == expected
    assert by_path.model_digests() == transcriber("mt3").model_digests()


def test_how_far_it_has_come_is_told_after_every_batch(registered: Checkpoint) -> None:
    told: list[float] = []
    transcriber("mt3", batch=2).transcribe(noise(10 * SEGMENT_S), RATE_HZ, told.append)
    assert told == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9, 1.0], abs=1e-3)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_halves_play_the_same_tune(registered: Checkpoint, precision: str) -> None:
    sound = noise(3.0)
    found = transcriber("mt3", precision=precision).transcribe(sound, RATE_HZ)
    expected = transcriber("mt3").transcribe(sound, RATE_HZ)
    assert np.array_equal(found.onset_s, expected.onset_s)
    assert np.array_equal(found.pitch, expected.pitch)


def test_piano_weights_name_no_instruments(tmp_path: Path) -> None:
    tune = [("program", 40), ("shift", 20), ("velocity", 90), ("pitch", 70)]
    sizes = replace(music_box.DIMENSIONS, vocab_size=1_664)
    given = music_box.weights(tune, sizes, ISMIR2021.num_velocity_bins)
    path = tmp_path / "piano.safetensors"
    write_safetensors(Checkpoint(given, sizes, ISMIR2021, digest_of(given)), path)
    made = Mt3(str(path))
    assert not made.names_instruments
    assert not made.hears_drums
    found = made.transcribe(noise(1.0), RATE_HZ)
    assert found.pitch.tolist() == [70]
    assert found.velocity.tolist() == [90]
    assert found.onset_s == pytest.approx([0.2], abs=1e-4)
    assert found.program.tolist() == [PIANO.program]
    assert found.p_instrument.tolist() == [0.0]
    assert found.origin.tolist() == ["ismir2021/instrument-unknown"]


def test_options_reach_the_model(registered: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from d2midi_build.transcribers.mt3 import model

    given: list[tuple[object, ...]] = []
    monkeypatch.setattr(model, "Mt3Model", lambda checkpoint, *options: given.append(options))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    transcriber("mt3").load()
    transcriber("mt3", decode="argmax", precision="bfloat16", batch=7, device="cpu").load()
    transcriber("mt3", device="cuda").load()
    assert given == [
        ("reference", torch.device("cuda"), torch.float32, 32),
        ("argmax", torch.device("cpu"), torch.bfloat16, 7),
        ("reference", torch.device("cuda"), torch.float32, 32),
    ]


def test_batch_and_rule_reach_decoding(registered: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    from d2midi_build.transcribers.mt3 import model

    given = []

    def decode(network: Network, encoded: Any, *options: object) -> list[DecodedSegment]:
        given.append((len(encoded), *options))
        return decoding.decode(network, encoded, *options)  # type: ignore[arg-type]

    monkeypatch.setattr(model, "decode", decode)
    transcriber("mt3", batch=2, decode="argmax").transcribe(noise(2.5 * SEGMENT_S), RATE_HZ)
    assert given == [(2, "argmax", 1_024), (1, "argmax", 1_024)]


def test_probabilities_are_those_of_pitch_and_program(registered: Checkpoint) -> None:
    made = transcriber("mt3")
    assert isinstance(made, Mt3)
    found = made._notes([CodedNote(1.0, 2.0, 60, 127, 33, False, p_note=0.25, p_program=0.75)])
    assert (found.p_note.tolist(), found.p_instrument.tolist()) == ([0.25], [0.75])


def test_a_recording_that_is_mapped_is_never_in_memory_whole(
    registered: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour in stereo, with a network that says nothing."""
    import tracemalloc

    made = transcriber("mt3")
    made.load()
    monkeypatch.setattr(
        Mt3Model,
        "_batches",
        lambda self, audio, rate_hz: ([Tokens(0.0, np.zeros(0, int))] for _ in resampled(audio, rate_hz)),
    )
    sound = np.memmap(tmp_path / "sound", np.float32, "w+", shape=(3_600 * 44_100, 2))
    sound[-1] = 0.5
    tracemalloc.start()
    made.transcribe(sound, 44_100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6


@pytest.mark.slow
def test_three_hours_take_little_more_memory_than_ten_minutes(registered: Checkpoint) -> None:
    """In a process of its own, since the peak of a process cannot be reset."""
    import subprocess
    import sys

    program = (
        "import resource, sys, numpy as np\n"
        "from d2midi_build.transcribers.base import transcriber\n"
        "n = int(sys.argv[1]) * 60 * 8_000\n"
        "sound = np.zeros(n, np.float32); sound[::7] = 0.1\n"
        "found = transcriber('mt3').transcribe(sound, 8_000)\n"
        "print(len(found), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)\n"
    )
    peaks = {}
    for minutes in (10, 180):
        command = [sys.executable, "-W", "ignore", "-c", program, str(minutes)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        n_notes, peaks[minutes] = (int(word) for word in done.stdout.split())
        assert n_notes == pytest.approx(4 * minutes * 60 / SEGMENT_S, abs=6)
    sound_bytes = 170 * 60 * 8_000 * 4
    assert peaks[180] - peaks[10] < sound_bytes + 100e6


# --- what goes wrong ---


def test_no_weights_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("D2MIDI_MODELS", str(tmp_path / "models.json"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"gsutil .*gs://mt3/checkpoints.*d2midi models add"):
        transcriber("mt3").model_digests()


def test_other_weights_where_the_registered_ones_were(registered: Checkpoint, tmp_path: Path) -> None:
    music_box.write(tmp_path / "mt3.safetensors", [("velocity", 1), ("drum", 40)])
    with pytest.raises(UsageError, match=r"not those registered as mt3 .*--replace"):
        transcriber("mt3").model_digests()


def test_weights_exchanged_after_their_digest_was_told(registered: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    music_box.write(path)
    made = Mt3(str(path))
    made.model_digests()
    music_box.write(path, [("velocity", 1), ("drum", 40)])
    with pytest.raises(UsageError, match="exchanged while they were in use"):
        made.load()


def test_a_module_of_the_extra_is_missing(registered: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"extra `mt3` \(torch is missing\)"):
        transcriber("mt3").model_digests()


def test_cuda_where_there_is_none(registered: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="finds no CUDA device"):
        transcriber("mt3", device="cuda").load()


def test_cuda_is_asked_for_before_anything_runs(
    registered: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="finds no CUDA device"):
        transcriber("mt3", device="cuda").model_digests()


@pytest.mark.parametrize(
    "words", ["CUDA out of memory. Tried", "DefaultCPUAllocator: can't allocate memory: you"]
)
def test_too_little_memory_can_be_mended(
    registered: Checkpoint, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    import torch

    def hear(*_: object) -> None:
        raise (torch.OutOfMemoryError if "CUDA" in words else RuntimeError)(words)

    monkeypatch.setattr(Mt3Model, "hear", hear)
    with pytest.raises(TransientError, match=r"lower `mt3\.batch` or `run\.workers`") as told:
        transcriber("mt3").transcribe(noise(1.0), RATE_HZ)
    assert told.value.tool_message == words


def test_other_errors_of_pytorch_are_not_taken_for_it(
    registered: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hear(*_: object) -> None:
        raise RuntimeError("shapes")

    monkeypatch.setattr(Mt3Model, "hear", hear)
    with pytest.raises(RuntimeError, match="shapes"):
        transcriber("mt3").transcribe(noise(1.0), RATE_HZ)


def test_sound_that_is_none(registered: Checkpoint) -> None:
    sound = noise(1.0)
    sound[8_000] = np.nan
    with pytest.raises(PermanentError, match=r"the first at 0\.500 s"):
        transcriber("mt3").transcribe(sound, RATE_HZ)


def test_the_number_of_heads_is_part_of_the_key(registered: Checkpoint) -> None:
    """The same parameters cut otherwise are another network."""
    before = transcriber("mt3").model_digests()
    known = registry.required("mt3")
    registry.remove("mt3")
    with pytest.raises(UsageError, match="says its network has 2 heads, not 4"):
        registry.add(replace(known, num_heads=4))
        transcriber("mt3").model_digests()
    assert [name for name in before if "2 heads" in name]
