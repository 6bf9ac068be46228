"""Judge the paper's claims C1 to C12 by the tables of a run: ours beside the published values.

The claim about cost stays open here, for timings differ from run to run; the report judges it.
"""

from taskrsa.entry import run as run_entry
from taskrsa.io.files import read_table, read_tables, write_table
from taskrsa.paper.claims import Run, judge_all


def main(
    tables: list[str],
    same_task: str,
    bank: str,
    claims: str,
    quality: list[str] | None = None,
    small_quality: list[str] | None = None,
) -> None:
    """`tables` are the run's and those of the paper's target; `same_task` is the bank's network of
    the target's own task; `bank` is trained or taskonomy; `quality` and `small_quality` are the
    tables of what the bank's networks and small models learnt, if they were trained here."""
    found = read_tables(tables)
    learnt = {"quality": quality, "small_quality": small_quality}
    found |= {name: read_table(path) for name, paths in learnt.items() for path in paths or ()}
    run = Run(found, jobs=None, same_task=same_task, bank=bank)
    write_table(judge_all(run), claims)


if __name__ == "__main__":
    run_entry(main)
