"""Sliced modules against narrow ones with copied slices: forward, gradient, and what training leaves alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import chained, dataset
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from palmette.architecture import Architecture
from palmette.blocks.convolution import conv_bn
from palmette.choice import Gate, Pick
from palmette.costs.complexity import CostTable
from palmette.errors import ArchitectureError, PalmetteError
from palmette.leading import guard, leading
from palmette.sampling.uniform import UniformSampler
from palmette.slots import OneOf
from palmette.space import Space, Supernet
from palmette.supernets.sliced import Sliced, Width
from palmette.training import loop
from palmette.training.loop import Watch
from palmette.training.recipe import Recipe
from palmette.training.steps import to_input
from palmette.training.supernet import train_fairly, train_supernet

A, B = Width("a", (2, 4, 6)), Width("b", (2, 4, 8))
IMAGE = torch.randn(5, 6, 4, 4, generator=torch.Generator().manual_seed(1))
LAYERS: dict[str, tuple[Callable[[], Sliced], Tensor]] = {
    "convolution": (lambda: Sliced(partial(nn.Conv2d, kernel_size=3), A, B, inputs=A, outputs=B), IMAGE),
    "groups": (lambda: Sliced(partial(nn.Conv2d, kernel_size=3, groups=2), A, B, inputs=A, outputs=B), IMAGE),
    "depthwise": (lambda: Sliced(lambda w: nn.Conv2d(w, w, 3, groups=w), A, inputs=A, outputs=A), IMAGE),
    "linear": (lambda: Sliced(nn.Linear, A, B, inputs=A, outputs=B), IMAGE[:, :, 0, 0]),
    "norm": (lambda: Sliced(nn.BatchNorm2d, A, inputs=A, outputs=A), IMAGE),
    "inner": (lambda: Sliced(lambda w: nn.Sequential(conv_bn(6, w, 3), nn.Conv2d(w, 6, 1)), A), IMAGE),
}


def filled(slot: Sliced) -> Sliced:
    slot.fill()
    generator = torch.Generator().manual_seed(0)
    for tensor in slot.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.1)
    return slot


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_a_sliced_layer_equals_the_narrow_layer_with_the_copied_slice(name: str, training: bool) -> None:
    make, image = LAYERS[name]
    sizes = make().sizes
    for index in itertools.product(*(range(len(size.values)) for size in sizes)):
        slot = filled(make()).train(training)
        options = tuple((s.name, s.decision().options[i]) for s, i in zip(sizes, index, strict=True))
        narrow = slot.build(Architecture("any", options)).train(training)
        for key, tensor in narrow.state_dict().items():
            tensor.copy_(slot.largest.state_dict()[key][tuple(map(slice, tensor.shape))])  # type: ignore[union-attr]
        channels = slot.inputs.values[index[sizes.index(slot.inputs)]] if slot.inputs else 6
        x, same = (image[:, :channels].clone().requires_grad_() for _ in range(2))
        choice = {size.name: i for size, i in zip(sizes, index, strict=True)}
        output, expected = Supernet(slot)(x, choice), narrow(same)
        assert torch.equal(output, expected)
        for y in (output, expected):
            y.sin().sum().backward()
        torch.testing.assert_close(x.grad, same.grad)
        shared, alone = dict(slot.largest.named_parameters()), dict(narrow.named_parameters())  # type: ignore[union-attr]
        for key, parameter in alone.items():
            part = tuple(map(slice, parameter.shape))
            torch.testing.assert_close(shared[key].grad[part], parameter.grad)  # type: ignore[index]
            rest = shared[key].grad.clone()  # type: ignore[union-attr]
            rest[part] = 0
            assert not rest.any()
        for key, buffer in narrow.named_buffers():  # running statistics
            assert torch.equal(dict(slot.largest.named_buffers())[key][tuple(map(slice, buffer.shape))], buffer)  # type: ignore[union-attr]


class Scripted:
    """A sampler that takes the given architectures one after another."""

    def __init__(self, architectures: list[Architecture]) -> None:
        self.left = list(architectures)

    def sample(self, generator: np.random.Generator) -> Architecture:
        return self.left.pop(0)


RECIPE = Recipe(epochs=3, batch_size=4, weight_decay=0.05, decay_everything=True, clip_norm=1.0, lr=0.5)
"""Of 12 steps."""


def trained(widths: list[int]) -> list[dict[str, Tensor]]:
    """Return the weights of a layer of 2, 4 or 6 channels after each step of a training with these widths."""
    width = Width("w", (2, 4, 6))
    layers = [Sliced(partial(conv_bn, 1), width, outputs=width), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    of = Space(lambda: nn.Sequential(*layers, Sliced(lambda w: nn.Linear(w, 2), width, inputs=width)), name="w")
    path = [of.decisions.architecture({"w": str(w)}) for w in widths]
    supernet, seen = of.supernet(seed=0), []
    watch = Watch(advance=lambda *_: seen.append({n: p.detach().clone() for n, p in supernet.named_parameters()}))
    train_supernet(supernet, of, Scripted(path), dataset(), RECIPE, seed=0, watch=watch)
    return seen


def test_training_leaves_the_part_that_is_not_used_bitwise_as_it_was() -> None:
    seen = trained([6, 6, 2, 2, 2, 4, 4, 2, 6, 6, 6, 6])
    for step, rows in ((3, 2), (4, 2), (6, 4), (7, 2)):  # momentum of the first steps is there, and decay is on
        for name, now in seen[step].items():
            axis = 1 if name.endswith("3.largest.weight") else 0
            if name.endswith("3.largest.bias"):
                continue
            old, new = (t.transpose(0, axis) for t in (seen[step - 1][name], now))
            assert torch.equal(new[rows:], old[rows:]), name
            assert not torch.equal(new[:rows], old[:rows]), name


def test_after_a_pause_a_part_goes_on_with_the_momentum_it_had() -> None:
    """The gradient is constant, so what each element becomes depends on how often it was used alone."""
    weight = nn.Parameter(torch.ones(4, 3))
    alone = [nn.Parameter(torch.ones(1)) for _ in range(2)]
    recipe = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.3, "nesterov": True}
    optimizer, one, other = (torch.optim.SGD(group, **recipe) for group in ([weight], alone[:1], alone[1:]))  # type: ignore[arg-type]
    guard(optimizer)
    for shape in ((4, 3), (2, 1), (2, 1), (2, 3), (4, 1), (4, 3)):
        optimizer.zero_grad()
        leading(weight, shape).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        for step, parameter, used in ((one, alone[0], True), (other, alone[1], shape == (4, 3))):
            parameter.grad = torch.ones(1) if used else None
            step.step()
    assert torch.equal(weight[:2, :1], alone[0].expand(2, 1))
    assert torch.equal(weight[2:, 1:], alone[1].expand(2, 2))


def test_a_killed_training_of_open_widths_goes_on_with_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    of, recipe = chained(1), Recipe(epochs=3, batch_size=4, weight_decay=0.05, decay_everything=True)

    def train(watch: Watch) -> dict[str, Tensor]:
        supernet = of.supernet(seed=0)
        train_supernet(supernet, of, UniformSampler(of.decisions), dataset(), recipe, seed=0, watch=watch)
        return supernet.state_dict()

    def kill(done: int, total: int) -> None:
        if done == 7:
            raise InterruptedError

    whole, path = train(Watch()), tmp_path / "supernet.safetensors"
    with pytest.raises(InterruptedError):
        train(Watch(checkpoint=path, advance=kill))
    resumed = train(Watch(checkpoint=path))
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())


def test_a_first_use_in_part_leaves_no_momentum_elsewhere() -> None:
    seen = trained([2, 2, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6])
    name = "network.0.largest.0.weight"
    assert torch.equal(seen[0][name][2:], seen[1][name][2:])


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
def test_other_optimisers_leave_it_alone_too(kind: type[torch.optim.Adam]) -> None:
    weight = nn.Parameter(torch.ones(4, 3))
    optimizer = kind([weight], lr=0.1, weight_decay=0.1)
    guard(optimizer)
    for shape in ((4, 3), (2, 2), (2, 2)):
        before = weight.detach().clone()
        optimizer.zero_grad()
        leading(weight, shape).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert torch.equal(weight[2:], before[2:])
    assert torch.equal(weight[:, 2:], before[:, 2:])
    assert weight[:2, :2].ne(before[:2, :2]).all()


class Sum(nn.Module):
    """Logits 0 and the sum of ``width`` weights times the mean of the image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((width,), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        score = x.mean((1, 2, 3)) * self.weight.sum()
        return torch.stack([torch.zeros_like(score), score], 1)


class Both:
    """Both widths in every update."""

    def sample(self, generator: np.random.Generator) -> list[dict[str, int]]:
        return [{"w": 0}, {"w": 1}]


def test_fair_updates_average_each_element_over_the_passes_that_used_it() -> None:
    of = Space(lambda: nn.Sequential(Sliced(Sum, Width("w", (1, 2)))), name="fair")
    data = dataset()
    gradients = []
    for index in (0, 1):
        supernet = of.supernet(seed=0)
        logits = supernet(to_input(data.train.pixels, data), {"w": index})
        cross_entropy(logits, data.train.labels).backward()
        gradients.append(next(supernet.parameters()).grad)
    supernet = of.supernet(seed=0)
    recipe = Recipe(epochs=1, batch_size=16, lr=1.0, momentum=0.0, nesterov=False, weight_decay=0.0)
    train_fairly(supernet, Both(), data, recipe, seed=0, watch=Watch())  # type: ignore[arg-type]
    change = 0.5 - next(supernet.parameters()).detach()
    narrow, wide = gradients
    torch.testing.assert_close(change, torch.stack([(narrow[0] + wide[0]) / 2, wide[1]]))  # type: ignore[index]


def test_weights_over_output_widths_are_the_weighted_sum_of_padded_outputs() -> None:
    """The equality that FBNetV2 starts from (gradient.md 8.1), BatchNorm in training mode included."""
    slot = filled(Sliced(lambda w: conv_bn(6, w, 3), A, outputs=A))
    weights = torch.tensor([0.2, 0.5, 0.3])
    outputs = [Supernet(slot)(IMAGE, {"a": i}) for i in range(3)]
    padded = [nn.functional.pad(y, (0, 0, 0, 0, 0, 6 - y.shape[1])) for y in outputs]
    expected = sum(w * y for w, y in zip(weights, padded, strict=True))
    torch.testing.assert_close(Supernet(slot)(IMAGE, {"a": weights}), expected)
    gate = Gate(torch.tensor([0.4, 9.0, 0.6]), (0, 2))
    torch.testing.assert_close(Supernet(slot)(IMAGE, {"a": gate}), 0.4 * padded[0] + 0.6 * padded[2])


def test_weights_over_inner_widths_are_the_weighted_sum_of_the_sizes() -> None:
    slot = filled(LAYERS["inner"][0]())
    weights = torch.tensor([0.2, 0.5, 0.3])
    expected = sum(w * Supernet(slot)(IMAGE, {"a": i}) for i, w in enumerate(weights))
    torch.testing.assert_close(Supernet(slot)(IMAGE, {"a": weights}), expected)


def test_one_hot_weights_over_a_chain_of_widths_equal_the_indices() -> None:
    of = chained(groups=1)
    supernet = of.supernet(seed=0).eval()
    x = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for architecture in [of.decisions.sample(np.random.default_rng(seed)) for seed in range(8)]:
        indices = of.choice(architecture)
        sizes = {name: len(of.decisions.values(name)) for name in of.decisions.decisions}
        hot: dict[str, Pick] = {n: torch.eye(size)[indices.get(n, 0)] for n, size in sizes.items()}
        torch.testing.assert_close(supernet(x, hot), supernet(x, indices), rtol=1e-4, atol=1e-5)


def test_a_norm_of_masked_channels_keeps_the_zeros() -> None:
    slot = filled(LAYERS["norm"][0]())
    x = IMAGE * torch.tensor([1.0, 1, 1, 1, 0, 0])[:, None, None]
    output = Supernet(slot)(x, {"a": torch.tensor([0.0, 1.0, 0.0])})
    assert output[:, 4:].eq(0).all()
    torch.testing.assert_close(output[:, :4], Supernet(slot)(x[:, :4], {"a": 1}))


def test_a_cost_between_two_open_widths_is_joint_and_others_are_not() -> None:
    table = CostTable(chained(), (3, 8, 8))
    assert set(table.joint) == {("a", "b"), ("b", "inner")} or set(table.joint) == {
        ("a", "b"),
        ("b", "block", "inner"),
    }
    flops = table.joint["a", "b"][..., 0]
    assert flops.tolist() == [[8 * 8 * 9 * i * o // 2 for o in (2, 6)] for i in (4, 8, 12)]
    assert table.options["a"][:, 0].tolist() == [8 * 8 * 9 * (3 * w + w) for w in (4, 8, 12)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Width("w", (0, 4)),
            r"width 'w': \[0, 4\] channels; give at least one, whole, in rising order, from 1",
        ),
        (lambda: Width("w", (4.5, 8)), r"width 'w': \[4.5, 8\] channels"),  # type: ignore[arg-type]
        (lambda: Width("w", ()), "width 'w': .* give at least one"),
        (lambda: Width.scaled("w", 4, (0.2, 1.0)), r"width 'w': scales \[0.2, 1.0\] of 4 give \[0, 4\] channels"),
        (lambda: Width.scaled("w", 5, (0.2, 0.3)), "a number of its own"),
        (lambda: Sliced(nn.BatchNorm2d), "give at least one size"),
    ],
)
def test_widths_that_give_no_channel_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(PalmetteError, match=message):
        make()


def open_network(block: Callable[..., nn.Module], widths: tuple[int, ...], **roles: Width) -> Space:
    w = Width("w", widths)
    return Space(lambda: nn.Sequential(Sliced(block, w, outputs=w), nn.AdaptiveAvgPool2d(1)), name="open")


def test_groups_that_do_not_divide_are_refused_before_anything_is_trained() -> None:
    of = open_network(lambda w: nn.Conv2d(3, w, 3, groups=3), (3, 6, 7))
    with pytest.raises(ArchitectureError, match=r"slot 'w': no module of size \[7\] can be built \(out_channels must"):
        CostTable(of, (3, 8, 8))


def test_a_fixed_layer_after_an_open_width_is_refused() -> None:
    w = Width("w", (4, 8))
    of = Space(lambda: nn.Sequential(Sliced(partial(conv_bn, 3), w, outputs=w), nn.Conv2d(4, 2, 1)), name="open")
    with pytest.raises(ArchitectureError, match="space 'open': it cannot run an input of shape"):
        CostTable(of, (3, 8, 8))


def test_a_function_outside_slots_that_costs_more_at_larger_widths_is_refused() -> None:
    class Gram(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            rows = x.flatten(2)[0]
            return rows @ rows.T

    w = Width("w", (4, 8))
    of = Space(lambda: nn.Sequential(Sliced(partial(conv_bn, 3), w, outputs=w), Gram()), name="open")
    with pytest.raises(ArchitectureError, match="layers outside all slots cost more where a width is larger"):
        CostTable(of, (3, 8, 8))


def test_a_block_with_other_layers_in_other_sizes_is_refused() -> None:
    of = open_network(lambda w: nn.Sequential(*[nn.Conv2d(3, 3, 1) for _ in range(5 - w)], nn.Conv2d(3, w, 1)), (2, 4))
    with pytest.raises(ArchitectureError, match="let the block have the same layers in every size"):
        of.supernet(seed=0)(torch.ones(1, 3, 4, 4), {"w": 0})


def test_an_inner_width_under_every_option_of_a_block_is_always_active() -> None:
    w = Width("w", (2, 4))
    inner = {f"k{k}": partial(Sliced, lambda i, k=k: nn.Sequential(conv_bn(3, i, k), conv_bn(i, 3)), w) for k in (1, 3)}
    of = Space(lambda: nn.Sequential(OneOf("block", **inner)), name="joint")
    assert not of.decisions.decisions["w"].active_if
    assert of.decisions.count() == 4
    table = CostTable(of, (3, 4, 4))
    assert table.joint["block", "w"][..., 0].tolist() == [
        [16 * (3 * i * k * k + 3 * i) for i in (2, 4)] for k in (1, 3)
    ]
