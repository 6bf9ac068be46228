"""Draw the mIoU of the network that similarity puts first beside other ways to choose."""

import pandas as pd
from taskrsa.entry import run
from taskrsa.figures.pascal import figure_choice
from taskrsa.figures.save import save_data, save_figure


def main(choice: str, pdf: str, png: str, csv: str) -> None:
    table = pd.read_csv(choice)
    save_figure(figure_choice(table), pdf, png)
    save_data(table, csv)


if __name__ == "__main__":
    run(main)
