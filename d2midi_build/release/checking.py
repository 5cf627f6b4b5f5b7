"""The check of pairing as building and verifying see it: whoever builds brings it along as a function.

What is trained for it lives in ``train``, which reads releases; nothing here or elsewhere in ``release`` knows how.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from d2midi_build.errors import ReleaseError
from d2midi_build.release import format as layout

Verdict = Literal["pass", "fail", "not-testable", "invalid"]

_RELEASED: Final = ("pass", "not-testable")
"""Verdicts with which a release is made."""


@dataclass(frozen=True)
class Checked:
    """What a check of pairing found in a release.

    Attributes
    ----------
    verdict : str
        ``"pass"``; ``"fail"``; ``"not-testable"``: too little is in it to tell, it is a preview; ``"invalid"``: the
        check itself did not work and says nothing of the release.
    why : tuple of str
        The reasons, in sentences.
    files : dict
        The report: bytes of ``gate.json``, an object with a field ``verdict``, and of ``gate.html``.

    Raises
    ------
    ValueError
        If ``files`` has other names.
    """

    verdict: Verdict
    why: tuple[str, ...]
    files: Mapping[str, bytes]

    def __post_init__(self) -> None:
        if {*self.files} != {*layout.GATE_FILES}:
            raise ValueError(f"a check gives {' and '.join(layout.GATE_FILES)}, not {sorted(self.files)}")

    @property
    def released(self) -> bool:
        """Whether a release may be made with it."""
        return self.verdict in _RELEASED

    @property
    def preview(self) -> bool:
        """Whether the release is only a preview."""
        return self.verdict == "not-testable"

    def data(self) -> dict[str, Any]:
        """What the manifest says of it."""
        return {"verdict": self.verdict, "preview": self.preview, "why": list(self.why)}

    def write(self, folder: Path) -> None:
        """Write the report into a folder that is there."""
        for name, data in self.files.items():
            (folder / name).write_bytes(data)


Check = Callable[[Path], Checked]
"""Is given the folder of a complete release and looks at it; changes nothing there."""


def report_folder(out: Path) -> Path:
    """Where a report lies that is not in its release: beside the release, or the place it did not get."""
    return out.parent / f"{out.name}.gate"


def refuse(checked: Checked, out: Path) -> ReleaseError:
    """Keep the report of a check that lets no release be made; the error that says why, and what to do."""
    folder = report_folder(out)
    folder.mkdir(exist_ok=True)
    checked.write(folder)
    invalid = checked.verdict == "invalid"
    found = (
        "the check of pairing did not work, so nothing is known of the release, and it is not made"
        if invalid
        else "the release is not made, since it does not pass the check of pairing"
    )
    stuck = " If nothing of it is yours to mend, tell who made d2midi." if invalid else ""
    return ReleaseError(
        "\n".join(
            [
                f"{found}:",
                *(f"  {reason}" for reason in checked.why),
                f"The whole report: {folder / layout.GATE_PAGE}. Mend what is named there and build again: finished "
                f"shards are used again.{stuck} Or build without --gate: then the card says that pairing was not "
                "checked.",
            ]
        )
    )


def forget_refusal(out: Path) -> None:
    """Delete the report of an earlier check that let no release be made, now that one does."""
    folder = report_folder(out)
    for name in layout.GATE_FILES:
        (folder / name).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def contradictions(
    folder: Path, manifest: Mapping[str, Any], sound: Collection[str]
) -> Iterator[tuple[str, str]]:
    """What is wrong with what a release says of its check: files, and what of each.

    Parameters
    ----------
    folder : Path
    manifest : dict
    sound : collection of str
        Files that are as ``SHA256SUMS`` says; of others nothing is said.
    """
    if "gate" not in manifest:
        yield layout.MANIFEST, "gate is missing, which says whether pairing was checked"
        return
    gate = manifest["gate"]
    if gate is None:
        for name in layout.GATE_FILES:
            if name in sound:
                yield name, f"is there, though {layout.MANIFEST} says that pairing was not checked"
    elif not _understood(gate):
        yield (
            layout.MANIFEST,
            f"gate is {repr(gate)[:100]!a}, neither null nor one of the verdicts {' and '.join(_RELEASED)} "
            "with preview and why",
        )
    elif layout.GATE in sound and (said := _verdict(folder / layout.GATE)) != gate["verdict"]:
        yield (
            layout.GATE,
            f"its verdict is {repr(said)[:100]!a}, {layout.MANIFEST} says {gate['verdict']!r}",
        )


def _understood(gate: Any) -> bool:
    return (
        isinstance(gate, dict)
        and {*gate} == {"verdict", "preview", "why"}
        and gate["verdict"] in _RELEASED
        and gate["preview"] is (gate["verdict"] == "not-testable")
        and isinstance(gate["why"], list)
        and all(isinstance(reason, str) for reason in gate["why"])
    )


def _verdict(path: Path) -> Any:
    """What a report says; a file that is no report has no verdict, whatever is wrong with it."""
    try:
        return json.loads(path.read_bytes())["verdict"]
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
        return None
