"""Choose the labelled places of a target that measures of transfer see, and pool their labels."""

from taskrsa.entry import run
from taskrsa.targets.sets import open_sets
from taskrsa.transferability.cells import choose_cells, write_cells


def main(
    data: str,
    n_images: int,
    grid: int,
    cells_per_image: int,
    seed: int,
    cells: str,
    n_train: int | None = None,
) -> None:
    """`n_train` keeps the first training images only, as fine-tuning does."""
    train = open_sets(data)["train"].first(n_train)
    chosen = choose_cells(train, n_images, grid, cells_per_image, seed)
    write_cells(cells, chosen)
    print(f"{len(chosen)} labelled places in {len(chosen.images)} of {len(train)} training images")


if __name__ == "__main__":
    run(main)
