"""Supernet training: which paths an update uses.

One sampled path (Guo et al., "Single Path One-Shot", 2020, section 3.3), paths that together use every option equally
often (FairNAS, Chu et al., 2019, section 3), or one path that a greedy sampler filtered (GreedyNAS, You et al., 2020).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from palmette.architecture import Architecture
from palmette.data.text import Data
from palmette.leading import times_reached
from palmette.sampling.fair import FairSampler
from palmette.sampling.greedy import GreedySampler
from palmette.space import Space, Supernet
from palmette.training.loop import Updates, Watch, steps_of, train, train_by
from palmette.training.recipe import Recipe
from palmette.training.steps import Pass


class Sampler(Protocol):
    """Which architecture a training step uses."""

    def sample(self, generator: np.random.Generator) -> Architecture: ...


SamplerAt = Callable[[float], Sampler]
"""What a step draws from, by the share of steps before it, 0 to 1."""


def train_supernet(
    supernet: Supernet,
    space: Space,
    sampler: Sampler | SamplerAt,
    data: Data,
    recipe: Recipe,
    *,
    seed: int,
    watch: Watch,
) -> None:
    """Train the shared weights in place; options off the sampled path get no gradient, momentum or decay."""
    steps = steps_of(data, recipe)

    def forward(x: Any, step: int) -> Any:
        now = sampler(step / steps) if callable(sampler) else sampler
        architecture = now.sample(np.random.default_rng([seed, step]))
        return supernet(x, space.choice(architecture))

    train(supernet, forward, data, recipe, seed=seed, watch=watch)


def train_fairly(
    supernet: Supernet, sampler: FairSampler, data: Data, recipe: Recipe, *, seed: int, watch: Watch
) -> None:
    """Train with one backward pass per path of ``sampler`` and one update, all on the step's batch.

    Gradients of a parameter, or of an element of one that is used in part, are averaged over the passes that used it:
    a layer outside all slots takes part in every one of them and would otherwise make steps that many times larger
    than an option's.
    """
    used: Counter[Tensor] = Counter()
    parameters = list(supernet.parameters())
    hooks = [p.register_post_accumulate_grad_hook(lambda p: used.update([p])) for p in parameters]  # type: ignore[no-untyped-call]

    def passes(step: int) -> list[Pass]:
        choices = sampler.sample(np.random.default_rng([seed, step]))
        return [partial(_called, supernet, choice) for choice in choices]

    def average() -> None:
        for parameter, count in used.items():
            times = times_reached(parameter)
            if count > 1 and parameter.grad is not None:
                parameter.grad /= count if times is None else times.clamp_min(1)
        used.clear()

    try:
        train_by(Updates(passes=passes, before_update=average), supernet, data, recipe, seed=seed, watch=watch)
    finally:
        for hook in hooks:
            hook.remove()


def train_greedily(
    supernet: Supernet,
    space: Space,
    sampler: GreedySampler,
    data: Data,
    recipe: Recipe,
    *,
    seed: int,
    watch: Watch,
) -> int:
    """Train the paths that ``sampler`` keeps until it is settled; return the number of steps."""

    def passes(step: int) -> list[Pass]:
        architecture = sampler.path(step, np.random.default_rng([seed, step]))
        return [partial(_called, supernet, space.choice(architecture))]

    def scalars() -> dict[str, float]:
        return {"pool": len(sampler.pool), "turnover": sampler.last_turnover}

    updates = Updates(
        passes=passes,
        is_done=lambda: sampler.is_settled,
        scalars=scalars,
        state=sampler.state,
        restore=sampler.restore,
    )
    return train_by(updates, supernet, data, recipe, seed=seed, watch=watch)


def _called(supernet: Supernet, choice: Mapping[str, int | tuple[int, ...]], x: Any) -> Any:
    return supernet(x, choice)
