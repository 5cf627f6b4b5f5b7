"""How a study is laid out, and what it gives away."""

from __future__ import annotations

import itertools
import json
import stat
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d2midi_build.annotate.study import design
from d2midi_build.annotate.study.design import Dance, Study, dance_named, order, plan
from d2midi_build.errors import UsageError
from d2midi_build.workspace import Workspace
from tests.annotate.study.making import SECRET, study


@given(st.integers(1, 9), st.integers(2, 5), st.integers(0, 50))
def test_everything_is_shown_once_and_every_dance_once_a_round(dances: int, methods: int, seed: int) -> None:
    names, ways = [f"d{i}" for i in range(dances)], [f"m{i}" for i in range(methods)]
    shown = order(names, ways, np.random.default_rng(seed))
    assert Counter(shown) == Counter((dance, method) for dance in names for method in ways)
    for number in range(methods):
        a_round = shown[number * dances : (number + 1) * dances]
        assert {dance for dance, _ in a_round} == set(names)
        often = Counter(method for _, method in a_round)
        assert max(often.values()) - min(often[method] for method in ways) <= 1
    if dances > 1:
        assert all(one[0] != other[0] for one, other in itertools.pairwise(shown))


def test_the_order_follows_the_seed() -> None:
    names, ways = [f"d{i}" for i in range(8)], ["a", "b", "c"]
    assert order(names, ways, np.random.default_rng(1)) == order(names, ways, np.random.default_rng(1))
    assert order(names, ways, np.random.default_rng(1)) != order(names, ways, np.random.default_rng(2))


def test_names_tell_nothing_without_the_secret_and_are_the_same_with_it() -> None:
    tokens = [each.token for each in study().stimuli]
    assert len(set(tokens)) == 6 and all(len(token) == 16 for token in tokens)
    assert [each.token for each in study().stimuli] == tokens
    other = plan("trial", study().dances, study().methods, {}, 0, "cd" * 32)
    assert not set(tokens) & {each.token for each in other.stimuli}
    fresh = [plan("trial", study().dances, study().methods, {}, 0).secret for _ in range(2)]
    assert fresh[0] != fresh[1] and len(bytes.fromhex(fresh[0])) == 32


def test_a_token_is_the_keyed_digest_that_is_documented() -> None:
    import hashlib
    import hmac

    first = study().stimuli[0]
    said = f"{first.dance}\0{first.method}".encode()
    assert first.token == hmac.new(bytes.fromhex(SECRET), said, hashlib.sha256).hexdigest()[:16]


def test_pseudonyms_hold_for_a_person_however_they_write_their_address() -> None:
    assert study().pseudonym("Ada@x.org") == study().pseudonym("ada@x.org") != study().pseudonym("bob@x.org")
    assert "ada" not in study().pseudonym("ada@x.org")


def test_a_study_survives_its_file_which_only_its_owner_reads(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "w")
    assert design.read(workspace, "trial") is None
    design.write(workspace, study())
    assert design.read(workspace, "trial") == study()
    path = design.path_in(workspace, "trial")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert Study.from_data(json.loads(json.dumps(study().data()))) == study()


@pytest.mark.parametrize("damage", ["", "[]", '{"name": "trial"}', "\xff"])
def test_a_damaged_study_is_never_made_anew(tmp_path: Path, damage: str) -> None:
    workspace = Workspace.create(tmp_path / "w")
    design.write(workspace, study())
    design.path_in(workspace, "trial").write_bytes(damage.encode("latin1"))
    with pytest.raises(UsageError, match="without it nobody knows"):
        design.read(workspace, "trial")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".x", "a b", "x" * 65])
def test_names_that_could_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be"):
        design.read(Workspace(tmp_path), name)
    with pytest.raises(UsageError, match="cannot be a name"):
        plan("trial", study().dances, {"a": "x", name: "y"}, {}, 0)


def test_one_method_or_no_dance_is_no_study() -> None:
    with pytest.raises(UsageError, match="at least twice"):
        plan("trial", study().dances, {"a": "x"}, {}, 0)
    with pytest.raises(UsageError, match="no dance"):
        plan("trial", [], {"a": "x", "b": "y"}, {}, 0)


def test_files_name_clips_or_windows_of_them() -> None:
    frames = {"yt-a_00001000": 700, "b": 50}
    assert dance_named("yt-a_00001000", frames, 30) == Dance("yt-a_00001000", "yt-a_00001000", 0, 600)
    assert dance_named("yt-a_00001000_40", frames, 30) == Dance("yt-a_00001000_40", "yt-a_00001000", 40, 600)
    assert dance_named("yt-a_00001000_600", frames, 30).n_frames == 100
    assert dance_named("b", frames, 2.0).n_frames == 40
    for wrong, told in (
        ("c", "no clip"),
        ("b_x", "no clip"),
        ("b_50", "none numbered 50"),
        ("_3", "no clip"),
    ):
        with pytest.raises(UsageError, match=told):
            dance_named(wrong, frames, 30)


def test_windows_of_a_clip_have_its_time() -> None:
    dance = Dance("b_30", "b", 30, 50)
    assert (dance.start_s, dance.length_s) == (1.5, 2.5)
