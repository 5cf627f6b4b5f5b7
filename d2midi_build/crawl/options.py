"""The knobs of the crawl."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class CrawlOptions(BaseModel):
    """How videos are fetched.

    Only ``format`` and ``resolution_px`` change which bytes a video has. The limits (``max_duration_s``,
    ``max_bytes``, ``honour_opt_out``) change which videos are refused, never the bytes of one that is not.
    All others say only how.

    Parameters
    ----------
    format : str
        yt-dlp's format selection. Default is the best picture and the best sound, or the best file that has
        both.
    resolution_px : int
        Wanted length of the picture's SHORT side: the largest that is not above it, else the smallest above
        it. The short side, since a height limit would shrink upright videos to a third. Default is 1080.
    max_duration_s : float or None
        Longer videos are refused. Default is 1800: a dance is minutes long, a live recording or a film is
        not one.
    max_bytes : int or None
        Larger files are refused, also when the server does not announce the size. A download needs up to
        twice this much room while picture and sound are joined. Default is 2 GiB.
    min_free_bytes : int
        Downloads stop, to be resumed later, before the disk has less room than this. Default is 1 GiB.
    honour_opt_out : bool
        Refuse what a server marks ``X-Robots-Tag: noai`` or ``tdm-reservation: 1``. Default is True.
    rate_limit_bytes_s : int or None
        Bytes per second for one download. Default is no limit.
    retries : int
        How often a failing request is tried again. Not for rate limits and bot checks. Default is 5.
    backoff_s : float
        Seconds before the first retry; doubles each time, at most 60. Default is 1.
    socket_timeout_s : float
        Seconds without an answer that count as a failure. Default is 30.
    sleep_requests_s : float
        Seconds between the requests that read one video's page. Default is 0.5.
    sleep_s : float
        Least seconds between two starts on one site; up to half as much again is added at random. Default
        is 5.
    parallel, per_site : int
        Downloads at a time, in all and on one site. Defaults are 4 and 2.
    breaker_after : int
        Rate limits or bot checks in a row after which a site is left alone. Default is 3.
    breaker_cooldown_s : float
        For how many seconds; doubles each time the site is still angry, at most eightfold. Default is 900.
    cookies : Path or None
        A Netscape cookies file; read, never written.
    cookies_from_browser : str or None
        ``BROWSER[+KEYRING][:PROFILE][::CONTAINER]``, as yt-dlp writes it.
    proxy : str or None
        ``http://``, ``https://`` or ``socks5://`` URL. Empty string: none, not even the environment's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str = Field(default="bv*+ba/b", min_length=1)
    resolution_px: int = Field(default=1080, ge=144)
    max_duration_s: float | None = Field(default=1800.0, gt=0)
    max_bytes: int | None = Field(default=2 * 1024**3, gt=0)
    min_free_bytes: int = Field(default=1024**3, ge=0)
    honour_opt_out: bool = True
    rate_limit_bytes_s: int | None = Field(default=None, gt=0)
    retries: int = Field(default=5, ge=0)
    backoff_s: float = Field(default=1.0, ge=0)
    socket_timeout_s: float = Field(default=30.0, gt=0)
    sleep_requests_s: float = Field(default=0.5, ge=0)
    sleep_s: float = Field(default=5.0, ge=0)
    parallel: int = Field(default=4, ge=1)
    per_site: int = Field(default=2, ge=1)
    breaker_after: int = Field(default=3, ge=1)
    breaker_cooldown_s: float = Field(default=900.0, ge=0)
    cookies: Path | None = None
    cookies_from_browser: str | None = None
    proxy: str | None = None
