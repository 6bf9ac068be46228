"""Draw the similarity of networks against the similarity of their tasks' labels."""

import pandas as pd
from taskrsa.analysis.taxonomy import label_pairs
from taskrsa.entry import run
from taskrsa.figures.save import save_data, save_figure
from taskrsa.figures.taxonomy import figure_label_agreement


def main(agreement: str, similarity: str, pdf: str, png: str, csv: str) -> None:
    pairs = label_pairs(pd.read_csv(similarity))
    save_figure(figure_label_agreement(pd.read_csv(agreement), pairs), pdf, png)
    save_data(pairs, csv)


if __name__ == "__main__":
    run(main)
