"""Downloads through the whole build, from a real server on loopback that can misbehave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest

from d2midi_build import tables, validation
from d2midi_build.engine.base import Job
from d2midi_build.ledger import Ledger, Record
from d2midi_build.pipeline import Selection, Silent, Summary, build
from d2midi_build.recipe import Recipe
from d2midi_build.sources.lists import read_sources
from d2midi_build.workspace import Workspace
from tests.crawl.conftest import Site

CRAWL = ("resolve", "crawl")


@pytest.fixture
def site() -> Iterator[Site]:
    server = Site()
    yield server
    server.close()


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Two small videos of 2 s with sound."""
    folder = tmp_path_factory.mktemp("videos")
    made = []
    for number in (1, 2):
        path = folder / f"{number}.mp4"
        command = (
            "-v error -f lavfi -i testsrc2=size=160x120:rate=20:duration=2 "
            f"-f lavfi -i sine=frequency={number}00:duration=2 "
            "-c:v libx264 -preset ultrafast -crf 5 -pix_fmt yuv420p -c:a aac -threads 1 -bitexact"
        )
        subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), *command.split(), str(path)], check=True, timeout=60)
        made.append(path.read_bytes())
    return made


@pytest.fixture
def gentle() -> Recipe:
    """One download at a time and next to no waiting; no proxy of the environment in between."""
    recipe = Recipe()
    for name, value in {
        "parallel": 1, "per_site": 1, "sleep_s": 0, "sleep_requests_s": 0, "retries": 0, "backoff_s": 0,
        "socket_timeout_s": 10, "proxy": "", "min_free_bytes": 0,
    }.items():  # fmt: skip
        recipe = recipe.with_field(f"crawl.{name}", value)
    return recipe.with_field("run.min_free_gb", 0)


class Crawl:
    """Builds a workspace from a list of URLs, as far as the downloads."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self.root, self.recipe = folder / "workspace", recipe
        self.list = folder / "urls.csv"

    def __call__(self, *urls: str, recipe: Recipe | None = None, retry: tuple[str, ...] = ()) -> Summary:
        if urls:
            self.list.write_text("\n".join(["url", *urls]) + "\n")
        sources = list(read_sources(self.list))
        return build(sources, self.root, recipe or self.recipe, Selection(CRAWL, retry=retry))

    def rows(self, table: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = tables.read(self.root / "manifests" / f"{table}.parquet").to_pylist()
        return found

    def sources(self) -> dict[str, dict[str, Any]]:
        """Rows of the table of sources by the last part of their URL."""
        return {row["url"].rpartition("/")[2]: row for row in self.rows("sources")}


@pytest.fixture
def crawl(tmp_path: Path, gentle: Recipe) -> Crawl:
    return Crawl(tmp_path, gentle)


def _feed(site: Site, *urls: str) -> str:
    items = "".join(
        f'<item><title>Dance {number}</title><enclosure url="{url}" type="video/mp4"/></item>'
        for number, url in enumerate(urls)
    )
    feed = f'<?xml version="1.0"?><rss version="2.0"><channel><title>Feed</title>{items}</channel></rss>'
    return site.add("/feed", feed.encode(), "application/rss+xml")


def test_two_addresses_of_one_video_are_one_video(crawl: Crawl, site: Site, videos: list[bytes]) -> None:
    urls = [site.add(path, videos[0]) for path in ("/a.mp4", "/mirror/b.mp4")]
    summary = crawl(*urls)
    assert summary.ran == {"resolve": {"done": 2}, "crawl": {"done": 2}}
    (video,) = crawl.rows("videos")
    assert [row["video_ids"] for row in crawl.rows("sources")] == [[video["video_id"]]] * 2
    assert (video["sha256"], video["bytes"]) != ("", 0)
    assert (crawl.root / video["file"]).read_bytes() == videos[0]
    assert {row["status"] for row in crawl.rows("sources")} == {"done"}
    assert validation.validate(Workspace.open(crawl.root), deep=True) == []


def test_a_feed_is_several_videos_of_one_source(crawl: Crawl, site: Site, videos: list[bytes]) -> None:
    one, two = site.add("/1.mp4", videos[0]), site.add("/2.mp4", videos[1])
    summary = crawl(_feed(site, one, two, one, site.url + "/gone.mp4"))
    assert summary.ran == {"resolve": {"done": 1}, "crawl": {"done": 2, "failed": 1}}
    assert len(site.ranges("/1.mp4")) == len(site.ranges("/2.mp4")), "listed twice, fetched once"
    (source,) = crawl.rows("sources")
    assert source["status"] == "partial"
    assert source["reason"] == "permanent"
    assert "/gone.mp4" in source["message"]
    assert "404" in source["tool_message"]
    assert source["video_ids"] == sorted(video["video_id"] for video in crawl.rows("videos"))
    assert len(source["video_ids"]) == 2
    assert {video["source_id"] for video in crawl.rows("videos")} == {source["source_id"]}


def test_a_second_build_asks_the_site_nothing(crawl: Crawl, site: Site, videos: list[bytes]) -> None:
    crawl(_feed(site, site.add("/1.mp4", videos[0])), site.url + "/gone.mp4", site.add("/2.mp4", videos[1]))
    before = len(site.requests)
    assert before > 0
    again = crawl()
    assert (again.ran, again.failed, again.waiting) == ({}, 1, 0)
    assert len(site.requests) == before
    assert crawl.sources()["gone.mp4"]["reason"] == "permanent"
    assert not list((crawl.root / "partial").iterdir()), "neither done nor gone leaves anything to resume"


def test_a_site_that_limits_the_rate_is_left_alone_and_the_rest_waits(
    crawl: Crawl, site: Site, videos: list[bytes]
) -> None:
    urls = [site.add(f"/{n}.mp4", videos[n % 2], first=[(429, {})] * (n < 3)) for n in range(5)]
    summary = crawl(*urls)
    assert summary.ran["crawl"] == {"failed": 3}
    assert summary.waiting == 2
    assert {path for path, _ in site.requests} == {"/0.mp4", "/1.mp4", "/2.mp4"}
    by_name = crawl.sources()
    assert [by_name[f"{n}.mp4"]["status"] for n in range(5)] == ["failed"] * 3 + ["waiting"] * 2
    assert {by_name[f"{n}.mp4"]["reason"] for n in range(5)} == {"transient", ""}
    assert "429" in by_name["0.mp4"]["tool_message"]
    later = crawl()
    assert later.ran == {"crawl": {"done": 2}}
    assert (later.waiting, later.failed) == (0, 3)
    mended = crawl(retry=("transient",))
    assert mended.ran == {"crawl": {"done": 3}}
    assert mended.failed == 0
    assert [row["status"] for row in crawl.rows("sources")] == ["done"] * 5


def test_what_waits_ends_the_command_with_1_and_says_what_to_do(
    crawl: Crawl, site: Site, videos: list[bytes], tmp_path: Path
) -> None:
    urls = [
        site.add(f"/{n}.mp4", videos[0], first=[(429, {"Retry-After": "3600"})] * (n == 0)) for n in (0, 1)
    ]
    crawl.list.write_text("\n".join(["url", *urls]) + "\n")
    (tmp_path / "recipe.toml").write_text(crawl.recipe.to_toml())
    command = _command("crawl", crawl, tmp_path)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "1 downloads wait" in done.stdout
    assert "d2midi retry --reason transient" in done.stdout
    assert "429" in crawl.sources()["0.mp4"]["tool_message"]
    assert not site.ranges("/1.mp4"), "the server asked for an hour without requests"


def test_retry_recovers_from_a_server_that_failed(crawl: Crawl, site: Site, videos: list[bytes]) -> None:
    url = site.add("/d.mp4", videos[0], first=[(503, {})])
    assert crawl(url).ran["crawl"] == {"failed": 1}
    (source,) = crawl.rows("sources")
    assert (source["status"], source["reason"]) == ("failed", "transient")
    assert crawl().ran == {}, "a plain build leaves failures as they are"
    assert crawl(retry=("permanent",)).ran == {}
    assert crawl(retry=("transient",)).ran == {"crawl": {"done": 1}}
    (source,) = crawl.rows("sources")
    assert (source["status"], source["reason"], source["message"]) == ("done", "", "")


def test_a_server_that_fails_for_a_moment_is_asked_again_at_once(
    crawl: Crawl, site: Site, videos: list[bytes]
) -> None:
    url = site.add("/d.mp4", videos[0], first=[(503, {})])
    assert crawl(url, recipe=crawl.recipe.with_field("crawl.retries", 2)).ran["crawl"] == {"done": 1}


def test_a_killed_build_goes_on_with_the_rest_of_its_download(
    crawl: Crawl, site: Site, videos: list[bytes], tmp_path: Path
) -> None:
    body = videos[0] * 4  # what follows a whole video is no concern of this test
    url = site.add("/d.mp4", body, headers={"ETag": '"one"'}, hold_after=len(body) * 3 // 4)
    crawl.list.write_text(f"url\n{url}\n")
    (tmp_path / "recipe.toml").write_text(crawl.recipe.to_toml())
    run = subprocess.Popen(_command("crawl", crawl, tmp_path), start_new_session=True)
    deadline = time.monotonic() + 60
    while sum(path.stat().st_size for path in crawl.root.glob("partial/*/*.part")) < len(body) // 8:
        assert time.monotonic() < deadline and run.poll() is None
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    (part,) = crawl.root.glob("partial/*/*.part")
    have = part.stat().st_size
    assert 0 < have < len(body)
    assert not any(record.stage == "crawl" for record in Ledger(Workspace(crawl.root).ledger_path))
    site.routes["/d.mp4"].hold_after = None
    assert crawl().ran == {"crawl": {"done": 1}}
    assert site.ranges("/d.mp4")[-1] == f"bytes={have}-"
    (video,) = crawl.rows("videos")
    assert (crawl.root / video["file"]).read_bytes() == body
    assert not list((crawl.root / "partial").iterdir())


@pytest.mark.parametrize(("field", "limit"), [("max_duration_s", 1.0), ("max_bytes", 1000)])
def test_what_the_recipe_does_not_allow_is_policy(
    crawl: Crawl, site: Site, videos: list[bytes], field: str, limit: float
) -> None:
    url = site.add("/d.mp4", videos[0])
    crawl(url, recipe=crawl.recipe.with_field(f"crawl.{field}", limit))
    (source,) = crawl.rows("sources")
    assert (source["status"], source["reason"]) == ("failed", "policy")
    assert f"crawl.{field} allows" in source["message"]
    assert crawl.rows("videos") == []
    assert crawl(retry=("policy",)).ran == {"crawl": {"done": 1}}, "the default allows it"


def test_what_the_list_says_reaches_the_tables(crawl: Crawl, site: Site, videos: list[bytes]) -> None:
    about = {
        "@context": "https://schema.org", "@type": "VideoObject", "name": "A dance",
        "contentUrl": site.add("/d.mp4", videos[0]), "author": {"@type": "Person", "name": "Grace"},
    }  # fmt: skip
    page = f'<html><head><script type="application/ld+json">{json.dumps(about)}</script></head></html>'
    url = site.add("/page", page.encode(), "text/html")
    crawl.list.write_text(f"url,genre,licence,performer,music,mood\n{url},house,CC-BY-4.0,Ada,m1,happy\n")
    assert crawl().ran == {"resolve": {"done": 1}, "crawl": {"done": 1}}
    (source,), (video,) = crawl.rows("sources"), crawl.rows("videos")
    said = {"genre": "house", "licence": "CC-BY-4.0", "performer": "Ada", "music": "m1"}
    for row in (source, video):
        assert {name: row[name] for name in said} == said
    assert source["extra"] == '{"mood": "happy"}'
    assert source["origin"] == "urls.csv:2"
    assert (video["title"], video["uploader"], video["webpage_url"]) == ("A dance", "Grace", url)
    assert "yt-dlp" in video["made_by"]


class _Order(Silent):
    """Notes in which order jobs end."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def finished(self, job: Job, record: Record) -> None:
        self.stages.append(job.stage)


def test_only_downloads_keep_their_distance(crawl: Crawl, site: Site, videos: list[bytes]) -> None:
    urls = [site.add(f"/{n}.mp4", videos[0] + bytes([n])) for n in range(3)]
    crawl.list.write_text("\n".join(["url", *urls]) + "\n")
    heard = _Order()
    recipe = crawl.recipe.with_field("crawl.sleep_s", 2)
    summary = build(list(read_sources(crawl.list)), crawl.root, recipe, Selection(CRAWL), listener=heard)
    assert heard.stages == ["resolve"] * 3 + ["crawl"] * 3
    assert summary.wall_s >= 4, "two pauses lie between three downloads"
    assert summary.waiting == 0


def test_a_link_to_a_video_is_taken_in_as_the_video(
    tmp_path: Path, videos: list[bytes], gentle: Recipe
) -> None:
    store, folder = tmp_path / "elsewhere", tmp_path / "dances"
    store.mkdir()
    folder.mkdir()
    (store / "d.mp4").write_bytes(videos[0])
    (folder / "d.mp4").symlink_to("../elsewhere/d.mp4")
    root = tmp_path / "workspace"
    summary = build(list(read_sources(folder)), root, gentle, Selection(CRAWL))
    assert summary.ran == {"crawl": {"done": 1}}
    (kept,) = root.glob("videos/*.mp4")
    assert not kept.is_symlink()
    assert kept.read_bytes() == videos[0]


def _command(name: str, crawl: Crawl, folder: Path) -> list[str]:
    main = "from d2midi_build.cli import main; main()"
    given = [
        "--source",
        str(crawl.list),
        "--recipe",
        str(folder / "recipe.toml"),
        "-w",
        str(crawl.root),
        "--quiet",
    ]
    return [sys.executable, "-c", main, name, *given]
