"""Small models on one Taskonomy building, with the paper's kind of split, from published labels."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

pytestmark = pytest.mark.workflow

CONFIG = {
    "run": "hanson",
    "source": "taskonomy",
    "taskonomy": {"path": "buildings", "train_buildings": ["hanson"], "val_images": 9},
    "tasks": ["autoencoder", "edge2d", "edge3d", "rgb2depth"],
    "stimuli": {"n": 20},
    "small": {"seeds": [0], "n_train": None, "recipe": {"steps": 6, "batch_size": 8}},
    "robustness": {"tasks": ["edge2d"]},
}


@pytest.fixture
def hanson(project):
    """Return a project with a made-up building of 40 views at 14 points, and another building."""
    rng = np.random.default_rng(0)
    for number in range(41):
        folder = project.path / "buildings" / ("hanson" if number < 40 else "other")
        folder.mkdir(parents=True, exist_ok=True)
        stem = folder / f"point_{number // 3}_view_{number % 3}_domain_"
        domains = {
            "rgb": rng.integers(0, 256, (32, 32, 3)).astype(np.uint8),
            "depth_zbuffer": rng.integers(500, 3000, (32, 32)).astype(np.uint16),
            "edge_texture": rng.integers(0, 9000, (32, 32)).astype(np.uint16),
            "edge_occlusion": rng.integers(0, 9000, (32, 32)).astype(np.uint16),
        }
        for domain, values in domains.items():
            Image.fromarray(values).save(f"{stem}{domain}.png")
        camera = {"field_of_view_rads": math.pi / 2, "camera_location": [1.0, 2.0, 1.5]}
        camera["camera_rotation_final"] = [math.pi / 2, 0.0, 0.0]
        camera["bounding_box_ranges"] = {"x": [0.0, 8.0], "y": [-2.0, 4.0], "z": [0.0, 3.0]}
        (folder / f"{stem.name}point_info.json").write_text(json.dumps(camera))
    (project.path / "hanson.yaml").write_text(yaml.safe_dump(CONFIG))
    return project


def test_small_models_train_on_the_split_of_one_building(hanson):
    import h5py

    words = ("--configfile", "config/smoke.yaml", "hanson.yaml", "--")
    hanson.snakemake(*words, "small_quality", "results/hanson/rdms/small_w4_s0/edge2d.h5")
    results = hanson.path / "results/hanson"
    quality = pd.read_csv(results / "small/quality.csv")
    assert quality["task"].tolist() == ["autoencoder", "edge2d", "edge3d", "rgb2depth"]
    ids = {}
    for split in ("train", "val"):
        with h5py.File(results / f"data/{split}.h5") as file:
            ids[split] = {name.decode() for name in file["ids"][()]}
    assert {split: len(found) for split, found in ids.items()} == {"train": 31, "val": 9}
    assert all(name.startswith("hanson/") for name in ids["train"] | ids["val"])
