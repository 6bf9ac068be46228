"""Draw Figure 8: the bank ranked by similarity to the small model of the new task."""

import pandas as pd
from taskrsa.entry import run
from taskrsa.figures.pascal import figure8
from taskrsa.figures.save import save_data, save_figure


def main(rankings: str, pdf: str, png: str, csv: str) -> None:
    table = pd.read_csv(rankings)
    save_figure(figure8(table), pdf, png)
    save_data(table, csv)


if __name__ == "__main__":
    run(main)
