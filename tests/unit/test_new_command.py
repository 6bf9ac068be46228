"""`python -m taskrsa new`: the files that it writes, what it prints, what it refuses."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import yaml
from image_files import photograph, refuses, save
from taskrsa.data.folder import files
from taskrsa.errors import ConfigError
from taskrsa.networks.table import read_bank
from taskrsa.new.command import new
from taskrsa.new.networks import Proposal
from taskrsa.new.text import FINETUNE, Settings, config_text, table_text
from taskrsa.plan.config import parse
from taskrsa.plan.networks import read_networks
from taskrsa.targets.config import TargetConfig

ROOT = Path(__file__).parents[2]
NETWORKS = """
from torch import nn

def make(width=4):
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Conv2d(width, 2, 3))

def other():
    return make(6)
"""
WORDS = ["mynets:make", "mynets:other"]


@pytest.fixture(autouse=True)
def _project(tmp_path, monkeypatch):
    (tmp_path / "mynets.py").write_text(NETWORKS)
    for name in ("cat", "dog"):
        for number in range(8):
            save(tmp_path / f"data/pets/{name}/{number}.png", photograph(number, 80, 100))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mynets", raising=False)


def config(place: str = "mine") -> dict:
    return yaml.safe_load(Path(place, "config.yaml").read_text())


def test_a_run_for_folders_of_classes(capsys):
    new("mine", WORDS, "data/pets")
    values = config()
    assert list(values)[:2] == ["run", "networks"]
    assert values["networks"] == "mine/networks.tsv"
    assert values["stimuli"] == {"source": "folder", "n": 16}
    assert values["folder"] == {"path": "data/pets"}
    assert values["image_size"] == 80
    assert values["robustness"] == {"images": [10]}
    target = values["targets"]["pets"]
    assert (target["kind"], target["path"]) == ("classification", "data/pets")
    assert (target["finetune"], target["val_share"]) == ("none", 0.25)
    parsed, _ = parse(values)
    assert list(read_networks(parsed)) == ["make", "other"]
    assert sorted(path.name for path in Path("mine").iterdir()) == ["config.yaml", "networks.tsv"]
    printed = capsys.readouterr().out
    for line in (
        "  kind     classification (a folder of images for each class)",
        "  classes  2: cat, dog; 6 training images each",
        "  stimuli  16 of data/pets",
        "  make   function, called without arguments (it knows width)",
        "written: mine/networks.tsv, mine/config.yaml",
        "run:     snakemake --cores all --configfile mine/config.yaml",
    ):
        assert line in printed.splitlines(), line
    assert "  - make: how its images are prepared is unknown: 224 pixels" in printed


def test_what_is_in_doubt_is_said_in_the_table_too():
    new("mine", WORDS, "data/pets")
    text = Path("mine/networks.tsv").read_text()
    assert "# make: how its images are prepared is unknown" in text
    assert text.index("# make: ") < text.index("\nmake\t") < text.index("# other: ")


def test_the_same_words_give_the_same_files():
    for name in ("run_1", "run_2"):
        new(name, WORDS, "data/pets")
    for name in ("networks.tsv", "config.yaml"):
        first, second = (Path(place, name).read_text() for place in ("run_1", "run_2"))
        assert first.replace("run_1", "run_2") == second


def test_stimuli_of_a_list_are_listed():
    lines = [f"cat/{n}.png,cat" for n in range(6)] + [f"dog/{n}.png,dog" for n in range(6)]
    Path("data/pets/some.csv").write_text("\n".join(["image,label", *lines]) + "\n")
    new("mine", WORDS, "data/pets/some.csv")
    values = config()
    assert list(values["targets"]) == ["some"]
    assert values["folder"] == {"path": "mine/stimuli.txt"}
    listed = files("mine/stimuli.txt")
    assert len(listed) == values["stimuli"]["n"] == 8  # those to train on
    assert all("/7.png" not in file and "/6.png" not in file for file in listed)


def test_stimuli_of_a_split_are_those_to_train_on():
    for role, n in (("train", 5), ("val", 3)):
        for number in range(n):
            save(Path(f"data/streets/{role}/images/{number}.png"), photograph(number))
            mask = np.full((32, 32), number % 2, np.uint8)
            save(Path(f"data/streets/{role}/masks/{number}.png"), mask)
    new("mine", WORDS, "data/streets")
    values = config()
    assert values["folder"] == {"path": "data/streets/train/images"}
    assert values["stimuli"]["n"] == 5
    assert "val_share" not in values["targets"]["streets"]
    # They are its own images; others are not, and it is ranked on its own as well.
    assert values["targets"]["streets"]["stimuli"] == "bank"
    new("other", WORDS, "data/streets", stimuli="data/pets/c*/*.png")
    assert config("other")["folder"] == {"path": "data/pets/c*/*.png"}
    assert "stimuli" not in config("other")["targets"]["streets"]


def test_environment_variables_stay_in_paths(monkeypatch, tmp_path):
    monkeypatch.setenv("PETS", str(tmp_path / "data"))
    new("mine", WORDS, "$PETS/pets")
    values = config()
    assert values["targets"]["pets"]["path"] == "$PETS/pets"
    assert values["folder"]["path"] == "$PETS/pets"


def test_the_size_follows_the_images_and_the_networks():
    np.savez("brain.npz", it=np.arange(1.0, 121.0))
    new("mine", [*WORDS, "brain.npz"], "data/pets")
    assert config()["image_size"] == 80
    for number in range(4):
        for name in ("a", "b"):
            save(Path(f"large/{name}/{number}.png"), photograph(number, 600, 700))
    new("other", WORDS, "large")
    assert config("other")["image_size"] == 224


def test_rdms_are_of_the_stimuli():
    np.savez("brain.npz", it=np.arange(1.0, 7.0))
    words = [*WORDS, "brain.npz"]
    refuses(ConfigError, "RDMs of 4 images, and 16 would be", lambda: new("m", words, "data/pets"))
    for number in range(4):
        save(Path(f"shown/{number}.png"), photograph(number))
    new("m", words, "data/pets", stimuli="shown")
    assert config("m")["stimuli"]["n"] == 4


@pytest.mark.parametrize("name", ["config.yaml", "networks.tsv", "stimuli.txt"])
def test_nothing_is_overwritten(name):
    Path("mine").mkdir()
    Path("mine", name).write_text("mine")
    refuses(ConfigError, f"{name}: already exists", lambda: new("mine", WORDS, "data/pets"))
    assert [path.name for path in Path("mine").iterdir()] == [name]
    assert Path("mine", name).read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "target"),
    [
        ([*WORDS, "absent.onnx"], "data/pets"),
        (WORDS, "data/absent"),
        ([WORDS[0]], "data/nothing"),
    ],
)
def test_a_refusal_writes_nothing(words, target):
    with pytest.raises(Exception, match="absent|nothing"):
        new("mine", words, target)
    assert not Path("mine").exists()


@pytest.mark.parametrize("sign", ["\n", "\t", "\0", "\u2028", "\udcff"])
def test_paths_that_files_of_a_run_cannot_hold(sign):
    path, before = f"a{sign}run: other", sorted(Path().iterdir())
    for words in ((path, "data/pets"), ("mine", path), ("mine", "data/pets", None, path)):
        folder, target, *rest = words
        refuses(ConfigError, "line break", lambda: new(folder, WORDS, target, *rest))  # noqa: B023
    assert sorted(Path().iterdir()) == before


def test_folders_that_cannot_be_used():
    Path("mine").write_text("")
    refuses(ConfigError, "is a file", lambda: new("mine", WORDS, "data/pets"))
    refuses(ConfigError, "stands for a variable", lambda: new("$mine", WORDS, "data/pets"))


def test_one_network_is_not_enough():
    refuses(ConfigError, "one network", lambda: new("mine", WORDS[:1], "data/pets"))
    assert not Path("mine").exists()


def test_too_few_images():
    for number in range(2):
        for name in ("a", "b"):
            save(Path(f"few/{name}/{number}.png"), photograph(number))
    Path("few/list.csv").write_text("image,price\na/0.png,1\na/1.png,2\nb/0.png,3\n")
    refuses(ConfigError, "2 images to show", lambda: new("mine", WORDS, "few/list.csv"))


def test_results_that_are_there_are_said(capsys):
    Path("results/mine").mkdir(parents=True)
    new("mine", WORDS, "data/pets")
    assert "results/mine already exists" in capsys.readouterr().out


def test_names_of_any_kind_are_quoted(tmp_path):
    odd = 'my "pets": {no} #1, ünïcode'
    (tmp_path / "data/pets").rename(tmp_path / "data" / odd)
    new("123", WORDS, f"data/{odd}")
    values = config("123")
    parsed, _ = parse(values)
    assert parsed.run == "123"
    (target,) = parsed.targets.values()
    assert target.path == f"data/{odd}"
    assert parsed.folder.path == f"data/{odd}"


@pytest.mark.parametrize("name", ["no", "null", "1e3", "0x1f", "on"])
def test_names_that_yaml_takes_for_something_else(name):
    of = Settings("x", name, f"{name}.tsv", name, 20, 64, name, {"kind": "values", "path": name})
    parsed, _ = parse(yaml.safe_load(config_text(of)))
    assert (parsed.run, [*parsed.targets], parsed.folder.path) == (name, [name], name)


def test_cells_that_no_table_can_hold():
    for cell in ("a\tb", "a\nb", "a\u2028b"):
        row = Proposal({"name": "net", "loader": cell}, "")
        refuses(ConfigError, "holds a tab or a line break", lambda row=row: table_text([row]))


def test_every_choice_of_fine_tuning_is_described():
    assert set(get_args(TargetConfig.model_fields["finetune"].annotation)) <= set(FINETUNE)


def test_the_command_line(tmp_path):
    def call(*words: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "taskrsa", "new", *words],
            env=os.environ | {"PYTHONPATH": str(ROOT / "scripts"), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    words = ("my run", "--networks", *WORDS, "--target", "data/pets")
    done = call(*words)
    assert done.returncode == 0, done.stderr
    assert list(read_bank("my run/networks.tsv")) == ["make", "other"]
    command = done.stdout.splitlines()[-1].removeprefix("run:").strip()
    assert shlex.split(command)[-1] == "my run/config.yaml"
    assert config("my run")["run"] == "my_run"
    done = call(*words)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: my run/config.yaml: already exists and is not overwritten; name another folder, "
        "or remove the file"
    ]
