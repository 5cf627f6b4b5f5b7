"""What sites and the network say, and what it means for trying again.

A site's message is the only thing that tells a removed video from a busy server. The table below is read
from top to bottom and the first pattern wins, so what a message says most surely stands first: YouTube's
bot check also says "sign in", and its country message also says "unavailable".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from d2midi_build.errors import ItemError, PermanentError, PolicyError, TransientError

SiteReason = Literal["transient", "permanent", "policy"]


@dataclass(frozen=True)
class Verdict:
    """What a message means.

    Parameters
    ----------
    reason : {"transient", "permanent", "policy"}
        The type of the failure.
    meaning : str
        One line for people, with the way out.
    blocked : bool
        The site turns this machine away, whatever the video: counts for the circuit breaker.
    again : bool
        A second try within seconds may help.
    """

    reason: SiteReason
    meaning: str
    blocked: bool = False
    again: bool = False


_RATE = Verdict(
    "transient", "the site limits the rate; slow down (crawl.sleep_s) and retry later", blocked=True
)
_BOT = Verdict(
    "transient",
    "the site asks for proof that you are not a bot; pass cookies (crawl.cookies) or retry later",
    blocked=True,
)
_REFUSED = Verdict("transient", "the site refuses to send the video's data (403); retry later", blocked=True)
_NETWORK = Verdict("transient", "the network or the server failed; retry later", again=True)
_SERVER = Verdict("transient", "the server failed (5xx); retry later", again=True)
_DISK = Verdict("transient", "the disk is full or cannot be written; make room, then retry")
_NOT_YET = Verdict("transient", "the video is live or not out yet; retry when it is over")
_COOKIES = Verdict(
    "transient", "the cookies cannot be read; mend crawl.cookies or crawl.cookies_from_browser, then retry"
)
_LACKS = Verdict("transient", "yt-dlp lacks a package for this site; install what it names, then retry")
_OUTDATED = Verdict("transient", "yt-dlp does not understand the page; update yt-dlp, then retry", again=True)

_PRIVATE = Verdict("policy", "the video is private")
_PAID = Verdict("policy", "the video is only for members or buyers")
_AGE = Verdict(
    "policy", "the video is age-restricted; cookies of a signed-in browser may open it (crawl.cookies)"
)
_GEO = Verdict(
    "policy", "the video is not available in this country; a proxy may help if you may use one (crawl.proxy)"
)
_DRM = Verdict("policy", "the video is protected by DRM")
_PASSWORD = Verdict("policy", "the video is protected by a password")
_LOGIN = Verdict("policy", "the site wants a login; pass cookies (crawl.cookies)")
_FORBIDDEN = Verdict("policy", "the server forbids access")

_REMOVED = Verdict("permanent", "the video is not there any more, or never was")
_UNSUPPORTED = Verdict("permanent", "no video is found at this address")
_FORMAT = Verdict("permanent", "the site has no format of this video that crawl.format allows")
_CERTIFICATE = Verdict("permanent", "the server's certificate is not valid")
_BAD_REQUEST = Verdict("permanent", "the server does not accept the request (4xx)")
_UNKNOWN = Verdict("permanent", "the download failed")

_ROWS: tuple[tuple[Verdict, str], ...] = (
    (_RATE, r"HTTP Error 4(29|20|12)|too many requests|rate.?limit|requests? (was|were) throttled"),
    (_RATE, r"content isn't available, try again later"),
    (_RATE, r"request is (blocked|rejected) by|ip address is (blocked|unable)"),
    (_BOT, r"not a (ro)?bot|captcha|anti-bot|unusual traffic|automated (requests|queries)|are you human"),
    (_DISK, r"no space left|errno 28\b|disk quota|read-only file system|file too large"),
    (_NETWORK, r"HTTP Error 4(08|25)"),
    (_SERVER, r"HTTP Error 5\d\d"),
    (
        _NOT_YET,
        r"premieres? in |live event will begin|is offline|not currently live|is upcoming|not yet available",
    ),
    (_AGE, r"confirm your age|age.?restrict|age.?gate|inappropriate for some users|adults? only|under 18"),
    (_GEO, r"geo.?restrict|geo.?block|HTTP Error 451"),
    (_GEO, r"(in|from) (your|this) (current )?(country|region|location|area)"),
    (_GEO, r"available in \w+ only|blocked by decision of"),
    (_DRM, r"\bDRM\b|widevine"),
    (_PRIVATE, r"private video|\bis private\b|\bprivate (account|user|profile)"),
    (_PAID, r"\bmembers?\b|join this channel|premium|subscribers?\b|subscription|paywall|HTTP Error 402"),
    (_PASSWORD, r"password.?protected|protected by a pass|--video-password"),
    (_PAID, r"does not have (access|tickets)|tv provider"),
    (_PAID, r"requires? payment|purchase|\brent(al)?\b|paid (content|video)"),
    (_REMOVED, r"HTTP Error 4(04|10)"),
    (_LOGIN, r"HTTP Error 40(1|7)"),
    (_REFUSED, r"(video data|fragment).*HTTP Error 403"),
    (_FORBIDDEN, r"HTTP Error 403"),
    (_BAD_REQUEST, r"HTTP Error 4\d\d"),
    (_CERTIFICATE, r"certificate.?verify.?failed|certificate has expired|self.signed cert|hostname mismatch"),
    (_COOKIES, r"failed to load cookies|netscape format cookies|could not find .* cookies database"),
    (_LACKS, r"please install|must be installed|is not installed"),
    (_NETWORK, r"timed? ?out|temporary failure in name|name or service not known|getaddrinfo"),
    (_NETWORK, r"no address associated|failed to resolve|name resolution"),
    (_NETWORK, r"connection (was )?(reset|refused|aborted|closed|broken)|remote end closed"),
    (_NETWORK, r"incomplete ?read|more expected|content too short|bytes read|broken pipe|\beof\b"),
    (_NETWORK, r"network is unreachable|no route to host|host is down|tunnel connection failed"),
    (_NETWORK, r"unable to connect|proxy ?error|did not get any data"),
    (_NOT_YET, r"(currently|temporarily) unavailable|still (be )?(uploading|processing)|has not started"),
    (_REMOVED, r"removed|deleted|terminated|no longer available|doesn't exist|does not exist"),
    (_REMOVED, r"taken down|copyright|suspended"),
    (_UNSUPPORTED, r"unsupported url|is not a valid url|incomplete youtube id|no video formats"),
    (
        _UNSUPPORTED,
        r"\bno (valid )?(video|media)|does(n't| not) (have|contain) .*video|not a video|unable to find",
    ),
    (_FORMAT, r"requested format is not available|only images are available"),
    (_LOGIN, r"log.?in\b|sign.?in\b|--cookies|credentials|registered users|authenticat|authoriz"),
    (_LOGIN, r"cookies .*needed"),
    (_REMOVED, r"unavailable|not available|not found|isn't available"),
    (_NETWORK, r"try again|please wait"),
    (_OUTDATED, r"unable to extract|(failed|unable) to parse|nsig|signature extraction"),
)
_TABLE = tuple((re.compile(pattern, re.IGNORECASE | re.DOTALL), verdict) for verdict, pattern in _ROWS)

# Names in a message can say anything: "[generic] rate-limit-dance: ..." is no rate limit.
_NAMES = re.compile(
    r"^(?:ERROR:\s*)?\[[\w:.+ -]+\]\s+(?:\S{1,200}:\s+)?|\b\w+://\S+|<[^<>]*\bobject at 0x[^<>]*>"
)
# yt-dlp's own advice below an error speaks of updating, never of the site.
_ADVICE = re.compile(
    r"[;.]?\s*please report this issue on.*|\s*Confirm you are on the latest version.*", re.DOTALL
)
WARNING_MARK = "WARNING: "


def classify(tool_message: str) -> Verdict:
    """Say what a message means.

    Parameters
    ----------
    tool_message : str
        The error, and below it lines that start with ``WARNING:``, as ``download`` writes them. When the
        error itself says little ("no video formats found"), a rate limit or bot check among the warnings is
        what happened.
    """
    error, *warnings = re.split(rf"^{WARNING_MARK}", tool_message, flags=re.MULTILINE)
    verdict = _first(error)
    if verdict.blocked or verdict in (_DISK, _SERVER):
        return verdict
    if verdict in (_UNKNOWN, _UNSUPPORTED, _OUTDATED, _REMOVED, _LOGIN):
        for warning in warnings:
            cause = _first(warning)
            if cause.blocked and (verdict is not _REMOVED or "HTTP Error" not in error):
                return cause
    return verdict


def typed_error(what: str, tool_message: str) -> ItemError:
    """Make the ``ItemError`` that a message calls for; ``what`` names the item (its URL)."""
    verdict = classify(tool_message)
    kinds: dict[SiteReason, type[ItemError]] = {
        "transient": TransientError,
        "permanent": PermanentError,
        "policy": PolicyError,
    }
    return kinds[verdict.reason](f"{what}: {verdict.meaning}", tool_message)


def retry_after_s(tool_message: str) -> float | None:
    """Seconds the server asked to wait, as ``download`` notes them; None where it did not."""
    match = re.search(r"\(Retry-After: (\d+) s\)", tool_message)
    return float(match[1]) if match else None


def _first(message: str) -> Verdict:
    # Sites write typographic apostrophes: "Sign in to confirm you’re not a bot".
    text = _ADVICE.sub("", _NAMES.sub("", message.strip().replace("’", "'")))
    return next((verdict for pattern, verdict in _TABLE if pattern.search(text)), _UNKNOWN)
