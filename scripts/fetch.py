"""Fetch one third-party file: link a checked local copy, or download and check it.

`asset` is a row of config/assets.tsv, `settings` says where to look and how (`assets` of the
config). Writes `file`; a download that is broken off stays beside it and goes on the next time.
"""

from taskrsa.entry import run
from taskrsa.io.assets import Asset, fetch


def main(asset: dict, settings: dict, file: str) -> None:
    fetch(Asset(**asset), file, **settings)


if __name__ == "__main__":
    run(main)
