"""Write files so that a killed job never leaves half of one, and identify files by content."""

from __future__ import annotations

import csv
import errno
import hashlib
import math
import numbers
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from taskrsa.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd

# Columns of names: "007" and "none" may be those of networks.
NAMES = ("name", "label", "type", "leaf", "loader", "model", "model_a", "model_b", "other")
NAMES += ("source", "target", "task", "image")
# What a disk answers that has no room (in all, for this user, for files so large) or is read-only.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def full_path(text: str | os.PathLike) -> str:
    """Return a path as a user writes it with `~` and environment variables put in; variables that
    are not set stay."""
    return os.path.expanduser(os.path.expandvars(text))  # noqa: PTH111  not every text is a path


def refuse_braces(where: str, paths: Iterable[str]) -> None:
    """Raise ConfigError, which says `where` a path comes from, if one has braces: Snakemake would
    take what is in them for a wildcard."""
    for path in paths:
        if "{" in path or "}" in path:
            raise ConfigError(
                f"{where}: {path} has braces, which Snakemake takes for wildcards; rename it, or "
                "link to it by another name"
            )


@contextmanager
def _room(path: Path) -> Iterator[None]:
    """Turn what a full disk answers, which names no file, into a line that names what is made."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise DataError(
            f"{path}: cannot be written ({os.strerror(error.errno)}); free some space or make its "
            "folder writable, and run again"
        ) from None


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path` of its suffix; rename it when the block succeeds.

    When the block raises, the temporary file is removed and `path` is left as it was. DataError
    where the disk is full.
    """
    path = Path(path)
    with _room(path), _atomic(path) as temporary:
        yield temporary


@contextmanager
def _atomic(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _make_readable(temporary, 0o666)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: str | os.PathLike, mark: str) -> Iterator[Path]:
    """Yield a temporary folder, as `atomic_path` does; DataError if `path` holds other files.

    By the file `mark`, which the block writes, a folder made here is known again and replaced.
    """
    path = Path(path)
    with _room(path), _atomic_folder(path, mark) as temporary:
        yield temporary


@contextmanager
def _atomic_folder(path: Path, mark: str) -> Iterator[Path]:
    if path.exists() and any(path.iterdir()) and not (path / mark).is_file():
        raise DataError(
            f"{path}: holds other files, which are not overwritten; give another folder"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        _make_readable(temporary, 0o777)
        replace_folder(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def replace_folder(new: Path, folder: Path) -> None:
    """Give a folder the name of another beside it, whose content is removed then."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(new, folder)
    shutil.rmtree(old, ignore_errors=True)


def _make_readable(temporary: Path, mode: int) -> None:
    # Temporary files and folders are made private; a result is as readable as any other new one.
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(mode & ~umask)


def write_table(rows: pd.DataFrame | Iterable[dict], path: str | os.PathLike) -> None:
    """Write a table as CSV with six significant digits, atomically.

    The columns are all keys of the rows in the order they come; what a row lacks, or is nan or
    None, is left empty. Without pandas, which takes a job half a second to import.
    """
    with atomic_path(path) as temporary:
        if hasattr(rows, "to_csv"):
            rows.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
            return
        rows = list(rows)
        with open(temporary, "w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(
                stream, dict.fromkeys(key for row in rows for key in row), lineterminator="\n"
            )
            writer.writeheader()
            writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)


def read_table(path: str | os.PathLike) -> pd.DataFrame:
    """Read a table as `write_table` writes it: blank is not known, names are text ("007", "NA").

    An empty file is a table without rows.

    Raises
    ------
    DataError
        If the file is not there or is not a table.
    """
    import pandas as pd

    names = dict.fromkeys(NAMES, str)
    try:
        return pd.read_csv(path, dtype=names, keep_default_na=False, na_values=[""])
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such table; make it again") from None
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is not a table ({error}); make it again") from None


def read_tables(paths: Iterable[str | os.PathLike]) -> dict[str, pd.DataFrame]:
    """Read tables by the name of their file."""
    return {Path(path).stem: read_table(path) for path in paths}


def _cell(value: object) -> object:
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
        return "" if math.isnan(value) else f"{value:.6g}"
    return value


def read_rows(path: str | os.PathLike) -> list[dict[str, str]]:
    """Read a tab-separated table of this package: text by the names in its first line."""
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))


def sha256_of(path: str | os.PathLike, *more: str | os.PathLike) -> str:
    """Return the SHA-256 of a file, or of several one after the other, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for one in (path, *more):
        with open(one, "rb") as stream:
            hashlib.file_digest(stream, lambda: digest)
    return digest.hexdigest()


def digest_of(parts: Iterable[str]) -> str:
    """Return one SHA-256 for an ordered list of strings (ids, hashes)."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode())
        digest.update(b"\n")
    return digest.hexdigest()
