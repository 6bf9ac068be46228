"""Small image files, and what errors about files look like, for tests of what reads them."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from taskrsa.errors import TaskrsaError


def photograph(seed: int, height: int = 32, width: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def truncate(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def refuses(error: type[TaskrsaError], words: str, call) -> None:
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def data(name: str) -> Path:
    root = os.environ.get("TASKRSA_DATA")
    if not root or not Path(root, name).is_dir():
        pytest.skip(f"TASKRSA_DATA does not name a folder that holds {name}")
    return Path(root, name)
