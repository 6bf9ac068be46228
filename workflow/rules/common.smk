# What the other files share: the plan of the run, and how an entry of scripts/ is called.
import os
import re
import sys
from pathlib import Path

import yaml

SCRIPTS = BASE / "scripts"
sys.path.insert(0, str(SCRIPTS))

from taskrsa import extensions
from taskrsa.figures.registry import registered
from taskrsa.io.files import refuse_braces
from taskrsa.plan import code, jobs, outputs
from taskrsa.plan.checking import checker
from taskrsa.plan.jobs import as_json, asked
from taskrsa.plan.networks import BASELINES
from taskrsa.plan.plan import make_plan
from taskrsa.plan.small import small_encoder
from taskrsa.tasks.dictionary import TASKS

# Jobs call the Python that runs Snakemake; an activated conda environment puts its own before it.
os.environ.update(PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.getenv('PATH', os.defpath)}")
# Factories of networks are the user's modules, beside the config or wherever Python finds them.
USER_MODULES = "PYTHONPATH=.${{PYTHONPATH:+:$PYTHONPATH}}"


# Snakemake does not tell a Snakefile that it only plans; a cluster of flags counts, too.
IS_DRY = any(re.fullmatch(r"--dry-?run|-[A-Za-z]*n[A-Za-z]*", word) for word in sys.argv)
# Flags with which it runs no job.
ONLY_ASKS = {"--unlock", "--lint", "--list", "-l", "--list-rules", "--report", "--summary", "--dag"}


@asked
def used_extensions() -> list[str]:
    """Load the extensions, before anything that they may add to, and return their paths."""
    paths = config.get("extensions")
    # The check of the config refuses what is not a list.
    found = extensions.use(paths if isinstance(paths, list) else [])
    extensions.load()
    return found


@asked
def planned():
    """Return the plan of the run."""
    from taskrsa.data import sources

    refuse_braces("folder of the workflow", [str(BASE)])
    return make_plan(
        config,
        sources.ADDED,
        BASE / "config/assets.tsv",
        yaml.safe_load((BASE / "workflow/schemas/assets.schema.yaml").read_text()),
        dry_run=IS_DRY,
        # Downloads are for all runs, whatever prefix the workflow that imports this one gives it.
        downloads_in="" if workflow.modifier.is_main_snakefile() else os.getcwd(),
        # Networks are tried once, where jobs will follow.
        check=checker(
            ".snakemake/taskrsa",
            workflow.is_main_process and not IS_DRY and not ONLY_ASKS.intersection(sys.argv),
        ),
    )


EARLIER_RULES = {known.name for known in workflow.rules}
EXTENSIONS, PLAN = used_extensions(), planned()
CONFIG, RUN, DOWNLOADS = PLAN.config, PLAN.run, PLAN.fetching.folder

if workflow.is_main_process:
    files = [os.path.relpath(path) for path in workflow.configfiles]
    files += ["(the demo, for no --configfile names another run)"] * IS_DEMO
    for line in (f"config: {' '.join(files)}", *outputs.notes(PLAN)):
        print(line, file=sys.stderr)


def here(path: Path) -> str:
    """Name a file of the project: relative, where Snakemake runs in the project's folder."""
    return os.path.relpath(path) if BASE.samefile(os.getcwd()) else str(path)


def code_of(entry: str, *lazily_imported: str) -> str:
    """Return one digest of the entry that a rule runs, the modules behind it and all extensions."""
    return code.digest([*code.files_of(SCRIPTS, entry, lazily_imported), *EXTENSIONS])


def drawable(figure):
    """Return an input function without files, which says what a run lacks for a figure."""

    @asked
    def ask(wildcards):
        figure.require(PLAN.targets[wildcards.target].has if figure.per_target else PLAN.has)
        return []

    return ask


def command(entry: str, before: str = "", **sources: str) -> str:
    """Return a rule's shell command; `sources` name the flags, as in `output="table"`."""
    return code.command(here(SCRIPTS / f"{entry}.py"), before, **sources)


def wanted(wildcards):
    """Return the asset that a job fetches."""
    return PLAN.fetching.wanted(**dict(wildcards.items()))


@asked
def accepted_licence(wildcards) -> list:
    """Return no files, where the licence of what is wanted is accepted."""
    PLAN.fetching.require_licence(wanted(wildcards))
    return []


def table(name: str, category: str):
    """Return a table that Snakemake's report shows, with the caption of its name."""
    caption = f"../report/{outputs.caption_of(name)}.rst"
    return report(f"{RUN}/{name}.csv", caption=caption, category=category)


def figure_files(figure) -> dict:
    """Return the outputs of a figure; Snakemake's report shows the picture."""
    files, caption = figure.outputs(RUN), "../report/caption.rst"
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


def of_network(function):
    """Return an input function of a job's target and network."""
    return asked(lambda wildcards: function(PLAN.targets[wildcards.target], wildcards.network))


def beside(wildcards) -> list[str]:
    """List the files that a job's network is made of beside its weights: data of ONNX files, and
    the user's modules."""
    return PLAN.bank.beside(wildcards.network)


def order_of(target) -> str:
    """Return the table that orders the networks of a target, best first."""
    return checkpoints.advice.get(target=target.name).output.table


def decision_before(target, number: int) -> str:
    """Return the table that names the networks of a round of the race, from 1: that of the round
    before, or of all networks."""
    if number == 1:
        return order_of(target)
    return checkpoints.race_round.get(target=target.name, round=number - 1).output.table


def legs_of(target, number: int) -> list[str]:
    """List the scores of a round of the race, in the order of entry."""
    networks = target.entrants(number, decision_before(target, number))
    return [f"{target.leg(network, number)}/scores.csv" for network in networks]


def runs_of(target, tap: str) -> list[str]:
    """List the scores of all fine-tunings on a target at a tap."""
    chosen = None
    if tap == target.config.tap and target.config.finetune == "top3":
        chosen = order_of(target)
    elif tap == target.config.tap and target.is_raced:
        chosen = decision_before(target, len(target.rounds))
    return target.runs(tap, chosen)


def of_study(name: str):
    """List a table of every target of the study."""
    return [f"{PLAN.targets[target].folder}/{name}.csv" for target in PLAN.study]


def among(names) -> str:
    """Return a wildcard's pattern: one of these names."""
    return "|".join(map(re.escape, names)) or "-"


wildcard_constraints:
    task=among(TASKS),
    network=among([*PLAN.bank.all, *BASELINES]),
    target=among(PLAN.targets),
    layer=among([*PLAN.bank.layers, "labels"]),
    linkage="paper|average",
    factor="images|width|stage|seed",
    width=r"\d+",
    seed=r"\d+",
    round=r"\d+",
    tap="block4|compressed",
    asset=among(row.file for row in PLAN.fetching.assets.values() if "{" not in row.file),
    building="[A-Za-z0-9]+",
    domain="[a-z0-9_]+",
