"""``palmette draw``: an architecture as an SVG picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from palmette.cli.main import parse
from palmette.errors import PalmetteError


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Draw an architecture: its cells as graphs, or the chain of its layers with shapes and costs.

    Examples: `palmette draw runs/mine/architecture.json --out winner.svg`; `palmette draw DARTS_V2`;
    `palmette draw enas-recurrent-cell`; `palmette draw enas-micro-released`.
    """

    architecture: Annotated[Path, tyro.conf.Positional]
    """An architecture.json, or the directory of a run; or the name of published cells, as DARTS_V2 or
    enas-recurrent-cell."""
    out: Path = Path("architecture.svg")
    resolution: int | None = None
    """Height and width of the input in pixels; default: those of the run the file lies in, or of the publication."""


def run(arguments: Sequence[str]) -> None:
    options = parse(Draw, arguments, name="draw")
    assert isinstance(options, Draw)
    from palmette.cli.architectures import read_file, shape_of
    from palmette.cli.names import SPACES, named
    from palmette.cli.published import published_graphs
    from palmette.costs.counted import cost_table
    from palmette.report.drawing import draw
    from palmette.report.graph_drawing import draw_graphs
    from palmette.report.graphs import graphs
    from palmette.report.layers import layer_rows
    from palmette.storage.atomic import write_text

    if options.resolution is not None and options.resolution < 1:
        raise PalmetteError(f"draw: resolution = {options.resolution} was given; allowed are pixels from 1")
    published = published_graphs()
    if str(options.architecture) in published:
        write_text(options.out, draw_graphs(published[str(options.architecture)]()))
        print(options.out)
        return
    if not options.architecture.suffix and not options.architecture.exists():  # no file name, so meant as a name
        raise PalmetteError(
            f"draw: {str(options.architecture)!r} is no file and no published graph; give an architecture.json, a run, "
            f"or one of {', '.join(published)}"
        )
    architecture = read_file(options.architecture)
    entry = named(SPACES, architecture.space, "space")
    file = options.architecture / "architecture.json" if options.architecture.is_dir() else options.architecture
    classes, shape = shape_of(str(file)) or (entry.classes, entry.input_shape)
    space = entry.build(classes, shape[0]).stand_alone
    cells = graphs(space, space.decisions.check(architecture))
    if cells:
        write_text(options.out, draw_graphs(cells))
        print(options.out)
        return
    table = cost_table(space, entry.shape_at(shape, options.resolution))
    rows = layer_rows(space, table, space.decisions.check(architecture))
    write_text(options.out, draw(rows))
    print(options.out)
