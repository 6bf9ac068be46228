"""Draw the transfer affinities: which source serves which target."""

import pandas as pd
from taskrsa.entry import run
from taskrsa.figures.save import save_data, save_figure
from taskrsa.figures.transfer import figure_affinity


def main(affinity: str, pdf: str, png: str, csv: str) -> None:
    table = pd.read_csv(affinity)
    save_figure(figure_affinity(table), pdf, png)
    save_data(table, csv)


if __name__ == "__main__":
    run(main)
