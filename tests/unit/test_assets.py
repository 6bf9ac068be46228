"""Fetching: resumed, checked, one at a time, from a real server on loopback that misbehaves."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from taskrsa.errors import ConfigError, DataError
from taskrsa.io.assets import Asset, check_licence, fetch, read_table, taskonomy_domains

ROOT = Path(__file__).parents[2]
CONTENT = bytes(i * i % 251 for i in range(400_000))
SLICE = 20_000  # bytes that the server sends at once


class Server:
    """An HTTP server whose files and faults a test sets; it keeps what it was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.ranges = True  # whether parts of files are given
        self.etag = '"1"'  # empty for none
        self.length = True  # whether the size is announced
        self.announced: int | None = None  # another size than the true one
        self.encoding = ""
        self.shift = 0  # by how much the next part that is given begins too late
        self.answers: list[int] = []  # statuses of the next answers, before anything is given
        self.cuts: list[int] = []  # bytes after which the next answers break off
        self.pause_s = 0.0  # between slices
        self.asked: list[dict] = []
        self.sent = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                server.answer(self)

            def log_message(self, *words):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append({"path": request.path, **dict(request.headers)})
        request.close_connection = True
        status = self.answers.pop(0) if self.answers else 0
        content = self.files.get(request.path)
        if status or content is None:
            request.send_response(status or 404)
            request.send_header("Content-Length", "0")
            request.send_header("Retry-After", "0")
            request.send_header("Connection", "close")
            request.end_headers()
            return
        start = 0
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        same = request.headers.get("If-Range", self.etag) == self.etag
        if asked and self.ranges and same:
            start = int(asked[1]) + self.shift
            self.shift = 0
            if start >= len(content):
                request.send_response(416)
                request.send_header("Content-Range", f"bytes */{len(content)}")
                request.send_header("Content-Length", "0")
                request.send_header("Connection", "close")
                request.end_headers()
                return
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            request.send_response(200)
        if self.length:
            size = len(content) - start if self.announced is None else self.announced
            request.send_header("Content-Length", str(size))
        request.send_header("Connection", "close")
        for name, value in (("ETag", self.etag), ("Content-Encoding", self.encoding)):
            if value:
                request.send_header(name, value)
        request.end_headers()
        stop = len(content)
        if self.cuts:
            stop = min(stop, start + self.cuts.pop(0))
        try:
            for at in range(start, stop, SLICE):
                piece = content[at : min(at + SLICE, stop)]
                request.wfile.write(piece)
                self.sent += len(piece)
                time.sleep(self.pause_s)
        except ConnectionError:
            pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    server.files["/data.bin"] = CONTENT
    yield server
    server.close()


def sha256(content: bytes = CONTENT) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def asset_at(server: Server, file: str = "data.bin", **more) -> Asset:
    return Asset("data", f"{server.address}/{file}", file, **({"hash": sha256()} | more))


def get(asset: Asset, target: Path, **settings) -> None:
    fetch(asset, target, **({"tries": 2, "pause_s": 0.01} | settings))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def ranges(server: Server) -> list[str | None]:
    return [asked.get("Range") for asked in server.asked]


# --- what comes ---


@pytest.mark.parametrize(
    "known",
    [{"size": len(CONTENT)}, {"hash": f"md5:{hashlib.md5(CONTENT).hexdigest()}"}],
    ids=["sha256", "md5"],
)
def test_a_file_comes_whole_and_nothing_else_is_left(server, tmp_path, known):
    target = tmp_path / "deep/data.bin"
    get(asset_at(server, **known), target)
    assert target.read_bytes() == CONTENT
    assert names(target.parent) == {"data.bin"}
    assert ranges(server) == [None]
    get(asset_at(server, **known), target)  # is there already
    assert len(server.asked) == 1


def test_a_file_there_of_another_content_is_replaced(server, tmp_path):
    target = tmp_path / "data.bin"
    target.write_bytes(b"old")
    get(asset_at(server), target)
    assert target.read_bytes() == CONTENT


def test_the_bytes_are_those_of_the_server_whatever_encoding_it_claims(server, tmp_path):
    # Some servers call a .tgz an encoding of a tar; the published hash is of the .tgz.
    packed = gzip.compress(CONTENT)
    server.files["/data.tgz"] = packed
    server.encoding = "gzip"
    get(asset_at(server, "data.tgz", hash=sha256(packed)), tmp_path / "data.tgz")
    assert (tmp_path / "data.tgz").read_bytes() == packed


# --- cut off ---


def test_a_broken_connection_goes_on_where_it_stopped(server, tmp_path):
    server.cuts = [100_000, 50_000]
    get(asset_at(server), tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert ranges(server) == [None, "bytes=100000-", "bytes=150000-"]
    assert server.asked[1]["If-Range"] == '"1"'
    assert server.sent == len(CONTENT)


def test_tries_are_counted_anew_as_long_as_more_comes(server, tmp_path):
    server.cuts = [60_000] * 6
    get(asset_at(server), tmp_path / "data.bin", tries=2)
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert server.sent == len(CONTENT)


def test_another_part_than_was_asked_for_is_not_appended(server, tmp_path):
    server.cuts = [100_000]
    server.shift = 10
    get(asset_at(server, hash=""), tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert ranges(server) == [None, "bytes=100000-", None]


def test_a_server_without_ranges_is_asked_for_all_of_it_again(server, tmp_path):
    server.ranges = False
    server.cuts = [100_000]
    get(asset_at(server), tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert server.sent == len(CONTENT) + 100_000


def test_a_connection_that_always_breaks_is_one_line_and_the_part_stays(server, tmp_path):
    server.ranges = False
    server.cuts = [100_000] * 9
    with pytest.raises(DataError, match=r"data.bin: the connection broke.*repeatedly"):
        get(asset_at(server), tmp_path / "data.bin")
    assert len(server.asked) == 3
    assert names(tmp_path) == {"data.bin.part", "data.bin.part.json"}
    server.ranges, server.cuts, server.asked = True, [], []
    get(asset_at(server), tmp_path / "data.bin")
    assert ranges(server) == ["bytes=100000-"]
    assert names(tmp_path) == {"data.bin"}


def test_a_file_that_changed_meanwhile_is_not_pieced_together(server, tmp_path):
    unknown = asset_at(server, hash="")
    server.cuts = [100_000] * 4
    server.ranges = False
    with pytest.raises(DataError):
        get(unknown, tmp_path / "data.bin")
    server.ranges, server.cuts, server.etag = True, [], '"2"'
    server.files["/data.bin"] = CONTENT[::-1]
    get(unknown, tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT[::-1]


def test_without_hash_or_entity_tag_a_download_starts_anew(server, tmp_path):
    server.etag = ""
    server.cuts = [100_000]
    get(asset_at(server, hash=""), tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert ranges(server) == [None, None]


def test_a_part_of_something_else_is_thrown_away(server, tmp_path):
    server.etag = ""
    (tmp_path / "data.bin.part").write_bytes(b"x" * 100_000)
    get(asset_at(server), tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert ranges(server) == ["bytes=100000-", None]


@pytest.mark.parametrize("extra", [b"", b"too much"])
def test_a_part_that_is_whole_or_too_long_is_told_apart(server, tmp_path, extra):
    (tmp_path / "data.bin.part").write_bytes(CONTENT + extra)
    get(asset_at(server), tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert server.sent == (len(CONTENT) if extra else 0)


# --- what a server answers ---


@pytest.mark.parametrize("statuses", [[503], [429, 500], [502, 504]])
def test_a_server_that_is_busy_is_asked_again(server, tmp_path, statuses):
    server.answers = list(statuses)
    get(asset_at(server), tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert len(server.asked) == len(statuses) + 1


def test_a_server_that_stays_busy_is_one_line(server, tmp_path):
    server.answers = [503] * 9
    with pytest.raises(DataError, match=r"/data.bin: 503 Service Unavailable; run again later"):
        get(asset_at(server), tmp_path / "data.bin")
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [403, 404, 410])
def test_what_is_not_there_is_asked_for_once(server, tmp_path, status):
    server.answers = [status] * 9
    with pytest.raises(DataError, match=rf"^{server.address}/data.bin: {status} .*data.bin into"):
        get(asset_at(server), tmp_path / "data.bin")
    assert len(server.asked) == 1
    assert names(tmp_path) == set()


def test_wrong_bytes_are_thrown_away(server, tmp_path):
    server.files["/data.bin"] = b"<html>please log in</html>"
    with pytest.raises(DataError, match=f"wrong content: SHA-256 {sha256()[7:]} expected, found"):
        get(asset_at(server), tmp_path / "data.bin")
    assert names(tmp_path) == set()
    assert len(server.asked) == 1


def test_an_address_that_is_listed_again_gives_wrong_bytes_once(server, tmp_path):
    asset = asset_at(server, hash=sha256(b"other"))
    base = asset.address.rpartition("/")[0]
    with pytest.raises(DataError, match="wrong content: SHA-256"):
        get(asset, tmp_path / "data.bin", local=[base, f"{base}/"])
    assert len(server.asked) == 1
    assert names(tmp_path) == set()


def test_a_wrong_size_is_refused_before_it_comes(server, tmp_path):
    with pytest.raises(DataError, match="announces 400000 bytes where 7 are expected"):
        get(asset_at(server, size=7), tmp_path / "data.bin")
    assert names(tmp_path) == set()


def test_a_server_that_is_gone_is_one_line(server, tmp_path):
    asset = asset_at(server)
    server.close()
    with pytest.raises(DataError, match=r"/data.bin: .*Connection refused; run again later") as e:
        get(asset, tmp_path / "data.bin")
    assert "object at 0x" not in str(e.value)


# --- processes ---


def child(asset: Asset, target: Path, limit: int | None = None, **settings) -> subprocess.Popen:
    """Start the entry script; `limit` is the largest file in bytes that it can write."""

    def prepare():
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    settings = {"tries": 1, "pause_s": 0.01, **settings}
    words = ["--asset", json.dumps(vars(asset)), "--settings", json.dumps(settings)]
    return subprocess.Popen(
        [sys.executable, ROOT / "scripts/fetch.py", *words, "--file", str(target)],
        preexec_fn=prepare,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.01)


def test_two_at_once_download_once_and_both_succeed(server, tmp_path):
    server.pause_s = 0.1
    target = tmp_path / "data.bin"
    first, second = child(asset_at(server), target), child(asset_at(server), target)
    printed = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0)
    assert target.read_bytes() == CONTENT
    assert len(server.asked) == 1
    assert sum("is already there" in text for text in printed) == 1
    assert names(tmp_path) == {"data.bin"}


def test_a_killed_download_blocks_nobody_and_goes_on(server, tmp_path):
    server.pause_s = 0.1
    target, part = tmp_path / "data.bin", tmp_path / "data.bin.part"
    process = child(asset_at(server), target)
    wait_for(lambda: part.exists() and part.stat().st_size > 100_000)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    have = part.stat().st_size
    assert not target.exists()
    assert (tmp_path / "data.bin.lock").exists()
    server.pause_s = 0
    get(asset_at(server), target)
    assert target.read_bytes() == CONTENT
    assert ranges(server) == [None, f"bytes={have}-"]


def test_a_full_disk_is_one_line_and_what_came_is_kept(server, tmp_path):
    target = tmp_path / "data.bin"
    process = child(asset_at(server), target, limit=150_000)
    _, errors = process.communicate(timeout=60)
    line = errors.splitlines()[-1]
    assert process.returncode == 1
    assert re.match(r"error: \S+data.bin.*: cannot be written \(File too large\)", line), errors
    assert "Traceback" not in errors
    assert 100_000 < (tmp_path / "data.bin.part").stat().st_size <= 150_000
    get(asset_at(server), target)
    assert target.read_bytes() == CONTENT
    assert server.asked[-1]["Range"].startswith("bytes=1")


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """Mount a file system of 256 KiB, or skip."""
    place = tmp_path / "small"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_fills_up_and_one_that_is_too_small_from_the_start(server, small_disk):
    with pytest.raises(DataError, match=r"0.0004 GB are needed and 0.0002[0-9]+ GB are free"):
        get(asset_at(server), small_disk / "data.bin")
    assert server.sent < len(CONTENT)
    server.length = False
    with pytest.raises(DataError, match=r"data.bin.part: cannot be written \(No space left"):
        get(asset_at(server), small_disk / "data.bin")


def test_a_size_that_no_disk_holds_is_refused(server, tmp_path):
    server.announced = 10**17
    with pytest.raises(DataError, match=r"data.bin.part: 1e\+08 GB are needed"):
        get(asset_at(server, hash=""), tmp_path / "data.bin")


# --- copies of the user's, mirrors, licences ---


def test_a_local_copy_goes_before_the_network_and_is_only_read(server, tmp_path):
    copy = tmp_path / "copies/data.bin"
    copy.parent.mkdir()
    copy.write_bytes(CONTENT)
    copy.chmod(0o444)
    before = copy.stat()
    target = tmp_path / "downloads/data.bin"
    get(asset_at(server), target, local=[str(tmp_path), str(copy.parent)], offline=True)
    assert target.read_bytes() == CONTENT
    assert target.resolve() == copy
    assert server.asked == []
    target.unlink()
    after = copy.stat()
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)


def test_a_damaged_local_copy_is_told_and_passed_over(server, tmp_path, capfd):
    copy = tmp_path / "copies/data.bin"
    copy.parent.mkdir()
    copy.write_bytes(b"damaged")
    get(asset_at(server), tmp_path / "data.bin", local=[str(copy.parent)])
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert f"{copy}: wrong content: SHA-256" in capfd.readouterr().out
    assert copy.read_bytes() == b"damaged"


def test_mirrors_are_tried_in_their_order(server, tmp_path):
    server.files = {"/good/data.bin": CONTENT}
    mirrors = [f"{server.address}/empty", f"{server.address}/good/"]
    get(asset_at(server), tmp_path / "data.bin", local=mirrors)
    paths = [asked["path"] for asked in server.asked]
    assert paths == ["/empty/data.bin", "/good/data.bin"]
    with pytest.raises(
        DataError, match=r"could not be fetched: .*empty/data.bin \(404.*, .*data.bin"
    ):
        get(asset_at(server), tmp_path / "again.bin", local=mirrors[:1])


def test_offline_never_asks_and_says_where_it_looked(server, tmp_path):
    with pytest.raises(DataError, match=r"data.bin: assets.offline forbids .*lists no folder"):
        get(asset_at(server), tmp_path / "data.bin", offline=True)
    places = [str(tmp_path / "a"), server.address, str(tmp_path / "b")]
    (tmp_path / "b").mkdir()
    (tmp_path / "b/data.bin").write_bytes(b"damaged")
    found = rf"{tmp_path}/a/data.bin \(no such file\), {tmp_path}/b/data.bin \(wrong content"
    with pytest.raises(DataError, match=found):
        get(asset_at(server), tmp_path / "data.bin", local=places, offline=True)
    assert server.asked == []


def test_what_only_a_browser_gets_is_taken_from_a_copy(server, tmp_path):
    asset = asset_at(server, how="hand")
    with pytest.raises(DataError, match=rf"only a browser can get it, from {asset.address}; put a"):
        get(asset, tmp_path / "data.bin")
    (tmp_path / "copies").mkdir()
    (tmp_path / "copies/data.bin").write_bytes(CONTENT)
    get(asset, tmp_path / "data.bin", local=[str(tmp_path / "copies")])
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert server.asked == []


def test_a_licence_that_is_not_accepted_is_named_with_its_address(server, tmp_path):
    asset = asset_at(server, accept=True, licence="mine", licence_address="https://example.org/l")
    line = (
        r"assets.accept_licences: data.bin comes under the licence mine, which is not accepted; "
        r"read https://example.org/l and add mine to the list"
    )
    with pytest.raises(ConfigError, match=line):
        get(asset, tmp_path / "data.bin", accepted=["yours"])
    assert server.asked == []
    get(asset, tmp_path / "data.bin", accepted=["mine"])
    check_licence(asset_at(server, accept=False, licence="free"), ())


# --- without a published hash ---


def tar_of(text: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name in ("a.txt", "b.txt"):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    return stream.getvalue()


def test_what_came_is_recorded_and_another_content_later_is_noticed(server, tmp_path):
    content = tar_of(b"one")
    server.files["/data.tar"] = content
    asset, target = asset_at(server, "data.tar", hash=""), tmp_path / "data.tar"
    get(asset, target)
    record = Path(f"{target}.sha256")
    assert record.read_text() == f"{sha256(content)[7:]}  data.tar\n"
    target.unlink()
    get(asset, target)
    target.unlink()
    server.files["/data.tar"] = tar_of(b"two")
    with pytest.raises(DataError, match=rf"differs from the last download's.*remove {record}"):
        get(asset, target)
    assert names(tmp_path) == {"data.tar.sha256"}
    record.unlink()
    get(asset, target)
    assert target.read_bytes() == tar_of(b"two")


def test_an_archive_that_ends_early_is_not_taken_for_whole(server, tmp_path):
    # 1,024 bytes is the first of the two members, whole.
    server.files["/data.tar"] = tar_of(b"one")[:1024]
    server.length = False
    with pytest.raises(DataError, match=r"is damaged or was cut off"):
        get(asset_at(server, "data.tar", hash=""), tmp_path / "data.tar")
    assert names(tmp_path) == set()


# --- the table ---


def schema() -> dict:
    return yaml.safe_load((ROOT / "workflow/schemas/assets.schema.yaml").read_text())


def test_the_table_of_the_public_bank_has_every_encoder():
    from taskrsa.networks.table import asset_of, read_bank
    from taskrsa.tasks.dictionary import TASKS

    rows = read_bank(ROOT / "config/networks/taskonomy.tsv")
    assert [row.task for row in rows.values()] == list(TASKS)
    for row in rows.values():
        name = f"{TASKS[row.task].bank_name}_encoder-{row.sha256}.pth"
        assert row.weights.endswith(f"/networks/assets/pytorch/{name}")
        asset = asset_of(row)
        assert asset.file.endswith(name)
        assert not asset.accept


def test_the_table_has_every_data_set():
    table = read_table(ROOT / "config/assets.tsv", schema())
    data = {"taskonomy", "stimuli", "affinities", "winrates", "voc2012", "sbd", "nyuv2"}
    assert set(table) == data
    assert all(table[name].accept for name in data)
    assert all(table[name].hash for name in data - {"taskonomy", "stimuli"})
    assert table["voc2012"].size == 1_999_639_040
    tar = table["taskonomy"].of(building="hanson", domain="rgb")
    assert tar.address == "https://datasets.epfl.ch/taskonomy/hanson_rgb.tar"
    assert (tar.name, tar.file) == ("taskonomy/hanson/rgb", "hanson_rgb.tar")


@pytest.mark.parametrize("name", ["affinities", "winrates"])
def test_the_table_s_hashes_are_those_of_the_published_files(real_data, tmp_path, name):
    asset = read_table(ROOT / "config/assets.tsv", schema())[name]
    target = tmp_path / asset.file
    settings = {"accepted": [asset.licence], "offline": True}
    fetch(asset, target, local=[str(real_data / "taskonomy")], **settings)
    assert target.stat().st_size == asset.size


def test_the_tasks_domains_are_those_the_source_reads():
    from taskrsa.data import taskonomy
    from taskrsa.tasks.dictionary import TASKS

    assert sorted(taskonomy_domains(TASKS)) == sorted(taskonomy._DOMAINS)
    assert taskonomy_domains(["autoencoder"]) == ["rgb", "point_info"]
    assert taskonomy_domains(["edge3d", "rgb2depth"]) == [
        "rgb",
        "point_info",
        "edge_occlusion",
        "depth_zbuffer",
    ]


ROW = {
    "name": "a",
    "address": "https://example.org/a.bin",
    "file": "a.bin",
    "how": "http",
    "hash": "",
    "size": "",
    "licence": "x",
    "licence_address": "https://example.org/licence",
    "accept": "no",
    "needs": "all",
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hash": "sha256:12"}, r"line 2, hash: 'sha256:12' does not match"),
        ({"hash": "crc32:12345678"}, r"line 2, hash"),
        ({"size": "big"}, r"line 2, size"),
        ({"file": "../a.bin"}, r"line 2, file"),
        ({"file": "/etc/passwd"}, r"line 2, file"),
        ({"accept": "perhaps"}, r"line 2, accept: 'perhaps' is not one of"),
        ({"address": "ftp://a"}, r"line 2, address"),
        ({"more": "x"}, r"line 2, columns: Additional properties"),
    ],
)
def test_a_wrong_row_is_one_line(tmp_path, change, message):
    row = ROW | change
    table = tmp_path / "assets.tsv"
    table.write_text("\t".join(row) + "\n" + "\t".join(row.values()) + "\n")
    with pytest.raises(ConfigError, match=rf"^{table}, {message}"):
        read_table(table, schema())


@pytest.mark.parametrize("column", ["name", "file"])
def test_a_name_or_file_twice_is_one_line(tmp_path, column):
    rows = [ROW, ROW | {"name": "b", "file": "b.bin"} | {column: ROW[column]}]
    table = tmp_path / "assets.tsv"
    lines = ["\t".join(ROW), *("\t".join(row.values()) for row in rows)]
    table.write_text("\n".join(lines) + "\n")
    with pytest.raises(ConfigError, match=f"line 3: {column} {ROW[column]} is listed twice"):
        read_table(table, schema())
