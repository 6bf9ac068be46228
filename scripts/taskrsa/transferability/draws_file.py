"""What resampling the images makes of a network's scores, as a file."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from taskrsa.errors import DataError
from taskrsa.io.hdf5 import opened_hdf5, written_hdf5

_NO_LAYER = "-"  # of measures that are of no layer


def write_draws(path: str | os.PathLike, draws: Mapping[tuple[str, str], np.ndarray]) -> None:
    """Write draws (R,) or (R, S) by measure and layer; the same input gives the same bytes."""
    with written_hdf5(path, libver="earliest") as file:
        for (measure, layer), values in draws.items():
            file[f"{measure}/{layer or _NO_LAYER}"] = np.asarray(values, dtype=np.float64)


def read_draws(path: str | os.PathLike) -> dict[tuple[str, str], np.ndarray]:
    """Read what `write_draws` wrote; DataError if the file is missing or damaged."""
    try:
        with opened_hdf5(path) as file:
            return {
                (measure, "" if layer == _NO_LAYER else layer): values[:]
                for measure, group in file.items()
                for layer, values in group.items()
            }
    except OSError as error:
        raise DataError(f"{path}: holds no draws ({error}); make it again") from None
