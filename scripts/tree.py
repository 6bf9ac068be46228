"""Build the tree of tasks from one layer's similarity matrix: Newick, and SciPy's linkage."""

from taskrsa.analysis.tables import linkage_table, similarity_square
from taskrsa.entry import run
from taskrsa.io.files import atomic_path, read_table, write_table
from taskrsa.rsa.clustering import LINKAGES, to_newick


def main(similarity: str, method: str, newick: str, linkage: str) -> None:
    matrix = similarity_square(read_table(similarity), name=similarity)
    tree = LINKAGES[method](matrix.to_numpy())
    with atomic_path(newick) as temporary:
        temporary.write_text(to_newick(tree, list(matrix.index)) + "\n")
    write_table(linkage_table(tree, list(matrix.index)), linkage)


if __name__ == "__main__":
    run(main)
