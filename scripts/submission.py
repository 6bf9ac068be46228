"""Write the archive that Pascal VOC's test server takes: predicted masks as palette PNGs."""

import torch
from taskrsa.data.images import read_photograph
from taskrsa.entry import run
from taskrsa.networks.network import Network
from taskrsa.networks.target import load_target
from taskrsa.networks.weights import on_accelerator
from taskrsa.targets.devkit import listed_images, write_submission
from taskrsa.training.objectives import predict
from tqdm import tqdm


def main(
    weights: str,
    devkit: str,
    images: str,
    archive: str,
    row: dict | None = None,
    start: str | None = None,
    threads: int = 1,
) -> None:
    """`images` names the devkit's list of images to predict, which need no masks. `row` and `start`
    are the row and weights that a network that is not of this project was fine-tuned from."""
    torch.set_num_threads(threads)
    network = on_accelerator(load_target(weights, row and Network.from_json(row), start))
    listed = listed_images(devkit, images)
    masks = (
        (image_id, predict(network, read_photograph(path)).byte().cpu().numpy())
        for image_id, path in tqdm(listed.items(), desc=images, mininterval=5)
    )
    write_submission(archive, masks)


if __name__ == "__main__":
    run(main)
