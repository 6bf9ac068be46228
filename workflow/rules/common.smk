# What the other files share: the plan of the run, and how an entry of scripts/ is called.
import json
import os
import re
import sys
from functools import wraps
from pathlib import Path

import yaml

SCRIPTS = BASE / "scripts"
sys.path.insert(0, str(SCRIPTS))

from taskrsa import extensions
from taskrsa.errors import TaskrsaError
from taskrsa.figures.registry import registered
from taskrsa.plan import code, jobs, outputs
from taskrsa.plan.networks import BASELINES
from taskrsa.plan.plan import make_plan
from taskrsa.plan.text import as_json
from taskrsa.tasks.dictionary import TASKS

# Jobs call the Python that runs Snakemake; an activated conda environment puts its own before it.
os.environ.update(PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.getenv('PATH', os.defpath)}")
# Factories of networks are the user's modules, beside the config or wherever Python finds them.
USER_MODULES = "PYTHONPATH=.${{PYTHONPATH:+:$PYTHONPATH}}"
REPORTED_PACKAGES = (
    "snakemake torch numpy scipy pandas scikit-image h5py safetensors pillow matplotlib"
).split()


def stop(error: Exception) -> None:
    """End Snakemake with one line: an exception would add where in the workflow it was raised."""
    sys.exit(f"error: {error}")


def asked(function):
    """Return an input function whose errors, which a user can fix, end Snakemake with one line."""

    @wraps(function)
    def ask(*arguments, **named):
        try:
            return function(*arguments, **named)
        except TaskrsaError as error:
            stop(error)

    return ask


def here(path: Path) -> str:
    """Name a file of the project: relative, where Snakemake runs in the project's folder."""
    return os.path.relpath(path) if BASE.samefile(os.getcwd()) else str(path)


def code_of(entry: str, *lazily_imported: str) -> list[str]:
    """List the entry that a rule runs, the modules behind it and all extensions."""
    files = code.files_of(SCRIPTS, entry, lazily_imported)
    return [*map(here, files), *EXTENSIONS]


def code_of_figure(figure):
    """Return the input function of a figure's code, which says what a run lacks for the figure."""
    files = code_of("figure", figure.code)

    @asked
    def ask(wildcards):
        figure.require(PLAN.targets[wildcards.target].has if figure.per_target else PLAN.has)
        return files

    return ask


def command(entry: str, before: str = "", **sources: str) -> str:
    """Return a rule's shell command; `sources` name the flags, as in `output="table"`."""
    return code.command(SCRIPTS / f"{entry}.py", before, **sources)


def wanted(wildcards):
    """Return the asset that a job fetches."""
    return PLAN.fetching.wanted(**dict(wildcards.items()))


@asked
def fetcher(wildcards) -> list[str]:
    """Return the entry that fetches, where the licence of what is wanted is accepted."""
    PLAN.fetching.require_licence(wanted(wildcards))
    return code_of("fetch")[:1]


def table(name: str, category: str):
    """Return a table that Snakemake's report shows, with the caption of its name."""
    caption = f"../report/{outputs.caption_of(name)}.rst"
    return report(f"{RUN}/{name}.csv", caption=caption, category=category)


def figure_files(figure) -> dict:
    """Return the outputs of a figure; Snakemake's report shows the picture."""
    files = figure.outputs(RUN)
    caption = "../report/caption.rst"
    return files | {"png": report(files["png"], caption=caption, category=figure.category)}


def needs(section) -> dict:
    """Return the resources of jobs that train or extract: memory and time of a section."""
    return {
        "mem_mb": section.mem_mb,
        "runtime": getattr(section, "runtime", 60),
        "gpu": CONFIG.training.gpu,
    }


def of_target(function):
    """Return an input or params function of a job's target."""
    return asked(lambda wildcards: function(PLAN.targets[wildcards.target]))


def runs_of(target, tap: str) -> list[str]:
    """List the scores of all fine-tunings on a target at a tap."""
    if tap == target.config.tap:
        best = target.config.finetune == "top3"
        ranking = checkpoints.rank_networks.get(target=target.name).output.table if best else None
        return target.runs(tap, target.finetuned(ranking))
    return target.runs(tap, target.compared_taps)


def curves() -> list[str]:
    """List the learning curves of all targets."""
    return [
        path.replace("scores.csv", "learning_curve.csv")
        for target in PLAN.targets.values()
        for path in (*target.small_scores, *runs_of(target, target.config.tap))
    ]


def among(names) -> str:
    """Return a wildcard's pattern: one of these names."""
    return "|".join(map(re.escape, names)) or "-"


def jobs_prefix() -> str:
    """Return what the names of this run's jobs on a cluster begin with."""
    return getattr(workflow.executor_settings, "jobname_prefix", None) or "taskrsa"


def complete_rules() -> None:
    """Give the rules of this workflow what they do not state: environment, log, memory and time.

    A job that is submitted again (`retries` of a profile) asks for its memory once more.
    """
    overwritten = workflow.resource_settings.overwrite_resources
    for known in workflow.rules:
        if known.norun or known.name in EARLIER_RULES:
            continue
        known.conda_env = known.conda_env or str(BASE / "envs/taskrsa.yaml")
        if not known.log:
            parts = [known.name, *(f"{{{name}}}" for name in sorted(known.wildcard_names))]
            known.log_modifier = known.output_modifier
            known.set_log(f"{RUN}/logs/{'_'.join(parts)}.log")
        stated = known.ruleinfo.resources[1] if known.ruleinfo.resources else {}
        stated |= overwritten.get(known.name, {})
        for resource, little in (("mem_mb", 1000), ("runtime", 10)):
            if resource not in stated:
                known.resources[resource] = little
        asked_for = known.resources["mem_mb"]
        if not asked_for.is_evaluable() and asked_for.value:
            known.resources["mem_mb"] = lambda wildcards, attempt, mb=asked_for.value: attempt * mb


EARLIER_RULES = {known.name for known in workflow.rules}
try:
    # Before anything that they may add to; the check of the config refuses what is not a list.
    paths = config.get("extensions")
    EXTENSIONS = extensions.use(paths if isinstance(paths, list) else [])
    extensions.load()
    from taskrsa.data import sources

    PLAN = make_plan(
        config,
        sources.ADDED,
        BASE / "config/assets.tsv",
        yaml.safe_load((BASE / "workflow/schemas/assets.schema.yaml").read_text()),
        # Snakemake does not tell a Snakefile that it only plans; a cluster of flags counts, too.
        dry_run=any(re.fullmatch(r"--dry-?run|-[A-Za-z]*n[A-Za-z]*", word) for word in sys.argv),
        # Downloads are for all runs, whatever prefix the workflow that imports this one gives it.
        downloads_in="" if workflow.modifier.is_main_snakefile() else os.getcwd(),
    )
except TaskrsaError as error:
    stop(error)

CONFIG, RUN, DOWNLOADS = PLAN.config, PLAN.run, PLAN.fetching.folder
# The resources of jobs that train on a target.
FINETUNING = {
    "mem_mb": lambda wildcards, attempt: attempt * PLAN.targets[wildcards.target].config.mem_mb,
    "runtime": lambda wildcards: PLAN.targets[wildcards.target].config.runtime,
    "gpu": CONFIG.training.gpu,
}

if workflow.is_main_process:
    files = [os.path.relpath(path) for path in workflow.configfiles]
    files += ["(the demo, for no --configfile names another run)"] * IS_DEMO
    for line in (f"config: {' '.join(files)}", *outputs.notes(PLAN)):
        print(line, file=sys.stderr)


wildcard_constraints:
    task=among(TASKS),
    network=among([*PLAN.bank.all, *BASELINES]),
    target=among(PLAN.targets),
    layer=among([*PLAN.bank.layers, "labels"]),
    linkage="paper|average",
    factor="images|width|stage|seed",
    width=r"\d+",
    seed=r"\d+",
    tap="block4|compressed",
    asset=among(row.file for row in PLAN.fetching.assets.values() if "{" not in row.file),
    building="[A-Za-z0-9]+",
    domain="[a-z0-9_]+",
