"""Judge the paper's claims C1 to C12 by the tables of a run: ours beside the published values.

The claim about cost stays open here, for timings differ from run to run; the report judges it.
"""

from taskrsa.entry import run as run_entry
from taskrsa.io.files import read_tables, write_table
from taskrsa.paper.claims import Run, judge_all


def main(tables: list[str], same_task: str, bank: str, claims: str) -> None:
    """`tables` are the run's and those of the paper's target; `same_task` is the bank's network of
    the target's own task; `bank` is trained or taskonomy."""
    found = Run(read_tables(tables), jobs=None, same_task=same_task, bank=bank)
    write_table(judge_all(found), claims)


if __name__ == "__main__":
    run_entry(main)
