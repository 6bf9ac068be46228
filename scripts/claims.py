"""Judge the paper's claims C1 to C12 by the tables of a run: ours beside the published values."""

from taskrsa.claims import Run, judge_all, read_tables
from taskrsa.costs import read_jobs
from taskrsa.entry import run as run_entry
from taskrsa.files import write_table


def main(
    tables: list[str], own: str, bank: str, gpu: bool, claims: str, benchmarks: str | None = None
) -> None:
    """`own` is the bank's task that is the new task's own kind; `benchmarks` is a folder.
    Timings differ from run to run: without it the claim about cost is not judged."""
    run = Run(read_tables(tables), read_jobs(benchmarks) if benchmarks else [], own, bank, gpu)
    write_table(judge_all(run), claims)


if __name__ == "__main__":
    run_entry(main)
