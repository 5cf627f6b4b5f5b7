"""What the keys of stages that listen depend on, also for transcribers that are made up here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import d2midi_build.transcribers as package
from d2midi_build.errors import UsageError
from d2midi_build.recipe import Recipe
from d2midi_build.stages import listening
from d2midi_build.stages.base import stage

_MADE_UP = """
from d2midi_build.transcribers.base import Transcriber

class MadeUp(Transcriber):
    name = "made-up"
    version = "1"
    how = frozenset({"batch"})
    cpu_per_s = 0.5

    def __init__(self, batch=1, threshold=2): pass
    def model_digests(self): return {"weights": "0" * 64}
    def load(self): pass
    def transcribe(self, audio, sample_rate_hz): raise NotImplementedError

create = MadeUp
"""


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "made_up.py").write_text(_MADE_UP)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    yield
    sys.modules.pop("d2midi_build.transcribers.made_up", None)


def key(name: str, recipe: Recipe) -> str:
    return stage(name).key(recipe, {"audio": "x"})


def models(name: str, **params: object) -> dict[str, str]:
    """What the key of a stage holds of transcribers; recipe fields with a dot for each ``__``."""
    given = {"transcribe.transcriber": "embedded", "transcribe.others": (), "transcribe.vocals": "review"}
    return stage(name).digests(given | {name.replace("__", "."): value for name, value in params.items()})


def test_each_stage_depends_on_those_who_listen_in_it() -> None:
    plain, options = Recipe(), ("basic_pitch.melodia", False)
    two = plain.with_field("transcribe.others", ("basic-pitch",))
    notes, opinions = key("transcribe", plain), key("opinions", two)
    assert notes == key("transcribe", two) == key("transcribe", two.with_field(*options))
    assert len({opinions, key("opinions", plain), key("opinions", two.with_field(*options))}) == 3
    assert not any("basic" in name for name in models("transcribe"))
    assert models("opinions") == {}
    told = models("opinions", transcribe__others=("basic-pitch",))
    assert not any("embedded" in name for name in told)
    assert listening.vocals_digests().items() <= told.items()
    for name in ("transcribe", "opinions"):
        assert key(name, two) != key(name, two.with_field("transcribe.vocals", "drop"))


@pytest.mark.usefixtures("made_up")
def test_options_that_say_how_are_no_part_of_the_key() -> None:
    others = {"transcribe__others": ("made-up",)}
    found = models("opinions", **others, made_up__batch=4, made_up__threshold=5)
    assert found == models("opinions", **others, made_up__batch=8, made_up__threshold=5)
    assert found != models("opinions", **others, made_up__batch=4, made_up__threshold=6)
    told = {name: value for name, value in found.items() if "made" in name}
    assert told == {"made-up 1": "", "made-up/weights": "0" * 64, "made_up.threshold": "5"}


@pytest.mark.usefixtures("made_up")
def test_every_transcriber_costs_its_share() -> None:
    none, one, two = (
        Recipe().with_field("transcribe.others", others)
        for others in ((), ("basic-pitch",), ("basic-pitch", "made-up"))
    )
    assert stage("opinions").cpu_s(none) == 0.0
    assert stage("opinions").cpu_s(two) - stage("opinions").cpu_s(one) == pytest.approx(0.5)
    assert stage("transcribe").cpu_s(two) == stage("transcribe").cpu_s(none)


def test_one_that_is_named_twice_is_refused_with_both_fields() -> None:
    with pytest.raises(
        UsageError, match=r"embedded is named twice: transcribe\.transcriber is embedded, .*others"
    ):
        models("opinions", transcribe__others=("embedded",))
