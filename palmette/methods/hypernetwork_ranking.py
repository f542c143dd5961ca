"""When do scores with generated weights rank? Asked of a finished run (SMASH, Brock et al., 2018, section 4).

That scores correlate with stand-alone accuracy (section 4.1) is what ``palmette audit`` asks of any method. Here: with
a smaller hypernetwork, with few generated weights, each against the accuracies that the run's audit measured; and
whether the network found is good on other data (smash.md 9).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from palmette.architecture import Architecture
from palmette.data.images import Dataset
from palmette.errors import PalmetteError
from palmette.evaluation import resampled
from palmette.evaluation.from_scratch import train_alone
from palmette.evaluation.ranking import bootstrap, kendall_tau_b
from palmette.evaluation.score import score
from palmette.methods.generated_weights import evaluator, images_of, train_end_to_end, with_generated_weights
from palmette.methods.hypernetwork_study import Answer, drawn, of_banks
from palmette.methods.job import Job
from palmette.methods.smash import SMASH
from palmette.space import Space
from palmette.supernets.generated import GeneratedWeights
from palmette.supernets.options import HyperNetOptions
from palmette.training.loop import place
from palmette.training.recipe import Recipe


@dataclass(frozen=True)
class Target:
    """Where architectures are moved to."""

    space: Space
    data: Dataset
    move: Callable[[Architecture], Architecture]
    """From the run's space to this one."""
    recipe: Recipe
    """Of the trainings there."""


def capacity(job: Job, method: SMASH, *, capacities: Sequence[HyperNetOptions]) -> Answer:
    """Ask whether the correlation holds with smaller hypernetworks, trained like the run's own."""
    truth = audited_truth(job)
    own, _ = of_banks(job, method)
    sentences, figures = [], {}
    for options in [method.hypernetwork, *capacities]:
        name = f"growth {options.growth}, layers {options.layers}"
        smaller = dataclasses.replace(method, hypernetwork=options)
        phase = f"capacity {options.first}-{options.growth}-{options.layers}"
        generated = own if options == method.hypernetwork else _trained_apart(job, smaller, phase)
        size = sum(p.numel() for p in generated.hypernetwork.parameters())
        sentence, tau = _correlation(job, generated, truth)
        sentences.append(f"Hypernetwork of {name} ({size:,} parameters): {sentence}")
        figures[name] = tau
    return Answer(tuple(sentences), figures)


def fixed(job: Job, method: SMASH) -> Answer:
    """Ask whether scores still tell networks apart when most weights are learned as they are.

    Only the first block's 1x1 weights are generated; those of the others are shared, as the k x k convolutions are.
    """
    truth = audited_truth(job)
    own, _ = of_banks(job, method)
    sentences, figures = [], {}
    for what, generated in (
        ("all blocks", own),
        ("the first block", _trained_apart(job, method, "fixed 1", blocks=1)),
    ):
        sentence, tau = _correlation(job, generated, truth)
        sentences.append(f"Generated weights in {what}: {sentence}")
        figures[what] = tau
    return Answer(tuple(sentences), figures)


def transfer(job: Job, method: SMASH, target: Target, *, networks: int) -> Answer:
    """Ask whether the network found here is good elsewhere: trained there from scratch, beside random ones."""
    best, recipe = method.search(job).best, target.recipe
    others = [target.move(a) for a in drawn(job, networks)]
    found = _alone(job, target, target.move(best))
    random = [_alone(job, target, a) for a in others]
    beaten = sum(found > other for other in random)
    sentence = (
        f"On {target.data.name}, the network found on {job.data.name} reaches {100 * found:.2f}% of held-out images "
        f"after {recipe.epochs} epochs, random ones {100 * np.mean(random):.2f}% on average "
        f"({100 * min(random):.2f} to {100 * max(random):.2f}); it beats {beaten} of {len(random)}."
    )
    return Answer((sentence,), {"found": found, "random": float(np.mean(random)), "beaten": float(beaten)})


def audited_truth(job: Job) -> dict[Architecture, float]:
    """Return the stand-alone accuracies that the run's audits measured.

    Raises:
        PalmetteError: fewer than 6 of one length.
    """
    trials = {trial.architecture.id: trial.architecture for trial in job.journal.trials()}
    by_length: dict[str, dict[Architecture, float]] = {}
    for key, metrics in job.journal.records("audit/").items():
        _, epochs, name = key.split("/")
        if isinstance(metrics, dict) and name in trials:
            by_length.setdefault(epochs, {})[trials[name]] = float(metrics["accuracy"])
    truth = max(by_length.values(), key=len, default={})
    if len(truth) < 6:
        raise PalmetteError(
            f"{job.run.path}: {len(truth)} of its networks were trained alone, at least 6 are needed; "
            "first run 'palmette audit RUN --networks 24'"
        )
    return truth


def _trained_apart(job: Job, method: SMASH, phase: str, *, blocks: int | None = None) -> GeneratedWeights:
    """Return a supernet with another hypernetwork, trained like the run's own; it has a checkpoint of its own."""
    supernet = place(job.space.supernet(seed=job.seed), job.data.device)
    generated = with_generated_weights(job.space, supernet, method.hypernetwork, seed=job.seed, blocks=blocks)
    with job.phase(phase) as advance:
        watch = job.watch(phase, advance)
        train_end_to_end(generated, job.space, images_of(job), method.training, seed=job.seed, watch=watch)
    return generated


def _correlation(job: Job, generated: GeneratedWeights, truth: dict[Architecture, float]) -> tuple[str, float]:
    metrics = evaluator(generated, job.space, images_of(job), seed=job.seed)(list(truth))
    scores, accuracies = [-m["loss"] for m in metrics], list(truth.values())
    tau = kendall_tau_b(scores, accuracies)
    interval = bootstrap(resampled.kendall_tau_b, scores, accuracies)
    spread = np.std([m["accuracy"] for m in metrics])
    sentence = (
        f"Kendall tau-b {tau:.3f} (95% interval {interval.low:.3f} to {interval.high:.3f}) over {len(truth)} networks; "
        f"accuracy with these weights {100 * np.mean([m['accuracy'] for m in metrics]):.2f}% +- {100 * spread:.2f}."
    )
    return sentence, tau


def _alone(job: Job, target: Target, architecture: Architecture) -> float:
    """Return the held-out accuracy of a network trained from scratch on the target's data, kept in the journal."""
    recipe, data = target.recipe, target.data
    key = f"transfer/{data.name}/{recipe.epochs}/{architecture.id}"
    known = job.journal.records(key).get(key)
    if not isinstance(known, float):
        with job.phase("transfer") as advance:
            watch = job.watch(key, advance)
            network = train_alone(target.space, architecture, data, recipe, seed=job.seed, watch=watch)
        known = score(network, data.validation, data)["accuracy"]
        job.journal.record(key, known)
    return known
