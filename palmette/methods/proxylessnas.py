"""ProxylessNAS: one path in memory, its probabilities learned through binary gates (Cai et al., ICLR 2019).

1. Train weights and architecture parameters in turn. A weight step trains one path, drawn by the learned probabilities;
   an architecture step updates the probabilities of two paths per layer, or of all, by the exact gradient of binary
   gates, with the expected latency or FLOPs in the loss (sections 3.1 to 3.3); or by REINFORCE (section 3.3.2).
2. Take the most likely architecture within the limits, or the best of likely ones.
3. Retrain the winner from scratch (``methods/search.py`` does this for every method).

Deviations: weights have one learning-rate curve, not one for the warm-up and another after it. That Zero drops a
layer's update, and the latency term with it, is a defect of the released code (gradient.md 9.14) and not kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from palmette.costs.hardware_loss import HardwareLoss
from palmette.errors import PalmetteError
from palmette.training.recipe import ArchitectureRecipe, Recipe

if TYPE_CHECKING:
    from torch import Generator
    from torch.optim import Optimizer

    from palmette.methods.job import Found, Job
    from palmette.methods.learned import Model, Update
    from palmette.training.alternating import Turn


@dataclass(frozen=True, kw_only=True)
class ProxylessNAS:
    """Options of the method; torch is imported only when it runs."""

    training: Recipe = field(default_factory=Recipe)
    """Of the supernet's weights."""
    architecture: ArchitectureRecipe = field(
        default_factory=lambda: ArchitectureRecipe(
            lr=1e-3, betas=(0.0, 0.999), weight_decay=0.0, every=5, warmup_epochs=5
        )
    )
    """Of the architecture parameters, on search-validation images. Without first momentum and decay, an update leaves
    paths alone that were not drawn."""
    rule: Literal["two-paths", "all-paths", "reinforce"] = "two-paths"
    """two-paths: two options per layer learn in a step. all-paths: all do, one after another in the backward pass, at
    the memory of one. reinforce: policy gradient on accuracy and cost, for costs that no table adds up."""
    hardware: HardwareLoss = field(default_factory=lambda: HardwareLoss(form="relative", alpha=0.1))
    """The cost in the loss of the architecture parameters; of reinforce only its cost and target are used."""
    samples: int = 10
    """Architectures per update by reinforce."""
    exponent: float = 0.1
    """Of the reward of reinforce, accuracy * (target / cost) ^ exponent."""
    candidates: int = 1
    """Architectures compared at the end: the most likely one, and draws."""
    rank_by: Literal["accuracy", "loss"] = "accuracy"
    """What the best of them is best in."""
    retraining: Recipe = field(default_factory=Recipe)
    """Of the winner, from scratch."""
    name: Literal["proxylessnas"] = "proxylessnas"

    def __post_init__(self) -> None:
        if self.rule not in ("two-paths", "all-paths", "reinforce"):
            allowed = "two-paths, all-paths, reinforce"
            raise PalmetteError(f"proxylessnas: rule = {self.rule!r} was given; allowed are {allowed}")
        if min(self.samples, self.candidates) < 1 or self.exponent < 0:
            raise PalmetteError(
                f"proxylessnas: samples = {self.samples}, candidates = {self.candidates}, exponent = {self.exponent} "
                "were given; allowed are numbers from 1, and an exponent from 0"
            )
        if self.architecture.betas[0] or self.architecture.weight_decay:
            raise PalmetteError(
                f"proxylessnas: architecture.betas = {self.architecture.betas} and weight_decay = "
                f"{self.architecture.weight_decay} were given; the first beta and the decay must be 0, or an update "
                "would move paths that were not drawn"
            )

    def search(self, job: Job) -> Found:
        """Train paths and their probabilities, and return the best of the likely architectures within the limits."""
        from palmette.methods.learned import Model, deciding_images, judged, learn
        from palmette.methods.relaxed import cost_of_mixture
        from palmette.relaxations.binary_gate import one_path
        from palmette.training.loop import passes

        model = Model.new(job, self.hardware, scale=1e-3)

        def path(step: int, generator: Generator) -> dict[str, int]:
            return {name: one_path(logits, generator) for name, logits in model.parameters.logits.items()}

        update = self._policy_gradient(job, model) if self.rule == "reinforce" else self._gates(model)
        learn(job, model, self.training, self.architecture, draw=path, update=update)
        each = {"two-paths": 3.0, "all-paths": 1.0 + cost_of_mixture(job), "reinforce": float(self.samples)}
        return judged(
            job,
            model,
            candidates=self.candidates,
            rank_by=self.rank_by,
            training_passes=passes(job.data, self.training),
            deciding_passes=each[self.rule] * deciding_images(job, self.training, self.architecture),
        )

    def _gates(self, model: Model) -> Update:
        """Return the update by the gradient of binary gates (equation 4 and section 3.2.1)."""
        from palmette.relaxations.binary_gate import all_paths, gate_probabilities, rescale, two_paths

        relaxation = two_paths if self.rule == "two-paths" else all_paths

        def update(turn: Turn, optimizer: Optimizer) -> dict[str, float]:
            logits = model.parameters.logits
            gates = {name: relaxation(values, turn.generator) for name, values in logits.items()}
            probabilities = {name: gate_probabilities(values, gates[name]) for name, values in logits.items()}
            loss = model.loss_of(turn, gates, probabilities)
            before = {name: values.detach().clone() for name, values in logits.items()}
            model.descend(loss, optimizer)
            for name, gate in gates.items():  # changes nothing where all paths were measured, but for a common shift
                rescale(logits[name], before[name], gate)
            return {"architecture loss": float(loss.detach())}

        return update

    def _policy_gradient(self, job: Job, model: Model) -> Update:
        """Return the update by REINFORCE (``relaxations/reinforce.py``).

        The baseline follows the mean reward almost at once, as in the released code (gradient.md 9.6); it is that from
        before the step, so that it does not depend on what it is compared with.
        """
        import torch

        from palmette.data.batches import TrainingBatches
        from palmette.data.images import Images
        from palmette.data.text import images_only
        from palmette.evaluation.inherited import Inherited
        from palmette.relaxations.binary_gate import one_path
        from palmette.relaxations.reinforce import policy_loss

        data = images_only(job.data, "the update by REINFORCE")
        inherited = Inherited(job.space, model.supernet, data)
        batches = TrainingBatches(data.validation, self.architecture.batch_size, job.seed)
        model.parameters.register_buffer("baseline", torch.full((), torch.nan))

        def update(turn: Turn, optimizer: Optimizer) -> dict[str, float]:
            logits = model.parameters.logits
            paths = [{n: one_path(v, turn.generator) for n, v in logits.items()} for _ in range(self.samples)]
            drawn = [model.architecture(job, path) for path in paths]
            metrics = inherited.on_batch(drawn, Images(*batches.batch(turn.number)))
            costs = [job.table(architecture)[self.hardware.cost] for architecture in drawn]
            rewards = torch.tensor(
                [m["accuracy"] * (model.cost.target / c) ** self.exponent for m, c in zip(metrics, costs, strict=True)]
            )
            baseline = model.parameters.get_buffer("baseline")
            if baseline.isnan():
                baseline.copy_(rewards.mean())
            model.descend(policy_loss(logits, paths, rewards, baseline), optimizer)
            baseline.lerp_(rewards.mean().to(baseline), 0.99)
            return {"reward": float(rewards.mean())}

        return update
