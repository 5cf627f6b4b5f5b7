"""Fetch videos.

A download lives in one folder that its caller keeps until the file is committed: partial files stay there
over a kill and the next call goes on from them. Nothing is written elsewhere, no configuration file,
plug-in or cache is read, and cookies files are read only.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import av

from d2midi_build.crawl.client import Changed, Refused, clear, open_client, with_retries
from d2midi_build.crawl.identity import has_own_ids, video_id
from d2midi_build.digests import sha256_file
from d2midi_build.errors import ItemError, PermanentError, PolicyError, TransientError
from d2midi_build.recipe import CrawlRecipe

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class SiteInfo:
    """What the site says about a video; empty or None where it says nothing.

    ``upload_date`` is YYYYMMDD, ``duration_s`` in seconds, ``licence`` in the site's words, ``format``
    yt-dlp's name of the format (``137+140``), ``uploader_id`` the uploader's (or channel's) stable id.
    """

    extractor: str
    site_id: str
    title: str = ""
    uploader: str = ""
    uploader_id: str = ""
    channel: str = ""
    upload_date: str = ""
    licence: str = ""
    webpage_url: str = ""
    duration_s: float | None = None
    format: str = ""
    ext: str = ""


@dataclass(frozen=True)
class Downloaded:
    """A fetched (or local) file.

    ``sha256`` is 64 hex digits, ``bytes`` the size, ``video_id`` the same for every address of this video.
    """

    path: Path
    video_id: str
    sha256: str
    bytes: int
    info: SiteInfo


def download(
    url: str,
    folder: Path,
    options: CrawlRecipe,
    progress: Progress | None = None,
    *,
    item: int | None = None,
) -> Downloaded:
    """Fetch one video as one file with picture and sound.

    Parameters
    ----------
    url : str
        An address of one video: ``resolve.Found.url``.
    folder : Path
        Where the file and its parts go; made if missing. Give the same folder after a crash to go on. Use
        it for one video only: everything in it named ``media*`` is this function's.
    options : CrawlRecipe
    progress : callable, optional
        Called with bytes so far and bytes in all (None while unknown).
    item : int, optional
        ``resolve.Found.item``.

    Returns
    -------
    Downloaded
        Its ``path`` is the only ``media*`` file left in ``folder``.

    Raises
    ------
    TransientError, PermanentError, PolicyError
        With the site's message in ``tool_message``. Parts are kept after a ``TransientError`` only.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def once() -> Downloaded:
        try:
            return _download_once(url, folder, options, progress, item)
        except Changed:
            clear(folder)
            return _download_once(url, folder, options, progress, item)

    try:
        return with_retries(options, once)
    except (PermanentError, PolicyError):
        clear(folder)
        raise


def local_file(path: Path, options: CrawlRecipe) -> Downloaded:
    """Take a file that is already here: hash it and check the limits, copy nothing.

    Raises
    ------
    PermanentError
        No such file, not a file, empty, or not readable.
    PolicyError
        Longer or larger than ``options`` allow.
    """
    try:
        if not path.exists():
            raise PermanentError(
                f"{path}: no such file. Mend the path in the list; a URL starts with https://"
            )
        if not path.is_file():
            raise PermanentError(f"{path}: not a file")
        size = path.stat().st_size
        if size == 0:
            raise PermanentError(f"{path}: the file is empty")
        _check_size(str(path), size, options)
        _check_duration(str(path), _duration_s(path), options)
        digest = sha256_file(path)
    except OSError as error:
        raise PermanentError(f"{path}: cannot be read", str(error)) from error
    info = SiteInfo("file", path.stem, title=path.stem, ext=path.suffix.lower().removeprefix("."))
    return Downloaded(path, video_id("file", "", digest), digest, size, info)


class _Watch:
    """Watches one download: refuses what is too long or too large as soon as that is known."""

    def __init__(
        self, url: str, folder: Path, options: CrawlRecipe, progress: Progress | None, item: int | None
    ) -> None:
        self._url, self._folder, self._options, self._progress, self._item = (
            url,
            folder,
            options,
            progress,
            item,
        )
        self._sizes: dict[str, int] = {}
        self._expected: int | None = None
        self.refusal: ItemError | None = None

    def before(self, info: Mapping[str, Any], *, incomplete: bool = False) -> str | None:
        """yt-dlp's match filter: called when the page has been read, and again when formats are chosen.

        It must not raise, since yt-dlp would raise a copy of its own: it says no, and ``refusal`` says why.
        """
        try:
            self._look_at(info, incomplete)
        except ItemError as error:
            self.refusal = self.refusal or error
            return error.message
        return None

    def _look_at(self, info: Mapping[str, Any], incomplete: bool) -> None:
        if self._item is None and (info.get("n_entries") or 0) > 1:
            raise PermanentError(f"{self._url}: is a list of videos; resolve it first")
        if info.get("is_live") or info.get("live_status") in ("is_live", "is_upcoming"):
            words = f"live_status: {info.get('live_status')}"
            raise TransientError(f"{self._url}: is live or not out yet; retry when it is over", words)
        _check_duration(self._url, info.get("duration"), self._options)
        if not incomplete:
            formats = info.get("requested_formats") or [info]
            _check_size(self._url, sum(each.get("filesize") or 0 for each in formats), self._options)
            sizes = [each.get("filesize") or each.get("filesize_approx") for each in formats]
            self._expected = int(sum(sizes)) if all(sizes) else None

    def during(self, status: Mapping[str, Any]) -> None:
        """yt-dlp's progress hook: also catches a size that no server announced."""
        if status.get("status") not in ("downloading", "finished"):
            return
        name, announced = str(status.get("filename")), int(status.get("total_bytes") or 0)
        others = sum(size for other, size in self._sizes.items() if other != name)
        self._sizes[name] = int(status.get("downloaded_bytes") or announced)
        try:
            _check_size(self._url, others + max(self._sizes[name], announced), self._options)
        except PolicyError as error:
            raise Refused(error) from None
        if shutil.disk_usage(self._folder).free < self._options.min_free_bytes:
            raise Refused(
                TransientError(
                    f"{self._url}: stopped at less than {self._options.min_free_bytes / 1e9:.1f} GB of room "
                    f"in {self._folder}; make room, then retry (crawl.min_free_bytes)",
                    "No space left on device",
                )
            )
        if self._progress:
            total = self._expected or announced or int(status.get("total_bytes_estimate") or 0)
            self._progress(others + self._sizes[name], total or None)


def _download_once(
    url: str, folder: Path, options: CrawlRecipe, progress: Progress | None, item: int | None
) -> Downloaded:
    watch = _Watch(url, folder, options, progress, item)
    with open_client(
        url,
        options,
        folder,
        match_filter=watch.before,
        progress_hooks=[watch.during],
        # Two without an item: enough to see that it is a list, and refuse it.
        playlist_items=str(item) if item else "1:2",
    ) as client:
        info = client.extract_info(url, download=True)
    if watch.refusal:
        raise watch.refusal
    entries = list((info or {}).get("entries") or [info])
    files = entries[0].get("requested_downloads") if entries and entries[0] else None
    if not files:
        raise PermanentError(
            f"{url}: no video came out of it", f"items found: {len(entries)}; wanted: {item or 1}"
        )
    path = folder / Path(files[0]["filepath"]).name
    size = path.stat().st_size
    _check_size(url, size, options)
    about = _site_info(entries[0], files[0])
    if about.duration_s is None:
        _check_duration(url, _duration_s(path), options)
    digest = sha256_file(path)
    clear(folder, keep=path)
    return Downloaded(path, video_id(about.extractor, about.site_id, digest), digest, size, about)


def _site_info(info: Mapping[str, Any], file: Mapping[str, Any]) -> SiteInfo:
    def text(*keys: str) -> str:
        return next((str(info[key]) for key in keys if info.get(key)), "")

    extractor = text("extractor")
    return SiteInfo(
        extractor=extractor,
        site_id=text("id"),
        title=text("title"),
        uploader=text("uploader", "channel", "creator"),
        uploader_id=text("uploader_id", "channel_id", "uploader_url", "channel_url"),
        channel=text("channel"),
        # For a direct link this would be the date of the server's file.
        upload_date=text("upload_date") if has_own_ids(extractor) else "",
        licence=text("license"),
        webpage_url=text("webpage_url", "original_url"),
        duration_s=float(info["duration"]) if info.get("duration") else None,
        format=str(file.get("format_id") or text("format_id")),
        ext=PurePosixPath(str(file["filepath"])).suffix.removeprefix("."),
    )


def _duration_s(path: Path) -> float | None:
    """A file's duration as its container says; None for what is not media (a later stage says so)."""
    try:
        with av.open(str(path)) as container:
            return container.duration / av.time_base if container.duration else None
    except (av.FFmpegError, ValueError):
        return None


def _check_duration(what: str, duration_s: float | None, options: CrawlRecipe) -> None:
    if duration_s and options.max_duration_s and duration_s > options.max_duration_s:
        raise PolicyError(
            f"{what}: is {duration_s:.0f} s long, crawl.max_duration_s allows {options.max_duration_s:.0f} s"
        )


def _check_size(what: str, size: int, options: CrawlRecipe) -> None:
    if options.max_bytes and size > options.max_bytes:
        raise PolicyError(
            f"{what}: {size / 1e6:.1f} MB or more, crawl.max_bytes allows {options.max_bytes / 1e6:.1f} MB"
        )
