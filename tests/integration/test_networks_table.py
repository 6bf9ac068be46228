"""Tables of networks: every analysis that their rows allow, one line for what is left out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import Project
from taskrsa.rsa.rdm_file import read_rdms

pytestmark = pytest.mark.workflow

NETWORK = """
from torch import nn

def make(width):
    code = nn.Linear(width * 14 * 14, 4)
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(inplace=True), nn.Flatten(), code)
"""
HEADER = ["name", "label", "type", "loader", "weights", "sha256", "layers", "size"]
HEADER += ["mean", "std", "channels", "arguments", "task"]
ROWS = """narrow\tNarrow\tmine\tmynets:make\t\t\tearly=0 last=1\t16\t0.5\t0.5\trgb\t{"width": 3}\t
wide\tWide\tmine\tmynets:make\t\t\tearly=0 last=1\t16\t0.5\t0.5\trgb\t{"width": 5}\t
grey\tGrey\tother\tmynets:make\t\t\tearly=0 last=1\t16\t0.5\t0.5\tbgr\t{"width": 4}\t
"""
TABLE = "\t".join(HEADER) + "\n" + ROWS
CONFIG = {
    "run": "mine",
    "networks": "mine.tsv",
    "layers": ["early", "last"],
    "image_size": 32,
    "stimuli": {"n": 12, "source": "simulated"},
    "simulated": {"n_train": 12, "n_val": 4},
    "rsa": {"bootstraps": 20, "permutations": 19, "type_permutations": 19, "clusters": 2},
}
RUN = ("--configfile", "mine.yaml")


@pytest.fixture
def mine(project) -> Project:
    (project.path / "mynets.py").write_text(NETWORK)
    (project.path / "mine.tsv").write_text(TABLE)
    (project.path / "mine.yaml").write_text(yaml.safe_dump(CONFIG))
    return project


def table(project: Project, name: str) -> pd.DataFrame:
    return pd.read_csv(project.path / f"results/mine/tables/{name}.csv")


def test_a_table_is_compared_as_the_demo_s_networks_are(mine):
    printed = mine.snakemake(*RUN)
    left_out = [line for line in printed.splitlines() if line.startswith("left out: ")]
    assert any("labels of the stimuli" in line for line in left_out)
    assert any("targets" in line for line in left_out)
    results = mine.path / "results/mine"
    similarity = table(mine, "similarity")
    assert similarity.groupby("layer").size().to_dict() == {"early": 3, "last": 3}
    separation = table(mine, "type_separation")
    assert set(separation["layer"]) == {"early", "last"}
    assert set(separation["control"]) == {"none", "pixels"}
    assert table(mine, "presets")["choice"].tolist() == ["centring"]
    assert (results / "trees/last_average.nwk").read_text().count(",") == 2
    for name in ("figure4", "figure5", "type_separation", "presets"):
        assert (results / f"figures/{name}.png").stat().st_size > 5_000, name
    page = (results / "report.html").read_text()
    assert "Narrow" in page
    assert not list(results.glob("small")) + list(results.glob("labels"))

    # Nothing is left to do; and only a changed row is made again.
    assert mine.planned(*RUN) == set()
    assert read_rdms(results / "rdms/bank/grey.h5").task == "other"
    files = {name: results / f"rdms/bank/{name}.h5" for name in ("wide", "grey")}
    made = {name: file.stat().st_mtime_ns for name, file in files.items()}
    (mine.path / "mine.tsv").write_text(TABLE.replace("Grey", "Light"))
    stale = mine.planned(*RUN)
    assert "list_networks" in stale
    assert "network_rdms" not in stale
    (mine.path / "mine.tsv").write_text(TABLE.replace('"width": 4', '"width": 6'))
    mine.snakemake(*RUN, "--", "results/mine/tables/similarity.csv")
    now = {name: file.stat().st_mtime_ns for name, file in files.items()}
    assert now["wide"] == made["wide"]
    assert now["grey"] > made["grey"]


def test_rows_of_several_loaders_and_a_file_of_rdms(mine):
    rng = np.random.default_rng(0)
    rdms = rng.uniform(0.1, 1, (2, 66))
    np.savez(mine.path / "brain.npz", rdms=rdms, names=np.array(["v1", "it"]))
    rows = TABLE.replace("early=0 last=1", "depth1=0 last=1")
    rows += "edges\t\t\ttrained\t\t\tdepth1=block1 last=compressed\t\t\t\t\t\tedge2d\n"
    rows += "control\tControl\tuntrained\trandom\t\t\tauto\t\t\t\t\t\t\n"
    rows += "brain\tBrain\tbrain\trdms\tbrain.npz\t\tdepth1=v1 last=it\t\t\t\t\t\t\n"
    (mine.path / "mine.tsv").write_text(rows)
    more = {
        "source": "simulated",
        "layers": ["depth1", "last"],
        "encoder": {"width": 2, "units": [1, 1, 1, 1], "strides": [1, 1, 1, 1]},
        "label_size": 16,
        "training": {"recipe": {"steps": 2, "batch_size": 4, "eval_every": 1}},
    }
    (mine.path / "mine.yaml").write_text(yaml.safe_dump(CONFIG | more))
    mine.snakemake(*RUN, "--", "results/mine/tables/similarity.csv", "type_separation", "presets")
    similarity = table(mine, "similarity")
    assert similarity.groupby("layer").size().to_dict() == {"depth1": 15, "last": 15}
    assert table(mine, "presets")["choice"].tolist() == ["centring"]
    found = read_rdms(mine.path / "results/mine/rdms/bank/brain.h5")
    np.testing.assert_allclose(found.dissimilarities, rdms, rtol=1e-6)
    assert (mine.path / "results/mine/bank/edges/quality.csv").exists()


def test_the_user_s_modules_are_inputs_and_what_is_broken_is_told_first_or_left_out(mine):
    (mine.path / "myparts.py").write_text("WIDER = 1\n")
    code = NETWORK.replace("def make(width):\n", "from myparts import WIDER\ndef make(width):\n")
    (mine.path / "mynets.py").write_text(f"{code}\ndef exits(width):\n    exit(0)\n")
    broken = ROWS.splitlines(keepends=True)[1].replace("wide", "short").replace("last=1", "last=9")
    gone = ROWS.splitlines(keepends=True)[2].replace("grey", "gone").replace(":make", ":exits")
    (mine.path / "mine.tsv").write_text(TABLE + broken + gone)
    printed = mine.snakemake(*RUN, ok=False)
    said = printed[printed.index("error: 2 of 5 networks cannot be used") :].splitlines()
    assert said[1].startswith("  bank, row short, layers: nothing is named 9; there are 0, 1, 2")
    assert said[2].startswith("  bank, row gone, loader: mynets:exits fails (SystemExit: 0")
    assert not (mine.path / "results").exists()

    (mine.path / "mine.yaml").write_text(yaml.safe_dump(CONFIG | {"skip_broken": True}))
    rdms = [f"results/mine/rdms/bank/{name}.h5" for name in ("narrow", "wide", "grey")]
    printed = mine.snakemake(*RUN, "--", "results/mine/similarity/last.csv")
    assert "left out: network short: bank, row short, layers: nothing is named 9" in printed
    assert mine.planned(*RUN, "--", *rdms) == set()
    (mine.path / "myparts.py").write_text("WIDER = 2\n")
    assert mine.planned(*RUN, "--", *rdms) == {"network_rdms"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mynets:make", "mynets", "mine.tsv, line 2: bank, row narrow, loader: there is no loader"),
        ("narrow", "wide", "mine.tsv, line 3: name wide is "),
    ],
)
def test_a_wrong_table_is_one_line(mine, old, new, message):
    (mine.path / "mine.tsv").write_text(TABLE.replace(old, new, 1))
    printed = mine.snakemake("-n", *RUN, ok=False)
    lines = [line for line in printed.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, printed
    assert message in lines[0]
    absent = mine.snakemake("-n", *RUN, "--config", "networks=absent.tsv", ok=False)
    assert "error: absent.tsv: " in absent
