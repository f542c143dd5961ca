"""What a search step of DARTS costs here, beside a plain implementation of the same mathematics.

The search network of the paper, 8 cells and 16 channels, batch 16, 32x32, float32, one thread. Plain is one module per
operation and edge, in the order the formula is read, channels first, and a full backward pass wherever a gradient is
needed. A first-order step is one of the architecture on one batch and one of the weights on another; a second-order one
looks one step of the weights ahead (Liu et al., 2019, section 2.3). Both sides begin with equal weights and take turns;
figures are medians of 3 and of 2 steps, of processor time, which on one thread is the time on a quiet machine.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from palmette.relaxations.softmax import softmax
from palmette.spaces.darts import darts
from palmette.spaces.darts_cell import EDGES, NODES, OPERATIONS, edge
from palmette.supernets.architecture_parameters import ArchitectureParameters
from palmette.training.bilevel import first_order, second_order
from palmette.training.loop import place

FIRST, SECOND = 3, 2
"""Repetitions."""
LEARNING_RATE, MOMENTUM, DECAY, CLIP = 0.025, 0.9, 3e-4, 5.0
RADIUS, TOLERANCE = 0.01, 1e-4
Batch = tuple[Tensor, Tensor]
Gradients = dict[str, Tensor]


def main() -> None:
    torch.set_num_threads(1)
    for order in ("first", "second"):
        print(f"{order} order, double precision, largest differences of results: {_checked(order)}")
    sides, (held_out, train) = _sides(), (_batch(1, 16), _batch(2, 16))
    speed_ups = {}
    for order, count in (("first", FIRST), ("second", SECOND)):
        seconds: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(count):
            for side, one in sides.items():
                began = time.process_time()
                one.step(order, held_out, train)
                seconds[side].append(time.process_time() - began)
        medians = {side: float(np.median(times)) for side, times in seconds.items()}
        speed_ups[order] = medians["plain"] / medians["ours"]
        print(f"{order} order: plain {medians['plain']:.2f} s, ours {medians['ours']:.2f} s a step")
    print(f"second-order speed-up: {speed_ups['second']:.2f} (target 2.2)")
    print(f"first-order speed-up: {speed_ups['first']:.2f} (target 2.3, aim 3)")


def _sides(dtype: torch.dtype = torch.float32) -> dict[str, Plain | Ours]:
    """Return both sides with equal weights and architecture."""
    space = darts()
    supernet = space.supernet(seed=0).to(dtype)
    parameters = ArchitectureParameters(space.mixtures.options(), seed=0).to(dtype)
    plain = Plain(copy.deepcopy(supernet.network), copy.deepcopy(parameters))
    return {"plain": plain, "ours": Ours(place(supernet, torch.device("cpu")), parameters)}


def _checked(order: str) -> str:
    """Return how far losses and gradients are apart, relative to their size; batch 2.

    In single precision rounding changes the sign of some ReLU's input, and with it the gradient, by more than that.
    """
    batches = [(x.double(), labels) for x, labels in (_batch(1, 2), _batch(2, 2))]
    plain, ours = (side.step(order, *batches) for side in _sides(torch.float64).values())
    parts = []
    for what in (True, False):
        names = [name for name in plain[2] if name.startswith("architecture") is what]
        one, other = (torch.cat([found[name].flatten() for name in names]) for found in (plain[2], ours[2]))
        parts.append(float((one - other).norm() / one.norm()))
    losses = max(abs(a - b) for a, b in zip(plain[:2], ours[:2], strict=True))
    if max(losses, *parts) > TOLERANCE:
        raise SystemExit(f"results differ by {max(losses, *parts):.1e}")
    return f"losses {losses:.1e}, gradient of the architecture {parts[0]:.1e}, of the weights {parts[1]:.1e}"


class Ours:
    """The step as the library does it."""

    def __init__(self, supernet: nn.Module, parameters: ArchitectureParameters) -> None:
        self.supernet = supernet
        self.parameters = parameters
        self.weights = list(supernet.parameters())
        self.names = [name.removeprefix("network.") for name, _ in supernet.named_parameters()]
        self.optimizer = _sgd(self.weights)
        self.adam = _adam(list(parameters.parameters()))
        self.generator = torch.Generator()

    def step(self, order: str, held_out: Batch, train: Batch) -> tuple[float, float, Gradients]:
        """Update architecture and weights, and return both losses and all gradients."""
        logits = list(self.parameters.parameters())
        losses = [partial(self._loss, batch) for batch in (held_out, train)]
        if order == "first":
            gradients, loss = first_order(losses[0], logits)
        else:
            gradients, loss = second_order(losses[0], losses[1], logits, self.optimizer, clip_norm=CLIP)
        found = {f"architecture {name}": g for name, g in zip(self.parameters.options, gradients, strict=True)}
        for parameter, gradient in zip(logits, gradients, strict=True):
            parameter.grad = gradient
        self.adam.step()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            choice = self.parameters.choice(softmax, self.generator)
        train_loss = cross_entropy(self.supernet(_last(train[0]), choice), train[1])
        train_loss.backward()
        found |= {name: _gradient(w) for name, w in zip(self.names, self.weights, strict=True)}
        nn.utils.clip_grad_norm_(self.weights, CLIP)
        self.optimizer.step()
        return float(loss), train_loss.item(), found

    def _loss(self, batch: Batch) -> Tensor:
        choice = self.parameters.choice(softmax, self.generator)
        return cross_entropy(self.supernet(_last(batch[0]), choice), batch[1])


class Plain:
    """The step as the formulas are read."""

    def __init__(self, network: nn.Module, parameters: ArchitectureParameters) -> None:
        self.network = network
        self.parameters = parameters
        self.weights = list(network.parameters())
        self.logits = list(parameters.parameters())
        self.optimizer = _sgd(self.weights)
        self.adam = _adam(self.logits)

    def step(self, order: str, held_out: Batch, train: Batch) -> tuple[float, float, Gradients]:
        """Update architecture and weights, and return both losses and all gradients."""
        if order == "first":
            loss, gradients, _ = self._gradients(held_out)
        else:
            loss, gradients = self._ahead(held_out, train)
        found = {f"architecture {name}": g for name, g in zip(self.parameters.options, gradients, strict=True)}
        for parameter, gradient in zip(self.logits, gradients, strict=True):
            parameter.grad = gradient
        self.adam.step()
        train_loss, _, by_weights = self._gradients(train)
        found |= {name: g.clone() for (name, _), g in zip(self.network.named_parameters(), by_weights, strict=True)}
        for weight, gradient in zip(self.weights, by_weights, strict=True):
            weight.grad = gradient
        nn.utils.clip_grad_norm_(self.weights, CLIP)
        self.optimizer.step()
        return loss, train_loss, found

    def _gradients(self, batch: Batch) -> tuple[float, list[Tensor], list[Tensor]]:
        """Return the loss, its gradients by the architecture and those by the weights."""
        for tensor in [*self.logits, *self.weights]:
            tensor.grad = None
        probabilities = {name: logits.softmax(0) for name, logits in self.parameters.logits.items()}
        loss = cross_entropy(_mixed(self.network, batch[0], probabilities), batch[1])
        loss.backward()
        by_logits, by_weights = ([_gradient(t) for t in tensors] for tensors in (self.logits, self.weights))
        return loss.item(), by_logits, by_weights

    def _ahead(self, held_out: Batch, train: Batch) -> tuple[float, list[Tensor]]:
        """Return the held-out loss one step of the weights ahead, and its gradients by the architecture."""
        _, _, gradients = self._gradients(train)
        norm = float(torch.stack([g.norm() for g in gradients]).norm())
        factor = min(1.0, CLIP / (norm + 1e-6))
        kept = [w.detach().clone() for w in self.weights]
        steps = []
        for w, g in zip(self.weights, gradients, strict=True):
            buffer = self.optimizer.state.get(w, {}).get("momentum_buffer")
            g = factor * g + DECAY * w.detach()
            steps.append(g if buffer is None else MOMENTUM * buffer + g)
        self._set([w - LEARNING_RATE * s for w, s in zip(kept, steps, strict=True)])
        loss, direct, v = self._gradients(held_out)
        epsilon = RADIUS / float(torch.stack([g.norm() for g in v]).norm())
        sides = []
        for sign in (1, -1):
            self._set([w + sign * epsilon * u for w, u in zip(kept, v, strict=True)])
            sides.append(self._gradients(train)[1])
        self._set(kept)
        rate = factor * LEARNING_RATE
        implicit = [(plus - minus) / (2 * epsilon) for plus, minus in zip(*sides, strict=True)]
        return loss, [d - rate * i for d, i in zip(direct, implicit, strict=True)]

    def _set(self, values: list[Tensor]) -> None:
        with torch.no_grad():
            for weight, value in zip(self.weights, values, strict=True):
                weight.copy_(value)


def _mixed(network: nn.Module, x: Tensor, probabilities: Mapping[str, Tensor]) -> Tensor:
    """Return the logits of the mixture: every operation of every edge runs alone (equation 2 of the paper)."""
    before = last = network.get_submodule("stem.0")(x)
    for cell in network.get_submodule("cells").children():
        preprocess, edges = (list(cell.get_submodule(name).children()) for name in ("preprocess", "edges"))
        states = [preprocess[0](before), preprocess[1](last)]
        for node in NODES:
            arriving = [(state, i) for i, (state, end) in enumerate(EDGES) if end == node]
            states.append(
                sum(
                    probabilities[edge(cell.kind, state, node)][k] * edges[i].get_submodule(name)(states[state])
                    for state, i in arriving
                    for k, name in enumerate(OPERATIONS, start=1)
                )
            )
        before, last = last, torch.cat(states[2:], dim=1)
    logits: Tensor = network.get_submodule("head")(last)
    return logits


def _batch(seed: int, images: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(images, 3, 32, 32, generator=generator), torch.randint(10, (images,), generator=generator)


def _sgd(weights: list[nn.Parameter]) -> torch.optim.SGD:
    return torch.optim.SGD(weights, lr=LEARNING_RATE, momentum=MOMENTUM, weight_decay=DECAY)


def _adam(parameters: list[nn.Parameter]) -> torch.optim.Adam:
    return torch.optim.Adam(parameters, lr=3e-4, betas=(0.5, 0.999), weight_decay=1e-3)


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _gradient(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad.detach().clone()


if __name__ == "__main__":
    main()
