"""Draw Figure 7: the rankings of two tasks by the small model beside those by the bank's."""

import pandas as pd
from taskrsa.entry import run
from taskrsa.figures.save import save_data, save_figure
from taskrsa.figures.transfer import figure7


def main(rankings: str, agreement: str, tasks: list[str], pdf: str, png: str, csv: str) -> None:
    table = pd.read_csv(rankings)
    save_figure(figure7(table, tasks, agreement=pd.read_csv(agreement)), pdf, png)
    save_data(table[table["model"].isin(tasks)], csv)


if __name__ == "__main__":
    run(main)
