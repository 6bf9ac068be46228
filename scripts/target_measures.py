"""Measure how well a network suits a target by all measures of transfer.

Reads the labelled cells of a target and, of one network, its features, its RDMs and those of the
target's small models, as far as there are any. Writes a table of scores, what resampling the images
makes of them, and CPU seconds, which differ from run to run.
"""

import sklearn.covariance
import sklearn.neighbors  # noqa: F401 (loaded here, so that no measure's time counts it)
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.rsa.inference import bootstrap_counts
from taskrsa.rsa.stacks import load_stacks
from taskrsa.transferability.cells import read_cells
from taskrsa.transferability.draws_file import write_draws
from taskrsa.transferability.feature_file import read_features
from taskrsa.transferability.measures import named
from taskrsa.transferability.measuring import Subject, measure_all
from taskrsa.transferability.registry import Rdms


def main(
    model: str,
    cells: str,
    measures: list[str],
    drawn: list[str],
    layers: list[str],
    resamples: int,
    seed: int,
    table: str,
    draws: str,
    seconds: str,
    features: str | None = None,
    rdms: list[str] | None = None,
    target_rdms: list[str] | None = None,
    bank_rdms: list[str] | None = None,
    bank_target_rdms: list[str] | None = None,
    layer: str = "",
    target_layer: str = "",
    prior: float | None = None,
) -> None:
    """`layers` are those of the features that are measured, `drawn` the measures that are
    resampled; `rdms` is one file, of which `layer` is compared with `target_layer` of the
    target's, and `bank_rdms` another, of the run's stimuli where the first is of the target's."""
    chosen = named(measures, "measures")
    labels = read_cells(cells).labels
    known = {"prior": prior, "counts": bootstrap_counts(labels.n_images, resamples, seed)}
    if features is not None:
        read = read_features(features, layers)
        known |= {"layers": read.layers, "parameters": read.parameters}
    for need, drawn_by, one, others in (
        ("rdms", "stimulus_counts", rdms, target_rdms),
        ("bank_rdms", "bank_counts", bank_rdms, bank_target_rdms),
    ):
        if one and others:
            network, small = load_stacks(one, others, layer, target_layer)
            known[need] = Rdms(network.rdms, small.rdms, network.groups)
            known[drawn_by] = network.counts(resamples, seed)
    made = measure_all(Subject(model, labels, seed, **known), chosen, layers, drawn)
    write_draws(draws, made.draws)
    write_table(made.seconds, seconds)
    write_table(made.rows, table)


if __name__ == "__main__":
    run(main)
