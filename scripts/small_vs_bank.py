"""Compare the rankings of the bank by small models with those by its own networks (section 6.2).

Reads the RDMs of the bank, of the small models and of untrained encoders. Writes every ranking
(Figures 7 and S1), their agreement for each task (claim C5), and the similarity among small models
beside that in the bank (Figure S3, claim C6).
"""

from taskrsa.analysis.small_models import small_vs_bank
from taskrsa.analysis.tables import with_groups
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.rsa.stacks import common_images, stack_rdms


def main(
    bank: list[str],
    small: list[str],
    tasks: list[str],
    resamples: int,
    permutations: int,
    seed: int,
    rankings: str,
    agreement: str,
    pairs: str,
    matrices: str,
    layer: str,
    random: list[str] | None = None,
) -> None:
    """`small` holds the files of all `tasks` of the first seed, then of the next; `random` those of
    untrained encoders of the bank's design."""
    read = [stack_rdms(bank, layer), stack_rdms(small, "compressed")]
    read += [stack_rdms(random, layer)] if random else []
    of_bank, of_small, *untrained = common_images(*read)
    counts = of_bank.counts(resamples, seed)
    null = next(iter(untrained), None)
    tables = small_vs_bank(of_small, of_bank, tasks, counts, permutations, seed, null)
    for made, path in (
        (tables.rankings, rankings),
        (tables.agreement, agreement),
        (tables.pairs, pairs),
        (tables.matrix_agreement, matrices),
    ):
        write_table(with_groups(made, of_bank.n_groups), path)


if __name__ == "__main__":
    run(main)
