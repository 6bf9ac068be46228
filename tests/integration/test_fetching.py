"""Data that the workflow fetches itself, from a loopback server or copies, to prepared images."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import tarfile
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import Project
from PIL import Image

pytestmark = pytest.mark.workflow

SMOKE = ("--configfile", "config/smoke.yaml")
TASKS = ["autoencoder", "edge2d", "edge3d", "rgb2depth"]
DOMAINS = ["depth_zbuffer", "edge_occlusion", "edge_texture", "point_info", "rgb"]


class Web:
    """A folder served on loopback; answers to `cut_once` break off in the middle, once."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.asked: list[str] = []
        self.cut_once: set[str] = set()
        web = self

        class Handler(SimpleHTTPRequestHandler):
            def __init__(self, *words):
                super().__init__(*words, directory=str(web.folder))

            def copyfile(self, source, outputfile):
                web.asked.append(self.path)
                content = source.read()
                if self.path in web.cut_once:
                    web.cut_once.remove(self.path)
                    content = content[: len(content) // 2]
                outputfile.write(content)

            def log_message(self, *words):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def web(tmp_path) -> Iterator[Web]:
    web = Web(tmp_path / "web")
    yield web
    web.http.shutdown()
    web.http.server_close()


def change_row(project: Project, name: str, **changes: object) -> None:
    """Change a row of the project's table of assets."""
    path = project.path / "config/assets.tsv"
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    next(row for row in rows if row["name"] == name).update(changes)
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def configure(project: Project, config: dict) -> tuple[str, ...]:
    (project.path / "extra.yaml").write_text(yaml.safe_dump(config))
    return (*SMOKE, "extra.yaml")


def error_lines(printed: str) -> list[str]:
    return [line for line in printed.splitlines() if line.startswith("error:")]


def png(values: np.ndarray, palette: list[int] | None = None) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(values)
    if palette:
        image.putpalette(palette)
    image.save(stream, "png")
    return stream.getvalue()


def make_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> bytes:
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path.read_bytes()


def make_building(web: Web, building: str, n_views: int) -> None:
    """Serve the tars of a made-up building in the layout of the published ones."""
    rng = np.random.default_rng(0)
    camera = {"field_of_view_rads": math.pi / 2, "camera_location": [1.0, 2.0, 1.5]}
    camera["camera_rotation_final"] = [math.pi / 2, 0.0, 0.0]
    camera["bounding_box_ranges"] = {"x": [0.0, 8.0], "y": [-2.0, 4.0], "z": [0.0, 3.0]}
    for domain in DOMAINS:
        files = {}
        for number in range(n_views):
            if domain == "point_info":
                suffix, content = "json", json.dumps(camera).encode()
            elif domain == "rgb":
                suffix, content = "png", png(rng.integers(0, 256, (32, 32, 3)).astype(np.uint8))
            else:
                levels = rng.integers(500, 3000, (32, 32)).astype(np.uint16)
                suffix, content = "png", png(levels)
            name = f"point_{number // 3}_view_{number % 3}_domain_{domain}.{suffix}"
            files[f"{domain}/{name}"] = content
        make_tar(web.folder / f"{building}_{domain}.tar", files)


def test_a_building_is_fetched_unpacked_and_prepared(project, web):
    import h5py

    make_building(web, "hanson", n_views=20)
    web.cut_once = {"/hanson_rgb.tar"}
    change_row(project, "taskonomy", address=f"{web.address}/{{building}}_{{domain}}.tar")
    config = {
        "run": "fetched",
        "source": "taskonomy",
        "tasks": TASKS,
        "taskonomy": {"train_buildings": ["hanson"], "val_images": 5},
        "stimuli": {"n": 8},
        "assets": {"pause_s": 0.01},
    }
    targets = ["results/fetched/data/train.h5", "results/fetched/data/stimuli.h5"]
    refused = project.snakemake(*configure(project, config), "--", *targets, ok=False)
    (line,) = error_lines(refused)
    assert line.startswith("error: config, taskonomy.path: is not set; name the folder")
    assert "taskonomy (https://raw.githubusercontent.com/StanfordVL/" in line
    assert line.endswith("to assets.accept_licences to have it fetched")
    assert web.asked == []

    config["assets"]["accept_licences"] = ["taskonomy"]
    words = (*configure(project, config), "--", *targets)
    fetching = {"fetch_building", "unpack_building"}
    assert project.planned(*words) == fetching | {"prepare_split", "prepare_stimuli"}
    project.snakemake(*words)
    tars = [f"/hanson_{domain}.tar" for domain in DOMAINS]
    assert sorted(web.asked) == sorted([*tars, "/hanson_rgb.tar"])
    downloads = project.path / "results/downloads"
    assert not list(downloads.glob("*.tar"))
    assert not list(downloads.glob("*.part*"))
    assert {path.name for path in downloads.glob("*.sha256")} == {
        f"{tar[1:]}.sha256" for tar in tars
    }
    for domain in DOMAINS:
        manifest = pd.read_csv(downloads / f"taskonomy/hanson/{domain}.csv")
        assert len(manifest) == 20
        for row in manifest.itertuples():
            file = downloads / "taskonomy/hanson" / domain / row.member
            assert file.stat().st_size == row.size
    with h5py.File(project.path / "results/fetched/data/train.h5") as file:
        ids = [name.decode() for name in file["ids"][()]]
    assert len(ids) == 15
    assert all(name.startswith("hanson/point_") for name in ids)

    # What has come stays: no newer code and no other settings fetch it again.
    for name in ("io/assets.py", "io/archive.py"):
        with (project.path / f"scripts/taskrsa/{name}").open("a") as stream:
            stream.write("\n# changed\n")
    config["assets"] |= {"tries": 1, "accept_licences": ["taskonomy", "voc2012"]}
    words = (*configure(project, config), "--", *targets)
    assert project.planned(*words) == set()
    manifest = downloads / "taskonomy/hanson/rgb.csv"
    manifest.unlink()
    assert project.planned(*words, str(manifest.relative_to(project.path))) >= fetching
    # Another building is fetched beside it, and only what lacks.
    config["taskonomy"]["val_buildings"] = ["other"]
    config["taskonomy"]["val_images"] = None
    printed = project.snakemake("--dry-run", *configure(project, config), "--", *targets)
    assert "Fetching rgb of Taskonomy's building other" in printed
    assert "Fetching point_info of Taskonomy's building hanson" not in printed


def test_a_folder_is_no_command_whatever_its_name(project):
    folder = "-d; touch evil; `touch evil` 'a\" && touch evil #"
    copies = project.path / "-my copies; touch evil"
    copies.mkdir()
    (copies / "all_affinities.pkl").write_bytes(b"content")
    digest = hashlib.sha256(b"content").hexdigest()
    change_row(project, "affinities", hash=f"sha256:{digest}", size="")
    assets = {"folder": folder, "local": [copies.name], "accept_licences": ["taskonomy"]}
    words = configure(project, {"assets": assets})
    project.snakemake(*words, "--", f"{folder}/all_affinities.pkl")
    assert (project.path / folder / "all_affinities.pkl").read_bytes() == b"content"
    assert not (project.path / "evil").exists()


def test_a_server_without_the_building_is_one_line(project, web):
    change_row(project, "taskonomy", address=f"{web.address}/{{building}}_{{domain}}.tar")
    config = {"assets": {"accept_licences": ["taskonomy"], "pause_s": 0.01}}
    target = "results/downloads/taskonomy/nowhere/rgb.csv"
    printed = project.snakemake(*configure(project, config), "--", target, ok=False)
    lines = set(error_lines(printed))
    assert len(lines) == 1, printed
    assert f"error: {web.address}/nowhere_rgb.tar: 404 " in lines.pop()
    assert "Traceback" not in printed


def voc_files(ids: list[str]) -> dict[str, bytes]:
    rng = np.random.default_rng(1)
    root = "VOCdevkit/VOC2012"
    files = {f"{root}/ImageSets/Segmentation/train.txt": "\n".join(ids[:3]).encode()}
    files[f"{root}/ImageSets/Segmentation/val.txt"] = "\n".join(ids[3:5]).encode()
    files[f"{root}/ImageSets/Main/train.txt"] = b"not wanted"
    for number, name in enumerate(ids):
        stream = io.BytesIO()
        photograph = Image.fromarray(rng.integers(0, 255, (24, 32, 3)).astype(np.uint8))
        photograph.save(stream, "jpeg")
        files[f"{root}/JPEGImages/{name}.jpg"] = stream.getvalue()
        if number < 5:
            mask = rng.integers(0, 21, (24, 32)).astype(np.uint8)
            files[f"{root}/SegmentationClass/{name}.png"] = png(mask, list(range(256)) * 3)
    return files


def sbd_files(ids: list[str]) -> dict[str, bytes]:
    from scipy.io import savemat

    root = "benchmark_RELEASE/dataset"
    files = {f"{root}/train.txt": "\n".join(ids[3:]).encode(), f"{root}/val.txt": ids[0].encode()}
    for name in ids:
        stream = io.BytesIO()
        savemat(stream, {"GTcls": {"Segmentation": np.full((24, 32), 7, np.uint8)}})
        files[f"{root}/cls/{name}.mat"] = stream.getvalue()
        files[f"{root}/img/{name}.jpg"] = b"not wanted"
    return files


def test_voc_and_sbd_come_from_copies_without_a_network(project, monkeypatch):
    ids = [f"2008_{number:06d}" for number in range(7)]
    copies = project.path / "copies"
    copies.mkdir()
    archives = {
        "voc2012": make_tar(copies / "VOCtrainval_11-May-2012.tar", voc_files(ids)),
        "sbd": make_tar(copies / "benchmark.tgz", sbd_files(ids), "w:gz"),
    }
    for name, content in archives.items():
        change_row(project, name, hash=f"md5:{hashlib.md5(content).hexdigest()}", size="")
    voc = {"kind": "segmentation", "source": "voc2012"}
    config = {
        "targets": {"voc": voc},
        "assets": {"accept_licences": ["voc2012", "sbd"], "offline": True, "local": ["$COPIES"]},
    }
    words = (*configure(project, config), "--", "results/smoke/targets/voc/images.csv")
    unset = project.snakemake(*words, ok=False)
    assert error_lines(unset) == [
        "error: config, assets: $COPIES names an environment variable that is not set; export it"
    ]
    monkeypatch.setenv("COPIES", str(project.path / "nowhere"))
    printed = project.snakemake(*words, ok=False)
    line = next(line for line in error_lines(printed) if "benchmark.tgz" in line)
    assert "assets.offline forbids the network; looked for it at" in line
    assert f"{project.path}/nowhere/benchmark.tgz (no such file)" in line

    monkeypatch.setenv("COPIES", str(copies))
    project.snakemake(*words)
    images = pd.read_csv(project.path / "results/smoke/targets/voc/images.csv")
    assert len(images) == 7
    downloads = project.path / "results/downloads"
    assert (downloads / "benchmark.tgz").resolve() == copies / "benchmark.tgz"
    members = pd.read_csv(downloads / "voc2012.csv")["member"]
    assert not members.str.contains("Main|not").any()
    assert not pd.read_csv(downloads / "sbd.csv")["member"].str.contains("/img/").any()
    assert {path.name for path in copies.iterdir()} == {
        "VOCtrainval_11-May-2012.tar",
        "benchmark.tgz",
    }
    # A devkit of the user's own goes before: then nothing is fetched, and nothing of SBD merged.
    voc["path"] = str(downloads / "voc2012/VOCdevkit/VOC2012")
    words = (*configure(project, config), "--", "results/smoke/targets/voc/images.csv")
    assert project.planned(*words) == {"prepare_target"}


def test_affinities_are_fetched_and_checked(project, web, real_data):
    target = "results/downloads/all_affinities.pkl"
    config = {"assets": {"accept_licences": ["taskonomy"], "pause_s": 0.01}}
    words = (*configure(project, config), "--", target)
    for name in ("all_affinities.pkl", "wins_vs_pixels.pkl"):
        (web.folder / name).write_bytes((real_data / f"taskonomy/{name}").read_bytes())

    def fetch(file: str, ok: bool) -> str:
        change_row(project, "affinities", address=f"{web.address}/{file}", size="")
        return project.snakemake(*words, ok=ok)

    assert f"error: {web.address}/absent.pkl: 404" in fetch("absent.pkl", ok=False)
    wrong = fetch("wins_vs_pixels.pkl", ok=False)
    assert f"error: {web.address}/wins_vs_pixels.pkl: wrong content: SHA-256 6b2d42a7281f" in wrong
    assert not (project.path / target).exists()
    fetch("all_affinities.pkl", ok=True)
    published = (real_data / "taskonomy/all_affinities.pkl").read_bytes()
    assert (project.path / target).read_bytes() == published
    # The run asks for Figure 6 beside the published affinities now.
    planned = project.planned(*words[:-2])
    assert {"published_affinity", "figure6_published"} <= planned
    assert "fetch_asset" not in planned


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"assets": {"accept_licences": ["mine"]}}, "accept_licences: no licence named mine;"),
        ({"assets": {"folders": "x"}}, "config, assets.folders: unknown key; did you mean folder?"),
        (
            {"affinities": {"download": True}},
            "config, affinities.download: unknown key; there are use,",
        ),
        (
            {"source": "taskonomy", "assets": {"accept_licences": ["taskonomy"]}},
            "config, taskonomy.train_buildings: is not set; name the buildings to fetch",
        ),
    ],
)
def test_a_wrong_setting_is_one_line(project, change, message):
    printed = project.snakemake("--dry-run", *configure(project, change), ok=False)
    assert len([line for line in error_lines(printed) if message in line]) == 1, printed
    assert "Traceback" not in printed


NETWORK = """
from torch import nn


def make():
    return nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))


def ready(side=32):
    import torch

    network = make()
    network(torch.zeros(1, 3, side, side))
    return network
"""


def test_weights_of_a_bank_s_table_are_fetched_checked_and_used(project, web, monkeypatch):
    import torch

    photos = project.path / "photos"
    photos.mkdir()
    for at in range(8):
        pixels = np.random.default_rng(at).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        (photos / f"{at}.png").write_bytes(png(pixels))
    (project.path / "loopback_nets.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(str(project.path))
    import loopback_nets

    torch.manual_seed(3)
    torch.save(loopback_nets.ready().state_dict(), web.folder / "mine.pth")
    digest = hashlib.sha256((web.folder / "mine.pth").read_bytes()).hexdigest()
    head = "name label type loader weights sha256 layers size mean std channels".replace(" ", "\t")
    cells = ["net", "Net", "mine", "loopback_nets:ready", f"{web.address}/mine.pth"]

    def bank(sha256: str) -> None:
        fetched = [*cells, sha256, "auto", "32", "0.5", "0.5", "rgb"]
        as_it_comes = ["other", "", "mine", "loopback_nets:ready", "", "", *fetched[6:]]
        rows = ["\t".join(row) for row in (fetched, as_it_comes)]
        (project.path / "bank.tsv").write_text("\n".join([head, *rows]) + "\n")

    words = configure(
        project,
        {
            "networks": "bank.tsv",
            "layers": ["last"],
            "stimuli": {"source": "folder", "n": 8},
            "folder": {"path": "photos"},
            "targets": {"outdoor": None},
            "n_random": 0,
        },
    )
    bank("0" * 64)
    printed = project.snakemake(*words, ok=False)
    assert any("mine.pth" in line and digest in line for line in error_lines(printed)), printed
    assert web.asked == ["/mine.pth"]  # what is wrong is not fetched again
    bank(digest)
    web.asked.clear()
    web.cut_once.add("/mine.pth")
    project.snakemake(*words)
    assert web.asked == ["/mine.pth"] * 2
    table = pd.read_csv(project.path / "results/smoke/tables/similarity.csv")
    assert len(table) == 1
    page = (project.path / "results/smoke/report.html").read_text()
    assert digest in page
