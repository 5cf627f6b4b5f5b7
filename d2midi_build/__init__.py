"""Turn dance videos into a dataset of paired 3D motion and multi-instrument MIDI.

    from d2midi_build import Recipe, build, read_sources
    build(list(read_sources("urls.txt")), Path("workspace"), Recipe())
    open_release("release-1.0.0")[0].keypoints

The names below are the public API; everything else may change without notice.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from d2midi_build.errors import D2midiError
    from d2midi_build.pipeline import Selection, Summary, build
    from d2midi_build.recipe import Recipe
    from d2midi_build.release.reader import open_release
    from d2midi_build.sources.lists import read_sources

__all__ = ["D2midiError", "Recipe", "Selection", "Summary", "build", "open_release", "read_sources"]

_HOMES = {
    "D2midiError": "errors",
    "Recipe": "recipe",
    "Selection": "pipeline",
    "Summary": "pipeline",
    "build": "pipeline",
    "open_release": "release.reader",
    "read_sources": "sources.lists",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that the package itself is imported at once."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
