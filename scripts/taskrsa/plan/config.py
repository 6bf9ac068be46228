"""Every key of a run's configuration: one definition is schema, default, validation and type.

Jobs get whole sections as JSON and parse them with these classes, so that a value is checked where
it is read and has one form from the file to the function that uses it. What trainings get is in
`taskrsa.recipes` and `taskrsa.targets.config`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator

from taskrsa.data.nyuv2 import ConversionConfig
from taskrsa.errors import ConfigError
from taskrsa.io.files import full_path, refuse_braces
from taskrsa.recipes import (
    DISTINCT,
    EncoderConfig,
    Factor,
    Memory,
    Minutes,
    Names,
    Path,
    Positive,
    Rendered,
    Section,
    Seed,
    Seeds,
    TrainConfig,
    Width,
)
from taskrsa.targets.config import TargetConfig
from taskrsa.text import is_known


class TrainingConfig(Section):
    """The training of the networks of loader `trained`."""

    recipe: TrainConfig = TrainConfig()
    steps_factor: dict[str, Factor] = Field(
        {}, description="Steps of a task relative to recipe.steps."
    )
    mem_mb: Memory = 3500
    runtime: Minutes = 240
    gpu: int = Field(0, ge=0, description="GPUs per job that trains or extracts features.")


class SmallConfig(Section):
    """Small models on little data, with which a task ranks the bank (section 5.2)."""

    tasks: Literal["auto"] | Annotated[tuple[str, ...], Field(min_length=3), *DISTINCT] = Field(
        "auto", description="Dense tasks to train small models of; auto for the paper's 14."
    )
    seeds: Seeds = Field((0,), description="One model per task and seed.")
    width: Width = Field(16, description="Channels of the first convolution.")
    n_train: Positive | None = Field(None, description="Training images; null for all.")
    recipe: TrainConfig = TrainConfig()
    steps_factor: dict[str, Factor] = Field({})
    figure7: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        ("keypoint2d", "rgb2sfnorm"), description="The tasks of Figure 7; Figure S1 has all."
    )
    mem_mb: Memory = 3500
    runtime: Minutes = 120


class RobustnessConfig(Section):
    """What the rankings by small models are tested against (supplement S3)."""

    tasks: Literal["auto"] | Annotated[tuple[str, ...], Field(min_length=1), *DISTINCT] = Field(
        "auto", description="Small models to repeat at other widths and stages; auto for all."
    )
    images: Annotated[tuple[Annotated[int, Field(ge=4)], ...], Field(min_length=1), *DISTINCT] = (
        Field((50, 100, 200, 300, 400, 500), description="Numbers of images to rank from.")
    )
    subsets: int = Field(30, ge=2, description="Random subsets of each size.")
    widths: Annotated[tuple[Width, ...], *DISTINCT] = Field(
        (8, 32), description="Widths besides small.width."
    )
    stages: Annotated[
        tuple[Annotated[int, Field(ge=0, le=100)], ...], Field(min_length=1), *DISTINCT
    ] = Field((0, 5, 20, 50, 100), description="Percentages of the training; 0 is untrained.")


# --- images, comparisons, downloads ---


class ImagesConfig(Section):
    train: Positive | None = Field(None, description="Training images; null for all.")
    val: Positive | None = Field(None, description="Validation images; null for all.")


class StimuliConfig(Section):
    n: int = Field(500, ge=4, description="Number of stimuli, sampled from the training split.")
    source: str | None = Field(
        None,
        description="Null for the source of the labelled images; without one, where all networks "
        "are files of RDMs, the conditions of these.",
    )
    options: dict[str, Any] | None = Field(
        None, description="Options of the stimuli's source that differ from its own section."
    )


class SimulatedConfig(Section):
    """Simulated rooms."""

    n_train: Rendered = 2048
    n_val: Rendered = 256
    seed: Seed = 0


class RgbdConfig(Section):
    """A folder with images.csv, rgb/, depth/, semantic/ and camera.json."""

    path: Path = None
    depth_step_m: float = Field(0, ge=0, lt=10, description="Metres between depth levels.")
    classes: str | tuple[str, ...] | None = Field(
        None, description="Names of the semantic ids 1, 2, ..., or nyu40."
    )
    things: tuple[str, ...] | None = Field(None, description="Classes that count as objects.")
    mat: Path = Field(None, description="Where path is null, nyu_depth_v2_labeled.mat.")
    convert: ConversionConfig = ConversionConfig()


class TaskonomyConfig(Section):
    """Files named point_<p>_view_<v>_domain_<domain>.png."""

    path: Path = None
    train_buildings: tuple[str, ...] | None = None
    val_buildings: tuple[str, ...] | None = None
    val_fraction: float = Field(0.1, ge=0, lt=1)
    val_images: Positive | None = Field(None, description="Images instead of a share.")
    domains: tuple[str, ...] | None = None


class FolderConfig(Section):
    """Photographs, for stimuli only: a folder, a text file that lists them, or a glob."""

    path: Path = None
    pattern: str = "*"
    recursive: bool = True
    groups: str | None = Field(
        None,
        description="CSV file with columns image and group (scene, clip), or folders: each is one.",
    )


class ChoicesConfig(Section):
    """Choices of method that differ from the preset's; null keeps the preset's."""

    centre: bool | None = Field(None, description="Subtract each feature's mean over images.")
    clip: bool | None = Field(None, description="Clip inputs to [0.1, 0.9] as the authors did.")
    group_norm: bool | None = Field(None, description="Group norm on the compressed output.")
    linkage: Literal["paper", "average"] | None = Field(None, description="Figure 4's tree.")


class RsaConfig(Section):
    preset: Literal["paper", "recommended"] = "paper"
    compare: Literal["spearman", "rho_a"] = Field(
        "spearman",
        description="How RDMs are compared; rho_a where many dissimilarities are equal.",
    )
    choices: ChoicesConfig = ChoicesConfig()
    constant_images: Literal["error", "drop"] = Field(
        "error", description="What to do with an image whose features are constant at a layer."
    )
    batch_size: Positive = 8
    precision: Literal["no", "bf16"] = Field("no", description="Of extraction (config/SCALE.md).")
    features_mb: Annotated[float, Field(ge=0)] | None = Field(
        2500, description="MB of a network's features held in memory; null for all."
    )
    gram_cache: Path = Field(None, description="Folder of products kept between runs.")
    bootstraps: int = Field(1000, ge=10)
    permutations: int = Field(1000, ge=9)
    type_permutations: int = Field(10000, ge=9)
    clusters: int = Field(4, ge=2, description="Clusters of the cut tree.")
    mem_mb: Memory = 3500


class ProbeConfig(Section):
    """How transfer from a frozen encoder to a task is measured."""

    neighbourhood: Positive = Field(3, description="Side of the neighbourhood of a position.")
    n_train: Annotated[int, Field(ge=10)] | None = None
    mem_mb: Memory = 3500


class MatricesConfig(Section):
    """Similarity matrices made elsewhere, which are judged beside the run's own."""

    path: Path = Field(None, description="CSV file: task_a, task_b, similarity, and what it is of.")
    where: dict[str, str] = Field({}, description="Rows to take: a value by the name of a column.")


class AffinitiesConfig(Section):
    use: Literal["measured", "published"] = Field(
        "measured", description="Affinities that belong to the bank."
    )
    probe: ProbeConfig = ProbeConfig()
    path: Path = Field(None, description="Local copy of all_affinities.pkl.")
    win_rates: Path = Field(
        None, description="Local copy of wins_vs_pixels_16k.pkl, a second truth of selection."
    )
    matrices: MatricesConfig = MatricesConfig()


class AssetsConfig(Section):
    """How third-party files listed in config/assets.tsv are fetched."""

    folder: Annotated[str, Field(min_length=1)] = "results/downloads"
    local: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), description="Folders and mirrors searched first, by file name."
    )
    accept_licences: Names = Field((), description="Licences read and accepted.")
    plan_unaccepted: bool = Field(False, description="Dry runs plan as if all were accepted.")
    offline: bool = Field(False, description="Never use the network.")
    tries: int = Field(6, ge=0, description="Retries after a failure.")
    pause_s: float = Field(1, ge=0, description="Unit of the pauses between tries, seconds.")


LARGEST = 10**12  # whole number of a configuration
# What becomes the name of a folder.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
_FEWEST_INPUTS = 8  # channels before a block of one unit that strides


class Config(Section):
    """A run of taskrsa."""

    run: Name = Field(description="Its files lie in results/<run>.")
    note: str = Field("", description="A line for the report: what to know of this run.")
    seed: Seed = Field(0, description="Seed of everything random.")
    extensions: Names = Field((), description="Python files (config/EXTENDING.md).")
    source: str | None = Field(
        None,
        description="Where labelled images of the tasks come from; null for simulated where "
        "networks are trained here, else for none.",
    )
    tasks: Literal["auto"] | Annotated[tuple[str, ...], Field(min_length=4), *DISTINCT] = Field(
        "auto", description="Task ids, or auto for every task the source can label."
    )
    image_size: int = Field(64, ge=16, le=4096, description="Side of the images, pixels.")
    label_size: int = Field(32, ge=8, le=4096, description="Side of the label maps, pixels.")
    images: ImagesConfig = ImagesConfig()
    stimuli: StimuliConfig = StimuliConfig()
    simulated: SimulatedConfig = SimulatedConfig()
    rgbd: RgbdConfig = RgbdConfig()
    taskonomy: TaskonomyConfig = TaskonomyConfig()
    folder: FolderConfig = FolderConfig()
    networks: str | Annotated[tuple[str, ...], Field(min_length=1), *DISTINCT] = Field(
        "trained",
        description="trained (a network for each task, trained here), or tables of networks.",
    )
    skip_broken: bool = Field(
        False, description="Go on without networks that cannot be used; else they stop the run."
    )
    layers: Literal["auto"] | Annotated[tuple[str, ...], Field(min_length=1), *DISTINCT] = Field(
        "auto", description="Layers that are compared, the last of them in rankings."
    )
    n_random: Annotated[int, Field(ge=0, le=99)] | None = Field(
        None, description="Untrained encoders as a control; null for 5 where all networks are "
        "encoders of this project, else none."
    )  # fmt: skip
    encoder: EncoderConfig = EncoderConfig()
    training: TrainingConfig = TrainingConfig()
    small: SmallConfig = SmallConfig()
    robustness: RobustnessConfig = RobustnessConfig()
    targets: dict[Name, TargetConfig | None] = Field(
        {},
        description="Labelled sets for which the bank is ranked, by name; null leaves one out that "
        "an earlier file names.",
    )
    rsa: RsaConfig = RsaConfig()
    affinities: AffinitiesConfig = AffinitiesConfig()
    assets: AssetsConfig = AssetsConfig()

    @field_validator("encoder")
    @classmethod
    def _trains(cls, encoder: EncoderConfig) -> EncoderConfig:
        # On CPUs the backward pass of a 1 x 1 convolution with fewer inputs that strides, the
        # shortcut of a block of one unit, writes beyond its memory (PyTorch 2.13, channels last).
        inputs = (encoder.width, *(encoder.width * 4 * 2**block for block in range(3)))
        for n, units, stride in zip(inputs, encoder.units, encoder.strides, strict=True):
            if n < _FEWEST_INPUTS and units == 1 and stride == 2:
                raise ValueError(
                    f"a block of one unit and stride 2 has {n} channels before it, and PyTorch "
                    f"crashes in training it; use {_FEWEST_INPUTS} or more (width), two units or "
                    "stride 1"
                )
        return encoder

    @field_validator("n_random")
    @classmethod
    def _several(cls, n_random: int | None) -> int | None:
        if n_random == 1:
            raise ValueError("give 0, or at least 2 to compare with each other")
        return n_random


# --- reading ---

# Keys of earlier versions, and what took their place.
_FORMER = {
    "pascal": "targets.<name>, an entry for each target",
    "target": "targets.<name>, an entry for each target",
    "bank": "networks, which names a table",
    "control": "n_random",
}


def parse(values: Mapping[str, Any], added: Iterable[str] = ()) -> tuple[Config, dict[str, dict]]:
    """Return the configuration of a run, and the sections of sources that extensions added.

    `values` are as YAML gives them. The section of a kind of source in `added` is checked by the
    source itself. A key that is unknown, missing or of another form raises ConfigError: one line
    that names the first such key.
    """
    values, sections = dict(values), {}
    for kind in added:
        if kind in Config.model_fields:
            raise ConfigError(
                f"config, extensions: source {kind} has the name of another key; rename it"
            )
        section = values.pop(kind, {})
        if not isinstance(section, dict):
            raise ConfigError(f"config, {kind}: {section!r} should be a valid dictionary")
        sections[kind] = section
    for key, successor in _FORMER.items():
        if key in values:
            raise ConfigError(f"config, {key}: is now {successor}; see config/README.md")
    return parse_section(Config, values), sections


def parse_section(kind: type[Section], values: Mapping[str, Any], where: str = "") -> Section:
    """Return a section, whose own key is `where`, from its keys; errors as in `parse`."""
    try:
        _check_values(values, where)
        # As JSON, so that neither "5" nor true passes for a number.
        return kind.model_validate_json(json.dumps(values, default=str), strict=True)
    except ValidationError as error:
        raise ConfigError(_line(kind, values, where, error)) from None
    except RecursionError:
        raise ConfigError(
            "config: contains itself, by a YAML alias (*), or is nested too deeply; write it out"
        ) from None


def _check_values(values: Any, where: str) -> None:
    """Refuse what no section could use: whole numbers too long for anything to count
    with them, names that YAML took for other values, and signs that no path may hold."""
    named = values.items() if isinstance(values, Mapping) else ()
    listed = enumerate(values) if isinstance(values, list | tuple) else ()
    for key, value in (*named, *listed):
        place = ".".join(filter(None, [where, str(key)]))
        if named and not isinstance(key, str):
            raise ConfigError(f"config, {place}: YAML does not read this name as text; quote it")
        if isinstance(value, int) and abs(value) > LARGEST:
            raise ConfigError(f"config, {place}: {value} is too large a number; correct it")
        if isinstance(value, str) and "\0" in value:
            raise ConfigError(f"config, {place}: holds a NUL character; remove it")
        _check_values(value, place)


def _line(kind: type[Section], values: Mapping, where: str, error: ValidationError) -> str:
    """Return one line about the first wrong key."""
    faults = error.errors(include_url=False)
    keys = [_key(values, fault) for fault in faults]
    # Where a key may be one of several things, each of them has its fault; the one that lies
    # deepest is of what the user had in mind.
    of_first = [at for at in range(len(keys)) if keys[at][: len(keys[0])] == keys[0]]
    deepest = max(of_first, key=lambda at: (len(keys[at]), at))
    key, fault = keys[deepest], faults[deepest]
    message = fault["msg"].removeprefix("Value error, ")
    place = ".".join(map(str, [*filter(None, [where]), *key])) or "top level"
    if fault["type"] == "extra_forbidden":
        *section, unknown = key
        known = list(_section(kind, section).model_fields)
        close = difflib.get_close_matches(str(unknown), known, 1)
        message = f"unknown key; did you mean {close[0]}?" if close else "unknown key; correct it"
        if not close and len(known) < 15:
            message = f"unknown key; there are {', '.join(known)}"
    elif fault["type"] == "missing":
        message = "is missing; set it"
    elif fault["type"] != "value_error":
        subject, _, rest = message.partition(" ")
        message = f"{fault['input']!r} {rest}" if subject != "Value" else message
        message += _of_text(fault)
    return f"config, {place}: {message}"


def _of_text(fault: Mapping) -> str:
    """Say how to write what is text and was meant for another type, as 1e-3 is to YAML; else ""."""
    text = fault["input"]
    if not isinstance(text, str):
        return ""
    written = text if fault["type"] == "bool_type" and text in ("true", "false") else ""
    if fault["type"] in ("int_type", "float_type") and is_known(text):
        value = float(text)
        written = str(int(value)) if value.is_integer() else _with_point(repr(value))
    if written:
        return f"; it is text here: write {written}, without quotes and not in braces of --config"
    if fault["type"] in ("model_type", "dict_type", "tuple_type", "list_type") and text[:1] in "{[":
        return "; --config reads this as text: write it in a file"
    return ""


def _with_point(number: str) -> str:
    """Return a number as YAML reads one: 1e-05 is 1.0e-05."""
    digits, exponent, rest = number.partition("e")
    return f"{digits}{'' if '.' in digits else '.0'}e{rest}" if exponent else number


def _key(values: Mapping, fault: Mapping) -> list:
    """Return the keys that lead to a fault, without pydantic's names for what they may hold."""
    key, at = [], values
    for part in fault["loc"]:
        if isinstance(at, Mapping) and (part in at or fault["type"] == "missing"):
            at = at.get(part)
        elif isinstance(at, list | tuple) and isinstance(part, int):
            at = at[part] if part < len(at) else None
        else:
            continue
        key.append(part)
    return key


def _section(kind: type[BaseModel], key: Iterable[str]) -> type[BaseModel]:
    """Return the class of a nested section."""
    for part in key:
        field = kind.model_fields.get(part)
        if field is None:  # the name of an entry, as of targets
            continue
        kind = next(_models(field.annotation))
    return kind


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the sections in what a key may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def expanded(section: str, values: Mapping[str, Any], hint: str = "") -> dict[str, Any]:
    """Return a section's values with `~` and environment variables put into texts.

    A variable that is not set raises ConfigError, and so do an empty `path` among the values, where
    `hint` says what else can be done, and braces in what is not a `pattern`.
    """
    found = {
        key: full_path(value) if isinstance(value, str) else value for key, value in values.items()
    }
    if "path" in found and not found["path"]:
        raise ConfigError(f"config, {section}.path: is not set; name the folder of images{hint}")
    for key, value in found.items():
        if isinstance(value, str) and "$" in value:
            raise ConfigError(
                f"config, {section}: {value} names an environment variable that is not set; "
                "export it"
            )
        if isinstance(value, str) and key != "pattern":
            refuse_braces(f"config, {section}", [value])
    return found


# --- the schema, for editors and readers ---


def schema() -> str:
    """Return the JSON schema of a configuration, as YAML."""
    described = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    described |= _shortened(Config.model_json_schema())
    return "# Made by: python -m taskrsa schema\n" + yaml.safe_dump(
        described, sort_keys=False, width=96, allow_unicode=True, default_flow_style=None
    )


def _shortened(values: Any) -> Any:
    """Leave out titles, which pydantic makes from names, and defaults that the keys have."""
    if isinstance(values, list):
        return [*map(_shortened, values)]
    if not isinstance(values, dict):
        return values
    kept = {
        key: value for key, value in values.items() if key != "title" or not isinstance(value, str)
    }
    if "$ref" in kept and "default" in kept:
        kept["default"] = {}
    return {key: _shortened(value) for key, value in kept.items()}
