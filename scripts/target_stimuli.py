"""Take the images of a target that networks are shown for RSA, from its training images."""

from taskrsa.data.pack import write_pack, write_stimuli_table
from taskrsa.data.view import SourceInfo
from taskrsa.entry import run
from taskrsa.targets.sets import open_sets
from taskrsa.transferability.stimuli import choose_stimuli, views_of


def main(
    target: str,
    data: str,
    n: int,
    side: int,
    seed: int,
    pack: str,
    table: str,
    n_train: int | None = None,
) -> None:
    """`n` images at most are kept at `side` x `side` pixels; `n_train` keeps the first training
    images only, as fine-tuning does."""
    train = open_sets(data)["train"].first(n_train)
    rows = choose_stimuli(train, n, seed).tolist()
    write_pack(pack, views_of(train, rows, side), SourceInfo(), len(rows))
    write_stimuli_table(table, pack, {"kind": target})
    print(f"{len(rows)} of {len(train)} training images")


if __name__ == "__main__":
    run(main)
