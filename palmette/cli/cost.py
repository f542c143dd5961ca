"""``palmette cost``: complexity of architectures of a space, or of published networks, as JSON lines."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from palmette.cli.main import parse
from palmette.cli.names import SPACES, named
from palmette.errors import PalmetteError

if TYPE_CHECKING:
    from palmette.spaces.anynet import AnyNet


@dataclass(frozen=True)
class Cost:
    """Print parameters, FLOPs (multiply-accumulates) and activations, one JSON line per architecture.

    Examples: `palmette cost nas-bench-macro 22212220 11111111`; `palmette cost shuffle-choice - < codes.txt`;
    `palmette cost small-images runs/digits/architecture.json`; `palmette cost spos-block-search`;
    `palmette cost RegNetX-400MF ResNet-50` (these as their papers count them: biases and max-pools too).
    """

    names: Annotated[tuple[str, ...], tyro.conf.Positional]
    """A space and then codes, architecture.json files, or - for codes on standard input; or published networks."""
    resolution: int | None = None
    """Height and width of the input in pixels; default: those of the run a file lies in, or of the publication."""
    latency_table: Path | None = None
    """Also print latency, in milliseconds, by a table that 'palmette latency SPACE' wrote."""


def run(arguments: Sequence[str]) -> None:
    options = parse(Cost, arguments, name="cost")
    assert isinstance(options, Cost)
    if options.resolution is not None and options.resolution < 1:
        raise PalmetteError(f"cost: resolution = {options.resolution} was given; allowed are pixels from 1")
    if not options.names:
        raise PalmetteError("cost: nothing was named; give a space and codes, as: cost nas-bench-macro 22212220")
    if options.names[0] in SPACES:
        _print_space(options.names[0], options.names[1:], options.resolution, options.latency_table)
    else:
        if options.latency_table is not None:
            raise PalmetteError("cost: a table of latencies is of a space; give the space and codes of it")
        for name in options.names:
            _print_published(name, options.resolution)


def _print_space(name: str, codes: Sequence[str], resolution: int | None, latency_table: Path | None) -> None:
    from palmette.cli.architectures import read_architecture, shape_of
    from palmette.cli.latency_table import read_table
    from palmette.costs.counted import Costs, cost_table

    entry = named(SPACES, name, "space")
    if not codes:
        raise PalmetteError(f"cost: no code was given for {name}; give codes, .json files, or - to read codes")
    tables: dict[object, Costs] = {}
    for code in _expand(codes):
        classes, shape = shape_of(code) or (entry.classes, entry.input_shape)
        shape = entry.shape_at(shape, resolution)
        if (classes, shape) not in tables:
            tables[classes, shape] = cost_table(entry.build(classes, shape[0]).stand_alone, shape)
        table = tables[classes, shape]
        architecture = read_architecture(code, table.decisions)
        facts = {"space": name, "code": code, "canonical": table.decisions.code(architecture)}
        if code.endswith(".json"):
            facts["code"] = facts["canonical"]
        costs: dict[str, float] = dict(table(architecture))
        if latency_table is not None:
            latency = read_table(latency_table, table.decisions, shape).table(architecture)
            costs |= {name: round(value, 6) for name, value in latency.items()}
        print(json.dumps({**facts, **costs}))


def _print_published(name: str, resolution: int | None) -> None:
    from palmette.cli.published import published, published_anynets
    from palmette.costs.complexity import complexity

    networks, anynets = published(), published_anynets()
    if name in anynets:
        _print_anynet(name, *anynets[name], resolution=resolution)
        return
    if name not in networks:
        near = difflib.get_close_matches(name, [*SPACES, *networks, *anynets], n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        allowed = ", ".join([*SPACES, *networks, *anynets])
        raise PalmetteError(f"cost: {name!r} is no space and no published network; allowed are {allowed}{meant}")
    network, shape = networks[name]()
    if resolution is not None and len(shape) == 1:
        raise PalmetteError(f"cost: resolution = {resolution} was given for a language model; leave it out")
    at = shape if resolution is None else (shape[0], resolution, resolution)
    print(json.dumps({"name": name, **complexity(network, at)}))


def _print_anynet(name: str, network: AnyNet, published_at: int, *, resolution: int | None) -> None:
    from palmette.design_spaces.complexity import anynet_complexity

    counted = anynet_complexity(network, resolution or published_at)
    structure = {
        "widths": [stage.width for stage in network.stages],
        "depths": [stage.depth for stage in network.stages],
    }
    print(json.dumps({"name": name, **counted, **structure, "counted": "with biases and max-pools"}))


def _expand(codes: Sequence[str]) -> Iterator[str]:
    for code in codes:
        if code == "-":
            yield from (line.strip() for line in sys.stdin if line.strip())
        else:
            yield code
