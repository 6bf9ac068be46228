"""Draw how task types separate with depth, with and without controls."""

import pandas as pd
from taskrsa.entry import run
from taskrsa.figures.save import save_data, save_figure
from taskrsa.figures.taxonomy import figure_separation


def main(separation: str, pdf: str, png: str, csv: str) -> None:
    table = pd.read_csv(separation)
    save_figure(figure_separation(table), pdf, png)
    save_data(table, csv)


if __name__ == "__main__":
    run(main)
