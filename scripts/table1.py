"""Make Table 1: for how many targets the first choice is among the best by transfer (claim C8)."""

from taskrsa.analysis.selection import table1
from taskrsa.entry import run
from taskrsa.io.files import read_table, write_table


def main(selection: str, table: str) -> None:
    write_table(table1(read_table(selection)), table)


if __name__ == "__main__":
    run(main)
