"""The command that lists a network's layers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from taskrsa.__main__ import layers

ROOT = Path(__file__).parents[2]
HEADER = "name label type loader weights sha256 layers size mean std channels".replace(" ", "\t")


def test_layers_are_listed(tmp_path):
    cells = ["net", "", "", "user_networks:Residual", "", "", "auto", "32", "0.5", "0.5", "rgb"]
    bad = ["bad", *cells[1:6], "nothing*", *cells[7:]]
    lines = [HEADER.split(), cells, bad]
    (tmp_path / "bank.tsv").write_text("".join("\t".join(line) + "\n" for line in lines))

    def call(*words: str) -> subprocess.CompletedProcess:
        path = f"{ROOT / 'scripts'}:{ROOT / 'tests'}"
        return subprocess.run(
            [sys.executable, "-m", "taskrsa", "layers", "bank.tsv", *words],
            cwd=tmp_path,
            env={"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    done = call("net")
    assert done.returncode == 0, done.stderr
    listed = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "layer2 Sequential 4 x 16 x 16 depth5" in listed
    assert "layer1.0.relu ReLU - is called 2 times for one image" in listed
    assert "net: runs user_networks:Residual, code that you need to trust" in done.stdout
    done = call("bad")
    assert done.returncode == 1
    assert done.stderr.startswith("error: bank, row bad, layers: nothing is named nothing*")
    assert "layer2" in done.stdout
    assert "error: bank.tsv: has no row x; there are net, bad" in call("x").stderr


def test_rdms_of_a_file_are_listed(tmp_path, capsys):
    np.savez(tmp_path / "it.npz", human=np.arange(6.0), monkey=np.arange(6.0))
    cells = ["brain", "", "", "rdms", str(tmp_path / "it.npz"), "", "last=monkey"]
    (tmp_path / "bank.tsv").write_text(f"{HEADER}\n" + "\t".join(cells) + "\n")
    layers(str(tmp_path / "bank.tsv"), "brain", None, 256)
    listed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert listed == [
        ["name", "kind", "shape", "layer"],
        ["human", "RDM"],
        ["monkey", "RDM", "last"],
    ]
