from __future__ import annotations

from d2midi_build import clock


def test_a_frame_is_a_whole_number_of_samples_and_a_tick_is_one_sample() -> None:
    assert clock.SAMPLES_PER_FRAME * clock.FPS == clock.SAMPLE_RATE_HZ
    assert clock.SAMPLES_PER_FRAME == 512
    assert clock.TICKS_PER_QUARTER * clock.TEMPO_BPM / 60 == clock.SAMPLE_RATE_HZ


def test_a_window_of_the_paper_has_30_s_and_307200_samples() -> None:
    assert clock.frame_time_s(clock.WINDOW_FRAMES) == 30.0
    assert clock.frames_to_samples(clock.WINDOW_FRAMES) == 307_200


def test_whole_frames_forgives_rounding_but_not_a_missing_frame() -> None:
    assert clock.whole_frames(0.1 + 0.2) == 6
    assert clock.whole_frames(0.3 - 1e-9) == 6
    assert clock.whole_frames(0.299) == 5
    assert clock.whole_frames(-1.0) == 0


def test_windows_lie_inside_the_clip() -> None:
    assert list(clock.window_starts(599)) == []
    assert list(clock.window_starts(600)) == [0]
    assert list(clock.window_starts(639)) == [0]
    assert list(clock.window_starts(640)) == [0, 40]
    assert list(clock.window_starts(200, frames=120, stride=40)) == [0, 40, 80]
