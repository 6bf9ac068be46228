"""Set what fine-tuning reached beside the ranking of a target (Table 2, claim C10).

Writes the scores in the order of the ranking, how well similarity predicts them, and what choosing
by similarity gained.
"""

from taskrsa.analysis.advice import target_similarity
from taskrsa.analysis.outcomes import PASCAL, choice_gain, prediction_rows, score_rows
from taskrsa.entry import run
from taskrsa.io.files import read_table, write_table
from taskrsa.rsa.inference import bootstrap_counts
from taskrsa.rsa.stacks import load_stacks


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
) -> None:
    """`same_task` is the network of the target's own task in another domain; `published` says that
    the target is the paper's."""
    reference = PASCAL if published else None
    of_bank, of_target = load_stacks(bank, target, layer, target_layer)
    counts = bootstrap_counts(of_bank.n_images, resamples, seed)
    similarity = target_similarity(of_target, of_bank, counts)
    reached = read_table(runs)
    predicted = prediction_rows(similarity, reached, permutations, seed, reference)
    if predicted["spearman"].isna().iloc[0]:
        print(
            "prediction: no correlation of similarities and scores; at least three networks with "
            "different ones are needed"
        )
    gain = choice_gain(similarity, reached, seed, same_task=same_task, reference=reference)
    write_table(predicted, prediction)
    write_table(gain, choice)
    write_table(score_rows(reached, read_table(ranking), reference), table)


if __name__ == "__main__":
    run(main)
