"""Published files are converted on the way: one command from NYU Depth v2's file, or from SBD."""

from __future__ import annotations

import csv

import h5py
import pytest
import yaml
from PIL import Image
from published import write_both, write_mat

pytestmark = pytest.mark.workflow

NYUV2 = {
    "run": "frames",
    "source": "rgbd",
    "tasks": "auto",
    "rgbd": {"mat": "$TASKRSA_DATA/nyu.mat", "convert": {"size": 64, "n_classes": 3}},
    "stimuli": {"n": 4},
    "targets": {"outdoor": None},
}
FOLDER = "results/downloads/nyuv2_rgbd"
WORDS = ("--configfile", "config/smoke.yaml", "extra.yaml")


def configure(project, settings: dict) -> None:
    (project.path / "extra.yaml").write_text(yaml.safe_dump(settings))


def test_one_command_converts_the_frames_and_labels_them(project, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    write_mat(data / "nyu.mat")
    configure(project, NYUV2)
    targets = [f"results/frames/labels/{task}.h5" for task in ("rgb2depth", "segmentsemantic")]
    printed = project.snakemake(*WORDS, "--", *targets, "list_tasks", data=data)
    assert "Converting NYU Depth v2" in printed
    assert "left out: class_places" in printed
    with open(project.path / FOLDER / "images.csv", newline="") as stream:
        splits = {row["id"]: row["split"] for row in csv.DictReader(stream)}
    assert sorted(splits) == [f"{i:04d}" for i in range(6)]
    for split in ("train", "val"):
        with h5py.File(project.path / f"results/frames/data/{split}.h5") as file:
            ids = {name.decode() for name in file["ids"][()]}
        assert ids == {image_id for image_id, name in splits.items() if name == split}
    tasks = (project.path / "results/frames/tables/tasks.csv").read_text()
    assert "segmentsemantic" in tasks

    def stale(size: int) -> set[str]:
        rgbd = {"mat": str(data / "nyu.mat"), "convert": {"size": size, "n_classes": 3}}
        configure(project, {**NYUV2, "rgbd": rgbd})
        return project.planned(*WORDS, "--", *targets)

    # Another spelling of the same file's path changes nothing, another size does.
    assert stale(64) == set()
    assert stale(32) == {"convert_nyuv2", "prepare_split", "prepare_stimuli", "derive_labels"}
    project.snakemake(*WORDS, "--", *targets)
    with Image.open(project.path / FOLDER / "rgb/0000.png") as image:
        assert image.size == (32, 32)
    assert stale(32) == set()


def test_what_is_missing_is_told_in_one_line(project, tmp_path):
    configure(project, NYUV2)
    target = f"{FOLDER}/images.csv"
    printed = project.snakemake(*WORDS, "--", target, ok=False, data=tmp_path)
    assert f"error: config, rgbd.mat: there is no file {tmp_path}/nyu.mat" in printed
    (tmp_path / "nyu.mat").write_bytes(b"<html>moved</html>")
    printed = project.snakemake(*WORDS, "--", target, ok=False, data=tmp_path)
    assert f"error: {tmp_path}/nyu.mat: cannot be read as HDF5" in printed
    assert "Traceback" not in printed
    # Without a local file it is fetched, once its licence is accepted.
    configure(project, {**NYUV2, "rgbd": {}})
    printed = project.snakemake(*WORDS, "--", target, ok=False)
    assert "rgbd.path: is not set" in printed
    assert "Traceback" not in printed
    configure(project, {**NYUV2, "rgbd": {}, "assets": {"accept_licences": ["nyuv2"]}})
    assert project.planned(*WORDS, "--", target) == {"fetch_asset", "convert_nyuv2"}


def test_masks_of_sbd_are_merged_on_the_way(project, tmp_path):
    kit, extra, truth = write_both(tmp_path)
    voc = {"kind": "segmentation", "path": str(kit), "sbd": str(extra)}
    configure(project, {"run": "merged", "targets": {"voc": voc}})
    good = (extra / "cls/d.mat").read_bytes()
    (extra / "cls/d.mat").write_bytes(good[:200])
    words = (*WORDS, "--", "results/merged/targets/voc/images.csv")
    printed = project.snakemake(*words, ok=False)
    wanted = f"error: 1 problem in 5 labelled images: {extra}/cls/d.mat: is not a MATLAB file"
    assert wanted in printed
    (extra / "cls/d.mat").write_bytes(good)
    project.snakemake(*words)
    with open(project.path / "results/merged/targets/voc/images.csv", newline="") as stream:
        found = {row["id"]: (row["split"], row["height"]) for row in csv.DictReader(stream)}
    assert {name: split for name, (split, _) in found.items()} == {
        "a": "train", "c": "train", "d": "train", "e": "train", "b": "val",
    }  # fmt: skip
    assert all(int(height) == len(truth[name]) for name, (_, height) in found.items())
