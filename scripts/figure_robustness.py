"""Draw how the rankings by small models depend on one factor (supplement S3)."""

import pandas as pd
from taskrsa.entry import run
from taskrsa.figures.save import save_data, save_figure
from taskrsa.figures.transfer import figure_robustness


def main(table: str, factor: str, pdf: str, png: str, csv: str) -> None:
    rows = pd.read_csv(table)
    save_figure(figure_robustness(rows, factor), pdf, png)
    save_data(rows, csv)


if __name__ == "__main__":
    run(main)
