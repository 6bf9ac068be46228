"""Draw how well each measure of similarity, and each baseline, predicts transfer."""

import pandas as pd
from taskrsa.entry import run
from taskrsa.figures.save import save_data, save_figure
from taskrsa.figures.transfer import figure_selection


def main(selection: str, pdf: str, png: str, csv: str) -> None:
    table = pd.read_csv(selection)
    save_figure(figure_selection(table), pdf, png)
    save_data(table, csv)


if __name__ == "__main__":
    run(main)
