"""Downloads from a real server: what comes back, what a kill leaves, and what failures are called."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import av
import pytest

from d2midi_build.crawl.download import download, local_file
from d2midi_build.crawl.messages import classify, retry_after_s
from d2midi_build.crawl.resolve import resolve
from d2midi_build.errors import PermanentError, PolicyError, TransientError
from d2midi_build.recipe import CrawlRecipe

if TYPE_CHECKING:
    from tests.crawl.conftest import Site


def _hls(site: Site, media: Path) -> str:
    for piece in media.glob("list*.ts"):
        site.add(f"/{piece.name}", piece.read_bytes(), "video/mp2t")
    return site.add("/list.m3u8", (media / "list.m3u8").read_bytes(), "application/vnd.apple.mpegurl")


def _dash(site: Site, media: Path) -> str:
    site.add("/picture.mp4", (media / "picture.mp4").read_bytes())
    site.add("/sound.webm", (media / "sound.webm").read_bytes(), "audio/webm")
    manifest = """<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"
    mediaPresentationDuration="PT3S"><Period><AdaptationSet mimeType="video/mp4">
    <Representation id="v" codecs="avc1.42c01e" width="320" height="240" bandwidth="2000000">
    <BaseURL>picture.mp4</BaseURL></Representation></AdaptationSet><AdaptationSet mimeType="audio/webm">
    <Representation id="a" codecs="opus" bandwidth="64000"><BaseURL>sound.webm</BaseURL></Representation>
    </AdaptationSet></Period></MPD>"""
    return site.add("/dance.mpd", manifest.encode(), "application/dash+xml")


def _streams(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return sorted(stream.type for stream in container.streams)


def _killed_child(url: str, folder: Path, after_bytes: int) -> None:
    """Download in another process and kill it without warning once it has that many bytes."""
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from d2midi_build.crawl.download import download\n"
        "from d2midi_build.recipe import CrawlRecipe\n"
        "o = CrawlRecipe(proxy='', sleep_requests_s=0, min_free_bytes=0)\n"
        "download(sys.argv[1], Path(sys.argv[2]), o, lambda done, total: print(done, flush=True))\n"
    )
    command = [sys.executable, "-c", code, url, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) >= after_bytes:
                child.send_signal(signal.SIGKILL)
                break
        child.stdout.read()
        assert child.wait(30) == -signal.SIGKILL


def test_a_direct_link_comes_back_as_the_same_bytes(
    site: Site, media: Path, tmp_path: Path, options: CrawlRecipe
) -> None:
    body = (media / "noise.mp4").read_bytes()
    url = site.add("/dance%20one.mp4", body, headers={"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"})
    seen: list[tuple[int, int | None]] = []
    got = download(url, tmp_path, options, lambda done, total: seen.append((done, total)))
    assert got.path.read_bytes() == body
    assert [path.name for path in tmp_path.iterdir()] == [got.path.name]
    assert got.bytes == len(body)
    assert got.sha256 == hashlib.sha256(body).hexdigest()
    assert got.video_id == f"file-{got.sha256[:16]}"
    assert seen[-1] == (len(body), len(body))
    assert (got.info.extractor, got.info.title, got.info.ext) == ("generic", "dance one", "mp4")
    assert got.info.webpage_url == url
    assert got.info.upload_date == "", "the date of a server's file is not an upload date"


def test_two_addresses_of_one_file_are_one_video(
    site: Site, media: Path, tmp_path: Path, options: CrawlRecipe
) -> None:
    body = (media / "noise.mp4").read_bytes()
    urls = [site.add("/a.mp4", body), site.add("/b.mp4", body) + "?signed=x"]
    ids = {download(url, tmp_path / str(n), options).video_id for n, url in enumerate(urls)}
    assert ids == {local_file(media / "noise.mp4", options).video_id}


def test_a_killed_download_goes_on_where_it_was(
    site: Site, media: Path, tmp_path: Path, options: CrawlRecipe
) -> None:
    body = (media / "noise.mp4").read_bytes()
    url = site.add("/d.mp4", body, headers={"ETag": '"one"'}, hold_after=len(body) * 3 // 4)
    _killed_child(url, tmp_path, after_bytes=len(body) // 8)
    (part,) = tmp_path.glob("*.part")
    have = part.stat().st_size
    assert 0 < have < len(body)
    site.routes["/d.mp4"].hold_after = None
    assert download(url, tmp_path, options).path.read_bytes() == body
    assert site.ranges("/d.mp4")[-1] == f"bytes={have}-"


def test_a_file_that_changed_meanwhile_is_fetched_afresh(
    site: Site, media: Path, tmp_path: Path, options: CrawlRecipe
) -> None:
    body = (media / "noise.mp4").read_bytes()
    url = site.add("/d.mp4", body, headers={"ETag": '"one"'}, hold_after=len(body) * 3 // 4)
    _killed_child(url, tmp_path, after_bytes=len(body) // 8)
    other = (media / "picture.mp4").read_bytes()
    site.add("/d.mp4", other, headers={"ETag": '"two"'})
    assert download(url, tmp_path, options).path.read_bytes() == other


def test_parts_of_before_a_reboot_are_not_trusted(
    site: Site, media: Path, tmp_path: Path, options: CrawlRecipe
) -> None:
    body = (media / "noise.mp4").read_bytes()
    url = site.add("/d.mp4", body, hold_after=len(body) * 3 // 4)
    _killed_child(url, tmp_path, after_bytes=len(body) // 8)
    (part,) = tmp_path.glob("*.part")
    part.write_bytes(bytes(part.stat().st_size))  # the holes that a power cut leaves
    state = tmp_path / "media.state.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | {"boot": "an earlier one"}))
    site.routes["/d.mp4"].hold_after = None
    assert download(url, tmp_path, options).path.read_bytes() == body


def test_a_part_that_is_already_whole_is_no_failure(
    site: Site, media: Path, tmp_path: Path, options: CrawlRecipe
) -> None:
    body = (media / "noise.mp4").read_bytes()
    url = site.add("/d.mp4", body, hold_after=len(body) * 3 // 4)
    _killed_child(url, tmp_path, after_bytes=len(body) // 8)
    (part,) = tmp_path.glob("*.part")
    part.write_bytes(body)
    site.routes["/d.mp4"].hold_after = None
    assert download(url, tmp_path, options).path.read_bytes() == body


def test_a_killed_hls_download_keeps_its_fragments_and_its_bytes(
    site: Site, media: Path, tmp_path: Path, options: CrawlRecipe
) -> None:
    url = _hls(site, media)
    whole = download(url, tmp_path / "whole", options)
    assert _streams(whole.path) == ["audio", "video"]
    site.requests.clear()
    last = site.routes["/list2.ts"]
    last.hold_after = len(last.body) * 3 // 4
    joined = sum((media / f"list{n}.ts").stat().st_size for n in (0, 1))
    _killed_child(url, tmp_path / "killed", after_bytes=joined + 1)
    # The worst instant: a fragment is joined but not yet noted as joined.
    (note,) = (tmp_path / "killed").glob("*.ytdl")
    note.write_text('{"downloader": {"current_fragment": {"index": 1}, "fragment_count": 3}}')
    last.hold_after = None
    again = download(url, tmp_path / "killed", options)
    assert again.sha256 == whole.sha256
    assert len(site.ranges("/list0.ts")) == 1, "fetched before the kill, not again after it"
    assert [path.name for path in (tmp_path / "killed").iterdir()] == [again.path.name]


def test_picture_and_sound_are_joined_to_the_same_bytes_each_time(
    site: Site, media: Path, tmp_path: Path, options: CrawlRecipe
) -> None:
    url = _dash(site, media)
    one, two = (download(url, tmp_path / name, options) for name in "ab")
    assert _streams(one.path) == ["audio", "video"]
    assert one.info.format == "v+a"
    assert one.info.ext in ("mp4", "mkv")
    assert one.sha256 == two.sha256


@pytest.mark.parametrize(("wanted", "chosen"), [(1080, "full"), (720, "hd"), (900, "hd"), (144, "hd")])
def test_resolution_is_the_short_side_so_upright_videos_stay_sharp(
    site: Site, media: Path, tmp_path: Path, options: CrawlRecipe, wanted: int, chosen: str
) -> None:
    body = (media / "noise.mp4").read_bytes()
    sizes = {"hd": "720x1280", "full": "1080x1920", "uhd": "2160x3840"}
    lines = ["#EXTM3U"]
    for name, size in sizes.items():
        lines += [
            f'#EXT-X-STREAM-INF:BANDWIDTH=1000000,RESOLUTION={size},CODECS="avc1.42c01e,mp4a.40.2"',
            f"{name}.m3u8",
        ]
        site.add(
            f"/{name}.m3u8",
            f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{name}.mp4\n#EXT-X-ENDLIST\n".encode(),
            "application/vnd.apple.mpegurl",
        )
        site.add(f"/{name}.mp4", body)
    url = site.add("/m.m3u8", "\n".join(lines).encode(), "application/vnd.apple.mpegurl")
    download(url, tmp_path, options.model_copy(update={"resolution_px": wanted}))
    fetched = {path for path, _ in site.requests if path.endswith(".mp4")}
    assert fetched == {f"/{chosen}.mp4"}


def test_a_connection_dropped_midway_is_taken_up_again(
    site: Site, media: Path, tmp_path: Path, options: CrawlRecipe
) -> None:
    body = (media / "noise.mp4").read_bytes()
    # The first request only looks at the headers.
    url = site.add("/d.mp4", body, drop_at={2: 300_000, 3: 300_000})
    assert download(url, tmp_path, options).path.read_bytes() == body
    first, second, *rest = [int(str(each)[6:-1]) for each in site.ranges("/d.mp4")[2:]]
    assert 0 < first <= 300_000 < second <= 600_000
    assert not rest


def test_a_server_that_is_busy_at_first_is_asked_again(
    site: Site, media: Path, tmp_path: Path, options: CrawlRecipe
) -> None:
    body = (media / "noise.mp4").read_bytes()
    url = site.add("/d.mp4", body, first=[(503, {}), (503, {})])
    assert download(url, tmp_path, options).path.read_bytes() == body
    site.add("/e.mp4", body, first=[(503, {})] * 3)
    with pytest.raises(TransientError) as caught:
        download(site.url + "/e.mp4", tmp_path / "e", options)
    assert "HTTP Error 503" in caught.value.tool_message
    assert site.url in caught.value.message


def test_a_rate_limit_is_not_answered_with_more_requests(
    site: Site, tmp_path: Path, options: CrawlRecipe
) -> None:
    url = site.add("/d.mp4", status=429, headers={"Retry-After": "77"})
    with pytest.raises(TransientError) as caught:
        download(url, tmp_path, options)
    assert len(site.requests) == 1
    assert classify(caught.value.tool_message).blocked
    assert retry_after_s(caught.value.tool_message) == 77


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, PermanentError),
        (410, PermanentError),
        (401, PolicyError),
        (403, PolicyError),
        (451, PolicyError),
    ],
)
def test_http_failures_are_typed_and_the_servers_words_kept(
    site: Site, tmp_path: Path, options: CrawlRecipe, status: int, kind: type[Exception]
) -> None:
    with pytest.raises(kind) as caught:
        download(site.add("/d.mp4", status=status), tmp_path, options)
    assert f"HTTP Error {status}" in caught.value.tool_message  # type: ignore[attr-defined]
    assert len(site.requests) == 1


def test_a_page_without_a_video_and_a_server_that_is_not_there(
    site: Site, tmp_path: Path, options: CrawlRecipe
) -> None:
    page = site.add("/page", b"<html><body>hello</body></html>", "text/html")
    with pytest.raises(PermanentError, match="no video is found"):
        download(page, tmp_path, options)
    with pytest.raises(PermanentError, match="no video is found"):
        resolve(page, options)
    site.close()
    with pytest.raises(TransientError, match="the network or the server failed"):
        download(site.url + "/d.mp4", tmp_path, options)


@pytest.mark.parametrize("announce", [True, False])
def test_too_large_is_refused_and_nothing_stays(
    site: Site, media: Path, tmp_path: Path, options: CrawlRecipe, announce: bool
) -> None:
    body = (media / "noise.mp4").read_bytes()
    url = site.add("/d.mp4", body * 8, announce=announce, ranges=announce, hold_after=len(body) * 2)
    limits = options.model_copy(update={"max_bytes": len(body)})
    # The server never sends the rest: had the download gone on to the end, this would hang.
    with pytest.raises(PolicyError, match=r"crawl\.max_bytes allows"):
        download(url, tmp_path, limits)
    assert not list(tmp_path.iterdir())
    exact = site.add("/e.mp4", body, announce=announce)
    assert download(exact, tmp_path, limits).bytes == len(body)


def test_too_long_is_refused_before_and_after(
    site: Site, media: Path, tmp_path: Path, options: CrawlRecipe
) -> None:
    short = options.model_copy(update={"max_duration_s": 2.0})
    with pytest.raises(PolicyError, match="is 3 s long"):
        download(_hls(site, media), tmp_path, short)
    assert not site.ranges("/list0.ts"), "the manifest says how long it is"
    with pytest.raises(PolicyError, match="is 3 s long"):
        download(site.add("/d.mp4", (media / "noise.mp4").read_bytes()), tmp_path, short)
    assert not list(tmp_path.iterdir())
    with pytest.raises(PolicyError, match="is 3 s long"):
        local_file(media / "noise.mp4", short)


def test_a_disk_without_room_stops_a_download_and_keeps_its_parts(
    site: Site, media: Path, tmp_path: Path, options: CrawlRecipe
) -> None:
    body = (media / "noise.mp4").read_bytes()
    url = site.add("/d.mp4", body)
    with pytest.raises(TransientError, match="make room"):
        download(url, tmp_path, options.model_copy(update={"min_free_bytes": 2**60}))
    assert list(tmp_path.glob("*.part"))
    assert download(url, tmp_path, options).path.read_bytes() == body


@pytest.mark.parametrize("header", [{"X-Robots-Tag": "noai, noimageai"}, {"TDM-Reservation": "1"}])
def test_a_server_that_opts_out_is_obeyed(
    site: Site, media: Path, tmp_path: Path, options: CrawlRecipe, header: dict[str, str]
) -> None:
    url = site.add("/d.mp4", (media / "noise.mp4").read_bytes(), headers=header)
    with pytest.raises(PolicyError) as caught:
        download(url, tmp_path, options)
    assert next(iter(header.values())) in caught.value.tool_message
    download(url, tmp_path, options.model_copy(update={"honour_opt_out": False}))


def test_noindex_is_about_search_engines(
    site: Site, media: Path, tmp_path: Path, options: CrawlRecipe
) -> None:
    url = site.add("/d.mp4", (media / "noise.mp4").read_bytes(), headers={"X-Robots-Tag": "noindex"})
    assert download(url, tmp_path, options).bytes > 0


def test_a_page_of_videos_is_resolved_and_each_fetched(
    site: Site, media: Path, tmp_path: Path, options: CrawlRecipe
) -> None:
    bodies = [(media / name).read_bytes() for name in ("noise.mp4", "picture.mp4")]
    html = "<html><title>Two dances</title>" + "".join(
        f'<video><source src="/v{n}.mp4" type="video/mp4"></video>' for n in (1, 2)
    )
    page = site.add("/page", html.encode(), "text/html")
    for n, body in enumerate(bodies, start=1):
        site.add(f"/v{n}.mp4", body)
    found = resolve(page, options)
    assert [(each.url, each.item, each.video_id) for each in found] == [(page, 1, None), (page, 2, None)]
    got = [download(each.url, tmp_path / str(each.item), options, item=each.item) for each in found]
    assert [each.path.read_bytes() for each in got] == bodies
    with pytest.raises(PermanentError, match="is a list of videos"):
        download(page, tmp_path / "x", options)


def test_a_feed_is_resolved_without_opening_its_videos(
    site: Site, media: Path, tmp_path: Path, options: CrawlRecipe
) -> None:
    items = "".join(
        f'<item><title>Dance {n}</title><enclosure url="{site.url}/v{n}.mp4" type="video/mp4"/></item>'
        for n in (1, 2, 3)
    )
    feed = f'<?xml version="1.0"?><rss version="2.0"><channel><title>Feed</title>{items}</channel></rss>'
    found = resolve(site.add("/feed", feed.encode(), "application/rss+xml"), options)
    assert [each.url for each in found] == [f"{site.url}/v{n}.mp4" for n in (1, 2, 3)]
    assert {path for path, _ in site.requests} == {"/feed"}


@pytest.mark.parametrize(
    "url",
    [
        "https://youtu.be/dQw4w9WgXcQ?t=3",
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ&list=PLFgquLnL59alCl_2TQvOiD5Vgm1hCaGSI",
        "https://m.youtube.com/shorts/dQw4w9WgXcQ",
    ],
)
def test_addresses_of_one_site_video_are_one_id_without_a_network(url: str, options: CrawlRecipe) -> None:
    (found,) = resolve(url, options)
    assert found.video_id == "youtube-dQw4w9WgXcQ"


def test_a_direct_link_is_not_asked_twice(site: Site, options: CrawlRecipe) -> None:
    (found,) = resolve(site.url + "/gone.mp4", options)
    assert (found.url, found.video_id) == (site.url + "/gone.mp4", None)
    assert not site.requests


def test_cookies_are_sent_and_their_file_is_left_alone(
    site: Site, media: Path, tmp_path: Path, options: CrawlRecipe
) -> None:
    jar = tmp_path / "cookies.txt"
    jar.write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tabc\n")
    url = site.add("/d.mp4", (media / "noise.mp4").read_bytes(), headers={"Set-Cookie": "session=xyz"})
    before = jar.read_bytes()
    download(url, tmp_path / "d", options.model_copy(update={"cookies": jar}))
    assert jar.read_bytes() == before
    with pytest.raises(TransientError, match="cookies file cannot be read"):
        download(url, tmp_path / "d", options.model_copy(update={"cookies": tmp_path / "none.txt"}))
    (tmp_path / "bad.txt").write_text("not cookies\n")
    with pytest.raises(TransientError, match="cookies cannot be read"):
        download(url, tmp_path / "e", options.model_copy(update={"cookies": tmp_path / "bad.txt"}))


def test_nothing_outside_the_folder_is_read_or_written(
    site: Site, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    plugin = home / ".config/yt-dlp/plugins/evil/yt_dlp_plugins/extractor/evil.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(f"open({str(home / 'ran')!r}, 'w')")
    (home / ".config/yt-dlp/config").write_text("--simulate\n")
    (home / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    before = sorted(home.rglob("*"))
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "TMPDIR"):
        monkeypatch.setenv(name, str(home / ".config" if name == "XDG_CONFIG_HOME" else home))
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from d2midi_build.crawl.download import download\n"
        "from d2midi_build.recipe import CrawlRecipe\n"
        "print(download(sys.argv[1], Path('out'), CrawlRecipe(proxy='')).bytes)\n"
    )
    body = (media / "noise.mp4").read_bytes()
    (tmp_path / "work").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, site.add("/d.mp4", body)],
        cwd=tmp_path / "work", capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == (f"{len(body)}\n", ""), "silent, too"
    assert sorted(home.rglob("*")) == before
    assert len(list((tmp_path / "work").rglob("*"))) == 2


def test_a_local_file_is_hashed_where_it_lies(tmp_path: Path, media: Path, options: CrawlRecipe) -> None:
    got = local_file(media / "noise.mp4", options)
    assert got.path == media / "noise.mp4"
    assert got.sha256 == hashlib.sha256((media / "noise.mp4").read_bytes()).hexdigest()
    assert got.video_id == f"file-{got.sha256[:16]}"
    (tmp_path / "text.mp4").write_text("no video")
    assert local_file(tmp_path / "text.mp4", options).bytes == 8, "what it holds is a later stage's to say"
    (tmp_path / "empty.mp4").touch()
    for bad, words in (("none.mp4", "no such file"), ("empty.mp4", "empty"), ("", "not a file")):
        with pytest.raises(PermanentError, match=words):
            local_file(tmp_path / bad, options)
