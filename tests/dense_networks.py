"""Networks that answer with maps, small, each with what hides where its head begins."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class Segmenter(nn.Module):
    """Ends in class logits that are made larger (as in FCN and DeepLab)."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.stem, self.body = block(3, 16, 2), block(16, 64, 2)
        self.refine = block(64, 32)
        self.logits = nn.Conv2d(32, classes, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        logits = self.logits(self.refine(self.body(self.stem(x))))
        return {"out": F.interpolate(logits, x.shape[2:], mode="bilinear").softmax(1)}


class Chosen(Segmenter):
    """The same, of which the classes chosen come out: no gradients reach them."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)["out"].argmax(1)


class UNet(nn.Module):
    """Shortcuts lead from every stage of the encoder to the decoder's (Ronneberger et al. 2015)."""

    def __init__(self, width: int = 8, stages: int = 3, outputs: int = 2) -> None:
        super().__init__()
        widths = [width * 2**stage for stage in range(stages + 1)]
        self.down = nn.ModuleList(
            nn.Sequential(block(a, b), block(b, b))
            for a, b in zip([3, *widths[:-1]], widths, strict=True)
        )
        self.up = nn.ModuleList(
            nn.Sequential(block(a + b, a), block(a, a))
            for a, b in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.out = nn.Conv2d(width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for at, stage in enumerate(self.down):
            x = stage(x if at == 0 else F.max_pool2d(x, 2))
            skips.append(x)
        for stage, skip in zip(self.up, skips[-2::-1], strict=True):
            x = stage(torch.cat([skip, F.interpolate(x, scale_factor=2.0)], 1))
        return self.out(x)


class Edges(nn.Module):
    """Every stage makes a map of edges, which are fused (as in HED, PiDiNet and LDC)."""

    def __init__(self, widths: tuple[int, ...] = (16, 32, 64, 64), side: int = 6) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            block(a, b, 2) for a, b in zip([3, *widths[:-1]], widths, strict=True)
        )
        self.sides = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, side, 1), nn.ReLU(), nn.Conv2d(side, 1, 3, padding=1))
            for width in widths
        )
        self.fuse = nn.Conv2d(len(widths), 1, 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        size, maps = x.shape[2:], []
        for stage, side in zip(self.stages, self.sides, strict=True):
            x = stage(x)
            maps.append(F.interpolate(side(x), size, mode="bilinear"))
        return [torch.sigmoid(one) for one in [*maps, self.fuse(torch.cat(maps, 1))]]


class Stages(nn.Module):
    """Returns what every stage puts out, as backbones of detectors do."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList([block(3, 8, 2), block(8, 16, 2), block(16, 32, 2)])

    def forward(self, x: Tensor) -> list[Tensor]:
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found


class Denoiser(nn.Module):
    """The noise is taken off the image (DnCNN, Zhang et al. 2017)."""

    def __init__(self, width: int = 16, depth: int = 8, maps: int = 3) -> None:
        super().__init__()
        layers = [nn.Conv2d(3, width, 3, padding=1), nn.ReLU()]
        for _ in range(depth - 2):
            layers += block(width, width)
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, maps, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.clamp(x - self.layers(x), -3, 3)


class Enhancer(nn.Module):
    """Curves are applied to the image again and again, one ReLU serves all (Zero-DCE, Guo 2020)."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        inputs = [3, width, width, width, 2 * width, 2 * width, 2 * width]
        outputs = [width] * 6 + [24]
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1) for a, b in zip(inputs, outputs, strict=True)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        one = self.relu(self.convs[0](x))
        two = self.relu(self.convs[1](one))
        three = self.relu(self.convs[2](two))
        four = self.relu(self.convs[3](three))
        five = self.relu(self.convs[4](torch.cat([three, four], 1)))
        six = self.relu(self.convs[5](torch.cat([two, five], 1)))
        curves = torch.tanh(self.convs[6](torch.cat([one, six], 1)))
        for curve in torch.split(curves, 3, dim=1):
            x = x + curve * (x**2 - x)
        return x, curves


class Enlarger(nn.Module):
    """A residual network whose output is shuffled to twice the size, the image added (EDSR)."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.Sequential(*(block(width, width) for _ in range(3)))
        self.last = nn.Conv2d(width, 12, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        shuffled = F.pixel_shuffle(self.last(self.body(first) + first), 2)
        return shuffled + F.interpolate(x, scale_factor=2.0, mode="bicubic")


class Narrowing(nn.Module):
    """The decoder works on maps of classes, more than the output has (as in ESPNet), and small
    copies of the image enter at every stage."""

    def __init__(self, classes: int = 6) -> None:
        super().__init__()
        self.one, self.two, self.three = block(3, 16, 2), block(19, 64, 2), block(67, 96, 2)
        self.deep, self.middle = nn.Conv2d(96, classes, 1), nn.Conv2d(64, classes, 1)
        self.combine = block(2 * classes, 2 * classes)
        self.last = nn.ConvTranspose2d(2 * classes, classes, 4, 4)

    def forward(self, x: Tensor) -> Tensor:
        half, quarter = F.avg_pool2d(x, 2), F.avg_pool2d(x, 4)
        two = self.two(torch.cat([self.one(x), half], 1))
        three = self.three(torch.cat([two, quarter], 1))
        deep = F.interpolate(self.deep(three), scale_factor=2.0)
        return self.last(self.combine(torch.cat([deep, self.middle(two)], 1)))


class Scores(nn.Module):
    """Scores of three stages are added up on the way to the size of the image (FCN-8s)."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.stages = nn.ModuleList([block(3, 16, 4), block(16, 32, 2), block(32, 64, 2)])
        self.scores = nn.ModuleList(nn.Conv2d(width, classes, 1) for width in (16, 32, 64))
        self.up = nn.ConvTranspose2d(classes, classes, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        found = []
        for stage, score in zip(self.stages, self.scores, strict=True):
            x = stage(x)
            found.append(score(x))
        return F.interpolate(found[0] + self.up(found[1] + self.up(found[2])), scale_factor=4.0)


class Frozen(Segmenter):
    """Runs its body without gradients."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            x = self.body(self.stem(x))
        return self.logits(self.refine(x.detach()))


class Inferring(Segmenter):
    @torch.inference_mode()
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)["out"]


class Flattened(nn.Module):
    """Forgets positions after its first layer: what has some says little of the network."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 8, 8)
        self.rest = nn.Sequential(*(nn.Sequential(nn.LazyLinear(32), nn.ReLU()) for _ in range(6)))
        self.out = nn.Linear(32, 4)
        self(torch.zeros(1, 3, 32, 32))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.rest(self.patches(x).flatten(1)))


class ChannelsFirst(nn.Module):
    """Sequences of positions behind the channels, whose number is a square as well, and parts of
    channels that only attention can make sense of."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.norm = nn.Conv2d(3, 16, 8, 8), nn.BatchNorm1d(16)
        self.split, self.mix = Heads(), nn.Conv1d(16, 16, 1)
        self.out = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.patches(x).flatten(2))
        parts = self.split(x)
        x = x + self.mix((parts @ parts.transpose(2, 3) @ parts).transpose(2, 3).flatten(1, 2))
        return self.out(x.mean(2))


class Heads(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (4, 4)).transpose(2, 3)  # images, heads, positions, channels


class Numeric(Segmenter):
    """Handles its images outside torch, so that no gradient shows how they flow."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.from_numpy(x.numpy()[:, ::-1].copy()))["out"]
