"""List the networks of a run: what figures and reports call each, its type and its loader."""

from taskrsa.entry import run
from taskrsa.io.files import write_table


def main(networks: dict, table: str) -> None:
    """`networks` maps names to label, type and loader."""
    write_table([{"name": name, **row} for name, row in networks.items()], table)


if __name__ == "__main__":
    run(main)
