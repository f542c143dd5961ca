"""ENAS: Efficient Neural Architecture Search via Parameter Sharing (Pham et al., ICML 2018; enas.md 1).

1. Train a supernet along paths that an LSTM controller draws; after every epoch the controller takes steps of
   REINFORCE, rewarded by how its paths do on batches of search-validation images or text (section 2.2).
2. Derive: draw some architectures from the controller, score them with the shared weights, keep the best.
3. Retrain the winner from scratch (``methods/search.py`` does this for every method).

Deviations: the architectures of one controller step are rewarded on one batch, so that rewards differ by architecture
alone; drawn candidates are scored on all search-validation images with BatchNorm recalibrated, as in every method here,
where the paper scores one batch; and under limits the policy is restricted to what meets them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from palmette.errors import PalmetteError
from palmette.sampling.options import ControllerOptions, PolicyGradientOptions
from palmette.training.recipe import ArchitectureRecipe, Recipe

if TYPE_CHECKING:
    import numpy as np

    from palmette.architecture import Architecture
    from palmette.methods.job import Found, Job
    from palmette.searches.trial import Trial
    from palmette.space import Supernet
    from palmette.training.loop import Watch
    from palmette.training.policy_gradient import PolicyGradient

MOST_REDRAWN = 20
"""Draws per candidate asked for, in looking for distinct ones; a confident policy has few."""


def controller_recipe() -> ArchitectureRecipe:
    """Return the paper's settings of Adam, with 50 steps after every epoch as in the released code."""
    return ArchitectureRecipe(
        lr=3.5e-4, betas=(0.9, 0.999), weight_decay=0.0, batch_size=128, cadence="epoch", steps=50
    )


@dataclass(frozen=True, kw_only=True)
class ENAS:
    """Options of the method; torch is imported only when it runs."""

    training: Recipe = field(default_factory=Recipe)
    """Of the supernet."""
    paths: int = 1
    """Drawn per weight step, whose gradients are averaged (the paper's M)."""
    controller: ControllerOptions = field(default_factory=ControllerOptions)
    policy: PolicyGradientOptions = field(default_factory=PolicyGradientOptions)
    controller_training: ArchitectureRecipe = field(default_factory=controller_recipe)
    """Of the controller: Adam, images per batch, steps after every epoch of weights."""
    derived: int = 10
    """Architectures drawn in the end, of which the best is retrained."""
    rank_by: Literal["accuracy", "loss"] = "accuracy"
    """What the best is best in; the controller's reward is accuracy, or 80 / perplexity on text."""
    retraining: Recipe = field(default_factory=Recipe)
    """Of the winner, from scratch."""
    name: Literal["enas"] = "enas"

    def __post_init__(self) -> None:
        if min(self.paths, self.derived) < 1:
            raise PalmetteError(f"enas: paths = {self.paths} and derived = {self.derived} must be at least 1")
        if self.controller_training.cadence != "epoch":
            raise PalmetteError(
                f"enas: cadence = {self.controller_training.cadence!r} was given; the controller learns after whole "
                "epochs, allowed is epoch"
            )

    def search(self, job: Job) -> Found:
        """Train weights and controller, derive, and return the best architecture within the limits."""
        from palmette.evaluation.inherited_text import inherited
        from palmette.methods.job import Found
        from palmette.methods.single_path import SCORES, run_arm, trained_supernet
        from palmette.searches.trial import best_first

        supernet, (policy, rewarded) = trained_supernet(job, lambda net, watch: self._trained(job, net, watch))
        evaluate, score = job.spread(inherited(job.space, supernet, job.data)), SCORES[self.rank_by]
        drawn = Drawn(policy, self.derived)
        history = run_arm(job, drawn, evaluate, name="enas", evaluations=self.derived)
        images = len(job.data.calibration) + len(job.data.validation)
        cost = self._training_passes(job) + rewarded + images * len(history)
        return Found(best_first(history, score)[0].architecture, score, evaluate, len(history), cost)

    def _trained(self, job: Job, supernet: Supernet, watch: Watch) -> tuple[PolicyGradient, float]:
        """Train weights and controller; return the policy, and what its rewards cost in passes of one image."""
        from palmette.evaluation.rewards import rewards
        from palmette.sampling.controller import Controller
        from palmette.training.alternating import alternately, held_out_steps
        from palmette.training.learned_paths import LearnedPaths, policy_learner, weight_updates
        from palmette.training.loop import train_by, training_steps
        from palmette.training.policy_gradient import PolicyGradient

        recipe = self.controller_training
        controller = Controller(job.space.decisions, self.controller, seed=job.seed)
        policy = PolicyGradient(controller, self.policy, allows=job.allows if job.limits else None)
        per_epoch = training_steps(job.data, self.training, seed=job.seed).steps_per_epoch
        paths = LearnedPaths(policy, steps_per_epoch=per_epoch, paths=self.paths, seed=job.seed)
        held_out = held_out_steps(job.data, recipe, seed=job.seed)
        reward = rewards(job.space, supernet, job.data, batch_size=recipe.batch_size, seed=job.seed)
        learner = policy_learner(policy, recipe, reward)
        updates = alternately(weight_updates(supernet, job.space, paths), learner, held_out, seed=job.seed)
        train_by(updates, supernet, job.data, self.training, seed=job.seed, watch=watch)
        turns = (self.training.epochs - recipe.warmup_epochs) * (recipe.steps or held_out.steps_per_epoch)
        return policy, float(max(0, turns) * self.policy.samples * held_out.inputs_per_step)

    def _training_passes(self, job: Job) -> float:
        from palmette.training.loop import passes

        return self.paths * passes(job.data, self.training)


class Drawn:
    """The search that draws from a trained policy, once: distinct architectures, fewer if the policy has no more."""

    def __init__(self, policy: PolicyGradient, count: int) -> None:
        self.policy = policy
        self.count = count

    def propose(self, history: Sequence[Trial], count: int, generator: np.random.Generator) -> list[Architecture]:
        from palmette.data.batches import torch_generator

        if history:
            return []
        wanted = min(count, self.count)
        own = torch_generator(int(generator.integers(2**31)))
        found: dict[Architecture, None] = {}
        for _ in range(MOST_REDRAWN):
            encodings = self.policy.draw(wanted, own)
            found |= dict.fromkeys(map(self.policy.controller.decisions.architecture, encodings))
            if len(found) >= wanted:
                break
        return list(found)[:wanted]
