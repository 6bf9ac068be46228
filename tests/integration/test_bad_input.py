"""Bad input ends with one clear line that names the file or key, and nothing half-written."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import yaml
from conftest import Project
from PIL import Image

pytestmark = pytest.mark.workflow

SMOKE = ("--configfile", "config/smoke.yaml")


def with_config(project: Project, change: dict) -> tuple[str, ...]:
    (project.path / "extra.yaml").write_text(yaml.safe_dump(change))
    return (*SMOKE, "extra.yaml")


# Every key and message is tested with the plan; here that Snakemake adds nothing to them.
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stimulli": {"n": 3}}, "error: config, stimulli: unknown key; did you mean stimuli?"),
        ({"source": "rgbd", "rgbd": {"path": "absent"}}, "error: absent/images.csv: "),
        ({"pascal": {"source": "voc"}}, "error: config, pascal: is now targets.<name>, an entry"),
        (
            {"rsa": {"gram_cache": "Snakefile"}},
            "error: config, rsa.gram_cache: Snakefile is a file; name a folder",
        ),
    ],
)
def test_a_wrong_config_is_one_line_before_anything_runs(project, change, message):
    printed = project.snakemake(*with_config(project, change), ok=False)
    lines = [line for line in printed.splitlines() if message in line]
    assert len(lines) == 1, printed
    assert "Traceback" not in printed
    assert not (project.path / "results").exists()


@pytest.fixture
def rgbd(project) -> Project:
    """Return a project with a small RGB-D folder and a config that uses it."""
    folder = project.path / "photos"
    rng = np.random.default_rng(0)
    for part in ("rgb", "depth", "semantic"):
        (folder / part).mkdir(parents=True)
    ids = [f"{number:03d}" for number in range(12)]
    for image_id in ids:
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(
            folder / f"rgb/{image_id}.png"
        )
        depth = rng.integers(500, 4000, (32, 32)).astype(np.uint16)
        Image.fromarray(depth).save(folder / f"depth/{image_id}.png")
        Image.fromarray(rng.integers(1, 4, (32, 32), dtype=np.uint8)).save(
            folder / f"semantic/{image_id}.png"
        )
    splits = ["train"] * 8 + ["val"] * 4
    rows = "".join(f"{i},{s}\n" for i, s in zip(ids, splits, strict=True))
    (folder / "images.csv").write_text("id,split\n" + rows)
    camera = {"width": 32, "height": 32, "fx": 30, "fy": 30, "cx": 16, "cy": 16}
    camera["depth_unit_m"] = 0.001
    (folder / "camera.json").write_text(json.dumps(camera))
    config = {
        "source": "rgbd",
        "rgbd": {"path": "photos", "classes": ["table", "chair", "wall"]},
        "stimuli": {"n": 6},
        "tasks": ["edge2d", "autoencoder", "rgb2depth", "reshade"],
        "training": {"recipe": {"steps": 4, "batch_size": 4}},
    }
    with_config(project, config)
    return project


def error_lines(printed: str) -> list[str]:
    return [line for line in printed.splitlines() if line.startswith("error:")]


def test_an_rgbd_folder_runs(rgbd):
    rgbd.snakemake(*SMOKE, "extra.yaml", "--", "figure4")
    assert (rgbd.path / "results/smoke/figures/figure4.png").exists()


def test_a_truncated_image_is_named_and_nothing_is_left(rgbd):
    victim = rgbd.path / "photos/rgb/005.png"
    victim.write_bytes(victim.read_bytes()[:200])
    printed = rgbd.snakemake(*SMOKE, "extra.yaml", "--", "results/smoke/data/train.h5", ok=False)
    assert len(error_lines(printed)) == 1, printed
    assert "photos/rgb/005.png" in error_lines(printed)[0]
    assert "Traceback" not in printed
    data = rgbd.path / "results/smoke/data"
    assert not data.exists() or not list(data.iterdir())


def test_a_missing_image_is_named(rgbd):
    (rgbd.path / "photos/depth/003.png").unlink()
    printed = rgbd.snakemake(*SMOKE, "extra.yaml", "--", "results/smoke/data/train.h5", ok=False)
    assert "Missing input files for rule prepare_split" in printed
    assert [line for line in printed.splitlines() if line.strip() == "photos/depth/003.png"]
    assert not (rgbd.path / "results/smoke/data").exists()


def test_one_id_twice_is_named(rgbd):
    with (rgbd.path / "photos/images.csv").open("a") as stream:
        stream.write("005,train\n")
    printed = rgbd.snakemake(*SMOKE, "extra.yaml", "--", "results/smoke/data/train.h5", ok=False)
    assert "005" in printed
    assert "images.csv" in printed
    assert "Traceback" not in printed


def test_more_stimuli_than_images_are_refused(rgbd):
    config = yaml.safe_load((rgbd.path / "extra.yaml").read_text())
    config["stimuli"]["n"] = 100
    printed = rgbd.snakemake(
        *with_config(rgbd, config), "--", "results/smoke/data/stimuli.h5", ok=False
    )
    assert error_lines(printed) == [
        "error: 100 images are wanted of split train, which has 8; lower the number in the config"
    ]


def test_a_changed_photograph_makes_its_results_stale(rgbd):
    target = "results/smoke/data/train.h5"
    rgbd.snakemake(*SMOKE, "extra.yaml", "--", target)
    photo = rgbd.path / "photos/rgb/002.png"
    photo.touch()
    assert rgbd.planned(*SMOKE, "extra.yaml", "--", target) == set()
    shutil.copy(rgbd.path / "photos/rgb/003.png", photo)
    assert rgbd.planned(*SMOKE, "extra.yaml", "--", target) == {"prepare_split"}


def test_plain_photographs_serve_as_stimuli(rgbd):
    config = yaml.safe_load((rgbd.path / "extra.yaml").read_text())
    config["stimuli"] = {"n": 12, "source": "folder"}
    config["folder"] = {"path": "photos/rgb"}
    words = with_config(rgbd, config)
    rgbd.snakemake(*words, "--", "figure4", "figure5")
    similarity = (rgbd.path / "results/smoke/tables/similarity.csv").read_text()
    assert "compressed" in similarity
    assert "labels" not in similarity  # photographs alone have none


def test_a_constant_image_is_an_error_or_dropped_and_counted(rgbd):
    config = yaml.safe_load((rgbd.path / "extra.yaml").read_text())
    grey = Image.fromarray(np.full((32, 32, 3), 77, np.uint8))
    grey.save(rgbd.path / "photos/rgb/004.png")
    config["stimuli"]["n"] = 8
    config["rsa"] = {"constant_images": "error"}
    target = "results/smoke/rdms/pixels/pixels.h5"
    printed = rgbd.snakemake(*with_config(rgbd, config), "--", target, ok=False)
    assert len(error_lines(printed)) == 1
    assert "pixels" in error_lines(printed)[0]
    assert "004" in error_lines(printed)[0]
    config["rsa"] = {"constant_images": "drop"}
    rgbd.snakemake(*with_config(rgbd, config), "--", target)
    from taskrsa.rsa.stacks import stack_rdms

    stacked = stack_rdms([rgbd.path / target], "pixels")
    assert stacked.n_dropped == 1
    assert stacked.n_images == 7
