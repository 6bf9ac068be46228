"""Unpacking: what is wanted, whole or not at all, and never outside the folder."""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from taskrsa.errors import DataError
from taskrsa.io.archive import check, unpack

SCRIPTS = Path(__file__).parents[2] / "scripts"
FILES = {
    "set/images/1.png": b"one" * 300,
    "set/images/2.png": b"two",
    "set/labels/1.png": b"label",
    "set/readme.txt": b"read me",
}


def entry(name: str, size: int = 0, **more) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    for key, value in more.items():
        setattr(info, key, value)
    return info


def make_tar(
    path: Path, files: dict[str, bytes], *others: tarfile.TarInfo, mode: str = "w"
) -> Path:
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            tar.addfile(entry(name, len(content)), io.BytesIO(content))
        for info in others:
            tar.addfile(info)
    return path


def make_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return path


def make(kind: str, folder: Path, files: dict[str, bytes] = FILES) -> Path:
    if kind == "zip":
        return make_zip(folder / "set.zip", files)
    return make_tar(folder / f"set.{kind}", files, mode="w:gz" if kind == "tgz" else "w")


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


KINDS = pytest.mark.parametrize("kind", ["tar", "tgz", "zip"])


@KINDS
def test_only_what_is_wanted_is_unpacked_and_listed(tmp_path, kind):
    archive = make(kind, tmp_path)
    rows = unpack(archive, tmp_path / "out", ["*/images/*", "*.txt"])
    wanted = ("set/images/1.png", "set/images/2.png", "set/readme.txt")
    assert contents(tmp_path / "out") == {name: FILES[name] for name in wanted}
    assert rows == [{"member": name, "size": len(FILES[name])} for name in wanted]
    unpack(archive, tmp_path / "other", ["set/labels*"])
    assert contents(tmp_path / "other") == {"set/labels/1.png": b"label"}
    check(archive)


@KINDS
def test_flat_files_lose_the_archive_s_folders(tmp_path, kind):
    archive = make(kind, tmp_path)
    rows = unpack(archive, tmp_path / "out", ["*/images/*"], flatten=True)
    assert [row["member"] for row in rows] == ["1.png", "2.png"]
    assert contents(tmp_path / "out") == {"1.png": b"one" * 300, "2.png": b"two"}
    with pytest.raises(DataError, match=r"holds 1.png twice"):
        unpack(archive, tmp_path / "twice", ["*.png"], flatten=True)
    assert not (tmp_path / "twice").exists()


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    old = tmp_path / "out"
    old.mkdir()
    (old / "old.txt").write_text("old")
    (tmp_path / ".out.part").mkdir()  # of an attempt that was killed
    (tmp_path / ".out.part/half.png").write_text("half")
    unpack(make("tar", tmp_path), old, ["./*.txt", "*.txt"])
    assert contents(old) == {"set/readme.txt": b"read me"}
    assert {path.name for path in tmp_path.iterdir()} == {"out", "set.tar"}


def test_names_that_begin_with_a_dot_slash_are_plain(tmp_path):
    archive = make_tar(tmp_path / "dot.tar", {"./rgb/point_1.png": b"x"}, entry("./", type=b"5"))
    assert unpack(archive, tmp_path / "out", ["rgb/*"]) == [
        {"member": "rgb/point_1.png", "size": 1}
    ]


def hostile(folder: Path) -> dict[str, Path]:
    """Make archives that try to write elsewhere."""
    link = {"type": tarfile.SYMTYPE}
    bad = {
        "parent": entry("../evil.txt"),
        "deep parent": entry("set/../../evil.txt"),
        "absolute": entry("/tmp/evil.txt"),
        "windows": entry("C:\\evil.txt"),
        "link out": entry("set/link", linkname="../../elsewhere", **link),
        "link to root": entry("set/link", linkname="/etc", **link),
        "hard link out": entry("set/hard", linkname="../x", type=tarfile.LNKTYPE),
        "device": entry("set/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
        "pipe": entry("set/pipe", type=tarfile.FIFOTYPE),
    }
    made = {name: make_tar(folder / f"{name}.tar", FILES, info) for name, info in bad.items()}
    made["zip parent"] = make_zip(folder / "parent.zip", FILES | {"../evil.txt": b"evil"})
    made["zip absolute"] = make_zip(folder / "absolute.zip", FILES | {"/tmp/evil.txt": b"evil"})
    symlink = zipfile.ZipInfo("set/link")
    symlink.external_attr = 0o120777 << 16
    made["zip link"] = make_zip(folder / "link.zip", FILES)
    with zipfile.ZipFile(made["zip link"], "a") as file:
        file.writestr(symlink, "/etc")
    return made


@pytest.mark.parametrize("wanted", ["*", "*.png"], ids=["wanted", "not wanted"])
def test_an_archive_that_writes_elsewhere_is_refused_as_a_whole(tmp_path, wanted):
    archives = tmp_path / "archives"
    archives.mkdir()
    for archive in hostile(archives).values():
        with pytest.raises(DataError, match=r"evil|link|hard|null|pipe") as error:
            unpack(archive, tmp_path / "a/b/out", [wanted])
        assert str(error.value).startswith(f"{archive}: "), error.value
        assert not (tmp_path / "a/b/out").exists()
        with pytest.raises(DataError):
            check(archive)
    assert not Path("/tmp/evil.txt").exists()
    assert contents(tmp_path / "a") == {}


def test_a_link_inside_is_kept_and_one_over_a_link_out_is_not_followed(tmp_path):
    inside = entry("set/again.txt", linkname="readme.txt", type=tarfile.SYMTYPE)
    unpack(make_tar(tmp_path / "in.tar", FILES, inside), tmp_path / "in", ["*.txt"])
    assert (tmp_path / "in/set/again.txt").read_bytes() == b"read me"
    # Two links that are harmless alone, and outside when one is followed through the other.
    first = entry("a/b", linkname=".", type=tarfile.SYMTYPE)
    second = entry("a/b/c", linkname="../..", type=tarfile.SYMTYPE)
    archive = make_tar(tmp_path / "chain.tar", FILES, first, second)
    with pytest.raises(DataError, match=r"a/b/c"):
        unpack(archive, tmp_path / "chain")
    assert not (tmp_path / "chain").exists()


@KINDS
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_an_archive_that_was_cut_off_is_one_line(tmp_path, kind, share):
    noise = {f"noise/{number}.bin": os.urandom(5_000) for number in range(4)}
    archive = make(kind, tmp_path, noise)
    whole = archive.read_bytes()
    # A tar ends with zeros up to a multiple of 10,240 bytes: those may be missing.
    end = len(whole.rstrip(b"\0")) if kind == "tar" else len(whole)
    archive.write_bytes(whole[: int(end * share)])
    for step in (check, lambda path: unpack(path, tmp_path / "out")):
        with pytest.raises(DataError, match=rf"^{archive}: is damaged or was cut off"):
            step(archive)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / ".out.part").exists()


def test_a_tar_that_was_cut_between_two_members_is_not_taken_for_whole(tmp_path):
    archive = make("tar", tmp_path)
    archive.write_bytes(archive.read_bytes()[: 512 + 1024])  # the first member, whole
    with pytest.raises(DataError, match=r"lacks its end mark"):
        check(archive)
    with pytest.raises(DataError, match=r"lacks its end mark"):
        unpack(archive, tmp_path / "out")


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path):
    archive = make("tar", tmp_path)
    content = bytearray(archive.read_bytes())
    content[1536:1546] = b"xxxxxxxxxx"  # in the header of the second member
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged header"):
        unpack(archive, tmp_path / "out")


def test_a_zip_with_a_wrong_checksum_and_other_files_are_refused(tmp_path):
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.txt", b"content")
    archive.write_bytes(archive.read_bytes().replace(b"content", b"CONTENT", 1))
    for step in (check, lambda path: unpack(path, tmp_path / "out")):
        with pytest.raises(DataError, match=r"is damaged"):
            step(archive)
    page = tmp_path / "page.tar"
    page.write_text("<html>please log in</html>")
    with pytest.raises(DataError, match=rf"^{page}: is damaged"):
        unpack(page, tmp_path / "out")
    with pytest.raises(DataError, match=r"absent.tar: file not found"):
        unpack(tmp_path / "absent.tar", tmp_path / "out")


def test_an_archive_with_nothing_wanted_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"holds none of the wanted files"):
        unpack(make("tar", tmp_path), tmp_path / "out", ["*.jpg"])
    assert not (tmp_path / "out").exists()


def call(*words, limit: int | None = None) -> subprocess.CompletedProcess:
    """Run the entry script; `limit` is the largest file in bytes that it can write."""

    def prepare():
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [sys.executable, SCRIPTS / "unpack.py", *map(str, words)],
        preexec_fn=prepare,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_full_disk_is_one_line_and_nothing_is_left(tmp_path):
    archive = make_tar(tmp_path / "set.tar", {"large.bin": bytes(100_000)})
    words = ["--archive", archive, "--folder", tmp_path / "out", "--manifest", tmp_path / "out.csv"]
    done = call(*words, "--wanted", "*", limit=50_000)
    assert done.returncode == 1
    line = f"error: {tmp_path / 'out'}: cannot be written (File too large); free some space"
    assert done.stderr.startswith(line), done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"set.tar"}


def test_the_entry_writes_the_manifest(tmp_path):
    archive = make("tgz", tmp_path)
    words = ["--archive", archive, "--folder", tmp_path / "out", "--manifest", tmp_path / "out.csv"]
    words += ["--wanted", "*/images/*", "*/labels/*", "--flatten", "false"]
    done = call(*words)
    assert done.returncode == 0, done.stderr
    manifest = pd.read_csv(tmp_path / "out.csv")
    assert list(manifest) == ["member", "size"]
    assert dict(manifest.values) == {
        name: len(content) for name, content in FILES.items() if name.endswith(".png")
    }
