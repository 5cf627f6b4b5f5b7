"""When may the next download from a site start?

The one process that hands out work asks here. Sites answer haste with bot checks, and more requests only
prolong them: so starts on one site keep their distance, and a site that turns us away several times in a
row is left alone for a while.
"""

from __future__ import annotations

import ipaddress
import math
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from d2midi_build.recipe import CrawlRecipe

Outcome = Literal["ok", "blocked", "other", "unasked"]

_JITTER = 0.5
_LONGEST_COOLDOWN = 8
# Second-level labels under which countries register names: bbc.co.uk is a site, co.uk is none.
_SECOND_LEVEL = frozenset(
    {"ac", "co", "com", "edu", "go", "gob", "gouv", "gov", "gv", "ne", "net", "or", "org"}
)
_SHORT_HOSTS = {
    "youtu.be": "youtube.com", "youtube-nocookie.com": "youtube.com", "fb.watch": "facebook.com",
    "b23.tv": "bilibili.com", "dai.ly": "dailymotion.com", "t.co": "twitter.com",
    "x.com": "twitter.com",
}  # fmt: skip


def site_of(url: str) -> str:
    """Name the site that serves a URL: the registered domain, or host and port for addresses and local names.

    Good enough for pacing without the public suffix list: under a rare suffix several sites are paced as one.
    """
    parts = urllib.parse.urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    try:
        ipaddress.ip_address(host)
        local = True
    except ValueError:
        local = "." not in host
    if local:
        return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    labels = host.split(".")
    deep = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL
    domain = ".".join(labels[-3:] if deep else labels[-2:])
    return _SHORT_HOSTS.get(domain, domain)


@dataclass
class _State:
    """One site; times are the gate's clock. ``unhurried_start`` is ``next_start`` if those in flight ask nothing."""

    next_start: float = -math.inf
    unhurried_start: float = -math.inf
    in_flight: int = 0
    blocked_in_a_row: int = 0
    closed_until: float | None = None
    asked_until: float = -math.inf
    trips: int = 0
    probing: bool = False


class SiteGate:
    """Paces the starts on each site and stops asking a site that turns us away.

    For each item: wait until ``ready_at``, then ``started`` and, when it has ended, ``finished``. Not for
    several threads.

    A site is left alone after ``breaker_after`` blocked downloads in a row, for ``breaker_cooldown_s`` or
    what the server asked for, if longer. Then one download is let through: if it is blocked, the next pause
    is twice as long.

    Parameters
    ----------
    options : CrawlRecipe
        ``sleep_s``, ``per_site``, ``breaker_after`` and ``breaker_cooldown_s`` are used.
    rng : np.random.Generator
        Spreads the starts.
    clock : callable
        Seconds that never go back: ``time.monotonic``.
    """

    def __init__(self, options: CrawlRecipe, rng: np.random.Generator, clock: Callable[[], float]) -> None:
        self._options, self._rng, self._clock = options, rng, clock
        self._sites: dict[str, _State] = {}

    def ready_at(self, site: str) -> float:
        """Clock time from which the next download may start; infinity until a running one has ended."""
        state = self._state(site)
        if state.closed_until is not None:
            return math.inf if state.probing else max(state.closed_until, state.next_start)
        return math.inf if state.in_flight >= self._options.per_site else state.next_start

    def closed(self, site: str) -> bool:
        """Whether the site is left alone because it turned us away or asked for time, not just paced."""
        state = self._state(site)
        return state.closed_until is not None or self._clock() < state.asked_until

    def started(self, site: str) -> None:
        """A download began."""
        state = self._state(site)
        state.in_flight += 1
        state.probing = state.closed_until is not None
        gap_s = self._options.sleep_s * (1 + _JITTER * float(self._rng.random()))
        state.next_start = self._clock() + gap_s

    def finished(self, site: str, outcome: Outcome, retry_after_s: float | None = None) -> None:
        """A download ended.

        Parameters
        ----------
        site : str
        outcome : {"ok", "blocked", "other", "unasked"}
            ``blocked``: ``messages.classify(tool_message).blocked``. ``other``: a failure that says nothing
            about whether the site wants us, such as a removed video. ``unasked``: the site was not asked
            after all, so the next one need not wait for it.
        retry_after_s : float, optional
            What the server asked for: ``messages.retry_after_s(tool_message)``.
        """
        state = self._state(site)
        state.in_flight = max(0, state.in_flight - 1)
        # A download that began before the pause says nothing about the site after it.
        late = state.closed_until is not None and not state.probing
        if outcome == "ok" and not late:
            state.blocked_in_a_row, state.trips, state.closed_until = 0, 0, None
        elif outcome == "blocked" and not late:
            state.blocked_in_a_row += 1
            if state.probing or state.blocked_in_a_row >= self._options.breaker_after:
                pause_s = self._options.breaker_cooldown_s * min(2**state.trips, _LONGEST_COOLDOWN)
                state.closed_until = self._clock() + max(pause_s, retry_after_s or 0.0)
                state.trips += 1
        state.probing = False
        if retry_after_s:
            state.asked_until = self._clock() + retry_after_s
            state.next_start = max(state.next_start, state.asked_until)
        if outcome != "unasked":
            state.unhurried_start = state.next_start
        elif not state.in_flight:
            state.next_start = state.unhurried_start

    def _state(self, site: str) -> _State:
        return self._sites.setdefault(site, _State())
