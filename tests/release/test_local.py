"""Fetching a release over a network and converting it, with everything that can go wrong in between."""

from __future__ import annotations

import http.server
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from d2midi_build.digests import sha256_file
from d2midi_build.errors import D2midiError, SchemaError, UsageError
from d2midi_build.release import format as layout
from d2midi_build.release import stored
from d2midi_build.release.local import cache_folder, find
from d2midi_build.release.reader import Release, open_release
from tests.release import making


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release; tests must not change it."""
    return making.release(tmp_path_factory.mktemp("made"), videos=5, n_frames=(130, 205))


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """The same release, to be spoilt."""
    return Path(shutil.copytree(folder, tmp_path / "published"))


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where this test's releases are kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    return tmp_path / "xdg" / "d2midi" / "releases"


class Server:
    """A web server on loopback that knows no ranges and counts what is asked of it."""

    def __init__(self, folder: Path) -> None:
        asked: list[str] = []
        self.asked = asked
        self.sums: tuple[int, bytes, int] | None = None
        """Another answer to who asks for SHA256SUMS: status, body, and the length that is announced."""
        server = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args: Any) -> None:
                super().__init__(*args, directory=str(folder))

            def do_GET(self) -> None:
                asked.append(self.path)
                if server.sums is None or not self.path.endswith(layout.SUMS):
                    super().do_GET()
                    return
                status, body, length = server.sums
                self.send_response(status)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        """Be gone from the network."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


@pytest.fixture
def server(copy: Path) -> Iterator[Server]:
    """Serves ``copy``."""
    running = Server(copy)
    yield running
    running.stop()


def everything(release: Release) -> list[Any]:
    """All that its windows hold."""
    found: list[Any] = []
    for window in release:
        assert window.audio is not None
        found += [
            window.keypoints,
            window.visibility,
            window.audio,
            window.notes.onset_s,
            window.beats.kinematic_s,
        ]
    return found


def same(first: Release, second: Release) -> bool:
    """Whether two releases hold the same windows, to the bit."""
    pairs = zip(everything(first), everything(second), strict=True)
    return all(np.array_equal(one, other, equal_nan=True) for one, other in pairs)


def test_a_release_behind_an_address_reads_as_the_folder_does(folder: Path, server: Server) -> None:
    assert same(open_release(server.url), open_release(folder, memory_map=False))


@pytest.mark.parametrize("protocol", ["memory", "file"])
def test_any_protocol_of_fsspec_will_do(folder: Path, protocol: str) -> None:
    url = f"file://{folder}"
    if protocol == "memory":
        url = "memory://published/release"
        fsspec.filesystem("memory").put(str(folder), "/published/release", recursive=True)
    assert same(open_release(url, memory_map=False), open_release(folder, memory_map=False))


def test_only_what_is_needed_is_fetched_and_only_once(server: Server) -> None:
    release = open_release(server.url + "/")
    small = [layout.MANIFEST, layout.REMOVED, layout.SUMS] + [
        layout.table_file(table, split) for table in layout.WHOLE for split in release.manifest["shards"]
    ]
    assert sorted(server.asked) == sorted(f"/{name}" for name in small)
    server.asked.clear()
    for window in release.filter(split="validation"):
        assert np.isfinite(window.keypoints).any()
    assert server.asked == [f"/{layout.table_file('frames', 'validation')}"]
    server.asked.clear()
    assert np.isfinite(open_release(server.url).filter(split="validation")[0].keypoints).any()
    assert server.asked == [f"/{layout.SUMS}"]


def test_frames_that_were_fetched_are_kept_and_converted(server: Server, cache: Path) -> None:
    release = open_release(server.url).filter(split="test")
    assert np.isfinite(release[0].keypoints).any()
    kept = cache / release.digest
    assert (kept / "mapped" / "frames" / "test-00000" / "face.npy").exists()
    as_parquet = open_release(server.url, memory_map=False).filter(split="test")
    assert np.array_equal(as_parquet[0].keypoints, release[0].keypoints, equal_nan=True)
    assert (kept / layout.table_file("frames", "test")).exists()


def test_what_was_fetched_before_needs_no_network(
    server: Server, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    before = everything(open_release(server.url))
    server.stop()
    again = everything(open_release(server.url))
    assert all(np.array_equal(one, other, equal_nan=True) for one, other in zip(before, again, strict=True))
    assert "cannot be fetched" in caplog.text and "Going on with what was fetched" in caplog.text
    with pytest.raises(UsageError, match="SHA256SUMS cannot be fetched"):
        open_release(server.url, cache=tmp_path / "another")


def test_a_file_that_was_never_fetched_is_missed_without_network(server: Server) -> None:
    release = open_release(server.url)
    server.stop()
    with pytest.raises(UsageError, match=r"frames/\w+-00000\.parquet cannot be fetched"):
        _ = release[0].keypoints


@pytest.mark.parametrize("damage", ["changed", "cut", "page"])
def test_a_file_that_is_not_what_the_sums_say_is_refused_and_not_kept(
    copy: Path, server: Server, cache: Path, damage: str
) -> None:
    release = open_release(server.url).filter(split="test")
    path = copy / layout.table_file("frames", "test")
    good = path.read_bytes()
    path.write_bytes(
        {"changed": good[:900] + b"?" + good[901:], "cut": good[:-1], "page": b"<html>Please log in</html>"}[
            damage
        ]
    )
    with pytest.raises(
        SchemaError, match=r"frames/test-00000\.parquet is not what SHA256SUMS says.*Try again"
    ):
        _ = release[0].keypoints
    assert not [
        file
        for file in cache.rglob("*test-00000*")
        if file.is_file() and "frames" in str(file) and file.stat().st_size
    ]
    path.write_bytes(good)
    assert np.isfinite(release[0].keypoints).any()


def test_a_new_release_at_the_same_address_is_noticed(copy: Path, server: Server) -> None:
    first = open_release(server.url).digest
    sums = copy / layout.SUMS
    sums.write_text(sums.read_text() + f"{'0' * 64}  CHANGES.md\n")
    assert open_release(server.url).digest == sha256_file(sums) != first


def test_an_address_without_a_release_is_told_apart_from_no_network(server: Server) -> None:
    with pytest.raises(UsageError, match=r"nowhere/SHA256SUMS is not there \(HTTP Error 404"):
        open_release(f"{server.url}/nowhere")
    with pytest.raises(UsageError, match="SHA256SUMS is not there"):
        open_release("memory://nowhere")
    with pytest.raises(UsageError, match="SHA256SUMS cannot be fetched"):
        open_release("carrier-pigeon://nowhere")


@pytest.mark.parametrize("line", ["no sum at all", f"{'0' * 64}  ../../.bashrc", f"{'0' * 64}  /etc/passwd"])
def test_sums_that_lead_elsewhere_are_refused(copy: Path, server: Server, line: str) -> None:
    (copy / layout.SUMS).write_text(f"{line}\n")
    for location in (str(copy), server.url):
        with pytest.raises(SchemaError, match="line 1 of SHA256SUMS is not a line of `sha256sum`"):
            open_release(location)


def test_several_readers_at_once_fetch_a_file_once_and_read_it_whole(server: Server) -> None:
    releases = [open_release(server.url).filter(split="train") for _ in range(4)]
    server.asked.clear()
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda release: release[0].keypoints, releases))
    assert server.asked == [f"/{layout.table_file('frames', 'train')}"]
    assert all(np.array_equal(each, found[0], equal_nan=True) for each in found)


def test_converting_tells_how_far_it_is_and_is_done_once(folder: Path, cache: Path) -> None:
    told: list[tuple[int, int]] = []
    release = open_release(folder, memory_map=True, converted=lambda done, total: told.append((done, total)))
    total = 4 * sum(release.manifest["shards"].values())  # frames, notes, beats and sound
    assert told == [(done, total) for done in range(total + 1)]
    kept = cache / release.digest / "mapped"
    times = {path: path.stat().st_mtime_ns for path in kept.rglob("*.npy")}
    assert same(open_release(folder, memory_map=True), open_release(folder, memory_map=False))
    assert {path: path.stat().st_mtime_ns for path in kept.rglob("*.npy")} == times


def test_a_folder_is_read_converted_once_it_was_and_never_if_not_wanted(copy: Path, cache: Path) -> None:
    before = open_release(copy, memory_map=True)[0].keypoints
    shutil.rmtree(copy / "data" / "frames")
    assert np.array_equal(open_release(copy)[0].keypoints, before, equal_nan=True)
    with pytest.raises(SchemaError, match="is missing"):
        _ = open_release(copy, memory_map=False)[0].keypoints
    shutil.rmtree(cache)
    with pytest.raises(SchemaError, match="is missing"):
        _ = open_release(copy)[0].keypoints


def test_what_a_killed_conversion_left_behind_is_not_used(folder: Path, cache: Path) -> None:
    kept = cache / find(folder).digest / "mapped" / "frames"
    expected = open_release(folder, memory_map=False)[0].keypoints
    split = open_release(folder)[0].split
    half = kept / f".{split}-00000.partial"
    half.mkdir(parents=True)
    np.save(half / "face.npy", np.zeros((7, 1434), np.int16))
    (half / "stray").write_text("of another version")
    assert np.array_equal(open_release(folder)[0].keypoints, expected, equal_nan=True)
    assert np.array_equal(open_release(folder, memory_map=True)[0].keypoints, expected, equal_nan=True)
    assert not half.exists() and not (kept / f"{split}-00000" / "stray").exists()


def test_a_conversion_that_is_interrupted_begins_again(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, made = stored._npy, []

    def interrupted(path: Path, *args: Any) -> Any:
        made.append(path)
        if len(made) == 4:
            raise KeyboardInterrupt
        return real(path, *args)

    monkeypatch.setattr(stored, "_npy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        open_release(folder, memory_map=True)
    assert len(made) == 4 and not [path for path in cache.rglob("*-00000") if path.is_dir()]
    monkeypatch.setattr(stored, "_npy", real)
    assert same(open_release(folder, memory_map=True), open_release(folder, memory_map=False))


def test_what_a_killed_download_left_behind_is_not_used(folder: Path, server: Server, cache: Path) -> None:
    release = open_release(server.url, memory_map=False)
    for split in release.manifest["shards"]:
        target = cache / release.digest / layout.table_file("frames", split)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.with_name(f".{target.name}.partial").write_bytes(b"PAR1 and no more")
    assert same(release, open_release(folder, memory_map=False))


def test_a_cache_that_cannot_be_written_is_told_with_a_way_out(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match=r"cannot be written.*memory_map=False"):
        open_release(folder, cache=tmp_path / "file", memory_map=True)
    assert len(open_release(folder, cache=tmp_path / "file")[0].notes)


def test_the_cache_is_where_the_system_keeps_such_things(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert cache_folder() == tmp_path / "xdg" / "d2midi" / "releases"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "d2midi" / "releases"


def test_a_damaged_conversion_is_told_with_what_to_delete(folder: Path, cache: Path) -> None:
    release = open_release(folder, memory_map=True)
    path = next((cache / release.digest / "mapped" / "notes").rglob("rows.npy")).parent
    for file in path.parent.rglob("rows.npy"):
        file.write_bytes(b"nothing of the kind")
    with pytest.raises(D2midiError, match=r"rows\.npy is damaged.*delete the folder"):
        _ = open_release(folder)[0].notes


@pytest.mark.parametrize(
    ("status", "body", "length"),
    [
        (200, b"<html>Log in to the hotel's network</html>", 42),
        (200, b"", 0),
        (200, b"half", 4000),
        (503, b"later", 5),
    ],
)
def test_an_answer_that_is_no_release_does_not_cost_what_is_there(
    server: Server, caplog: pytest.LogCaptureFixture, status: int, body: bytes, length: int
) -> None:
    before = open_release(server.url)
    assert before[0].keypoints.size
    server.sums = (status, body, length)
    for _ in range(2):
        assert open_release(server.url).digest == before.digest
    assert "Going on with what was fetched" in caplog.text


def test_a_release_that_was_withdrawn_is_not_read_from_the_cache(server: Server) -> None:
    open_release(server.url)
    server.sums = (410, b"removed on request of the dancer", 32)
    with pytest.raises(UsageError, match="is not there"):
        open_release(server.url)


def test_a_damaged_file_is_not_converted_into_the_cache_of_the_whole_release(
    folder: Path, copy: Path
) -> None:
    path = copy / layout.table_file("frames", "test")
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    with pytest.raises(SchemaError, match=r"test-00000\.parquet is not what SHA256SUMS says"):
        open_release(copy, memory_map=True)
    assert same(open_release(folder), open_release(folder, memory_map=False))


def test_an_address_book_that_was_torn_is_not_relied_on(server: Server, cache: Path) -> None:
    before = open_release(server.url)
    for path in (cache / "addresses").glob("*.json"):
        path.write_text('{"url": "ht')
    assert open_release(server.url).digest == before.digest
    for path in (cache / "addresses").glob("*.json"):
        path.write_text("")
    server.stop()
    with pytest.raises(UsageError, match="cannot be fetched"):
        open_release(server.url)
