"""Draw Figure 8: the bank ranked by similarity to the small model of the new task."""

import pandas as pd
from taskrsa.entry import run
from taskrsa.figures.pascal import figure8
from taskrsa.figures.save import save_data, save_figure
from taskrsa.tasks.dictionary import TASKS


def main(rankings: str, pdf: str, png: str, csv: str) -> None:
    table = pd.read_csv(rankings)
    # Networks of the user's own are written and coloured as the table says.
    named = zip(table["model"], table["label"], table["type"].fillna(""), strict=True)
    models = {name: (label, kind) for name, label, kind in named if name not in TASKS}
    save_figure(figure8(table, models=models or None), pdf, png)
    save_data(table, csv)


if __name__ == "__main__":
    run(main)
