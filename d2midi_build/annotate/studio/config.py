"""Labelling configurations: whether two are the same, and what people's work would lose under another one."""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree

from d2midi_build.errors import UsageError

_VALUES: Final = frozenset({"Label", "Choice"})
"""Tags whose ``value`` ends up in what people leave, under the control that holds them."""


def same(one: str, other: str) -> bool:
    """Whether two configurations differ in layout of the text at most."""
    try:
        return _canonical(one) == _canonical(other)
    except ElementTree.ParseError:
        return one.strip() == other.strip()


def broken_by(old: str, new: str) -> list[str]:
    """What can be in people's work under the old configuration and has no place in the new one.

    Returns
    -------
    list of str
        Controls ("note") and values of controls ("Bass of note"), in the order of the old configuration.

    Raises
    ------
    UsageError
        If the new one is no XML.
    """
    try:
        known = _used(ElementTree.fromstring(new))
    except ElementTree.ParseError as error:
        raise UsageError(f"the labelling configuration is no XML: {error}") from error
    try:
        used = _used(ElementTree.fromstring(old))
    except ElementTree.ParseError:
        return []
    return [words for what, words in used.items() if what not in known]


def _canonical(xml: str) -> str:
    return ElementTree.canonicalize(xml, strip_text=True)


def _used(tree: ElementTree.Element) -> dict[tuple[str, ...], str]:
    used: dict[tuple[str, ...], str] = {}
    for control in tree.iter():
        name, target = control.get("name"), control.get("toName")
        if name is None or target is None:
            continue
        used[(control.tag, name, target)] = name
        for value in control.iter():
            if value.tag in _VALUES:
                said = value.get("value", "")
                used[(name, said)] = f"{said} of {name}"
    return used
