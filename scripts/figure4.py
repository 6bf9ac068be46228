"""Draw Figure 4: the task similarity matrix of the compressed output and its tree."""

import pandas as pd
from taskrsa.analysis.tables import read_linkage
from taskrsa.entry import run
from taskrsa.figures.save import save_data, save_figure
from taskrsa.figures.taxonomy import figure4

DISTANCES = {"paper": "distance of the matrix's rows", "average": "1 - $r_s$"}


def main(similarity: str, linkage: str, method: str, pdf: str, png: str, csv: str) -> None:
    table = pd.read_csv(similarity)
    tree, names = read_linkage(linkage)
    save_figure(figure4(table, tree, names, distance_label=DISTANCES[method]), pdf, png)
    save_data(table, csv)


if __name__ == "__main__":
    run(main)
