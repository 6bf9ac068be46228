"""Make the RDM of the stimuli's raw pixels: what networks share without having learnt anything."""

from taskrsa.data.pack import Pack
from taskrsa.entry import run
from taskrsa.rsa.rdm import compute_rdm
from taskrsa.rsa.rdm_file import write_rdms


def main(centre: bool, constant_images: str, stimuli: str, rdms: str) -> None:
    with Pack(stimuli) as pack:
        pixels = pack.rgb().reshape(len(pack), -1).astype("float32")
        result = compute_rdm(
            pixels, centre=centre, name="pixels", conditions=pack.ids, constant=constant_images
        )
        write_rdms(
            rdms,
            [result.dissimilarities],
            layers=["pixels"],
            model="pixels",
            task="",
            conditions=pack.ids,
            stimuli_digest=pack.digest,
            centre=centre,
            dropped=[result.dropped],
        )


if __name__ == "__main__":
    run(main)
