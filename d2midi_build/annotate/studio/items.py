"""Label Studio's result items: how a note and a form's answers look there, and a reader that believes nothing.

What the editor stores (1.23.2, tried in a browser): a rectangle is an item of type ``rectanglelabels``; each of its own
numbers and choices is another item with the same id and geometry. A page that nobody opened comes back as it was sent,
but with the rectangle's label beside its numbers. An answer for the whole task is an item with an id of its own and no
geometry; an empty one is not there, but a number's field that somebody emptied holds 0. Pasted rectangles keep the
origin of what was copied, so origins prove nothing. The API takes whatever it is given, so every field that is used is
checked here; the others may be anything.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from d2midi_build.annotate.layering import REASONS, Reason
from d2midi_build.annotate.studio.pages import Layout, Rectangle
from d2midi_build.annotate.studio.sent import SentTask
from d2midi_build.errors import PermanentError
from d2midi_build.music.instruments import INSTRUMENTS

ROLL: Final = "roll"
"""Name of the pictures' tag in the labelling configuration."""

NOTE: Final = "note"
"""Name of the tag of rectangles."""

KINDS: Final[dict[str, str]] = {
    NOTE: "rectanglelabels",
    "velocity": "number",
    "pitch": "number",
    "why": "choices",
    "reason": "choices",
    "verdict": "choices",
    "commands": "textarea",
    "remark": "textarea",
}
"""The tags of the labelling configuration that people fill in, and the type of their items."""

OF_REGIONS: Final = (NOTE, "velocity", "pitch", "why")
"""Those that belong to one rectangle; the others are asked once in a task."""

VERDICTS: Final = ("Corrected", "No change needed", "Drop clip")

LOWEST, HIGHEST = 1, 127
"""Of a velocity and of a pitch that is filled in. 0 is what a number's field holds that somebody emptied, so it says
nothing; pitch 0 (8 Hz) cannot be filled in."""

NOISE: Final = 1e-6
"""Percent of a picture by which numbers may differ that Label Studio only passed on: it computes in floats."""

MOST_ITEMS: Final = 50_000
MOST_PROBLEMS: Final = 20
MOST_REMARK: Final = 2_000
_CUT: Final = " [the rest was cut off]"
_LABELS: Final = {each.name for each in INSTRUMENTS}


class RegionsError(PermanentError):
    """A result that cannot be used, and everything that is wrong with it.

    Parameters
    ----------
    problems : iterable of str
        One sentence each, for whoever has to mend it.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.problems,))


class Problems:
    """What is wrong with a result so far; the first twenty in words."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.n = 0

    def add(self, problem: str) -> None:
        """One more."""
        self.n += 1
        if self.n <= MOST_PROBLEMS:
            self.told.append(problem)

    def raised(self) -> None:
        """End here if there are any.

        Raises
        ------
        RegionsError
            With all that were told.
        """
        if self.n:
            more = [f"and {self.n - MOST_PROBLEMS} more"] if self.n > MOST_PROBLEMS else []
            raise RegionsError((*self.told, *more))


@dataclass
class Region:
    """One rectangle as far as it could be read.

    Attributes
    ----------
    place : Rectangle or None
        None where only numbers or choices came, without their rectangle.
    page : int
    label : str
        One of the 13 instruments.
    numbers : dict of str to int
        ``velocity`` and ``pitch``, where they were given.
    why : str
        A reason, or empty.
    """

    place: Rectangle | None = None
    page: int = 0
    label: str = ""
    numbers: dict[str, int] = field(default_factory=dict)
    why: Reason | None = None


@dataclass
class Result:
    """All that could be read of a result: rectangles by id in their order, and answers by the name of their tag."""

    regions: dict[str, Region] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)


def rectangle_items(
    region: str, page: int, place: Rectangle, label: str, velocity: int, layout: Layout
) -> list[dict[str, Any]]:
    """The two items of a note: its rectangle with its instrument, and its velocity."""

    def item(name: str, key: str, value: Any) -> dict[str, Any]:
        return {
            "id": region,
            "type": KINDS[name],
            "from_name": name,
            "to_name": ROLL,
            "original_width": layout.width_px,
            "original_height": layout.height_px,
            "image_rotation": 0,
            "item_index": page,
            "value": {**place._asdict(), "rotation": 0, key: value},
        }

    return [item(NOTE, "rectanglelabels", [label]), item("velocity", "number", velocity)]


def read_result(result: object, sent: SentTask, problems: Problems) -> Result:
    """Read a result's items, and note what is wrong with each.

    Parameters
    ----------
    result : object
        What Label Studio gave as ``result`` of an annotation or a draft.
    sent : SentTask
        What it was made from.
    problems : Problems
        Gets what is wrong; what is returned is only good where it got nothing.
    """
    found = Result()
    if not isinstance(result, list):
        problems.add(f"the result is {_kind(result)} and not a list of items")
        return found
    if len(result) > MOST_ITEMS:
        problems.add(f"the result has {len(result)} items, and no sheet has more than {MOST_ITEMS}")
        return found
    seen: Counter[tuple[str, str]] = Counter()
    for place, item in enumerate(result):
        try:
            _read(item, sent.layout, found, seen)
        except ValueError as error:
            problems.add(f"{_where(item, place, sent)}: {error}")
    return found


def plain(text: str) -> str:
    """Text of people without control characters, directions and half characters; markup stays what it is: text."""
    lines = text.replace("\r\n", "\n").replace("\t", " ").split("\n")
    kept = ("".join(each for each in line if unicodedata.category(each)[0] != "C") for line in lines)
    return "\n".join(kept).strip()


def remark(text: str) -> str:
    """A remark as it is kept: plain, and not without end."""
    found = plain(text[: 4 * MOST_REMARK])
    return found if len(found) <= MOST_REMARK else found[: MOST_REMARK - len(_CUT)] + _CUT


def short(value: object) -> str:
    """A value of a stranger, on one line."""
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else f"{value[:57]}...")
    if isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 10**15):
        return repr(value)
    return _kind(value)


def named(region: object, page: object, sent: SentTask) -> str:
    """A rectangle so that a person can find it: its id, what was sent there, and the page as people count."""
    note = sent.by_region.get(region) if isinstance(region, str) else None
    was = "" if note is None else f" ({note.sent.told()})"
    on = f" on page {page + 1}" if type(page) is int and 0 <= page < len(sent.layout.pages) else ""
    return f"{short(region)}{was}{on}"


def _read(item: object, layout: Layout, found: Result, seen: Counter[tuple[str, str]]) -> None:
    if not isinstance(item, Mapping):
        raise ValueError(f"it is {_kind(item)} and not an object")
    if item.get("type") == "relation":
        raise ValueError("a relation between notes says nothing here: delete it under Relations")
    name, kind = item.get("from_name"), item.get("type")
    if not isinstance(name, str) or name not in KINDS:
        raise ValueError(f"from_name {short(name)} is none of {', '.join(KINDS)}")
    if kind != KINDS[name]:
        raise ValueError(f"{name} has type {short(kind)}, it must be {KINDS[name]!r}")
    if item.get("to_name") != ROLL:
        raise ValueError(f"it belongs to {short(item.get('to_name'))}, not to {ROLL!r}")
    value = item.get("value")
    if not isinstance(value, Mapping):
        raise ValueError(f"its value is {_kind(value)} and not an object")
    region = item.get("id") if name in OF_REGIONS else ""
    if not isinstance(region, str) or len(region) > 64 or not (region or name not in OF_REGIONS):
        raise ValueError(f"its id is {short(region)}, not a short text")
    seen[region, name] += 1
    if seen[region, name] > 1:
        raise ValueError(f"there is {name} twice" + (" with this id" if region else ""))
    if name not in OF_REGIONS:
        found.answers[name] = _text(value) if KINDS[name] == "textarea" else _choice(value, _allowed(name))
        return
    of = found.regions.setdefault(region, Region())
    if name == NOTE:
        of.place, of.page, of.label = _place(item, value, layout), _page(item, layout), _label(value)
    elif name == "why":
        of.why = cast(Reason, _choice(value, REASONS)) or None
    elif (number := _number(value.get("number"))) is not None:
        of.numbers[name] = number


def _place(item: Mapping[Any, Any], value: Mapping[Any, Any], layout: Layout) -> Rectangle:
    size = item.get("original_width"), item.get("original_height")
    if size != (layout.width_px, layout.height_px) or bool in map(type, size):
        told = " x ".join(map(short, size))
        raise ValueError(
            f"it was made on a picture of {told} pixels, this task's have {layout.width_px} x {layout.height_px}"
        )
    x, y, width, height = (_float(value, name) for name in Rectangle._fields)
    if width <= 0 or height <= 0:
        raise ValueError(f"it is {width:g} wide and {height:g} high")
    if min(x, y) < -NOISE or max(x + width, y + height) > 100 + NOISE:
        raise ValueError(
            f"it lies outside of its picture: {x:g} to {x + width:g} % across, {y:g} to {y + height:g} % down"
        )
    for of, name in ((value, "rotation"), (item, "image_rotation")):
        if of.get(name) is not None and _float(of, name) != 0:
            raise ValueError(f"its {name} is {short(of[name])}: turn it back to 0")
    return Rectangle(x, y, width, height)


def _page(item: Mapping[Any, Any], layout: Layout) -> int:
    index = item.get("item_index", 0 if len(layout.pages) == 1 else None)
    if type(index) is not int or not 0 <= index < len(layout.pages):
        raise ValueError(f"item_index {short(index)} is none of this task's {len(layout.pages)} pages")
    return index


def _label(value: Mapping[Any, Any]) -> str:
    labels = value.get("rectanglelabels")
    if not isinstance(labels, list) or not labels:
        raise ValueError("it has no instrument: select it and give it one")
    if len(labels) > 1:
        raise ValueError(f"it has {len(labels)} instruments: select it and keep one")
    if not isinstance(labels[0], str) or labels[0] not in _LABELS:
        raise ValueError(f"{short(labels[0])} is not one of the 13 instruments")
    return labels[0]


def _choice(value: Mapping[Any, Any], allowed: tuple[str, ...]) -> str:
    """The choice that was made; empty if none."""
    chosen = value.get("choices")
    if not isinstance(chosen, list) or len(chosen) > 1:
        raise ValueError(f"its choices are {_kind(chosen)}: choose one of {', '.join(allowed)}")
    if chosen and not (isinstance(chosen[0], str) and chosen[0] in allowed):
        raise ValueError(f"{short(chosen[0])} is none of {', '.join(allowed)}")
    return str(chosen[0]) if chosen else ""


def _allowed(name: str) -> tuple[str, ...]:
    return VERDICTS if name == "verdict" else REASONS


def _text(value: Mapping[Any, Any]) -> str:
    text = value.get("text")
    lines = [line for line in (text if isinstance(text, list) else [text]) if isinstance(line, str)]
    if not lines or (isinstance(text, list) and len(lines) < len(text)):
        raise ValueError(f"its text is {_kind(text)}, not lines of text")
    return "\n".join(lines)


def _number(value: object) -> int | None:
    """The number of a field; None of an empty one."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= HIGHEST:
        raise ValueError(f"its number is {short(value)}, allowed is {LOWEST}-{HIGHEST}")
    if value != int(value):
        raise ValueError(f"its number is {short(value)}, it must be whole")
    return int(value) or None


def _float(of: Mapping[Any, Any], name: str) -> float:
    value = of.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e6 <= value <= 1e6:
        raise ValueError(
            f"its {name} is {short(value) if name in of else 'missing'}, and not a sensible number"
        )
    return float(value)


def _where(item: object, place: int, sent: SentTask) -> str:
    """Which item it is, in words that a person can use."""
    if not isinstance(item, Mapping):
        return f"item {place}"
    name, region, page = item.get("from_name"), item.get("id"), item.get("item_index")
    what = name if isinstance(name, str) and name in KINDS else f"item {place}"
    if what not in OF_REGIONS:
        return what
    return f"{what} {named(region, page, sent)}"


def _kind(value: object) -> str:
    if value is None:
        return "missing"
    return f"{len(value)} of them" if isinstance(value, list) else f"a {type(value).__name__}"
