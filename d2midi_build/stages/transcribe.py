"""Turn a clip's sound into notes and MIDI."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from d2midi_build import clock, tables
from d2midi_build.errors import UsageError
from d2midi_build.recipe import BasicPitchRecipe, Mt3Recipe, Recipe
from d2midi_build.screening.criteria import Decision
from d2midi_build.stages.base import Made, Read, Stage, Work

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from d2midi_build.music.notes import Notes
    from d2midi_build.music.opinions import Opinion
    from d2midi_build.transcribers.base import Transcriber

_DRUM_STEMS = ("drums", "percussive")

_SECTIONS: Final = (("basic_pitch", BasicPitchRecipe), ("mt3", Mt3Recipe))
"""Sections of the recipe that are a transcriber's options."""

_BESIDE_CPU_PER_S: Final = 0.01
"""Processor seconds per second of sound for everything but transcribers: reading, voices, writing."""


def decide(facts: Mapping[str, Any], recipe: Recipe) -> Decision:
    """Hold what transcription measured of a clip against the recipe's thresholds.

    Parameters
    ----------
    facts : mapping
        ``vocal_share``, 0-1 or None where it cannot be told.
    recipe : Recipe
        Section ``transcribe``.

    Returns
    -------
    Decision
        ``review`` with the reason ``singing`` where a human should look, else ``accept``; nothing is rejected.
    """
    share, limit = facts.get("vocal_share"), recipe.transcribe.vocals_review_above
    if recipe.transcribe.vocals != "review" or share is None or share <= limit:
        return Decision("accept")
    return Decision(
        "review", ("singing",), f"a voice {share:.0%} of the sounding time (review above {limit:.0%})"
    )


def _listeners(params: Mapping[str, Any]) -> list[Transcriber]:
    """The transcribers with their options: first the one whose notes are the dataset's, then the others.

    Raises
    ------
    UsageError
        If one is named twice, or there is none of a name.
    """
    primary, others = params["transcribe.transcriber"], params["transcribe.others"]
    if twice := [name for name, n in Counter([primary, *others]).items() if n > 1]:
        raise UsageError(
            f"the transcriber {twice[0]} is named twice: transcribe.transcriber is {primary}, transcribe.others "
            f"{', '.join(others)}. Each listens once: name others, or leave it out of transcribe.others"
        )
    return [_transcriber(name, tuple(sorted(_options(name, params).items()))) for name in (primary, *others)]


def _options(name: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """What the recipe's section of a transcriber says."""
    section = _section(name)
    return {key.removeprefix(section): value for key, value in params.items() if key.startswith(section)}


def _section(name: str) -> str:
    """How the recipe fields of a transcriber begin."""
    return f"{name.replace('-', '_')}."


@cache
def _transcriber(name: str, options: tuple[tuple[str, Any], ...]) -> Transcriber:
    from d2midi_build.transcribers.base import transcriber

    return transcriber(name, **dict(options))


@cache
def _digests(listener: Transcriber) -> dict[str, str]:
    return {f"{listener.name}/{name}": digest for name, digest in listener.model_digests().items()}


def _models(params: Mapping[str, Any]) -> dict[str, str]:
    """Digests of what comes with d2midi, with the options that decide what is heard."""
    found: dict[str, str] = {}
    for each in _listeners(params):
        found |= {f"{each.name} {each.version}": ""} | ({} if each.brought else _digests(each))
        used = {name: value for name, value in _options(each.name, params).items() if name not in each.how}
        found |= {_section(each.name) + name: str(value) for name, value in used.items()}
    return found | _vocals_digests()


def _brought(params: Mapping[str, Any]) -> dict[str, Read]:
    """Readers of the user's weights."""
    listeners = [each for each in _listeners(params) if each.brought]
    return {f"{each.name} {each.brought}": partial(_digests, each) for each in listeners}


@cache
def _vocals_digests() -> dict[str, str]:
    from d2midi_build.music import vocals

    return {f"vocals {vocals.VERSION}": "", **vocals.model_digests()}


def _cpu_per_s(params: Mapping[str, Any]) -> float:
    return _BESIDE_CPU_PER_S + sum(each.cpu_per_s for each in _listeners(params))


@dataclass(frozen=True, eq=False)
class _Sound:
    """What there is to hear of a clip; ``drums`` are apart from the rest where it was separated."""

    rest: npt.NDArray[np.float32]
    drums: npt.NDArray[np.float32] | None
    rate_hz: int

    @classmethod
    def read(cls, inputs: Mapping[str, Any], scratch: Path) -> _Sound:
        from d2midi_build.music.audio import read_sound

        stems = inputs.get("stems")
        if not stems:
            audio, rate_hz = read_sound(Path(inputs["audio"]), scratch)
            return cls(audio, None, rate_hz)
        sounds = {name: read_sound(Path(path), scratch) for name, path in stems.items()}
        drums: Any = sum(sound for name, (sound, _) in sounds.items() if name in _DRUM_STEMS)
        rest: Any = sum(sound for name, (sound, _) in sounds.items() if name not in _DRUM_STEMS)
        return cls(rest, drums, next(iter(sounds.values()))[1])

    def heard_by(self, listener: Transcriber) -> Notes:
        """What a transcriber hears, of drums alone only the drums, of the rest only the rest."""
        from d2midi_build.music.notes import Notes

        notes = listener.transcribe(self.rest, self.rate_hz)
        if self.drums is None:
            return notes
        hits = (
            listener.transcribe(self.drums, self.rate_hz).drums() if listener.hears_drums else Notes.empty()
        )
        return Notes.concat([notes.pitched(), hits])


def _run(work: Work) -> Made:
    import pyarrow as pa

    from d2midi_build.music import vocals
    from d2midi_build.music.midi import write_midi
    from d2midi_build.music.opinions import Opinion, agreement

    listeners = _listeners(work.params)
    for each in listeners:
        each.load()
    sound = _Sound.read(work.inputs, work.out)
    voice = vocals.find_voice(sound.rest, sound.rate_hz)
    end_s = clock.frame_time_s(work.inputs["n_frames"])
    opinions, n_sung = [], []
    for each in listeners:
        notes = _inside(sound.heard_by(each), end_s)
        likely = vocals.sung(notes, voice)
        notes = vocals.apply(notes, likely, work.params["transcribe.vocals"])
        opinions.append(Opinion(notes, each.names_instruments, each.hears_drums))
        n_sung.append(vocals.count(likely))
    primary, *others = opinions
    agreed = pa.array(agreement(primary, others), from_pandas=True)  # null where nobody was asked
    tables.write(work.out / "notes.parquet", _numbered(primary.notes).append_column("agreement", agreed))
    names = [each.name for each in listeners]
    told, compared = _compared(primary, dict(zip(names[1:], others, strict=True)))
    tables.write(work.out / "opinions.parquet", told)
    write_midi(primary.notes, work.out / "notes.mid")
    made_by = {
        f"model:{name}" if len(digest) == 64 else name: digest
        for name, digest in STAGE.digests(work.params).items()
    }
    facts = {
        "n_notes": len(primary.notes),
        "vocal_share": None if voice.share is None else round(voice.share, 4),
        "n_sung": n_sung[0],
        "transcribers": names,
        "others": compared,
        "media_s": end_s,
    }
    return Made(facts, made_by)


def _numbered(notes: Notes) -> pa.Table:
    import pyarrow as pa

    return notes.to_table().add_column(0, "note", pa.array(range(len(notes)), pa.int32()))


def _compared(primary: Opinion, others: Mapping[str, Opinion]) -> tuple[pa.Table, dict[str, dict[str, int]]]:
    """The notes of the others, each with whether the primary has it, and by other how many notes they share."""
    import numpy as np
    import pyarrow as pa

    from d2midi_build.music.notes import Notes
    from d2midi_build.music.opinions import shared

    parts, counts = [_opinions("", Notes.empty(), *np.empty((2, 0), np.bool_))], {}
    for name, other in others.items():
        ours, theirs = shared(primary, other)
        asked, judged = other.judges(primary.notes), primary.judges(other.notes)
        parts.append(_opinions(name, other.notes, theirs, ~judged))
        counts[name] = {
            "n_asked": int(asked.sum()),
            "n_shared": int((asked & ours).sum()),
            "n_alone": int((judged & ~theirs).sum()),
        }
    return pa.concat_tables(parts), counts


def _opinions(
    name: str, notes: Notes, in_primary: npt.NDArray[np.bool_], unknown: npt.NDArray[np.bool_]
) -> pa.Table:
    import pyarrow as pa

    table = _numbered(notes).add_column(0, "transcriber", pa.array([name] * len(notes), pa.string()))
    return table.append_column("in_primary", pa.array(in_primary, mask=unknown))


def _inside(notes: Notes, end_s: float) -> Notes:
    """The notes that start in a clip, cut at its end."""
    import numpy as np

    started = notes.starting_in(0.0, end_s).sorted()
    return replace(started, offset_s=np.minimum(started.offset_s, end_s))


STAGE = Stage(
    name="transcribe",
    version=3,
    reads=("transcribe.transcriber", "transcribe.others", "transcribe.vocals"),
    hints=tuple(f"{section}.{name}" for section, fields in _SECTIONS for name in fields.model_fields),
    unit="s",
    cpu_per_unit=_cpu_per_s,
    run=_run,
    models=_models,
    brought=_brought,
)
