"""Write the archive that Pascal VOC's test server takes: predicted masks as palette PNGs."""

import torch
from taskrsa.entry import run
from taskrsa.networks.segmentation import load_segmentation
from taskrsa.networks.weights import on_accelerator
from taskrsa.targets.devkit import open_devkit, write_submission
from taskrsa.training.finetuning import predict
from tqdm import tqdm


def main(weights: str, data: str, images: str, archive: str, threads: int = 1) -> None:
    """`images` names the list of images to predict, which need no masks."""
    torch.set_num_threads(threads)
    network = on_accelerator(load_segmentation(weights))
    listed = open_devkit(data, images, labelled=False)
    masks = (
        (image_id, predict(network, listed.image(number)).byte().cpu().numpy())
        for number, image_id in enumerate(tqdm(listed.ids, desc=images, mininterval=5))
    )
    write_submission(archive, masks, len(listed.classes))


if __name__ == "__main__":
    run(main)
