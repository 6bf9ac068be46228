"""Unpack what is wanted of an archive.

Reads `archive`, tar or zip. Writes the members that match the patterns `wanted` into `folder`,
without the archive's own folders if `flatten`, and `manifest`: member and size of each file.
"""

from taskrsa.entry import run
from taskrsa.io.archive import unpack
from taskrsa.io.files import write_table


def main(
    archive: str, folder: str, manifest: str, wanted: list[str], flatten: bool = False
) -> None:
    write_table(unpack(archive, folder, wanted, flatten), manifest)


if __name__ == "__main__":
    run(main)
