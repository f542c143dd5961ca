"""``palmette latency``: milliseconds of a space's options on this machine, in a table that searches take."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from palmette.cli.main import parse
from palmette.errors import PalmetteError

if TYPE_CHECKING:
    from palmette.costs.latency import Conditions
    from palmette.space import Space

BAD = 0.95
"""R2 below which the table is called a bad one."""


@dataclass(frozen=True)
class Latency:
    """Measure random networks of a space on this machine, make a table of it, and check the table on other networks.

    Nothing else should run meanwhile. With codes, these networks are measured and printed as JSON lines instead.

    Examples: `palmette latency small-images`; `palmette latency fbnet --resolution 64 --rounds 5 --out fbnet.json`;
    `palmette search --latency-table latency.json --limits.latency 0.8`;
    `palmette latency small-images 332202 --table latency.json`.
    """

    space: Annotated[str, tyro.conf.Positional]
    """A space by name; 'palmette spaces' lists them."""
    codes: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Codes or architecture.json files to measure; none: make a table."""
    out: Path = Path("latency.json")
    """The table to write; its page is written beside it, as .html."""
    table: Path | None = None
    """With codes: also print what this table predicts."""
    resolution: int | None = None
    """Height and width of the input in pixels; default: those of the space."""
    channels: int | None = None
    """Of the input; default: those of the space."""
    classes: int | None = None
    batch_size: int = 1
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = 1
    networks: int = 0
    """To fit the table to; 0: at least 100 if the space has them, and more where a layer has many options."""
    check: int = 30
    """Further networks, to check it on."""
    rounds: int = 20
    """Every network is measured once a round, beside a reference; the middle one counts."""
    seed: int = 0


def run(arguments: Sequence[str]) -> None:
    options = parse(Latency, arguments, name="latency")
    assert isinstance(options, Latency)
    for name in ("resolution", "channels", "classes", "batch_size", "threads", "rounds"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise PalmetteError(f"latency: {name} = {value} was given; allowed are numbers from 1")
    import torch

    from palmette.cli.names import SPACES, named
    from palmette.cli.search import chosen_device
    from palmette.costs.latency import Conditions
    from palmette.storage.environment import environment

    entry = named(SPACES, options.space, "space")
    if len(entry.input_shape) != 3:
        raise PalmetteError(
            f"latency: space {options.space!r} takes no images; allowed are spaces of networks for images"
        )
    channels, height, width = entry.input_shape
    shape = (options.channels or channels, options.resolution or height, options.resolution or width)
    space = entry.build(options.classes or entry.classes, shape[0]).stand_alone
    device = torch.device(chosen_device(options.device))
    facts = {**environment(device), "threads": str(options.threads)}
    conditions = Conditions(
        input_shape=shape,
        batch_size=options.batch_size,
        dtype=options.dtype,
        device=str(device),
        threads=options.threads,
        environment=facts,
    )
    if options.codes:
        _measure(options, space, conditions)
    else:
        _make_table(options, space, conditions)


def _make_table(options: Latency, space: Space, conditions: Conditions) -> None:
    from palmette.costs.latency import measured_table, networks_needed
    from palmette.progress import Bars
    from palmette.report.latency import render
    from palmette.storage.atomic import write_text

    networks = networks_needed(space, networks=options.networks, check=options.check, rounds=options.rounds)
    with Bars().phase("latency") as advance:
        table = measured_table(
            space,
            conditions,
            networks=networks,
            check=options.check,
            rounds=options.rounds,
            seed=options.seed,
            advance=advance,
        )
    page = options.out.with_suffix(".html")
    write_text(options.out, table.to_json())
    write_text(page, render(table))
    found, least, most = table.agreement, min(table.measured), max(table.measured)
    print(
        f"{len(table.codes)} other networks against the sums of the table: R2 {found.r2:.4f}, "
        f"RMSE {found.rmse:.4g} ms, at most {100 * found.worst:.1f}% off; they take {least:.4g} to {most:.4g} ms"
    )
    if not found.r2 >= BAD:
        print("This table is not to be trusted: let nothing else run meanwhile, or take more --rounds or --networks")
    print(f"The table is {options.out}; look at {page}")


def _measure(options: Latency, space: Space, conditions: Conditions) -> None:
    import numpy as np

    from palmette.cli.architectures import read_architecture
    from palmette.cli.latency_table import read_table
    from palmette.costs.latency import measured, measured_beside

    decisions = space.decisions
    table = None if options.table is None else read_table(options.table, decisions, conditions.input_shape)
    architectures = [read_architecture(code, decisions) for code in options.codes]
    generator = np.random.default_rng(options.seed)
    if table is None:
        times = measured(space, architectures, conditions, rounds=options.rounds, generator=generator)
    else:
        _check_same(table.conditions, conditions, options.table)
        times = measured_beside(table, space, architectures, rounds=options.rounds, generator=generator)
    for architecture, each in zip(architectures, times, strict=True):
        facts: dict[str, str | float] = {"code": decisions.code(architecture), "measured": round(float(each), 6)}
        if table is not None:
            facts["predicted"] = round(table.table(architecture)["latency"], 6)
        print(json.dumps(facts))


def _check_same(wanted: Conditions, given: Conditions, path: Path | None) -> None:
    """Raise PalmetteError for conditions under which a table says nothing."""
    for name in ("batch_size", "dtype", "device", "threads"):
        if getattr(wanted, name) != getattr(given, name):
            raise PalmetteError(
                f"latency: {name} = {getattr(given, name)} was given and the table {path} was made with "
                f"{getattr(wanted, name)}; measure with the same, or without --table"
            )
