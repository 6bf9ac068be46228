"""The archive of predictions that the server of Pascal VOC's test set takes."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from taskrsa.errors import DataError
from taskrsa.io.files import atomic_path
from taskrsa.targets.pixels import write_mask

_FOLDER = "results/VOC2012/Segmentation/comp6_test_cls"  # comp6: trained on other data, too


def write_submission(
    archive: str | Path, masks: Iterable[tuple[str, np.ndarray]], n_classes: int
) -> None:
    """Write predictions as a tar of palette PNGs.

    The bytes depend on the predictions alone, not on the time or the user.

    Parameters
    ----------
    archive : a .tar file, written whole or not at all
    masks : id and predicted classes (H, W) uint8, 0 to `n_classes` - 1; the server allows no void

    Raises
    ------
    DataError
        If there are no predictions, two of one image, or an id that no class has.
    """
    seen = set()
    with (
        atomic_path(archive) as temporary,
        tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for image_id, mask in masks:
            if image_id in seen:
                raise DataError(f"{archive}: two predictions of {image_id}; give one per image")
            if mask.max() >= n_classes:
                raise DataError(
                    f"{archive}: the prediction of {image_id} holds id {mask.max()}, but ids go "
                    f"from 0 to {n_classes - 1}"
                )
            seen.add(image_id)
            png = io.BytesIO()
            write_mask(png, mask)
            entry = tarfile.TarInfo(f"{_FOLDER}/{image_id}.png")
            entry.size = png.tell()
            png.seek(0)
            tar.addfile(entry, png)
        if not seen:
            raise DataError(f"{archive}: no predictions to write; check the list of test images")
