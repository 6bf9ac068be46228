"""Draw how far the choices of method move the similarities."""

import pandas as pd
from taskrsa.entry import run
from taskrsa.figures.save import save_data, save_figure
from taskrsa.figures.taxonomy import figure_presets


def main(presets: str, pdf: str, png: str, csv: str) -> None:
    table = pd.read_csv(presets)
    save_figure(figure_presets(table), pdf, png)
    save_data(table, csv)


if __name__ == "__main__":
    run(main)
