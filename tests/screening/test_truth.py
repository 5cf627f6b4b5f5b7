from __future__ import annotations

from pathlib import Path

import pytest

from d2midi_build.errors import UsageError
from d2midi_build.screening.truth import COLUMNS, read_truth

FINE = {
    "file": "a/v.mp4", "source": "studio", "start_s": "", "end_s": "", "verdict": "good", "people": "one",
    "body": "full", "background": "pure", "camera": "fixed", "picture": "moving", "sound": "music", "clipped": "",
    "cuts_s": "1.5;3", "remark": "x",
}  # fmt: skip


def table(folder: Path, *rows: dict[str, str], columns: tuple[str, ...] = COLUMNS) -> Path:
    (folder / "a").mkdir(exist_ok=True)
    (folder / "a" / "v.mp4").touch()
    path = folder / "truth.csv"
    lines = [",".join(columns), *(",".join(row.get(name, "") for name in columns) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_row_is_read(tmp_path: Path) -> None:
    (whole, part) = read_truth(table(tmp_path, FINE, FINE | {"start_s": "0", "end_s": "9.5"}), tmp_path)
    assert whole.file == tmp_path / "a" / "v.mp4"
    assert (whole.name, whole.verdict, whole.cuts_s, whole.labels["clipped"]) == (
        "a/v.mp4",
        "good",
        (1.5, 3.0),
        "",
    )
    assert (part.start_s, part.end_s, part.name) == (0.0, 9.5, "a/v.mp4 0-9.5 s")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"file": "a/none.mp4"}, "line 3 .*there is no file"),
        ({"people": "two"}, "people is 'two', none of none, one, several"),
        ({"verdict": ""}, "verdict is ''"),
        ({"source": ""}, "source must not be empty"),
        ({"start_s": "1"}, "are no range"),
        ({"start_s": "5", "end_s": "4"}, "are no range"),
        ({"cuts_s": "1.5;x"}, "cuts_s holds 'x', which is no number"),
        ({"start_s": "-1", "end_s": "4"}, "no time in seconds"),
        ({"cuts_s": "inf"}, "no time in seconds"),
        ({"file": "truth.csv"}, "'.csv' is not that of a video"),
    ],
)
def test_a_wrong_row_is_named_with_what_is_wrong(tmp_path: Path, change: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_truth(table(tmp_path, FINE, FINE | change), tmp_path)


def test_a_table_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"lacks the columns people.*has file, source"):
        read_truth(
            table(tmp_path, FINE, columns=tuple(name for name in COLUMNS if name != "people")), tmp_path
        )
    with pytest.raises(UsageError, match="no rows"):
        read_truth(table(tmp_path), tmp_path)
    with pytest.raises(UsageError, match="no folder"):
        read_truth(table(tmp_path, FINE), tmp_path / "videos")
    with pytest.raises(UsageError, match="cannot read"):
        read_truth(tmp_path / "none.csv", tmp_path)
