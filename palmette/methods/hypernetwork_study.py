"""Does a hypernetwork use the encoding? Asked of a finished run (SMASH, Brock et al., 2018, section 4; smash.md 9).

Each question is a function of the run's job and method that returns sentences and figures: are weights of a wrong
encoding worse, and does the gradient with respect to it lead to better networks?
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
from palmette.errors import PalmetteError
from palmette.evaluation.score import batched
from palmette.methods.generated_weights import (
    evaluator,
    images_of,
    noise_of,
    trained,
)
from palmette.methods.job import Job
from palmette.methods.smash import SMASH
from palmette.searches.random import draw_new
from palmette.supernets.generated import GeneratedWeights
from palmette.supernets.hypernetwork import BankHyperNetwork

Corruption = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Answer:
    """What a question came to."""

    sentences: tuple[str, ...]
    figures: dict[str, float]


def corrupted(job: Job, method: SMASH, *, networks: int) -> Answer:
    """Ask whether the weights depend on the encoding: score networks with weights of their own and of corrupted ones.

    Corrupted are the dilations, the kernels, what is read and written, or all channels, shuffled over the columns of
    the network.
    """
    generated, hypernetwork = of_banks(job, method)
    sample = drawn(job, networks)
    own = [_accuracy(job, generated, a) for a in sample]
    sentences, figures = [], {"own": float(np.mean(own))}
    for name, corrupt in _corruptions(hypernetwork, seed=job.seed).items():
        changed = float(np.mean([_change(job, hypernetwork, a, corrupt) for a in sample]))
        other = [_accuracy(job, generated, a, corrupt) for a in sample]
        lost, p = _paired(own, other)
        figures |= {f"{name}/accuracy": float(np.mean(other)), f"{name}/lost": lost, f"{name}/p": p}
        figures[f"{name}/weights"] = changed
        sentences.append(
            f"With {name} corrupted, weights change by {100 * changed:.0f}% of their norm, and accuracy with them is "
            f"{100 * np.mean(other):.2f}% instead of {100 * np.mean(own):.2f}% over {len(sample)} networks (paired "
            f"signed-rank test, one-sided, p = {p:.2g})."
        )
    return Answer(tuple(sentences), figures)


def guidance(job: Job, method: SMASH, *, bases: int, proposals: int) -> Answer:
    """Ask whether the gradient of the validation loss with respect to c is a guide to better networks.

    From each base, ``proposals`` mutants are scored: those that the gradient says lower the loss most, among eight
    times as many, against random ones. The gradient costs three passes, so random search scores three more.
    """
    generated, hypernetwork = of_banks(job, method)
    generator = np.random.default_rng(job.seed)
    guided_best, random_best = [], []
    for base in drawn(job, bases):
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


def of_banks(job: Job, method: SMASH) -> tuple[GeneratedWeights, BankHyperNetwork]:
    """Return the run's trained supernet and its hypernetwork, which must be one of memory banks.

    Raises:
        PalmetteError: weights are shared, or the space has no memory banks.
    """
    module = trained(job, method)
    if not isinstance(module, GeneratedWeights) or not isinstance(module.hypernetwork, BankHyperNetwork):
        raise PalmetteError(
            f"{job.run.path}: this question is about encodings of memory banks, generated weights of which the run "
            "does not have; give a run of --method smash on a memory-bank space"
        )
    return module, module.hypernetwork


def drawn(job: Job, count: int) -> list[Architecture]:
    """Return random architectures within the job's limits, the same at every call."""
    generator = np.random.default_rng([job.seed, count])
    return draw_new(job.space.decisions, job.allows, count, set(), generator)


def write_answer(job: Job, question: str, answer: Answer) -> None:
    """Keep the answer in the run's directory."""
    from palmette.storage.atomic import write_text

    write_text(job.run.path / f"hypernetwork-{question}.json", json.dumps(dataclasses.asdict(answer), indent=1) + "\n")


def _corruptions(hypernetwork: BankHyperNetwork, *, seed: int) -> dict[str, Corruption]:
    """Return ways to corrupt an encoding: groups of its channels shuffled over the columns of the network."""
    encoding = hypernetwork.encoding

    def shuffled(*groups: str) -> Corruption:
        generator = np.random.default_rng(seed)

        def corrupt(c: Tensor) -> Tensor:
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


def _mutant(job: Job, method: SMASH, base: Architecture, generator: np.random.Generator) -> Architecture:
    return job.space.decisions.mutate(base, generator, probability=method.perturbation.probability)


def _plans(job: Job, hypernetwork: BankHyperNetwork, architecture: Architecture) -> list[BlockPlan]:
    return hypernetwork.plans(job.space.choice(architecture))


def _change(job: Job, hypernetwork: BankHyperNetwork, architecture: Architecture, change: Corruption) -> float:
    """Return the norm of what ``change`` of the encoding changes of the weights, by the norm of the weights."""
    plans = _plans(job, hypernetwork, architecture)
    c = hypernetwork.encode(plans)
    weights = []
    for encoding in (c, change(c)):
        with noise_of(architecture, seed=job.seed), torch.no_grad():
            weights.append(torch.cat(hypernetwork.weights(plans, encoding)))
    return float((weights[1] - weights[0]).norm() / weights[0].norm())


def _accuracy(
    job: Job,
    generated: GeneratedWeights,
    architecture: Architecture,
    change: Corruption = lambda c: c,
) -> float:
    return _scored(job, generated, architecture, change)["accuracy"]


def _loss(job: Job, generated: GeneratedWeights, architecture: Architecture) -> float:
    return _scored(job, generated, architecture, lambda c: c)["loss"]


def _scored(job: Job, generated: GeneratedWeights, architecture: Architecture, change: Corruption) -> dict[str, float]:
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
