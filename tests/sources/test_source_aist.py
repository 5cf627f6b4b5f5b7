"""AIST's names."""

from __future__ import annotations

from pathlib import Path

import pytest

from d2midi_build.errors import SourceListError, UsageError
from d2midi_build.sources.aist import aist_table, parse_name
from d2midi_build.sources.lists import read_sources, write_sources

_MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"


def test_a_name_taken_apart_and_put_together() -> None:
    name = parse_name("gBR_sBM_c01_d04_mBR0_ch01.mp4")
    assert (name.genre, name.situation, name.camera, name.dancers) == ("BR", "BM", "01", ("d04",))
    assert (name.music, name.choreography, name.solo) == ("BR0", "01", True)
    assert str(name) == "gBR_sBM_c01_d04_mBR0_ch01"
    assert name.dance == "gBR_sBM_cAll_d04_mBR0_ch01"
    group = parse_name("gLO_sGR_c08_d13_d14_d15_mLO0_ch01")
    assert (group.dancers, group.solo) == (("d13", "d14", "d15"), False)


@pytest.mark.parametrize(
    ("music", "bpm"),
    [("BR0", 80), ("BR3", 110), ("JB5", 130), ("HO0", 110), ("HO1", 115), ("HO5", 135)],
)
def test_tempo_is_in_the_name(music: str, bpm: int) -> None:
    assert parse_name(f"g{music[:2]}_sBM_c01_d04_m{music}_ch01").bpm == bpm


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dance.mp4", "is not an AIST name"),
        ("gBR_sBM_c01_d04_mBR0", "is not an AIST name"),
        ("gXX_sBM_c01_d04_mXX0_ch01", "genre gXX"),
        ("gBR_sXX_c01_d04_mBR0_ch01", "situation sXX"),
        ("gBR_sBM_c11_d04_mBR0_ch01", "camera c11"),
        ("gBR_sBM_c00_d04_mBR0_ch01", "camera c00"),
        ("gBR_sBM_c01_d36_mBR0_ch01", "dancer d36"),
        ("gBR_sBM_c01_d04_mBR6_ch01", "music mBR6"),
        ("gBR_sBM_c01_d04_mPO0_ch01", "for a solo dance of gBR"),
        ("gBR_sBM_c01_d04_d05_mBR0_ch01", "2 dancers in a solo dance"),
    ],
)
def test_names_that_are_not_aist(name: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_name(name)


def test_a_list_becomes_urls_once_the_terms_are_accepted(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text(
        "# test\ngLH_sBM_cAll_d17_mLH4_ch02\ngBR_sBM_c02_d04_mBR0_ch01 \n\n"
        "gLO_sGR_c01_d13_d14_d15_mLO0_ch01\n"
        "gLH_sBM_c01_d17_mLH4_ch02\n"
    )
    with pytest.raises(UsageError, match="terms_of_use"):
        aist_table(names)
    table = aist_table(names, terms_accepted=True)
    assert table.to_pylist() == [
        {
            "url": "https://aistdancedb.ongaaccel.jp/v1.0.0/video/10M/gLH_sBM_c01_d17_mLH4_ch02.mp4",
            "genre": "LA-style hip-hop",
            "performer": "aist-d17",
            "licence": "AIST Dance Video Database terms of use (https://aistdancedb.ongaaccel.jp/terms_of_use/)",
            "music": "aist-mLH4",
            "bpm": "120",
            "situation": "basic",
            "camera": "c01",
            "choreography": "ch02",
            "dance": "gLH_sBM_cAll_d17_mLH4_ch02",
        }
    ]
    many = aist_table(
        names, terms_accepted=True, cameras=(1, 2), solo_only=False, url_template="https://mirror/{name}.mp4"
    )
    assert many["url"].to_pylist() == [
        f"https://mirror/{name}.mp4"
        for name in (
            "gLH_sBM_c01_d17_mLH4_ch02",
            "gLH_sBM_c02_d17_mLH4_ch02",
            "gBR_sBM_c02_d04_mBR0_ch01",
            "gLO_sGR_c01_d13_d14_d15_mLO0_ch01",
        )
    ]
    assert many["performer"].to_pylist()[-1] == "aist-d13 aist-d14 aist-d15"
    bad = tmp_path / "bad.txt"
    bad.write_text("gLH_sBM_cAll_d17_mLH4_ch02\ngLH_sBM_cAll_d17\n")
    with pytest.raises(SourceListError, match=r"bad\.txt:2: 'gLH_sBM_cAll_d17' is not"):
        aist_table(bad, terms_accepted=True)
    with pytest.raises(SourceListError, match="no AIST name is left"):
        aist_table(names, terms_accepted=True, ignore=names)
    with pytest.raises(UsageError, match=r"no \{name\}"):
        aist_table(names, terms_accepted=True, url_template="https://mirror/")


def test_a_folder_becomes_paths_that_the_list_reader_finds(tmp_path: Path) -> None:
    videos = tmp_path / "videos" / "c01"
    videos.mkdir(parents=True)
    for name in (
        "gBR_sBM_c01_d04_mBR0_ch01.mp4",
        "gBR_sBM_c02_d04_mBR0_ch01.mp4",
        "gBR_sFM_c01_d05_mBR5_ch14.mp4",
    ):
        (videos / name).touch()
    (videos / "readme.txt").touch()
    lists = tmp_path / "lists"
    lists.mkdir()
    table = aist_table(tmp_path / "videos", relative_to=lists)
    assert table["path"].to_pylist() == [
        "../videos/c01/gBR_sBM_c01_d04_mBR0_ch01.mp4",
        "../videos/c01/gBR_sFM_c01_d05_mBR5_ch14.mp4",
    ]
    write_sources(table, lists / "aist.csv")
    first, second = read_sources(lists / "aist.csv")
    assert first.path is not None
    assert first.path.samefile(videos / "gBR_sBM_c01_d04_mBR0_ch01.mp4")
    assert (second.genre, second.performer, second.music) == ("break", "aist-d05", "aist-mBR5")
    assert (second.extra["bpm"], second.extra["situation"]) == ("130", "advanced")
    (videos / "other.mp4").touch()
    with pytest.raises(SourceListError, match="Move it out"):
        aist_table(tmp_path / "videos")


def test_the_list_in_the_repository_reads_without_a_warning() -> None:
    got = read_sources(_MANIFESTS / "aist-basic-10.csv")
    assert len({source.genre for source in got}) == len(got) == 10
    assert (got.duplicates, got.warnings) == (0, ())
    for source in got:
        name = parse_name(source.url.rpartition("/")[2])
        assert source.extra["bpm"] == str(name.bpm)
        assert source.performer == f"aist-{name.dancers[0]}"


@pytest.mark.real_data
def test_the_lists_of_aist_plus_plus(shared_data: Path) -> None:
    splits = shared_data / "Stanford-TML+EDGE" / "data" / "splits"
    sizes = {
        name: aist_table(splits / f"{name}.txt", terms_accepted=True).num_rows
        for name in ("crossmodal_train", "crossmodal_test", "ignore_list")
    }
    lines = {name: len((splits / f"{name}.txt").read_text().split()) for name in sizes}
    assert sizes == lines
    test = aist_table(splits / "crossmodal_test.txt", terms_accepted=True)
    assert len(set(test["genre"].to_pylist())) == 10
    kept = aist_table(
        splits / "crossmodal_train.txt",
        terms_accepted=True,
        ignore=splits / "ignore_list.txt",
        cameras=range(1, 10),
    )
    assert kept.num_rows % 9 == 0
    ignored = set((splits / "ignore_list.txt").read_text().split())
    assert not ignored & set(kept["dance"].to_pylist())


@pytest.mark.real_data
def test_the_list_in_the_repository_is_what_the_rule_makes(shared_data: Path, tmp_path: Path) -> None:
    """One basic dance per genre: the first of each in AIST++'s test and training lists, frontal camera."""
    splits = shared_data / "Stanford-TML+EDGE" / "data" / "splits"
    dances: dict[str, str] = {}
    for line in [
        each for name in ("test", "train") for each in (splits / f"crossmodal_{name}.txt").read_text().split()
    ]:
        name = parse_name(line)
        if name.situation == "BM":
            dances.setdefault(name.genre, line)
    (tmp_path / "names.txt").write_text("\n".join(sorted(dances.values())))
    write_sources(aist_table(tmp_path / "names.txt", terms_accepted=True), tmp_path / "made.csv")
    assert (tmp_path / "made.csv").read_bytes() == (_MANIFESTS / "aist-basic-10.csv").read_bytes()
