"""Plain photographs in a folder, a list or a glob: stimuli without labels.

All of them are in split "train".
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Mapping
from glob import glob, has_magic
from pathlib import Path, PurePosixPath

from taskrsa.data.images import centre_square, read_photograph
from taskrsa.data.view import SourceInfo, View
from taskrsa.errors import ConfigError, DataError
from taskrsa.text import first_few

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
# Photographs of formats that are not read, which must not be left out without a word.
_UNREAD = (".heic", ".heif", ".avif", ".jxl", ".jp2", ".dng", ".cr2", ".nef", ".arw", ".psd")
_OF_SYSTEMS = ("__MACOSX", "@eaDir")  # folders that archives and file servers add
FOLDERS = "folders"  # option groups: every folder is a group


def files(path: str | Path, pattern: str = "*", recursive: bool = True) -> list[str]:
    """Return the photographs that `path` stands for; options as of `Folder`.

    Those of a folder and of a glob are sorted, those of a list keep its order. Hidden files are
    left out. ConfigError if the pattern cannot be used; DataError if the folder or a file of the
    list is missing, a file has a format that is not read, or none is found.
    """
    root = Path(path)
    if root.is_file():
        return _listed(root)
    if not root.is_dir() and has_magic(str(path)):
        every = glob(str(path), recursive=True)  # noqa: PTH207  pathlib's wants a folder apart
        found = sorted(filter(_is_photograph, every))
        if not found:
            raise DataError(f"{path}: no photographs match it; check the option path")
        return found
    if not root.is_dir():
        raise DataError(f"{path}: no such folder; set the option path to your photographs")
    try:
        found = photographs(root, pattern, recursive)
    except (ValueError, NotImplementedError) as error:
        raise ConfigError(f"pattern: {pattern!r} cannot be used ({error}); try *.jpg") from None
    if not found:
        raise DataError(f"{path}: no photographs match {pattern!r}; check path and pattern")
    return found


def photographs(root: Path, pattern: str = "*", recursive: bool = True) -> list[str]:
    """Return the photographs in a folder, sorted, perhaps none; DataError as of `files`."""
    found = root.rglob(pattern) if recursive else root.glob(pattern)
    seen = (file for file in found if not is_hidden(file.relative_to(root)))
    return sorted(str(file) for file in seen if _is_photograph(file))


def is_hidden(path: Path) -> bool:
    """Tell whether a file or a folder above it is hidden, or of an operating system; `path` is from
    the folder that was named."""
    return any(part.startswith(".") or part in _OF_SYSTEMS for part in path.parts)


def _is_photograph(file: str | Path) -> bool:
    suffix = Path(file).suffix.lower()
    if suffix in _UNREAD:
        raise DataError(f"{file}: {suffix[1:]} is not read; save it as JPEG or PNG, or remove it")
    if suffix not in SUFFIXES or Path(file).is_file():
        return suffix in SUFFIXES
    if Path(file).is_symlink() and not Path(file).exists():
        raise DataError(f"{file}: is a link to a file that is not there; restore it or remove it")
    return False


def _listed(path: Path) -> list[str]:
    """Return the files of a list, one a line, beside it unless they are absolute."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError):
        raise DataError(
            f"{path}: is not a list of photographs; give a folder, a glob, or a text file with one "
            "name a line"
        ) from None
    found = [str(path.parent / line) for line in lines if line and not line.startswith("#")]
    bad = [file for file in found if not _is_photograph(file)]
    if bad:
        raise DataError(
            f"{path}: {len(bad)} of {len(found)} files are missing or no photographs: "
            f"{first_few(bad)}; correct the list"
        )
    if not found:
        raise DataError(f"{path}: lists no photographs; write one per line")
    double = [file for file, n in Counter(found).items() if n > 1]
    if double:
        raise DataError(f"{path}: lists twice: {first_few(double)}; keep each once")
    return found


class Folder:
    """A `taskrsa.data.view.Source` over plain photographs of any size.

    An image's id is its path without the suffix, below the folder or, of a list or glob, below the
    folder that all files have in common. The centre square is taken and resized by the mean over
    each new pixel's area.

    Parameters
    ----------
    path : a folder; a glob such as "/data/*/*.jpg" (`**` for any depth); or a text file that lists
        photographs, one a line, absolute or from its own folder
    image_size : side of the views, pixels
    pattern : of a folder: glob for file names, such as "*.jpg"
    recursive : of a folder: look into subfolders
    groups : a CSV file with the columns image (an id) and group, the scene or clip that it shows;
        or "folders" where the photographs of each folder are a group, such as the frames of a clip

    Raises
    ------
    DataError
        If there are no photographs, two files would get one id, or the groups cannot be used.
    """

    def __init__(
        self,
        path: str | Path,
        image_size: int = 256,
        pattern: str = "*",
        recursive: bool = True,
        groups: str | None = None,
    ) -> None:
        self.size = image_size
        self.info = SourceInfo()
        self._files: dict[str, Path] = {}
        found = [Path(name) for name in files(path, pattern, recursive)]
        root = Path(path)
        if not root.is_dir():
            found = [Path(os.path.normpath(Path.cwd() / file)) for file in found]
            root = Path(os.path.commonpath([file.parent for file in found]))
        for file in found:
            image_id = file.relative_to(root).with_suffix("").as_posix()
            other = self._files.setdefault(image_id, file)
            if other != file:
                raise DataError(
                    f"{other} and {file} would both be image {image_id}; rename or remove one"
                )

        self._groups = _groups_of(groups, self._files)

    def ids(self, split: str) -> list[str]:
        """Return all ids for "train", in the order of `files`, and none for "val"; DataError that
        names all files that are truncated or no photographs."""
        if split != "train":
            return []
        bad = []
        for file in self._files.values():
            try:
                read_photograph(file)
            except DataError:
                bad.append(str(file))
        if bad:
            raise DataError(
                f"{len(bad)} of {len(self._files)} files cannot be read as 8-bit photographs: "
                f"{first_few(bad)}; replace or remove them"
            )
        return list(self._files)

    def view(self, image_id: str) -> View:
        """Return one photograph; nothing but its group is known about it."""
        photograph = read_photograph(self._files[image_id], upright=True)
        rgb = centre_square(photograph, self.size)
        return View(image_id=image_id, rgb=rgb, group=self._groups.get(image_id, ""))


def _groups_of(groups: str | None, files: Mapping[str, Path]) -> dict[str, str]:
    """Return the group of every image, those in no group left out."""
    if groups is None:
        return {}
    if groups == FOLDERS:
        return {image_id: str(PurePosixPath(image_id).parent) for image_id in files}
    try:
        with open(groups, newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            for column in ("image", "group"):
                if column not in (reader.fieldnames or ()):
                    raise DataError(f"{groups}: has no column {column}; give image and group")
            found = {row["image"]: row["group"] or "" for row in reader}
    except OSError:
        raise DataError(
            f"{groups}: file not found; set the option groups to a CSV file or to {FOLDERS}"
        ) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{groups}: is not a CSV table ({error}); export it again") from None
    # Rows may name files as they are called, and images that are not among the photographs.
    known = {image: group for image, group in found.items() if image in files}
    names = {f"{image_id}{file.suffix}": image_id for image_id, file in files.items()}
    known |= {names[image]: group for image, group in found.items() if image in names}
    lacking = [image_id for image_id in files if image_id not in known]
    if lacking:
        raise DataError(
            f"{groups}: lists no group of {len(lacking)} of {len(files)} images: "
            f"{first_few(lacking)}; add them, with an empty group where they are of none"
        )
    return known


open_source = Folder
