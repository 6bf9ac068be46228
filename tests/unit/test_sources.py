"""Sources of images open by their kind."""

import pytest
from image_files import photograph, refuses, save
from taskrsa.data.sources import open_source
from taskrsa.errors import ConfigError


def test_sources_open_by_kind(tmp_path):
    save(tmp_path / "a.png", photograph(0))
    source = open_source("folder", path=tmp_path, image_size=16)
    assert source.ids("train") == ["a"]
    assert open_source("simulated", n_train=3, n_val=1).ids("val")


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("pictures", {}, "no source 'pictures'"),
        ("../folder", {}, "no source '../folder'"),
        ("view", {}, "no source 'view'"),
        ("folder", {}, "path: source folder needs"),
        ("folder", {"path": ".", "size": 3}, "size: source folder has no such option"),
    ],
)
def test_what_cannot_be_opened(kind, options, words):
    refuses(ConfigError, words, lambda: open_source(kind, **options))
