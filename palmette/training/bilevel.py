"""Gradients of the architecture in DARTS (Liu et al., 2019, section 2.3): first order, and second order.

Minimised is the loss on held-out images at the weights that training would end with. First order takes the present
weights for those. Second order takes one step of the weights' optimiser ahead and follows it back to the architecture
(equation 7); the product with the mixed second derivative is a finite difference of two gradients (equation 8).

Only gradients that are asked for are computed: none of the weights for the architecture, and none of the architecture
for the weights. Losses are functions without arguments, of the parameters as they are at the time of the call; what
they draw must be the same at every call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from palmette import ranks

Loss = Callable[[], Tensor]
Gradients = list[Tensor]

RADIUS = 0.01
"""Length of the finite difference in the space of weights (footnote 2)."""


def first_order(held_out_loss: Loss, parameters: Sequence[Tensor]) -> tuple[Gradients, Tensor]:
    """Return the gradients of the held-out loss by the architecture's parameters, and that loss."""
    loss = held_out_loss()
    return _gradients(loss, parameters), loss.detach()


def second_order(
    held_out_loss: Loss,
    train_loss: Loss,
    parameters: Sequence[Tensor],
    optimizer: torch.optim.SGD,
    *,
    clip_norm: float = 0.0,
) -> tuple[Gradients, Tensor]:
    """Return the gradients of the held-out loss after one step of the weights, and that loss.

    Args:
        held_out_loss: on the images that decide.
        train_loss: on the training batch that the next step of the weights will use.
        parameters: of the architecture.
        optimizer: of the weights, which are back at their present values in the end, to the bit. The step ahead has
            its learning rate, momentum and weight decay.
        clip_norm: largest norm of the weights' gradient, as the training clips it; 0 is no clipping. The factor counts
            as a constant.
    """
    weights = [w for group in optimizer.param_groups for w in group["params"] if w.requires_grad]
    found = torch.autograd.grad(train_loss(), weights, allow_unused=True)
    used = [(weight, gradient) for weight, gradient in zip(weights, found, strict=True) if gradient is not None]
    ranks.average([gradient for _, gradient in used])
    weights = [weight for weight, _ in used]
    clipping = _clipping([gradient for _, gradient in used], clip_norm)
    ahead = _stepped(optimizer, {weight: clipping * gradient for weight, gradient in used})
    with _moved(weights, ahead):
        loss = held_out_loss()
        direct_and_v = _gradients(loss, [*parameters, *weights])
    direct, v = direct_and_v[: len(parameters)], direct_and_v[len(parameters) :]
    norm = float(_norm(v))
    if norm == 0:
        return direct, loss.detach()
    epsilon = RADIUS / norm
    sides = []
    for sign in (1.0, -1.0):
        with _moved(weights, [w.detach() + sign * epsilon * u for w, u in zip(weights, v, strict=True)]):
            sides.append(_gradients(train_loss(), parameters))
    rate = clipping * _rate(optimizer)
    implicit = [(plus - minus) / (2 * epsilon) for plus, minus in zip(*sides, strict=True)]
    return [d - rate * i for d, i in zip(direct, implicit, strict=True)], loss.detach()


def _gradients(loss: Tensor, inputs: Sequence[Tensor]) -> Gradients:
    """Return the gradients by ``inputs``, zeros for those that the loss does not depend on."""
    found = torch.autograd.grad(loss, list(inputs), allow_unused=True)
    ranks.average([gradient for gradient in found if gradient is not None])
    return [torch.zeros_like(x) if g is None else g for x, g in zip(inputs, found, strict=True)]


def _stepped(optimizer: torch.optim.SGD, gradients: dict[Tensor, Tensor]) -> list[Tensor]:
    """Return the weights after the step that the optimiser would make; its state stays as it is."""
    ahead = []
    for group in optimizer.param_groups:
        momentum, decay = group["momentum"], group["weight_decay"]
        for weight in group["params"]:
            if weight not in gradients:
                continue
            gradient = gradients[weight] + decay * weight.detach()
            before = optimizer.state.get(weight, {}).get("momentum_buffer")
            velocity = gradient if before is None else momentum * before + gradient
            direction = gradient + momentum * velocity if group["nesterov"] else velocity
            ahead.append(weight.detach() - group["lr"] * direction)
    return ahead


def _rate(optimizer: torch.optim.SGD) -> float:
    """Return by how much the weights move per gradient: the learning rate, and more of it with Nesterov's momentum."""
    group = optimizer.param_groups[0]
    return float(group["lr"] * (1 + group["momentum"] if group["nesterov"] else 1.0))


def _clipping(gradients: Gradients, clip_norm: float) -> float:
    return min(1.0, clip_norm / (float(_norm(gradients)) + 1e-6)) if clip_norm else 1.0


def _norm(tensors: Sequence[Tensor]) -> Tensor:
    norms = [tensor.norm() for tensor in tensors]
    whole: Tensor = torch.stack(norms).norm()
    return whole


@contextmanager
def _moved(weights: Sequence[Tensor], values: Sequence[Tensor]) -> Iterator[None]:
    """Set the weights to other values inside the block; afterwards they are back, by copies and not by arithmetic."""
    kept = [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        for weight, value in zip(weights, values, strict=True):
            weight.copy_(value)
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, value in zip(weights, kept, strict=True):
                weight.copy_(value)
