"""Draw Figure S1: the rankings of every small model beside those of the bank's."""

import pandas as pd
from taskrsa.entry import run
from taskrsa.figures.save import save_data, save_figure
from taskrsa.figures.transfer import figure_s1


def main(rankings: str, agreement: str, pdf: str, png: str, csv: str) -> None:
    table = pd.read_csv(rankings)
    save_figure(figure_s1(table, pd.read_csv(agreement)), pdf, png)
    save_data(table, csv)


if __name__ == "__main__":
    run(main)
