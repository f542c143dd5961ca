"""SPOS: Single Path One-Shot (Guo et al., ECCV 2020).

1. Train a supernet, each step one path drawn uniformly, over the space or over a range of cost (section 3.3).
2. Search by evolution, or another search; a candidate inherits the supernet's weights, its BatchNorm statistics are
   recomputed, and it is scored on held-out images (section 3.4). Every candidate meets the limits.
3. Retrain the winner from scratch (``methods/search.py`` does this for every method).

Deviations, each a defect of the released code (sampling.md 2.14): all candidates are scored on one fixed,
class-balanced set held out of the training images, and unused weights have no gradient at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from palmette.errors import LimitError, PalmetteError
from palmette.sampling.binned import BinnedSampler
from palmette.sampling.widening import Widening, WideningOptions
from palmette.searches.evolution import EvolutionOptions
from palmette.searches.nsga2 import NSGA2Options
from palmette.searches.optuna_sampler import OptunaOptions
from palmette.searches.predictor import FOLDS, PredictorOptions, Regressor
from palmette.searches.random import RandomSearchOptions
from palmette.training.recipe import Recipe

if TYPE_CHECKING:
    from palmette.methods.job import Found, Job


@dataclass(frozen=True, kw_only=True)
class SPOS:
    """Options of the method; torch is imported only when it runs."""

    training: Recipe = field(default_factory=Recipe)
    """Of the supernet."""
    bins: int = 0
    """Sample training paths uniform in cost instead: this many bins of the first limit that has two ends (7 in the
    released code, for 290 to 360 MFLOPs); 0 samples uniformly over the space."""
    widening: WideningOptions = field(default_factory=WideningOptions)
    """Of the paths drawn in training, in spaces of widths."""
    evolution: EvolutionOptions = field(default_factory=EvolutionOptions)
    stage: Literal["evolution", "nsga2", "predictor", "random", "optuna"] = "evolution"
    """What searches the supernet. The others evaluate as many architectures as evolution, in generations of its
    population; of its further options they use none but nsga2 the mutation probability."""
    objectives: tuple[str, ...] = ()
    """Of nsga2, as accuracy flops latency or name:higher; by default what ``rank_by`` says, and flops. Of optuna, for
    samplers that take several; by default what ``rank_by`` says."""
    optuna_sampler: str = "TPESampler"
    """Of optuna: a class of optuna.samplers; needs the extra optuna."""
    regressor: Regressor = "ridge"
    """Of predictor."""
    rank_by: Literal["accuracy", "loss"] = "accuracy"
    """What selects candidates; on few images the loss ranks better."""
    retraining: Recipe = field(default_factory=Recipe)
    """Of the winner, from scratch."""
    name: ClassVar[str] = "spos"

    def __post_init__(self) -> None:
        if self.rank_by not in ("accuracy", "loss"):
            raise PalmetteError(f"spos: rank_by = {self.rank_by!r} was given; allowed are accuracy, loss")
        if self.bins and self.widening.opened:
            raise PalmetteError("spos: bins and widening both say which paths are drawn; set one of them to 0")
        if self.stage not in ("evolution", "nsga2", "predictor", "random", "optuna"):
            raise PalmetteError(
                f"spos: stage = {self.stage!r} was given; allowed are evolution, nsga2, predictor, random, optuna"
            )
        if self.objectives and self.stage not in ("nsga2", "optuna"):
            raise PalmetteError(f"spos: objectives are of nsga2, not of {self.stage}; add --stage nsga2")
        if self.optuna_sampler != "TPESampler" and self.stage != "optuna":
            raise PalmetteError(f"spos: a sampler of Optuna was given for {self.stage}; add --stage optuna")
        if self.regressor != "ridge" and self.stage != "predictor":
            raise PalmetteError(f"spos: a regressor is of predictor, not of {self.stage}; add --stage predictor")
        self.searching()  # refuses what the search does not allow

    def searching(self) -> EvolutionOptions | NSGA2Options | PredictorOptions | RandomSearchOptions | OptunaOptions:
        """Return the options of the search that ``stage`` names, with the evaluations of ``evolution``."""
        sizes = self.evolution
        match self.stage:
            case "nsga2":
                return NSGA2Options(
                    objectives=self.objectives or (self.rank_by, "flops"),
                    population=sizes.population,
                    generations=sizes.generations,
                    mutation_probability=sizes.mutation_probability,
                )
            case "predictor":
                return PredictorOptions(
                    regressor=self.regressor,
                    first=max(2 * FOLDS, sizes.population),
                    generation=sizes.population,
                    evaluations=sizes.evaluations,
                )
            case "random":
                return RandomSearchOptions(evaluations=sizes.evaluations, generation=sizes.population)
            case "optuna":
                return OptunaOptions(
                    sampler=self.optuna_sampler,
                    objectives=self.objectives,
                    evaluations=sizes.evaluations,
                    generation=sizes.population,
                )
        return sizes

    def search(self, job: Job) -> Found:
        """Train the supernet, search it, and return the best architecture within the limits."""
        from palmette.methods.single_path import check_objectives, searched, trained_supernet, uniformly
        from palmette.searches.optuna_sampler import sampler_class as check_sampler
        from palmette.training.loop import passes

        options = self.searching()
        if isinstance(options, NSGA2Options) or (isinstance(options, OptunaOptions) and options.objectives):
            check_objectives(job, options)
        if isinstance(options, OptunaOptions):
            check_sampler(options.sampler)  # what is missing or unknown is told before the training
        at = Widening(job.space.decisions, self.widening).at if self.widening.opened else None
        sampler, remarks = binned(job, self.bins) if self.bins else (at, ())
        supernet, _ = trained_supernet(job, uniformly(job, self.training, sampler))
        cost = passes(job.data, self.training)
        return searched(job, supernet, options, self.rank_by, training_passes=cost, remarks=remarks)


def binned(job: Job, bins: int) -> tuple[BinnedSampler, tuple[str, ...]]:
    """Return the sampler of paths uniform in the cost of the first limit with two ends, and how often it falls back.

    Raises:
        LimitError: no limit has two ends.
    """
    ranges = [
        (name, limit.low, limit.high)
        for name, limit in job.limits.items()
        if limit.low is not None and limit.high is not None
    ]
    if not ranges:
        raise LimitError(f"bins {bins}: sampling by cost needs a limit with two ends, as --limits.flops 290M:360M")
    name, low, high = ranges[0]
    sampler = BinnedSampler(job.space.decisions, lambda a: job.table(a)[name], low=low, high=high, bins=bins)
    share = sampler.fallback_share()
    job.journal.record("sampling", {"cost": name, "bins": bins, "fallback_share": share})
    words = f"Training paths are uniform in {name} by {bins} bins; {100 * share:.1f}% fall back to unconstrained draws."
    return sampler, (words,)
