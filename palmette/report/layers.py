"""The rows of the winner's picture: what follows what from input to output, with shapes and costs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from palmette.architecture import Architecture
from palmette.choice import chosen
from palmette.costs.complexity import CostTable, complexity
from palmette.costs.counted import Costs
from palmette.report.contents import LayerRow
from palmette.space import Space, chain, slots


def layer_rows(space: Space, table: Costs, architecture: Architecture) -> list[LayerRow]:
    """Return one row per decision taken and per run of fixed layers, in order of the network's chain.

    Where costs are counted, decisions have none of their own, and each link of the chain is one row.
    """
    with torch.device("meta"):
        links = chain(space.stand_alone.supernet(seed=0).to("meta").eval().network)
    rows: list[LayerRow] = []
    shape: Sequence[int] = table.input_shape
    with torch.no_grad(), chosen(space.choice(architecture)):
        for is_fixed, group in itertools.groupby(links, key=lambda link: not slots(link)):
            for part in [nn.Sequential(*group)] if is_fixed else group:
                before, shape = shape, _shape(part(torch.empty(1, *shape, device="meta")))
                if is_fixed:
                    label = "stem" if not rows else "head" if list(part.children())[-1] is links[-1] else "between"
                    rows.append(LayerRow(label, None, [], shape, complexity(part, before)))
                elif isinstance(table, CostTable):
                    rows += _decision_rows(table, architecture, part, shape)
                else:
                    rows.append(_counted_row(architecture, part, before, shape))
    return rows


def _shape(output: Tensor | tuple[Tensor, ...]) -> list[int]:
    """Return the shape of an output without the batch; of several outputs, that of the first."""
    return list((output[0] if isinstance(output, tuple) else output).shape[1:])


def _decision_rows(
    table: CostTable, architecture: Architecture, link: nn.Module, shape: Sequence[int]
) -> list[LayerRow]:
    names = dict.fromkeys(d.name for slot in slots(link) for d in slot.decisions())
    return [_row(table, name, architecture, shape) for name in names if name in architecture]


def _row(table: CostTable, name: str, architecture: Architecture, shape: Sequence[int]) -> LayerRow:
    """Return the row of one decision; what several decisions cost together stands with the first of them."""
    picks = {name: table.decisions.index(name, value) for name, value in architecture.values}
    value, values = architecture[name], table.decisions.values(name)
    entry = table.options[name][picks[name]].copy()
    for names, rows in table.joint.items():
        if names[0] == name and all(other in picks for other in names):
            entry += rows[tuple([picks[other] for other in names])]
    costs = dict(zip(table.names, map(int, entry), strict=True))
    return LayerRow(name, str(value), [str(v) for v in values], list(shape), costs)


def _counted_row(architecture: Architecture, link: nn.Module, before: Sequence[int], shape: Sequence[int]) -> LayerRow:
    (slot,) = slots(link)
    names = [decision.name for decision in slot.decisions() if decision.name in architecture]
    taken = f"{len(names)} decisions"
    return LayerRow(names[0].partition(".")[0], taken, [taken], shape, complexity(slot.active(architecture), before))
