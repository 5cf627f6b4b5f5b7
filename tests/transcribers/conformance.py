"""What every transcriber must do, whatever it is given. ``test_conformance.py`` runs it for every name.

`TranscriberConformance` is what any of them must do, `HearingConformance` what one must that has learned to hear:
MT3's weights are not there to test with.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Final

import numpy as np
import numpy.typing as npt
import pytest

from d2midi_build.clock import SAMPLE_RATE_HZ
from d2midi_build.errors import PermanentError
from d2midi_build.music.instruments import INSTRUMENTS
from d2midi_build.music.notes import Notes
from d2midi_build.music.scores import onset_score
from d2midi_build.music.synthesis import synthesise
from d2midi_build.synthetic.band import compose, render
from d2midi_build.transcribers.base import Transcriber, transcriber

Audio = npt.NDArray[np.float32]

RATE_HZ: Final = 22_050
"""Where the rate is not the question: a rate that transcribers need not resample much."""

SCALE: Final = Notes.create(
    0.5 + 0.5 * np.arange(8), 0.9 + 0.5 * np.arange(8), [60, 62, 64, 65, 67, 69, 71, 72], 100
)
"""Eight piano notes, none at the sound's very start."""

A4: Final = 69


def scale(rate_hz: int = RATE_HZ) -> Audio:
    """The scale in mono at a peak of 0.3."""
    sound = synthesise(SCALE, rate_hz).mean(axis=1)
    return np.asarray(0.3 * sound / np.abs(sound).max(), dtype=np.float32)


def white_noise(seconds: float, level: float = 0.1) -> Audio:
    """Gaussian noise of that standard deviation."""
    return np.random.default_rng(0).normal(0, level, round(seconds * RATE_HZ)).astype(np.float32)


def sine(seconds: float, level: float = 0.3) -> Audio:
    """Concert pitch from 0.5 s on, faded in and out over 20 ms."""
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    fade = np.clip(np.minimum(time_s - 0.5, seconds - 0.5 - time_s) / 0.02, 0, 1)
    return (level * fade * np.sin(2 * np.pi * 440.0 * time_s)).astype(np.float32)


def of_the_scale(found: Notes) -> float:
    """Share of the scale's notes that were found (50 ms)."""
    return onset_score(SCALE, found.pitched()).recall


class TranscriberConformance:
    """A test module provides the fixture ``ours``: a loaded transcriber, one for the whole module."""

    def test_it_says_what_it_is_and_what_it_reads(self, ours: Transcriber) -> None:
        assert transcriber(ours.name).name == ours.name
        assert ours.version
        assert ours.model_digests() == transcriber(ours.name).model_digests()
        assert all(len(digest) == 64 for digest in ours.model_digests().values())

    def test_notes_are_such_as_may_be_written(self, ours: Transcriber) -> None:
        found = ours.transcribe(render(compose(np.random.default_rng(300), 100.0, 10.0), RATE_HZ), RATE_HZ)
        assert len(found) > 0
        assert found == found.sorted()
        assert set(found.instrument) <= {instrument.name for instrument in INSTRUMENTS}
        assert all(found.origin)
        assert found.onset_s.max() <= 10.0

    @pytest.mark.parametrize("n_samples", [0, 1, 2, 100, 2_205])
    def test_very_short_audio(self, ours: Transcriber, n_samples: int) -> None:
        sound = (0.1 * np.sin(np.arange(n_samples))).astype(np.float32)
        for shaped in (sound, sound[:, None]):
            found = ours.transcribe(shaped, RATE_HZ)
            assert (found.onset_s < n_samples / RATE_HZ).all()
            assert len(ours.transcribe(0 * shaped, RATE_HZ)) == 0

    def test_silence_has_no_notes(self, ours: Transcriber) -> None:
        assert len(ours.transcribe(np.zeros(10 * RATE_HZ, np.float32), RATE_HZ)) == 0

    def test_a_constant_has_no_pitch(self, ours: Transcriber) -> None:
        assert len(ours.transcribe(np.full(5 * RATE_HZ, 0.25, np.float32), RATE_HZ).pitched()) == 0

    def test_any_number_of_channels(self, ours: Transcriber) -> None:
        mono = scale()
        expected = ours.transcribe(mono, RATE_HZ)
        for channels in (1, 2, 6):
            found = ours.transcribe(np.repeat(mono[:, None], channels, axis=1), RATE_HZ)
            # Six equal channels average to the same within a rounding, not to the same bits.
            assert np.array_equal(found.onset_s, expected.onset_s)
            assert np.array_equal(found.pitch, expected.pitch)
            assert np.array_equal(found.instrument, expected.instrument)

    @pytest.mark.parametrize("order", ["F", "C"])
    def test_memory_order_and_read_only_audio_do_not_matter(self, ours: Transcriber, order: str) -> None:
        stereo = np.array(np.repeat(scale()[:, None], 2, axis=1), order=order)  # type: ignore[call-overload]
        stereo.flags.writeable = False
        before = stereo.copy()
        assert ours.transcribe(stereo, RATE_HZ) == ours.transcribe(before.copy("C"), RATE_HZ)
        assert np.array_equal(stereo, before)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_samples_that_are_not_numbers(self, ours: Transcriber, bad: float) -> None:
        sound = np.zeros((RATE_HZ, 2), np.float32)
        sound[RATE_HZ // 2, 1] = bad
        with pytest.raises(PermanentError, match=r"not numbers, the first at 0\.500 s"):
            ours.transcribe(sound, RATE_HZ)

    def test_a_shape_that_cannot_be(self, ours: Transcriber) -> None:
        with pytest.raises(ValueError, match="shape"):
            ours.transcribe(np.zeros((2, 2, 2), np.float32), RATE_HZ)

    def test_the_same_sound_gives_the_same_notes_whatever_came_before(self, ours: Transcriber) -> None:
        sound = render(compose(np.random.default_rng(301), 120.0, 6.0), RATE_HZ)
        first = ours.transcribe(sound, RATE_HZ)
        ours.transcribe(sound[::-1].copy() * np.float32(0.3), 2 * RATE_HZ)
        ours.transcribe(white_noise(3.0), RATE_HZ)
        assert len(first) > 0
        assert ours.transcribe(sound, RATE_HZ) == first
        assert transcriber(ours.name).transcribe(sound, RATE_HZ) == first


class HearingConformance(TranscriberConformance):
    """The same of one that has learned to hear, and that it does."""

    def test_a_known_song(self, ours: Transcriber) -> None:
        song = compose(np.random.default_rng(300), 100.0, 10.0)
        assert onset_score(song.notes, ours.transcribe(render(song, RATE_HZ), RATE_HZ)).f1 > 0.3

    @pytest.mark.parametrize("n_samples", [1, 2, 100, 2_205])
    def test_very_short_audio_is_one_note_at_most(self, ours: Transcriber, n_samples: int) -> None:
        sound = (0.1 * np.sin(np.arange(n_samples))).astype(np.float32)
        assert len(ours.transcribe(sound, RATE_HZ)) <= 1

    def test_noise_far_below_hearing_has_no_drums(self, ours: Transcriber) -> None:
        assert len(ours.transcribe(white_noise(10.0, 1e-6), RATE_HZ).drums()) == 0

    def test_one_click_is_at_most_a_few_notes_where_it_is(self, ours: Transcriber) -> None:
        sound = np.zeros(5 * RATE_HZ, np.float32)
        sound[2 * RATE_HZ] = 0.9
        found = ours.transcribe(sound, RATE_HZ)
        assert len(found) <= 3
        assert (np.abs(found.onset_s - 2.0) < 0.1).all()

    def test_white_noise_has_few_pitched_notes(self, ours: Transcriber) -> None:
        assert len(ours.transcribe(white_noise(10.0), RATE_HZ).pitched()) <= 10

    def test_a_sine_is_one_note_of_its_pitch(self, ours: Transcriber) -> None:
        found = ours.transcribe(sine(3.0), RATE_HZ).pitched()
        assert found.pitch.tolist() == [A4]
        assert abs(found.onset_s[0] - 0.5) < 0.06
        assert abs(found.offset_s[0] - 2.5) < 0.25

    @pytest.mark.parametrize("rate_hz", [8_000, SAMPLE_RATE_HZ, 11_025, 44_100, 48_000, 96_000, 192_000])
    def test_any_rate(self, ours: Transcriber, rate_hz: int) -> None:
        assert of_the_scale(ours.transcribe(scale(rate_hz), rate_hz)) >= 0.75

    def test_a_voice_in_one_channel_of_six_is_heard(self, ours: Transcriber) -> None:
        surround = np.zeros((len(scale()), 6), np.float32)
        surround[:, 2] = scale()
        assert of_the_scale(ours.transcribe(surround, RATE_HZ)) >= 0.5

    @pytest.mark.parametrize("gain", [1e-3, 100.0])
    def test_level_does_not_decide(self, ours: Transcriber, gain: float) -> None:
        found = ours.transcribe(scale() * np.float32(gain), RATE_HZ)
        assert of_the_scale(found) >= 0.75
        assert len(found) <= 2 * len(SCALE)

    def test_at_the_edge_of_nothing_no_note_is_made_up(self, ours: Transcriber) -> None:
        """A peak of 1e-5 is a third of the last bit of 16: the scale, or nothing, but no other notes."""
        found = ours.transcribe(scale() * np.float32(1e-5 / 0.3), RATE_HZ)
        assert len(found.drums()) == 0
        assert len(found) == 0 or onset_score(SCALE, found).precision >= 0.75

    def test_an_offset_of_half_of_full_scale(self, ours: Transcriber) -> None:
        assert of_the_scale(ours.transcribe(scale() + np.float32(0.5), RATE_HZ)) >= 0.75

    def test_clipped_sound(self, ours: Transcriber) -> None:
        clipped = np.clip(scale() * np.float32(10.0), -1.0, 1.0)
        assert of_the_scale(ours.transcribe(clipped, RATE_HZ)) >= 0.6

    @pytest.mark.slow
    def test_hours_take_no_more_memory_than_their_sound_and_a_margin(self, ours: Transcriber) -> None:
        """Eight notes, hours of near silence, eight notes: peak memory over that of ten minutes.

        In a process of its own: the peak of a process cannot be reset.
        """
        long = 30 if ours.name in LOSES_THE_END else 180
        peaks = {minutes: _peak(ours.name, minutes) for minutes in (10, long)}
        for minutes, (_, recall_first, recall_last) in peaks.items():
            assert recall_first >= 0.75, minutes
            assert recall_last >= 0.75 or ours.name in LOSES_THE_END, minutes
        sound_bytes = (long - 10) * 60 * LONG_RATE_HZ * 4
        grown = peaks[long][0] - peaks[10][0]
        # The sound itself, once as given and once more resampled to 22,050 Hz, and a copy of each.
        assert grown < 2 * sound_bytes * (1 + RATE_HZ / LONG_RATE_HZ) + 300e6


LONG_RATE_HZ: Final = 8_000

LOSES_THE_END: Final = frozenset({"basic-pitch"})
"""The program itself does not listen to the last 0.7 % of a recording, and its times run 15 millionths late."""

_LONG = """
import json, resource, sys
import numpy as np
from d2midi_build.transcribers.base import transcriber
from tests.transcribers.conformance import LONG_RATE_HZ, of_the_scale, scale

minutes = int(sys.argv[2])
sound = np.zeros(minutes * 60 * LONG_RATE_HZ, np.float32)
sound[::7] = 1e-5
notes = scale(LONG_RATE_HZ)
last_s = minutes * 60 - 10
sound[: len(notes)] += notes
sound[last_s * LONG_RATE_HZ :][: len(notes)] += notes
found = transcriber(sys.argv[1]).transcribe(sound, LONG_RATE_HZ)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
late = found.where(found.onset_s >= last_s).shifted(-last_s)
print(json.dumps([peak, of_the_scale(found.starting_in(0, 10)), of_the_scale(late)]))
"""


def _peak(name: str, minutes: int) -> tuple[int, float, float]:
    """Peak memory in bytes, and the share of notes found at the start and at the end."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _LONG, name, str(minutes)],
        capture_output=True,
        text=True,
        check=True,
    )
    peak, first, last = json.loads(done.stdout.splitlines()[-1])
    return int(peak), float(first), float(last)
