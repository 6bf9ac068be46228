"""Draw the share of the constant predictor's error that each network removed."""

import pandas as pd
from taskrsa.entry import run
from taskrsa.figures.bank import figure_quality
from taskrsa.figures.save import save_data, save_figure


def main(quality: str, pdf: str, png: str, csv: str) -> None:
    table = pd.read_csv(quality)
    save_figure(figure_quality(table), pdf, png)
    save_data(table, csv)


if __name__ == "__main__":
    run(main)
