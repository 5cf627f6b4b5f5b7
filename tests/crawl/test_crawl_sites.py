"""Pacing and the circuit breaker, on a clock that the tests turn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from d2midi_build.crawl.sites import SiteGate, site_of
from d2midi_build.recipe import CrawlRecipe


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _gate(clock: Clock, **options: Any) -> SiteGate:
    defaults = {"sleep_s": 0.0, "per_site": 8, "breaker_after": 3, "breaker_cooldown_s": 100.0}
    return SiteGate(CrawlRecipe(**(defaults | options)), np.random.default_rng(7), clock)


def _blocked(gate: SiteGate, times: int, site: str = "a.com", **more: Any) -> None:
    for _ in range(times):
        gate.started(site)
        gate.finished(site, "blocked", **more)


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://www.youtube.com/watch?v=x", "youtube.com"),
        ("https://youtu.be/x", "youtube.com"),
        ("https://m.bbc.co.uk/x", "bbc.co.uk"),
        ("https://bbc.co.uk/x", "bbc.co.uk"),
        ("https://co.uk/x", "co.uk"),
        ("https://a.b.example.org:8443/x", "example.org"),
        ("http://127.0.0.1:8000/x.mp4", "127.0.0.1:8000"),
        ("http://[::1]:8000/x.mp4", "::1:8000"),
        ("https://localhost/x.mp4", "localhost:443"),
    ],
)
def test_sites(url: str, site: str) -> None:
    assert site_of(url) == site


def test_starts_keep_their_distance_on_one_site_only() -> None:
    clock = Clock()
    gate = _gate(clock, sleep_s=10.0)
    assert gate.ready_at("a.com") <= clock.now
    gaps = []
    for _ in range(200):
        gate.started("a.com")
        gate.finished("a.com", "ok")
        gaps.append(gate.ready_at("a.com") - clock.now)
        clock.now = gate.ready_at("a.com")
    assert 10.0 <= min(gaps) < 10.2
    assert 14.8 < max(gaps) <= 15.0
    assert gate.ready_at("b.com") <= clock.now


def test_the_same_seed_paces_alike() -> None:
    def ready() -> float:
        gate = _gate(Clock(), sleep_s=10.0)
        gate.started("a.com")
        return gate.ready_at("a.com")

    assert ready() == ready()


def test_so_many_at_a_time() -> None:
    gate = _gate(Clock(), per_site=2)
    gate.started("a.com")
    assert gate.ready_at("a.com") < math.inf
    gate.started("a.com")
    assert gate.ready_at("a.com") == math.inf
    gate.finished("a.com", "other")
    assert gate.ready_at("a.com") < math.inf


def test_a_site_that_blocks_is_left_alone() -> None:
    clock = Clock()
    gate = _gate(clock)
    _blocked(gate, 2)
    assert gate.ready_at("a.com") <= clock.now
    _blocked(gate, 1)
    assert gate.ready_at("a.com") == 1100.0
    assert gate.ready_at("b.com") <= clock.now


def test_only_blocks_in_a_row_count_and_other_failures_say_nothing() -> None:
    clock = Clock()
    gate = _gate(clock)
    for outcome in ("blocked", "blocked", "ok", "blocked", "other", "unasked", "blocked"):
        gate.started("a.com")
        gate.finished("a.com", outcome)  # type: ignore[arg-type]
    assert gate.ready_at("a.com") <= clock.now
    _blocked(gate, 1)
    assert gate.ready_at("a.com") == 1100.0


def test_a_start_that_asked_the_site_nothing_costs_no_waiting() -> None:
    clock = Clock()
    gate = _gate(clock, sleep_s=10.0)
    for _ in range(3):
        gate.started("a.com")
        gate.finished("a.com", "unasked")
        assert gate.ready_at("a.com") <= clock.now
    gate.started("a.com")
    gate.finished("a.com", "ok", retry_after_s=60.0)
    assert gate.ready_at("a.com") == 1060.0
    clock.now = 1060.0
    gate.started("a.com")
    gate.started("a.com")
    gate.finished("a.com", "ok")
    gate.finished("a.com", "unasked")
    assert gate.ready_at("a.com") >= 1070.0, "the other one did ask"


def test_after_the_pause_one_download_is_let_through() -> None:
    clock = Clock()
    gate = _gate(clock)
    _blocked(gate, 3)
    clock.now = 1100.0
    gate.started("a.com")
    assert gate.ready_at("a.com") == math.inf, "the others wait for what it finds"
    gate.finished("a.com", "ok")
    assert gate.ready_at("a.com") <= clock.now
    _blocked(gate, 2)
    assert gate.ready_at("a.com") <= clock.now, "all is forgotten"


def test_a_blocked_probe_doubles_the_pause_up_to_eightfold() -> None:
    clock = Clock()
    gate = _gate(clock)
    _blocked(gate, 3)
    pauses = []
    for _ in range(5):
        pauses.append(gate.ready_at("a.com") - clock.now)
        clock.now = gate.ready_at("a.com")
        _blocked(gate, 1)
    assert pauses == [100, 200, 400, 800, 800]


def test_a_probe_that_says_nothing_is_followed_by_another() -> None:
    clock = Clock()
    gate = _gate(clock)
    _blocked(gate, 3)
    clock.now = 1100.0
    gate.started("a.com")
    gate.finished("a.com", "other")
    assert gate.ready_at("a.com") <= clock.now
    gate.started("a.com")
    assert gate.ready_at("a.com") == math.inf


@pytest.mark.parametrize("outcome", ["ok", "blocked"])
def test_a_download_from_before_the_pause_changes_nothing(outcome: str) -> None:
    clock = Clock()
    gate = _gate(clock)
    gate.started("a.com")
    _blocked(gate, 3)
    clock.now = 1050.0
    gate.finished("a.com", outcome)  # type: ignore[arg-type]
    assert gate.ready_at("a.com") == 1100.0


def test_the_servers_own_wish_counts_if_longer() -> None:
    clock = Clock()
    gate = _gate(clock)
    _blocked(gate, 1, retry_after_s=30.0)
    assert gate.ready_at("a.com") == 1030.0
    _blocked(gate, 2, retry_after_s=5000.0)
    assert gate.ready_at("a.com") == 6000.0
