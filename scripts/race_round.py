"""Decide a round of a race: the best go on."""

import pandas as pd
from taskrsa.entry import run
from taskrsa.io.files import read_table, write_table
from taskrsa.transferability.race_table import decided


def main(runs: list[str], keep: int, table: str) -> None:
    """`runs` are the scores of its networks, in the order of entry."""
    write_table(decided(pd.concat([read_table(path) for path in runs]), keep), table)


if __name__ == "__main__":
    run(main)
