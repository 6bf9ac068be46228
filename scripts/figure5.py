"""Draw Figure 5: task similarity at every depth, and of the labels, on one colour scale."""

import pandas as pd
from taskrsa.entry import run
from taskrsa.figures.save import save_data, save_figure
from taskrsa.figures.taxonomy import figure5


def main(similarity: str, pdf: str, png: str, csv: str) -> None:
    table = pd.read_csv(similarity)
    save_figure(figure5(table), pdf, png)
    save_data(table[["layer", "model_a", "model_b", "rs"]], csv)


if __name__ == "__main__":
    run(main)
