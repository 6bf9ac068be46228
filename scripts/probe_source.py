"""Measure how well one frozen encoder serves every task, by linear probes of its compressed output.

Reads the packs of training and validation views, the encoder's weights and every target's labels.
Writes one row a target: the share of the constant predictor's error removed on the validation
views, which is the measured transfer affinity.
"""

import torch
from taskrsa.data.pack import Pack, label_attributes, read_labels
from taskrsa.entry import run
from taskrsa.errors import ConfigError
from taskrsa.io.files import write_table
from taskrsa.networks.loading import native_encoder
from taskrsa.networks.network import Network
from taskrsa.networks.preprocessing import transfer_input
from taskrsa.networks.weights import on_accelerator
from taskrsa.tasks.task import Task
from taskrsa.training.probe import SourceProbe, compressed_features, labels_at_positions
from tqdm import tqdm


def main(
    row: dict,
    targets: dict,
    neighbourhood: int,
    n_train: int | None,
    seed: int,
    batch_size: int,
    train_images: str,
    val_images: str,
    weights: str,
    labels: list[str],
    table: str,
    threads: int = 1,
) -> None:
    """`row` is the source, an encoder of this project's architectures, as JSON; `targets` maps a
    task's id to its definition, and `labels` holds their files in the same order; the first
    `n_train` views are fitted to."""
    torch.set_num_threads(threads)
    if len(labels) != len(targets):
        raise ConfigError(f"labels: {len(labels)} files for {len(targets)} targets; give one each")
    network = Network.from_json(row)
    source, channels = network.name, network.n_channels
    encoder = on_accelerator(native_encoder(network, weights))
    images = []
    for path, count in ((train_images, n_train), (val_images, None)):
        with Pack(path) as pack:
            images.append(pack.rgb(count))

    def features(shown: str, split: int) -> torch.Tensor:
        noise = torch.Generator().manual_seed(seed * 2 + split)  # the same for every source
        return compressed_features(
            encoder,
            lambda rgb: transfer_input(rgb, channels, shown, noise),
            images[split],
            batch_size,
            source,
        )

    files = dict(zip(targets, labels, strict=True))
    rows = {}
    # One input at a time, so that the features of one are in memory.
    definitions = {name: Task(**values) for name, values in targets.items()}
    progress = tqdm(total=len(targets), desc=source, mininterval=5)
    for shown in dict.fromkeys(task.input for task in definitions.values()):
        probe = SourceProbe(features(shown, 0), features(shown, 1), neighbourhood, seed)
        for name, task in definitions.items():
            if task.input != shown:
                continue
            found = probe.transfer(task, *_labels(task, files[name], n_train, probe.grid))
            rows[name] = {"source": source, "target": name, **vars(found)}
            progress.update()
    progress.close()
    write_table([rows[name] for name in targets], table)


def _labels(task: Task, path: str, n_train: int | None, grid: int) -> list:
    """Return the labels of the training and validation views at the positions of the bottleneck."""
    about = label_attributes(path)
    return [
        labels_at_positions(
            task,
            *read_labels(path, split, count),
            about["n_outputs"],
            grid,
            about.get("ab_bins"),
        )
        for split, count in (("train", n_train), ("val", None))
    ]


if __name__ == "__main__":
    run(main)
