"""Ids of videos."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from d2midi_build.crawl.identity import video_id

_DIGEST = "0123456789abcdef" * 4


def test_real_sites_keep_their_ids() -> None:
    assert video_id("youtube", "dQw4w9WgXcQ", _DIGEST) == "youtube-dQw4w9WgXcQ"
    assert video_id("youtube", "-aBc_dEf-gH", _DIGEST) == "youtube--aBc_dEf-gH"
    assert video_id("BiliBili", "BV1xx411c7mD", _DIGEST) == "bilibili-BV1xx411c7mD"


@pytest.mark.parametrize(
    ("extractor", "site_id"), [("generic", "dance"), ("", "x"), ("file", "a"), ("youtube", "")]
)
def test_without_a_site_the_content_decides(extractor: str, site_id: str) -> None:
    assert video_id(extractor, site_id, _DIGEST) == "file-0123456789abcdef"


def test_ids_that_had_to_change_stay_apart() -> None:
    digest = hashlib.sha256(b"vimeo\na/b").hexdigest()[:8]
    assert video_id("vimeo", "a/b", _DIGEST) == f"vimeo-a_b-{digest}"
    pairs = [("vimeo", "a/b"), ("vimeo", "a_b"), ("vimeo", "a?b"), ("a-b", "c"), ("a", "b-c"), ("a_b", "c")]
    assert len({video_id(*pair, _DIGEST) for pair in pairs}) == len(pairs)


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=300))
def test_every_id_is_a_file_name(extractor: str, site_id: str) -> None:
    name = video_id(extractor, site_id, _DIGEST)
    assert re.fullmatch(r"[a-z0-9_]+-[A-Za-z0-9._-]+", name)
    assert len(name) <= 80
