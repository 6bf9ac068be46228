"""List the tasks of a run, and for those its source cannot label, the reason."""

from taskrsa.entry import run
from taskrsa.io.files import write_table
from taskrsa.tasks.dictionary import TASKS


def main(reasons: dict, table: str) -> None:
    """`reasons` maps a task to "" or to why it is left out."""
    rows = [
        {
            "task": task,
            "label": TASKS[task].label,
            "type": TASKS[task].type,
            "included": not reason,
            "reason": reason,
        }
        for task, reason in reasons.items()
    ]
    write_table(rows, table)


if __name__ == "__main__":
    run(main)
