"""What a file is that was taken for a checkpoint, by its first bytes."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

_SHOWN = 2048  # bytes that are looked at
_BEGINNINGS = (
    (b"version https://git-lfs", "a pointer of Git LFS, not the file: fetch it with git lfs pull"),
    (b"\x89HDF", "HDF5, as Keras writes it: convert it, or give an ONNX file"),
    (b"\x1f\x8b", "compressed (gzip): unpack it"),
    (b"BZh", "compressed (bzip2): unpack it"),
    (b"\xfd7zXZ", "compressed (xz): unpack it"),
    (b"7z\xbc\xaf", "compressed (7-Zip): unpack it"),
    (b"\x93NUMPY", "a NumPy array: save a state_dict of torch"),
    (b"GGUF", "GGUF, which PyTorch does not read: save a state_dict"),
)
_PAGE = "a web page, as hosts send in place of a file: download the file itself"


def kind_of_file(path: Path) -> str:
    """Return what a file is and what to do about it; "" where it may be a checkpoint."""
    with open(path, "rb") as stream:
        first = stream.read(_SHOWN)
    for beginning, kind in _BEGINNINGS:
        if first.startswith(beginning):
            return kind
    if not first.strip(b"\0"):
        return "empty: get it again" if not first else "full of zeros: get it again"
    if first.startswith(b"PK"):
        return _kind_of_zip(path)
    if first[8:9] == b"{" and int.from_bytes(first[:8], "little") < 2**27:
        return "a safetensors file: name it .safetensors"
    if first[257:262] == b"ustar" and tarfile.is_tarfile(path):
        return "an archive (tar): unpack it"
    return _kind_of_text(first) or (
        "an ONNX file: set loader to onnx" if first[:1] == b"\x08" and first[2:3] == b"\x12" else ""
    )


def instead_of(format_: str, path: Path) -> str:
    """Return "is ..." where a file that should be of a format is another, and "" otherwise."""
    kind = kind_of_file(path)
    # What to do about it, behind the colon, may name the format as well.
    return f"is {kind}" if kind and format_ not in kind.partition(":")[0] else ""


def _kind_of_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return "cut off or damaged: get it again"
    if any(name.endswith("/constants.pkl") for name in names):
        return "a TorchScript archive, which holds a network: set loader to torchscript"
    if names and all(name.endswith(".npy") for name in names):
        return "an archive of NumPy arrays: save a state_dict of torch"
    if not any(name.endswith("data.pkl") for name in names):
        return "an archive (zip) without a checkpoint: unpack it"
    return ""


def _kind_of_text(first: bytes) -> str:
    # What is looked at may end within a character.
    text = first.decode("utf-8", errors="replace").rstrip("\ufffd")
    if not all(sign.isprintable() or sign in "\t\r\n\ufeff" for sign in text) or "\ufffd" in text:
        return ""
    start = text.lstrip("\ufeff \t\r\n").lower()
    if start.startswith("<!doctype html") or "<html" in start:
        return _PAGE
    kind = "XML" if start.startswith("<") else "JSON" if start.startswith(("{", "[")) else "text"
    return f"{kind}, not a checkpoint: download the file itself"
