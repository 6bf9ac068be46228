"""Download one file and check its hash."""

from pathlib import Path

import pooch
import requests
from taskrsa.entry import run
from taskrsa.errors import DataError


def main(url: str, sha256: str, file: str) -> None:
    path = Path(file)
    try:
        pooch.retrieve(url, f"sha256:{sha256}", fname=path.name, path=path.parent, progressbar=True)
    except (requests.RequestException, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise DataError(f"{url}: {reason}; set a local copy in the config instead") from None


if __name__ == "__main__":
    run(main)
