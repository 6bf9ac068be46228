"""The sections of a configuration that jobs of training get: size and training of networks.

Apart from the rest of the configuration, so that another key retrains nothing. A job gets a section
as JSON and parses it with the class that checked it when the workflow started.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator


def _without_repeats(values: tuple) -> tuple:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{value} is listed twice; remove one")
    return values


# What is added to the type of a list whose entries differ.
DISTINCT = (AfterValidator(_without_repeats), Field(json_schema_extra={"uniqueItems": True}))
Names = Annotated[tuple[str, ...], *DISTINCT]
Seeds = Annotated[tuple[Annotated[int, Field(ge=0, le=999)], ...], Field(min_length=1), *DISTINCT]
Memory = Annotated[int, Field(ge=500, le=1_000_000_000, description="Memory of one job in MB.")]
Minutes = Annotated[int, Field(ge=1, le=1_000_000, description="Time limit of one job in minutes.")]
Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[int, Field(ge=1, le=1_000_000_000)]
Width = Annotated[int, Field(ge=1, le=65_536)]  # channels
Seed = Annotated[int, Field(ge=0, le=2**31)]
Factor = Annotated[float, Field(gt=0, le=1000)]
Rate = Annotated[float, Field(gt=0, le=1000)]  # of learning
Decay = Annotated[float, Field(ge=0, le=1000)]  # of weights
Rendered = Annotated[int, Field(ge=1, le=1_000_000)]  # images, whose ids have six digits
Scale = Annotated[float, Field(gt=0, le=100)]
Stride = Annotated[int, Field(ge=1, le=2)]
Path = Annotated[str | None, Field(description="Environment variables are expanded.")]
Precision = Literal["no", "bf16", "fp16", "auto"]


class Section(BaseModel):
    """A section of the configuration; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TrainConfig(Section):
    """How encoders are trained on the labels of a task."""

    steps: Positive = Field(300, description="Optimiser steps.")
    batch_size: Positive = Field(32, description="Images per step.")
    learning_rate: Rate = 0.003
    weight_decay: Decay = 0.0001
    eval_every: Positive = Field(50, description="Steps between two validations.")
    keep: Literal["best", "last"] = Field("best", description="Weights that are kept.")
    precision: Precision = "auto"
    device: Literal["auto", "cpu"] = "auto"


class FinetuneConfig(Section):
    """How a network with a new head is trained on a target."""

    steps: Positive = Field(300, description="Optimiser steps.")
    batch_size: Positive = Field(8, description="Crops per step.")
    crop: Annotated[int, Field(ge=8, le=4096)] | None = Field(
        None, description="Side of the crops in pixels; null for image_size."
    )
    learning_rate: Rate = Field(0.0001, description="At the start.")
    schedule: Literal["poly", "constant"] = Field("poly", description="poly: to 0, power 0.9.")
    head_lr_factor: Rate = Field(1, description="The head's learning rate, as a multiple.")
    optimizer: Literal["adamw", "sgd"] = "adamw"
    weight_decay: Decay = Field(0.0001, description="Of the weights of convolutions.")
    batch_norm: Literal["auto", "frozen", "free"] = Field(
        "auto",
        description="What normalises the encoder's features: frozen, the statistics it came with; "
        "free, those of each batch; auto, frozen where the head starts as a probe of them.",
    )
    scale: tuple[Scale, Scale] = Field((0.75, 1.33), description="Least and largest random scale.")
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
            raise ValueError("the smaller scale comes first")
        return scale


class ScratchFinetuneConfig(FinetuneConfig):
    """How a network that starts at random, without statistics of data, is trained on a target."""

    learning_rate: Rate = Field(0.003, description="At the start.")
    batch_norm: Literal["auto", "frozen", "free"] = "free"


class HeadConfig(Section):
    """The head on an encoder: atrous spatial pyramid pooling for maps, linear for classes."""

    width: Width = Field(64, description="Channels of every branch and of the projection.")
    rates: tuple[Positive, ...] = Field(
        (1, 2, 3), description="Rates of the parallel atrous convolutions, in positions."
    )
    image_pooling: bool = Field(False, description="A branch that sees the mean over the image.")
    dropout: float = Field(0, ge=0, lt=1)
    input_scale: float = Field(
        1, gt=0, le=1, description="Images are shrunk to this share of their sides."
    )
    start: Literal["random", "probe"] = Field(
        "random",
        description="probe: the linear part starts as a probe of the training images; maps get a "
        "linear path beside the pyramid.",
    )


class PretrainedHeadConfig(HeadConfig):
    """The head on a pretrained network."""

    start: Literal["random", "probe"] = Field(
        "probe", description="Where the linear part starts; random is the paper's."
    )


class EncoderConfig(Section):
    """The size of the encoders that are trained here; the defaults are the published ones."""

    width: Width = 64
    units: tuple[Positive, Positive, Positive, Positive] = (3, 4, 6, 3)
    strides: tuple[Stride, Stride, Stride, Stride] = (2, 2, 1, 1)
