"""Labelling configurations compared."""

from __future__ import annotations

import pytest

from d2midi_build.annotate.studio.config import broken_by, same
from d2midi_build.errors import UsageError

OLD = (
    '<View><Choices name="why" toName="roll"><Choice value="heard"/><Choice value="aligned"/></Choices>'
    '<Number name="velocity" toName="roll"/><Image name="roll" value="$roll"/></View>'
)


def test_space_and_the_order_of_attributes_make_no_other_configuration() -> None:
    moved = OLD.replace('name="why" toName="roll"', 'toName="roll"  name="why"').replace("><", ">\n   <")
    assert same(OLD, moved)
    assert not same(OLD, OLD.replace("aligned", "pleasant"))


def test_what_is_no_xml_is_compared_as_text() -> None:
    assert same("<View> ", "<View>")
    assert not same("<View>", OLD)


def test_more_breaks_nothing() -> None:
    assert (
        broken_by(OLD, OLD.replace('<Choice value="heard"/>', '<Choice value="heard"/><Choice value="new"/>'))
        == []
    )
    assert broken_by(OLD, OLD.replace("<View>", '<View><Header value="hello"/>')) == []


def test_what_is_missing_is_named() -> None:
    assert broken_by(OLD, OLD.replace('<Choice value="heard"/>', "")) == ["heard of why"]
    assert broken_by(OLD, OLD.replace('<Number name="velocity" toName="roll"/>', "")) == ["velocity"]
    assert broken_by(OLD, OLD.replace('"why"', '"reason"')) == ["why", "heard of why", "aligned of why"]


def test_a_control_of_another_kind_is_another_control() -> None:
    assert broken_by(OLD, OLD.replace("<Number", "<Rating")) == ["velocity"]


def test_a_damaged_old_one_has_nothing_to_lose_and_a_damaged_new_one_is_refused() -> None:
    assert broken_by("<View", OLD) == []
    with pytest.raises(UsageError, match="no XML"):
        broken_by(OLD, "<View")
