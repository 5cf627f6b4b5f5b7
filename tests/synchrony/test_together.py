from __future__ import annotations

import numpy as np
import pytest

from d2midi_build.synchrony.null import LEAST_OTHERS, BeatsOf
from d2midi_build.synchrony.together import Clip, expected_lags, null_tests, offsets


def clip(number: int, music: str = "", bpm: float = 120.0, late_s: float = 0.0, site: str = "a.org") -> Clip:
    """A dancer on every beat of steady music, 12 s, whose rhythm has a peak per beat."""
    beat_s = 60 / bpm
    musical_s = np.arange(0.2 + 0.01 * number, 12, beat_s)
    frames = np.arange(240) / 20
    onset = sum(np.exp(-(((frames - at) / 0.05) ** 2)) for at in musical_s[:: 1 + number % 2])
    motion = sum(np.exp(-(((frames - at - late_s) / 0.08) ** 2)) for at in musical_s[:: 1 + number % 2])
    rhythm = np.stack([motion, onset]).astype(np.float32)
    scopes = (("all", ""), ("site", site), ("source", f"s-{number}"))
    return Clip(
        f"clip-{number}", music or f"music-{number}", BeatsOf(musical_s + late_s, musical_s), rhythm, scopes
    )


def test_only_other_music_of_the_tempo_serves_as_other_music() -> None:
    same = [clip(number, music="one") for number in range(LEAST_OTHERS + 3)]
    assert {test.n_others for test in null_tests(same, {}).values()} == {0}
    others = [clip(number) for number in range(LEAST_OTHERS + 1)] + [clip(9, bpm=150.0)]
    found = null_tests(others, {})
    assert found["clip-0"].n_others == LEAST_OTHERS
    assert found["clip-9"].p is None
    p = found["clip-0"].p
    assert p is not None and p < 0.1  # exactly on the beat
    assert null_tests(others, {})["clip-0"] == found["clip-0"]


def test_a_known_lag_of_the_source_is_expected() -> None:
    late = [clip(number, late_s=0.2) for number in range(LEAST_OTHERS + 1)]
    blind, told = (null_tests(late, lags)["clip-0"].p for lags in ({}, {"clip-0": 0.2}))
    assert blind is not None and told is not None
    assert told < 0.1 < blind


def test_the_narrowest_scope_with_a_known_lag_counts() -> None:
    clips = [clip(1), clip(2, site="b.org")]
    rows = [
        {"scope": "all", "name": "", "status": "ok", "offset_ms": 10.0},
        {"scope": "site", "name": "a.org", "status": "offset", "offset_ms": 200.0},
        {"scope": "source", "name": "s-1", "status": "unknown", "offset_ms": None},
    ]
    assert expected_lags(clips, rows) == {"clip-1": 0.2, "clip-2": 0.01}


def test_offsets_are_told_of_all_and_of_scopes_with_enough_clips() -> None:
    tempi = np.random.default_rng(0).uniform(80, 150, 12)
    clips = [clip(number, bpm=bpm, late_s=0.2) for number, bpm in enumerate(tempi)]
    rows = offsets(clips)
    assert [(row["scope"], row["name"]) for row in rows] == [("all", ""), ("site", "a.org")]
    for row in rows:
        assert (row["status"], row["n_clips"]) == ("offset", 12)
        assert row["offset_ms"] == pytest.approx(200, abs=20)
    assert offsets(list(reversed(clips))) == rows


def test_no_clips_say_so() -> None:
    (row,) = offsets([])
    assert (row["scope"], row["status"], row["n_clips"], row["offset_ms"]) == ("all", "unknown", 0, None)
    assert null_tests([], {}) == {}
