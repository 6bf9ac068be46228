"""Every key of a run's configuration: one definition is schema, default, validation and type.

Jobs get whole sections as JSON and parse them with these classes, so that a value is checked where
it is read and has one form from the file to the function that uses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from taskrsa.errors import ConfigError

Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0, le=999)], ...],
    Field(min_length=1, json_schema_extra={"uniqueItems": True}),
]
Memory = Annotated[int, Field(ge=500, description="Memory of one job in MB.")]
Minutes = Annotated[int, Field(ge=1, description="Time limit of one job in minutes.")]
Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[int, Field(ge=1)]
Path = Annotated[str | None, Field(description="Environment variables are expanded.")]
Precision = Literal["no", "bf16", "fp16", "auto"]


class Section(BaseModel):
    """A section of the configuration; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


# --- how networks are trained ---


class TrainConfig(Section):
    """How encoders are trained on the labels of a task."""

    steps: Positive = Field(300, description="Optimiser steps.")
    batch_size: Positive = Field(32, description="Images in each step.")
    learning_rate: float = Field(0.003, gt=0)
    weight_decay: float = Field(0.0001, ge=0)
    eval_every: Positive = Field(50, description="Steps between two validations.")
    keep: Literal["best", "last"] = Field("best", description="Weights that are kept.")
    precision: Precision = "auto"
    device: Literal["auto", "cpu"] = "auto"


class FinetuneConfig(Section):
    """How a network with a new head is trained on a target."""

    steps: Positive = Field(300, description="Optimiser steps.")
    batch_size: Positive = Field(8, description="Crops in each step.")
    crop: Annotated[int, Field(ge=8)] | None = Field(
        None, description="Side of the crops in pixels; null for image_size."
    )
    learning_rate: float = Field(0.0003, gt=0, description="At the start.")
    schedule: Literal["poly", "constant"] = Field("poly", description="poly: to 0, power 0.9.")
    head_lr_factor: float = Field(4, gt=0, description="The head's learning rate, as a multiple.")
    optimizer: Literal["adamw", "sgd"] = "adamw"
    weight_decay: float = Field(0.0001, ge=0, description="Of the weights of convolutions.")
    batch_norm: Literal["frozen", "free"] = Field(
        "free", description="Whether the encoder's statistics stay as they came."
    )
    scale: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = Field(
        (0.75, 1.33), description="Least and largest random scale."
    )
    flip: bool = Field(True, description="Mirror half of the images.")
    colour: float = Field(
        0, ge=0, lt=1, description="Largest relative change of brightness, contrast, saturation."
    )
    eval_every: int = Field(0, ge=0, description="Steps between two scores; 0 for one at the end.")
    checkpoint_seconds: float = Field(600, ge=0, description="Seconds between saved states.")
    checkpoint_steps: int = Field(0, ge=0, description="Steps between saved states; 0 for none.")
    precision: Precision = "auto"
    device: Literal["auto", "cpu"] = "auto"

    @field_validator("scale")
    @classmethod
    def _ordered(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if scale[0] > scale[1]:
            raise ValueError("the least scale comes first")
        return scale


class HeadConfig(Section):
    """The head on an encoder: atrous spatial pyramid pooling for maps, linear for classes."""

    width: Positive = Field(64, description="Channels of every branch and of the projection.")
    rates: tuple[Positive, ...] = Field(
        (1, 2, 3), description="Rates of the parallel atrous convolutions, in positions."
    )
    image_pooling: bool = Field(False, description="A branch that sees the mean over the image.")
    dropout: float = Field(0, ge=0, lt=1)
    input_scale: float = Field(
        1, gt=0, le=1, description="Images are shrunk to this share of their sides."
    )


class EncoderConfig(Section):
    """The size of the encoders that are trained here; the defaults are the published ones."""

    width: Positive = 64
    units: tuple[Positive, Positive, Positive, Positive] = (3, 4, 6, 3)
    strides: tuple[
        Annotated[int, Field(ge=1, le=2)],
        Annotated[int, Field(ge=1, le=2)],
        Annotated[int, Field(ge=1, le=2)],
        Annotated[int, Field(ge=1, le=2)],
    ] = (2, 2, 1, 1)


class TrainingConfig(Section):
    """The training of the networks of loader `trained`."""

    recipe: TrainConfig = TrainConfig()
    steps_factor: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description="Steps of a task relative to recipe.steps."
    )
    mem_mb: Memory = 3500
    runtime: Minutes = 240
    gpu: int = Field(0, ge=0, description="GPUs of one job that trains or extracts.")


class SmallConfig(Section):
    """Small models on little data, with which a task ranks the bank (section 5.2)."""

    tasks: Literal["auto"] | Annotated[tuple[str, ...], Field(min_length=3)] = Field(
        "auto", description="Dense tasks to train small models of; auto for the paper's 14."
    )
    seeds: Seeds = Field((0,), description="One model a task and seed.")
    width: Positive = Field(16, description="Channels of the first convolution.")
    n_train: Positive | None = Field(None, description="Training images; null for all.")
    recipe: TrainConfig = TrainConfig()
    steps_factor: dict[str, Annotated[float, Field(gt=0)]] = {}
    figure7: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        ("keypoint2d", "rgb2sfnorm"), description="The tasks of Figure 7; Figure S1 has all."
    )
    mem_mb: Memory = 3500
    runtime: Minutes = 120


class RobustnessConfig(Section):
    """What the rankings by small models are tested against (supplement S3)."""

    tasks: Literal["auto"] | Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        "auto", description="Small models to repeat at other widths and stages; auto for all."
    )
    images: Annotated[tuple[Annotated[int, Field(ge=4)], ...], Field(min_length=1)] = Field(
        (50, 100, 200, 300, 400, 500), description="Numbers of images to rank from."
    )
    subsets: int = Field(30, ge=2, description="Random subsets of each size.")
    widths: tuple[Positive, ...] = Field((8, 32), description="Widths besides small.width.")
    stages: Annotated[tuple[Annotated[int, Field(ge=0, le=100)], ...], Field(min_length=1)] = Field(
        (0, 5, 20, 50, 100), description="Percentages of the training; 0 is untrained."
    )


# --- targets ---


class OutdoorConfig(Section):
    """The simulated outdoor world, a target that needs no data."""

    image_size: int = Field(64, ge=16, description="Shorter side in pixels.")
    n_train: Positive = 256
    n_val: Positive = 96
    seed: int = Field(0, ge=0)


class TargetSmallConfig(Section):
    """The small models of a target, which rank the bank."""

    seeds: Seeds = (0, 1, 2)
    width: Positive = 16
    head: HeadConfig = HeadConfig()
    recipe: FinetuneConfig = FinetuneConfig()


class TargetConfig(Section):
    """A labelled set for which the bank is ranked, and how networks are fine-tuned on it."""

    kind: Literal["segmentation", "classification", "regression", "values", "network"] = Field(
        description="Labelled are pixels with classes, images with classes, pixels with values, "
        "images with one or several numbers; network: a row of the table stands for the target."
    )
    source: Literal["folder", "voc2012", "outdoor"] = Field(
        "folder", description="path; Pascal VOC 2012, fetched; or the simulated outdoor world."
    )
    path: Path = Field(None, description="Devkit, labelled folder or CSV file (config/README.md).")
    outdoor: OutdoorConfig = OutdoorConfig()
    sbd: Path = Field(None, description="The unpacked SBD, merged into a devkit's training set.")
    train_list: str = Field("train", description="A devkit's list of training images.")
    val_list: str = "val"
    test_list: str = Field("test", description="A devkit's list of images to submit.")
    network: str | None = Field(None, description="Of kind network, the name of the row.")
    unknown: float | None = Field(None, description="The value of maps that means unknown.")
    val_share: Share = Field(0.25, description="Share to score on where the data has no split.")
    n_train: Positive | None = Field(None, description="Training images; null for all.")
    same_task: str | None = Field(
        None, description="The network trained for the same task in another domain."
    )
    finetune: Literal["none", "top3", "all"] = Field("none", description="What is fine-tuned.")
    seeds: Seeds = Field((0,), description="Runs of the fine-tuning.")
    tap: Literal["block4", "compressed"] = Field(
        "block4", description="Where the head is attached to encoders of this project."
    )
    compare_taps: tuple[str, ...] = Field((), description="Networks fine-tuned at both taps.")
    head: HeadConfig = HeadConfig()
    recipe: FinetuneConfig = FinetuneConfig()
    small: TargetSmallConfig = TargetSmallConfig()
    mem_mb: Memory = 3500
    runtime: Minutes = 720

    @model_validator(mode="after")
    def _consistent(self) -> TargetConfig:
        if self.kind == "network":
            if not self.network:
                raise ValueError("kind network needs network, the name of a row of the table")
            if self.finetune != "none":
                raise ValueError("a network has no labels to fine-tune on; set finetune to none")
        elif self.source == "folder" and not self.path:
            raise ValueError(f"kind {self.kind} needs path, a labelled folder or CSV file")
        if self.source != "folder" and self.kind != "segmentation":
            raise ValueError(f"source {self.source} is a segmentation; set kind to segmentation")
        return self


# --- images, comparisons, downloads ---


class ImagesConfig(Section):
    train: Positive | None = Field(None, description="Training images; null for all.")
    val: Positive | None = Field(None, description="Validation images; null for all.")


class StimuliConfig(Section):
    n: int = Field(500, ge=4, description="Number of stimuli, sampled from the training split.")
    source: str | None = Field(None, description="Null for the source of the labelled images.")
    options: dict[str, Any] | None = Field(
        None, description="Options of the stimuli's source that differ from its own section."
    )


class SimulatedConfig(Section):
    """Simulated rooms."""

    n_train: Positive = 2048
    n_val: Positive = 256
    seed: int = Field(0, ge=0)


class ConversionConfig(Section):
    """How NYU Depth v2's file is converted to a folder of RGB-D images."""

    splits: Path = Field(None, description="splits.mat; null to draw whole scenes.")
    val_share: Share = Field(0.1, description="Share of the frames where splits is null.")
    seed: int = Field(0, ge=0, description="Seed of that draw.")
    crop: int = Field(448, ge=16, le=480, description="Side of the centre square kept, pixels.")
    size: int = Field(256, ge=8, le=480, description="Side of the images written; at most crop.")
    depth: Literal["filled", "raw"] = Field("filled", description="In-painted depth or gaps.")
    classes: str | None = Field(
        "names", description="names, a file that maps names to classes, or null for none."
    )
    n_classes: int = Field(40, ge=1, le=255, description="Most frequent names kept.")


class RgbdConfig(Section):
    """A folder with images.csv, rgb/, depth/, semantic/ and camera.json."""

    path: Path = None
    depth_step_m: float = Field(0, ge=0, description="Distance between depth levels in metres.")
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
    val_fraction: float = Field(0.1, ge=0, le=1)
    val_images: Positive | None = Field(None, description="Images instead of a share.")
    domains: tuple[str, ...] | None = None


class FolderConfig(Section):
    """Photographs, for stimuli only: a folder, a text file that lists them, or a glob."""

    path: Path = None
    pattern: str = "*"
    recursive: bool = True


class ChoicesConfig(Section):
    """Choices of method that differ from the preset's; null keeps the preset's."""

    centre: bool | None = Field(None, description="Subtract each feature's mean over images.")
    clip: bool | None = Field(None, description="Clip inputs to [0.1, 0.9] as the authors did.")
    group_norm: bool | None = Field(None, description="Group norm on the compressed output.")
    linkage: Literal["paper", "average"] | None = Field(None, description="Figure 4's tree.")


class RsaConfig(Section):
    preset: Literal["paper", "recommended"] = "paper"
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


class AffinitiesConfig(Section):
    use: Literal["measured", "published"] = Field(
        "measured", description="Affinities that belong to the bank."
    )
    probe: ProbeConfig = ProbeConfig()
    path: Path = Field(None, description="Local copy of all_affinities.pkl.")


class AssetsConfig(Section):
    """How third-party files listed in config/assets.tsv are fetched."""

    folder: Annotated[str, Field(min_length=1)] = "results/downloads"
    local: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), description="Folders and mirrors searched first, by file name."
    )
    accept_licences: tuple[str, ...] = Field((), description="Licences read and accepted.")
    plan_unaccepted: bool = Field(False, description="Dry runs plan as if all were accepted.")
    offline: bool = Field(False, description="Never use the network.")
    tries: int = Field(6, ge=0, description="Retries after a failure.")
    pause_s: float = Field(1, ge=0, description="Unit of the pauses between tries, seconds.")


class Config(Section):
    """A run of taskrsa."""

    run: str = Field(pattern=r"^[A-Za-z0-9_-]+$", description="Its files lie in results/<run>.")
    seed: int = Field(0, ge=0, le=2**31, description="Seed of everything random.")
    extensions: tuple[str, ...] = Field((), description="Python files (config/EXTENDING.md).")
    source: str = Field("simulated", description="Where labelled images of the tasks come from.")
    tasks: Literal["auto"] | Annotated[tuple[str, ...], Field(min_length=4)] = Field(
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
    networks: str | Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        "trained",
        description="trained (a network for each task, trained here), or tables of networks.",
    )
    layers: Literal["auto"] | Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        "auto", description="Layers that are compared, the last of them in rankings."
    )
    n_random: Annotated[int, Field(ge=0, le=99)] | None = Field(
        None, description="Untrained encoders as a control; null for 5 where encoders of this "
        "project are compared, else none."
    )  # fmt: skip
    encoder: EncoderConfig = EncoderConfig()
    training: TrainingConfig = TrainingConfig()
    small: SmallConfig = SmallConfig()
    robustness: RobustnessConfig = RobustnessConfig()
    targets: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], TargetConfig] = Field(
        {}, description="Labelled sets for which the bank is ranked, by name."
    )
    rsa: RsaConfig = RsaConfig()
    affinities: AffinitiesConfig = AffinitiesConfig()
    assets: AssetsConfig = AssetsConfig()


def parse(values: Mapping[str, Any]) -> Config:
    """Return the configuration of a run.

    Raises
    ------
    ConfigError
        If a key is unknown, missing or of another form: one line that names the first such key.
    """
    try:
        return Config.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "top level"
        raise ConfigError(f"config, {key}: {first['msg']}") from None
