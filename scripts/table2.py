"""Make Table 2: similarity to the new task beside the mIoU reached by fine-tuning (claim C10).

Writes the table in the paper's order, how well similarity predicts mIoU, and what choosing by
similarity would have gained.
"""

import pandas as pd
from taskrsa.analysis.outcomes import choice_gain, prediction_rows, table2, target_similarity
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.rsa.inference import bootstrap_counts
from taskrsa.rsa.stacks import load_stacks


def main(
    rankings: str,
    scores: str,
    bank: list[str],
    target: list[str],
    own: str,
    resamples: int,
    permutations: int,
    seed: int,
    table: str,
    prediction: str,
    choice: str,
) -> None:
    """`own` is the bank's task that is the new task's own in the bank's domain."""
    of_bank, of_target = load_stacks(bank, target, "compressed")
    sources = of_bank.models
    counts = bootstrap_counts(of_bank.n_images, resamples, seed)
    similarity, draws = target_similarity(of_target.rdms, of_bank.rdms, sources, counts)
    reached = pd.read_csv(scores)
    write_table(table2(reached, pd.read_csv(rankings)), table)
    write_table(
        prediction_rows(similarity, draws, sources, reached, permutations, seed), prediction
    )
    own_source = own if own in sources else None
    write_table(choice_gain(similarity, draws, sources, reached, seed, own=own_source), choice)


if __name__ == "__main__":
    run(main)
