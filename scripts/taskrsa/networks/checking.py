"""Whether networks can be used: each is loaded and shown two images, and none ends the others.

`python -m taskrsa.networks.checking FILE` reads what to check from its standard input, as JSON, and
writes a line of JSON for each network as soon as it is checked. It is a process of its own, for
what foreign code does is not known: where it ends the process, the lines say at which network.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from taskrsa.errors import TaskrsaError, memory_lacked
from taskrsa.networks.beside import external_files, module_files
from taskrsa.networks.layers import Layer, choose
from taskrsa.networks.loading import layers_of, load_network
from taskrsa.networks.maps import head_layer
from taskrsa.networks.network import RDMS, Network, weights_file
from taskrsa.networks.optional import reason_of
from taskrsa.rsa.given_rdms import read_given
from taskrsa.text import one_line


def check(row: Network, weights: str | None, side: int, kinds: Iterable[str]) -> dict:
    """Return `layers`, the names of those that the row selects, and `files`, of which the network
    is made beside its weights; or `reason`, why it cannot be used.

    Parameters
    ----------
    weights : as `fetched` of `weights_file`
    side : of the stimuli, pixels
    kinds : of the targets that a head is made for
    """
    before = {*sys.modules}
    try:
        if row.loader == RDMS:
            names = read_given(weights_file(row, weights)).names
            return {"layers": list(choose([Layer(n, "RDM", trunk=True) for n in names], row))}
        network = load_network(row, weights)
        layers = layers_of(network, side)
        chosen = choose(layers, network.row)
        if not row.is_native:
            for kind in kinds:
                head_layer(layers, kind, network.row)
        return {"layers": list(chosen), "files": _files(row, weights, {*sys.modules} - before)}
    except TaskrsaError as error:
        return {"reason": one_line(error)}
    except (Exception, SystemExit) as error:
        lacked = memory_lacked(error)
        reason = f"out of {lacked}" if lacked else reason_of(error)
        return {"reason": f"{row.where('loader')}: {reason}"}


def _files(row: Network, weights: str | None, imported: Iterable[str]) -> list[str]:
    if row.loader == "onnx":
        return [*map(str, external_files(weights_file(row, weights)))]
    is_function = ":" in row.loader and not row.library
    return module_files(row.loader.partition(":")[0], imported) if is_function else []


def main() -> None:
    asked = json.load(sys.stdin)
    with Path(sys.argv[1]).open("a", encoding="utf-8") as stream:
        for one in asked["networks"]:
            row = Network.from_json(one["row"])
            found = check(row, one["weights"], asked["side"], asked["kinds"])
            stream.write(json.dumps(found) + "\n")
            stream.flush()


if __name__ == "__main__":
    main()
