"""The section of a configuration that describes one target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from taskrsa.recipes import (
    DISTINCT,
    FinetuneConfig,
    HeadConfig,
    Memory,
    Minutes,
    Names,
    Path,
    Positive,
    PretrainedHeadConfig,
    Rendered,
    ScratchFinetuneConfig,
    Section,
    Seed,
    Seeds,
    Share,
    Width,
)


@dataclass(frozen=True)
class Kind:
    """What is labelled."""

    metric: str  # what the score is called in tables; those of classes are "iou_<class>"
    is_dense: bool  # whether there is one answer a pixel, not one an image
    is_of_classes: bool  # whether answers are classes, not numbers


# `TargetData.kind` names them, `taskrsa.targets.prepare` reads them, and
# `taskrsa.training.objectives` says what is learned of them.
KINDS = {
    "segmentation": Kind("miou", is_dense=True, is_of_classes=True),
    "classification": Kind("accuracy", is_dense=False, is_of_classes=True),
    "regression": Kind("error_removed", is_dense=True, is_of_classes=False),
    "values": Kind("error_removed", is_dense=False, is_of_classes=False),
}
UNLABELLED = ("network", "similarities")  # kinds of targets that nothing is trained for


MaskValues = (
    Annotated[tuple[Annotated[int, Field(ge=0, le=255)], ...], Field(min_length=2), *DISTINCT]
    | None
)


class OutdoorConfig(Section):
    """The simulated outdoor world, a target that needs no data."""

    image_size: int = Field(64, ge=16, le=4096, description="Shorter side in pixels.")
    n_train: Rendered = 256
    n_val: Rendered = 96
    seed: Seed = 0


class TargetSmallConfig(Section):
    """The small models of a target, which rank the bank."""

    seeds: Seeds = (0, 1, 2)
    width: Width = 16
    head: HeadConfig = HeadConfig()
    recipe: ScratchFinetuneConfig = ScratchFinetuneConfig()


class AdviceConfig(Section):
    """How networks are measured on a target's labelled images, and what the advice is made of."""

    measures: Annotated[Names, Field(min_length=1)] = Field(
        ("probe", "knn", "logme"),
        description="The advice is the mean of a network's ranks by these.",
    )
    layer: str = Field(
        "tap",
        description="Where features are measured: tap, which the head sees, or a layer's name.",
    )
    also: Literal["all"] | Names = Field(
        "all", description="Further measures to make, which the advice does not use."
    )
    all_layers: bool = Field(False, description="Measure at every layer of the rows as well.")
    n_images: Annotated[int, Field(ge=3)] = Field(500, description="Training images at most.")
    grid: Annotated[int, Field(ge=1, le=64)] = Field(
        8, description="Cells along a side of an image whose labels are maps."
    )
    cells: Positive = Field(16, description="Cells of an image at most.")
    resamples: Annotated[int, Field(ge=10)] = Field(200, description="Of the images.")


class TargetData(Section):
    """What the labelled images of a target are read from.

    Apart from the rest of the target, so that another recipe does not read them again.
    """

    kind: Literal[
        "segmentation", "classification", "regression", "values", "network", "similarities"
    ] = Field(
        description="What is labelled: pixels or images, with classes (segmentation, "
        "classification) or numbers (regression, values). None: network, a row of the table; "
        "similarities, numbers made elsewhere."
    )
    source: Literal["folder", "voc2012", "outdoor"] = Field(
        "folder", description="path; Pascal VOC 2012, fetched; or the simulated outdoor world."
    )
    path: Path = Field(None, description="Devkit, labelled folder or CSV file (config/README.md).")
    outdoor: OutdoorConfig = OutdoorConfig()
    sbd: Path = Field(None, description="The unpacked SBD, merged into a devkit's training set.")
    train_list: str = Field("train", description="A devkit's list of training images.")
    val_list: str = "val"
    image_size: Annotated[int, Field(ge=8, le=4096)] | None = Field(
        None,
        description="Side of the images in pixels; null for the run's image_size. Those of a "
        "segmentation keep their size.",
    )
    mask_values: MaskValues = Field(
        None,
        description="The values of a folder's masks that are classes, in their order, such as "
        "[0, 255]; null for 0, 1, 2, ... A value that is not listed is refused, but 255 is void.",
    )
    unknown: float | None = Field(None, description="The value that means unknown.")
    val_share: Share = Field(0.25, description="Share to score on where the data has no split.")

    @model_validator(mode="after")
    def _has_data(self) -> TargetData:
        if self.kind != "network" and self.source == "folder" and not self.path:
            is_given = self.kind == "similarities"
            needed = "an .npz file" if is_given else "a labelled folder or CSV file"
            raise ValueError(f"kind {self.kind} needs path, {needed}")
        if self.kind == "similarities" and self.source != "folder":
            raise ValueError("similarities are read from path; leave source out")
        if self.source != "folder" and self.kind != "segmentation":
            raise ValueError(f"source {self.source} is a segmentation; set kind to segmentation")
        if self.mask_values and (self.kind != "segmentation" or self.source != "folder"):
            raise ValueError("mask_values is for a folder of images and masks; leave it out")
        return self


class TargetConfig(TargetData):
    """A labelled set for which the bank is ranked, and how networks are fine-tuned on it."""

    test_list: str = Field("test", description="A devkit's list of images to submit.")
    network: str | None = Field(None, description="For kind network, the name of the row.")
    subjects: Names = Field(
        (),
        description="For kind network, a pattern of the row's layers for each subject, whose RDM "
        "is their mean; they give the noise ceiling.",
    )
    arrays: Names = Field(
        (),
        description="For kind similarities, arrays of the file, with wildcards: the first ranks, "
        "all are set beside the scores.",
    )
    scores: Literal["voc2012"] | None = Field(
        None,
        description="For kind similarities, what networks reached: voc2012 for the published mIoU "
        "of Taskonomy's on Pascal VOC 2012.",
    )
    n_train: Positive | None = Field(None, description="Training images; null for all.")
    stimuli: Literal["own", "bank", "both"] | None = Field(
        None,
        description="What the bank is ranked on: own, training images of the target; bank, the "
        "run's stimuli; both, of which its own decide. Null for own; for bank where it has none.",
    )
    n_stimuli: int = Field(200, ge=4, description="Of its own images, at most.")
    same_task: str | None = Field(
        None, description="The network trained for the same task in another domain."
    )
    finetune: Literal["none", "top3", "all", "race"] = Field(
        "none", description="What is fine-tuned; race: by halves, until one network is left."
    )
    budget: float = Field(3, ge=1, description="What a race may take, in full fine-tunings.")
    seeds: Seeds = Field((0,), description="Runs of the fine-tuning.")
    tap: Literal["block4", "compressed"] = Field(
        "block4", description="Where the head is attached to encoders of this project."
    )
    compare_taps: Names = Field((), description="Networks fine-tuned at both taps.")
    head: PretrainedHeadConfig = PretrainedHeadConfig()
    recipe: FinetuneConfig = FinetuneConfig()
    small: TargetSmallConfig = TargetSmallConfig()
    advice: AdviceConfig = AdviceConfig()
    mem_mb: Memory = 3500
    runtime: Minutes = 720

    @model_validator(mode="after")
    def _consistent(self) -> TargetConfig:
        if self.kind == "network" and not self.network:
            raise ValueError("kind network needs network, the name of a row of the table")
        if self.kind in UNLABELLED and self.finetune != "none":
            raise ValueError(f"a target of kind {self.kind} has no labels; set finetune to none")
        if self.kind != "network" and self.subjects:
            raise ValueError("subjects are for a row of the table; set kind to network")
        if len(self.subjects) == 1:
            raise ValueError("one subject has no noise ceiling; name several, or none")
        if self.kind == "similarities" and not self.arrays:
            raise ValueError("kind similarities needs arrays, names of arrays of the file")
        if self.kind != "similarities" and (self.arrays or self.scores):
            raise ValueError("arrays and scores are for kind similarities; leave them out")
        if self.kind in UNLABELLED and self.stimuli not in (None, "bank"):
            raise ValueError(f"kind {self.kind} has no images of its own; leave stimuli out")
        if self.finetune == "race":
            if len(self.seeds) > 1:
                raise ValueError("a race is run once; give seeds one number")
            if self.compare_taps:
                raise ValueError("a race does not compare taps; leave compare_taps out")
        return self

    @property
    def data(self) -> TargetData:
        """The part that the images are read from."""
        return TargetData(**{name: getattr(self, name) for name in TargetData.model_fields})

    def resolved(self, image_size: int) -> TargetConfig:
        """Return the target with every size that is null filled in by that of the run, pixels."""
        size = self.image_size or image_size

        def with_crop(recipe: FinetuneConfig) -> FinetuneConfig:
            return recipe.model_copy(update={"crop": recipe.crop or size})

        small = self.small.model_copy(update={"recipe": with_crop(self.small.recipe)})
        sizes = {"image_size": size, "recipe": with_crop(self.recipe), "small": small}
        return self.model_copy(update=sizes)
