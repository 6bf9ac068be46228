"""Photographs in a folder, a list or a glob."""

import numpy as np
from image_files import photograph, refuses, save, truncate
from PIL import Image
from taskrsa.data import folder
from taskrsa.errors import DataError


def test_photographs_are_cropped_to_the_centre_and_resized(tmp_path):
    pixels = np.zeros((40, 100, 3), np.uint8)
    pixels[:, 30:70] = 200
    save(tmp_path / "wide.png", pixels)
    save(tmp_path / "deep" / "tall.png", np.ascontiguousarray(pixels.transpose(1, 0, 2)))
    save(tmp_path / "deep" / "grey.jpg", np.full((20, 20), 90, np.uint8))
    (tmp_path / "notes.txt").write_text("no photograph")
    source = folder.open_source(tmp_path, image_size=16)
    assert source.ids("train") == ["deep/grey", "deep/tall", "wide"]
    assert source.ids("val") == []
    for image_id, level in (("wide", 200), ("deep/tall", 200), ("deep/grey", 90)):
        view = source.view(image_id)
        assert view.rgb.shape == (16, 16, 3)
        assert view.rgb.dtype == np.uint8
        assert (view.rgb == level).all()
        assert view.depth is None
    assert folder.open_source(tmp_path, recursive=False).ids("train") == ["wide"]
    assert folder.open_source(tmp_path, pattern="*.jpg").ids("train") == ["deep/grey"]
    assert folder.files(tmp_path, "*.jpg") == [str(tmp_path / "deep" / "grey.jpg")]


def test_resizing_is_the_mean_over_the_area(tmp_path):
    pixels = photograph(1, 64, 64)
    save(tmp_path / "a.png", pixels)
    view = folder.open_source(tmp_path, image_size=16).view("a")
    expected = pixels.reshape(16, 4, 16, 4, 3).mean((1, 3))
    assert np.abs(view.rgb - expected).max() <= 1


def test_a_turned_photograph_is_put_upright(tmp_path):
    pixels = np.zeros((20, 20, 3), np.uint8)
    pixels[:10] = 255
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[274] = 6  # turned by a quarter
    image.save(tmp_path / "a.png", exif=exif)
    rgb = folder.open_source(tmp_path, image_size=8).view("a").rgb
    assert (rgb[:, 5:] == 255).all()
    assert (rgb[:, :3] == 0).all()


def test_all_unreadable_photographs_are_named_together(tmp_path):
    save(tmp_path / "good.png", photograph(0))
    truncate(save(tmp_path / "cut.jpg", photograph(1, 200, 200)))
    (tmp_path / "text.png").write_text("no photograph")
    save(tmp_path / "deep16.png", np.full((20, 20), 9000, np.uint16))
    source = folder.open_source(tmp_path)
    refuses(
        DataError, r"3 of 4 files.*cut\.jpg.*deep16\.png.*text\.png", lambda: source.ids("train")
    )
    refuses(DataError, r"text\.png: cannot be read", lambda: source.view("text"))


def test_two_photographs_for_one_id_are_both_named(tmp_path):
    save(tmp_path / "a.jpg", photograph(0))
    save(tmp_path / "a.png", photograph(1))
    refuses(DataError, r"a\.jpg and .*a\.png would both be", lambda: folder.open_source(tmp_path))


def test_a_list_names_photographs_in_its_order(tmp_path):
    save(tmp_path / "set" / "b.png", photograph(0))
    save(tmp_path / "set" / "deep" / "a.jpg", photograph(1))
    other = save(tmp_path / "other" / "c.jpg", photograph(2))
    listed = tmp_path / "set" / "list.txt"
    listed.write_text("# mine\n\ndeep/a.jpg\nb.png\n")
    source = folder.open_source(listed, image_size=16)
    assert source.ids("train") == ["deep/a", "b"]
    whole = folder.open_source(tmp_path / "set", image_size=16)
    for image_id in source.ids("train"):
        assert (source.view(image_id).rgb == whole.view(image_id).rgb).all()
    listed.write_text(f"{other}\n../set/b.png\n")
    assert folder.open_source(listed).ids("train") == ["other/c", "set/b"]


def test_a_glob_names_photographs(tmp_path, monkeypatch):
    for name in ("x/1/b.png", "x/1/a.png", "x/2/c.jpg", "x/2/notes.txt", "y/d.png"):
        save(tmp_path / name, photograph(0)) if "txt" not in name else (tmp_path / name).touch()
    assert folder.open_source(tmp_path / "x" / "*" / "*").ids("train") == ["1/a", "1/b", "2/c"]
    assert folder.open_source(f"{tmp_path}/**/*.png").ids("train") == ["x/1/a", "x/1/b", "y/d"]
    monkeypatch.chdir(tmp_path)
    assert folder.open_source("x/1/*.png").ids("train") == ["a", "b"]
    (tmp_path / "x[1]").mkdir()
    save(tmp_path / "x[1]" / "e.png", photograph(0))
    assert folder.open_source("x[1]").ids("train") == ["e"]
    refuses(DataError, "no photographs match it", lambda: folder.open_source("z/*.jpg"))


def test_what_is_wrong_with_a_list_is_named_together(tmp_path):
    save(tmp_path / "a.png", photograph(0))
    (tmp_path / "b.txt").touch()
    listed = tmp_path / "list.txt"
    listed.write_text("a.png\nb.txt\nnone.png\n")
    refuses(DataError, r"2 of 3 files are.*b\.txt, .*none\.png;", lambda: folder.files(listed))
    listed.write_text("a.png\na.png\n")
    refuses(DataError, r"lists twice: .*a\.png", lambda: folder.files(listed))
    listed.write_text("# nothing\n")
    refuses(DataError, "lists no photographs", lambda: folder.files(listed))
    refuses(DataError, "is not a list of photographs", lambda: folder.files(tmp_path / "a.png"))


def test_folders_without_photographs(tmp_path):
    refuses(DataError, "no such folder", lambda: folder.open_source(tmp_path / "none"))
    refuses(DataError, "no photographs match", lambda: folder.open_source(tmp_path))


def test_photographs_of_every_format_that_is_read_count(tmp_path):
    for at, suffix in enumerate(folder.SUFFIXES):
        kind = {".jfif": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}.get(suffix)
        Image.fromarray(photograph(at)).save(tmp_path / f"{at}{suffix.upper()}", format=kind)
    source = folder.open_source(tmp_path, image_size=8)
    assert source.ids("train") == [str(at) for at in range(len(folder.SUFFIXES))]
    assert all(source.view(name).rgb.shape == (8, 8, 3) for name in source.ids("train"))
    (tmp_path / "a.HEIC").touch()
    line = r"a\.HEIC: heic is not read; save it as JPEG or PNG"
    refuses(DataError, line, lambda: folder.files(tmp_path))
    refuses(DataError, line, lambda: folder.files(f"{tmp_path}/*"))


def test_hidden_files_and_those_of_systems_are_no_photographs(tmp_path):
    place = tmp_path / ".hidden"  # the folder that is named itself may be
    save(place / "a" / "0.png", photograph(0))
    for name in ("a/._0.png", ".thumbnails/0.png", "__MACOSX/a/._0.png", "a/@eaDir/0.jpg"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(b"no image")
    assert folder.open_source(place).ids("train") == ["a/0"]


def test_a_link_to_nothing_is_named(tmp_path):
    save(tmp_path / "a.png", photograph(0))
    (tmp_path / "b.png").symlink_to(tmp_path / "gone.png")
    refuses(
        DataError, "b.png: is a link to a file that is not there", lambda: folder.files(tmp_path)
    )


def test_a_photograph_far_too_large_is_named(tmp_path, monkeypatch):
    save(tmp_path / "bomb.png", photograph(0))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    refuses(
        DataError,
        r"1 of 1 files cannot be read.*bomb\.png",
        lambda: folder.open_source(tmp_path).ids("train"),
    )
