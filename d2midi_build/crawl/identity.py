"""What makes two downloads one video."""

from __future__ import annotations

import hashlib
import re

_MAX_CHARACTERS = 80
_DIGEST_CHARACTERS = 8
# These do not have ids of their own: they make one from the file name, which says nothing about the content.
_WITHOUT_IDS = frozenset({"", "generic", "html5", "file"})


def has_own_ids(extractor: str) -> bool:
    """Whether a yt-dlp extractor is a site that names its videos, not a direct link or any page."""
    return extractor.lower() not in _WITHOUT_IDS


def video_id(extractor: str, site_id: str, sha256: str) -> str:
    """Name a video, so that two URLs of one video are one.

    Parameters
    ----------
    extractor : str
        yt-dlp's name of the site (``youtube``, ``BiliBili``, ``vimeo:album``); ``generic`` or empty for
        anything without ids.
    site_id : str
        The site's id of the video.
    sha256 : str
        Hex digest of the file; used where the site has no ids.

    Returns
    -------
    str
        ``youtube-dQw4w9WgXcQ``, or ``file-`` and 16 hex digits of the content. At most 80 characters of
        ``[A-Za-z0-9._-]``; an id that had to be changed to fit carries a digest of what it was.
    """
    if not has_own_ids(extractor) or not site_id:
        return f"file-{sha256[:16]}"
    # No '-' in the site's part: the first '-' ends it, so no site can imitate another one's id.
    site = re.sub(r"[^a-z0-9]", "_", extractor.lower())
    name = re.sub(r"[^A-Za-z0-9._-]", "_", site_id)
    plain = f"{site}-{name}"
    if (site, name) == (extractor.lower(), site_id) and len(plain) <= _MAX_CHARACTERS:
        return plain
    digest = hashlib.sha256(f"{extractor.lower()}\n{site_id}".encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{plain[: _MAX_CHARACTERS - _DIGEST_CHARACTERS - 1]}-{digest}"
