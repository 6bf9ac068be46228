"""What defines a task: its label, its loss and what its encoder is shown.

Kept apart from the table of tasks, so that a new row or another name in a figure leaves trained
networks as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from taskrsa.tasks.colour import n_bins

if TYPE_CHECKING:
    import numpy as np

    from taskrsa.data.view import SourceInfo


@dataclass(frozen=True)
class Task:
    """One task: what is predicted, how it is scored, and what its encoder is shown.

    output: "image" (C, h, w), "ids" (h, w) class indices, "embedding" of segment ids (h, w),
    "vector" (K,) or "class" (K,) a distribution over classes.
    """

    id: str  # Taskonomy's name
    output: str
    loss: str  # "l1", "l2", "cross_entropy", "soft_cross_entropy" or "metric"
    derive: str  # "module:function" that turns a View into its Label
    input: str = "rgb"  # "rgb", "lightness" (one channel), "masked" (centre quarter 0), "noisy"
    clip: bool = True  # [0, 1] clipped to [0.1, 0.9] before scaling, as the authors' extraction did
    embedding: int = 0  # channels of the embedding, for the metric loss
    quarter_size: bool = False  # label maps have a quarter of the photograph's side (colorization)

    @property
    def input_channels(self) -> int:
        return 1 if self.input == "lightness" else 3

    @property
    def dense(self) -> bool:
        return self.output in ("image", "ids", "embedding")

    def label_size(self, image_size: int, label_size: int) -> int:
        """Return the side of this task's label map, in pixels."""
        return image_size // 4 if self.quarter_size else label_size

    def n_outputs(self, info: SourceInfo, target: np.ndarray) -> int:
        """Return the channels a network needs for this task: classes, values or embedding channels.

        `target` is any label of the task, one view's or several.
        """
        if self.output == "embedding":
            return self.embedding
        if self.output == "ids":
            if self.id == "colorization":
                return n_bins()
            return max(len(info.semantic_classes), int(target.max()) + 1)
        return target.shape[-3] if self.output == "image" else target.shape[-1]

    def definition(self) -> dict:
        """Return the fields that define the task, without names for people."""
        return {field.name: getattr(self, field.name) for field in fields(Task)}
