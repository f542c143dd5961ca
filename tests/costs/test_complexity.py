"""Counting: known layers by hand, known networks by their published figures, and no rule that differs from torch's."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from palmette.blocks.convolution import conv_bn
from palmette.costs import shapes
from palmette.costs.complexity import CostTable, complexity
from palmette.errors import ArchitectureError
from palmette.slots import OneOf
from palmette.space import Space

aten = torch.ops.aten


def test_convolution_by_hand() -> None:
    counted = complexity(nn.Conv2d(3, 8, 3, stride=2, padding=1), (3, 10, 10))
    assert counted == {"flops": 5 * 5 * 8 * 3 * 9, "params": 8 * 3 * 9 + 8, "acts": 5 * 5 * 8}


def test_grouped_convolution_and_linear_by_hand() -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4, bias=False), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 5))
    assert complexity(network, (4, 6, 6)) == {"flops": 16 * 4 * 9 + 320, "params": 36 + 8 + 325, "acts": 64 + 5}


def test_convolution_in_a_function_is_counted() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(6, 3, 1, 1))

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.conv2d(x, self.weight).amax((2, 3)) @ torch.ones(6, 2, device=x.device)

    assert complexity(Functional(), (3, 4, 4)) == {"flops": 18 * 16 + 12, "params": 18, "acts": 6 * 16 + 2}


def test_counting_leaves_the_network_as_it_was() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train()
    complexity(network, (3, 4, 4))
    assert network.training
    assert network[1].num_batches_tracked == 0
    assert network[0].weight.device.type == "cpu"


def test_options_of_different_shapes_are_named() -> None:
    slot = OneOf("stage", k3=lambda: conv_bn(4, 8), k5=lambda: conv_bn(4, 8, 5, stride=2))
    with pytest.raises(ArchitectureError, match=r"'stage': option 'k3' gives .* \(8, 8, 8\) and option 'k5' of"):
        CostTable(Space(nn.Sequential(conv_bn(3, 4), slot)), (3, 8, 8))


def test_data_that_does_not_fit_is_named() -> None:
    space = Space(nn.Sequential(conv_bn(3, 4), OneOf("slot", a=nn.Identity)), name="toy")
    with pytest.raises(ArchitectureError, match=r"space 'toy': it cannot run an input of shape \(1, 8, 8\)"):
        CostTable(space, (1, 8, 8))


x, y = torch.randn(2, 6, 7, 8), torch.randn(2, 6, 7, 8)
vector = torch.randn(6)
OPERATIONS = [
    (aten.convolution.default, (x, torch.randn(4, 6, 3, 2), None, [2, 1], [1, 0], [1, 2], False, [0, 0], 1), {}),
    (aten.convolution.default, (x, torch.randn(6, 1, 3, 3), vector, [1, 1], [1, 1], [1, 1], False, [0, 0], 6), {}),
    (aten.convolution.default, (x[0], torch.randn(7, 7, 3), None, [1], [0], [1], False, [0], 1), {}),
    (aten.native_batch_norm.default, (x, vector, vector, vector, vector.square(), False, 0.1, 1e-5), {}),
    (aten.native_batch_norm.default, (x, None, None, vector, vector.square(), False, 0.1, 1e-5), {}),
    (aten.max_pool2d_with_indices.default, (x, [3, 2], [2, 1], [1, 1]), {}),
    (aten.max_pool2d_with_indices.default, (x, [3, 3]), {}),
    (aten.avg_pool2d.default, (x, [3, 3], [2, 2], [1, 1], False, False), {}),
    (aten.avg_pool2d.default, (x, [2, 2]), {}),
    (aten.mean.dim, (x, [-1, -2], True), {}),
    (aten.mean.dim, (x, [1]), {}),
    (aten.cat.default, ([x, x[:, :2]], 1), {}),
    (aten.cat.default, ([x, x[:, :, :, :3]], -1), {}),
    (aten.mm.default, (x[0, 0], y[0, 0].T), {}),
    (aten.addmm.default, (torch.randn(7), x[0, 0], y[0, 0].T), {}),
    (aten.add.Tensor, (x, y), {"alpha": 2}),
    (aten.mul.Tensor, (x, 0.5), {}),
    (aten.relu.default, (x,), {}),
    (aten.gelu.default, (x,), {"approximate": "tanh"}),
    (aten.mul.Tensor, (x, vector[0]), {}),
    (aten.div.Tensor, (vector[0], x), {}),
    (aten.round.default, (x,), {}),
    (aten.clamp_min.default, (x, 0), {}),
    (aten.le.Tensor, (vector[0], x), {}),
    (aten.ge.Tensor, (x, vector[0]), {}),
    (aten.lt.Scalar, (x, 0), {}),
    (aten.where.self, (x > 0, vector[0], x), {}),
    (aten.where.self, (x[0] > 0, vector[0], vector[1]), {}),
    (aten.mean.default, (x,), {}),
    (aten.max.default, (x,), {}),
]


@pytest.mark.parametrize(
    ("operation", "args", "kwargs"), OPERATIONS, ids=lambda value: str(value) if callable(value) else None
)
def test_shape_rules_equal_what_torch_computes(operation, args, kwargs) -> None:  # type: ignore[no-untyped-def]
    expected = operation(*args, **kwargs)
    actual = shapes.shaped(operation, args, kwargs)
    expected, actual = (r[0] if isinstance(r, tuple) else r for r in (expected, actual))
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)


REFUSED = [
    (aten.convolution.default, (x, torch.randn(4, 5, 3, 3), None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)),
    (aten.convolution.default, (x, torch.randn(4, 6, 9, 9), None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)),
    (aten.convolution.default, (x, torch.randn(6, 4, 3, 3), None, [1, 1], [0, 0], [1, 1], True, [0, 0], 1)),
    (aten.native_batch_norm.default, (x, vector[:5], vector, vector, vector, False, 0.1, 1e-5)),
    (aten.max_pool2d_with_indices.default, (x, [3, 3], [2, 2], [0, 0], [2, 2])),
    (aten.max_pool2d_with_indices.default, (x, [9, 9], [2, 2])),
    (aten.avg_pool2d.default, (x, [3, 3], [2, 2], [1, 1], True)),
    (aten.avg_pool2d.default, (x[0], [3, 3], [2, 2])),
    (aten.cat.default, ([x, x[:, :, :2]], 1)),
    (aten.mm.default, (x[0, 0], y[0, 0])),
    (aten.addmm.default, (vector, x[0, 0], y[0, 0].T)),
    (aten.add.Tensor, (x, y[:, :1])),
    (aten.add.Tensor, (x, y.double())),
    (aten.exp.default, (x,)),
    (aten.lt.Scalar, (x.long(), 0)),
    (aten.where.self, (x > 0, vector[0], x[0])),
    (aten.add_.Tensor, (vector[0], x)),
]


@pytest.mark.parametrize(("operation", "args"), REFUSED, ids=lambda value: str(value) if callable(value) else None)
def test_shape_rules_leave_other_cases_to_torch(operation, args) -> None:  # type: ignore[no-untyped-def]
    assert shapes.shaped(operation, args, {}) is None


def test_counting_a_convolutional_space_does_not_import_the_compiler() -> None:
    code = """
import sys
from palmette.costs.complexity import CostTable
from palmette.spaces.darts import darts_small
from palmette.spaces.nas_bench_macro import nas_bench_macro
from palmette.spaces.resnet_bits import small_bits
from palmette.spaces.shuffle_choice import shuffle_choice
from palmette.spaces.small_widths import small_widths
CostTable(nas_bench_macro(), (3, 32, 32)), CostTable(shuffle_choice(), (3, 224, 224))
CostTable(darts_small(), (3, 32, 32))
CostTable(small_widths(), (1, 8, 8)), CostTable(small_bits(), (1, 8, 8))
sys.exit("torch._dynamo" in sys.modules or "sympy" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
