"""Judge the paper's claims C1 to C12 by the tables of a run: ours beside the published values.

The claim about cost stays open here, for timings differ from run to run; the report judges it.
"""

from taskrsa.entry import run as run_entry
from taskrsa.io.files import write_table
from taskrsa.paper.claims import Run, judge_all, read_tables


def main(tables: list[str], own: str, bank: str, claims: str) -> None:
    """`own` is the bank's task that is the new task's own kind."""
    write_table(judge_all(Run(read_tables(tables), None, own, bank)), claims)


if __name__ == "__main__":
    run_entry(main)
