"""Probes: the gradient of a gate's weights equals that of running every option, at one option's graph."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from palmette.blocks.convolution import conv_bn
from palmette.choice import Choice, Gate
from palmette.slots import OneOf
from palmette.space import Space, Supernet


def inner() -> nn.Module:
    return nn.Sequential(OneOf("inner", k1=partial(conv_bn, 6, 6), skip=nn.Identity), conv_bn(6, 6))


def network() -> nn.Module:
    options = {"k3": partial(conv_bn, 6, 6, 3), "k5": partial(conv_bn, 6, 6, 5), "skip": nn.Identity}
    return nn.Sequential(
        conv_bn(3, 6, 3),
        OneOf("first", **options),
        OneOf("second", k3=partial(conv_bn, 6, 6, 3), deep=inner),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


@pytest.fixture
def supernet() -> Supernet:
    return Space(network).supernet(seed=0)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(5, 3, 6, 6, generator=torch.Generator().manual_seed(0))


def weights_of(active: int, options: int) -> Tensor:
    return torch.eye(options)[active].requires_grad_()


def gradients(supernet: Supernet, x: Tensor, choice: Choice) -> tuple[Tensor, list[Tensor], dict[str, Tensor | None]]:
    """Return the output, the gradients of the gates' weights, and those of the supernet's parameters."""
    supernet.zero_grad()
    output = supernet(x, choice)
    output.square().sum().backward()
    weights = [pick.weights.grad for pick in choice.values() if isinstance(pick, Gate)]
    return output.detach(), [w for w in weights if w is not None], {n: p.grad for n, p in supernet.named_parameters()}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("active", [0, 1, 2])
@pytest.mark.parametrize("second", [0, 1])
def test_probed_weights_get_the_gradient_of_a_mixture_of_all(
    supernet: Supernet, x: Tensor, training: bool, active: int, second: int
) -> None:
    supernet.train(training)
    probing = {
        "first": Gate(weights_of(active, 3), (active,), (0, 1, 2)),
        "second": Gate(weights_of(second, 2), (second,), (0, 1)),
        "inner": 0,
    }
    running = {
        "first": Gate(weights_of(active, 3), (0, 1, 2)),
        "second": Gate(weights_of(second, 2), (0, 1)),
        "inner": 0,
    }
    output, found, _ = gradients(supernet, x, probing)
    expected_output, expected, _ = gradients(supernet, x, running)
    torch.testing.assert_close(output, expected_output)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_only_probed_weights_get_a_gradient(supernet: Supernet, x: Tensor) -> None:
    supernet.eval()
    pair = Gate(weights_of(2, 3), (2,), (0, 2))
    everything = Gate(weights_of(2, 3), (0, 1, 2))
    _, (found,), _ = gradients(supernet, x, {"first": pair, "second": 0})
    _, (expected,), _ = gradients(supernet, x, {"first": everything, "second": 0})
    torch.testing.assert_close(found, expected * torch.tensor([1.0, 0.0, 1.0]))


@pytest.mark.parametrize("active", [0, 1, 2])
def test_the_path_that_runs_is_the_single_path_in_value_and_gradient(
    supernet: Supernet, x: Tensor, active: int
) -> None:
    supernet.train()
    gate = Gate(weights_of(active, 3), (active,), (0, 1, 2))
    output, _, by_name = gradients(supernet, x, {"first": gate, "second": 0})
    expected_output, _, expected = gradients(supernet, x, {"first": active, "second": 0})
    assert torch.equal(output, expected_output)
    assert by_name.keys() == expected.keys()
    for name, gradient in by_name.items():
        other = expected[name]
        assert (gradient is None) == (other is None), name
        assert gradient is None or other is None or torch.equal(gradient, other), name


def test_probing_leaves_the_statistics_of_options_that_do_not_run_as_they_were(supernet: Supernet, x: Tensor) -> None:
    supernet.train()
    before = {name: buffer.clone() for name, buffer in supernet.named_buffers()}
    gate = Gate(weights_of(0, 3), (0,), (0, 1, 2))
    gradients(supernet, x, {"first": gate, "second": 0})
    changed = {name for name, buffer in supernet.named_buffers() if not torch.equal(buffer, before[name])}
    assert any(name.startswith("network.1.options.0") for name in changed)
    assert not any(name.startswith(("network.1.options.1", "network.2.options.1")) for name in changed)
    supernet(x, {"first": 1, "second": 0})
    assert not torch.equal(supernet.get_buffer("network.1.options.1.1.running_mean"), torch.zeros(6))


def test_only_the_path_that_runs_keeps_activations(supernet: Supernet, x: Tensor) -> None:
    """Count what autograd saves: as many elements with probes as for the single path, but for one small tensor more."""

    def saved(choice: Choice) -> int:
        kept: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            supernet(x, choice).sum()
        return sum(kept.values())

    single = saved({"first": 0, "second": 0})
    probing = saved({"first": Gate(weights_of(0, 3), (0,), (0, 1, 2)), "second": 0})
    mixture = saved({"first": torch.ones(3), "second": 0})
    assert probing <= 1.05 * single
    assert mixture > 1.5 * single


def test_other_slots_treat_probed_options_as_running_ones() -> None:
    from palmette.choice import terms

    weights = torch.tensor([0.0, 1.0, 0.0])
    assert [index for index, _ in terms(Gate(weights, (1,), (1, 2)), 3)] == [1, 2]
