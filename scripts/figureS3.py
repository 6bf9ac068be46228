"""Draw Figure S3: similarity among the small models beside that among the bank's networks."""

import pandas as pd
from taskrsa.entry import run
from taskrsa.figures.save import save_data, save_figure
from taskrsa.figures.transfer import figure_s3


def main(pairs: str, agreement: str, pdf: str, png: str, csv: str) -> None:
    table = pd.read_csv(pairs)
    save_figure(figure_s3(table, pd.read_csv(agreement)), pdf, png)
    save_data(table, csv)


if __name__ == "__main__":
    run(main)
