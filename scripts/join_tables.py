"""Join tables of the same columns into one, in the order given."""

import pandas as pd
from taskrsa.entry import run
from taskrsa.io.files import atomic_path


def main(parts: list[str], table: str, columns: list[str]) -> None:
    """Of the columns only `columns` are kept, all where none are named."""
    # Numbers stay the text they are, so that joining rounds nothing.
    joined = pd.concat([pd.read_csv(part, dtype=str, keep_default_na=False) for part in parts])
    with atomic_path(table) as temporary:
        joined.to_csv(temporary, index=False, columns=columns or None)


if __name__ == "__main__":
    run(main)
