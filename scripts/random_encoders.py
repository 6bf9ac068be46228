"""Make the control bank: encoders of the bank's architecture with random weights."""

from taskrsa.entry import run
from taskrsa.networks.spec import encoder_spec
from taskrsa.networks.weights import random_encoder, save_encoder


def main(encoder: dict, seed: int, weights: list[str]) -> None:
    for number, path in enumerate(weights):
        save_encoder(path, random_encoder(encoder_spec(encoder), seed + number))


if __name__ == "__main__":
    run(main)
