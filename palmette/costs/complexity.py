"""Complexity: FLOPs, parameters and activations of a network, and of all architectures of a space by table.

``flops`` are the multiply-accumulates of convolution and linear layers for one input, as the papers count them
(no bias, BatchNorm, activation or pooling); ``params`` are PyTorch's; ``acts`` the output elements of convolution
and linear layers (Radosavovic et al., 2020, section 3.1). All is counted on the meta device: nothing is computed.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from palmette.architecture import Architecture, Value
from palmette.blocks.quantizers import QuantizedConv2d, packed_size, weight_bits
from palmette.choice import Choice, chosen
from palmette.costs.shapes import shaped
from palmette.decision import Subset, holds
from palmette.errors import ArchitectureError
from palmette.plain import TrainingOnly
from palmette.slots import Alternative, Case, Slot
from palmette.space import Space, fill_all

COSTS = ("flops", "params", "acts")
QUANTIZED_COSTS = ("bitops", "bytes")
"""More costs, of networks with quantised layers: multiply-accumulates of these times the bits of weight and feature
(sampling.md 2.12), and the size of parameters and statistics with these weights packed (``export/packed.py``)."""
ALL_COSTS = COSTS + QUANTIZED_COSTS
Shape = Sequence[int]


def complexity(network: nn.Module, input_shape: Shape) -> dict[str, int]:
    """Return ``{"flops", "params", "acts"}`` of a network for one input of ``input_shape`` (without the batch).

    With quantised layers also ``"bitops"`` and ``"bytes"``.
    """
    network = copy.deepcopy(network).to("meta").eval()
    _, costs = _counted(network, input_shape, {})
    names = ALL_COSTS if weight_bits(network) else COSTS
    return dict(zip(names, costs.tolist(), strict=False))


def flops_of_choice(space: Space, input_shape: Shape, choice: Choice) -> int:
    """Return the multiply-accumulates for one input of a supernet that is told ``choice``: of a mixture, of all of it.

    Args:
        space: of the supernet.
        input_shape: without the batch.
        choice: its tensors on the meta device.
    """
    with torch.device("meta"):
        network = fill_all(space.definition()).eval()
    with torch.no_grad(), chosen(choice), _Counter() as counter:
        network(torch.empty(1, *input_shape, device="meta"))
    total: int = counter.flops
    return total


class CostTable:
    """Exact costs of every architecture of a space: a fixed part, one entry per decision, one per group of decisions.

    The network is run once, on the meta device, which shows the fixed layers and the input shape of every slot; then
    each alternative of each slot is run alone at that shape, and so on for slots inside options. Costs under several
    conditions, as of a layer between two open widths or of an open width inside one option of a block, are joint.

    Raises:
        ArchitectureError: options of one slot whose outputs differ in shape, layers outside all slots whose cost
            depends on a decision, or input that does not fit the network.
    """

    def __init__(self, space: Space, input_shape: Shape) -> None:
        self.decisions = space.decisions
        self.input_shape = tuple(input_shape)
        self.names: tuple[str, ...] = ALL_COSTS
        """``COSTS``, in spaces with quantised layers also ``QUANTIZED_COSTS``."""
        self.fixed = self._zeros(())
        """Costs of the layers outside all slots, int64 ``[costs]`` in the order of ``names``."""
        self.options = {name: self._zeros((name,)) for name in self.decisions.decisions}
        """Costs of each option of each decision, int64 ``[options, costs]``."""
        self.joint: dict[tuple[str, ...], npt.NDArray[np.int64]] = {}
        """Costs that depend on several decisions together, int64 ``[options, options, ..., costs]``."""
        self._known: dict[tuple[Hashable, Shape], tuple[tuple[int, ...], npt.NDArray[np.int64]]] = {}
        """Output shape and costs of what several slots can run; empty in the end."""
        with torch.device("meta"):
            network = space.definition().to("meta")
        try:
            self._add(network, self.input_shape, ())
        except RuntimeError as error:
            why = " ".join(str(error).split())
            raise ArchitectureError(
                f"space {space.name!r}: it cannot run an input of shape {self.input_shape} ({why}); "
                "give data that fit the network, or mend the option"
            ) from None
        self._known.clear()
        if not any(
            table[..., ALL_COSTS.index("bitops")].any()
            for table in (self.fixed, *self.options.values(), *self.joint.values())
        ):
            self.names, self.fixed = COSTS, self.fixed[: len(COSTS)]
            self.options = {name: table[:, : len(COSTS)] for name, table in self.options.items()}
            self.joint = {names: table[..., : len(COSTS)] for names, table in self.joint.items()}

    def __call__(self, architecture: Architecture) -> dict[str, int]:
        """Return the costs of one architecture by name."""
        total = self.fixed.copy()
        picks = {name: self.decisions.index(name, value) for name, value in architecture.values}
        for name, pick in picks.items():
            total += self.options[name][pick]
        for names, table in self.joint.items():
            if all(name in picks for name in names):
                total += table[tuple([picks[name] for name in names])]
        return dict(zip(self.names, map(int, total), strict=True))

    def all(self, architectures: Sequence[Architecture]) -> npt.NDArray[np.int64]:
        """Return the costs of many architectures, int64 ``[architectures, costs]``."""
        total = np.tile(self.fixed, (len(architectures), 1))
        picks = {
            name: [self.decisions.index(name, a[name]) if name in a else -1 for a in architectures]
            for name in self.options
        }
        for names, table in [*(((name,), table) for name, table in self.options.items()), *self.joint.items()]:
            zero_last = np.pad(table, [*[(0, 1)] * len(names), (0, 0)])
            total += zero_last[tuple([picks[name] for name in names])]
        return total

    def _add(self, module: nn.Module, shape: Shape, conditions: tuple[Case, ...]) -> tuple[int, ...]:
        """Add the costs of ``module``, which runs under ``conditions``, and of its slots; return its output shape."""
        reached: list[tuple[Slot, Sequence[Shape]]] = []
        with torch.device("meta"):
            fill_all(module).eval()
        for slot in _outermost(module):
            slot.register_forward_pre_hook(partial(_enter, reached))
        output, counted = self._run(module, shape, 0)
        self._enter_costs(conditions, counted)
        varying = [self._add_alternatives(slot, inside, conditions) for slot, inside in reached]
        if any(varying) and not conditions and self._run(module, shape, -1)[1].tolist() != counted.tolist():
            raise ArchitectureError(
                "costs: layers outside all slots cost more where a width is larger; make slots of the layers that an "
                "open width reaches"
            )
        return output

    def _run(self, module: nn.Module, shape: Shape, option: int) -> tuple[tuple[int, ...], npt.NDArray[np.int64]]:
        """Run with option 0 or -1 of every decision; return the output's shape and the costs outside slots."""
        decisions = self.decisions.decisions
        sizes = {n: len(d.options if isinstance(d, Subset) else d.values()) for n, d in decisions.items()}
        picks = {name: range(size)[option] for name, size in sizes.items()}
        return _counted(module, shape, picks)

    def _add_alternatives(self, slot: Slot, shapes: Sequence[Shape], above: tuple[Case, ...]) -> bool:
        """Add the costs of what a slot can run; say whether conditions change the shape of its input or output."""
        outputs: dict[tuple[int, ...], tuple[Case, ...]] = {}
        varying = False
        with torch.device("meta"):
            alternatives = list(slot.alternatives())
        for a in alternatives:
            shape = _only([shapes[position] for position in (a.position, *a.others)], a.conditions)
            inside = shape if a.inputs is None else (a.inputs, *shape[1:])
            output = self._add_alternative(a, inside, above + a.conditions)
            varying = varying or a.inputs is not None or a.outputs is not None
            if a.conditions:
                outputs.setdefault(output if a.outputs is None else output[1:], a.conditions)
        if len(outputs) > 1:
            (one, first), (other, second) = list(outputs.items())[:2]
            raise ArchitectureError(
                f"slot {_names(first)}: option {_values(first)} gives outputs of shape {one} and option "
                f"{_values(second)} of {other}; options of a slot must give outputs of one shape"
            )
        return varying

    def _add_alternative(self, alternative: Alternative, shape: Shape, above: tuple[Case, ...]) -> tuple[int, ...]:
        key = (alternative.key, tuple(shape))
        if alternative.key is not None and key in self._known:
            output, costs = self._known[key]
            self._enter_costs(above, costs)
            return output
        with torch.device("meta"):
            module = alternative.make()
        if alternative.key is None or next(_outermost(module), None) is not None:
            return self._add(module, shape, above)
        self._known[key] = output, costs = self._run(module.eval(), shape, 0)
        self._enter_costs(above, costs)
        return output

    def _enter_costs(self, conditions: tuple[Case, ...], costs: npt.NDArray[np.int64]) -> None:
        """Add costs that arise where all conditions hold to the smallest table that can tell."""
        needed = [condition for condition in dict.fromkeys(conditions) if not self._is_implied(condition, conditions)]
        rows: dict[str, set[int]] = {}
        for name, wanted in needed:
            fitting = {i for i, v in enumerate(self.decisions.values(name)) if _fits(v, wanted)}
            rows[name] = rows.get(name, fitting) & fitting
        names = tuple(name for name in self.decisions.decisions if name in rows)
        if len(names) > 1:
            table = self.joint.setdefault(names, self._zeros(names))
        else:
            table = self.options[names[0]] if names else self.fixed
        if names:
            table[np.ix_(*(sorted(rows[name]) for name in names))] += costs
        else:
            table += costs

    def _zeros(self, names: tuple[str, ...]) -> npt.NDArray[np.int64]:
        return np.zeros((*(len(self.decisions.values(name)) for name in names), len(ALL_COSTS)), dtype=np.int64)

    def _is_implied(self, condition: Case, conditions: tuple[Case, ...]) -> bool:
        """Say whether one of the other decisions is active only where the condition holds."""
        return any(self.decisions.decisions[name].active_if == (condition,) for name, _ in conditions)


def _counted(module: nn.Module, shape: Shape, picks: Choice) -> tuple[tuple[int, ...], npt.NDArray[np.int64]]:
    """Run a module on the meta device; return the shape of its output and its costs outside slots."""
    own = list(_outside_slots(module))
    with torch.no_grad(), chosen(picks), _Counter() as counter:
        hooks = [slot.register_forward_pre_hook(counter.enter) for slot in _outermost(module)]
        hooks += [slot.register_forward_hook(counter.leave) for slot in _outermost(module)]
        for layer in own:
            if isinstance(layer, QuantizedConv2d):
                hooks += [layer.register_forward_pre_hook(counter.quantize), layer.register_forward_hook(counter.end)]
        output = module(torch.empty(1, *shape, device="meta"))
    for hook in hooks:
        hook.remove()
    params = sum(p.numel() for layer in own for p in layer.parameters(recurse=False))
    costs = [counter.flops, params, counter.acts, counter.bitops, _bytes(own)]
    return tuple((output[0] if isinstance(output, tuple) else output).shape[1:]), np.array(costs)


def _bytes(layers: Sequence[nn.Module]) -> int:
    """Return the size of parameters and statistics, as ``export.packed.pack`` stores them."""
    tensors = [
        t for layer in layers for t in (*layer.parameters(False), *layer.buffers(False)) if t.is_floating_point()
    ]
    packed = [layer for layer in layers if isinstance(layer, QuantizedConv2d)]
    saved = [4 * q.conv.weight.numel() - packed_size(q.conv.weight.numel(), q.weight_bits) for q in packed]
    return 4 * sum(t.numel() for t in tensors) - sum(saved)


def _only(shapes: Sequence[Shape], conditions: tuple[Case, ...]) -> Shape:
    if len(set(map(tuple, shapes))) > 1:
        raise ArchitectureError(
            f"slot {_names(conditions)}: inputs of shapes {', '.join(map(str, shapes))} are read through one factory; "
            "give each shape a factory of its own"
        )
    return shapes[0]


def _fits(value: Value, wanted: Value | frozenset[Value]) -> bool:
    return value in wanted if isinstance(wanted, frozenset) else holds(value, wanted)


def _names(conditions: tuple[Case, ...]) -> str:
    return ", ".join(repr(name) for name, _ in conditions)


def _values(conditions: tuple[Case, ...]) -> str:
    return ", ".join(repr(value) for _, value in conditions)


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves its own class untyped
    """Adds up multiply-accumulates and activations of what runs while it is not inside a slot."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves its own class untyped
        self.flops = 0
        self.acts = 0
        self.bitops = 0
        self.slots_entered = 0
        self._bits = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Spare torch the import of its compiler, over a second, to keep it away from the method below."""
        return False

    def enter(self, *_: object) -> None:
        self.slots_entered += 1

    def leave(self, *_: object) -> None:
        self.slots_entered -= 1

    def quantize(self, layer: nn.Module, *_: object) -> None:
        assert isinstance(layer, QuantizedConv2d)
        self._bits = layer.weight_bits * layer.feature_bits

    def end(self, *_: object) -> None:
        self._bits = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = shaped(func, args, kwargs)
        if out is None:
            out = func(*args, **kwargs)
        rule = flop_registry.get(func.overloadpacket)
        if rule is not None and not self.slots_entered:
            flops = rule(*args, **kwargs, out_val=out) // 2
            self.flops += flops
            self.bitops += flops * self._bits
            self.acts += out.numel()
        return out


def _enter(reached: list[tuple[Slot, Sequence[Shape]]], slot: Slot, args: tuple[Tensor | Sequence[Tensor]]) -> None:
    """Note that a slot runs, and the shapes of its inputs: one, or those of a list."""
    inputs = [args[0]] if isinstance(args[0], Tensor) else args[0]
    reached.append((slot, [tuple(x.shape[1:]) for x in inputs]))


def _outermost(module: nn.Module) -> Iterator[Slot]:
    """Yield the slots of ``module`` that lie in no other slot."""
    if isinstance(module, Slot):
        yield module
        return
    for child in module.children():
        yield from _outermost(child)


def _outside_slots(module: nn.Module) -> Iterator[nn.Module]:
    """Yield ``module`` and all modules in it that lie in no slot and that a trained network keeps."""
    if not isinstance(module, (Slot, TrainingOnly)):
        yield module
        for child in module.children():
            yield from _outside_slots(child)
