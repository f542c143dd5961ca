"""Scheduled drop-path: the probability rises linearly over a training (Zoph et al., NASNet, 2018; Liu et al., 2019)."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from palmette.blocks.drop_path import DropPath
from palmette.errors import PalmetteError
from palmette.training.recipe import Recipe


def drop_path_schedule(module: nn.Module, recipe: Recipe) -> Callable[[int], None]:
    """Return what sets the probability of all ``DropPath`` layers of ``module`` for an epoch, counted from 0.

    Raises:
        PalmetteError: the recipe asks for it and the module has no such layer.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, DropPath)]
    if recipe.drop_path and not layers:
        raise PalmetteError(
            f"recipe: drop_path = {recipe.drop_path} was given and the network has no branch that can be left out; "
            "set it to 0, or train a network of a space that has some, as darts"
        )

    def set_for(epoch: int) -> None:
        for layer in layers:
            layer.probability = layer.share * recipe.drop_path * epoch / recipe.epochs

    return set_for
