from __future__ import annotations

from pathlib import Path

import pytest

from d2midi_build.errors import UsageError
from d2midi_build.screening.criteria import Decision
from d2midi_build.screening.decisions import (
    SHEET_COLUMNS,
    Known,
    read_verdicts,
    sheet_row,
    verdict,
    write_sheet,
)
from d2midi_build.screening.verdicts import Judgement

KNOWN = Known(
    frozenset({"yt-abc_00000000", "yt-abc_00012000", "yt-abd_00000000"}), frozenset({"yt-abc", "yt-abd"})
)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("yt-abc", "yt-abc"),
        ("yt-abc_00012000", "yt-abc_00012000"),
        ("yt-abd_0", "yt-abd_00000000"),  # the beginning of one take
        ("yt-abc_00012", "yt-abc_00012000"),
    ],
)
def test_names_may_be_shortened(name: str, found: str) -> None:
    assert KNOWN.find(name) == found


@pytest.mark.parametrize(
    ("name", "words"), [("yt-ab", "begins"), ("nothing", "no take or video"), ("", "no take")]
)
def test_a_name_that_is_none_or_several_is_told(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        KNOWN.find(name)


def test_a_sheet_comes_back_as_verdicts(tmp_path: Path) -> None:
    where = {
        "start_s": "0.00",
        "end_s": "12.00",
        "video": "v.mp4",
        "url": "https://x/v",
        "title": 'Ein, "Tanz"',
    }
    rows = [
        sheet_row(take, Judgement(Decision("review", ("background",), "a busy background")), where)
        for take in sorted(KNOWN.takes)
    ]
    assert tuple(rows[0]) == SHEET_COLUMNS
    rows[0] |= {"verdict": "Accept ", "why": "the plant is fine"}
    rows[2] |= {"verdict": "reject", "why": "café", "by": "bob"}
    path = tmp_path / "review.csv"
    write_sheet(path, rows)
    found = read_verdicts(path, KNOWN, "ada")
    assert [(each.item, each.verdict, each.why, each.by) for each in found] == [
        ("yt-abc_00000000", "accept", "the plant is fine", "ada"),
        ("yt-abd_00000000", "reject", "café", "bob"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("take_id,verdict\nyt-abc,accept\n", "no column why"),
        (
            "take_id,verdict,why\nyt-abc,accept,fine\nyt-zzz,reject,no\n",
            "line 3: no take or video is called 'yt-zzz'",
        ),
        ("take_id,verdict,why\nyt-abc,yes,fine\n", "line 2: verdict 'yes'"),
        ("take_id,verdict,why\nyt-abc,reject,\n", "line 2: the verdict on yt-abc has no reason"),
    ],
)
def test_wrong_rows_are_named_and_nothing_is_taken(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "review.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=words):
        read_verdicts(path, KNOWN, "ada")


def test_what_is_no_csv_is_told(tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    path.write_bytes(b"take_id,verdict,why\n\xff\xfe,accept,x\n")
    with pytest.raises(UsageError, match="cannot read"):
        read_verdicts(path, KNOWN, "ada")
    with pytest.raises(UsageError, match="cannot read"):
        read_verdicts(tmp_path / "missing.csv", KNOWN, "ada")


def test_taking_a_verdict_back_needs_no_reason() -> None:
    assert verdict("yt-abc", "withdraw", "", "ada").verdict == "withdraw"
