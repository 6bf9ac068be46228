"""Keep the features of a network at the labelled places of a target, from one forward pass."""

from pathlib import Path

import torch
from taskrsa.entry import run
from taskrsa.networks.loading import load_network
from taskrsa.networks.network import Network
from taskrsa.targets.sets import open_sets
from taskrsa.transferability.cells import read_cells
from taskrsa.transferability.feature_file import write_features
from taskrsa.transferability.features import extract_places


def main(
    row: dict,
    data: str,
    cells: str,
    tap: str,
    side: int,
    features: str,
    weights: str | None = None,
    n_train: int | None = None,
    threads: int = 1,
) -> None:
    """`tap` is the layer of encoders of this project that the head sees, `side` that of the images
    that encoders see, pixels; `n_train` is that of `cells`."""
    torch.set_num_threads(threads)
    encoder = load_network(Network.from_json(row), weights)
    name, parameters = encoder.row.name, encoder.n_parameters
    train = open_sets(data)["train"].first(n_train)
    found = extract_places(encoder, train, read_cells(cells), tap, side)
    write_features(features, name, parameters, found.layers, found.same)
    shapes = (f"{layer} {values.shape[1]}" for layer, values in found.layers.items())
    size = Path(features).stat().st_size / 1e6
    print(f"{name}: channels of {', '.join(shapes)}; {size:.1f} MB")


if __name__ == "__main__":
    run(main)
