"""FBNetV2: a space of kernels, widths, expansions and resolutions; and the published networks, block by block.

Wan et al., "FBNetV2: Differentiable Neural Architecture Search for Spatial and Channel Dimensions", CVPR 2020, sections
3 and 4, and the authors' release (gradient.md 8). The paper's tables of stages are not known to us; the space here has
its axes with other stages. Three more differences, each so that an architecture is one network, in the supernet and
alone: a width is decided per stage and not per layer, as the shortcuts inside a stage need equal widths; inner widths
are numbers of channels, not multiples of a searched width; only the last layer of a stage can be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from torch import nn

from palmette.blocks.convolution import Activation, conv_bn, hard_swish, in_place_relu
from palmette.blocks.fbnet_block import FBNetBlock, fbnet_block, fbnet_skip, rounded
from palmette.blocks.residual import Residual
from palmette.blocks.squeeze_excitation import SqueezeExcitation
from palmette.slots import Factory, OneOf
from palmette.space import Space
from palmette.supernets.resolution import ResolutionOneOf
from palmette.supernets.sliced import Sliced, Width

ACTIVATIONS: Mapping[str, Activation] = {"R": in_place_relu, "H": hard_swish}


@dataclass(frozen=True)
class Axes:
    """What is searched, and what is not."""

    widths: tuple[tuple[int, ...], ...]
    """Output channels to choose from, per stage."""
    depths: tuple[int, ...]
    """Layers per stage; where there are several, the last can be left out."""
    strides: tuple[int, ...]
    """Of the first layer of each stage."""
    expansions: tuple[float, ...]
    """Inner channels to choose from, as multiples of the widest input of a layer, rounded to multiples of 8."""
    kinds: tuple[str, ...]
    """Blocks to choose from: ``k5RS`` has kernel 5, ReLU (H: hard swish) and squeezing."""
    resolutions: tuple[int, ...] = ()
    """Heights and widths of the input to choose from, in pixels; none leaves the input as it is."""
    stem: int = 16
    stem_stride: int = 2
    last: int = 1984
    """Output channels of the last convolution."""


IMAGENET = Axes(
    widths=(
        (12, 16),
        (16, 20, 24),
        (16, 24, 32, 40),
        (48, 56, 64, 72, 80),
        (72, 80, 88, 96, 104, 112),
        (112, 136, 160, 184),
    ),
    depths=(1, 3, 3, 3, 3, 4),
    strides=(1, 2, 2, 2, 1, 2),
    expansions=(0.75, 1.5, 2.25, 3.0, 3.75, 4.5),
    kinds=("k3R", "k5R", "k3HS", "k5HS"),
)
"""The paper's expansions, and stages as a reimplementation has them (gradient.md 8.4); one resolution, whatever it is.

Costs of widths, kinds and resolutions depend on each other; the table of them takes minutes with several resolutions.
"""
SMALL = Axes(
    widths=((8, 12, 16), (16, 24, 32)),
    depths=(2, 3),
    strides=(1, 2),
    expansions=(1.0, 2.0, 3.0),
    kinds=("k3R", "k5R"),
    resolutions=(6, 8),
    stem_stride=1,
    last=64,
)
"""For images of 8 x 8."""


def fbnet_v2(*, classes: int = 1000, channels: int = 3, axes: Axes = IMAGENET, name: str = "fbnet-v2") -> Space:
    """Return the space; input ``[N, channels, H, W]`` at least as large as the largest resolution."""
    features = partial(_features, channels, axes)
    body: Factory = features
    if axes.resolutions:
        body = partial(ResolutionOneOf, "resolution", axes.resolutions, features)
    return Space(lambda: nn.Sequential(body(), nn.Linear(axes.last, classes)), name=name)


def fbnet_v2_small(*, classes: int = 10, channels: int = 1) -> Space:
    """Return a space of the same axes for images of 8 x 8, which a search on a CPU finishes in minutes."""
    return fbnet_v2(classes=classes, channels=channels, axes=SMALL, name="fbnet-v2-small")


def _features(channels: int, axes: Axes) -> nn.Module:
    """Return everything from the image to the pooled features, ``[N, last]``."""
    before: int | Width = axes.stem
    layers: list[nn.Module] = [conv_bn(channels, axes.stem, 3, stride=axes.stem_stride, activation=hard_swish)]
    stages = zip(axes.widths, axes.depths, axes.strides, strict=True)
    for stage, (widths, depth, stride) in enumerate(stages, start=1):
        after = Width(f"stage{stage}_width", widths)
        for position in range(1, depth + 1):
            name = f"stage{stage}_layer{position}"
            blocks = {
                kind: partial(_layer, name, before, after, kind, axes, stride if position == 1 else 1)
                for kind in axes.kinds
            }
            skip: dict[str, Factory] = {"skip": nn.Identity} if 1 < position == depth else {}
            layers.append(OneOf(name, **blocks, **skip))
            before = after
    layers.append(_between(before, axes.last, partial(conv_bn, activation=hard_swish)))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _layer(name: str, before: int | Width, after: Width, kind: str, axes: Axes, stride: int) -> nn.Module:
    """Return a block whose widths are open.

    The mask of the inner width stands behind the depthwise convolution and its BatchNorm. One step earlier a factor of
    a channel would be undone by that BatchNorm, for the two work channel by channel, and its gradient be lost (8.1).
    """
    widest = before if isinstance(before, int) else before.values[-1]
    inner = Width(f"{name}_inner", tuple(sorted({rounded(widest * e) for e in axes.expansions})))
    layers = [_between(before, inner, partial(_widened, kind=kind, stride=stride))]
    if kind.endswith("S"):
        squeezed = rounded(inner.values[-1] / 4)  # the same for all widths, for no mask could narrow it
        weigh = partial(SqueezeExcitation, inner=squeezed, gate=nn.Hardsigmoid)
        layers.append(Sliced(weigh, inner, inputs=inner, outputs=inner))
    body = nn.Sequential(*layers, _between(inner, after, partial(conv_bn, relu=False)))
    return Residual(body, nn.Identity(), nn.Identity()) if stride == 1 and before == after else body


def _widened(inputs: int, inner: int, *, kind: str, stride: int) -> nn.Module:
    kernel, activation = int(kind[1]), ACTIVATIONS[kind[2]]
    return nn.Sequential(
        conv_bn(inputs, inner, activation=activation),
        conv_bn(inner, inner, kernel, stride=stride, groups=inner, activation=activation),
    )


def _between(before: int | Width, after: int | Width, block: Callable[[int, int], nn.Module]) -> nn.Module:
    """Return a block between two widths, of which one may be fixed."""
    if isinstance(before, int):
        assert isinstance(after, Width)
        return Sliced(partial(block, before), after, outputs=after)
    if isinstance(after, int):
        return Sliced(lambda width: block(width, after), before, inputs=before)
    return Sliced(block, before, after, inputs=before, outputs=after)


@dataclass(frozen=True)
class PublishedV2:
    """A published network, and its costs at its resolution: multiply-adds, and parameters as PyTorch counts them."""

    blocks: str
    """Per block ``k5RS:32/2:5.35``: kernel, ReLU or hard swish, squeezing, output channels, stride, expansion."""
    resolution: int
    flops: int
    params: int
    source: str
    stem: int = 16
    head: tuple[float, int] = (6, 1984)
    """Expansion of the last convolution before pooling, and output channels of the one after it."""

    def network(self, *, classes: int = 1000, channels: int = 3) -> nn.Module:
        """Return the network, initialised by PyTorch's global generator."""
        blocks, inputs = [], self.stem
        for text in self.blocks.split():
            block, outputs = _block(text, inputs)
            blocks.append(block)
            inputs = outputs
        expansion, last = self.head
        inner = int(inputs * expansion)
        return nn.Sequential(
            conv_bn(channels, self.stem, 3, stride=2, activation=hard_swish),
            *blocks,
            conv_bn(inputs, inner, activation=hard_swish),
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(inner, last, 1),
            hard_swish(),
            nn.Flatten(),
            nn.Linear(last, classes),
        )


def _block(text: str, inputs: int) -> tuple[nn.Module, int]:
    """Return the block that ``text`` names, and its output channels."""
    kind, width, *expansion = text.split(":")
    outputs, _, stride = width.partition("/")
    if kind == "skip":
        return fbnet_skip(inputs, int(outputs)), int(outputs)
    numbers = FBNetBlock(
        kernel=int(kind[1]),
        expansion=float(expansion[0]),
        activation=ACTIVATIONS[kind[2]],
        squeeze=kind.endswith("S"),
        released=True,
    )
    return fbnet_block(inputs, int(outputs), numbers, stride=int(stride or 1)), int(outputs)


_F1 = (
    "k5R:8:1  k5R:24/2:5.4566 k5R:24:4.7912  k5RS:32/2:5.3501 k5RS:24:4.5379  k5H:56/2:5.7133 k3H:56:4.1212 "
    "k3HS:56:5.1246  skip:80 k5HS:80:4.5070 k5HS:80:1.7712  k3HS:144/2:4.5685 k5HS:144:5.8400 k5HS:144:6.8754 skip:224"
)
_F4 = (
    "k3H:16:1  k5H:24/2:5.4566 k5H:24:1.7912 k5H:24:1.7912  k5RS:32/2:5.3501 k5RS:32:3.5379 k5RS:32:4.5379 "
    "k5RS:32:4.5379  k5H:64/2:5.7133 k3H:64:2.1212 skip:64 k3H:104:5.0333 k5HS:104:2.5070 k5HS:104:1.7712 "
    "k5HS:112:3.7712  k3HS:184/2:5.5685 k5HS:184:2.8400 k5HS:184:4.8754 skip:224"
)
_L1 = (
    "k3H:16:1  k5H:24/2:5.4566 k5H:24:1.7912 k3H:24:1.7912 k5H:24:1.7912  k5HS:40/2:5.3501 k5HS:32:3.5379 "
    "k5HS:32:4.5379 k5HS:32:4.5379  k5H:64/2:5.7133 k3H:64:2.1212 skip:64 k3H:64:3.1246  k3H:112:5.0333 "
    "k5HS:112:2.5070 k5HS:112:1.7712 k5HS:112:2.7712 k5HS:112:3.7712 k5HS:112:3.7712  k3HS:184/2:5.5685 "
    "k5HS:184:2.8400 k5HS:184:2.8400 k5HS:184:4.8754 k5HS:184:4.8754 skip:224"
)
_F0 = (
    "k5H:8:1  k5H:16/2:4 k5H:16:3  k5RS:24/2:4 k5RS:24:3  k5HS:48/2:4 k3HS:48:3 k5HS:64:3 k5HS:64:2  "
    "k3HS:128/2:3 k5HS:160:3 skip:192"
)
_RELEASE = "facebookresearch/mobile-vision fbnet_v2, top-1 "

PUBLISHED: Mapping[str, PublishedV2] = {
    "fbnet-v2-f0": PublishedV2(_F0, 224, 66_280_000, 2_823_640, _RELEASE + "not given", stem=8, head=(4, 1280)),
    "fbnet-v2-f1": PublishedV2(_F1, 128, 56_231_936, 6_026_336, _RELEASE + "68.3", stem=8, head=(6, 1600)),
    "fbnet-v2-f2": PublishedV2(_F1, 160, 85_163_192, 6_026_336, _RELEASE + "71.0", stem=8, head=(6, 1600)),
    "fbnet-v2-f3": PublishedV2(_F1, 192, 121_423_712, 6_926_816, _RELEASE + "73.0", stem=8),
    "fbnet-v2-f4": PublishedV2(_F4, 224, 237_605_592, 7_024_848, _RELEASE + "75.8"),
    "fbnet-v2-l1": PublishedV2(_L1, 224, 325_025_344, 8_540_760, _RELEASE + "77.0"),
    "fbnet-v2-l2": PublishedV2(_L1, 256, 422_610_304, 8_540_760, _RELEASE + "78.2"),
}
"""The release's own figures follow from these: its MFLOPs add the elements that enter each average pooling (56.41,
85.44, 121.82, 238.35, 326.02, 423.91), its parameters leave out BatchNorm and all biases (5.999, 5.999, 6.900, 6.995,
8.497, 8.497 million)."""
