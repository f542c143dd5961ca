"""Gradients of the architecture: the toy of DARTS, exact autograd on a small network, and what passes compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode

from palmette.training.bilevel import first_order, second_order


class Toy:
    """L_val = a w - 2 a + 1 and L_train = w^2 - 2 a w + a^2, from (a, w) = (2, -2)."""

    def __init__(self) -> None:
        self.a = torch.tensor([2.0], dtype=torch.float64, requires_grad=True)
        self.w = torch.tensor([-2.0], dtype=torch.float64, requires_grad=True)

    def held_out(self) -> Tensor:
        return (self.a * self.w - 2 * self.a + 1).sum()

    def train(self) -> Tensor:
        return (self.w**2 - 2 * self.a * self.w + self.a**2).sum()


@pytest.mark.parametrize(("rate", "expected"), [(0.01, -3.88), (0.1, -2.8), (0.5, 2.0)])
def test_the_toy_has_its_analytic_second_order_gradient(rate: float, expected: float) -> None:
    toy = Toy()
    optimizer = torch.optim.SGD([toy.w], lr=rate)
    (gradient,), _ = second_order(toy.held_out, toy.train, [toy.a], optimizer)
    assert float(gradient) == pytest.approx(expected, rel=1e-9)
    assert toy.w.item() == -2.0  # back to the bit


def test_first_order_on_the_toy_is_the_derivative_at_the_present_weights() -> None:
    toy = Toy()
    (gradient,), loss = first_order(toy.held_out, [toy.a])
    assert float(gradient) == -4.0
    assert float(loss) == -7.0


@pytest.mark.parametrize(("rate", "second", "end"), [(0.1, False, 2.0), (0.1, True, 2 / 1.2), (0.5, True, 1.0)])
def test_alternating_steps_on_the_toy_end_where_theory_says(rate: float, second: bool, end: float) -> None:
    """At 2/(1 + 2 xi): the optimum (1, 1) for xi = 0.5 only, and (2, 2) for first order."""
    toy = Toy()
    optimizer = torch.optim.SGD([toy.w], lr=rate)
    for _ in range(250):
        if second:
            (gradient,), _ = second_order(toy.held_out, toy.train, [toy.a], optimizer)
        else:
            (gradient,), _ = first_order(toy.held_out, [toy.a])
        with torch.no_grad():
            toy.a -= 0.1 * gradient
        optimizer.zero_grad()
        toy.train().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert toy.a.item() == pytest.approx(end, abs=1e-4)
    assert toy.w.item() == pytest.approx(end, abs=1e-4)


class Smooth(nn.Module):
    """Three layers, each a mixture of a SiLU convolution, a tanh convolution and the identity, with BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1, bias=False) for _ in range(6))
        self.norms = nn.ModuleList(nn.BatchNorm2d(8, affine=False, track_running_stats=False) for _ in range(6))
        self.last = nn.Linear(8, 4)

    def forward(self, x: Tensor, logits: Tensor) -> Tensor:
        x = self.stem(x)
        for layer, weights in enumerate(logits.softmax(1)):
            one = self.norms[2 * layer](self.convs[2 * layer](nn.functional.silu(x)))
            two = self.norms[2 * layer + 1](self.convs[2 * layer + 1](x.tanh()))
            x = weights[0] * one + weights[1] * two + weights[2] * x
        out: Tensor = self.last(x.mean((2, 3)))
        return out


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("steps_before", [0, 2])
@pytest.mark.parametrize("clip_norm", [0.0, 0.1])
def test_second_order_agrees_with_exact_autograd_to_a_thousandth(
    nesterov: bool, steps_before: int, clip_norm: float
) -> None:
    torch.manual_seed(0)
    net, logits = Smooth(), torch.randn(3, 3, requires_grad=True)
    batches = [(torch.randn(16, 3, 8, 8), torch.randint(4, (16,))) for _ in range(2)]
    momentum, decay, rate = 0.9, 3e-4, 0.1
    optimizer = torch.optim.SGD(net.parameters(), lr=rate, momentum=momentum, weight_decay=decay, nesterov=nesterov)

    def loss_on(batch: tuple[Tensor, Tensor]) -> Callable[[], Tensor]:
        return lambda: cross_entropy(net(batch[0], logits), batch[1])

    for _ in range(steps_before):  # so that there are momenta
        optimizer.zero_grad()
        loss_on(batches[0])().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    (found,), held_out = second_order(
        loss_on(batches[1]), loss_on(batches[0]), [logits], optimizer, clip_norm=clip_norm
    )

    weights = {name: p.detach() for name, p in net.named_parameters()}
    buffers = {name: optimizer.state[p].get("momentum_buffer") for name, p in net.named_parameters()}

    def pure(w: dict[str, Tensor], a: Tensor, batch: tuple[Tensor, Tensor]) -> Tensor:
        return cross_entropy(functional_call(net, w, (batch[0], a)), batch[1])

    norm = torch.stack([g.norm() for g in grad(pure)(weights, logits.detach(), batches[0]).values()]).norm()
    clipping = min(1.0, clip_norm / (float(norm) + 1e-6)) if clip_norm else 1.0
    assert (clipping < 1) == bool(clip_norm)

    def ahead(a: Tensor) -> Tensor:
        moved = {}
        for name, g in grad(pure)(weights, a, batches[0]).items():
            g = clipping * g + decay * weights[name]
            velocity = g if buffers[name] is None else momentum * buffers[name] + g  # type: ignore[operator]
            moved[name] = weights[name] - rate * (g + momentum * velocity if nesterov else velocity)
        return pure(moved, a, batches[1])

    exact = grad(ahead)(logits.detach())
    assert float((found - exact).norm() / exact.norm()) < 1e-3
    direct = grad(pure, argnums=1)(weights, logits.detach(), batches[1])
    assert float((direct - exact).norm() / exact.norm()) > 1e-2  # the agreement is not that of first order
    assert float(held_out) == pytest.approx(float(ahead(logits.detach())), rel=1e-5)
    assert all(torch.equal(p, weights[name]) for name, p in net.named_parameters())


class Convolutions(TorchDispatchMode):
    """Counts backward convolutions by what they compute: (gradients of inputs, gradients of weights)."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.inputs = self.weights = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket is torch.ops.aten.convolution_backward:
            self.inputs += bool(args[10][0])
            self.weights += bool(args[10][1])
        return func(*args, **(kwargs or {}))


def test_the_architecture_pass_computes_no_weight_gradients_and_leaves_none() -> None:
    torch.manual_seed(0)
    net, logits = Smooth(), torch.randn(3, 3, requires_grad=True)
    x, labels = torch.randn(4, 3, 8, 8), torch.randint(4, (4,))
    with Convolutions() as counted:
        first_order(lambda: cross_entropy(net(x, logits), labels), [logits])
    assert (counted.weights, counted.inputs) == (0, 4)  # back to the first mixture, and not into the stem
    assert all(p.grad is None for p in net.parameters())
    with Convolutions() as counted:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        second_order(
            lambda: cross_entropy(net(x, logits), labels),
            lambda: cross_entropy(net(x, logits), labels),
            [logits],
            optimizer,
        )
    assert counted.weights == 14  # 7 convolutions, in the two passes that need gradients of the weights
    assert logits.grad is None
