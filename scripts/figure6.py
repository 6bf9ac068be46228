"""Draw Figure 6: the tree of the bank's tasks beside Taskonomy's own."""

import pandas as pd
from taskrsa.entry import run
from taskrsa.figures.save import save_data, save_figure
from taskrsa.figures.taxonomy import figure6
from taskrsa.files import atomic_path
from taskrsa.rsa.clustering import LINKAGES, to_newick
from taskrsa.rsa.tables import read_similarity


def main(
    agreement: str,
    taskonomy: str,
    similarity: str,
    method: str,
    pdf: str,
    png: str,
    csv: str,
    ours_newick: str,
    taskonomy_newick: str,
) -> None:
    theirs = read_similarity(taskonomy)
    names = list(theirs.index)
    ours = read_similarity(similarity).loc[names, names]
    trees = [LINKAGES[method](matrix.to_numpy()) for matrix in (ours, theirs)]
    for tree, path in zip(trees, (ours_newick, taskonomy_newick), strict=True):
        with atomic_path(path) as temporary:
            temporary.write_text(to_newick(tree, names) + "\n")
    summary = pd.read_csv(agreement).set_index("similarity").loc["ours"].to_dict()
    figure = figure6((trees[0], names), (trees[1], names), summary, distance_label="1 - similarity")
    save_figure(figure, pdf, png)
    pairs = [
        {"model_a": a, "model_b": b, "ours": ours.loc[a, b], "taskonomy": theirs.loc[a, b]}
        for i, a in enumerate(names)
        for b in names[i + 1 :]
    ]
    save_data(pd.DataFrame(pairs), csv)


if __name__ == "__main__":
    run(main)
