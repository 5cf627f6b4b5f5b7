"""Bundled files are found in a checkout and in a wheel, where they lie elsewhere."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from d2midi_build.resources import resource

_ROOT = Path(__file__).resolve().parent.parent


def test_a_checkout_has_them_at_its_top() -> None:
    assert resource("schemas/notes.json") == _ROOT / "schemas" / "notes.json"
    with pytest.raises(FileNotFoundError, match=r"lacks schemas/none\.json"):
        resource("schemas/none.json")


def test_a_wheel_has_them_inside_the_package(tmp_path: Path) -> None:
    wheel = next(WheelBuilder(str(_ROOT)).build(directory=str(tmp_path)))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    code = (
        "from d2midi_build.tables import table_names; from d2midi_build.transcribers.embedded import WEIGHTS; "
        "from d2midi_build.resources import resource; print(table_names(), WEIGHTS.exists(), resource('schemas'))"
    )
    command = [
        sys.executable,
        "-S",
        "-c",
        f"import sys; sys.path[:0] = [{str(tmp_path / 'installed')!r}]; {code}",
    ]
    environment = {"PYTHONPATH": ":".join(path for path in sys.path if path.endswith("site-packages"))}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "'clips'" in done.stdout
    assert "True" in done.stdout
    assert str(tmp_path / "installed" / "d2midi_build" / "_resources") in done.stdout
