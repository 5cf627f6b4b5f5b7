"""basic-pitch: the plain program's own notes, odd audio, a known song."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path

import numpy as np
import pytest

import d2midi_build.transcribers.basic_pitch as module
from d2midi_build.clock import SAMPLE_RATE_HZ
from d2midi_build.music.notes import Notes
from d2midi_build.music.scores import onset_score
from d2midi_build.music.synthesis import synthesise
from d2midi_build.synthetic.band import compose, render
from d2midi_build.transcribers.basic_pitch import BasicPitch, Settings

SCALE = Notes.create(
    0.5 + 0.5 * np.arange(8), 0.9 + 0.5 * np.arange(8), [60, 62, 64, 65, 67, 69, 71, 72], 100
)


@pytest.fixture(scope="module")
def ours() -> BasicPitch:
    transcriber = BasicPitch()
    transcriber.load()
    return transcriber


def _program_itself(path: Path) -> list[tuple[float, float, int, float]]:
    """Onset, offset, pitch and amplitude as basic_pitch.predict gives them."""
    import basic_pitch.inference as inference
    from basic_pitch import FilenameSuffix, build_icassp_2022_model_path

    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # librosa.load's audioread wants aifc and more
        events = inference.predict(path, build_icassp_2022_model_path(FilenameSuffix.onnx))[2]
    return sorted((float(e[0]), float(e[1]), int(e[2]), float(e[3])) for e in events)


def _assert_same(notes: Notes, events: list[tuple[float, float, int, float]]) -> None:
    by_onset = sorted(events, key=lambda e: (round(e[0] * SAMPLE_RATE_HZ), e[2]))
    mine = notes.where(np.lexsort((notes.pitch, notes.onset_s)))
    assert mine.pitch.tolist() == [e[2] for e in by_onset]
    half_sample_s = 0.51 / SAMPLE_RATE_HZ
    assert np.abs(mine.onset_s - [e[0] for e in by_onset]).max() <= half_sample_s
    assert np.abs(mine.offset_s - [e[1] for e in by_onset]).max() <= half_sample_s
    assert np.abs(mine.p_note - [e[3] for e in by_onset]).max() < 1e-4


@pytest.mark.parametrize("rate_hz", [44_100, 16_000])
def test_the_plain_program_s_notes(ours: BasicPitch, tmp_path: Path, rate_hz: int) -> None:
    import soundfile

    song = compose(np.random.default_rng(40), 100.0, 8.0)
    soundfile.write(tmp_path / "song.wav", render(song, rate_hz), rate_hz, subtype="FLOAT")
    sound = soundfile.read(tmp_path / "song.wav", dtype="float32")[0]
    events = _program_itself(tmp_path / "song.wav")
    assert len(events) > 30
    _assert_same(ours.transcribe(sound, rate_hz), events)


@pytest.mark.real_data
def test_spotify_s_own_expected_notes(ours: BasicPitch, shared_data: Path) -> None:
    import soundfile

    folder = shared_data / "spotify+basic-pitch/tests/resources"
    expected = np.load(folder / "vocadito_10/note_events.npz", allow_pickle=True)["arr_0"]
    sound, rate_hz = soundfile.read(folder / "vocadito_10.wav", dtype="float32")
    notes = ours.transcribe(sound, rate_hz)
    # Made by Spotify with TensorFlow; ONNX gives the same notes to the sample.
    _assert_same(notes, [(float(e[0]), float(e[1]), int(e[2]), float(e[3])) for e in expected])


def test_a_scale_is_read_right(ours: BasicPitch) -> None:
    found = ours.transcribe(synthesise(SCALE, 44_100), 44_100).pitched()
    assert onset_score(SCALE, found).recall == 1.0
    assert set(found.instrument) == {"Acoustic Grand Piano"}
    assert set(found.origin) == {"basic-pitch/instrument-unknown"}
    assert ((found.p_note > 0) & (found.p_note <= 1)).all()
    assert not found.p_instrument.any()


@pytest.mark.parametrize("seed", [30, 31, 32])
def test_a_known_song(ours: BasicPitch, seed: int) -> None:
    song = compose(np.random.default_rng(seed), 112.0, 12.0)
    found = ours.transcribe(render(song, 44_100), 44_100)
    assert onset_score(song.notes, found).f1 > 0.3  # the mean over songs is what the benchmark reports


def test_long_audio_in_pieces_gives_nearly_the_same_notes(
    ours: BasicPitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = render(compose(np.random.default_rng(34), 100.0, 30.0), 22_050)
    whole = ours.transcribe(sound, 22_050)
    monkeypatch.setattr(module, "_PIECE_FRAMES", 500)
    monkeypatch.setattr(module, "_MARGIN_FRAMES", 400)
    # The program looks at the loudest moment of what it is given: here and there that makes a difference.
    assert onset_score(whole, ours.transcribe(sound, 22_050)).f1 > 0.97


def test_pieces_cover_every_frame_once() -> None:
    for n_frames in (0, 1, 25_839, 26_700, 26_701, 100_000):
        pieces = list(module._pieces(n_frames))
        counted = [frame for first, end, _, _ in pieces for frame in range(first, end)]
        assert counted == list(range(n_frames))
        assert all(start <= first < end <= stop <= n_frames for first, end, start, stop in pieces)


def test_thresholds_thin_the_notes_out(ours: BasicPitch) -> None:
    sound = render(compose(np.random.default_rng(35), 100.0, 6.0), 22_050)
    strict = BasicPitch(Settings(onset_threshold=0.8, melodia=False)).transcribe(sound, 22_050)
    assert 0 < len(strict) < len(ours.transcribe(sound, 22_050))


def test_the_model_file_is_named() -> None:
    digests = BasicPitch().model_digests()
    assert set(digests) == {"nmp.onnx"}
    assert all(len(digest) == 64 for digest in digests.values())


def test_silencing_is_only_for_the_known_messages(caplog: pytest.LogCaptureFixture) -> None:
    before = list(logging.getLogger().handlers)
    with module._known_noise_silenced():
        logging.getLogger().warning("Tensorflow is not installed. If you plan")
        logging.getLogger().warning("the disk is full")
    assert caplog.messages == ["the disk is full"]
    assert logging.getLogger().handlers == before
