"""The sizes of encoders, apart from the networks, so that the workflow can ask without PyTorch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from taskrsa.errors import ConfigError

SMALL_CONVOLUTIONS = 4


@dataclass(frozen=True)
class EncoderSpec:
    """The size of an encoder. The defaults are those of the public bank.

    width: channels of the stem; block k puts out 4 * width * 2^(k-1) channels.
    units: residual units in each of the four blocks.
    strides: stride of each block; with the stem (4) they give the code's size.
    """

    family: ClassVar[str] = "taskonomy"

    width: int = 64
    units: tuple[int, int, int, int] = (3, 4, 6, 3)
    strides: tuple[int, int, int, int] = (2, 2, 1, 1)
    code_channels: int = 8
    input_channels: int = 3
    group_norm: bool = False

    @classmethod
    def from_config(cls, values: dict, input_channels: int = 3) -> EncoderSpec:
        """Build a spec from a configuration section.

        Raises
        ------
        ConfigError
            If a list does not have four entries or a number is not positive.
        """
        values = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
        spec = cls(**values, input_channels=input_channels)
        for key in ("units", "strides"):
            numbers = getattr(spec, key)
            if len(numbers) != 4 or min(numbers) < 1:
                raise ConfigError(
                    f"encoder: {key} needs four positive numbers, not {list(numbers)}"
                )
        if spec.width < 1 or spec.code_channels < 1:
            raise ConfigError("encoder: width and code_channels must be positive")
        return spec

    @property
    def reduction(self) -> int:
        """How many times smaller the code is than the image, along each side."""
        reduction = 4
        for stride in self.strides:
            reduction *= stride
        return reduction

    def code_size(self, image_size: int) -> int:
        """Return the side of the code of an image, in positions; errors as of `code_side`."""
        return code_side(image_size, self.reduction)


@dataclass(frozen=True)
class SmallSpec:
    """The size of a small encoder.

    width: channels of the first convolution; the second has twice, the third four times as many.
    reduction: how many times smaller the code is than the image, along each side; 16 is the
    paper's, where each of the four convolutions has a stride of 2. Below that the last ones keep
    their size, so that the code has the dimensions of the bank's.
    """

    family: ClassVar[str] = "small"

    width: int = 16
    reduction: int = 16
    code_channels: int = 8
    input_channels: int = 3

    def __post_init__(self):
        if self.width < 1 or self.code_channels < 1:
            raise ConfigError("small: width and code_channels must be positive")
        halvings = math.log2(self.reduction) if self.reduction >= 1 else -1
        if halvings != int(halvings) or not 0 <= halvings <= SMALL_CONVOLUTIONS:
            raise ConfigError(
                f"small: four convolutions cannot reduce an image {self.reduction} times; "
                "change encoder.strides so that the bank's code is 1, 2, 4, 8 or 16 times smaller"
            )

    @classmethod
    def from_config(cls, values: dict, input_channels: int = 3) -> SmallSpec:
        """Build a spec from a configuration section."""
        return cls(**values, input_channels=input_channels)

    @property
    def strides(self) -> tuple[int, ...]:
        """Strides of the four convolutions."""
        halvings = int(math.log2(self.reduction))
        return (2,) * halvings + (1,) * (SMALL_CONVOLUTIONS - halvings)

    def code_size(self, image_size: int) -> int:
        """Return the side of the code of an image, in positions; errors as of `code_side`."""
        return code_side(image_size, self.reduction)


Spec = EncoderSpec | SmallSpec

SPECS: dict[str, type[Spec]] = {kind.family: kind for kind in (EncoderSpec, SmallSpec)}


def encoder_spec(values: dict, input_channels: int = 3) -> Spec:
    """Return the spec of a configuration section; its `family` is taskonomy or small.

    Raises
    ------
    ConfigError
        If there is no such family, or its spec refuses a value.
    """
    values = dict(values)
    family = values.pop("family", EncoderSpec.family)
    if family not in SPECS:
        raise ConfigError(f"encoder: no family {family}; there are {', '.join(SPECS)}")
    return SPECS[family].from_config(values, input_channels)


def code_side(image_size: int, reduction: int) -> int:
    """Return the side of the code of an image, in positions.

    Raises
    ------
    ConfigError
        If the image is no multiple of the reduction, so that borders would be lost.
    """
    if image_size % reduction:
        raise ConfigError(
            f"image_size: {image_size} must be a multiple of {reduction}, the encoder's "
            "reduction; change it or encoder.strides"
        )
    return image_size // reduction
