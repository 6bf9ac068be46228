"""The archive of predictions for the server of Pascal VOC."""

from __future__ import annotations

import tarfile

import numpy as np
from PIL import Image
from taskrsa.targets.devkit import write_submission
from taskrsa.targets.pixels import read_mask


def ids(height, width, seed=0):
    found = np.random.default_rng(seed).integers(0, 21, (height, width), dtype=np.uint8)
    found[0, 0] = 20
    return found


def test_a_submission_is_what_the_server_takes(tmp_path):
    masks = [("t1", ids(5, 7, 1)), ("t2", ids(6, 4, 2))]
    write_submission(tmp_path / "one.tar", iter(masks))
    first = (tmp_path / "one.tar").read_bytes()
    write_submission(tmp_path / "two.tar", masks)
    assert first == (tmp_path / "two.tar").read_bytes()
    folder = "results/VOC2012/Segmentation/comp6_test_cls"
    with tarfile.open(tmp_path / "one.tar") as tar:
        assert tar.getnames() == [f"{folder}/t1.png", f"{folder}/t2.png"]
        assert {entry.mtime for entry in tar} == {0}
        tar.extractall(tmp_path, filter="data")
    for name, mask in masks:
        np.testing.assert_array_equal(read_mask(tmp_path / folder / f"{name}.png"), mask)
        with Image.open(tmp_path / folder / f"{name}.png") as image:
            assert image.mode == "P"
            assert image.getpalette()[:6] == [0, 0, 0, 128, 0, 0]
