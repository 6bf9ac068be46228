"""Set what fine-tuning reached beside the ranking of a target (Table 2, claim C10).

Writes the scores in the order of the ranking, how well similarity predicts them, and what choosing
by similarity gained.
"""

import pandas as pd
from taskrsa.analysis.advice import Similarity, target_similarity
from taskrsa.analysis.outcomes import (
    ON_RUN_STIMULI,
    PASCAL,
    choice_gain,
    prediction_rows,
    score_rows,
)
from taskrsa.analysis.tables import with_groups
from taskrsa.entry import run
from taskrsa.io.files import read_table, write_table
from taskrsa.rsa.stacks import RDMStack, load_stacks


def main(
    ranking: str,
    runs: str,
    bank: list[str],
    target: list[str],
    layer: str,
    target_layer: str,
    resamples: int,
    permutations: int,
    seed: int,
    table: str,
    prediction: str,
    choice: str,
    same_task: str | None = None,
    published: bool = False,
    bank_beside: list[str] | None = None,
    target_beside: list[str] | None = None,
) -> None:
    """`same_task` is the network of the target's own task in another domain; `published` says that
    the target is the paper's. `bank_beside` and `target_beside` are RDMs over the run's stimuli
    where the others are over images of the target."""
    reference = PASCAL if published else None

    def similarity_of(bank: RDMStack, target: RDMStack) -> Similarity:
        return target_similarity(target, bank, bank.counts(resamples, seed))

    of_bank, of_target = load_stacks(bank, target, layer, target_layer)
    similarity, reached = similarity_of(of_bank, of_target), read_table(runs)
    predicted = prediction_rows(similarity, reached, permutations, seed, reference)
    if bank_beside and target_beside:
        other = similarity_of(*load_stacks(bank_beside, target_beside, layer, target_layer))
        row = prediction_rows(other, reached, permutations, seed)
        row["ranking"] = ON_RUN_STIMULI
        predicted = pd.concat([predicted[:1], row, predicted[1:]], ignore_index=True)
    if predicted["spearman"].isna().iloc[0]:
        print(
            "prediction: no correlation of similarities and scores; at least three networks with "
            "different ones are needed"
        )
    gain = choice_gain(similarity, reached, seed, same_task=same_task, reference=reference)
    write_table(with_groups(predicted, of_bank.n_groups), prediction)
    write_table(with_groups(gain, of_bank.n_groups), choice)
    write_table(score_rows(reached, read_table(ranking), reference), table)


if __name__ == "__main__":
    run(main)
