"""Where the files that are not Python live: ``schemas/`` and, later, ``annotation/``.

They stand at the top of the repository, because people read them there, and travel in the wheel under
``d2midi_build/_resources``. An editable install has no such folder (hatchling copies force-included
files into wheels only), so the repository's own folder is the second place to look.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource(name: str) -> Path:
    """Path of a bundled file or folder.

    Parameters
    ----------
    name : str
        Path below the resource root, for example ``"schemas/notes.json"``.

    Raises
    ------
    FileNotFoundError
        If neither the installed wheel nor the checkout has it.
    """
    for root in (_PACKAGE / "_resources", _PACKAGE.parent):
        path = root / name
        if path.exists():
            return path
    raise FileNotFoundError(f"the installation lacks {name}: install d2midi again")
