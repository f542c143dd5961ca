"""Mixed edges: the weighted sum of all operations on every edge of a cell, in few and fast kernels.

The sum is that of DARTS (Liu et al., 2019, equation 2), rearranged without changing its value:

- edges that leave one state share its ReLU and its pooling, which have no parameters;
- the last BatchNorm of an operation has no scale of its own in a search, so it takes the edge's weight as its scale;
- a depthwise convolution of dilation 2 is an ordinary one on each of the four images made of every second row and
  column. Kernels for that are many times faster, its weight gradient above all, and edges share the rearrangement.

Legend: N images, C channels, H and W height and width of a state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, batch_norm, conv2d, max_pool2d, relu

from palmette.blocks.factorized_reduce import FactorizedReduce

Weighted = Mapping[str, Tensor | None]
"""By operation, the scalar weight; ``None`` stands for one, what is missing is not computed."""


class State:
    """A state of a cell, ``[N, C, H, W]``, with what its outgoing edges share."""

    def __init__(self, x: Tensor, *, stride: int) -> None:
        self.x = x
        self.stride = stride
        self.relu = relu(x)
        self._shared: dict[str, Tensor] = {}

    def pooled(self, operation: str) -> Tensor:
        """Return the pooled and normalised state, ``[N, C, H/stride, W/stride]``."""
        if operation not in self._shared:
            if operation == "max_pool_3x3":
                y = max_pool2d(self.x, 3, self.stride, 1)
            else:
                y = avg_pool2d(self.x, 3, self.stride, 1, count_include_pad=False)
            self._shared[operation] = batch_norm(y, None, None, training=True)
        return self._shared[operation]

    def phases(self) -> Tensor:
        """Return every second row and column after ReLU: all four images, ``[4N, C, H/2, W/2]``, or at stride 2 one."""
        if "phases" not in self._shared:
            self._shared["phases"] = self.relu[:, :, ::2, ::2] if self.stride == 2 else split(self.relu)
        return self._shared["phases"]


class Sum:
    """What has arrived at a node: in the layout of states, and as four images of every second row and column."""

    def __init__(self) -> None:
        self.whole: list[Tensor] = []
        self.phases: list[Tensor] = []

    def total(self, like: Tensor) -> Tensor:
        """Return the state of the node, of the shape of ``like``; zeros where nothing has arrived."""
        parts = [*self.whole, joined(_added(self.phases))] if self.phases else self.whole
        return _added(parts) if parts else torch.zeros_like(like)


def add_edge(node: Sum, state: State, operations: Mapping[str, nn.Module], weights: Weighted) -> None:
    """Add the weighted operations of one edge to its node."""
    for name, weight in weights.items():
        match operations.get(name), name:
            case _, "none":
                continue
            case _, ("max_pool_3x3" | "avg_pool_3x3"):
                node.whole.append(_times(state.pooled(name), weight))
            case nn.Identity(), _:
                node.whole.append(_times(state.x, weight))
            case FactorizedReduce() as reduce, _:
                halves = [reduce.even(state.relu), reduce.odd(state.relu[:, :, 1:, 1:])]
                node.whole.append(_normalised(reduce.norm, torch.cat(halves, dim=1), weight))
            case nn.Sequential() as layers, ("dil_conv_3x3" | "dil_conv_5x5"):
                _add_dilated(node, state, layers, weight)
            case nn.Sequential() as layers, _:
                _, *convolutions, norm = layers.children()
                y = state.relu
                for layer in convolutions:
                    y = layer(y)
                node.whole.append(_normalised(norm, y, weight))


def split(x: Tensor) -> Tensor:
    """Return the four images of every second row and column of each, ``[4N, C, H/2, W/2]``; H and W are even."""
    n, c, h, w = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(n, h // 2, 2, w // 2, 2, c)
    return rows.permute(2, 4, 0, 1, 3, 5).reshape(4 * n, h // 2, w // 2, c).permute(0, 3, 1, 2)


def joined(x: Tensor) -> Tensor:
    """Undo ``split``: ``[4N, C, H/2, W/2]`` to ``[N, C, H, W]``."""
    n, c, h, w = x.shape[0] // 4, x.shape[1], x.shape[2], x.shape[3]
    rows = x.permute(0, 2, 3, 1).reshape(2, 2, n, h, w, c)
    return rows.permute(2, 3, 0, 4, 1, 5).reshape(n, 2 * h, 2 * w, c).permute(0, 3, 1, 2)


def _add_dilated(node: Sum, state: State, layers: nn.Sequential, weight: Tensor | None) -> None:
    _, depthwise, pointwise, norm = layers.children()
    assert isinstance(depthwise, nn.Conv2d)
    if state.stride == 1 and any(size % 2 for size in state.x.shape[2:]):  # its four images would differ in size
        node.whole.append(_normalised(norm, pointwise(depthwise(state.relu)), weight))
        return
    kernel = depthwise.kernel_size[0]
    y = conv2d(state.phases(), depthwise.weight, padding=kernel // 2, groups=depthwise.groups)
    out = _normalised(norm, pointwise(y), weight)
    (node.whole if state.stride == 2 else node.phases).append(out)


def _normalised(norm: nn.Module, y: Tensor, weight: Tensor | None) -> Tensor:
    """Return ``weight * norm(y)`` for a BatchNorm without parameters that uses the statistics of the batch."""
    assert isinstance(norm, nn.BatchNorm2d)
    scale = None if weight is None else weight.expand(y.shape[1]).contiguous()  # kernels take its memory as it is
    return batch_norm(y, None, None, weight=scale, training=True, eps=norm.eps)


def _times(x: Tensor, weight: Tensor | None) -> Tensor:
    return x if weight is None else weight * x


def _added(parts: Sequence[Tensor]) -> Tensor:
    total = parts[0] + parts[1] if len(parts) > 1 else parts[0]
    for part in parts[2:]:
        total += part  # in place: addition needs none of its terms again for its gradient
    return total
