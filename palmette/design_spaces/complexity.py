"""Complexity as the RegNet papers count it: in closed form for millions of AnyNets, and by counting a built module.

The convention is that of the authors' code (Radosavovic et al., 2020, section 3.1 and their released networks) and
differs from ``palmette.costs.complexity``, which counts multiply-accumulates only:

- ``flops``: multiply-accumulates of convolutions and linear layers, **plus one per output element of a bias**;
- ``params``: as PyTorch counts them;
- ``acts``: output elements of convolutions and linear layers, **and of max-pools**.

For an X network for 1000 classes the flops of the two differ by the 1000 biases of the classifier and the activations
not at all; a ResNet's also by its max-pool; squeeze-and-excitation adds its biases.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from palmette.spaces.anynet import AnyNet, BlockName, Integers, Skeleton

COMPLEXITIES = ("flops", "params", "acts")


@dataclass(frozen=True, eq=False)
class Complexity:
    """Exact counts of N networks (or stages), int64 arrays of one shape."""

    flops: Integers
    params: Integers
    acts: Integers

    def __add__(self, other: Complexity) -> Complexity:
        return Complexity(self.flops + other.flops, self.params + other.params, self.acts + other.acts)

    def times(self, number: Integers) -> Complexity:
        """Return the counts of ``number`` equal parts."""
        return Complexity(self.flops * number, self.params * number, self.acts * number)

    def summed(self) -> Complexity:
        """Return the sum over the first axis."""
        return Complexity(self.flops.sum(0), self.params.sum(0), self.acts.sum(0))

    def take(self, index: npt.NDArray[Any]) -> Complexity:
        """Return the networks at ``index``, numbers or a mask."""
        return Complexity(self.flops[index], self.params[index], self.acts[index])

    def as_dict(self) -> dict[str, Integers]:
        return {"flops": self.flops, "params": self.params, "acts": self.acts}


@dataclass(frozen=True, eq=False)
class Stages:
    """The stages of N AnyNets, already compatible, as arrays ``[stages, N]``."""

    depths: Integers
    widths: Integers
    bottlenecks: npt.NDArray[np.float64]
    group_widths: Integers

    def take(self, index: npt.NDArray[Any]) -> Stages:
        """Return the networks at ``index``, numbers or a mask."""
        return Stages(
            self.depths[:, index], self.widths[:, index], self.bottlenecks[:, index], self.group_widths[:, index]
        )


def complexities(skeleton: Skeleton, stages: Stages, resolution: int) -> Complexity:
    """Return the counts of N networks in closed form, ``[N]`` each, for square images of ``resolution`` pixels."""
    size, fixed = _stem(skeleton, resolution)
    sizes = [size]
    for stride in skeleton.strides:
        sizes.append(_strided(sizes[-1], stride))
    areas = np.array(sizes, dtype=np.int64)[:, None] ** 2
    widths = stages.widths
    inputs = np.vstack([np.full_like(widths[:1], skeleton.stem_width), widths[:-1]])
    strides = np.array(skeleton.strides, dtype=np.int64)[:, None]
    first = _block(skeleton, stages, inputs, areas=(areas[:-1], areas[1:]), projects=(inputs != widths) | (strides > 1))
    never = np.zeros_like(widths, dtype=np.bool_)
    other = _block(skeleton, stages, widths, areas=(areas[1:], areas[1:]), projects=never)
    body = (first + other.times(stages.depths - 1)).summed()
    return fixed + body + _head(skeleton, widths[-1], sizes[-1] ** 2)


def anynet_complexity(network: AnyNet, resolution: int) -> dict[str, int]:
    """Return ``{"flops", "params", "acts"}`` of one network in closed form."""
    rows = [(stage.depth, stage.width, stage.bottleneck, stage.group_width) for stage in network.stages]
    depths, widths, bottlenecks, groups = (np.array(column)[:, None] for column in zip(*rows, strict=True))
    counted = complexities(network.skeleton, Stages(depths, widths, bottlenecks, groups), resolution)
    return {name: int(values[0]) for name, values in counted.as_dict().items()}


def counted_complexity(network: nn.Module, input_shape: Sequence[int]) -> dict[str, int]:
    """Return ``{"flops", "params", "acts"}`` of any module, counted layer by layer while it runs on the meta device.

    Args:
        network: made of ``nn.Conv2d``, ``nn.Linear``, ``nn.MaxPool2d`` and layers that cost nothing.
        input_shape: of one input, without the batch.
    """
    network = copy.deepcopy(network).to("meta").eval()
    flops = acts = 0

    def count(layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal flops, acts
        acts += output.numel()
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            bias = output.numel() if layer.bias is not None else 0
            flops += output.numel() * layer.weight[0].numel() + bias

    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear, nn.MaxPool2d)):
            layer.register_forward_hook(count)
    with torch.no_grad():
        network(torch.empty(1, *input_shape, device="meta"))
    return {"flops": flops, "params": sum(p.numel() for p in network.parameters()), "acts": acts}


def _strided(size: int, stride: int) -> int:
    return (size - 1) // stride + 1


def _conv(kernel: int, inputs: Any, outputs: Any, area: Any) -> Complexity:
    """Count a convolution without bias and its BatchNorm; ``inputs`` are those that one output channel reads."""
    weights = kernel * kernel * inputs * outputs
    return Complexity(weights * area, weights + 2 * outputs, outputs * area)


def _stem(skeleton: Skeleton, resolution: int) -> tuple[int, Complexity]:
    """Return the size of the stem's output, in pixels, and its counts."""
    kernel, stride = (7, 2) if skeleton.stem == "imagenet" else (3, 1 if skeleton.stem == "cifar" else 2)
    size = _strided(resolution, stride)
    count = _conv(kernel, np.int64(skeleton.channels), np.int64(skeleton.stem_width), np.int64(size * size))
    if skeleton.stem == "imagenet":
        size = _strided(size, 2)
        pooled = Complexity(np.int64(0), np.int64(0), np.int64(skeleton.stem_width * size * size))  # type: ignore[arg-type]
        count = count + pooled
    return size, count


def _head(skeleton: Skeleton, widths: Integers, area: int) -> Complexity:
    nothing = np.zeros_like(widths)
    neck = Complexity(nothing, nothing, nothing)
    if skeleton.head_width:
        neck = _conv(1, widths, np.int64(skeleton.head_width), np.int64(area))
        widths = np.full_like(widths, skeleton.head_width)
    weights = widths * skeleton.classes + skeleton.classes
    return neck + Complexity(weights, weights, nothing + skeleton.classes)


def _block(
    skeleton: Skeleton,
    stages: Stages,
    inputs: Integers,
    *,
    areas: tuple[Integers, Integers],
    projects: npt.NDArray[np.bool_],
) -> Complexity:
    """Count one block of each stage; ``areas`` are pixels before and after it."""
    before, after = areas
    widths = stages.widths
    block: BlockName = skeleton.block
    if block in ("bottleneck", "ungrouped", "linear"):
        inner = np.rint(widths / stages.bottlenecks).astype(np.int64)
        count = _conv(1, inputs, inner, before) + _conv(3, stages.group_widths, inner, after)
        count = count + _conv(1, inner, widths, after)
        if skeleton.squeeze:
            count = count + _squeeze(inner, np.rint(skeleton.squeeze * inputs).astype(np.int64))
    else:
        count = _conv(3, inputs, widths, after)
        if block in ("basic", "vanilla"):
            count = count + _conv(3, widths, widths, after)
    if block in ("bottleneck", "ungrouped", "basic", "residual-single"):
        count = count + _conv(1, inputs, widths, after).times(projects.astype(np.int64))
    return count


def _squeeze(width: Integers, inner: Integers) -> Complexity:
    weights = (2 * width * inner + inner + width) * (inner > 0)
    return Complexity(weights, weights, (inner + width) * (inner > 0))
