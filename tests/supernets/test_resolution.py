"""Resolution: subsampled inputs, one set of weights, and the memory of one size however many there are."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from palmette.blocks.convolution import conv_bn
from palmette.choice import Choice
from palmette.costs.complexity import CostTable, complexity
from palmette.errors import ArchitectureError
from palmette.slots import OneOf
from palmette.space import Space, Supernet
from palmette.supernets.resolution import ResolutionOneOf, Subsample


def features() -> nn.Module:
    block = OneOf("block", k3=partial(conv_bn, 4, 4, 3), k5=partial(conv_bn, 4, 4, 5))
    return nn.Sequential(conv_bn(1, 4, 3), block, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def space(*sizes: int) -> Space:
    return Space(lambda: nn.Sequential(ResolutionOneOf("size", sizes, features), nn.Linear(4, 2)), name="sizes")


X = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_half_the_size_takes_every_second_pixel_and_mixes_none() -> None:
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert Subsample(2)(x).flatten().tolist() in ([0, 2, 8, 10], [5, 7, 13, 15])
    assert torch.equal(Subsample(4)(x), x)


@pytest.mark.parametrize("index", [0, 1])
def test_one_hot_weights_equal_the_index_in_value_and_gradient(index: int) -> None:
    supernet = space(4, 8).supernet(seed=0).train()
    single = gradients(supernet, {"size": index, "block": 1})
    mixture = gradients(supernet, {"size": torch.eye(2)[index], "block": 1})
    torch.testing.assert_close(mixture, single, rtol=1e-5, atol=1e-6)


def gradients(supernet: Supernet, choice: Choice) -> tuple[Tensor, dict[str, Tensor]]:
    supernet.zero_grad()
    output = supernet(X, choice)
    output.square().sum().backward()
    found = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in supernet.named_parameters()}
    return output.detach(), found


def test_weights_over_sizes_sum_what_the_network_gives_and_learn() -> None:
    supernet = space(4, 8).supernet(seed=0).eval()
    weights = torch.tensor([0.3, 0.7], requires_grad=True)
    output = supernet(X, {"size": weights, "block": 0})
    outputs = [supernet(X, {"size": i, "block": 0}) for i in (0, 1)]
    torch.testing.assert_close(output, 0.3 * outputs[0] + 0.7 * outputs[1])  # the last layer is linear, 0.3 + 0.7 = 1
    output.sum().backward()
    bias = supernet.get_parameter("network.1.bias").sum()
    expected = torch.stack([(o - supernet.get_parameter("network.1.bias")).sum() for o in outputs])
    torch.testing.assert_close(weights.grad, expected, msg=f"bias {bias}")


def test_sizes_cost_no_activations_of_their_own() -> None:
    """What autograd keeps, in bytes: of several sizes not the features, but only their inputs and outputs."""

    def kept(supernet: Supernet, choice: Choice) -> int:
        storages: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            supernet(X, choice).sum()
        return sum(storages.values())

    alone = kept(space(8).supernet(seed=0), {"size": 0, "block": 0})
    several = kept(space(4, 5, 6, 7, 8).supernet(seed=0), {"size": torch.full((5,), 0.2), "block": 0})
    assert several < alone


def test_flops_are_those_of_the_size_and_depend_on_the_block() -> None:
    sizes = space(4, 8)
    table = CostTable(sizes, (1, 8, 8))
    for architecture in sizes.decisions.enumerate():
        assert table(architecture) == complexity(sizes.build(architecture, seed=0), (1, 8, 8))
    flops = {sizes.decisions.code(a): table(a)["flops"] - 8 for a in sizes.decisions.enumerate()}  # 8 of the classifier
    assert flops["10"] == 4 * flops["00"] == 64 * (4 * 9 + 16 * 9)


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ArchitectureError, match="rising order"):
        ResolutionOneOf("size", (8, 4), features)
