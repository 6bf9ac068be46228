"""Make the RDM of one task's labels on the stimuli (paper Fig. 5.6), as for a network."""

from taskrsa.data.pack import Pack, label_attributes, read_labels
from taskrsa.entry import run
from taskrsa.rsa.rdm_file import Origin, make_rdms
from taskrsa.tasks.label_features import label_features


def main(
    task: str, centre: bool, constant_images: str, stimuli: str, labels: str, rdms: str
) -> None:
    with Pack(stimuli) as pack:
        conditions, digest, groups = pack.ids, pack.digest, pack.groups
    about = label_attributes(labels)
    features = label_features(
        about["output"], *read_labels(labels, "stimuli"), about["n_outputs"], about.get("ab_bins")
    )
    origin = Origin(task, task, conditions, digest, centre, groups=groups)
    make_rdms(rdms, {"labels": (features, centre)}, origin, constant_images)


if __name__ == "__main__":
    run(main)
