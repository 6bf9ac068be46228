"""Plain photographs in a folder: stimuli without labels. All of them are in split "train"."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from taskrsa.data.images import check_image_size
from taskrsa.data.view import SourceInfo, View
from taskrsa.errors import ConfigError, DataError

_SUFFIXES = (".jpg", ".jpeg", ".png")
_NAMED = 5  # unreadable files that an error names; the rest is counted


def files(path: str | Path, pattern: str = "*", recursive: bool = True) -> list[str]:
    """Return the JPEG and PNG files under `path` whose names match `pattern`, sorted.

    Raises
    ------
    DataError
        If the folder is missing or no file matches.
    """
    root = Path(path)
    if not root.is_dir():
        raise DataError(f"{path}: no such folder; set the option path to your photographs")
    try:
        found = sorted(
            str(file)
            for file in (root.rglob(pattern) if recursive else root.glob(pattern))
            if file.suffix.lower() in _SUFFIXES and file.is_file()
        )
    except (ValueError, NotImplementedError) as error:
        raise ConfigError(f"pattern: {pattern!r} cannot be used ({error}); try *.jpg") from None
    if not found:
        raise DataError(f"{path}: no JPEG or PNG files match {pattern!r}; check path and pattern")
    return found


def _square(file: str | Path, size: int) -> np.ndarray:
    """Return the centre square of a photograph at size x size, upright, (size, size, 3) uint8."""
    with Image.open(file) as image:
        if image.mode.startswith(("I", "F")):
            raise OSError("not 8 bits a channel")
        upright = ImageOps.exif_transpose(image).convert("RGB")
    side = min(upright.size)
    left, top = (upright.width - side) // 2, (upright.height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(upright.resize((size, size), Image.Resampling.BOX, box=box))


class Folder:
    """A `taskrsa.data.view.Source` over plain photographs of any size.

    An image's id is its path below the folder without the suffix. The centre square is taken and
    resized by the mean over each new pixel's area.

    Parameters
    ----------
    path : folder
    image_size : side of the views, pixels
    pattern : glob for file names, such as "*.jpg"
    recursive : look into subfolders

    Raises
    ------
    DataError
        If there are no photographs, or two files would get one id.
    """

    def __init__(
        self, path: str | Path, image_size: int = 256, pattern: str = "*", recursive: bool = True
    ) -> None:
        self.path = Path(path)
        self.size = check_image_size(image_size)
        self.info = SourceInfo()
        self._files: dict[str, Path] = {}
        for name in files(path, pattern, recursive):
            file = Path(name)
            image_id = file.relative_to(self.path).with_suffix("").as_posix()
            other = self._files.setdefault(image_id, file)
            if other != file:
                raise DataError(
                    f"{other} and {file} would both be image {image_id}; rename or remove one"
                )

    @cached_property
    def _readable(self) -> list[str]:
        bad = []
        for file in self._files.values():
            try:
                _square(file, 8)
            except (OSError, SyntaxError, ValueError, EOFError):
                bad.append(str(file))
        if bad:
            more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
            raise DataError(
                f"{len(bad)} of {len(self._files)} files cannot be read as 8-bit photographs: "
                f"{', '.join(bad[:_NAMED])}{more}; replace or remove them"
            )
        return list(self._files)

    def ids(self, split: str) -> list[str]:
        """Return all ids, sorted by path, for "train" and none for "val".

        Raises
        ------
        DataError
            If files are truncated or no photographs; one error names them all.
        """
        if split not in ("train", "val"):
            raise ConfigError(f"folder: no split {split!r}; all images are in train")
        return list(self._readable) if split == "train" else []

    def view(self, image_id: str) -> View:
        """Return one photograph; nothing else is known about it.

        Raises
        ------
        DataError
            If the id is unknown or the file cannot be read.
        """
        if image_id not in self._files:
            raise DataError(f"{self.path}: no image {image_id}; list the ids again")
        file = self._files[image_id]
        try:
            return View(image_id=image_id, rgb=_square(file, self.size))
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            reason = " ".join(str(error).split())
            raise DataError(f"{file}: cannot be read ({reason}); replace or remove it") from None


def open_source(
    path: str | Path, image_size: int = 256, pattern: str = "*", recursive: bool = True
) -> Folder:
    """Return the source; options and errors as of `Folder`."""
    return Folder(path, image_size, pattern, recursive)
