"""Let other transcribers listen to a clip, and tell how far they agree with its notes.

A stage of its own, after the notes: whoever else listens, they stay the same, and so does what follows from them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from d2midi_build import tables
from d2midi_build.errors import UsageError
from d2midi_build.recipe import Recipe
from d2midi_build.stages import listening
from d2midi_build.stages.base import Made, Read, Stage, Work

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from d2midi_build.music.notes import Notes
    from d2midi_build.music.opinions import Opinion
    from d2midi_build.transcribers.base import Transcriber

AGREEMENT_FILE = "agreement.parquet"
"""Column ``agreement`` of the table of notes, a row per note of the clip."""

_ABILITIES = ("names_instruments", "hears_drums")
"""What counts of the transcriber whose notes are the dataset's."""


def abilities(facts: Mapping[str, Any], recipe: Recipe) -> dict[str, Any]:
    """What counts of the transcriber whose notes are the dataset's, so that its weights need not be here.

    Parameters
    ----------
    facts : mapping
        Of the notes' record. Older ones do not tell; they are of transcribers that come with d2midi.
    recipe : Recipe
    """
    if facts.keys() >= {*_ABILITIES}:
        return {name: facts[name] for name in _ABILITIES}
    primary = listening.listener(recipe.transcribe.transcriber, {})
    return {name: getattr(primary, name) for name in _ABILITIES}


def _others(params: Mapping[str, Any]) -> list[Transcriber]:
    """Who listens besides the transcriber whose notes are the dataset's.

    Raises
    ------
    UsageError
        If one is named twice, or there is none of a name.
    """
    primary, others = params["transcribe.transcriber"], params["transcribe.others"]
    if twice := [name for name, n in Counter([primary, *others]).items() if n > 1]:
        raise UsageError(
            f"the transcriber {twice[0]} is named twice: transcribe.transcriber is {primary}, transcribe.others "
            f"{', '.join(others)}. Each listens once: name others, or leave it out of transcribe.others "
            "(`--other none` asks nobody)"
        )
    return [listening.listener(name, params) for name in others]


def _models(params: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in _others(params):
        found |= listening.models(each, params, f"{each.name}/")
    return found | (listening.vocals_digests() if found else {})


def _brought(params: Mapping[str, Any]) -> dict[str, Read]:
    return {name: partial(_read, read) for name, read in listening.brought(_others(params)).items()}


def _read(read: Read) -> dict[str, str]:
    try:
        return read()
    except UsageError as error:
        raise UsageError(f"{error}. `transcribe.others` asks for them; `--other none` asks nobody") from error


def _cpu_per_s(params: Mapping[str, Any]) -> float:
    others = _others(params)
    return listening.BESIDE_CPU_PER_S + sum(each.cpu_per_s for each in others) if others else 0.0


def _run(work: Work) -> Made:
    import pyarrow as pa

    from d2midi_build.music.notes import Notes
    from d2midi_build.music.opinions import Opinion, agreement

    others = _others(work.params)
    for each in others:
        each.load()
    sound = listening.Sound.of(work)
    notes = Notes.from_table(tables.read(Path(work.inputs["notes"])))
    primary = Opinion(notes, *(work.inputs[name] for name in _ABILITIES))
    theirs = {}
    for number, each in enumerate(others):
        progress = listening.part(work.report, number, len(others))
        heard, _ = sound.heard_by(each, work.params["transcribe.vocals"], progress)
        theirs[each.name] = Opinion(heard, each.names_instruments, each.hears_drums)
    # null where nobody was asked
    agreed = pa.array(agreement(primary, list(theirs.values())), from_pandas=True)
    tables.write(work.out / AGREEMENT_FILE, pa.table({"agreement": agreed}))
    told, compared = _compared(primary, theirs)
    tables.write(work.out / "opinions.parquet", told)
    return Made({"others": compared, "media_s": sound.end_s}, listening.made_by(STAGE.digests(work.params)))


def _compared(primary: Opinion, others: Mapping[str, Opinion]) -> tuple[pa.Table, dict[str, dict[str, int]]]:
    """The notes of the others, each with whether the primary has it, and by other how many notes they share."""
    import pyarrow as pa

    from d2midi_build.music.opinions import shared

    parts, counts = [], {}
    for name, other in others.items():
        ours, theirs = shared(primary, other)
        asked, judged = other.judges(primary.notes), primary.judges(other.notes)
        parts.append(_rows(name, other.notes, theirs, ~judged))
        counts[name] = {
            "n_asked": int(asked.sum()),
            "n_shared": int((asked & ours).sum()),
            "n_alone": int((judged & ~theirs).sum()),
        }
    return pa.concat_tables(parts), counts


def _rows(
    name: str, notes: Notes, in_primary: npt.NDArray[np.bool_], unknown: npt.NDArray[np.bool_]
) -> pa.Table:
    import pyarrow as pa

    table = listening.numbered(notes).add_column(0, "transcriber", pa.array([name] * len(notes), pa.string()))
    return table.append_column("in_primary", pa.array(in_primary, mask=unknown))


STAGE = Stage(
    name="opinions",
    version=1,
    reads=("transcribe.transcriber", "transcribe.others", "transcribe.vocals"),
    hints=listening.HINTS,
    unit="s",
    cpu_per_unit=_cpu_per_s,
    run=_run,
    models=_models,
    brought=_brought,
)
