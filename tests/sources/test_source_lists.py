"""Reading and writing lists of sources."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d2midi_build.errors import SourceListError
from d2midi_build.sources.lists import merge_lists, normalise_url, read_sources, source_id, write_sources


def _list(tmp_path: Path, text: str, name: str = "urls.txt") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


def test_a_text_list_with_all_that_editors_do_to_it(tmp_path: Path) -> None:
    path = _list(
        tmp_path,
        "\ufeff# dances\r\n\r\n  https://a.org/1 \r\n"
        "https://a.org/2  # the good one\r\nmy dance #3.mp4\r\n\t\r\n",
    )
    first, second, third = read_sources(path)
    assert (first.url, first.kind, first.path, first.origin) == ("https://a.org/1", "url", None, "urls.txt:3")
    assert (second.url, second.origin) == ("https://a.org/2", "urls.txt:4")
    assert (third.url, third.kind) == ("my dance #3.mp4", "file")
    assert third.path == tmp_path / "my dance #3.mp4"
    assert first.source_id == "s-" + hashlib.sha256(b"https://a.org/1").hexdigest()[:16]


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("HTTPS://WWW.Example.ORG:443/Dance?B=1&a=2#t=3", "https://www.example.org/Dance?B=1&a=2"),
        ("http://h.org:80", "http://h.org/"),
        ("http://h.org:8080/x", "http://h.org:8080/x"),
        ("https://h.org/v?utm_source=x&id=7&fbclid=z", "https://h.org/v?id=7"),
        ("https://youtu.be/dQw4w9WgXcQ?si=abc&t=3", "https://youtu.be/dQw4w9WgXcQ?t=3"),
        ("https://h.org/v?si=abc", "https://h.org/v?si=abc"),
        ("http://[::1]:8000/a", "http://[::1]:8000/a"),
        ("https://h.org/a%2Fb/../c", "https://h.org/a%2Fb/../c"),
    ],
)
def test_urls_are_normalised_with_care(written: str, normal: str) -> None:
    assert normalise_url(written) == normal
    assert normalise_url(normal) == normal


@given(st.text(alphabet="abcXYZ/?&=.%20-_~:#@", max_size=40))
def test_normalising_twice_is_normalising_once(tail: str) -> None:
    try:
        once = normalise_url("https://h.org/" + tail)
    except ValueError:
        return
    assert normalise_url(once) == once


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("https://a.org/1 https://a.org/2", "one URL per line"),
        ("ftp://a.org/1", "scheme 'ftp'"),
        ("file:///etc/passwd", "scheme 'file'"),
        ("https:///nohost", "no host"),
        ("https://a.org:port/", "[Pp]ort"),
        ("https://me:secret@a.org/1", "password"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    path = _list(tmp_path, f"https://a.org/0\n{line}\n")
    with pytest.raises(SourceListError, match=words) as caught:
        read_sources(path)
    assert "urls.txt:2" in str(caught.value)


def test_a_csv_with_columns_known_and_unknown(tmp_path: Path) -> None:
    path = _list(
        tmp_path,
        "URL,Genre,dancer,License,music,tempo\n"
        '"https://a.org/1",house,Ann,CC-BY-4.0,song-1,120\n'
        '\n# a comment\n"videos/b, take 2.mp4",,,,,\n',
        "list.csv",
    )
    first, second = read_sources(path)
    assert (first.genre, first.performer, first.licence, first.music) == (
        "house",
        "Ann",
        "CC-BY-4.0",
        "song-1",
    )
    assert first.extra == {"tempo": "120"}
    assert (second.kind, second.url, second.origin) == ("file", "videos/b, take 2.mp4", "list.csv:5")
    assert second.path == tmp_path / "videos" / "b, take 2.mp4"
    assert second.extra == {}


@pytest.mark.parametrize(("delimiter", "name"), [(";", "l.csv"), ("\t", "l.csv"), ("\t", "l.tsv")])
def test_other_delimiters(tmp_path: Path, delimiter: str, name: str) -> None:
    path = _list(tmp_path, f"path{delimiter}genre\na.mp4{delimiter}pop, mostly\n", name)
    (source,) = read_sources(path)
    assert (source.url, source.genre) == ("a.mp4", "pop, mostly")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("link,genre\nhttps://a.org,x\n", "no column 'url' or 'path'; the columns are link, genre"),
        ("url,genre\nhttps://a.org/1,x\nhttps://a.org/2\n", "l.csv:3: has 1 cells, the header has 2"),
        ("url,genre\n,x\n", "l.csv:2: the column 'url' .or 'path'. is empty"),
        ("url,path\nhttps://a.org/1,b.mp4\n", "l.csv:2: has a url .* and a path"),
        ("url,URL\nhttps://a.org/1,x\n", "the column 'url' is there twice"),
        ('url\n"https://a.org/1\n', "not CSV"),
        ("url\n", "holds no source"),
        ("path\nhttps://a.org/1\n", "in the column 'url'"),
    ],
)
def test_csv_errors_name_line_and_column(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SourceListError, match=words):
        read_sources(_list(tmp_path, text, "l.csv"))


def test_parquet_and_csv_of_one_table_are_one_list(tmp_path: Path) -> None:
    table = pa.table(
        {"url": ["https://a.org/1", "https://a.org/2"], "genre": ["pop", None], "year": [2020, 2021]}
    )
    lists = []
    for name in ("t.csv", "t.tsv", "t.parquet"):
        write_sources(table, tmp_path / name)
        lists.append([(each.url, each.genre, dict(each.extra)) for each in read_sources(tmp_path / name)])
    assert lists[0] == lists[1] == lists[2]
    assert lists[0] == [
        ("https://a.org/1", "pop", {"year": "2020"}),
        ("https://a.org/2", "", {"year": "2021"}),
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.csv", "t.parquet", "t.tsv"]
    with pytest.raises(SourceListError, match=r"not '\.xlsx'"):
        write_sources(table, tmp_path / "t.xlsx")


def test_parquet_errors(tmp_path: Path) -> None:
    with pytest.raises(SourceListError, match="cannot be read as Parquet"):
        read_sources(_list(tmp_path, "not parquet", "l.parquet"))
    pq.write_table(pa.table({"genre": ["x"]}), tmp_path / "m.parquet")
    with pytest.raises(SourceListError, match="no column 'url'"):
        read_sources(tmp_path / "m.parquet")


def test_duplicates_are_merged_and_disagreement_is_told(tmp_path: Path) -> None:
    path = _list(
        tmp_path,
        "url,genre\nhttps://a.org/1,pop\nHTTPS://A.org/1#x,house\nhttps://a.org/1,\nhttps://a.org/1,pop\n",
        "l.csv",
    )
    got = read_sources(path)
    assert len(got) == 1
    assert got.sources[0].genre == "pop"
    assert got.duplicates == 3
    (warning,) = got.warnings
    assert "l.csv:3" in warning
    assert "'house'" in warning
    assert "'pop' from l.csv:2 is kept" in warning


def test_a_folder_a_video_and_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("v/b.mp4", "v/sub/a.MKV", "v/.hidden/c.mp4", "v/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert [each.url for each in read_sources("./v")] == ["v/b.mp4", "v/sub/a.MKV"]
    (one,) = read_sources("v/b.mp4")
    assert (one.kind, one.path, one.source_id) == ("file", tmp_path / "v" / "b.mp4", source_id("v/b.mp4"))
    (url,) = read_sources("https://a.org/list.txt")
    assert url.kind == "url"
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceListError, match="no video in this folder"):
        read_sources("empty")


def test_lists_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SourceListError, match="no such file"):
        read_sources(tmp_path / "none.txt")
    with pytest.raises(SourceListError, match=r"neither a list .* nor a video"):
        read_sources(_list(tmp_path, "x", "list.docx"))
    (tmp_path / "latin.txt").write_bytes(b"a.mp4\nd\xe9j\xe0.mp4\n")
    with pytest.raises(SourceListError, match=r"latin\.txt:2: byte 0xe9 is not UTF-8"):
        read_sources(tmp_path / "latin.txt")
    with pytest.raises(SourceListError, match="holds no source"):
        read_sources(_list(tmp_path, "# nothing yet\n"))


def test_one_name_for_two_files_is_not_one_source(tmp_path: Path) -> None:
    lists = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        lists.append(read_sources(_list(tmp_path / folder, "001.mp4\nhttps://a.org/1\n")))
    with pytest.raises(SourceListError, match=r"'001\.mp4'"):
        merge_lists(lists)
    again = merge_lists([lists[0], lists[0]])
    assert (len(again), again.duplicates) == (2, 2)


def test_a_file_name_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.mp4")).write_bytes(b"x")
    with pytest.raises(SourceListError, match=r"caf\\udce9\.mp4 is not UTF-8"):
        read_sources(tmp_path)
