"""Make Table 1: for how many targets the first choice is among the best by transfer (claim C8)."""

import pandas as pd
from taskrsa.analysis.selection import table1
from taskrsa.entry import run
from taskrsa.io.files import write_table


def main(selection: str, table: str) -> None:
    write_table(table1(pd.read_csv(selection)), table)


if __name__ == "__main__":
    run(main)
