"""Draw Table 2: the mIoU that networks are fine-tuned to against their similarity."""

import pandas as pd
from taskrsa.entry import run
from taskrsa.figures.pascal import figure_table2
from taskrsa.figures.save import save_data, save_figure


def main(table: str, prediction: str, pdf: str, png: str, csv: str) -> None:
    rows = pd.read_csv(table)
    save_figure(figure_table2(rows, pd.read_csv(prediction)), pdf, png)
    save_data(rows, csv)


if __name__ == "__main__":
    run(main)
