"""Sliced: one module of the largest size serves all sizes, each by the leading slices of its tensors.

SPOS searches the number of channels so (Guo et al., 2020, section 3.4; sampling.md 2.10), with a single path; FBNetV2
with weights over the widths: the widest output, multiplied by the weighted sum of the widths' 0/1 masks (Wan et al.,
2020, section 3.1; gradient.md 8.1). A ``Width`` is one decision that any number of slots read: what is the output width
of one layer is the input width of the next.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from palmette.architecture import Architecture
from palmette.choice import Term, picked, terms
from palmette.decision import Categorical, Condition, Decision
from palmette.errors import ArchitectureError
from palmette.leading import leading
from palmette.slots import Alternative, Slot, not_filled

Index = tuple[int, ...]
"""The option of each argument of a slot."""


class Size(Protocol):
    """A decision whose options are sizes of one module: ``Width``, or bits."""

    @property
    def name(self) -> str: ...

    @property
    def values(self) -> Sequence[Any]:
        """What a block is called with, by option; the last makes the largest block."""
        ...

    def decision(self) -> Categorical: ...


@dataclass(frozen=True)
class Width:
    """A number of channels to be decided; slots that are given equal widths share the decision.

    Raises:
        ArchitectureError: no widths, one that is not whole or below 1, or not in rising order; another number of names.
    """

    name: str
    values: tuple[int, ...]
    """In channels, rising."""
    options: tuple[str, ...] = ()
    """Names of the options; the numbers where there are none."""

    def __post_init__(self) -> None:
        whole = all(isinstance(value, int) for value in self.values)
        if not whole or not self.values or min(self.values) < 1 or list(self.values) != sorted(set(self.values)):
            raise ArchitectureError(
                f"width {self.name!r}: {list(self.values)} channels; give at least one, whole, in rising order, from 1"
            )
        if self.options and len(self.options) != len(self.values):
            raise ArchitectureError(f"width {self.name!r}: {len(self.options)} names for {len(self.values)} widths")

    @staticmethod
    def scaled(name: str, base: int, scales: Sequence[float]) -> Width:
        """Return the widths ``int(base * scale)``, named by their scales.

        Raises:
            ArchitectureError: a scale that gives no channel, or two that give the same.
        """
        values = tuple(int(base * scale) for scale in scales)
        if not values or min(values) < 1 or len(set(values)) < len(values):
            raise ArchitectureError(
                f"width {name!r}: scales {list(scales)} of {base} give {list(values)} channels; "
                "give scales, or a larger base, so that each gives a number of its own, at least 1"
            )
        return Width(name, values, tuple(map(str, scales)))

    def decision(self) -> Categorical:
        return Categorical(self.name, self.options or tuple(map(str, self.values)), ordered=True)


class Sliced(Slot):
    """A plain module in several sizes, all with the tensors of the largest.

    ``Sliced(lambda inner: shuffle_block(32, 32, kernel=3, inner=inner), Width("inner1", (8, 16, 24)))``, or between
    layers of open width ``Sliced(conv_bn, before, after, inputs=before, outputs=after)``.

    An index runs the module of that size. Weights over the options of the output width run the widest and multiply its
    output by masks; over those of the input width, they mean that the input comes in the widest shape, already masked;
    over those of anything else, every size is run and the outputs are summed. An output mask belongs after BatchNorm,
    which would normalise it away: let a block hold its convolution and its BatchNorm. With a fixed number of groups
    above 1, groups hold other channels at other widths, and weights compute another thing than indices.

    Args:
        block: called with one value per size, gives the module without slots; its layers may differ in size only.
        sizes: in the order of the block's parameters.
        inputs: which of them is the number of channels of the input, ``[N, inputs, ...]``.
        outputs: which of them is the number of channels of the output, ``[N, outputs, ...]``.
        padded: give the output the widest shape, with zeros in the channels that are not used, so that a layer of fixed
            width can follow; in the stand-alone network too.
    """

    def __init__(
        self,
        block: Callable[..., nn.Module],
        *sizes: Size,
        inputs: Width | None = None,
        outputs: Width | None = None,
        padded: bool = False,
    ) -> None:
        super().__init__()
        if not sizes or (padded and outputs is None):
            raise ArchitectureError("slot of sizes: give at least one size, and with padded=True the output width")
        self.block = block
        self.sizes = sizes
        self.inputs = inputs
        self.outputs = outputs
        self.padded = padded
        self.largest: nn.Module | None = None
        self._narrow: dict[Index, nn.Module] = {}

    @property
    def name(self) -> str:
        return ", ".join(size.name for size in self.sizes)

    def decisions(self) -> Sequence[Decision]:
        return [size.decision() for size in self.sizes]

    def nested(self) -> Iterator[tuple[Condition, nn.Module]]:
        return iter(())

    def alternatives(self) -> Iterator[Alternative]:
        for index in itertools.product(*(range(len(size.values)) for size in self.sizes)):
            conditions = tuple((s.name, s.decision().options[i]) for s, i in zip(self.sizes, index, strict=True))
            outputs = None if self.padded else self._channels(self.outputs, index)
            values = tuple(size.values[i] for size, i in zip(self.sizes, index, strict=True))
            key = (self.block, values, self.padded and self.outputs)
            inputs = self._channels(self.inputs, index)
            yield Alternative(conditions, partial(self._made, index), inputs, outputs, key=key)

    def build(self, architecture: Architecture) -> nn.Module:
        return self._made(self._index(architecture))

    def fill(self) -> None:
        self.largest = self._made(tuple(len(size.values) - 1 for size in self.sizes))
        if any(isinstance(module, Slot) for module in self.largest.modules()):
            raise ArchitectureError(f"slot {self.name!r}: its block holds a slot; put slots around it, not inside")

    def active(self, architecture: Architecture) -> nn.Module:
        with torch.no_grad():
            return self._bound(self._index(architecture))

    def running(self, architecture: Architecture) -> nn.Module:
        assert self.largest is not None
        return self.largest

    def forward(self, x: Tensor) -> Tensor:
        picks = [terms(picked(size.name), len(size.values)) for size in self.sizes]
        mask = None
        for axis, size in enumerate(self.sizes):
            if size in (self.inputs, self.outputs) and not _is_index(picks[axis]):
                if size == self.outputs:
                    mask = _mask(picks[axis], self.outputs.values, x, is_masked=size == self.inputs)
                picks[axis] = [(len(size.values) - 1, None)]
        outputs = [self._weighted(combination, x) for combination in itertools.product(*picks)]
        total: Tensor = reduce(operator.add, outputs)
        return total if mask is None else total * mask.view(-1, *[1] * (total.dim() - 2))

    def _weighted(self, combination: Sequence[Term], x: Tensor) -> Tensor:
        output: Tensor = self._bound(tuple(index for index, _ in combination))(x)
        for _, weight in combination:
            output = output if weight is None else weight * output
        return output

    def _index(self, architecture: Architecture) -> Index:
        return tuple(s.decision().options.index(str(architecture[s.name])) for s in self.sizes)

    def _channels(self, width: Width | None, index: Index) -> int | None:
        return None if width is None else width.values[index[self.sizes.index(width)]]

    def _made(self, index: Index) -> nn.Module:
        """Return a new module of one size."""
        values = [size.values[i] for size, i in zip(self.sizes, index, strict=True)]
        try:
            made = self.block(*values)
        except (ValueError, RuntimeError) as error:  # torch's own refusal, as of groups that do not divide channels
            why = " ".join(str(error).split())
            raise ArchitectureError(
                f"slot {self.name!r}: no module of size {values} can be built ({why}); give sizes that the block allows"
            ) from None
        outputs = self._channels(self.outputs, index)
        if not self.padded or self.outputs is None or outputs is None:
            return made
        unused = nn.ConstantPad3d((0, 0, 0, 0, 0, self.outputs.values[-1] - outputs), 0.0)  # of [N, C, H, W] it pads C
        return nn.Sequential(made, unused)

    def _bound(self, index: Index) -> nn.Module:
        """Return a new module of one size on leading slices of the largest one's own tensors."""
        if self.largest is None:
            raise not_filled(self.name)
        if index not in self._narrow:
            with torch.device("meta"):
                self._narrow[index] = self._made(index)
            self._check(self._narrow[index])
        return _bound(self._narrow[index], self.largest)

    def _check(self, narrow: nn.Module) -> None:
        assert self.largest is not None
        largest = self.largest.state_dict()
        for name, tensor in narrow.state_dict().items():
            if name not in largest or not _fits(tensor, largest[name]):
                raise ArchitectureError(
                    f"slot {self.name!r}: {name!r} of shape {tuple(tensor.shape)} is no leading slice of a tensor of "
                    "the largest size; let the block have the same layers in every size"
                )


def _bound(narrow: nn.Module, largest: nn.Module) -> nn.Module:
    """Return a copy of ``narrow``, which lies on the meta device, with the tensors and modes of ``largest``.

    Made for one call, so that concurrent calls of other sizes share no state but the tensors.
    """
    bound = object.__new__(type(narrow))
    bound.__dict__.update(narrow.__dict__)
    bound.training = largest.training
    if isinstance(largest, nn.modules.batchnorm._BatchNorm):
        bound.__dict__["momentum"] = largest.momentum
    for own, shared in (("_parameters", largest._parameters), ("_buffers", largest._buffers)):
        tensors = {n: t if t is None else _slice(shared[n], t.shape) for n, t in narrow.__dict__[own].items()}
        bound.__dict__[own] = tensors
    children = narrow._modules.items()
    bound.__dict__["_modules"] = {n: c and _bound(c, _child(largest, n)) for n, c in children}
    return bound


def _slice(tensor: Tensor | None, shape: torch.Size) -> Tensor:
    assert tensor is not None
    return leading(tensor, shape)


def _child(module: nn.Module, name: str) -> nn.Module:
    child = module._modules[name]
    assert child is not None
    return child


def _fits(part: Tensor, whole: Tensor) -> bool:
    return part.dim() == whole.dim() and all(a <= b for a, b in zip(part.shape, whole.shape, strict=True))


def _is_index(picks: Sequence[Term]) -> bool:
    return len(picks) == 1 and picks[0][1] is None


def _mask(picks: Sequence[Term], widths: Sequence[int], like: Tensor, *, is_masked: bool) -> Tensor:
    """Return the weighted sum of the widths' 0/1 masks, ``[channels]``; only where it is not 0 if the input had it."""
    channels = torch.arange(widths[-1], device=like.device)
    masks = [(channels < widths[i]) * (1.0 if weight is None else weight) for i, weight in picks]
    mask = reduce(torch.add, masks)
    return (mask != 0).to(mask) if is_masked else mask
