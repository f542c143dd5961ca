"""The questions of the SMASH paper, asked of a finished run (Brock et al., 2018, section 4; smash.md 9).

Each is a function of the run's job and method that returns sentences and figures. That scores correlate with
stand-alone accuracy (section 4.1) is what ``palmette audit`` asks of any method; the others stand here, on the run's
weights and on the accuracies that its audit measured.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import wilcoxon
from torch import Tensor
from torch.nn.functional import cross_entropy

from palmette.architecture import Architecture
from palmette.blocks.bank_plan import BlockPlan
from palmette.data.images import Dataset
from palmette.errors import PalmetteError
from palmette.evaluation import resampled
from palmette.evaluation.from_scratch import train_alone
from palmette.evaluation.ranking import bootstrap, kendall_tau_b
from palmette.evaluation.score import batched, score
from palmette.methods.generated_weights import (
    evaluator,
    images_of,
    noise_of,
    train_end_to_end,
    trained,
    with_generated_weights,
)
from palmette.methods.job import Job
from palmette.methods.smash import SMASH
from palmette.searches.random import draw_new
from palmette.space import Space, Supernet
from palmette.supernets.generated import GeneratedWeights
from palmette.supernets.hypernetwork import BankHyperNetwork
from palmette.supernets.options import HyperNetOptions
from palmette.training.loop import place
from palmette.training.recipe import Recipe

Corruption = Callable[[Tensor, np.random.Generator], Tensor]


@dataclass(frozen=True)
class Target:
    """Where architectures are moved to."""

    space: Space
    data: Dataset
    move: Callable[[Architecture], Architecture]
    """From the run's space to this one."""
    recipe: Recipe
    """Of the trainings there."""


@dataclass(frozen=True)
class Answer:
    """What a question came to."""

    sentences: tuple[str, ...]
    figures: dict[str, float]


def corrupted(job: Job, method: SMASH, *, networks: int) -> Answer:
    """Ask whether the weights depend on the encoding: score networks with weights of their own and of corrupted ones.

    Corrupted are the dilations only, all channels but which op is where, and the whole: that of another network.
    """
    generated, hypernetwork = _of_banks(job, method)
    sample = _drawn(job, networks)
    own = [_accuracy(job, generated, a) for a in sample]
    sentences, figures = [], {"own": float(np.mean(own))}
    for name, corruption in _corruptions(hypernetwork).items():
        generator = np.random.default_rng(job.seed)
        other = [_accuracy(job, generated, a, lambda c: corruption(c, generator)) for a in sample]  # noqa: B023
        lost, p = _paired(own, other)
        figures |= {f"{name}/accuracy": float(np.mean(other)), f"{name}/lost": lost, f"{name}/p": p}
        sentences.append(
            f"With {name} corrupted, accuracy with generated weights is {100 * np.mean(other):.2f}% instead of "
            f"{100 * np.mean(own):.2f}% over {len(sample)} networks (paired signed-rank test, one-sided, p = {p:.2g})."
        )
    return Answer(tuple(sentences), figures)


def capacity(job: Job, method: SMASH, *, capacities: Sequence[HyperNetOptions]) -> Answer:
    """Ask whether the correlation holds with smaller hypernetworks, each trained anew like the run's own."""
    truth = audited_truth(job)
    sentences, figures = [], {}
    for options in [method.hypernetwork, *capacities]:
        smaller = dataclasses.replace(method, hypernetwork=options)
        name = f"growth {options.growth}, layers {options.layers}"
        generated = _trained_apart(job, smaller, f"capacity {options.first}-{options.growth}-{options.layers}")
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
    sentences, figures = [], {}
    for blocks in (None, 1):
        generated = _trained_apart(job, method, f"fixed {blocks}", blocks=blocks)
        sentence, tau = _correlation(job, generated, truth)
        what = "all blocks" if blocks is None else "the first block"
        sentences.append(f"Generated weights in {what}: {sentence}")
        figures[what] = tau
    return Answer(tuple(sentences), figures)


def guidance(job: Job, method: SMASH, *, bases: int, proposals: int) -> Answer:
    """Ask whether the gradient of the validation loss with respect to c is a guide to better networks.

    From each base, ``proposals`` mutants are scored: those that the gradient says lower the loss most, among eight
    times as many, against random ones. The gradient costs three passes, so random search scores three more.
    """
    generated, hypernetwork = _of_banks(job, method)
    generator = np.random.default_rng(job.seed)
    guided_best, random_best = [], []
    for base in _drawn(job, bases):
        mutants = list(dict.fromkeys(_mutant(job, method, base, generator) for _ in range(8 * proposals)))
        slope, plans = _slope(job, generated, hypernetwork, base)
        predicted = [_first_order(hypernetwork, slope, plans, _plans(job, hypernetwork, m)) for m in mutants]
        chosen = [mutants[i] for i in np.argsort(predicted)[:proposals]]
        others = [mutants[i] for i in generator.permutation(len(mutants))[: proposals + 3]]
        guided_best.append(min(_loss(job, generated, a) for a in chosen))
        random_best.append(min(_loss(job, generated, a) for a in others))
    _, p = _paired(random_best, guided_best)
    sentence = (
        f"Best loss from {bases} bases at equal cost: {np.mean(guided_best):.4f} of {proposals} proposals by the "
        f"gradient, {np.mean(random_best):.4f} of {proposals + 3} random ones (guided lower: p = {p:.2g})."
    )
    return Answer((sentence,), {"guided": float(np.mean(guided_best)), "random": float(np.mean(random_best)), "p": p})


def transfer(job: Job, method: SMASH, target: Target, *, networks: int) -> Answer:
    """Ask whether the network found here is good elsewhere: trained there from scratch, beside random ones."""
    best, recipe = method.search(job).best, target.recipe
    others = [target.move(a) for a in _drawn(job, networks)]
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


def write_answer(job: Job, question: str, answer: Answer) -> None:
    """Keep the answer in the run's directory."""
    from palmette.storage.atomic import write_text

    write_text(job.run.path / f"hypernetwork-{question}.json", json.dumps(dataclasses.asdict(answer), indent=1) + "\n")


def _corruptions(hypernetwork: BankHyperNetwork) -> dict[str, Corruption]:
    """Return ways to corrupt an encoding: groups of its channels shuffled over the columns of the network."""
    encoding = hypernetwork.encoding

    def shuffled(*groups: str) -> Corruption:
        def corrupt(c: Tensor, generator: np.random.Generator) -> Tensor:
            c = c.clone()
            order = torch.from_numpy(generator.permutation(c.shape[3] - 1)).to(c.device)
            for group in groups:
                part = slice(encoding.start[group], encoding.start[group] + encoding.counts[group])
                c[:, part, :, :-1] = c[:, part, :, :-1].index_select(3, order)
            return c

        return corrupt

    return {
        "the dilations": shuffled("dilation"),
        "the kernels": shuffled("kernel"),
        "reads and writes": shuffled("reads", "writes"),
        "everything": shuffled(*encoding.counts),
    }


def _of_banks(job: Job, method: SMASH) -> tuple[GeneratedWeights, BankHyperNetwork]:
    """Return the run's trained supernet and its hypernetwork, which must be one of memory banks."""
    module = trained(job, method)
    if not isinstance(module, GeneratedWeights) or not isinstance(module.hypernetwork, BankHyperNetwork):
        raise PalmetteError(
            f"{job.run.path}: this question is about encodings of memory banks, generated weights of which the run "
            "does not have; give a run of --method smash on a memory-bank space"
        )
    return module, module.hypernetwork


def _trained_apart(job: Job, method: SMASH, phase: str, *, blocks: int | None = None) -> GeneratedWeights:
    """Return a supernet with another hypernetwork, trained like the run's own; it has a checkpoint of its own."""
    supernet = place(job.space.supernet(seed=job.seed), job.data.device)
    generated = with_generated_weights(job.space, supernet, method.hypernetwork, seed=job.seed, blocks=blocks)
    with job.phase(phase) as advance:
        watch = job.watch(phase, advance)
        train_end_to_end(generated, job.space, images_of(job), method.training, seed=job.seed, watch=watch)
    return generated


def _correlation(
    job: Job, generated: GeneratedWeights | Supernet, truth: dict[Architecture, float]
) -> tuple[str, float]:
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


def _drawn(job: Job, count: int) -> list[Architecture]:
    generator = np.random.default_rng([job.seed, count])
    return draw_new(job.space.decisions, job.allows, count, set(), generator)


def _mutant(job: Job, method: SMASH, base: Architecture, generator: np.random.Generator) -> Architecture:
    return job.space.decisions.mutate(base, generator, probability=method.perturbation.probability)


def _plans(job: Job, hypernetwork: BankHyperNetwork, architecture: Architecture) -> list[BlockPlan]:
    return hypernetwork.plans(job.space.choice(architecture))


def _accuracy(
    job: Job,
    generated: GeneratedWeights,
    architecture: Architecture,
    change: Callable[[Tensor], Tensor] = lambda c: c,
) -> float:
    return _scored(job, generated, architecture, change)["accuracy"]


def _loss(job: Job, generated: GeneratedWeights, architecture: Architecture) -> float:
    return _scored(job, generated, architecture, lambda c: c)["loss"]


def _scored(
    job: Job, generated: GeneratedWeights, architecture: Architecture, change: Callable[[Tensor], Tensor]
) -> dict[str, float]:
    """Return the metrics with weights generated from the architecture's encoding as ``change`` leaves it."""
    hypernetwork = generated.hypernetwork
    assert isinstance(hypernetwork, BankHyperNetwork)
    plans = _plans(job, hypernetwork, architecture)
    rebuilt = evaluator(generated, job.space, images_of(job), seed=job.seed)

    def prepare(_: Architecture) -> None:
        with noise_of(architecture, seed=job.seed), torch.no_grad():
            generated.write(hypernetwork.weights(plans, change(hypernetwork.encode(plans))))

    rebuilt.prepare = prepare
    return rebuilt([architecture])[0]


def _slope(
    job: Job, generated: GeneratedWeights, hypernetwork: BankHyperNetwork, base: Architecture
) -> tuple[Tensor, list[BlockPlan]]:
    """Return the gradient of the validation loss with respect to c, and the base's plans."""
    plans = _plans(job, hypernetwork, base)
    c = hypernetwork.encode(plans).requires_grad_()
    total = torch.zeros_like(c)
    generated.train()  # statistics of the batch, as for all architectures in training
    data = images_of(job)
    for x, labels in batched(data.validation, data, 256):
        with noise_of(base, seed=job.seed):
            weights = dict(zip(generated.names, hypernetwork.weights(plans, c), strict=True))
        logits = torch.func.functional_call(generated.supernet, weights, (x, job.space.choice(base)))
        total += torch.autograd.grad(cross_entropy(logits.float(), labels), c)[0]
    return total, plans


def _first_order(
    hypernetwork: BankHyperNetwork, slope: Tensor, base: Sequence[BlockPlan], other: Sequence[BlockPlan]
) -> float:
    """Return the change of the loss that the gradient predicts, over the columns that both networks have."""
    before, after = hypernetwork.encode(base), hypernetwork.encode(other)
    columns = min(before.shape[3], after.shape[3])
    return float((slope[..., :columns] * (after[..., :columns] - before[..., :columns])).sum())


def _paired(larger: Sequence[float], smaller: Sequence[float]) -> tuple[float, float]:
    """Return the mean difference, and the one-sided p of Wilcoxon's signed-rank test that it is not above zero."""
    difference = np.asarray(larger) - np.asarray(smaller)
    p = 1.0 if not difference.any() else float(wilcoxon(difference, alternative="greater").pvalue)
    return float(difference.mean()), p


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
