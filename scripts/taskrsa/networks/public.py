"""Files of the public bank (Zamir et al. 2018, PyTorch): found by task, checked by their names.

A file is named `<name>_encoder-<sha256>.pth`: the bank's name of the task and the SHA-256 of the
file as 64 hexadecimal digits. Kept apart from the networks, so that the workflow can ask without
PyTorch.
"""

from __future__ import annotations

import re
from pathlib import Path

from taskrsa.errors import DataError
from taskrsa.io.files import sha256_of

_NAME = re.compile(r"(\w+)_encoder-([0-9a-f]{64})\.pth")


def public_file(folder: str | Path, name: str) -> Path:
    """Return the file of one encoder in a folder of the public bank.

    Parameters
    ----------
    folder : holds files named as in the public bank; others in it do not matter
    name : the bank's name of the task, such as `edge_texture`

    Raises
    ------
    DataError
        If the folder is missing, or holds no file or several for the task.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; set bank.path to the public bank's files")
    found = sorted(
        path
        for path in folder.iterdir()
        if (match := _NAME.fullmatch(path.name)) and match[1] == name
    )
    if not found:
        raise DataError(
            f"{folder}: holds no {name}_encoder-<64 hex digits>.pth; add it, or leave bank.path "
            "unset to download the bank"
        )
    if len(found) > 1:
        raise DataError(
            f"{folder}: {found[0].name} and {found[1].name} are both {name}; remove one"
        )
    return found[0]


def check_public_file(path: str | Path, name: str) -> None:
    """Check that a file is the public bank's encoder of a task, whole and unchanged.

    Raises
    ------
    DataError
        If the file is missing, its name is another task's or holds no SHA-256, or its content has
        another SHA-256 than the one in its name.
    """
    path = Path(path)
    match = _NAME.fullmatch(path.name)
    if not match:
        raise DataError(
            f"{path}: is not named {name}_encoder-<64 hex digits>.pth, so it cannot be checked; "
            "give it the public bank's name back"
        )
    if match[1] != name:
        raise DataError(f"{path}: is the encoder of {match[1]}, not of {name}")
    if not path.is_file():
        raise DataError(f"{path}: no such file; download it again")
    found = sha256_of(path)
    if found != match[2]:
        raise DataError(
            f"{path}: has SHA-256 {found}, not the one in its name; it is cut short or changed: "
            "download it again"
        )
