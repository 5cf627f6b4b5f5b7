"""Addresses and titles that people and Label Studio get."""

from __future__ import annotations

import pytest

from d2midi_build.annotate.studio.addresses import MOST_TITLE, page_of, task_of, title


def test_titles_fit_label_studio_and_stay_apart() -> None:
    assert title("notes", "w") == "d2midi notes: w"
    one, other = (title("from scratch", "x" * 60 + end) for end in "ab")
    assert len(one) == len(other) == MOST_TITLE
    assert one != other


def test_a_page_names_project_and_task() -> None:
    address = page_of("http://127.0.0.1:8081/", 7, "yt-a_00000000_s001.all")
    assert address == "http://127.0.0.1:8081/task/7.yt-a_00000000_s001.all"
    assert task_of(address.rpartition("/")[2]) == (7, "yt-a_00000000_s001.all")


@pytest.mark.parametrize("name", ["", "7", "7.", "a.b", "-1.b", ".b", f"{10**19}.b", "\u0663.b"])
def test_what_names_no_task_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="names no task"):
        task_of(name)
