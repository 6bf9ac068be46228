"""Draw the learning curves of the bank as shares of the constant predictor's loss."""

import pandas as pd
from taskrsa.entry import run
from taskrsa.figures.bank import figure_learning_curves
from taskrsa.figures.save import save_data, save_figure


def main(quality: str, tasks: list[str], curves: list[str], pdf: str, png: str, csv: str) -> None:
    constant = pd.read_csv(quality).set_index("model")["constant_loss"]
    table = pd.concat(
        [pd.read_csv(path).assign(model=task) for task, path in zip(tasks, curves, strict=True)]
    )
    save_figure(figure_learning_curves(table, constant_loss=constant.to_dict()), pdf, png)
    save_data(table[["model", "step", "train_loss", "val_loss"]], csv)


if __name__ == "__main__":
    run(main)
