"""What resampling the images makes of a network's scores, as a file."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from taskrsa.errors import DataError
from taskrsa.io.files import atomic_path

_NO_LAYER = "-"  # of measures that are of no layer


def write_draws(path: str | os.PathLike, draws: Mapping[tuple[str, str], np.ndarray]) -> None:
    """Write draws (R,) or (R, S) by measure and layer; the same input gives the same bytes."""
    import h5py

    with atomic_path(path) as temporary, h5py.File(temporary, "w", libver="earliest") as file:
        for (measure, layer), values in draws.items():
            file[f"{measure}/{layer or _NO_LAYER}"] = np.asarray(values, dtype=np.float64)


def read_draws(path: str | os.PathLike) -> dict[tuple[str, str], np.ndarray]:
    """Read what `write_draws` wrote; DataError if the file is missing or damaged."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return {
                (measure, "" if layer == _NO_LAYER else layer): values[:]
                for measure, group in file.items()
                for layer, values in group.items()
            }
    except OSError as error:
        raise DataError(f"{path}: holds no draws ({error}); make it again") from None
