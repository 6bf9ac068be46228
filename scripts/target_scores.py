"""Join the scores of fine-tuned networks into one table, with the tap they were fine-tuned at."""

import pandas as pd
from taskrsa.entry import run
from taskrsa.files import atomic_path


def main(parts: list[str], tap: str, table: str) -> None:
    # Numbers stay the text they are, so that joining rounds nothing.
    joined = pd.concat([pd.read_csv(part, dtype=str, keep_default_na=False) for part in parts])
    joined.insert(0, "tap", tap)
    with atomic_path(table) as temporary:
        joined.to_csv(temporary, index=False)


if __name__ == "__main__":
    run(main)
