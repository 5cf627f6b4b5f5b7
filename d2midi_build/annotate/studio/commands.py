"""Commands for many notes at once: a line of text each, by the lead before a task is sent or by an annotator in it.

    shift all +0.05            everything 50 ms later; also `-20ms`, and one instrument: `shift Piccolo -20ms`
    relabel Violin to Piccolo  also `Violin -> Piccolo`
    octave Acoustic Bass -1    an octave lower; `octave all +1` is all but the drums
    delete Celesta

Each may end with ``in 3-8s``: only notes that start within these seconds of the clip, as pages label them, the last
instant excluded. Commands are separated by lines or semicolons and done one after the other. Capitals do not matter,
and an instrument may be named by any unmistakable beginning of its name or of what musicians call it (``piano``,
``sax``). Signs are required, since names end with numbers: ``shift Pad 1`` would else move pads by a second.

A command does all it says or is an error: a note that would leave 0-127 or what is shown, an octave of drums, a change
of a drum into a pitched instrument (a drum's key is no pitch) or back.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NoReturn

from d2midi_build import clock
from d2midi_build.annotate.layering import Row
from d2midi_build.music.instruments import (
    BASS,
    BRASS,
    DRUM,
    GUITAR,
    INSTRUMENTS,
    LEAD,
    ORGAN,
    PAD,
    PIANO,
    SAX,
    STRINGS,
    Instrument,
)

Verb = Literal["shift", "relabel", "octave", "delete"]

GRAMMAR: Final[dict[Verb, str]] = {
    "shift": "shift all|INSTRUMENT +SECONDS|-SECONDS|+Nms|-Nms [in A-Bs]",
    "relabel": "relabel INSTRUMENT to INSTRUMENT [in A-Bs]",
    "octave": "octave all|INSTRUMENT +N|-N [in A-Bs]",
    "delete": "delete INSTRUMENT [in A-Bs], or delete all in A-Bs",
}
"""What each command looks like, as errors and forms say it."""

MAX_CHARACTERS: Final = 4000
"""Longest text: some fifty commands, which nobody needs."""

MAX_SHIFT_S: Final = 10.0

_CALLED: Final[dict[Instrument, tuple[str, ...]]] = {
    PIANO: ("piano", "grand piano"),
    ORGAN: ("organ",),
    GUITAR: ("guitar", "nylon guitar"),
    BASS: ("bass",),
    STRINGS: ("strings",),
    BRASS: ("brass", "synth brass"),
    SAX: ("sax", "saxophone"),
    LEAD: ("lead", "synth lead", "square lead"),
    PAD: ("pad", "synth pad", "new age pad"),
    DRUM: ("drums", "percussion"),
}
"""What musicians call them besides their names; 'synth' alone stays ambiguous."""

_NUMBER: Final = r"\d{1,4}(?:\.\d{1,6})?|\.\d{1,6}"
_MINUS: Final = str.maketrans({"−": "-", "–": "-", "→": ">", "\t": " ", "\r": " ", "\xa0": " "})
"""What keyboards, phones and word processors make of a minus, an arrow and a blank; a character for a character."""

_RANGE: Final = re.compile(
    rf"\s+in\s+(?P<a>{_NUMBER})\s*s?\s*(?:-|to)\s*(?P<b>{_NUMBER})\s*s?\s*$", re.I | re.A
)
_SHIFT: Final = re.compile(rf"(?P<of>.+?)\s*(?P<by>[+-]\s*(?:{_NUMBER}))\s*(?P<unit>ms|s)?", re.I | re.A)
_OCTAVE: Final = re.compile(r"(?P<of>.+?)\s*(?P<by>[+-]\s*\d)", re.I | re.A)
_RELABEL: Final = re.compile(r"(?P<of>.+?)(?:\s+to\s+|\s*-*>\s*)(?P<to>.+)", re.I | re.A)
_ANY: Final = re.compile(r"(?P<of>.+)")


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes
    ----------
    verb : {"shift", "relabel", "octave", "delete"}
    of : Instrument or None
        Whose notes; None for those of all (of an octave: all but the drums).
    to : Instrument or None
        Of ``relabel``: what they become.
    by : int
        Of ``shift``: samples of the one clock; of ``octave``: octaves. Negative is earlier or lower.
    within : (int, int) or None
        Only onsets in these samples, half-open.
    line, column : int
        Where it stands in its text, from 1.
    text : str
        The command as written.
    """

    verb: Verb
    of: Instrument | None
    to: Instrument | None = None
    by: int = 0
    within: tuple[int, int] | None = None
    line: int = 1
    column: int = 1
    text: str = ""

    def means(self, row: Row) -> bool:
        """Whether a note is one of those it changes."""
        if self.within is not None and not self.within[0] <= row.span[0] < self.within[1]:
            return False
        if self.of is None:
            return self.verb != "octave" or not row.is_drum
        return row.instrument == self.of.name


@dataclass(frozen=True)
class _Text:
    """A piece of the text and where it begins."""

    text: str
    line: int
    column: int

    def at(self, offset: int, text: str) -> _Text:
        return _Text(text, self.line, self.column + offset)

    def stripped(self) -> _Text:
        return self.at(len(self.text) - len(self.text.lstrip()), self.text.strip())

    def group(self, match: re.Match[str], name: str) -> _Text:
        return self.at(match.start(name), match[name]).stripped()

    def refused(self, why: str) -> NoReturn:
        raise ValueError(f"line {self.line}, column {self.column}: {why}")


def parse(text: str) -> tuple[Command, ...]:
    """The commands of a text, in their order; none of an empty one.

    Raises
    ------
    ValueError
        If something in it is no command; says at which line and column, and what is allowed there.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(
            f"{len(text)} characters of commands, at most {MAX_CHARACTERS} are read: use fewer commands"
        )
    return tuple(_command(piece) for piece in _pieces(text))


def apply(
    commands: Sequence[Command],
    rows: Mapping[int, Row],
    *,
    shown_s: tuple[float, float] = (0.0, math.inf),
) -> dict[int, Row]:
    """Notes after commands, by the same numbers; those that no command means are the same objects.

    Parameters
    ----------
    commands : sequence of Command
        Done in their order, each upon what the one before it left.
    rows : mapping of int to Row
    shown_s : (float, float), optional
        Seconds of the clip that no onset may leave by a shift, half-open. Default is from 0 on. A note may leave its
        sheet: it stays its sheet's, see `layers`.

    Raises
    ------
    ValueError
        If a command would move a note out of 0-127 or out of ``shown_s``; says which command and which note.
    """
    found = dict(rows)
    for command in commands:
        meant = [number for number, row in found.items() if command.means(row)]
        for number in meant:
            row = _changed(command, found[number], shown_s)
            if row is None:
                del found[number]
            else:
                found[number] = row
    return found


def instrument_called(name: str) -> Instrument:
    """The instrument that a name or its beginning means, as musicians write it.

    Raises
    ------
    ValueError
        If it is none or several of the 13; the message lists those that it may mean.

    >>> instrument_called("grand").name, instrument_called("DRUMS").name
    ('Acoustic Grand Piano', 'Drum')
    """
    wanted = _plain(name)
    names = {each: [_plain(each.name), *_CALLED.get(each, ())] for each in INSTRUMENTS}
    exact = [each for each in INSTRUMENTS if wanted in names[each]]
    found = exact or [
        each for each in INSTRUMENTS if wanted and any(known.startswith(wanted) for known in names[each])
    ]
    if len(found) == 1:
        return found[0]
    told = ", ".join(each.name for each in found or INSTRUMENTS)
    what = f"may be any of {told}: write more of it" if found else f"is no instrument: use one of {told}"
    raise ValueError(f"{_short(name)} {what}")


def _pieces(text: str) -> Iterator[_Text]:
    """The commands of a text, not yet read."""
    for line, whole in enumerate(text.replace("\r\n", "\n").translate(_MINUS).split("\n"), 1):
        column = 1
        for part in whole.split(";"):
            if part.strip():
                yield _Text(part, line, column).stripped()
            column += len(part) + 1


def _command(piece: _Text) -> Command:
    word, _, rest = piece.text.partition(" ")
    found = [verb for verb in GRAMMAR if verb == word.casefold()]
    if not found:
        piece.refused(f"{_short(word)} is no command. Allowed are: {'; '.join(GRAMMAR.values())}")
    verb = found[0]
    said = piece.at(len(word) + 1, rest).stripped()
    limit = _RANGE.search(said.text)
    within = None if limit is None else _within(said, limit)
    said = said if limit is None else said.at(0, said.text[: limit.start()])
    pattern = {"shift": _SHIFT, "octave": _OCTAVE, "relabel": _RELABEL, "delete": _ANY}[verb]
    match = pattern.fullmatch(said.text)
    if match is None:
        said.refused(f"{_short(said.text)} is not what {verb} needs: {GRAMMAR[verb]}")
    of = _instrument(said.group(match, "of"), verb, limited=within is not None)
    command = Command(verb, of, None, 0, within, piece.line, piece.column, piece.text)
    if verb == "relabel":
        return _relabelling(command, said.group(match, "to"))
    if verb == "shift":
        return _shift(command, said.group(match, "by"), match["unit"] or "s")
    if verb == "octave":
        return _octave(command, said.group(match, "by"))
    return command


def _within(said: _Text, limit: re.Match[str]) -> tuple[int, int]:
    first, last = (clock.seconds_to_sample(float(limit[each])) for each in "ab")
    if first >= last:
        said.group(limit, "a").refused(f"nothing lies in {limit['a']}-{limit['b']}s: the earlier time first")
    return first, last


def _instrument(name: _Text, verb: Verb, *, limited: bool) -> Instrument | None:
    if name.text.casefold() == "all":
        if verb == "relabel":
            name.refused(f"'all' cannot be relabelled, name each instrument: {GRAMMAR[verb]}")
        if verb == "delete" and not limited:
            name.refused(f"'all' without a limit deletes the whole task, write: {GRAMMAR[verb]}")
        return None
    try:
        found = instrument_called(name.text)
    except ValueError as error:
        everyone = "" if verb == "relabel" else ", or all"
        name.refused(f"{error}{everyone}. {GRAMMAR[verb]}")
    if verb == "octave" and found == DRUM:
        name.refused("drums have no octaves: a drum's key says which drum it is")
    return found


def _shift(command: Command, amount: _Text, unit: str) -> Command:
    seconds = float(amount.text.replace(" ", "")) / (1000 if unit.casefold() == "ms" else 1)
    by = clock.seconds_to_sample(seconds)
    if not by or abs(seconds) > MAX_SHIFT_S:
        amount.refused(f"a shift by {seconds:g} s: at least a sample (0.1 ms) and at most {MAX_SHIFT_S:g} s")
    return _with(command, by=by)


def _octave(command: Command, amount: _Text) -> Command:
    by = int(amount.text.replace(" ", ""))
    if not by:
        amount.refused("an octave of 0 changes nothing: -9 to +9")
    return _with(command, by=by)


def _relabelling(command: Command, name: _Text) -> Command:
    to = _instrument(name, "relabel", limited=False)
    if to is None or command.of is None or to == command.of:
        name.refused(f"they are {_short(name.text)} already: {GRAMMAR['relabel']}")
    if to.is_drum != command.of.is_drum:
        name.refused(
            f"{command.of.name} cannot become {to.name}: a drum's key is no pitch, so each note needs its own row. "
            "Do it by hand, or delete them and draw them anew"
        )
    return _with(command, to=to)


def _with(command: Command, *, by: int = 0, to: Instrument | None = None) -> Command:
    return Command(
        command.verb, command.of, to, by, command.within, command.line, command.column, command.text
    )


def _changed(command: Command, row: Row, shown_s: tuple[float, float]) -> Row | None:
    """A note after a command that means it; None if it is deleted."""
    if command.verb == "delete":
        return None
    if command.verb == "relabel":
        assert command.to is not None
        return row._replace(program=command.to.program, is_drum=command.to.is_drum)
    if command.verb == "octave":
        pitch = row.pitch + 12 * command.by
        if not 0 <= pitch <= 127:
            _impossible(command, row, f"would have pitch {pitch}, and pitches are 0-127")
        return row._replace(pitch=pitch)
    onset_s, offset_s = (clock.sample_to_seconds(sample + command.by) for sample in row.span)
    if onset_s < 0 or not shown_s[0] <= onset_s < shown_s[1]:
        first, last = shown_s
        span = f"0 to {last:g} s" if first <= 0 else f"{first:g} to {last:g} s"
        _impossible(command, row, f"would start at {onset_s:.3f} s, outside of {span}: limit it, as in 3-8s")
    return row._replace(onset_s=onset_s, offset_s=offset_s)


def _impossible(command: Command, row: Row, why: str) -> NoReturn:
    where = f"line {command.line}, column {command.column}"
    raise ValueError(f"{where}: {_short(command.text)}: {row.told()} {why}")


def _plain(name: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", name.casefold()))


def _short(text: str) -> str:
    """Text of a stranger, quoted on one line."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
