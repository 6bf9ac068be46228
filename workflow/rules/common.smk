# Names and functions that the rules share; the only Python of the workflow.
import ast
import csv
import functools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import yaml
from snakemake.utils import validate

BASE = Path(workflow.basedir)
SCRIPTS = BASE / "scripts"
sys.path.insert(0, str(SCRIPTS))

from taskrsa import extensions
from taskrsa.errors import TaskrsaError


def stop(message: str) -> None:
    """End Snakemake with one line: an exception would add where in the workflow it was raised."""
    sys.exit(f"error: {message}")


# Before anything that they may add to; the schema says so where it is no list.
try:
    EXTENSIONS = extensions.use(
        config["extensions"] if isinstance(config.get("extensions"), list) else []
    )
    extensions.load()
except TaskrsaError as error:
    stop(str(error))

from taskrsa.data import nyuv2, sources
from taskrsa.io import assets as asset_table
from taskrsa.networks import table as bank_table
from taskrsa.networks.public import public_file
from taskrsa.networks.spec import EncoderSpec, encoder_spec
from taskrsa.rsa.presets import PRESETS, variants_of
from taskrsa.targets import devkit as segmentation
from taskrsa.targets import labelled, sbd
from taskrsa.tasks.dictionary import TASKS

# Jobs call the Python that runs Snakemake; an activated conda environment puts its own before it.
os.environ.update(PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.getenv('PATH', os.defpath)}")

LAYERS = ["block1", "block2", "block3", "block4", "compressed"]
REPORTED_PACKAGES = (
    "snakemake torch numpy scipy pandas scikit-image h5py safetensors pillow matplotlib"
)


def check_config() -> None:
    """Validate the config and fill in defaults; stop with one line that names the key."""
    path = BASE / "workflow/schemas/config.schema.yaml"
    schema = yaml.safe_load(path.read_text())
    for kind in sources.ADDED:
        if kind in schema["properties"]:
            stop(f"config, extensions: source {kind} has the name of another key; rename it")
        if not isinstance(config.get(kind, {}), dict):
            stop(f"config, {kind}: {config[kind]!r} is not of type 'object'")
    # Options of a source that an extension added are checked by the source itself.
    added = {kind: config.pop(kind, {}) for kind in sources.ADDED}
    error = jsonschema.exceptions.best_match(
        jsonschema.Draft202012Validator(schema).iter_errors(config)
    )
    if error is not None:
        key = ".".join(map(str, error.absolute_path)) or "top level"
        stop(f"config, {key}: {error.message}")
    validate(config, str(path))
    config.update(added)
    stimuli = config["stimuli"]["source"] or config["source"]
    for kind in {config["source"], stimuli}:
        tell_user(sources.source_module, kind)
    options = jsonschema.Draft202012Validator(schema["properties"].get(stimuli, {}))
    changes = config["stimuli"]["options"] or {}
    error = jsonschema.exceptions.best_match(options.iter_errors(changes))
    if error is not None:
        key = ".".join(["stimuli.options", *map(str, error.absolute_path)])
        stop(f"config, {key}: {error.message}")
    published = config["bank"]["source"] == "taskonomy"
    if published and encoder_spec(config["encoder"]) != EncoderSpec():
        spec = EncoderSpec()
        stop(
            f"config, encoder: Taskonomy's encoders (bank.source) have width {spec.width}, units "
            f"{list(spec.units)} and strides {list(spec.strides)}; set these"
        )
    check_tasks("tasks", config["tasks"] if config["tasks"] != "auto" else [])
    for task in config["tasks"] if published and config["tasks"] != "auto" else []:
        if not TASKS[task].bank_name:
            stop(f"config, tasks: Taskonomy's bank has no network of {task}; take it out")
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
    # Any of it may ask for what an extension adds.
    return [os.path.relpath(path) for path in [first, *sorted(files - {first}), *EXTENSIONS]]


def source_code(kind: str) -> list[str]:
    """Name the library's module of a source for `code_of`; an extension's file is there anyway."""
    return [f"data/{kind}"] if kind not in sources.ADDED else []


def _imports(name: str) -> frozenset:
    found, left = set(), [SCRIPTS / name]
    while left:
        path = left.pop()
        if path not in found:
            found.add(path)
            left += _imported_by(path)
    return frozenset(found)


@functools.cache
def _imported_by(path: Path) -> frozenset:
    """List the library's files that a file imports itself, at any place in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    found = set()
    for name in names:
        parts = name.split(".")
        for n in range(1, len(parts) + 1):
            place = SCRIPTS.joinpath(*parts[:n])
            choices = (place.with_suffix(".py"), place / "__init__.py")
            found |= {choice for choice in choices if choice.is_file()}
    return frozenset(found)


def expand_variables(section: str, values: dict) -> dict:
    """Put environment variables into a section of the config; stop where one is not set."""
    options = {
        key: os.path.expandvars(value) if isinstance(value, str) else value
        for key, value in values.items()
    }
    missing = [value for value in options.values() if isinstance(value, str) and "$" in value]
    if "path" in options and not options["path"]:
        stop(f"config, {section}.path: is not set; name the folder of images{or_accept(section)}")
    if missing:
        stop(
            f"config, {section}: {missing[0]} names an environment variable that is not set; "
            "export it"
        )
    return options


def source_options(kind: str, changes: dict | None = None) -> dict:
    """Collect what a source needs: its own section of the config and the working size."""
    values = config[kind] | (changes or {})
    if kind == "taskonomy" and TASKONOMY_FETCHED and not values["path"]:
        values["path"] = f"{DOWNLOADS}/taskonomy"
        # Other runs may have fetched more of the same buildings.
        values["domains"] = taskonomy_domains(values)
    if kind == "rgbd":
        conversion, _ = values.pop("convert"), values.pop("mat")
        if NYUV2_CONVERTED:
            values["path"] = NYUV2_FOLDER
            if values["classes"] is None and conversion["classes"]:
                values["classes"] = f"{NYUV2_FOLDER}/classes.txt"
    options = expand_variables(kind, values)
    return {"kind": kind, **options, "image_size": config["image_size"]}


def source_files(kind: str, changes: dict | None = None) -> list[str]:
    """List the files a source reads, so that changed data makes its results stale.

    Of data that the workflow fetches the lists of what was unpacked stand for the files, which are
    not there yet when the rules are read.
    """
    values = config[kind] | (changes or {})
    if kind == "taskonomy" and TASKONOMY_FETCHED and not values["path"]:
        buildings = [*(values["train_buildings"] or []), *(values["val_buildings"] or [])]
        if not buildings:
            stop("config, taskonomy.train_buildings: is not set; name the buildings to fetch")
        return taskonomy_manifests(buildings, taskonomy_domains(values))
    if kind == "rgbd" and NYUV2_CONVERTED:
        return [f"{NYUV2_FOLDER}/images.csv", *NYUV2_CLASSES.values()]
    return tell_user(sources.source_files, kind, source_options(kind, changes).get("path"))


def nyuv2_file(wildcards) -> str:
    """Return NYU Depth v2's file: the one of the config, or the one that is fetched."""
    if not config["rgbd"]["mat"]:
        return asset("nyuv2")
    return existing_file("rgbd", "mat", config["rgbd"])


def nyuv2_tables(wildcards) -> list[str]:
    """List the tables of split and classes that the conversion of NYU Depth v2 reads."""
    options = config["rgbd"]["convert"]
    keys = [key for key in ("splits", "classes") if options[key] not in (None, "names")]
    return [existing_file("rgbd.convert", key, options) for key in keys]


def nyuv2_options(wildcards) -> str:
    return json.dumps(expand_variables("rgbd.convert", config["rgbd"]["convert"]))


def existing_file(section: str, key: str, values: dict) -> str:
    """Return the file that a key of the config names; stop with one line if it is not there."""
    path = expand_variables(section, {key: values[key]})[key]
    if not os.path.isfile(path):
        stop(f"config, {section}.{key}: there is no file {path}; correct the path")
    return path


def public_checkpoint(wildcards) -> str:
    """Return a task's file of the public bank: in bank.path, or the one that is downloaded."""
    if not config["bank"]["path"]:
        return asset(f"encoder/{wildcards.task}")
    folder = expand_variables("bank", config["bank"])["path"]
    return str(tell_user(public_file, folder, TASKS[wildcards.task].bank_name))


def grow_memory() -> None:
    """Let a job that is submitted again (`retries` of a profile) ask for its memory once more."""
    for known in workflow.rules:
        asked = known.resources.get("mem_mb")
        if not asked.is_evaluable() and asked.value:
            known.resources["mem_mb"] = lambda wildcards, attempt, mb=asked.value: attempt * mb


def stop_for_twins() -> None:
    """Stop with one line where Slurm jobs of a run that was killed still work in this folder.

    New jobs would write the same files beside them. A run that ends in any other way cancels its
    jobs or waits for them; another run in this folder has another `--slurm-jobname-prefix`.
    """
    if shutil.which("squeue") is None:
        return
    prefix = getattr(workflow.executor_settings, "jobname_prefix", None) or "taskrsa"
    listed = subprocess.run(
        ["squeue", "--noheader", f"--user={os.getuid()}", "--format=%A|%j|%Z"],
        capture_output=True,
        text=True,
        check=False,
    )
    jobs = (line.split("|", 2) for line in listed.stdout.splitlines())
    here = os.path.realpath(os.getcwd())
    twins = {
        job
        for job, name, folder in jobs
        if name.startswith(f"{prefix}_") and os.path.realpath(folder) == here
    }
    if twins:
        stop(
            f"Slurm jobs of an earlier run still work in this folder: {' '.join(sorted(twins))}; "
            "wait for them, for what they finish counts, or end them with scancel, and start again"
        )


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
    if SOURCE == "taskonomy" and TASKONOMY_FETCHED:
        # No image is there yet to ask; all domains are published.
        if config["taskonomy"]["domains"] is not None:
            stop("config, tasks: list the tasks that the fetched taskonomy.domains can label")
        reasons = {}
    elif SOURCE == "rgbd" and NYUV2_CONVERTED:
        has_classes = source_options(SOURCE)["classes"] is not None
        reasons = nyuv2.unavailable_tasks(list(TASKS.values()), has_classes)
    else:
        reasons = tell_user(sources.unavailable_tasks, source_options(SOURCE), list(TASKS.values()))
    if config["bank"]["source"] == "taskonomy":
        reasons |= {
            name: f"{name}: Taskonomy's bank has no network of it"
            for name, task in TASKS.items()
            if not task.bank_name
        }
    return {task: reasons.get(task, "") for task in TASKS}


def rdms_of_layer(wildcards) -> list[str]:
    kind = "labels" if wildcards.layer == "labels" else "trained"
    return expand(f"{RUN}/rdms/{{kind}}/{{task}}.h5", kind=kind, task=TASK_IDS)


def small_tasks() -> list[str]:
    """List the tasks of which small models are trained: by default the paper's 14."""
    chosen = config["small"]["tasks"]
    if chosen == "auto":
        chosen = [task for task in TASKS if TASKS[task].has_small_model]
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
    values = dict(config["pascal"][kind])
    if kind == "voc" and VOC_FETCHED:
        values["path"] = f"{DOWNLOADS}/voc2012/VOCdevkit/VOC2012"
        if SBD_FETCHED:
            values["sbd"] = f"{DOWNLOADS}/sbd"
    options = expand_variables(f"pascal.{kind}", values)
    options.pop("test", None)
    return {"kind": kind, **options}


def target_files() -> list[str]:
    """List the files of the new task, so that changed images make its results stale."""
    options = target_options()
    if options["kind"] != "voc":
        return []
    if VOC_FETCHED:
        return [f"{DOWNLOADS}/voc2012.csv", *[f"{DOWNLOADS}/sbd.csv"] * SBD_FETCHED]
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
    """Return the published affinities: a local copy, or the file that is fetched."""
    if AFFINITIES is None:
        stop(
            "config, affinities: Taskonomy's published affinities are needed; set affinities.path "
            f"to a local copy of all_affinities.pkl{or_accept('affinities')}"
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
    return asset("affinities") if is_accepted("affinities") else None


def figure_files(name: str, caption: str, category: str) -> dict:
    """Name a figure's three files: PDF and PNG, and the numbers drawn as CSV."""
    base = f"{RUN}/figures/{name}"
    shown = report(f"{base}.png", caption=f"../report/{caption}", category=category)
    return {"pdf": f"{base}.pdf", "png": shown, "csv": f"{base}.csv"}


def read_assets() -> dict:
    """Return the table of what can be fetched, by name; stop with one line where it is wrong."""
    schema = yaml.safe_load((BASE / "workflow/schemas/assets.schema.yaml").read_text())
    table = tell_user(asset_table.read_table, BASE / "config/assets.tsv", schema)
    licences = {row.licence for row in table.values()}
    for licence in config["assets"]["accept_licences"]:
        if licence not in licences:
            known = ", ".join(sorted(licences))
            stop(f"config, assets.accept_licences: no licence named {licence}; there are {known}")
    return table


def accepted_licences() -> set[str]:
    """List the licences that count as accepted; a dry run may plan with those that lack."""
    accepted = set(config["assets"]["accept_licences"])
    lacking = {row.licence for row in ASSETS.values() if row.accept} - accepted
    if not (lacking and config["assets"]["plan_unaccepted"] and IS_DRY_RUN):
        return accepted
    if workflow.is_main_process:
        named = ", ".join(sorted(lacking))
        print(f"dry run: planned as if the licences {named} were accepted", file=sys.stderr)
    return accepted | lacking


def fetch_settings() -> dict:
    """Collect how files are fetched, with environment variables put in."""
    settings = config["assets"]
    places = {name: name for name in [settings["folder"], *settings["local"]]}
    places = expand_variables("assets", places)
    return {
        "folder": places[settings["folder"]].rstrip("/"),
        "local": [places[name] for name in settings["local"]],
        "accepted": settings["accept_licences"],
        **{key: settings[key] for key in ("offline", "tries", "pause_s")},
    }


def asset(name: str) -> str:
    """Return where an asset of config/assets.tsv lies; a rule that has it as input fetches it."""
    return f"{DOWNLOADS}/{ASSETS[name].file}"


def asset_row(wildcards) -> str:
    """Return the row of the asset that a rule fetches, as JSON."""
    if hasattr(wildcards, "asset"):
        row = next(row for row in ASSETS.values() if row.file == wildcards.asset)
    else:
        row = ASSETS["taskonomy"].of(building=wildcards.building, domain=wildcards.domain)
    return json.dumps(vars(row))


def if_accepted(entry: str):
    """Return an input function: the entry that fetches, or one line on the licence that lacks."""

    def code(wildcards) -> str:
        row = asset_table.Asset(**json.loads(asset_row(wildcards)))
        tell_user(asset_table.check_licence, row, ACCEPTED)
        return entry

    return code


def is_accepted(name: str) -> bool:
    """Tell whether an asset may be fetched as far as its licence goes."""
    row = ASSETS[name]
    return not row.accept or row.licence in ACCEPTED


def or_accept(section: str) -> str:
    """Say how what a section of the config names can be fetched instead, if it can."""
    names = {"pascal.voc": "voc2012", "rgbd": "nyuv2"}
    row = ASSETS.get(names.get(section, section))
    if row is None:
        return ""
    return (
        f", or add the licence {row.licence} ({row.licence_address}) to assets.accept_licences to "
        "have it fetched"
    )


def taskonomy_domains(values: dict) -> list[str]:
    """List the domains of Taskonomy to fetch: those of the config, or what the tasks need."""
    if values["domains"] is not None:
        return list(dict.fromkeys(["rgb", *values["domains"]]))
    return asset_table.taskonomy_domains(config["tasks"] if config["tasks"] != "auto" else TASKS)


def taskonomy_manifests(buildings: list[str], domains: list[str] | None = None) -> list[str]:
    """Name the lists of what was unpacked of Taskonomy's buildings; as inputs they fetch them."""
    if domains is None:
        domains = taskonomy_domains(config["taskonomy"])
    return expand(
        f"{DOWNLOADS}/taskonomy/{{building}}/{{domain}}.csv",
        building=list(dict.fromkeys(buildings)),
        domain=domains,
    )


def own_rows() -> dict:
    """Read the cells of the table of the user's own networks, by name; none without a table."""
    if not OWN_TABLE:
        return {}
    schema = yaml.safe_load((BASE / "workflow/schemas/bank.schema.yaml").read_text())
    tell_user(bank_table.read_bank, OWN_TABLE, schema)
    return {row["name"]: row for _, row in bank_table.read_rows(OWN_TABLE)}


def check_own_target() -> None:
    """Stop with one line where the target of one's own and the bank do not go together."""
    target = config["target"]
    if not OWN_ROWS:
        stop("config, bank.table: is not set; name the table of networks that target is to rank")
    if target["kind"] != "network":
        return
    if target["network"] not in OWN_ROWS:
        known = ", ".join(OWN_ROWS)
        stop(f"config, target.network: no network named {target['network']}; there are {known}")
    if len(OWN_ROWS) < 2:
        stop("config, bank.table: has one network, the target itself; add some to choose from")
    if target["finetune"] != "none":
        stop("config, target.finetune: a network has no labels to train on; set it to none")


def own_target_files() -> list[str]:
    """List the files of the labelled folder, so that changed images make its results stale."""
    return tell_user(labelled.files, config["target"]["kind"], own_target_path())


def own_target_path() -> str:
    return expand_variables("target", {"path": config["target"]["path"]})["path"]


def target_recipe(values: dict) -> str:
    return json.dumps(values | {"crop": config["image_size"]})


def tuned_networks() -> list[str]:
    """List the networks that are fine-tuned; the best three are known once the bank is ranked."""
    if config["target"]["finetune"] == "top3":
        with open(checkpoints.rank_own_bank.get().output.table, newline="") as stream:
            return [row["model"] for row in csv.DictReader(stream)][:3]
    return list(OWN_ROWS) if config["target"]["finetune"] == "all" else []


def own_curves() -> list[str]:
    """List the learning curves of the target's small models and of what is fine-tuned."""
    curve = f"{RUN}/target/{{what}}/s{{seed}}/learning_curve.csv"
    tuned = [f"tuned/{name}" for name in tuned_networks()]
    return [
        *expand(curve, what="small", seed=OWN_SEEDS),
        *expand(curve, what=tuned, seed=config["target"]["seeds"]),
    ]


def own_weights(name: str):
    """Return the file of weights of one of the user's networks, or what fetches it."""
    network = OWN_BANK[name]
    if network.is_address:
        return asset(f"bank/{name}")
    return tell_user(bank_table.weights_file, network) or []


check_config()
ASSETS = read_assets()
OWN_TABLE = expand_variables("bank", {"table": config["bank"]["table"] or ""})["table"]
# Rows as text, checked; weights that have to be fetched are assets.
OWN_ROWS = own_rows()
OWN_BANK = {name: bank_table.network(row) for name, row in OWN_ROWS.items()}
ASSETS |= {
    f"bank/{name}": bank_table.asset_of(network)
    for name, network in OWN_BANK.items()
    if network.is_address
}
OWN_LAYERS = config["bank"]["layers"]
# A target of the user's own: small models of it rank the bank, or one of the networks does.
OWN_TARGET = config["target"]["kind"]
IS_LABELLED = OWN_TARGET not in (None, "network")
OWN_SEEDS = config["target"]["small"]["seeds"]
if OWN_TARGET:
    check_own_target()
RANKED = [
    name for name in OWN_ROWS if OWN_TARGET != "network" or name != config["target"]["network"]
]
# Snakemake does not tell a Snakefile that it only plans; a cluster of short flags counts, too.
IS_DRY_RUN = any(re.fullmatch(r"--dry-?run|-[A-Za-z]*n[A-Za-z]*", word) for word in sys.argv)
ACCEPTED = accepted_licences()
FETCHING = fetch_settings()
DOWNLOADS = FETCHING.pop("folder")
# Data that the user has are used; others are fetched where their licence is accepted.
TASKONOMY_FETCHED = not config["taskonomy"]["path"] and is_accepted("taskonomy")
VOC_FETCHED = not config["pascal"]["voc"]["path"] and is_accepted("voc2012")
NYUV2_CONVERTED = not config["rgbd"]["path"] and (
    bool(config["rgbd"]["mat"]) or is_accepted("nyuv2")
)
NYUV2_FOLDER = f"{DOWNLOADS}/nyuv2_rgbd"
NYUV2_CLASSES = {}
if config["rgbd"]["convert"]["classes"]:
    NYUV2_CLASSES["classes"] = f"{NYUV2_FOLDER}/classes.txt"
SBD_FETCHED = VOC_FETCHED and not config["pascal"]["voc"]["sbd"] and is_accepted("sbd")
RUN = f"results/{config['run']}"
SOURCE = config["source"]
STIMULI_SOURCE = config["stimuli"]["source"] or SOURCE
# Labels of the stimuli need a source that has labels, read from as many domains as for training.
STIMULI_OPTIONS = config["stimuli"]["options"] or {}
DOMAINS = config[SOURCE].get("domains")
HAVE_LABELS = STIMULI_SOURCE == SOURCE and STIMULI_OPTIONS.get("domains", DOMAINS) == DOMAINS
LABELLED_SPLITS = ["train", "val"] + ["stimuli"] * HAVE_LABELS
TASK_REASONS = tasks_with_reasons()
TASK_IDS = [task for task, reason in TASK_REASONS.items() if not reason]
RANDOM_IDS = [f"random_{number:02d}" for number in range(config["control"]["random_encoders"])]
COMPARED_LAYERS = LAYERS + ["labels"] * HAVE_LABELS
LABEL_RDMS = expand(f"{RUN}/rdms/labels/{{task}}.h5", task=TASK_IDS) if HAVE_LABELS else []
RSA = PRESETS[config["rsa"]["preset"]] | config["rsa"]["choices"]
RDM_CHOICES = {key: RSA[key] for key in ("centre", "clip", "group_norm")}
GRAM_CACHE = expand_variables("rsa", {"gram_cache": config["rsa"]["gram_cache"]})["gram_cache"]
if GRAM_CACHE and Path(GRAM_CACHE).is_file():
    stop(f"config, rsa.gram_cache: {GRAM_CACHE} is a file; name a folder")
BANK_RDMS = expand(f"{RUN}/rdms/trained/{{task}}.h5", task=TASK_IDS)

# A bank that is trained here can be asked what it has learnt; Taskonomy's comes without.
BANK = config["bank"]["source"]
BANK_QUALITY = [f"{RUN}/bank/quality.csv"] * (BANK == "trained")
BANK_FIGURES = ["quality", "learning_curves"] * (BANK == "trained")

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
TARGET_IS_MADE = (
    config["pascal"]["source"] == "outdoor" or bool(config["pascal"]["voc"]["sbd"]) or SBD_FETCHED
)
TARGET_FOLDER = f"{RUN}/pascal/devkit"
TARGET_LISTS = ""
# Not at hand and not to be fetched: then only runs that ask for the new task need it.
if NEW_TASK and not TARGET_IS_MADE and (config["pascal"]["voc"]["path"] or VOC_FETCHED):
    TARGET_FOLDER = target_options()["path"]
    TARGET_LISTS = "--train_list {train} --val_list {val}".format(**target_options())

AFFINITY_TASKS = [task for task in TASK_IDS if TASKS[task].affinity_name]
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
    asset="|".join(re.escape(row.file) for row in ASSETS.values() if "{" not in row.file),
    building="[A-Za-z0-9]+",
    domain="[a-z0-9_]+",
    init="|".join([*TASKS, "random", "random_small"]),
    own="|".join(map(re.escape, OWN_ROWS)) or "none",
    own_layer=r"[\w.-]+",
