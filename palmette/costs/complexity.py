"""Complexity: FLOPs, parameters and activations of a network, and of all architectures of a space by table.

``flops`` are the multiply-accumulates of convolution and linear layers for one input, as the papers count them
(no bias, BatchNorm, activation or pooling); ``params`` are PyTorch's; ``acts`` the output elements of convolution
and linear layers (Radosavovic et al., 2020, section 3.1). All is counted on the meta device: nothing is computed.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from palmette.architecture import Architecture, Value
from palmette.choice import chosen
from palmette.costs.shapes import shaped
from palmette.errors import ArchitectureError
from palmette.slots import Slot
from palmette.space import Space, fill_all

COSTS = ("flops", "params", "acts")
Shape = Sequence[int]


def complexity(network: nn.Module, input_shape: Shape) -> dict[str, int]:
    """Return ``{"flops", "params", "acts"}`` of a network for one input of ``input_shape`` (without the batch)."""
    network = copy.deepcopy(network).to("meta").eval()
    with torch.no_grad(), _Counter() as counter:
        network(torch.empty(1, *input_shape, device="meta"))
    return {"flops": counter.flops, "params": sum(p.numel() for p in network.parameters()), "acts": counter.acts}


class CostTable:
    """Exact costs of every architecture of a space, as a fixed part plus one entry per active decision.

    The network is run once, on the meta device, which shows the fixed layers and the input shape of every slot; then
    each option of each slot is run alone at that shape, and so on for slots inside options.

    Raises:
        ArchitectureError: options of one slot whose outputs differ in shape, or input that does not fit the network.
    """

    names = COSTS

    def __init__(self, space: Space, input_shape: Shape) -> None:
        self.decisions = space.decisions
        self.input_shape = tuple(input_shape)
        self.fixed: npt.NDArray[np.int64] = np.zeros(3, dtype=np.int64)
        """Costs of the layers outside all slots, int64 ``[3]`` in the order of ``COSTS``."""
        self.options: dict[str, npt.NDArray[np.int64]] = {
            name: np.zeros((len(self.decisions.values(name)), 3), dtype=np.int64) for name in self.decisions.decisions
        }
        """Costs of each option of each decision, int64 ``[options, 3]``."""
        with torch.device("meta"):
            network = space.definition().to("meta")
        try:
            self._add(network, self.input_shape, self.fixed)
        except RuntimeError as error:
            why = " ".join(str(error).split())
            raise ArchitectureError(
                f"space {space.name!r}: it cannot run an input of shape {self.input_shape} ({why}); "
                "give data that fit the network, or mend the option"
            ) from None

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

    def _add(self, module: nn.Module, shape: Shape, costs: npt.NDArray[np.int64]) -> tuple[int, ...]:
        """Add the costs of the layers of ``module`` outside its slots to ``costs``, and those inside to the tables."""
        reached: list[tuple[Slot, tuple[int, ...]]] = []
        first = dict.fromkeys(self.decisions.decisions, 0)
        with torch.device("meta"):
            fill_all(module).eval()
        with torch.no_grad(), chosen(first), _Counter() as counter:
            for slot in _outermost(module):
                slot.register_forward_pre_hook(partial(_enter, counter, reached))
                slot.register_forward_hook(partial(_leave, counter))
            output = module(torch.empty(1, *shape, device="meta"))
        costs += [counter.flops, sum(p.numel() for p in _own_parameters(module)), counter.acts]
        for slot, inside in reached:
            self._add_options(slot, inside)
        return tuple(output.shape[1:])

    def _add_options(self, slot: Slot, shape: Shape) -> None:
        outputs: dict[tuple[int, ...], Value] = {}
        with torch.device("meta"):
            for (name, value), option in slot.nested():
                row = self.options[name][self.decisions.index(name, value)]
                outputs.setdefault(self._add(option, shape, row), value)
        if len(outputs) > 1:
            (one, value), (other, another) = list(outputs.items())[:2]
            raise ArchitectureError(
                f"slot {name!r}: option {value!r} gives outputs of shape {one} and option {another!r} of {other}; "
                "options of a slot must give outputs of one shape"
            )


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves its own class untyped
    """Adds up multiply-accumulates and activations of what runs while it is not inside a slot."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves its own class untyped
        self.flops = 0
        self.acts = 0
        self.slots_entered = 0

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
        if rule is not None and not self.slots_entered:
            self.flops += rule(*args, **kwargs, out_val=out) // 2
            self.acts += out.numel()
        return out


def _enter(counter: _Counter, reached: list[tuple[Slot, tuple[int, ...]]], slot: Slot, args: tuple[Tensor]) -> None:
    reached.append((slot, tuple(args[0].shape[1:])))
    counter.slots_entered += 1


def _leave(counter: _Counter, *_: object) -> None:
    counter.slots_entered -= 1


def _outermost(module: nn.Module) -> Iterator[Slot]:
    """Yield the slots of ``module`` that lie in no other slot."""
    if isinstance(module, Slot):
        yield module
        return
    for child in module.children():
        yield from _outermost(child)


def _own_parameters(module: nn.Module) -> list[Tensor]:
    """Return the parameters of ``module`` that lie in no slot."""
    if isinstance(module, Slot):
        return []
    own: list[Tensor] = list(module.parameters(recurse=False))
    return own + [parameter for child in module.children() for parameter in _own_parameters(child)]
