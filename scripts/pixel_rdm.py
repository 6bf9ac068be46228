"""Make the RDM of the stimuli's raw pixels: what networks share without having learnt anything."""

from taskrsa.data.pack import Pack
from taskrsa.entry import run
from taskrsa.rsa.rdm_file import Origin, make_rdms


def main(centre: bool, constant_images: str, stimuli: str, rdms: str) -> None:
    with Pack(stimuli) as pack:
        pixels = pack.rgb().reshape(len(pack), -1).astype("float32")
        origin = Origin("pixels", "", pack.ids, pack.digest, centre, groups=pack.groups)
        make_rdms(rdms, {"pixels": (pixels, centre)}, origin, constant_images)


if __name__ == "__main__":
    run(main)
