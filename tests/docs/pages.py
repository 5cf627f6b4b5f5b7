"""The pages of the docs as data: their code blocks and the commands they mention."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
DOCS: Final = ROOT / "docs"
_FENCE = re.compile(r"^```(?P<head>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`(d2midi [^`\n]+)`")
_BEFORE = re.compile(r"^(?:\S*/)?uv run (?:--\S+ )*")


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, language, title (empty if it has none), text, and the line it begins in."""

    page: str
    language: str
    title: str
    text: str
    line: int

    @property
    def name(self) -> str:
        """Where it stands, for people."""
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """README and every page of the docs."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def blocks(path: Path, language: str) -> list[Block]:
    """The fenced blocks of a page in one language."""
    text = path.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        head = match["head"].split(" ", 1)
        title = re.search(r'title="([^"]*)"', match["head"])
        if head[0] == language:
            line = text.count("\n", 0, match.start()) + 2
            found.append(
                Block(
                    path.relative_to(ROOT).as_posix(),
                    language,
                    title[1] if title else "",
                    match["text"],
                    line,
                )
            )
    return found


def commands(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Where a page shows a d2midi command to run, and its words after ``d2midi``."""
    for block in blocks(path, "bash"):
        for number, line in enumerate(block.text.splitlines()):
            words = shlex.split(_BEFORE.sub("", line), comments=True)
            if words[:1] == ["d2midi"]:
                yield f"{block.page}:{block.line + number}", words[1:]


def mentions(path: Path) -> Iterator[list[str]]:
    """The words after ``d2midi`` of every command named in running text, where parts may be left out."""
    prose = _FENCE.sub("", path.read_text(encoding="utf-8"))
    for match in _SPAN.finditer(prose):
        yield shlex.split(match[1])[1:]
