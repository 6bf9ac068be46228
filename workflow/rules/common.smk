# Names and functions that the rules share; the only Python of the workflow.
import functools
import json
import modulefinder
import os
import sys
from pathlib import Path

import jsonschema
import yaml
from snakemake.utils import validate

BASE = Path(workflow.basedir)
SCRIPTS = BASE / "scripts"
sys.path.insert(0, str(SCRIPTS))

from taskrsa.data import sbd, segmentation, sources
from taskrsa.errors import TaskrsaError
from taskrsa.models.spec import encoder_spec
from taskrsa.rsa.presets import PRESETS, variants_of
from taskrsa.tasks import TASKS

# Jobs call the Python that runs Snakemake; an activated conda environment puts its own before it.
os.environ.update(PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.getenv('PATH', os.defpath)}")

LAYERS = ["block1", "block2", "block3", "block4", "compressed"]


def stop(message: str) -> None:
    """End Snakemake with one line: an exception would add where in the workflow it was raised."""
    sys.exit(f"error: {message}")


def check_config() -> None:
    """Validate the config and fill in defaults; stop with one line that names the key."""
    path = BASE / "workflow/schemas/config.schema.yaml"
    schema = yaml.safe_load(path.read_text())
    error = jsonschema.exceptions.best_match(
        jsonschema.Draft202012Validator(schema).iter_errors(config)
    )
    if error is not None:
        key = ".".join(map(str, error.absolute_path)) or "top level"
        stop(f"config, {key}: {error.message}")
    validate(config, str(path))
    for kind in {config["source"], config["stimuli"]["source"] or config["source"]}:
        tell_user(sources.source_module, kind)
    check_tasks("tasks", config["tasks"] if config["tasks"] != "auto" else [])
    check_tasks("training.steps_factor", config["training"]["steps_factor"])
    check_tasks("small.steps_factor", config["small"]["steps_factor"])
    check_tasks("pascal.own_task", [config["pascal"]["own_task"]])
    check_tasks("pascal.compare_taps", config["pascal"]["compare_taps"])
    for key in ("small.tasks", "small.figure7", "robustness.tasks"):
        section, name = key.split(".")
        chosen = config[section][name] if config[section][name] != "auto" else []
        check_tasks(key, chosen)
        for task in chosen:
            if not TASKS[task].dense:
                stop(
                    f"config, {key}: {task} has no map to decode; small models are for dense tasks"
                )


def check_tasks(key: str, tasks) -> None:
    """Stop with one line if a config key names a task that does not exist."""
    for task in tasks:
        if task not in TASKS:
            stop(f"config, {key}: no task named {task}; there are {', '.join(TASKS)}")


def code_of(entry: str, *lazily_imported: str) -> list[str]:
    """List the entry script and every library module it imports, at any depth.

    As inputs they make a result stale exactly when the code behind it changes: Snakemake compares
    such small files by content, so a touched or newly checked out file changes nothing.
    """
    files = set()
    for name in (f"{entry}.py", *(f"taskrsa/{module}.py" for module in lazily_imported)):
        files |= _imports(name)
    first = SCRIPTS / f"{entry}.py"
    return [os.path.relpath(path) for path in [first, *sorted(files - {first})]]


@functools.cache
def _imports(name: str) -> frozenset:
    finder = modulefinder.ModuleFinder(path=[str(SCRIPTS)])
    finder.run_script(str(SCRIPTS / name))
    found = (module.__file__ for module in finder.modules.values() if module.__file__)
    return frozenset(map(Path, found))


def expand_variables(section: str, values: dict) -> dict:
    """Put environment variables into a section of the config; stop where one is not set."""
    options = {
        key: os.path.expandvars(value) if isinstance(value, str) else value
        for key, value in values.items()
    }
    missing = [value for value in options.values() if isinstance(value, str) and "$" in value]
    if "path" in options and not options["path"]:
        stop(f"config, {section}.path: is not set; name the folder of images")
    if missing:
        stop(
            f"config, {section}: {missing[0]} names an environment variable that is not set; "
            "export it"
        )
    return options


def source_options(kind: str) -> dict:
    """Collect what a source needs: its own section of the config and the working size."""
    options = expand_variables(kind, config[kind])
    return {"kind": kind, **options, "image_size": config["image_size"]}


def source_files(kind: str) -> list[str]:
    """List the files a source reads, so that changed data makes its results stale."""
    return tell_user(sources.source_files, kind, source_options(kind).get("path"))


def tell_user(function, *arguments):
    """Call a library function; turn its one-line errors into Snakemake's."""
    try:
        return function(*arguments)
    except TaskrsaError as error:
        stop(str(error))


def tasks_with_reasons() -> dict[str, str]:
    """Map every task of the config to "" or to the reason why the source cannot label it."""
    if config["tasks"] != "auto":
        return dict.fromkeys(config["tasks"], "")
    reasons = tell_user(sources.unavailable_tasks, source_options(SOURCE), list(TASKS.values()))
    return {task: reasons.get(task, "") for task in TASKS}


def rdms_of_layer(wildcards) -> list[str]:
    kind = "labels" if wildcards.layer == "labels" else "trained"
    return expand(f"{RUN}/rdms/{{kind}}/{{task}}.h5", kind=kind, task=TASK_IDS)


def small_tasks() -> list[str]:
    """List the tasks of which small models are trained: by default the paper's 14."""
    chosen = config["small"]["tasks"]
    if chosen == "auto":
        chosen = [task for task in TASKS if TASKS[task].small]
    return [task for task in TASK_IDS if task in chosen]


def small_encoder(width: int) -> dict:
    """Describe a small encoder whose code has the dimensions of the bank's."""
    reduction = encoder_spec(config["encoder"]).reduction
    return {"family": "small", "width": width, "reduction": reduction}


def small_weights(task: str, variants: list[str]) -> list[str]:
    """Name the weights of small models; w8_s0_p25 is width 8, seed 0, after 25 % of the steps."""
    files = []
    for variant in variants:
        model, _, percent = variant.partition("_p")
        name = f"stage_{percent}" if percent else "weights"
        files.append(f"{RUN}/small/{task}/{model}/{name}.safetensors")
    return files


def small_rdm_files(tasks: list[str], variants: list[str]) -> list[str]:
    """Name the RDMs of small models: all tasks of the first variant, then of the next."""
    return [f"{RUN}/rdms/small_{variant}/{task}.h5" for variant in variants for task in tasks]


def target_options() -> dict:
    """Collect what preparing the new task's images needs."""
    kind = config["pascal"]["source"]
    options = expand_variables(f"pascal.{kind}", config["pascal"][kind])
    options.pop("test", None)
    return {"kind": kind, **options}


def target_files() -> list[str]:
    """List the files of the new task, so that changed images make its results stale."""
    options = target_options()
    if options["kind"] != "voc":
        return []
    lists = options["train"], options["val"]
    if options["sbd"]:
        return tell_user(sbd.files, options["path"], options["sbd"], *lists)
    return tell_user(segmentation.files, options["path"], *lists)


def inits_at(tap: str) -> list[str]:
    """List the initialisations that are fine-tuned at a tap: all, or those to compare taps by."""
    everything = [*TASK_IDS, "random", "random_small"]
    chosen = set(everything) if tap == TAP else set()
    return [init for init in everything if init in chosen | set(COMPARED_INITS)]


def finetuned(tap: str, inits: list[str]) -> list[str]:
    return expand(
        f"{RUN}/pascal/{{tap}}/{{init}}/s{{seed}}/scores.csv",
        tap=tap,
        init=inits,
        seed=config["pascal"]["seeds"],
    )


def start_of(init: str, weights: str) -> str:
    """Say what a network starts from: weights of the bank, or an untrained encoder."""
    if init in TASKS:
        return f"--weights {weights}"
    small = small_encoder(config["pascal"]["small"]["width"])
    encoder = {"random": config["encoder"], "random_small": small}[init]
    return f"--encoder '{json.dumps(encoder)}'"


def affinities_file(wildcards) -> str:
    """Return the published affinities: a local copy, or the file the download rule makes."""
    if AFFINITIES is None:
        stop(
            "config, affinities: Taskonomy's published affinities are needed; set affinities.path "
            "to a local copy of all_affinities.pkl or affinities.download to true"
        )
    return AFFINITIES


def transfer_similarity(kind: str):
    """Return an input function: the similarity that affinities imply, or one line on what lacks."""

    def table(wildcards) -> str:
        if kind not in AFFINITY_KINDS:
            affinities_file(wildcards)
        return f"{RUN}/tables/transfer_similarity_{kind}.csv"

    return table


def local_affinities() -> str | None:
    path = os.path.expandvars(config["affinities"]["path"] or "")
    if path and "$" not in path and os.path.exists(path):
        return path
    return DOWNLOADED_AFFINITIES if config["affinities"]["download"] else None


def figure_files(name: str, caption: str, category: str) -> dict:
    """Name a figure's three files: PDF and PNG, and the numbers drawn as CSV."""
    base = f"{RUN}/figures/{name}"
    shown = report(f"{base}.png", caption=f"../report/{caption}", category=category)
    return {"pdf": f"{base}.pdf", "png": shown, "csv": f"{base}.csv"}


check_config()
RUN = f"results/{config['run']}"
SOURCE = config["source"]
STIMULI_SOURCE = config["stimuli"]["source"] or SOURCE
# Labels of the stimuli need a source that has labels: the one the bank is trained on.
HAVE_LABELS = STIMULI_SOURCE == SOURCE
LABELLED_SPLITS = ["train", "val"] + ["stimuli"] * HAVE_LABELS
TASK_REASONS = tasks_with_reasons()
TASK_IDS = [task for task, reason in TASK_REASONS.items() if not reason]
RANDOM_IDS = [f"random_{number:02d}" for number in range(config["control"]["random_encoders"])]
COMPARED_LAYERS = LAYERS + ["labels"] * HAVE_LABELS
LABEL_RDMS = expand(f"{RUN}/rdms/labels/{{task}}.h5", task=TASK_IDS) if HAVE_LABELS else []
RSA = PRESETS[config["rsa"]["preset"]] | config["rsa"]["choices"]
RDM_CHOICES = {key: RSA[key] for key in ("centre", "clip", "group_norm")}
BANK_RDMS = expand(f"{RUN}/rdms/trained/{{task}}.h5", task=TASK_IDS)

# Small models: the default ones of every seed, and one seed at other widths and stages.
SMALL_IDS = small_tasks()
WIDTH, SEEDS = config["small"]["width"], config["small"]["seeds"]
SEED_VARIANTS = [f"w{WIDTH}_s{seed}" for seed in SEEDS]
WIDTHS = sorted({*config["robustness"]["widths"], WIDTH})
WIDTH_VARIANTS = [f"w{width}_s{SEEDS[0]}" for width in WIDTHS]
STAGES = sorted({*config["robustness"]["stages"], 100})
STAGE_VARIANTS = [f"{SEED_VARIANTS[0]}_p{percent}" for percent in STAGES]
OTHER_VARIANTS = [v for v in [*WIDTH_VARIANTS, *STAGE_VARIANTS] if v not in SEED_VARIANTS]
ROBUSTNESS_IDS = [
    task
    for task in SMALL_IDS
    if config["robustness"]["tasks"] == "auto" or task in config["robustness"]["tasks"]
]
# For each factor: tasks, variants, their values and the value that the others are compared with.
FACTORS = {
    "width": (ROBUSTNESS_IDS, WIDTH_VARIANTS, WIDTHS, WIDTH),
    "stage": (ROBUSTNESS_IDS, STAGE_VARIANTS, STAGES, 100),
    "seed": (SMALL_IDS, SEED_VARIANTS, SEEDS, SEEDS[0]),
}
FIGURE7_IDS = [task for task in config["small"]["figure7"] if task in SMALL_IDS] or SMALL_IDS[:2]

# The new task: where its devkit lies, and what is fine-tuned on it.
NEW_TASK = bool(config["pascal"]["source"])
# Fewer stimuli than the smallest number to rank from: then all of them are ranked from.
N_STIMULI = config["stimuli"]["n"]
IMAGE_COUNTS = [n for n in config["robustness"]["images"] if n <= N_STIMULI] or [N_STIMULI]
NEW_TASK_TABLES = ["figure8", "table2", "table2_prediction", "table2_choice"] * NEW_TASK
NEW_TASK_FIGURES = ["figure8", "table2", "choice"] * NEW_TASK
TAP = config["pascal"]["tap"]
COMPARED_INITS = config["pascal"]["compare_taps"] if NEW_TASK else []
NEW_TASK_TABLES += ["taps"] * bool(COMPARED_INITS)
TARGET_SEEDS = config["pascal"]["small"]["seeds"]
TARGET_IS_MADE = config["pascal"]["source"] == "outdoor" or bool(config["pascal"]["voc"]["sbd"])
TARGET_FOLDER = f"{RUN}/pascal/devkit"
TARGET_LISTS = ""
if NEW_TASK and not TARGET_IS_MADE:
    TARGET_FOLDER = target_options()["path"]
    TARGET_LISTS = "--train_list {train} --val_list {val}".format(**target_options())

AFFINITY_TASKS = [task for task in TASK_IDS if TASKS[task].affinity_name]
DOWNLOADED_AFFINITIES = "results/downloads/all_affinities.pkl"
AFFINITIES = local_affinities()
# Affinities belong to the bank they were measured on: the published ones to Taskonomy's.
AFFINITY_KIND = config["affinities"]["use"]
AFFINITY_KINDS = ["measured"] * (AFFINITY_KIND == "measured") + ["published"] * bool(AFFINITIES)
TRANSFER_TITLES = {
    "measured": "Transfer (measured by probes)",
    "published": "Taskonomy (Zamir et al. 2018)",
}

if workflow.is_main_process:
    for task, reason in TASK_REASONS.items():
        if reason:
            print(f"left out: {reason}", file=sys.stderr)
    if AFFINITIES is None:
        names = "figure6_published" if AFFINITY_KINDS else "figure6, table1 and selection"
        print(
            f"left out: {names}, for want of Taskonomy's affinities (see affinities.path)",
            file=sys.stderr,
        )


wildcard_constraints:
    task="|".join(TASKS),
    layer="|".join([*LAYERS, "labels"]),
    linkage="paper|average",
    factor="images|width|stage|seed",
    width=r"\d+",
    seed=r"\d+",
    tap="block4|compressed",
    init="|".join([*TASKS, "random", "random_small"]),
