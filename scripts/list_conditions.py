"""List the conditions of files of RDMs, which are the stimuli of a run that shows no image.

Writes the pack that other jobs read names from, without photographs, and the table of stimuli, with
the hash of the file in place of an image's.
"""

from taskrsa.data.pack import write_names
from taskrsa.entry import run
from taskrsa.errors import DataError
from taskrsa.io.files import sha256_of, write_table
from taskrsa.rsa.given_rdms import read_given


def main(files: list[str], pack: str, table: str) -> None:
    """Every file must have the conditions of the first, which names them or has only a number."""
    first = read_given(files[0])
    for path in files[1:]:
        if (n := read_given(path).n) != first.n:
            raise DataError(
                f"{path}: holds RDMs of {n} conditions, {files[0]} of {first.n}; compare RDMs of "
                "the same images"
            )
    width = len(str(first.n - 1))
    names = first.conditions or [f"{at:0{width}d}" for at in range(first.n)]
    # Without names only the file itself tells one set of images from another.
    digests = [sha256_of(path) for path in files]
    write_names(pack, names, digests)
    write_table([{"image": one, "path": files[0], "sha256": digests[0]} for one in names], table)


if __name__ == "__main__":
    run(main)
