"""Places: decisions in the place of layers of a network that was written without any.

A network of the user's own becomes a space by putting a slot where one of its parts stands; the part itself can be one
of the slot's options. Nothing is traced or rewritten: a part is an attribute of the module that holds it.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping

from torch import nn

from palmette.errors import ArchitectureError
from palmette.slots import Factory, Slot


def replace(network: nn.Module, slots: Mapping[str, Slot]) -> nn.Module:
    """Return a copy of the network with slots in the place of some of its parts.

    ``replace(resnet, {"layer1.1": pm.OneOf("block", keep=pm.copies(resnet.layer1[1]), none=nn.Identity)})``. Slots of
    one name share one decision.

    Args:
        network: left as it is; it may hold slots already.
        slots: by the name of the part that each replaces, as ``network.named_modules()`` has it.

    Raises:
        ArchitectureError: no such part, a part inside another that is replaced, or something else than a slot.
    """
    names = [name for name, _ in network.named_modules(remove_duplicate=False) if name]
    for name, slot in slots.items():
        if name not in names:
            near = difflib.get_close_matches(name, names, n=3) or names[:3]
            raise ArchitectureError(f"replace: the network has no part {name!r}; it has {', '.join(near)}, ...")
        if not isinstance(slot, Slot):
            raise ArchitectureError(
                f"replace: for {name!r} {type(slot).__name__} was given; allowed are slots, as pm.OneOf(...)"
            )
        around = [other for other in slots if name.startswith(f"{other}.")]
        if around:
            raise ArchitectureError(
                f"replace: {name!r} is a part of {around[0]!r}, which is replaced too; replace one of them"
            )
    opened = copy.deepcopy(network)
    for name, slot in slots.items():
        parent, _, child = name.rpartition(".")
        setattr(opened.get_submodule(parent), child, slot)
    return opened


def copies(module: nn.Module) -> Factory:
    """Return a function that makes copies of ``module`` whose layers are initialised anew, by PyTorch's defaults.

    Layers are initialised by their ``reset_parameters``, which most but not all have; the weights of others are copied.
    """
    module = copy.deepcopy(module)  # later changes of the original are not its copies' concern

    def made() -> nn.Module:
        new = copy.deepcopy(module)
        for layer in new.modules():
            reset = getattr(layer, "reset_parameters", None)
            if callable(reset):
                reset()
        return new

    return made
