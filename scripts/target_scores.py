"""Set what fine-tuning reached beside the ranking that advised it."""

import pandas as pd
from taskrsa.analysis.advice import verified_rows
from taskrsa.entry import run
from taskrsa.errors import DataError
from taskrsa.io.files import write_table
from taskrsa.targets.labelled import METRICS


def main(ranking: str, scores: list[str], table: str) -> None:
    """`scores` holds one file a run."""
    runs = pd.concat([pd.read_csv(path) for path in scores], ignore_index=True)
    metric = next((name for name in METRICS.values() if name in runs.columns), None)
    if metric is None:
        raise DataError(f"{scores[0]}: has no score; train the networks again")
    write_table(verified_rows(pd.read_csv(ranking), runs, metric), table)


if __name__ == "__main__":
    run(main)
