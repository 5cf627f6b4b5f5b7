"""Which licences a recipe allows."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase


def allowed(licence: str, patterns: Sequence[str]) -> bool:
    """Whether a licence fits a pattern as shells know them (``CC BY*``); upper and lower case are the same."""
    return any(fnmatchcase(licence.casefold(), pattern.casefold()) for pattern in patterns)
