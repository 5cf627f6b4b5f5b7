"""The site builds without a warning and asks nobody else for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import DOCS, ROOT


def test_the_site_builds_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    built = {path.relative_to(tmp_path).with_suffix(".md") for path in tmp_path.rglob("*.html")} - {
        Path("404.md")
    }
    assert built == {path.relative_to(DOCS) for path in DOCS.rglob("*.md")}
    elsewhere = re.compile(
        r"""<(?:script|img|iframe|link(?![^>]*rel="?canonical))[^>]*(?:src|href)=["']?(?:https?:)?//[^"'>]*"""
    )
    for path in tmp_path.rglob("*.html"):
        assert not elsewhere.findall(path.read_text(encoding="utf-8")), path.name
    for path in tmp_path.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", path.read_text(encoding="utf-8")), (
            path
        )
