"""Find the videos behind an address."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import yt_dlp.utils

from d2midi_build.crawl.client import Client, open_client, with_retries
from d2midi_build.crawl.identity import has_own_ids, video_id
from d2midi_build.errors import PermanentError
from d2midi_build.recipe import CrawlRecipe

_DEEPEST_PLAYLIST = 4
_MEDIA_SUFFIXES = frozenset(
    f".{suffix}" for suffix in yt_dlp.utils.MEDIA_EXTENSIONS.video + yt_dlp.utils.MEDIA_EXTENSIONS.manifests
)


@dataclass(frozen=True)
class Found:
    """One video behind an address.

    Parameters
    ----------
    url : str
        What to give to ``download``.
    item : int or None
        Its place (from 1) on a page whose videos have no address of their own; give it to ``download`` too.
    extractor, site_id : str
        The site and its id of the video, as far as the address or the list says. Empty when only a download
        can tell.
    title : str
        As the list says; often empty.
    """

    url: str
    item: int | None = None
    extractor: str = ""
    site_id: str = ""
    title: str = ""

    @property
    def video_id(self) -> str | None:
        """The id that the download will have; None where only the content decides."""
        known = has_own_ids(self.extractor) and self.site_id
        return video_id(self.extractor, self.site_id, "") if known else None


def resolve(url: str, options: CrawlRecipe) -> list[Found]:
    """List the videos behind an address: one, or those of a playlist, channel, feed or page.

    An address that is plainly one video is answered without the network. A video inside a playlist
    (``watch?v=...&list=...``) is the video, not the playlist.

    Raises
    ------
    TransientError, PermanentError, PolicyError
        With the site's message in ``tool_message``.
    """

    def once() -> list[Found]:
        with open_client(url, options) as client:
            return list(_expand(client, url, depth=0))

    found = with_retries(options, once)
    if not found:
        raise PermanentError(f"{url}: the list holds no video")
    return found


def plainly_one(url: str, options: CrawlRecipe) -> Found | None:
    """The one video an address names, where that can be told without the network; None elsewhere."""
    with open_client(url, options) as client:
        return _plainly_single(client, url)


def _expand(client: Client, url: str, depth: int) -> Iterator[Found]:
    """The videos behind ``url``, lists inside lists included."""
    single = _plainly_single(client, url)
    if single:
        yield single
        return
    # process=False: only the list itself is read, not the page of each of its videos.
    page = client.extract_info(url, download=False, process=False)
    kind = (page or {}).get("_type", "video")
    if page is None:
        return
    if _describes(client, page):
        yield Found(url, None, title=page.get("title") or "")
    elif kind in ("url", "url_transparent"):
        yield from _follow(client, page, depth)
    elif kind == "video":
        yield Found(
            url, None, page.get("extractor") or "", str(page.get("id") or ""), page.get("title") or ""
        )
    elif kind == "multi_video":
        # One video that the site stores in pieces.
        yield Found(url, 1, title=page.get("title") or "")
    else:
        for number, entry in enumerate(page.get("entries") or (), start=1):
            if not entry:
                continue
            if entry.get("_type") in ("url", "url_transparent"):
                yield from _follow(client, entry, depth)
            else:
                yield Found(
                    url,
                    number,
                    page.get("extractor") or "",
                    str(entry.get("id") or ""),
                    entry.get("title") or "",
                )


def _describes(client: Client, link: Mapping[str, Any]) -> bool:
    """Whether a page itself tells the title, uploader... of a mere file that it links to.

    Then the page is the video's address: fetched from the file's own, nothing of that would be known.
    """
    return link.get("_type") == "url_transparent" and _extractor(client, str(link["url"])) == "Generic"


def _follow(client: Client, link: Mapping[str, Any], depth: int) -> Iterator[Found]:
    """The videos behind a link that a page gave."""
    url, key = str(link["url"]), link.get("ie_key")
    if key and client.get_info_extractor(key).is_single_video(url):
        name = client.get_info_extractor(key).IE_NAME
        site_id = link.get("id") or client.get_info_extractor(key).get_temp_id(url) or ""
        yield Found(url, None, name, str(site_id), link.get("title") or "")
        return
    if depth >= _DEEPEST_PLAYLIST:
        raise PermanentError(
            f"{url}: lists inside lists, more than {_DEEPEST_PLAYLIST} deep; give the inner one's address"
        )
    yield from _expand(client, url, depth + 1)


def _plainly_single(client: Client, url: str) -> Found | None:
    """Say without the network whether an address is one video."""
    suffix = PurePosixPath(urllib.parse.urlsplit(url).path).suffix.lower()
    key = _extractor(client, url)
    if key == "Generic":
        return Found(url) if suffix in _MEDIA_SUFFIXES else None
    if not client._ies[key].is_single_video(url):
        return None
    real = client.get_info_extractor(key)
    return Found(url, None, real.IE_NAME, str(real.get_temp_id(url) or ""))


def _extractor(client: Client, url: str) -> str:
    """Name of the part of yt-dlp that an address is for; ``Generic`` if none knows it."""
    # _ies: yt-dlp has no public way to ask.
    return next((key for key, extractor in client._ies.items() if extractor.suitable(url)), "Generic")
