"""``palmette retrain``: train an architecture from scratch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from palmette.cli.architectures import read_file
from palmette.cli.main import parse
from palmette.cli.names import SPACES
from palmette.data.options import Splits
from palmette.errors import PalmetteError
from palmette.training.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Retrain:
    """Train an architecture from scratch, and write its weights and figures to a directory.

    Examples: `palmette retrain runs/mine/architecture.json --data images.npz --out runs/longer --epochs 200`.
    """

    architecture: Annotated[Path, tyro.conf.Positional]
    """An architecture.json, or the directory of a run."""
    data: str = "digits"
    """As for 'palmette search'."""
    out: Path = Path("runs/retrained")
    resume: bool = False
    """Continue the training in that directory if there is one."""
    seed: int = 0
    recipe: Annotated[Recipe, tyro.conf.arg(name="")] = field(default_factory=Recipe)
    splits: Splits = field(default_factory=Splits)
    image_size: int | None = None
    """Resize all images to this height and width, in pixels."""


def run(arguments: Sequence[str]) -> None:
    options = parse(Retrain, arguments, name="retrain", default=_defaults(arguments))
    assert isinstance(options, Retrain)
    from palmette import ranks
    from palmette.cli.trained import space_of
    from palmette.data.sources import load_any
    from palmette.evaluation.from_scratch import train_alone
    from palmette.evaluation.score import score
    from palmette.export.weights import Card, save_weights
    from palmette.progress import shown
    from palmette.storage.atomic import write_text
    from palmette.storage.held import held
    from palmette.storage.run_directory import RunDirectory, plain
    from palmette.training.loop import Watch

    architecture = read_file(options.architecture)
    data = load_any(options.data, splits=options.splits, seed=options.seed, image_size=options.image_size)
    space = space_of(architecture, classes=len(data.classes), channels=data.input_shape[0])
    SPACES[space.name].check_data(data)
    architecture = space.decisions.check(architecture)
    settings = {name: value for name, value in plain(options).items() if name not in ("out", "resume")}
    begin = RunDirectory.open if options.resume else RunDirectory.create
    with ranks.started(), held(lambda: begin(options.out, settings)) as directory:
        is_first = ranks.own() == 0
        with shown().phase("retraining") as advance:
            watch = Watch(advance=advance, checkpoint=directory.checkpoint("retraining"))
            network = train_alone(space, architecture, data, options.recipe, seed=options.seed, watch=watch)
        test = score(network, data.test, data)
        save_weights(network, directory.network, Card.of(architecture, data))
        write_text(directory.architecture, architecture.to_json() + "\n")
        write_text(directory.result, json.dumps({"test": test}) + "\n")
    if is_first:
        print(json.dumps({"architecture": space.decisions.code(architecture), "out": str(options.out), **test}))


def _defaults(arguments: Sequence[str]) -> Retrain | None:
    """Return the defaults of the space that the named file belongs to, or None if no file is named first."""
    first = [Path(argument) for argument in arguments[:1] if not argument.startswith("-")]
    files = [path for path in first if path.suffix == ".json" or (path / "architecture.json").exists()]
    if len(files) != 1:
        return None
    space = read_file(files[0]).space
    if space not in SPACES:
        raise PalmetteError(f"retrain: space {space!r} is not one of {', '.join(SPACES)}; use Python for your own")
    return Retrain(architecture=files[0], recipe=SPACES[space].spos().retraining)
