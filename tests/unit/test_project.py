"""The project holds together: pins, rules, entry scripts, the task dictionary and the README."""

from __future__ import annotations

import ast
import re
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base", "seaborn": "seaborn-base"}


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


def test_conda_and_pip_name_the_same_versions():
    environment = yaml.safe_load((ROOT / "envs/taskrsa.yaml").read_text())
    conda = dict(re.fullmatch(r"(\S+) =(\S+)", d).groups() for d in environment["dependencies"])
    conda.pop("python")
    pip = pins("requirements.txt")
    # Jobs run inside the environment, Snakemake outside.
    pip.pop("snakemake")
    assert conda == {CONDA_NAMES.get(name, name): number for name, number in pip.items()}


def test_what_is_installed_is_what_is_pinned():
    for name, number in (pins("requirements.txt") | pins("requirements-dev.txt")).items():
        assert version(name).split("+")[0] == number, name


def test_constraints_repeat_the_direct_pins():
    constraints = pins("constraints.txt")
    for name, number in (pins("requirements.txt") | pins("requirements-dev.txt")).items():
        assert constraints[name] == number


def rules() -> list[tuple[str, str]]:
    found = []
    for path in sorted((ROOT / "workflow/rules").glob("*.smk")):
        parts = re.split(r"^rule (\w+):\n", path.read_text(), flags=re.MULTILINE)
        found += list(zip(parts[1::2], parts[2::2], strict=True))
    return found


@pytest.mark.parametrize(("name", "body"), rules(), ids=[name for name, _ in rules()])
def test_every_rule_says_what_a_cluster_and_a_reader_need(name, body):
    for word in (
        "input:",
        "output:",
        "log:",
        "threads:",
        "mem_mb=",
        "runtime=",
        "conda:",
        "message:",
    ):
        assert word in body, f"{name} lacks {word}"
    assert "shell:" in body
    assert "run:" not in re.sub(r"\w+run:", "", body)


def test_heavy_rules_have_a_benchmark():
    heavy = {
        "prepare_split",
        "prepare_stimuli",
        "train_encoder",
        "network_rdms",
        "layer_similarity",
        "train_small",
        "probe_source",
        "small_vs_bank",
        "model_selection",
        "robustness_images",
    }
    assert heavy <= {name for name, body in rules() if "benchmark:" in body}


def test_every_entry_script_serves_a_rule_and_has_a_docstring():
    used = set(re.findall(r'code_of\(\s*"(\w+)"', "".join(body for _, body in rules())))
    scripts = {path.stem for path in (ROOT / "scripts").glob("*.py")}
    assert used == scripts
    for path in (ROOT / "scripts").glob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), path.name


def test_captions_are_used_and_exist():
    text = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    used = set(re.findall(r"(\w+)\.rst", text))
    assert used == {path.stem for path in (ROOT / "workflow/report").glob("*.rst")}


def test_tasks_are_those_of_the_paper():
    from taskrsa.tasks.dictionary import TASKS

    assert len(TASKS) == 20
    assert sum(task.affinity_name is not None for task in TASKS.values()) == 17
    assert sum(task.has_small_model for task in TASKS.values()) == 14
    assert sum(task.clip for task in TASKS.values()) == 14
    counts = {
        kind: sum(t.type == kind for t in TASKS.values())
        for kind in ("2D", "3D", "geometric", "semantic")
    }
    assert counts == {"2D": 7, "3D": 8, "geometric": 2, "semantic": 3}
    assert TASKS["colorization"].input_channels == 1
    assert TASKS["colorization"].label_size(256, 256) == 64


def test_the_library_knows_no_snakemake_and_drawing_needs_no_torch():
    for path in (ROOT / "scripts/taskrsa").rglob("*.py"):
        assert "snakemake" not in path.read_text(), path
    for path in [
        *(ROOT / "scripts/taskrsa/figures").glob("*.py"),
        *(ROOT / "scripts").glob("figure*.py"),
    ]:
        assert "import torch" not in path.read_text(), path


def test_no_file_in_the_repository_is_large():
    import subprocess

    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    files = [ROOT / line for line in listed.stdout.splitlines()]
    if not files:
        pytest.skip("not a git checkout: nothing to list")
    assert max(path.stat().st_size for path in files if path.exists()) < 1_000_000
    reference = [path for path in files if "results/reference" in str(path)]
    assert sum(path.stat().st_size for path in reference if path.exists()) < 1_000_000


def test_numbers_in_the_readme_are_those_of_the_reference_tables():
    import pandas as pd

    readme = (ROOT / "README.md").read_text()
    separation = pd.read_csv(ROOT / "results/reference/nyuv2/type_separation.csv")
    for row in separation[separation["control"] == "none"].itertuples():
        mean = "" if pd.isna(row.random_mean) else f"{row.random_mean:.2f}"
        line = f"| {row.layer} | {row.within:.2f} | {row.between:.2f} | {row.p:.2g} | {mean} |"
        assert line in readme, line
    agreement = pd.read_csv(ROOT / "results/reference/nyuv2/label_agreement.csv")
    spearman = agreement.set_index("layer").loc["compressed", "spearman"]
    assert f"Spearman {spearman:.2f}" in readme
    demo = pd.read_csv(ROOT / "results/reference/demo/taxonomy_agreement.csv")
    ours = demo[demo["affinities"] == "published"].set_index("similarity").loc["ours"]
    assert f"Pearson {ours.pearson:.2f}, Spearman {ours.spearman:.2f}" in readme


def config(name: str) -> dict:
    return yaml.safe_load((ROOT / f"config/{name}.yaml").read_text())


@pytest.mark.parametrize("name", ["config", "smoke", "nyuv2", "paper"])
def test_configs_fit_the_schema(name):
    import jsonschema

    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    jsonschema.Draft202012Validator(schema).validate(config(name))


def test_the_paper_s_settings():
    paper = config("paper")
    assert paper["image_size"] == 256
    assert paper["stimuli"]["n"] == 500
    assert paper["taskonomy"]["train_buildings"] == ["hanson"]
    assert paper["taskonomy"]["val_images"] == 2_090
    recipe, small = paper["pascal"]["recipe"], paper["pascal"]["small"]["recipe"]
    assert (recipe["crop"], recipe["batch_size"]) == (513, 8)
    assert (recipe["learning_rate"], recipe["weight_decay"]) == (1e-5, 1e-4)
    assert (small["learning_rate"], small["steps"]) == (1e-4, 200_000)


def claims(run: str) -> dict[str, str]:
    """Write a run's numbers beside the published ones, as the README's table of claims does."""
    import pandas as pd

    def table(name: str) -> pd.DataFrame:
        return pd.read_csv(ROOT / f"results/reference/{run}/{name}.csv")

    def pair(row) -> str:
        return f"{row.pearson:.2f} / {row.spearman:.2f}"

    tree = table("taxonomy_agreement")
    tree = tree[(tree["affinities"] == "measured") & (tree["similarity"] == "ours")].iloc[0]
    small = table("small_vs_bank").set_index(["task", "own_task"]).loc[("mean", "left out")]
    matrices = table("small_agreement").set_index("seeds").loc["mean"]
    selection = table("selection")
    selection = selection[selection["target"] == "mean"].set_index("method")
    tops = selection.loc["rsa", ["top1", "top3", "top5", "n_targets"]].astype(int).tolist()
    prediction = table("table2_prediction").set_index("ranking").loc["small model"]
    interval = f"[{prediction.spearman_low:.2f}, {prediction.spearman_high:.2f}]"
    choice = table("table2_choice").set_index("statistic")
    own = table("figure8").set_index("model").loc["segmentsemantic"]
    return {
        "C4": pair(tree),
        "C5": pair(small),
        "C6": pair(matrices),
        "C7": pair(selection.loc["rsa"]),
        "C8": f"{tops[0]}, {tops[1]}, {tops[2]} of {tops[3]}",
        "C9": f"{own['rank']:.0f} of {len(table('figure8'))}",
        "C10": f"{prediction.spearman:.2f} {interval}",
        "choice": f"{choice.loc['regret', 'value']:.3f}",
    }


def test_the_readme_s_claims_are_those_of_the_reference_tables():
    readme = (ROOT / "README.md").read_text()
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in readme.splitlines()}
    found = {run: claims(run) for run in ("demo", "nyuv2")}
    for claim, ours in found["demo"].items():
        assert rows[claim].endswith(f"| {ours} | {found['nyuv2'][claim]} |"), rows[claim]


DOUBLE_LOOP, NET2BRAIN = "authors' double loop", "Net2Brain's formula"
THINGSVISION, BANK = "thingsvision's formula", "bank's network"


def speeds() -> dict[str, str]:
    """Write what the benchmarks found, by work and peer, as the README's table does."""
    import pandas as pd

    def table(name: str) -> pd.DataFrame:
        return pd.read_csv(ROOT / f"results/reference/benchmarks/{name}.csv")

    rdm = table("rdm").query("images == 500 and features == 131072").set_index("what")
    forward = table("extraction").set_index("what")
    cached = table("network").set_index("what")
    features = forward.loc["photographs to RDMs, 500 images", "features_mb"]
    similarity = table("similarity").set_index("what")
    bootstrap = table("bootstrap").set_index("what")
    permutations = table("permutations").set_index("what")
    training = table("training").set_index(["network", "what"])
    faster = rdm["taskrsa_is_faster"]
    return {
        "one matrix product, the limit": f"{rdm.loc['taskrsa', 'of_limit']:.2f} of its time",
        "the authors' double loop": f"{faster.loc[DOUBLE_LOOP]:.0f} times faster",
        "rsatoolbox": f"{faster['rsatoolbox']:.0f} times faster",
        "SciPy's pdist": f"{faster['SciPy pdist']:.0f} times faster",
        "Net2Brain's formula": f"{faster.loc[NET2BRAIN]:.1f} times faster",
        "thingsvision's formula": f"{faster.loc[THINGSVISION]:.1f} times faster",
        "PyTorch as it comes": f"{forward.loc['forward, fused', 'speedup']:.2f} times faster",
        "the bare forward pass": (
            f"{forward.loc['photographs to RDMs, 500 images', 'of_forward']:.2f} of its time"
        ),
        "the whole job anew": f"{1 / cached.loc['without centring', 'of_anew']:.0f} times faster",
        "the features it holds": f"{cached.loc['anew', 'peak_mb'] / features:.2f} of their size",
        "its work, shared by both": f"{table('demo').loc[0, 'of_work']:.2f} of its time",
        "rsatoolbox's compare": (f"{similarity.loc['rsatoolbox', 'cpu_ratio']:.1f} times faster"),
        "rsatoolbox's bootstrap": (
            f"{bootstrap.loc['Spearman, rsatoolbox', 'cpu_ratio']:.0f} times faster"
        ),
        "the naive way, with SciPy": (
            f"{permutations.loc['naive, SciPy', 'cpu_ratio']:.0f} times faster"
        ),
        "a plain loop, small model": (
            f"{training.loc[('small model', 'taskrsa, bf16'), 'speedup']:.1f} times faster"
        ),
        "a plain loop, bank's network": (
            f"{training.loc[(BANK, 'taskrsa, bf16'), 'speedup']:.1f} times faster"
        ),
    }


def test_the_readme_s_speeds_are_those_of_the_benchmarks():
    lines = (ROOT / "README.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
    shown = {row[1]: row[2] for row in rows if len(row) == 3}
    for peer, ours in speeds().items():
        assert shown.get(peer) == ours, peer
