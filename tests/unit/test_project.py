"""The project holds together: pins, rules, entry scripts, configurations, the task dictionary."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base", "seaborn": "seaborn-base"}


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().splitlines()
    pinned = [line.split(";")[0] for line in lines if "==" in line and not line.startswith("#")]
    return dict(line.split("==") for line in pinned)


def all_pins() -> dict[str, str]:
    files = ("requirements.txt", "requirements-networks.txt", "requirements-dev.txt")
    return {name: number for file in files for name, number in pins(file).items()}


def test_conda_and_pip_name_the_same_versions():
    environment = yaml.safe_load((ROOT / "envs/taskrsa.yaml").read_text())
    conda = dict(re.fullmatch(r"(\S+) =(\S+)", d).groups() for d in environment["dependencies"])
    conda.pop("python")
    pip = pins("requirements.txt")
    # Jobs run inside the environment, Snakemake outside, which needs Pygments for its report.
    for name in ("snakemake", "Pygments"):
        pip.pop(name)
    assert conda == {CONDA_NAMES.get(name, name): number for name, number in pip.items()}


def test_what_is_installed_is_what_is_pinned():
    for name, number in all_pins().items():
        assert version(name).split("+")[0] == number, name


def test_constraints_repeat_the_direct_pins():
    constraints = pins("constraints.txt")
    for name, number in all_pins().items():
        assert constraints[name] == number


def test_no_target_follows_a_config_file_which_snakemake_would_take_for_another():
    pages = ["Makefile", *("*.md", "config/*.md", "config/*.yaml", "results/*.md")]
    texts = [path.read_text() for page in pages for path in ROOT.glob(page)]
    follow = [word for text in texts for word in re.findall(r"--configfile .*\.yaml +(\S+)", text)]
    assert follow
    assert [word for word in follow if word[0] not in "-\\" and not word.endswith(".yaml")] == []


RULES = "".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))


FETCHING = ("fetch_asset", "unpack_building")


def rules() -> list[tuple[str, str]]:
    """Return name and text of every rule; one in a loop is called after the file's table."""
    parts = re.split(r"^ *(?:rule|checkpoint)(?: (\w+))?:\n", RULES, flags=re.MULTILINE)
    names = [name or "in a loop" for name in parts[1::2]]
    bodies = [re.split(r"^use rule ", body, flags=re.MULTILINE)[0] for body in parts[2::2]]
    return list(zip(names, bodies, strict=True))


@pytest.mark.parametrize(("name", "body"), rules(), ids=[name for name, _ in rules()])
def test_every_rule_says_what_a_reader_needs(name, body):
    for word in ("output:", "message:", "shell:", "command("):
        assert word in body, f"{name} lacks {word}"
    # What has been fetched stays, whatever becomes of the code.
    assert ("code=code_of(" in body) == (name not in FETCHING), name
    assert not re.search(r"^ *run:", body, flags=re.MULTILINE)


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
    used = set(re.findall(r'command\(\s*"(\w+)"', RULES))
    scripts = {path.stem for path in (ROOT / "scripts").glob("*.py")}
    assert used == scripts
    for path in (ROOT / "scripts").glob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), path.name


def test_the_command_of_a_rule_is_that_of_its_code():
    for name, body in rules():
        if name not in FETCHING:
            entries = re.findall(r'code_of\(\s*"(\w+)"', body)
            assert set(re.findall(r'command\(\s*"(\w+)"', body)) == set(entries), name


def test_captions_are_used_and_exist():
    from taskrsa.plan.outputs import caption_of

    used = {caption_of(name) for name in re.findall(r'\btable\("([^"]+)"', RULES)}
    used |= {"caption", "workflow"}  # of figures, and of the whole report
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
    says_what_to_type = ROOT / "scripts/taskrsa/new/command.py"
    for path in {*(ROOT / "scripts/taskrsa").rglob("*.py")} - {says_what_to_type}:
        assert "snakemake" not in path.read_text(), path
    assert "import snakemake" not in says_what_to_type.read_text()
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


def test_all_that_tables_of_networks_may_need_is_in_one_file():
    """Every extra of the package that a loader's error names."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {name for names in extras["optional-dependencies"].values() for name in names}
    pinned = pins("requirements-networks.txt")
    assert {name.split(";")[0].strip() for name in needed} <= pinned.keys()
