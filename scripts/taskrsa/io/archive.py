"""Unpack third-party archives: only what is wanted, nothing outside the folder, all or nothing.

Tar (also compressed) and zip. Every member is looked at, wanted or not: an archive that tries to
write elsewhere is refused as a whole.
"""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from filelock import FileLock

from taskrsa.errors import DataError
from taskrsa.io.files import replace_folder
from taskrsa.text import one_line

# What the readers raise on files that are damaged or end too early.
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
)


@dataclass(frozen=True)
class _Member:
    name: str
    size: int
    kind: str  # "file", "folder", "link" or "other"
    target: str  # where a link leads, from the archive's root
    write: Callable[[Path, str], None]  # into a folder, under a name


class _StrictHeader(tarfile.TarInfo):
    """A header that is damaged, or missing at the end, is an error and not the end of the archive.

    A tar that was cut off between two members otherwise reads like a whole one with fewer members.
    """

    @classmethod
    def frombuf(cls, buf, encoding, errors):
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # the mark at the end
            raise
        except tarfile.EmptyHeaderError:
            raise tarfile.ReadError("lacks its end mark") from None
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"damaged header, {error}") from None


def unpack(
    archive: str | os.PathLike,
    folder: str | os.PathLike,
    wanted: Sequence[str] = ("*",),
    flatten: bool = False,
) -> list[dict]:
    """Unpack the wanted members of an archive into a folder and return what it then holds.

    Parameters
    ----------
    folder : written whole or not at all; one that is there already is replaced
    wanted : patterns of members like "*.png"; a star also matches slashes
    flatten : whether files lie in the folder itself, without the archive's folders

    Returns
    -------
    rows of the files with `member` (path below the folder) and `size` (bytes), sorted

    Raises
    ------
    DataError
        If the archive is missing, damaged or cut off, holds a member that would lie or lead outside
        the folder or is not a plain file, folder or link, holds a file twice, or nothing wanted;
        or if the disk is full.
    """
    archive, folder = Path(archive), Path(folder)
    part = folder.with_name(f".{folder.name}.part")
    lock = folder.with_name(f".{folder.name}.lock")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock, fallback_to_soft=False):
            shutil.rmtree(part, ignore_errors=True)  # of an attempt that was killed
            try:
                part.mkdir()
                rows = _unpack(archive, part, wanted, flatten)
                replace_folder(part, folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
                # While it is held: who waits sees that the file has no name any more.
                lock.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be written ({error.strerror or error}); free some space or choose "
            "another disk and run again"
        ) from None
    return rows


def check(archive: str | os.PathLike) -> None:
    """Read an archive through; raise DataError as `unpack` does of what it holds."""
    with _members(Path(archive), thorough=True) as members:
        for _ in members:
            pass


def _unpack(archive: Path, part: Path, wanted: Sequence[str], flatten: bool) -> list[dict]:
    sizes: dict[str, int] = {}
    with _members(archive) as members:
        for member in members:
            is_wanted = any(fnmatchcase(member.name, pattern) for pattern in wanted)
            if member.kind == "folder" or not is_wanted:
                continue
            name = PurePosixPath(member.name).name if flatten else member.name
            if name in sizes:
                raise DataError(f"{archive}: holds {name} twice; get the published archive")
            if flatten and member.kind == "link":
                raise DataError(f"{archive}: {member.name} is a link; get the published archive")
            try:
                member.write(part, name)
            except (KeyError, tarfile.FilterError) as error:
                raise DataError(
                    f"{archive}: {member.name} cannot be unpacked ({error}); get the published "
                    "archive"
                ) from None
            sizes[name] = member.size
    if not sizes:
        raise DataError(f"{archive}: holds none of the wanted files; get the published archive")
    return [{"member": name, "size": sizes[name]} for name in sorted(sizes)]


@contextmanager
def _members(archive: Path, thorough: bool = False) -> Iterator[Iterator[_Member]]:
    """Open an archive and yield its members, each of them harmless; turn damage into one line."""
    if not archive.exists():
        raise DataError(f"{archive}: file not found; fetch it again")
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:
                if thorough and (name := file.testzip()) is not None:
                    raise zipfile.BadZipFile(f"{name} has a wrong checksum")
                yield (_harmless(archive, member) for member in _zip_members(archive, file))
        else:
            with tarfile.open(archive, "r:*", tarinfo=_StrictHeader) as file:
                yield (_harmless(archive, member) for member in _tar_members(file))
    except _DAMAGE as error:
        raise DataError(
            f"{archive}: is damaged or was cut off ({one_line(error)}); remove it and fetch it "
            f"again"
        ) from None


def _tar_members(file: tarfile.TarFile) -> Iterator[_Member]:
    for info in file:
        if info.isreg():
            kind = "file"
        elif info.isdir():
            kind = "folder"
        else:
            kind = "link" if info.issym() or info.islnk() else "other"
        target = info.linkname
        if info.issym() and not target.startswith("/"):
            target = str(PurePosixPath(info.name).parent / target)

        def write(folder: Path, name: str, info: tarfile.TarInfo = info) -> None:
            file.extract(info.replace(name=name, deep=False), folder, filter="data")

        target = target if kind == "link" else ""
        yield _Member(info.name.removeprefix("./"), info.size, kind, target, write)


def _zip_members(archive: Path, file: zipfile.ZipFile) -> Iterator[_Member]:
    for info in file.infolist():
        mode = info.external_attr >> 16
        if info.is_dir():
            kind = "folder"
        else:
            kind = "file" if stat.S_IFMT(mode) in (0, stat.S_IFREG) else "other"

        def write(folder: Path, name: str, info: zipfile.ZipInfo = info) -> None:
            if info.flag_bits & 1:
                raise DataError(f"{archive}: {info.filename} is encrypted; decrypt it first")
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with file.open(info) as source, open(path, "wb") as stream:
                shutil.copyfileobj(source, stream)

        # As written in the archive: ZipInfo.filename has been cleaned by the reader.
        yield _Member(info.orig_filename.removeprefix("./"), info.file_size, kind, "", write)


def _harmless(archive: Path, member: _Member) -> _Member:
    if member.kind == "other":
        raise DataError(
            f"{archive}: {member.name} is not a plain file, folder or link inside; get the "
            "published archive"
        )
    for path, what in ((member.name, "lie"), (member.target, "lead")):
        if _leaves(path):
            raise DataError(
                f"{archive}: {member.name} would {what} outside the folder it is unpacked into; "
                "get the published archive"
            )
    return member


def _leaves(path: str) -> bool:
    """Tell whether a path that is followed from a folder would leave it, on any system."""
    if path.startswith("/") or "\\" in path or "\0" in path or path[1:2] == ":":
        return True
    depth = 0
    for step in PurePosixPath(path).parts:
        depth += -1 if step == ".." else 1
        if depth < 0:
            return True
    return False
