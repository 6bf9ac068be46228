"""List the tasks of a run, and for those its source cannot label, the reason."""

import pandas as pd
from taskrsa.entry import run
from taskrsa.io.files import atomic_path
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
    with atomic_path(table) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)


if __name__ == "__main__":
    run(main)
