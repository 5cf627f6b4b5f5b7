"""What is played is what the notes and the recording say, at both speeds."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from d2midi_build.annotate.layering import Row
from d2midi_build.annotate.listen.sound import RATE_HZ, Sound, Sounds, balance, digest, play_notes
from d2midi_build.errors import PermanentError
from d2midi_build.report.sound import level
from tests.annotate.listen.staged import write_sound
from tests.annotate.making import later, row

SPAN = (28.0, 40.0)
RATE = 44_100
LOW, HIGH = row(30.0, 57, 1.0), row(33.0, 69, 0.5)


def _tone(sound: npt.NDArray[np.float32], hertz: float, rate_hz: int = RATE_HZ) -> float:
    """Amplitude of a tone."""
    turn = np.exp(-2j * np.pi * hertz * np.arange(len(sound)) / rate_hz)
    return float(2 * abs(np.mean(sound * turn)))


def _at(
    sound: npt.NDArray[np.float32], start_s: float, end_s: float, speed: float = 1.0
) -> npt.NDArray[np.float32]:
    """The part of a sound of `SPAN` between two moments of the clip."""
    first, last = (round((moment - SPAN[0]) / speed * RATE_HZ) for moment in (start_s, end_s))
    return sound[first:last]


def _read(sound: Sound) -> tuple[npt.NDArray[np.float32], int]:
    samples, rate_hz = soundfile.read(io.BytesIO(sound.flac), dtype="float32", always_2d=True)
    return samples * np.float32(sound.gain), rate_hz


def test_an_added_note_is_heard_from_its_onset_on_and_nothing_else_changes() -> None:
    before = play_notes([LOW], SPAN)
    after = play_notes([LOW, HIGH], SPAN)
    assert np.array_equal(_at(before, 28, 33), _at(after, 28, 33))
    assert _tone(_at(after, 33.1, 33.5), 440) > 20 * _tone(_at(before, 33.1, 33.5), 440)
    assert _tone(_at(after, 33.1, 33.5), 440) > 0.005


def test_half_speed_lasts_twice_as_long_at_the_same_pitch() -> None:
    full, half = (play_notes([LOW, HIGH], SPAN, speed) for speed in (1.0, 0.5))
    assert (len(full), len(half)) == (12 * RATE_HZ, 24 * RATE_HZ)
    heard = _at(half, 33.1, 33.5, 0.5)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    peak = spectrum[: round(600 * len(heard) / RATE_HZ)].argmax() * RATE_HZ / len(heard)
    assert peak == pytest.approx(440, abs=3)
    assert np.abs(_at(half, 28, 30, 0.5)).max() == 0 < np.abs(_at(half, 30, 30.1, 0.5)).max()


def test_a_note_that_began_before_sounds_from_the_beginning_and_one_outside_does_not() -> None:
    began, gone, comes = row(27.0, 57, 2.0), row(26.0, 60, 2.0), row(40.0, 62, 1.0)
    assert np.array_equal(play_notes([began, gone, comes], SPAN), play_notes([row(28.0, 57, 1.0)], SPAN))


def test_what_sounds_at_the_beginning_sounds_at_once() -> None:
    assert np.abs(play_notes([row(27.0, 57, 2.0, "Lead 1 (square)")], SPAN)[:100]).max() > 0.001


def test_no_notes_are_silence_of_the_same_length() -> None:
    silence = play_notes([], SPAN)
    assert (len(silence), float(np.abs(silence).max())) == (12 * RATE_HZ, 0.0)


def test_what_is_sent_is_what_was_played() -> None:
    sent, rate_hz = _read(Sounds().notes([LOW, HIGH], SPAN, 1.0))
    played = play_notes([LOW, HIGH], SPAN)
    assert rate_hz == RATE_HZ
    assert np.abs(sent[:, 0] - played).max() <= np.abs(played).max() / 32_000


def test_a_sound_is_made_once_whatever_the_order_of_its_notes() -> None:
    sounds = Sounds()
    first = sounds.notes([LOW, HIGH], SPAN, 1.0)
    assert sounds.notes([HIGH, LOW], SPAN, 1.0) is first
    assert sounds.made == 1
    sounds.notes([HIGH, LOW], SPAN, 0.5)
    sounds.notes([HIGH, later(LOW, 0.1)], SPAN, 1.0)
    assert sounds.made == 3


def test_how_sure_a_machine_was_is_not_heard() -> None:
    assert digest([LOW], SPAN) == digest([LOW._replace(p_note=0.1, origin="y")], SPAN)


@pytest.mark.parametrize("changed", [{"pitch": 58}, {"velocity": 81}, {"program": 41}, {"offset_s": 31.5}])
def test_what_is_heard_is_in_the_digest(changed: dict[str, float]) -> None:
    assert digest([LOW], SPAN) != digest([LOW._replace(**changed)], SPAN)  # type: ignore[arg-type]


def test_the_oldest_sounds_go_when_there_are_too_many() -> None:
    one = len(Sounds().notes([LOW], SPAN, 1.0).flac)
    sounds = Sounds(most_bytes=one + 10)
    first = sounds.notes([LOW], SPAN, 1.0)
    sounds.notes([HIGH], SPAN, 1.0)
    assert sounds.notes([LOW], SPAN, 1.0) is not first
    assert sounds.made == 3


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, npt.NDArray[np.float32]]:
    """Ten seconds of a tone of 330 Hz on the left and noise on the right, with a click each second from 0.5 s on."""
    rng = np.random.default_rng(0)
    time_s = np.arange(10 * RATE) / RATE
    sound = np.stack(
        [0.2 * np.sin(2 * np.pi * 330 * time_s), 0.01 * rng.standard_normal(len(time_s))], axis=1
    )
    decay = np.exp(-np.arange(400) / 80)[:, None] * rng.uniform(-0.6, 0.6, (400, 1))
    for second in range(10):
        start = round((second + 0.5) * RATE)
        sound[start : start + 400] += decay
    path = tmp_path_factory.mktemp("recording") / "original.flac"
    return write_sound(path, sound.astype(np.float32), RATE), sound.astype(np.float32)


def test_the_recording_is_cut_to_the_sample(recording: tuple[Path, npt.NDArray[np.float32]]) -> None:
    path, sound = recording
    heard, rate_hz = _read(Sounds().original(path, 0.0, (2.0, 5.0), 1.0))
    assert (rate_hz, heard.shape) == (RATE, (3 * RATE, 2))
    assert np.abs(heard - sound[2 * RATE : 5 * RATE]).max() < 1e-4


def test_where_the_recording_has_nothing_there_is_silence(
    recording: tuple[Path, npt.NDArray[np.float32]],
) -> None:
    path, sound = recording
    heard, _ = _read(Sounds().original(path, 30.0, (28.0, 41.0), 1.0))
    assert len(heard) == 13 * RATE
    assert np.abs(heard[: 2 * RATE]).max() == np.abs(heard[12 * RATE :]).max() == 0
    assert np.abs(heard[2 * RATE : 12 * RATE] - sound).max() < 1e-4


def test_the_slowed_recording_keeps_pitch_and_the_times_of_onsets(
    recording: tuple[Path, npt.NDArray[np.float32]],
) -> None:
    heard, rate_hz = _read(Sounds().original(recording[0], 0.0, (0.0, 10.0), 0.5))
    assert len(heard) == 20 * rate_hz
    tone = heard[rate_hz : 19 * rate_hz, 0]
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone))))
    assert spectrum.argmax() * rate_hz / len(tone) == pytest.approx(330, abs=1)
    energy = np.convolve(np.diff(heard[:, 0]) ** 2, np.ones(64), "same")  # not of the tone, which is too low
    for second in range(1, 9):
        around = energy[round((2 * second + 0.9) * rate_hz) : round((2 * second + 1.1) * rate_hz)]
        onset_s = float((around > 0.25 * around.max()).argmax()) / rate_hz - 0.1
        assert abs(onset_s) < 0.012  # of slowed time: 6 ms of the music


def test_a_file_that_is_no_sound_is_told(tmp_path: Path) -> None:
    path = tmp_path / "original.flac"
    path.write_bytes(b"no sound")
    with pytest.raises(PermanentError, match=r"original\.flac cannot be read as sound"):
        Sounds().original(path, 0.0, (0.0, 1.0), 1.0)
    with pytest.raises(PermanentError, match="missing"):
        Sounds().original(tmp_path / "missing.flac", 0.0, (0.0, 1.0), 1.0)


def test_a_recording_that_changed_is_read_again(tmp_path: Path) -> None:
    path, sounds = tmp_path / "original.flac", Sounds()
    tone = (0.5 * np.sin(np.arange(RATE) / 10)).astype(np.float32)
    write_sound(path, tone, RATE)
    loud = sounds.original(path, 0.0, (0.0, 1.0), 1.0)
    path.unlink()
    write_sound(path, tone / 2, RATE)
    assert sounds.original(path, 0.0, (0.0, 1.0), 1.0).gain == pytest.approx(loud.gain / 2, abs=1e-3)


def _notes() -> list[Row]:
    return [row(0.5 * place, 50 + place, 0.5) for place in range(18)]


def test_the_notes_are_as_loud_as_the_recording_and_nothing_clips(
    recording: tuple[Path, npt.NDArray[np.float32]],
) -> None:
    path, sound = recording
    found = balance(_notes(), path, 0.0, (0.0, 10.0))
    played = play_notes(_notes(), (0.0, 10.0)) * np.float32(found.notes)
    assert level(played, RATE_HZ) == pytest.approx(level(sound.mean(axis=1), RATE), rel=0.05)
    for side in np.linspace(0, np.pi / 2, 9):
        peak = np.cos(side) * np.abs(sound).max() + np.sin(side) * np.abs(played).max()
        assert peak * found.headroom <= 1.0


def test_a_loud_recording_and_as_loud_notes_do_not_clip_together(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.95, 0.95, 5 * RATE).astype(np.float32)
    found = balance(_notes(), write_sound(tmp_path / "loud.flac", noise, RATE), 0.0, (0.0, 5.0))
    played = play_notes(_notes(), (0.0, 5.0)) * np.float32(found.notes)
    both = (np.abs(noise).max() + np.abs(played).max()) / np.sqrt(2)
    assert 0.9 < both * found.headroom < 1.0


def test_silence_has_no_loudness_to_follow(tmp_path: Path) -> None:
    silence = write_sound(tmp_path / "original.flac", np.zeros(RATE, np.float32), RATE)
    assert balance(_notes(), silence, 0.0, (0.0, 1.0)).notes == 1.0
    assert balance([], silence, 0.0, (0.0, 1.0)).headroom == 1.0
