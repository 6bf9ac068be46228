"""Judge measures of transfer by what fine-tuning reached, over the targets of a run.

Reads the runs, measures and advice of every target. Writes every method on every target, means over
targets, and what choosing a method on the other targets gives on each; and what all of it cost,
which differs from run to run.
"""

import pandas as pd
from taskrsa.entry import run
from taskrsa.io.files import read_table, write_table
from taskrsa.transferability.study import (
    choice_rows,
    methods_of,
    outcome,
    study_rows,
    summary_rows,
)
from taskrsa.transferability.study_cost import cost_rows


def main(
    targets: list[str],
    runs: list[str],
    measures: list[str],
    advice: list[str],
    seconds: list[str],
    benchmarks: str,
    by_target: str,
    summary: str,
    choice: str,
    cost: str,
) -> None:
    """`runs`, `measures` and `advice` are tables of the `targets`, in their order; `seconds` those
    of every network on the first target, then on the next."""
    tables = zip(targets, runs, measures, advice, strict=True)
    outcomes = {name: outcome(*map(read_table, paths)) for name, *paths in tables}
    rows = study_rows(outcomes, methods_of(outcomes))
    # What is said of a method stands in the summary, once.
    write_table(rows.drop(columns=["label", "measures", "layer"]).round(4), by_target)
    write_table(summary_rows(rows, len(targets)).round(3), summary)
    write_table(choice_rows(rows), choice)
    spent = pd.concat([read_table(path) for path in seconds], ignore_index=True)
    write_table(cost_rows(spent, benchmarks, targets), cost)


if __name__ == "__main__":
    run(main)
