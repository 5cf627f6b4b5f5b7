"""Tempo maps: beats where the music has them, bars on bar lines, times that come back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from d2midi_build.annotate.tempo import FASTEST_US, SLOWEST_US, TempoMap
from d2midi_build.clock import SAMPLE_RATE_HZ, TICKS_PER_QUARTER


def test_without_beats_a_tick_is_a_sample() -> None:
    fixed = TempoMap.fixed()
    samples = np.arange(0, 40_000_000, 12_345)
    assert (fixed.to_ticks(samples / SAMPLE_RATE_HZ) == samples).all()
    assert fixed.to_seconds(samples) * SAMPLE_RATE_HZ == pytest.approx(samples, abs=1e-6)
    assert TempoMap.of_beats([1.0], [1]).tempo_us.tolist() == fixed.tempo_us.tolist() == [500_000]


def test_beats_by_hand() -> None:
    """Three beats of a second, the first in the third place of a bar: two quarters of 0.4 s come before."""
    found = TempoMap.of_beats([0.8, 1.8, 2.8, 4.0, 5.0, 6.0, 7.0], [3, 4, 1, 2, 3, 4, 1])
    assert [tick // TICKS_PER_QUARTER for tick in found.ticks] == [0, 2, 4, 5]
    assert found.tempo_us.tolist() == [400_000, 1_000_000, 1_200_000, 1_000_000]
    assert [tick // TICKS_PER_QUARTER for tick in found.bars] == [4, 8]
    assert found.metres == ((0, 4),)


def test_bars_of_other_lengths_are_told() -> None:
    places = [1, 2, 3, 4, 1, 2, 3, 1, 2, 3, 4, 1]
    found = TempoMap.of_beats([k / 2 for k in range(12)], places)
    quarters = [(tick // TICKS_PER_QUARTER, metre) for tick, metre in found.metres]
    assert quarters == [(0, 4), (4, 3), (7, 4)]


def test_a_tick_is_as_long_as_the_tempo_at_its_time_says() -> None:
    found = TempoMap.of_beats([0.0, 1.0, 3.0, 3.5], [1, 2, 3, 4])
    ticks = found.tick_s([0.5, 0.99, 0.999, 1.0, 2.0, 3.0, 3.1, 9.0]) * TICKS_PER_QUARTER
    assert ticks == pytest.approx([1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 0.5, 0.5])


def test_bars_too_long_for_a_time_signature_count_four() -> None:
    """A file holds the beats of a bar in one byte."""
    times = [k / 4 for k in range(620)]
    found = TempoMap.of_beats(times, [1 if k in (0, 300, 303) else 2 for k in range(620)])
    quarters = [(tick // TICKS_PER_QUARTER, metre) for tick, metre in found.metres]
    assert quarters == [(0, 4), (300, 3)]
    assert TempoMap.of_beats(times, [k + 2 for k in range(620)]).metres == ((0, 4),)


@st.composite
def pieces(draw: st.DrawFn) -> tuple[list[float], list[int]]:
    """Beats that a person could play, from anywhere in a bar of two to five."""
    metre, place = draw(st.integers(2, 5)), draw(st.integers(0, 4))
    gaps = draw(st.lists(st.floats(0.2, 2.0), min_size=2, max_size=60))
    times = np.cumsum([draw(st.floats(0, 20)), *gaps])
    return times.tolist(), [(place + k) % metre + 1 for k in range(len(times))]


@settings(deadline=None)
@given(piece=pieces(), times=st.lists(st.floats(0, 200), min_size=1, max_size=20))
@example(piece=([1e-05, 1.00001, 2.00001], [1, 2, 1]), times=[0.0])
def test_maps_of_any_beats(piece: tuple[list[float], list[int]], times: list[float]) -> None:
    beats_s, places = piece
    found = TempoMap.of_beats(beats_s, places)
    back = found.to_seconds(found.to_ticks(times))
    assert (np.abs(back - times) <= found.tick_s(times) / 2 + 1e-9).all()
    assert found.tempo_us.max() < 5_120_000 or found.tempo_us[0] == found.tempo_us.max(), (
        "slow before the first beat"
    )
    assert found.tempo_us.min() >= FASTEST_US and found.tempo_us.max() <= SLOWEST_US
    if found.tempo_us.tolist() == [500_000]:
        return
    ticks = found.to_ticks(beats_s)
    on_grid = [
        (ticks[k:] == ticks[-1] - TICKS_PER_QUARTER * np.arange(len(ticks) - 1 - k, -1, -1)).all()
        for k in range(len(ticks))
    ]
    first = on_grid.index(True)
    assert first < len(ticks) - 1
    assert first == 0 or beats_s[first - 1] < 5 * FASTEST_US / 1e6, (
        "only beats in the first moments are passed over"
    )
    assert ticks[-1] % TICKS_PER_QUARTER == 0
    errors_s = np.abs(found.to_seconds(ticks[first:]) - beats_s[first:])
    assert (errors_s[1:] < 1e-6).all()
    assert errors_s[0] < 1e-4, "a beat that was passed over may lie on tick 0, half a tick away"
    # A downbeat is on a bar line: bars are counted as a DAW does, from tick 0 by the time signatures.
    lines, tick = {0}, 0
    for (start, metre), end in zip(
        found.metres, [*(t for t, _ in found.metres[1:]), int(ticks[-1])], strict=True
    ):
        assert start in lines
        for tick in range(start, end + 1, metre * TICKS_PER_QUARTER):
            lines.add(tick)
    assert set(found.bars) <= lines
    downbeats = {int(t) for t, p in zip(ticks[first:], places[first:], strict=True) if p == 1}
    assert set(found.bars) | {0} == downbeats | {0}, "one within half a tick of 0 may have been passed over"


def test_rounding_does_not_add_up() -> None:
    beats_s = [k / 3 for k in range(1, 3000)]
    found = TempoMap.of_beats(beats_s, [k % 4 + 1 for k in range(2999)])
    assert abs(found.to_seconds(found.to_ticks(beats_s[-1])) - beats_s[-1]) < 1e-6


def test_beats_that_no_daw_takes_give_120() -> None:
    assert TempoMap.of_beats([1.0, 1.01, 1.02], [1, 2, 3]).tempo_us.tolist() == [500_000]
    assert TempoMap.of_beats([1.0, 14.0, 14.5], [1, 2, 3]).tempo_us.tolist() == [500_000]
