"""FBNetV2's published networks: their costs, and how the release's own figures follow (gradient.md 8.6)."""

from __future__ import annotations

import dataclasses
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from palmette.choice import Choice
from palmette.costs.complexity import CostTable, complexity
from palmette.costs.expected import ExpectedCost
from palmette.space import Space, Supernet
from palmette.spaces.fbnet_v2 import PUBLISHED, Axes, fbnet_v2
from palmette.supernets.sliced import Sliced, Width

# Multiply-accumulates in millions and parameters, and both in millions as the release prints them.
COSTS = {
    "fbnet-v2-f1": ("56.232", 6_026_336, "56.41", "5.999"),
    "fbnet-v2-f2": ("85.163", 6_026_336, "85.44", "5.999"),
    "fbnet-v2-f3": ("121.424", 6_926_816, "121.82", "6.900"),
    "fbnet-v2-f4": ("237.606", 7_024_848, "238.35", "6.995"),
    "fbnet-v2-l1": ("325.025", 8_540_760, "326.02", "8.497"),
    "fbnet-v2-l2": ("422.610", 8_540_760, "423.91", "8.497"),
}


@pytest.mark.parametrize("name", COSTS)
def test_published_networks_have_their_published_costs_in_both_conventions(name: str) -> None:
    published = PUBLISHED[name]
    shape = (3, published.resolution, published.resolution)
    with torch.device("meta"):
        network = published.network()
    costs = complexity(network, shape)
    flops, params, printed_flops, printed_params = COSTS[name]
    assert f"{costs['flops'] / 1e6:.3f}" == flops
    assert costs["params"] == params == published.params
    assert costs["flops"] == published.flops
    assert f"{(costs['flops'] + pooled_elements(network, shape)) / 1e6:.2f}" == printed_flops
    weights = [m.weight.numel() for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert f"{sum(weights) / 1e6:.3f}" == printed_params


def test_f0_counts_with_everything_and_as_its_comment_says_without_the_last_layer() -> None:
    """The comment counts weights only, and what enters average poolings (gradient.md 8.6); the last layer is 1280 x
    1000."""
    with torch.device("meta"):
        network = PUBLISHED["fbnet-v2-f0"].network()
    costs = complexity(network, (3, 224, 224))
    assert (f"{costs['flops'] / 1e6:.2f}", f"{costs['params'] / 1e6:.3f}") == ("66.28", "2.824")
    weights = [m.weight.numel() for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert weights[-1] == 1280 * 1000
    assert f"{sum(weights[:-1]) / 1e6:.3f}" == "1.531"
    commented = costs["flops"] - weights[-1] + pooled_elements(network, (3, 224, 224))
    assert f"{commented / 1e6:.2f}" == "65.27"


def pooled_elements(network: nn.Module, shape: tuple[int, int, int]) -> int:
    """Return how many elements enter average poolings."""
    entered: list[int] = []

    def note(module: nn.Module, inputs: tuple[Tensor]) -> None:
        entered.append(inputs[0].numel())

    for module in network.modules():
        if isinstance(module, nn.AdaptiveAvgPool2d):
            module.register_forward_pre_hook(note)
    network.eval()(torch.empty(1, *shape, device="meta"))
    return sum(entered)


def tiny_axes() -> Axes:
    return Axes(
        widths=((4, 8), (8, 12)),
        depths=(1, 2),
        strides=(1, 2),
        expansions=(1.0, 2.0, 3.0),
        kinds=("k3R", "k5HS"),
        stem=8,
        stem_stride=1,
        last=16,
    )


def gradients(supernet: Supernet, choice: Choice) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the output and the gradients of the parameters, zeros for none."""
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    supernet.zero_grad()
    output = supernet(x, choice)
    output.square().sum().backward()
    found = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in supernet.named_parameters()}
    return output.detach(), found


@pytest.mark.parametrize("seed", range(4))
def test_one_hot_weights_over_all_decisions_equal_the_single_path_in_value_and_gradient(seed: int) -> None:
    space = fbnet_v2(classes=3, channels=1, axes=tiny_axes())
    supernet = space.supernet(seed=0).train()
    decisions = space.decisions
    indices = {name: seed % len(decisions.values(name)) for name in decisions.decisions}
    hot = {name: torch.eye(len(decisions.values(name)))[index] for name, index in indices.items()}
    torch.testing.assert_close(gradients(supernet, hot), gradients(supernet, indices), rtol=1e-4, atol=1e-6)


def test_the_loss_reaches_the_weights_of_inner_and_outer_widths_behind_batch_norm() -> None:
    """Where the mask stood before the depthwise convolution, its BatchNorm would cancel it: the gradient is lost."""
    space = fbnet_v2(classes=3, channels=1, axes=tiny_axes())
    supernet = space.supernet(seed=0).train()
    x = torch.randn(16, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    options = {name: len(space.decisions.values(name)) for name in space.decisions.decisions}
    weights = {name: torch.full((n,), 1 / n, requires_grad=True) for name, n in options.items()}
    cross_entropy(supernet(x, weights), torch.arange(16) % 3).backward()
    sizes = {name: float(w.grad.abs().max()) for name, w in weights.items() if w.grad is not None}
    assert min(size for name, size in sizes.items() if "inner" in name or "width" in name) > 1e-4

    early = torch.full((24,), 0.5, requires_grad=True)  # a factor per channel between the two convolutions
    slot = supernet.network[0][1].options[0][0]  # type: ignore[index]
    widen, deep = slot.largest
    deep[1].eps = 1e-12  # what little passes otherwise is that constant's
    y = deep(widen(torch.relu(torch.randn(16, 8, 8, 8))) * early.view(-1, 1, 1))
    y.square().sum().backward()
    assert early.grad is not None
    late = torch.full((24,), 0.5, requires_grad=True)
    (y.detach() * late.view(-1, 1, 1)).square().sum().backward()
    assert late.grad is not None
    assert float(early.grad.abs().max()) < 1e-3 * float(late.grad.abs().max())


def test_all_widths_share_one_convolution_and_its_memory() -> None:
    """What autograd keeps, in bytes, is the same for two and for six widths of equal largest, but for the masks."""

    def kept(widths: tuple[int, ...]) -> int:
        axes = dataclasses.replace(tiny_axes(), widths=(widths,), depths=(1,), strides=(1,), kinds=("k3R",))
        space = fbnet_v2(classes=3, channels=1, axes=axes)
        choice = {n: torch.ones(len(space.decisions.values(n))).softmax(0) for n in space.decisions.decisions}
        storages: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            space.supernet(seed=0)(torch.randn(16, 1, 8, 8), choice).sum()
        return sum(storages.values())

    assert kept((4, 8, 12, 16, 20, 24)) < 1.01 * kept((4, 24))


def test_expected_flops_are_those_of_the_effective_width() -> None:
    """Weights 0.8 and 0.2 over 16 and 12 channels are 15.2 effective channels, on both sides (gradient.md 8.3)."""
    width = Width("width", (12, 16))
    network = nn.Sequential(
        Sliced(partial(nn.Conv2d, 3, kernel_size=3, padding=1), width, outputs=width),
        Sliced(lambda inputs: nn.Conv2d(inputs, 10, 1), width, inputs=width),
    )
    expected = ExpectedCost(CostTable(Space(network), (3, 4, 4)), "flops")
    assert float(expected({"width": torch.tensor([0.2, 0.8])})) == pytest.approx(16 * (9 * 3 * 15.2 + 15.2 * 10))


def test_expected_flops_between_two_open_widths_are_those_of_both_effective_widths() -> None:
    before, after = Width("before", (4, 8)), Width("after", (12, 16))
    network = nn.Sequential(
        Sliced(lambda outputs: nn.Conv2d(3, outputs, 1), before, outputs=before),
        Sliced(lambda inputs, outputs: nn.Conv2d(inputs, outputs, 1), before, after, inputs=before, outputs=after),
        Sliced(lambda inputs: nn.Conv2d(inputs, 10, 1), after, inputs=after),
    )
    expected = ExpectedCost(CostTable(Space(network), (3, 4, 4)), "flops")
    probabilities = {"before": torch.tensor([0.25, 0.75]), "after": torch.tensor([0.2, 0.8])}
    assert float(expected(probabilities)) == pytest.approx(16 * (3 * 7 + 7 * 15.2 + 15.2 * 10))
