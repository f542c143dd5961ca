"""Complexity: FLOPs, parameters and activations of a network, and of all architectures of a space by table.

``flops`` are the multiply-accumulates of convolution and linear layers for one input, as the papers count them
(no bias, BatchNorm, activation or pooling); ``params`` are PyTorch's; ``acts`` the output elements of convolution
and linear layers (Radosavovic et al., 2020, section 3.1). All is counted on the meta device: nothing is computed.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from palmette.architecture import Architecture
from palmette.costs.shapes import shaped
from palmette.errors import ArchitectureError
from palmette.slots import OneOf, Slot
from palmette.space import Space, slots

COSTS = ("flops", "params", "acts")
Shape = Sequence[int]


def complexity(network: nn.Module, input_shape: Shape) -> dict[str, int]:
    """Return ``{"flops", "params", "acts"}`` of a network for one input of ``input_shape`` (without the batch)."""
    network = copy.deepcopy(network).to("meta").eval()
    with torch.no_grad(), _Counter(lambda: None) as counter:
        network(torch.empty(1, *input_shape, device="meta"))
    flops, acts = counter.totals[None]
    return {"flops": flops, "params": sum(p.numel() for p in network.parameters()), "acts": acts}


class CostTable:
    """Exact costs of every architecture of a space, as a fixed part plus one entry per active decision.

    The whole space is counted in one pass: a supernet on the meta device runs all options at once, and each
    operation is attributed to the innermost option that it runs in.

    Raises:
        ArchitectureError: options of one slot whose outputs differ in shape, or input that does not fit the network.
    """

    def __init__(self, space: Space, input_shape: Shape) -> None:
        self.decisions = space.decisions
        self.input_shape = tuple(input_shape)
        totals = _attributed(space, self.input_shape)
        self.fixed: npt.NDArray[np.int64] = np.array(totals.pop(None), dtype=np.int64)
        """Costs of the layers outside all slots, int64 ``[3]`` in the order of ``COSTS``."""
        self.options: dict[str, npt.NDArray[np.int64]] = {
            name: np.array([totals[name, i] for i in range(len(self.decisions.values(name)))], dtype=np.int64)
            for name in self.decisions.decisions
        }
        """Costs of each option of each decision, int64 ``[options, 3]``."""

    def __call__(self, architecture: Architecture) -> dict[str, int]:
        """Return ``{"flops", "params", "acts"}`` of one architecture."""
        total = self.fixed.copy()
        for name, value in architecture.values:
            total += self.options[name][self.decisions.index(name, value)]
        return dict(zip(COSTS, map(int, total), strict=True))

    def all(self, architectures: Sequence[Architecture]) -> npt.NDArray[np.int64]:
        """Return the costs of many architectures, int64 ``[architectures, 3]``."""
        total = np.tile(self.fixed, (len(architectures), 1))
        for name, table in self.options.items():
            zero_last = np.vstack([table, np.zeros_like(table[:1])])
            picks = [self.decisions.index(name, a[name]) if name in a else -1 for a in architectures]
            total += zero_last[picks]
        return total


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves its own class untyped
    """Adds up multiply-accumulates and activations under the label that is current when an operation runs."""

    def __init__(self, label: Callable[[], Hashable]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves its own class untyped
        self.label = label
        self.totals: defaultdict[Hashable, tuple[int, int]] = defaultdict(lambda: (0, 0))

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Spare torch the import of its compiler, over a second, to keep it away from the method below."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = shaped(func, args, kwargs)
        if out is None:
            out = func(*args, **kwargs)
        rule = flop_registry.get(func.overloadpacket)
        if rule is not None:
            flops, acts = self.totals[self.label()]
            macs = rule(*args, **kwargs, out_val=out) // 2
            self.totals[self.label()] = (flops + macs, acts + out.numel())
        return out


def _attributed(space: Space, input_shape: Shape) -> dict[Hashable, list[int]]:
    """Return ``[flops, params, acts]`` by ``(decision, option index)``, and by ``None`` for the fixed layers."""
    with torch.device("meta"):
        network = space.supernet(seed=0).to("meta").eval()
    stack: list[Hashable] = [None]
    params: defaultdict[Hashable, int] = defaultdict(int)
    for label, option in _labelled(network):
        params[label] += sum(p.numel() for p in _own_parameters(option))
        option.register_forward_pre_hook(partial(_enter, stack, label))
        option.register_forward_hook(partial(_leave, stack))
    params[None] = sum(p.numel() for p in _own_parameters(network))
    everything = {d: tuple(range(len(space.decisions.values(d)))) for d in space.decisions.decisions}
    try:
        with torch.no_grad(), _Counter(lambda: stack[-1]) as counter:
            network(torch.empty(1, *input_shape, device="meta"), everything)
    except RuntimeError as error:
        where = f"in option {stack[-1]}" if stack[-1] is not None else "outside the options, or between options"
        raise ArchitectureError(
            f"space {space.name!r}: it cannot run an input of shape {tuple(input_shape)} ({where}: {error}); "
            "options of a slot must give outputs of one shape, and the data must fit the network"
        ) from None
    labels = {None, *counter.totals, *params}
    return {label: [counter.totals[label][0], params[label], counter.totals[label][1]] for label in labels}


def _enter(stack: list[Hashable], label: Hashable, *_: object) -> None:
    stack.append(label)


def _leave(stack: list[Hashable], *_: object) -> None:
    stack.pop()


def _labelled(network: nn.Module) -> list[tuple[Hashable, nn.Module]]:
    """Return every option of every slot with its label."""
    return [
        ((slot.name, index), option)
        for slot in slots(network)
        if isinstance(slot, OneOf) and slot.options is not None
        for index, option in enumerate(slot.options)
    ]


def _own_parameters(module: nn.Module) -> list[Tensor]:
    """Return the parameters of ``module`` that lie outside all slots below it."""
    own: list[Tensor] = list(module.parameters(recurse=False))
    for child in module.children():
        if not isinstance(child, Slot):
            own += _own_parameters(child)
    return own
