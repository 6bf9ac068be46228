"""The sizes of encoders, apart from the networks, so that the workflow can ask without PyTorch."""

from __future__ import annotations

import math
from typing import ClassVar

from pydantic import ValidationError, field_validator

from taskrsa.errors import ConfigError
from taskrsa.recipes import EncoderConfig, Positive, Section

_SMALL_CONVOLUTIONS = 4


class _Reducing:
    """An encoder that makes an image `reduction` times smaller, along each side."""

    def bottleneck_size(self, image_size: int) -> int:
        """Return the side of an image's bottleneck, in positions.

        Raises
        ------
        ConfigError
            If the image is not a multiple of the reduction, so that borders would be lost.
        """
        if image_size % self.reduction:
            raise ConfigError(
                f"image_size: {image_size} must be a multiple of {self.reduction}, the encoder's "
                "reduction; change it or encoder.strides"
            )
        return image_size // self.reduction


class EncoderSpec(EncoderConfig, _Reducing):
    """An encoder's size: its configuration, and what is set by its task.

    Block k puts out 4 * width * 2^(k-1) channels; the strides of the blocks with the stem's (4)
    give the bottleneck's size. The defaults are those of the public bank.
    """

    family: ClassVar[str] = "taskonomy"

    bottleneck_channels: Positive = 8
    input_channels: Positive = 3

    @property
    def reduction(self) -> int:
        return 4 * math.prod(self.strides)


class SmallSpec(Section, _Reducing):
    """The size of a small encoder.

    width: channels of the first convolution; the second has twice, the third four times as many.
    reduction: 16 is the paper's, where each of the four convolutions has a stride of 2. Below that
    the last ones keep their size, so that the bottleneck has the dimensions of the bank's.
    """

    family: ClassVar[str] = "small"

    width: Positive = 16
    reduction: int = 16
    bottleneck_channels: Positive = 8
    input_channels: Positive = 3

    @field_validator("reduction")
    @classmethod
    def _reachable(cls, reduction: int) -> int:
        if reduction not in [2**n for n in range(_SMALL_CONVOLUTIONS + 1)]:
            raise ValueError(
                f"four convolutions cannot reduce an image {reduction} times; change "
                "encoder.strides so that the bank's bottleneck is 1, 2, 4, 8 or 16 times smaller"
            )
        return reduction

    @property
    def strides(self) -> tuple[int, ...]:
        halvings = int(math.log2(self.reduction))
        return (2,) * halvings + (1,) * (_SMALL_CONVOLUTIONS - halvings)


Spec = EncoderSpec | SmallSpec

SPECS: dict[str, type[Spec]] = {kind.family: kind for kind in (EncoderSpec, SmallSpec)}


def encoder_spec(values: dict, input_channels: int = 3) -> Spec:
    """Return the spec of a configuration section; its `family` is taskonomy or small.

    Raises
    ------
    ConfigError
        If there is no such family, or its spec refuses a value.
    """
    values = {"family": EncoderSpec.family, "input_channels": input_channels} | values
    # In files of earlier versions; group norm was never on.
    values.pop("group_norm", None)
    if "code_channels" in values:
        values["bottleneck_channels"] = values.pop("code_channels")
    family = values.pop("family")
    if family not in SPECS:
        raise ConfigError(f"encoder: no family {family}; there are {', '.join(SPECS)}")
    try:
        return SPECS[family](**values)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        key = ".".join(map(str, fault["loc"]))
        raise ConfigError(f"encoder, {key}: {fault['msg']}") from None
