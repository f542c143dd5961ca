"""``palmette mirror``: the trials of a run in a storage of Optuna, for optuna-dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from palmette.cli.main import parse
from palmette.cli.names import SPACES, named
from palmette.cli.search import stored_search

if TYPE_CHECKING:
    from palmette.decisions import Decisions
    from palmette.storage.optuna_mirror import Target


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """Write the trials of a run to a storage of Optuna, those that are not there yet; also while the run goes on.

    'palmette search --optuna URL' does the same during a search.

    Examples: `palmette mirror runs/mine --optuna sqlite:///trials.db` and then `optuna-dashboard sqlite:///trials.db`;
    `palmette mirror runs/mine --optuna postgresql://me@host/nas --study mine --objectives accuracy latency`.
    """

    run: Annotated[Path, tyro.conf.Positional]
    """The directory of a run."""
    optuna: str
    """sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME; needs the extra optuna."""
    study: str | None = None
    """Its name there; default: the last two parts of the directory's path."""
    objectives: tuple[str, ...] = ()
    """Metrics and costs that are the values of the trials, as accuracy flops or name:higher; default: what networks of
    the run are judged by, and flops."""


def run(arguments: Sequence[str]) -> None:
    options = parse(Mirror, arguments, name="mirror")
    assert isinstance(options, Mirror)
    from palmette.storage.optuna_mirror import mirror_run

    target = target_of(options.run, options.optuna, options.study, options.objectives)
    added = mirror_run(options.run, decisions_of(options.run), target)
    print(f"{added} trials added to study {target.study!r} in {target}")


def decisions_of(path: Path) -> Decisions:
    """Return the decisions of the space that the run in a directory searches."""
    entry = named(SPACES, stored_search(path).space, "space")
    return entry.build(entry.classes, entry.input_shape[0]).decisions


def target_of(path: Path, url: str, study: str | None, wanted: Sequence[str]) -> Target:
    """Return where the run in a directory is mirrored to.

    Raises:
        PalmetteError: objectives that cannot be read.
    """
    from palmette.searches.pareto import objectives
    from palmette.storage.optuna_mirror import Target

    entry = named(SPACES, stored_search(path).space, "space")
    metric = "accuracy" if len(entry.input_shape) > 1 else "perplexity"
    name = "/".join(path.absolute().parts[-2:])
    return Target(url, study or name, objectives(tuple(wanted) or (metric, "flops")))
