"""Photographs, masks and maps as arrays, and what is wrong with files of them."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
from labelled_files import grey, photo
from PIL import Image
from scipy.io import savemat
from taskrsa.data.images import read_photograph
from taskrsa.errors import DataError
from taskrsa.targets.pixels import (
    VOID,
    as_png,
    centre_labels,
    checked_size,
    mask_of_mat,
    read_map,
    read_mask,
    voc_palette,
    write_mask,
)


@pytest.fixture
def ids():
    found = np.random.default_rng(0).integers(0, 3, (18, 24)).astype(np.uint8)
    found[0, 0] = VOID
    return found


# --- photographs ---


def test_grey_and_transparent_photographs_become_rgb(tmp_path):
    rgb = photo(tmp_path / "rgb.png")
    Image.fromarray(rgb[..., 0]).save(tmp_path / "grey.png")
    Image.fromarray(np.dstack([rgb, np.full_like(rgb[..., :1], 255)])).save(tmp_path / "alpha.png")
    np.testing.assert_array_equal(read_photograph(tmp_path / "rgb.png"), rgb)
    expected = np.repeat(rgb[..., :1], 3, axis=2)
    np.testing.assert_array_equal(read_photograph(tmp_path / "grey.png"), expected)
    np.testing.assert_array_equal(read_photograph(tmp_path / "alpha.png"), rgb)
    assert checked_size(tmp_path / "alpha.png") == (18, 24)


def test_what_is_transparent_lies_on_white(tmp_path):
    hidden = np.array([[[9, 9, 9, 0], [100, 0, 0, 255], [0, 0, 0, 128]]], np.uint8)
    Image.fromarray(hidden).save(tmp_path / "alpha.png")
    shown = read_photograph(tmp_path / "alpha.png")
    assert shown.tolist() == [[[255, 255, 255], [100, 0, 0], [127, 127, 127]]]
    palette = Image.fromarray(np.array([[0, 1]], np.uint8))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.save(tmp_path / "palette.gif", transparency=0)
    assert read_photograph(tmp_path / "palette.gif").tolist() == [[[255, 255, 255], [40, 50, 60]]]


@pytest.mark.parametrize("upright", [True, False])
def test_a_photograph_is_turned_by_exif_where_asked(tmp_path, upright):
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :20] = 255  # turned by 90 degrees the bright half is at the top
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "a.jpg"
    Image.fromarray(pixels).save(path, exif=exif, quality=95)
    shown = read_photograph(path, upright)
    assert shown.shape[:2] == checked_size(path, upright) == ((40, 20) if upright else (20, 40))
    bright = shown[:20] if upright else shown[:, :20]
    assert bright.mean() > 240


def test_photographs_that_cannot_be_used(tmp_path):
    path = tmp_path / "a.jpg"
    photo(path, size=(300, 200))
    assert checked_size(path) == (200, 300)
    os.truncate(path, path.stat().st_size - 2000)
    for read in (checked_size, read_photograph):
        with pytest.raises(DataError, match=r"a\.jpg: cannot be read as an image .*truncated"):
            read(path)
    path.unlink()
    with pytest.raises(DataError, match=r"a\.jpg: file not found; restore it"):
        checked_size(path)
    grey(tmp_path / "deep.png", np.zeros((4, 4), np.uint16))
    with pytest.raises(DataError, match=r"deep\.png: is not 8 bits per channel \(mode I;16\)"):
        read_photograph(tmp_path / "deep.png")


# --- masks ---


def test_a_mask_is_what_was_written_whatever_its_colours(tmp_path, ids):
    write_mask(tmp_path / "palette.png", ids)
    grey(tmp_path / "grey.png", ids)
    for name, mode in (("palette", "P"), ("grey", "L")):
        with Image.open(tmp_path / f"{name}.png") as image:
            assert image.mode == mode
        np.testing.assert_array_equal(read_mask(tmp_path / f"{name}.png", 3), ids)


def test_rendered_images_are_read_as_files_would_be(ids):
    rgb = np.random.default_rng(1).integers(0, 256, (18, 24, 3), dtype=np.uint8)
    image, mask = as_png(rgb, ids)
    np.testing.assert_array_equal(read_photograph(image), rgb)
    np.testing.assert_array_equal(read_mask(mask), ids)
    assert checked_size(image) == (18, 24)
    assert as_png(rgb, ids) == (image, mask)


def test_masks_that_cannot_be_used(tmp_path, ids):
    path = tmp_path / "a.png"
    photo(path)
    with pytest.raises(DataError, match=r"a\.png: is in mode RGB, not a map of class ids"):
        read_mask(path)
    grey(path, ids.astype(np.uint16))
    with pytest.raises(DataError, match=r"is in mode I;16, not a map"):
        read_mask(path)
    write_mask(path, ids)
    with pytest.raises(DataError, match="holds class id 2, but ids go from 0 to 1, with 255 for v"):
        read_mask(path, 2)
    os.truncate(path, 60)
    with pytest.raises(DataError, match="cannot be read as an image"):
        read_mask(path)


def test_the_palette_is_that_of_voc():
    palette = voc_palette()
    for index, colour in {
        0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 8: (64, 0, 0), 15: (192, 128, 128),
        20: (0, 64, 128), 255: (224, 224, 192),
    }.items():  # fmt: skip
        assert tuple(palette[index]) == colour
    assert len(np.unique(palette, axis=0)) == 256
    stream = io.BytesIO()
    write_mask(stream, np.arange(4, dtype=np.uint8)[None])
    with Image.open(stream) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB"))[0], palette[:4])


def test_a_matlab_file_of_the_new_format_is_named_as_such(tmp_path):
    path = tmp_path / "x.mat"
    head = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    path.write_bytes(head + b"\x89HDF\r\n\x1a\n".rjust(392 + 8, b"\0"))
    with pytest.raises(DataError, match=r"x\.mat: is a MATLAB file of version 7\.3; save it with"):
        mask_of_mat(path)


def test_structs_of_sbd(tmp_path):
    path = tmp_path / "x.mat"
    with pytest.raises(DataError, match=r"x\.mat: file not found"):
        mask_of_mat(path)
    # Noise does not compress: what is cut off is missed.
    noise = np.random.default_rng(0).integers(0, 21, (60, 60), dtype=np.uint8)
    savemat(path, {"GTcls": {"Segmentation": noise}}, do_compression=True)
    np.testing.assert_array_equal(read_mask(path, 21), noise)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(DataError, match=r"x\.mat: is not a MATLAB file"):
        mask_of_mat(path)
    for content, message in (
        ({"GTinst": {"Segmentation": noise}}, "has no GTcls.Segmentation"),
        ({"GTcls": {"Boundaries": noise}}, "has no GTcls.Segmentation"),
        ({"GTcls": noise}, "has no GTcls.Segmentation"),
        ({"GTcls": {"Segmentation": noise / 2}}, "is not a map of class ids"),
        ({"GTcls": {"Segmentation": noise.astype(np.uint16) + 300}}, "holds id 3"),
    ):
        savemat(path, content)
        with pytest.raises(DataError, match=message):
            mask_of_mat(path)


# --- maps ---


def test_a_value_may_mean_unknown(tmp_path):
    values = np.arange(64.0).reshape(8, 8)
    values[0, 0], values[0, 1], values[0, 2] = -1, np.nan, np.inf
    np.save(tmp_path / "a.npy", values)
    for unknown, expected in ((-1, 3), (None, 2)):
        found = read_map(tmp_path / "a.npy", unknown)
        assert found.dtype == np.float32
        assert np.isnan(found).sum() == expected
    grey(tmp_path / "a.png", np.array([[0, 65535]], np.uint16))
    np.testing.assert_array_equal(read_map(tmp_path / "a.png", 0), [[np.nan, 65535]])


def test_maps_that_hold_something_else(tmp_path):
    def refused(name, message):
        with pytest.raises(DataError, match=message) as caught:
            read_map(tmp_path / name, None)
        assert "\n" not in str(caught.value)

    colours = Image.fromarray(photo(tmp_path / "0.png"))
    refused("0.png", r"holds uint8 of shape \(18, 24, 3\), not one number per pixel")
    colours.convert("P").save(tmp_path / "1.png")
    refused("1.png", "holds colours of a palette")
    (tmp_path / "2.png").write_bytes((tmp_path / "0.png").read_bytes()[:50])
    refused("2.png", "cannot be read as a map")
    with open(tmp_path / "3.npy", "wb") as stream:
        np.savez(stream, values=np.ones((18, 24)))
    refused("3.npy", "is an archive of arrays")
    np.save(tmp_path / "4.npy", np.array([{"a": 1}]), allow_pickle=True)
    refused("4.npy", "cannot be read as a map")


def test_a_map_that_asks_for_more_than_it_holds_is_damaged(tmp_path):
    header = io.BytesIO()
    shape = {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)}
    np.lib.format.write_array_header_1_0(header, shape)
    (tmp_path / "bomb.npy").write_bytes(header.getvalue() + bytes(100))
    with pytest.raises(DataError, match=r"bomb\.npy: cannot be read as a map"):
        read_map(tmp_path / "bomb.npy", None)


def test_the_nearest_label_of_the_centre_labels():
    values = np.arange(4 * 6).reshape(4, 6)
    np.testing.assert_array_equal(centre_labels(values, 4), values[:, 1:5])
    np.testing.assert_array_equal(centre_labels(values.T, 2), values.T[[2, 4]][:, [1, 3]])
