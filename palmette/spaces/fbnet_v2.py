"""FBNetV2: the published networks, block by block.

Wan et al., "FBNetV2: Differentiable Neural Architecture Search for Spatial and Channel Dimensions", CVPR 2020, and the
authors' release (gradient.md 8.6). Input resolution differs from network to network, from 128 to 288 pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from palmette.blocks.convolution import Activation, conv_bn, hard_swish, in_place_relu
from palmette.blocks.fbnet_block import FBNetBlock, fbnet_block, fbnet_skip

ACTIVATIONS: Mapping[str, Activation] = {"R": in_place_relu, "H": hard_swish}


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
