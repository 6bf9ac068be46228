"""Take one encoder of the public bank (Zamir et al. 2018) into this run's bank.

Reads a checkpoint named as in the public bank. Checks it by the SHA-256 in its name, loads it
strictly and writes its weights as safetensors with the encoder's spec in the header, as the bank's
own trainings do.
"""

from taskrsa.entry import run
from taskrsa.networks.public import check_public_file
from taskrsa.networks.spec import EncoderSpec
from taskrsa.networks.weights import load_encoder, save_encoder


def main(name: str, input_channels: int, checkpoint: str, weights: str) -> None:
    """`name` is the task's in the public bank; colorization's encoder has one input channel."""
    check_public_file(checkpoint, name)
    encoder = load_encoder(checkpoint, EncoderSpec(input_channels=input_channels))
    save_encoder(weights, encoder)
    print(f"{name}: {sum(p.numel() for p in encoder.parameters()):,} parameters")


if __name__ == "__main__":
    run(main)
