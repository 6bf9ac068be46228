"""Compare the rankings of the bank by small models with those by its own networks (section 6.2).

Reads the RDMs of the bank and of the small models, at the compressed output. Writes every ranking
(Figures 7 and S1), their agreement for each task (claim C5), and the similarity among small models
beside that in the bank (Figure S3, claim C6).
"""

from taskrsa.analysis.ranking import small_vs_bank
from taskrsa.analysis.tables import common_images
from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.rsa.inference import bootstrap_counts
from taskrsa.rsa.rdm import n_images_of
from taskrsa.rsa.rdm_file import stack_rdms


def main(
    bank: list[str],
    small: list[str],
    tasks: list[str],
    n_seeds: int,
    resamples: int,
    permutations: int,
    seed: int,
    rankings: str,
    agreement: str,
    pairs: str,
    matrices: str,
) -> None:
    """`small` holds the files of all `tasks` of the first seed, then of the next."""
    stacks = [stack_rdms(bank, "compressed"), stack_rdms(small, "compressed")]
    of_bank, of_small = common_images(stacks)
    n_images = n_images_of(of_bank.shape[1])
    tables = small_vs_bank(
        of_small.reshape(n_seeds, len(tasks), -1),
        of_bank,
        tasks,
        stacks[0].models,
        n_images,
        bootstrap_counts(n_images, resamples, seed),
        permutations,
        seed,
    )
    write_table(tables.rankings, rankings)
    write_table(tables.agreement, agreement)
    write_table(tables.pairs, pairs)
    write_table(tables.matrix_agreement, matrices)


if __name__ == "__main__":
    run(main)
