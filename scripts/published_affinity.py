"""Read Taskonomy's published affinities of some tasks from their pickle (checked by hash)."""

from taskrsa.analysis.affinity import affinity_matrix, read_affinity_pickle
from taskrsa.analysis.tables import long_table
from taskrsa.entry import run
from taskrsa.io.files import write_table


def main(affinities: str, sha256: str, tasks: list[str], table: str) -> None:
    matrix = affinity_matrix(read_affinity_pickle(affinities, sha256), tasks)
    write_table(long_table(matrix, "source", "target", "affinity"), table)


if __name__ == "__main__":
    run(main)
