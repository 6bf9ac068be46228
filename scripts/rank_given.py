"""Rank the bank for a target by similarities made elsewhere, and set published scores beside it.

Reads a file of similarities in several draws of images. Writes the ranking and, where scores were
published for the target, what `target_scores.py` writes of fine-tuning here; `selection` has a row
for each array of the file.
"""

from taskrsa.analysis.given import (
    given_prediction,
    given_ranking,
    published_runs,
    read_similarities,
    selection_row,
)
from taskrsa.analysis.outcomes import PASCAL, choice_gain, score_rows
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.paper.published import FIGURE8, MIOU

# The score of a constant answer on 21 classes is at most this; the test set has 1,456 images.
CHANCE, N_IMAGES = 1 / 21, 1456


def main(
    similarities: str,
    arrays: list[str],
    networks: dict,
    target: str,
    permutations: int,
    seed: int,
    ranking: str,
    scores: str | None = None,
    same_task: str | None = None,
    table: str | None = None,
    prediction: str | None = None,
    choice: str | None = None,
    selection: str | None = None,
) -> None:
    """`networks` maps names to label and type; the first of `arrays` ranks; `scores` is voc2012
    where those published for Pascal VOC are the truth; `same_task` is the network of the target's
    own task in another domain."""
    found = read_similarities(similarities, arrays, list(networks))
    styles = {name: tuple(style) for name, style in networks.items()}
    first = next(iter(found.values()))
    ranked = given_ranking(first, styles, FIGURE8 if scores else ())
    if scores:
        runs = published_runs(MIOU, "miou", CHANCE, N_IMAGES)
        write_table(score_rows(runs, ranked), table)
        write_table(given_prediction(first, runs, permutations, seed, PASCAL), prediction)
        gain = choice_gain(first, runs, seed, same_task=same_task, reference=PASCAL)
        write_table(gain, choice)
        rows = [selection_row(scores, name, target, one, runs) for name, one in found.items()]
        write_table(rows, selection)
    write_table(ranked, ranking)


if __name__ == "__main__":
    run(main)
