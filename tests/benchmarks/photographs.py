"""Time the way from photographs on disk to the RDMs of six layers, for networks as users have them.

Run from anywhere, with nothing else running:

    .venv/bin/python tests/benchmarks/photographs.py --photographs FOLDER --out photographs.csv

Networks of timm with random weights and an ONNX file, one thread. For each, in processes of
their own: the bare forward pass over images that are in memory, in the best of several settings,
which are tried first; the two jobs of the workflow, which read the photographs and make the RDMs;
and, with `--thingsvision PYTHON`, a Python that has it, THINGSvision: features of all layers in one
pass, then its RDMs. CPU seconds, start-up included but for the forward pass, wall time, peak
memory, what was written to disk, and how many times the forward pass's CPU seconds.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from processes import timed
from rows import Row, show, write_rows

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

SIZE = 224
_ONNX = "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx"
# Six layers each, by the names that modules have in timm; the ONNX file's are found by themselves.
NETWORKS = {
    "timm:resnet50": ("maxpool", *(f"layer{n}" for n in range(1, 5)), "global_pool"),
    "timm:efficientnet_b0": (*(f"blocks.{n}" for n in (0, 1, 2, 4, 6)), "global_pool"),
    "timm:vit_small_patch16_224": tuple(f"blocks.{n}" for n in range(1, 12, 2)),
    "onnx": (),
}
_BATCHES = (4, 8, 16, 32)
_TRIED = 32  # images to try a setting with


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photographs", type=Path, required=True, help="folder")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--thingsvision", metavar="PYTHON", help="a Python that can import it")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        images = some_of(options.photographs, options.images, Path(name) / "photographs")
        for network in options.networks:
            jobs = {"forward pass": bare_job, "taskrsa": workflow_jobs}
            if options.thingsvision and NETWORKS[network]:
                jobs["THINGSvision"] = partial(peer_job, options.thingsvision)
            found: dict[str, Row] = {}
            for what, job in jobs.items():
                with tempfile.TemporaryDirectory() as folder:
                    found[what] = job(network, images, Path(folder))
                row = {"network": network, "what": what, "images": options.images, **found[what]}
                row["of_forward"] = row["cpu_s"] / found["forward pass"]["cpu_s"]
                if what == "THINGSvision":
                    for key in ("wall_s", "peak_mb", "disk_mb"):
                        row[f"{key}_of_taskrsa"] = row[key] / found["taskrsa"][key]
                rows.append(row)
                show(row)
                write_rows(options.out, rows)


def some_of(photographs: Path, n: int, folder: Path) -> Path:
    """Link n photographs, in the order of their names, in a folder of their own."""
    folder.mkdir()
    files = sorted(path for path in photographs.glob("*") if path.is_file())[:n]
    if len(files) < n:
        sys.exit(f"{photographs}: {len(files)} photographs, not {n}; set --images")
    for file in files:
        (folder / file.name).symlink_to(file.resolve())
    return folder


def cells(network: str) -> dict[str, str]:
    """Return the row of a network's table."""
    row = {"name": "net", "size": str(SIZE), "mean": "0.5", "std": "0.5"}
    if network == "onnx":
        own = {"loader": "onnx", "weights": f"package:{_ONNX}", "layers": "auto"}
        return row | own | {"channels": "bgr"}
    layers = " ".join(NETWORKS[network])
    return row | {"loader": network, "arguments": '{"pretrained": false}', "layers": layers}


# --- jobs, each in processes of its own ---


def bare_job(network: str, photographs: Path, folder: Path) -> Row:
    pack, _ = packed(photographs, folder)
    result = folder / "result.json"
    took = timed([sys.executable, __file__, "bare", network, pack, result], folder / "log")
    found = json.loads(result.read_text())
    return {"setting": found["setting"], "cpu_s": found["cpu_s"], "peak_mb": took["peak_mb"]}


def workflow_jobs(network: str, photographs: Path, folder: Path) -> Row:
    from taskrsa.networks.network import weights_file
    from taskrsa.networks.table import network as read_row

    pack, read = packed(photographs, folder)
    row = read_row(cells(network))
    made = timed(
        [
            *(sys.executable, SCRIPTS / "network_rdms.py", "--rows", row.to_json()),
            *("--choices", json.dumps({"centre": True, "clip": True, "group_norm": False})),
            *("--constant_images", "error", "--batch_size", "8", "--features_mb", "2500"),
            *("--stimuli", pack, "--weights", weights_file(row) or "-"),
            *("--rdms", folder / "rdms.h5", "--log", folder / "rdms.log"),
        ],
        folder / "log",
    )
    return {
        "cpu_s": read["cpu_s"] + made["cpu_s"],
        "wall_s": read["wall_s"] + made["wall_s"],
        "peak_mb": max(read["peak_mb"], made["peak_mb"]),
        "disk_mb": size_mb(pack, folder / "rdms.h5"),
        "reading_cpu_s": read["cpu_s"],
    }


def packed(photographs: Path, folder: Path) -> tuple[Path, Row]:
    """Read the photographs as the workflow does; return the file and what that took."""
    source = {"kind": "folder", "path": str(photographs), "pattern": "*", "recursive": False}
    source |= {"groups": None, "image_size": SIZE}
    pack = folder / "stimuli.h5"
    command = [
        *(sys.executable, SCRIPTS / "prepare_images.py", "--source", json.dumps(source)),
        *("--split", "train", "--pack", pack, "--table", folder / "stimuli.csv"),
        *("--log", folder / "read.log"),
    ]
    return pack, timed(command, folder / "log")


def peer_job(python: str, network: str, photographs: Path, folder: Path) -> Row:
    features = folder / "features"
    took = timed([python, __file__, "thingsvision", network, photographs, features], folder / "log")
    return took | {"disk_mb": size_mb(*features.rglob("*"))}


def size_mb(*files: Path) -> float:
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


# --- what runs in them ---


def bare(network: str, pack: str, result: str) -> None:
    """Time the forward pass over the images of a pack, in the best of several settings."""
    import torch
    from taskrsa.data.pack import Pack

    torch.set_num_threads(1)
    shown = torch.from_numpy(Pack(pack).rgb()).permute(0, 3, 1, 2).float() / 127.5 - 1
    settings = _onnx_settings() if network == "onnx" else _torch_settings(network)
    with torch.inference_mode():
        tried = {}
        for name, (forward, laid_out) in settings.items():
            some = laid_out(shown[:_TRIED])
            for batch in _BATCHES:
                forward(some[:batch])
                tried[name, batch] = _seconds(forward, some, batch)
        name, batch = min(tried, key=tried.get)
        forward, laid_out = settings[name]
        spent = _seconds(forward, laid_out(shown), batch)
    Path(result).write_text(json.dumps({"setting": f"{name}, {batch}", "cpu_s": spent}))


def _seconds(forward, images, batch: int) -> float:
    start = time.process_time()
    for first in range(0, len(images), batch):
        forward(images[first : first + batch])
    return time.process_time() - start


def _torch_settings(network: str) -> dict:
    import torch
    from taskrsa.networks.fusing import fused
    from taskrsa.networks.optional import let_torchvision_be_imported

    let_torchvision_be_imported()
    import timm

    def model():
        return timm.create_model(network.removeprefix("timm:"), pretrained=False).eval()

    def laid_out(images):
        return images.to(memory_format=torch.channels_last)

    return {
        "eager": (model(), torch.Tensor.contiguous),
        "channels last": (laid_out(model()), laid_out),
        "fused": (laid_out(fused(model())), laid_out),
    }


def _onnx_settings() -> dict:
    import onnxruntime
    from taskrsa.networks.network import weights_file
    from taskrsa.networks.table import network as read_row

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(weights_file(read_row(cells("onnx")))), options)
    (wanted,) = session.get_inputs()
    return {
        "ONNX Runtime": (
            lambda images: session.run(None, {wanted.name: images}),
            lambda images: np.ascontiguousarray(images.numpy()),
        )
    }


def thingsvision(network: str, photographs: str, features: str) -> None:
    """Extract all layers with THINGSvision, then make its RDMs and save them."""
    # It imports a package that has the name of a file beside this one, coverage.
    sys.path.remove(str(Path(__file__).parent))
    # Names that its last release expects of older versions of NumPy and torchvision.
    np.AxisError = np.exceptions.AxisError  # noqa: NPY201
    from taskrsa.networks.optional import let_torchvision_be_imported

    let_torchvision_be_imported()
    import torch
    from thingsvision import get_extractor
    from thingsvision.core.rsa import compute_rdm
    from thingsvision.utils.data import DataLoader, ImageDataset

    torch.set_num_threads(1)
    extractor = get_extractor(
        model_name=network.removeprefix("timm:"), source="timm", device="cpu", pretrained=False
    )
    dataset = ImageDataset(
        root=photographs,
        out_path=features,
        backend=extractor.get_backend(),
        transforms=extractor.get_transformations(resize_dim=SIZE, crop_dim=SIZE),
    )
    batches = DataLoader(dataset=dataset, batch_size=8, backend=extractor.get_backend())
    found = extractor.extract_features(
        batches=batches, module_names=list(NETWORKS[network]), flatten_acts=True
    )
    for layer in list(found):
        np.save(Path(features) / f"{layer}.npy", compute_rdm(found.pop(layer), "correlation"))


if __name__ == "__main__":
    if sys.argv[1:2] == ["bare"]:
        bare(*sys.argv[2:])
    elif sys.argv[1:2] == ["thingsvision"]:
        thingsvision(*sys.argv[2:])
    else:
        main()
