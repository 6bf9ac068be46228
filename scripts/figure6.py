"""Draw Figure 6: the tree of the bank's tasks beside that of their transfer affinities."""

import pandas as pd
from taskrsa.analysis.tables import read_similarity
from taskrsa.entry import run
from taskrsa.figures.save import save_data, save_figure
from taskrsa.figures.taxonomy import figure6
from taskrsa.io.files import atomic_path
from taskrsa.rsa.clustering import LINKAGES, to_newick


def main(
    agreement: str,
    kind: str,
    transfer: str,
    similarity: str,
    method: str,
    title: str,
    pdf: str,
    png: str,
    csv: str,
    ours_newick: str,
    transfer_newick: str,
) -> None:
    """`kind` and `title` say whose affinities those of `transfer` are."""
    theirs = read_similarity(transfer)
    names = list(theirs.index)
    ours = read_similarity(similarity).loc[names, names]
    trees = [LINKAGES[method](matrix.to_numpy()) for matrix in (ours, theirs)]
    for tree, path in zip(trees, (ours_newick, transfer_newick), strict=True):
        with atomic_path(path) as temporary:
            temporary.write_text(to_newick(tree, names) + "\n")
    rows = pd.read_csv(agreement)
    own = rows[(rows["affinities"] == kind) & (rows["similarity"] == "ours")]
    figure = figure6(
        (trees[0], names),
        (trees[1], names),
        own.iloc[0].to_dict(),
        titles=("Ours (RSA)", title),
        distance_label="1 - similarity",
    )
    save_figure(figure, pdf, png)
    pairs = [
        {"model_a": a, "model_b": b, "ours": ours.loc[a, b], "transfer": theirs.loc[a, b]}
        for i, a in enumerate(names)
        for b in names[i + 1 :]
    ]
    save_data(pd.DataFrame(pairs), csv)


if __name__ == "__main__":
    run(main)
