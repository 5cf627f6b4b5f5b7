"""How stages listen: the recipe's transcribers, and what there is to hear of a clip.

Two stages do: in `transcribe` that transcriber listens whose notes are the dataset's, in `opinions` all others. They
hear the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from d2midi_build import clock
from d2midi_build.engine.base import Report
from d2midi_build.recipe import BasicPitchRecipe, Mt3Recipe
from d2midi_build.stages.base import Read, Work

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from d2midi_build.music.notes import Notes
    from d2midi_build.music.vocals import Policy, Voice
    from d2midi_build.transcribers.base import Transcriber

BESIDE_CPU_PER_S: Final = 0.01
"""Processor seconds per second of sound for everything but transcribers: reading, voices, writing."""

_DRUM_STEMS = ("drums", "percussive")

_SECTIONS: Final = (("basic_pitch", BasicPitchRecipe), ("mt3", Mt3Recipe))
"""Sections of the recipe that are a transcriber's options."""

HINTS: Final = tuple(f"{section}.{name}" for section, fields in _SECTIONS for name in fields.model_fields)
"""Their fields. `models` tells which of them decide what is heard."""


def listener(name: str, params: Mapping[str, Any]) -> Transcriber:
    """A transcriber with the recipe's options.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    return _transcriber(name, tuple(sorted(_options(name, params).items())))


def models(each: Transcriber, params: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Digests of what comes with d2midi, with the options that decide what is heard.

    Parameters
    ----------
    each : Transcriber
    params : mapping
        The recipe's fields.
    prefix : str, optional
        Of names of files, where several listen and may have some of one name.
    """
    used = {name: value for name, value in _options(each.name, params).items() if name not in each.how}
    digests = {} if each.brought else {prefix + name: digest for name, digest in _digests(each).items()}
    return {f"{each.name} {each.version}": "", **digests} | {
        _section(each.name) + name: str(value) for name, value in used.items()
    }


def brought(listeners: Iterable[Transcriber]) -> dict[str, Read]:
    """Readers of the user's weights."""
    return {f"{each.name} {each.brought}": partial(_digests, each) for each in listeners if each.brought}


@cache
def vocals_digests() -> dict[str, str]:
    """Digests of what finds voices."""
    from d2midi_build.music import vocals

    return {f"vocals {vocals.VERSION}": "", **vocals.model_digests()}


@dataclass(frozen=True, eq=False)
class Sound:
    """What there is to hear of a clip.

    Attributes
    ----------
    rest : np.ndarray, shape (n,) or (n, channels), float32
        All of it, or all but the drums where it was separated.
    drums : np.ndarray or None
        The drums, where it was separated.
    rate_hz : int
    end_s : float
        The clip's end.
    voice : Voice
        The voices in it.
    """

    rest: npt.NDArray[np.float32]
    drums: npt.NDArray[np.float32] | None
    rate_hz: int
    end_s: float
    voice: Voice

    @classmethod
    def of(cls, work: Work) -> Sound:
        """The sound that a job is given."""
        from d2midi_build.music import vocals
        from d2midi_build.music.audio import read_sound

        drums: Any = None
        if stems := work.inputs.get("stems"):
            sounds = {name: read_sound(Path(path), work.out) for name, path in stems.items()}
            rate_hz = next(iter(sounds.values()))[1]
            drums = sum(sound for name, (sound, _) in sounds.items() if name in _DRUM_STEMS)
            rest: Any = sum(sound for name, (sound, _) in sounds.items() if name not in _DRUM_STEMS)
        else:
            rest, rate_hz = read_sound(Path(work.inputs["audio"]), work.out)
        end_s = clock.frame_time_s(work.inputs["n_frames"])
        return cls(rest, drums, rate_hz, end_s, vocals.find_voice(rest, rate_hz))

    def heard_by(self, each: Transcriber, sung: Policy, progress: Report) -> tuple[Notes, int]:
        """What a transcriber hears in the clip, and how many of the notes are sung.

        Of drums alone it hears only the drums, of the rest only the rest.

        Parameters
        ----------
        each : Transcriber
        sung : {'drop', 'lead', 'review'}
            What becomes of sung notes: the recipe's ``transcribe.vocals``.
        progress : callable
            Is told the share done, 0-1.
        """
        from d2midi_build.music import vocals
        from d2midi_build.music.notes import Notes

        if self.drums is None:
            notes = each.transcribe(self.rest, self.rate_hz, progress)
        else:
            notes = each.transcribe(self.rest, self.rate_hz, part(progress, 0, 2)).pitched()
            if each.hears_drums:
                hits = each.transcribe(self.drums, self.rate_hz, part(progress, 1, 2)).drums()
                notes = Notes.concat([notes, hits])
        notes = _inside(notes, self.end_s)
        likely = vocals.sung(notes, self.voice)
        return vocals.apply(notes, likely, sung), vocals.count(likely)


def part(progress: Report, number: int, count: int) -> Report:
    """What a part's share done is told to, where there are so many parts in turn."""
    return lambda share: progress((number + share) / count)


def numbered(notes: Notes) -> pa.Table:
    """A row per note, with its number."""
    import pyarrow as pa

    return notes.to_table().add_column(0, "note", pa.array(range(len(notes)), pa.int32()))


def made_by(digests: Mapping[str, str]) -> dict[str, str]:
    """Digests of a stage's models as records tell them."""
    return {f"model:{name}" if len(digest) == 64 else name: digest for name, digest in digests.items()}


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
def _digests(each: Transcriber) -> dict[str, str]:
    return each.model_digests()


def _inside(notes: Notes, end_s: float) -> Notes:
    """The notes that start in a clip, cut at its end."""
    import numpy as np

    started = notes.starting_in(0.0, end_s).sorted()
    return replace(started, offset_s=np.minimum(started.offset_s, end_s))
