"""One supernet, one call ``supernet(x, choice)``: the five things a choice can mean, on the same network.

The network has a nested slot, tied slots and a slot of channel widths. The last test generates its weights.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from palmette.blocks.convolution import conv_bn
from palmette.choice import Choice, Gate, Pick, checkpointed
from palmette.errors import ArchitectureError
from palmette.slots import OneOf
from palmette.space import Space, Supernet
from palmette.supernets.generated import GeneratedWeights
from palmette.supernets.sliced import Sliced, Width

INDICES: dict[str, Pick] = {"first": 1, "second": 2, "inner": 1, "width": 1}


def network() -> nn.Module:
    def inner() -> nn.Module:
        return nn.Sequential(OneOf("inner", k1=lambda: conv_bn(8, 8), k3=lambda: conv_bn(8, 8, 3)), conv_bn(8, 8))

    width = Width("width", (4, 8, 12))
    return nn.Sequential(
        conv_bn(3, 8, 3),
        OneOf("first", k3=lambda: conv_bn(8, 8, 3), k5=lambda: conv_bn(8, 8, 5), skip=nn.Identity),
        OneOf("second", skip=nn.Identity, k3=lambda: conv_bn(8, 8, 3), nested=inner),
        OneOf("first", k3=lambda: conv_bn(8, 8, 3), k5=lambda: conv_bn(8, 8, 5), skip=nn.Identity),
        Sliced(lambda outputs: conv_bn(8, outputs, 3), width, outputs=width, padded=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 5),
    )


@pytest.fixture
def space() -> Space:
    return Space(network, name="seam")


@pytest.fixture
def supernet(space: Space) -> Supernet:
    return space.supernet(seed=0)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(0))


def one_hots(space: Space, indices: Mapping[str, Pick]) -> Choice:
    """Return the weight vectors that have a one at the given indices."""
    count = {name: len(space.decisions.values(name)) for name in space.decisions.decisions}
    return {name: torch.eye(count[name])[index] for name, index in indices.items() if isinstance(index, int)}


def forward_and_gradients(supernet: nn.Module, x: Tensor, choice: Choice) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Return the output, the gradient of the input and those of the parameters, zeros for ``None``."""
    x = x.clone().requires_grad_()
    supernet.zero_grad()
    output = supernet(x, choice)
    output.square().sum().backward()
    assert x.grad is not None
    gradients = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in supernet.named_parameters()}
    return output.detach(), x.grad, {name: gradient.clone() for name, gradient in gradients.items()}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("second", [0, 1, 2])
@pytest.mark.parametrize("width", [0, 1, 2])
def test_one_hot_weights_equal_the_index(
    space: Space, supernet: Supernet, x: Tensor, training: bool, second: int, width: int
) -> None:
    supernet.train(training)
    indices = {**INDICES, "second": second, "width": width}
    expected = forward_and_gradients(supernet, x, indices)
    actual = forward_and_gradients(supernet, x, one_hots(space, indices))
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-6)


def test_weights_mix_all_options(space: Space, supernet: Supernet, x: Tensor) -> None:
    supernet.eval()
    weights = torch.tensor([0.2, 0.5, 0.3])
    slot, width = supernet.network[1], supernet.network[4]  # type: ignore[index]
    stem = supernet.network[0](x)  # type: ignore[index, operator]
    mixed = sum(weight * option(stem) for weight, option in zip(weights, slot.options, strict=True))
    full = width.largest(torch.ones(1, 8, 6, 6))
    captured: dict[str, Tensor] = {}
    slot.register_forward_hook(lambda *args: captured.update(first=args[2]))
    supernet(x, {**INDICES, "first": weights})
    torch.testing.assert_close(captured["first"], mixed)
    kept = torch.tensor([1.0] * 4 + [0.8] * 4 + [0.3] * 4)[:, None, None]  # widths 4, 8, 12 overlap in the low channels
    torch.testing.assert_close(picked_width(supernet, {"width": weights}), full * kept)


def picked_width(supernet: Supernet, choice: Choice) -> Tensor:
    output: Tensor = Supernet(supernet.network[4])(torch.ones(1, 8, 6, 6), choice)  # type: ignore[index]
    return output


def test_an_index_of_a_width_computes_the_leading_channels_only(supernet: Supernet, x: Tensor) -> None:
    supernet.train()
    output = picked_width(supernet, {"width": 0})
    assert output.shape == (1, 12, 6, 6)
    assert output[:, 4:].eq(0).all()
    statistics = supernet.get_buffer("network.4.largest.0.1.running_mean")
    assert statistics[:4].ne(0).all()
    assert statistics[4:].eq(0).all()


def test_inactive_options_get_no_gradient(supernet: Supernet, x: Tensor) -> None:
    supernet(x, INDICES).sum().backward()
    inactive = ("network.1.options.0.", "network.2.options.1.", "network.3.options.0.", "options.2.0.options.0.")
    for name, parameter in supernet.named_parameters():
        assert (parameter.grad is None) == any(part in name for part in inactive), name


def test_a_gate_computes_its_active_options_only(space: Space, supernet: Supernet, x: Tensor) -> None:
    slot = supernet.network[1]  # type: ignore[index]
    calls: list[int] = []
    outputs: dict[int, Tensor] = {}
    for i, option in enumerate(slot.options):
        option.register_forward_hook(lambda *args, i=i: (calls.append(i), outputs.update({i: args[2]}))[0])
    arriving: list[Tensor] = []
    slot.register_full_backward_hook(lambda module, inputs, grads: arriving.append(grads[0]))
    weights = torch.tensor([1.0, 0.0, 0.0], requires_grad=True)
    indices = {**INDICES, "first": Gate(weights, (0, 2))}
    del indices["inner"]
    Supernet(nn.Sequential(supernet.network[0], slot))(x, indices).square().sum().backward()  # type: ignore[index]
    assert calls == [0, 2]
    assert weights.grad is not None
    expected = [(arriving[0] * outputs[i]).sum().item() if i in outputs else 0.0 for i in range(3)]
    torch.testing.assert_close(weights.grad, torch.tensor(expected))
    assert slot.options[1][0].weight.grad is None


def test_a_gate_that_opens_one_path_equals_the_index(supernet: Supernet, x: Tensor) -> None:
    gate = Gate(torch.tensor([0.0, 1.0, 0.0]), (1, 2))
    expected = forward_and_gradients(supernet, x, INDICES)
    torch.testing.assert_close(forward_and_gradients(supernet, x, {**INDICES, "first": gate}), expected)


def test_several_indices_add_up(supernet: Supernet, x: Tensor) -> None:
    supernet.eval()
    single = Supernet(supernet.network[1])  # type: ignore[index]
    y = torch.randn(2, 8, 6, 6, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(single(y, {"first": (0, 2)}), single(y, {"first": 0}) + single(y, {"first": 2}))


class Hypernetwork(nn.Module):
    """Makes the weights of the classifier from the picked width."""

    def __init__(self, shapes: list[torch.Size]) -> None:
        super().__init__()
        self.shapes = shapes
        self.layers = nn.ModuleList(nn.Linear(3, shape.numel()) for shape in shapes)

    def forward(self, choice: Choice) -> list[Tensor]:
        width = choice["width"]
        assert isinstance(width, int)
        code = torch.eye(3)[width]
        return [layer(code).view(shape) for layer, shape in zip(self.layers, self.shapes, strict=True)]


@pytest.mark.parametrize("width", [0, 2])
def test_generated_weights_are_called_alike_and_train_the_hypernetwork(
    supernet: Supernet, x: Tensor, width: int
) -> None:
    names = ["network.7.weight", "network.1.options.1.0.weight"]
    hypernetwork = Hypernetwork([supernet.get_parameter(name).shape for name in names])
    choice = {**INDICES, "width": width}
    own = [supernet.get_parameter(name).clone() for name in names]
    generated = GeneratedWeights(supernet.eval(), hypernetwork, names)
    output = generated(x, choice)
    output.square().sum().backward()
    assert all(torch.equal(supernet.get_parameter(name), value) for name, value in zip(names, own, strict=True))
    assert supernet.get_parameter(names[0]).grad is None
    weights = [w.detach().requires_grad_() for w in hypernetwork(choice)]
    for name, value in zip(names, weights, strict=True):
        supernet.get_parameter(name).data = value.data
        supernet.get_parameter(name).requires_grad_()
    expected = supernet(x, choice)
    torch.testing.assert_close(output, expected)
    expected.square().sum().backward()
    code = torch.eye(3)[width]
    for layer, name in zip(hypernetwork.layers, names, strict=True):
        flat = supernet.get_parameter(name).grad.flatten()  # type: ignore[union-attr]
        torch.testing.assert_close(layer.weight.grad, flat[:, None] * code, rtol=1e-4, atol=1e-6)


def test_generated_weights_name_an_unknown_parameter(supernet: Supernet) -> None:
    with pytest.raises(ArchitectureError, match=r"no parameter 'network\.99\.weight'"):
        GeneratedWeights(supernet, nn.Identity(), ["network.99.weight"])


def test_concurrent_calls_do_not_disturb_each_other(space: Space, supernet: Supernet, x: Tensor) -> None:
    supernet.eval()
    choices = [{**INDICES, "first": i % 3, "width": i % 2} for i in range(6)]
    expected = [supernet(x, choice) for choice in choices]
    differing: list[int] = []
    barrier = threading.Barrier(len(choices))

    def repeat(index: int) -> None:
        barrier.wait()
        for _ in range(30):
            if not torch.equal(supernet(x, choices[index]), expected[index]):
                differing.append(index)

    threads = [threading.Thread(target=repeat, args=(i,)) for i in range(len(choices))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not differing


def test_a_checkpoint_recomputes_with_the_choice_of_its_call(supernet: Supernet, x: Tensor) -> None:
    class Checkpointed(nn.Module):
        def __init__(self, inside: nn.Module) -> None:
            super().__init__()
            self.inside = inside

        def forward(self, x: Tensor) -> Tensor:
            return checkpointed(self.inside, x)

    supernet.eval()  # running statistics would be updated twice
    recomputing = Supernet(Checkpointed(supernet.network))
    other: Choice = {**INDICES, "first": 0, "second": 1, "width": 0}
    expected = [forward_and_gradients(supernet, x, choice) for choice in (INDICES, other)]
    outputs = []
    for choice in (INDICES, other):  # both graphs exist before either is recomputed
        leaf = x.clone().requires_grad_()
        outputs.append((recomputing(leaf, choice), leaf))
    for (output, leaf), (value, input_gradient, gradients) in zip(outputs, expected, strict=True):
        supernet.zero_grad()
        output.square().sum().backward()
        torch.testing.assert_close(output.detach(), value)
        torch.testing.assert_close(leaf.grad, input_gradient)
        for name, parameter in supernet.named_parameters():
            actual = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            torch.testing.assert_close(actual, gradients[name])


def test_a_slot_outside_a_call_says_what_to_do(supernet: Supernet, x: Tensor) -> None:
    with pytest.raises(ArchitectureError, match=r"decision 'first': no choice is set; call supernet\(x, choice\)"):
        supernet.network(x)


def test_a_choice_without_an_entry_names_the_decision(supernet: Supernet, x: Tensor) -> None:
    with pytest.raises(ArchitectureError, match="decision 'second': the choice has no entry for it; it has first"):
        supernet(x, {"first": 0})


def test_weights_of_the_wrong_length_are_refused(supernet: Supernet, x: Tensor) -> None:
    with pytest.raises(ArchitectureError, match=r"weights of shape \(2,\) for 3 options"):
        supernet(x, {**INDICES, "first": torch.ones(2)})
