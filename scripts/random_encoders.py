"""Make the control bank: encoders of the bank's architecture with random weights."""

from taskrsa.entry import run
from taskrsa.models.encoder import EncoderSpec, random_encoder, save_encoder


def main(encoder: dict, seed: int, weights: list[str]) -> None:
    for number, path in enumerate(weights):
        save_encoder(path, random_encoder(EncoderSpec.from_config(encoder), seed + number))


if __name__ == "__main__":
    run(main)
