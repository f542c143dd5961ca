"""Palmette: one-shot neural architecture search under limits, with proof of how far the finding can be trusted.

``import palmette as pm`` and see README.md; names load when first used, so importing is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from palmette import data, export, methods
    from palmette.architecture import Architecture
    from palmette.choice import Gate
    from palmette.costs.complexity import CostTable, complexity
    from palmette.data.options import Augmentation, Splits
    from palmette.errors import PalmetteError
    from palmette.graph_slots import AnyOf
    from palmette.methods.options import AuditOptions
    from palmette.methods.search import Result, search
    from palmette.places import copies, replace
    from palmette.searches.evolution import EvolutionOptions
    from palmette.slots import OneOf
    from palmette.space import Space, Supernet
    from palmette.supernets.sliced import Sliced, Width
    from palmette.training.recipe import Recipe

_HOMES = {
    "AnyOf": "graph_slots",
    "Architecture": "architecture",
    "AuditOptions": "methods.options",
    "Augmentation": "data.options",
    "CostTable": "costs.complexity",
    "EvolutionOptions": "searches.evolution",
    "Gate": "choice",
    "OneOf": "slots",
    "PalmetteError": "errors",
    "Recipe": "training.recipe",
    "Result": "methods.search",
    "Sliced": "supernets.sliced",
    "Space": "space",
    "Splits": "data.options",
    "Supernet": "space",
    "Width": "supernets.sliced",
    "complexity": "costs.complexity",
    "copies": "places",
    "replace": "places",
    "search": "methods.search",
}
_PACKAGES = ("data", "export", "methods")

__all__ = [
    "AnyOf",
    "Architecture",
    "AuditOptions",
    "Augmentation",
    "CostTable",
    "EvolutionOptions",
    "Gate",
    "OneOf",
    "PalmetteError",
    "Recipe",
    "Result",
    "Sliced",
    "Space",
    "Splits",
    "Supernet",
    "Width",
    "complexity",
    "copies",
    "data",
    "export",
    "methods",
    "replace",
    "search",
]


def __getattr__(name: str) -> object:
    if name in _PACKAGES:
        return importlib.import_module(f"palmette.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'palmette' has no attribute {name!r}; it has {', '.join(__all__)}")
    found: object = getattr(importlib.import_module(f"palmette.{_HOMES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return __all__
