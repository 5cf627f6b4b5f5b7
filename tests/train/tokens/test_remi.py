"""REMI through miditok; most of it is skipped where miditok is not installed."""

from __future__ import annotations

import importlib
import importlib.util
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2midi_build.errors import UsageError
from d2midi_build.music.instruments import INSTRUMENTS
from d2midi_build.music.notes import Notes
from d2midi_build.train.tokens.grid import grid
from d2midi_build.train.tokens.remi import Remi
from tests.train.tokens.making import note, some

needs_miditok = pytest.mark.skipif(importlib.util.find_spec("miditok") is None, reason="needs miditok")


def test_without_miditok_an_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, *_: Any) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(UsageError, match=r"pip install 'd2midi\[tokens\]'"):
        Remi()


@st.composite
def _notes(draw: st.DrawFn) -> Notes:
    """Notes of up to 8 s of the 13 instruments, of every pitch that remi has."""
    row = st.tuples(
        st.integers(0, 200), st.integers(1, 128), st.integers(0, 126), st.sampled_from(INSTRUMENTS)
    )
    rows = draw(st.lists(row, min_size=1, max_size=20))
    return some(
        *(note(onset, length, pitch, each.program, each.is_drum) for onset, length, pitch, each in rows)
    )


@needs_miditok
@settings(max_examples=50, deadline=None)
@given(notes=_notes())
def test_round_trip_is_exact_on_the_grid(notes: Notes) -> None:
    remi = Remi()
    assert remi.decode(remi.encode(notes)) == grid(notes)


@needs_miditok
def test_leading_empty_bars_are_kept() -> None:
    remi = Remi()
    names = {number: name for name, number in remi.names.items()}
    ids = remi.encode(note(32 * 3 + 4, 8))
    assert [names[i] for i in ids.tolist()][:5] == ["Bar_None"] * 4 + ["Position_4"]


@needs_miditok
def test_parameters_make_the_same_tokeniser_again() -> None:
    params = json.loads(Remi().params_json())
    assert params["tokenization"] == "REMI"
    assert params["config"]["beat_res"] == {"0_16": 8}


@needs_miditok
def test_no_notes_are_no_ids() -> None:
    assert len(Remi().encode(Notes.empty())) == 0
    assert len(Remi().decode(np.zeros(0, dtype=np.int64))) == 0
