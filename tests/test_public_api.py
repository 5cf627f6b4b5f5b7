"""What ``d2midi_build`` exports, and what that costs."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import d2midi_build

EXPORTED = ["D2midiError", "Recipe", "Selection", "Summary", "build", "open_release", "read_sources"]


def test_what_is_exported() -> None:
    assert sorted(d2midi_build.__all__) == EXPORTED
    assert set(EXPORTED) <= set(dir(d2midi_build))


@pytest.mark.parametrize("name", EXPORTED)
def test_each_is_the_thing_itself_and_explained(name: str) -> None:
    found = getattr(d2midi_build, name)
    assert not inspect.ismodule(found)
    assert found.__name__ == name
    assert len(inspect.getdoc(found) or "") > 20


def test_anything_else_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'d2midi_build' has no attribute 'nothing'"):
        _ = d2midi_build.nothing


def test_the_package_itself_imports_nothing_heavy() -> None:
    code = "import d2midi_build, sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "pyarrow", "pydantic", "rich", "typer"} & set(done.stdout.split())
