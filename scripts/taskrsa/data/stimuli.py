"""The conditions of the RDMs: a sample of images, the same for every network (section 5.1)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from taskrsa.data.pack import Pack
from taskrsa.errors import ConfigError
from taskrsa.io.files import atomic_path


def choose(
    ids: list[str], n: int | None, split: str, generator: np.random.Generator | None
) -> list[str]:
    """Return `n` of the ids: the first ones, or a random sample without replacement.

    A sample keeps the source's order. With `n` None, all ids are returned.

    Raises
    ------
    ConfigError
        If there are fewer than `n` images.
    """
    if n is None:
        return list(ids)
    if n > len(ids):
        raise ConfigError(
            f"{n} images are wanted of split {split}, which has {len(ids)}; lower "
            "the number in the config"
        )
    if generator is None:
        return list(ids[:n])
    return [ids[index] for index in sorted(generator.choice(len(ids), n, replace=False))]


def write_stimuli_table(table: str | Path, pack: str | Path, source: dict) -> None:
    """Write image, path and sha256 of every stimulus; the hash is of its pixels as networks see
    them, so that it shows whether two runs used the same images."""
    with Pack(pack) as stimuli:
        rows = [
            {
                "image": image_id,
                "path": f"{source.get('path') or source['kind']}/{image_id}",
                "sha256": hashlib.sha256(np.ascontiguousarray(rgb).tobytes()).hexdigest(),
            }
            for image_id, rgb in zip(stimuli.ids, stimuli.rgb(), strict=True)
        ]
    with atomic_path(table) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)
