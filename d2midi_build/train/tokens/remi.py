"""REMI+ tokens (Huang and Yang, 2020; von Rütte et al., 2023) through miditok, for those who want a known kind.

    remi = Remi()
    ids = remi.encode(notes)
    remi.decode(ids)

The same grid as `quad`: notes go through `grid.grid` first, and bars are nominal. What is lost beside it: empty bars
after the last onset, how long notes are beyond 8 s, pitch 127, and which program an instrument had (13 are left).
"""

from __future__ import annotations

import importlib
import json
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from d2midi_build.errors import UsageError
from d2midi_build.music.instruments import INSTRUMENTS
from d2midi_build.music.midi import to_midi_bytes
from d2midi_build.music.notes import Notes
from d2midi_build.train.tokens.grid import Steps, grid
from d2midi_build.train.tokens.vocabulary import DRUMS, STEPS_PER_BAR

_STEPS_PER_BEAT: Final = STEPS_PER_BAR // 4

_LONGEST_BEATS: Final = 16
"""Notes of up to 8 s get their own duration; miditok writes longer ones as this."""

_PITCHES: Final = (0, 127)
"""miditok allows no larger second number, and has no token for the pitch of that number."""

_DRUMS: Final = -1
"""miditok's program of the drum kit."""


class Remi:
    """miditok's REMI for the 13 instruments on the grid of 62.5 ms, in one stream, without velocity and tempo.

    Raises
    ------
    UsageError
        If miditok is not installed.
    """

    def __init__(self) -> None:
        miditok = _imported("miditok")
        self._symusic = _imported("symusic")
        programs = [_DRUMS if each.is_drum else each.program for each in INSTRUMENTS]
        self._tokeniser: Any = miditok.REMI(
            miditok.TokenizerConfig(
                pitch_range=_PITCHES,
                beat_res={(0, _LONGEST_BEATS): _STEPS_PER_BEAT},
                special_tokens=["PAD", "BOS", "EOS", "MASK"],
                use_velocities=False,
                use_tempos=False,
                use_time_signatures=False,
                use_programs=True,
                programs=programs,
                one_token_stream_for_programs=True,
                use_pitchdrum_tokens=False,  # its range of drums would leave some keys out
            )
        )

    @property
    def size(self) -> int:
        """Number of ids."""
        return len(self._tokeniser)

    @property
    def names(self) -> dict[str, int]:
        """Names of tokens with their ids."""
        return dict(self._tokeniser.vocab)

    def params_json(self) -> str:
        """What miditok needs to make this tokeniser again (``REMI(params=...)``), with its versions."""
        return json.dumps(self._tokeniser.to_dict(), indent=1, sort_keys=True) + "\n"

    def encode(self, notes: Notes) -> npt.NDArray[np.int64]:
        """Ids of a clip's notes, shape (n,), without BOS and EOS; none without notes.

        Raises
        ------
        UsageError
            As `grid.to_steps`.
        """
        known = notes.where(notes.pitch < _PITCHES[1]).as_dataset()
        if not len(known):
            return np.zeros(0, dtype=np.int64)
        score = self._symusic.Score.from_midi(to_midi_bytes(grid(known)))
        return np.array(self._tokeniser.encode(score).ids, dtype=np.int64)

    def decode(self, ids: npt.ArrayLike) -> Notes:
        """The notes that ids say, settled as on the grid, of velocity 90; what makes no sense is passed over."""
        numbers = np.asarray(ids, dtype=np.int64).tolist()
        if not numbers:
            return Notes.empty()
        score = self._tokeniser.decode(numbers)
        rows = [
            (note.time, note.time + note.duration, note.pitch, DRUMS if track.is_drum else track.program)
            for track in score.tracks
            for note in track.notes
        ]
        columns = np.array(rows, dtype=np.int64).reshape(-1, 4).T
        columns[:2] = columns[:2] * _STEPS_PER_BEAT // score.ticks_per_quarter
        return Steps(*columns).settled()[0].to_notes()


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UsageError(
            f"remi tokens need miditok, and {name} cannot be imported ({error}). "
            "Install it with pip install 'd2midi[tokens]', or use the quads of d2midi_build.train.tokens.quad."
        ) from error
