"""``palmette study``: populations of design spaces, sampled, trained and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from palmette.cli.main import parse
from palmette.cli.search import LimitTexts
from palmette.data.options import Splits
from palmette.design_spaces.options import LADDER, StudyOptions
from palmette.errors import PalmetteError
from palmette.workers.options import WorkerOptions

if TYPE_CHECKING:
    from palmette.design_spaces.ladder import Scale
    from palmette.design_spaces.population import Ranges
    from palmette.design_spaces.space import DesignSpace

FLOPS = {"tiny": "100K:200K", "cifar": "15M:20M", "imagenet": "360M:400M"}
"""Default range of each scale."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """Compare design spaces by populations: the ladder AnyNetX_A, B, C, D, E, RegNet, each constraint tested.

    Without options: the digits data of scikit-learn, 40 networks a space, on a CPU in minutes.

    Examples: `palmette study`; `palmette study --spaces A E RegNet --networks 100 --limits.flops 300K:400K`;
    `palmette study --out runs/ladder --resume` after it was killed; `palmette study --ray local --workers 4`;
    `palmette study --from runs/low runs/high` for finished studies side by side.
    """

    data: str = "digits"
    """As for 'palmette search'."""
    spaces: tuple[Literal["A", "B", "C", "D", "E", "RegNet"], ...] = ("A", "B", "C", "D", "E", "RegNet")
    """Which of the ladder."""
    scale: Literal["auto", "tiny", "cifar", "imagenet"] = "auto"
    """Stem, stages and ranges; auto goes by the size of the images."""
    block: Literal["bottleneck", "ungrouped", "linear", "basic", "residual-single", "vanilla", "single"] = "bottleneck"
    """X, R, linear bottleneck, basic, VR, vanilla or V."""
    squeeze: float = 0.0
    """Share of squeeze-and-excitation; 0.25 makes AnyNetY and RegNetY."""
    limits: LimitTexts = field(default_factory=LimitTexts)
    """Ranges that every network lies in; counted with biases and max-pools. Default: a narrow range of flops."""
    study: Annotated[StudyOptions, tyro.conf.arg(name="")] = field(default_factory=StudyOptions)
    out: Path = Path("runs/study")
    resume: bool = False
    """Continue the study in that directory if there is one."""
    seed: int = 0
    by: Annotated[WorkerOptions, tyro.conf.arg(name="")] = field(default_factory=WorkerOptions)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    splits: Splits = field(default_factory=Splits)
    image_size: int | None = None
    """Resize all images to this height and width, in pixels."""


def run(arguments: Sequence[str]) -> None:
    if any(argument == "--from" or argument.startswith("--from=") for argument in arguments):
        from palmette.cli.studies_together import run_together

        run_together(arguments)
        return
    options = parse(Study, arguments, name="study")
    assert isinstance(options, Study)
    from palmette.cli.search import chosen_device
    from palmette.data.sources import load
    from palmette.design_spaces.report import write_report
    from palmette.design_spaces.study import Setting, run_study
    from palmette.progress import Bars
    from palmette.storage.journal import Journal
    from palmette.storage.run_directory import RunDirectory, plain

    device = chosen_device(options.device)
    data = load(options.data, splits=options.splits, seed=options.seed, image_size=options.image_size)
    channels, height = data.input_shape[:2]
    scale_name = _scale_name(options.scale, height)
    spaces = _spaces(options, _scale(scale_name, len(data.classes), channels, options))
    setting = Setting(
        data=data, ranges=_ranges(options.limits, scale_name), seed=options.seed, pool=options.by.pool(), device=device
    )
    free = {"out", "resume", "by"}  # may differ when a study is continued
    settings = {name: value for name, value in plain(options).items() if name not in free}
    begin = RunDirectory.open if options.resume else RunDirectory.create
    with begin(options.out, settings) as directory, Journal(directory.trials) as journal:
        study = run_study(spaces, options.study, setting, journal=journal, progress=Bars())
        title = f"{', '.join(spaces)} on {data.name}"
        for line in write_report(study, directory, title=title, device=device):
            print(line)
    print(f"Everything is in {options.out}; look at {options.out / 'report.html'}")


def _scale_name(given: str, height: int) -> str:
    if given != "auto":
        return given
    return "tiny" if height <= 16 else "cifar" if height <= 64 else "imagenet"


def _scale(name: str, classes: int, channels: int, options: Study) -> Scale:
    from dataclasses import replace

    from palmette.design_spaces.ladder import cifar, imagenet, tiny

    scale = {"tiny": tiny, "cifar": cifar, "imagenet": imagenet}[name](classes=classes, channels=channels)
    return replace(scale, skeleton=replace(scale.skeleton, block=options.block, squeeze=options.squeeze))


def _spaces(options: Study, scale: Scale) -> dict[str, DesignSpace]:
    from palmette.design_spaces.ladder import ladder

    if not options.spaces:
        raise PalmetteError(f"study: no space was given; allowed are {', '.join(LADDER)}")
    found = dict(zip(LADDER, ladder(scale).values(), strict=True))
    return {found[letter].name: found[letter] for letter in LADDER if letter in options.spaces}


def _ranges(limits: LimitTexts, scale_name: str) -> Ranges:
    from palmette.costs.limits import Limit

    given = {name: text for name, text in vars(limits).items() if text is not None}
    parsed = {name: Limit.parse(text) for name, text in (given or {"flops": FLOPS[scale_name]}).items()}
    return {name: (limit.low, limit.high) for name, limit in parsed.items()}
