"""New heads on an encoder: one answer a pixel, or one for the whole image.

The dense head is that of DeepLab v3 (Chen et al. 2017): parallel atrous convolutions see the same
features at several scales (paper section 5.3).

`linear` of a head is what a probe of the features can be put into (`taskrsa.training.head_start`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from taskrsa.networks.encoder import convolution
from taskrsa.recipes import HeadConfig


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling and the classifier on top of it.

    One that starts at a probe has a linear path from the features beside it, and begins with a
    classifier of zeros, so that its first outputs are those of this path.
    """

    def __init__(self, inputs: int, outputs: int, head: HeadConfig):
        super().__init__()
        width = head.width
        self.branches = nn.ModuleList([convolution(inputs, width, 1)])
        self.branches.extend(convolution(inputs, width, rate=rate) for rate in head.rates)
        self.pooled = convolution(inputs, width, 1) if head.image_pooling else None
        joined = width * (len(self.branches) + head.image_pooling)
        self.projection = convolution(joined, width, 1)
        self.dropout = nn.Dropout(head.dropout)
        self.classifier = nn.Conv2d(width, outputs, 1)
        self.linear = None
        if head.start == "probe":
            self.linear = nn.Conv2d(inputs, outputs, 1)
            for part in (self.classifier, self.linear):
                nn.init.zeros_(part.weight)
                nn.init.zeros_(part.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, inputs, h, w) to (N, outputs, h, w)."""
        parts = [branch(features) for branch in self.branches]
        if self.pooled is not None:
            pooled = self.pooled(features.mean((2, 3), keepdim=True))
            parts.append(pooled.expand(-1, -1, *features.shape[2:]))
        outputs = self.classifier(self.dropout(self.projection(torch.cat(parts, 1))))
        return outputs if self.linear is None else outputs + self.linear(features)


class ImageHead(nn.Module):
    """The mean over all positions and a linear layer."""

    def __init__(self, inputs: int, outputs: int, head: HeadConfig):
        super().__init__()
        self.dropout = nn.Dropout(head.dropout)
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, inputs, h, w) to (N, outputs)."""
        return self.linear(self.dropout(features.mean((2, 3))))
