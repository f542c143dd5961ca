"""What SMASH is made of: a supernet whose weights a hypernetwork generates, trained and scored (smash.md 7 and 8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from palmette.architecture import Architecture
from palmette.data.images import Dataset
from palmette.errors import PalmetteError
from palmette.evaluation.rebuilt import Rebuilt
from palmette.methods.job import Job
from palmette.methods.single_path import trained_supernet
from palmette.methods.smash import SMASH
from palmette.report.contents import Picture
from palmette.report.encoding import draw_encoding
from palmette.sampling.uniform import UniformSampler
from palmette.space import Space, Supernet
from palmette.storage.atomic import write_text
from palmette.supernets.generated import GeneratedWeights
from palmette.supernets.hypernetwork import BankHyperNetwork, LayerHyperNetwork, generated_names
from palmette.supernets.memory_bank import BankSlot
from palmette.supernets.options import HyperNetOptions
from palmette.training.loop import Watch, place, steps_of, train
from palmette.training.recipe import Recipe

Draw = Callable[[int], Architecture]
"""``step -> architecture``."""


def trained(job: Job, method: SMASH) -> GeneratedWeights | Supernet:
    """Return the job's supernet, with its hypernetwork unless weights are shared, trained or from its checkpoint."""

    def learn(supernet: Supernet, watch: Watch) -> GeneratedWeights | Supernet:
        module: GeneratedWeights | Supernet = supernet
        if method.weights == "generated":
            module = with_generated_weights(job.space, supernet, method.hypernetwork, seed=job.seed)
        train_end_to_end(module, job.space, images_of(job), method.training, seed=job.seed, watch=watch)
        return module

    return trained_supernet(job, learn)[1]


def images_of(job: Job) -> Dataset:
    """Return the job's data, which must be images.

    Raises:
        PalmetteError: it is text.
    """
    if not isinstance(job.data, Dataset):
        raise PalmetteError(f"data {job.data.name!r}: smash searches networks for images or voxels; give such data")
    return job.data


def with_generated_weights(
    space: Space, supernet: Supernet, capacity: HyperNetOptions, *, seed: int, blocks: int | None = None
) -> GeneratedWeights:
    """Return the supernet with a new hypernetwork for its memory banks, or else for its 1x1 convolutions.

    Of memory banks only the first ``blocks``, if that is given; the weights of the others are then shared ones.

    Raises:
        ArchitectureError: the space has neither.
    """
    names = generated_names(supernet)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        hypernetwork: nn.Module
        if any(isinstance(module, BankSlot) for module in supernet.modules()):
            names = names[:blocks]
            hypernetwork = BankHyperNetwork(supernet.network, capacity, generated=len(names))
        else:
            options = {name: space.decisions.size(name) for name in space.decisions.decisions}
            hypernetwork = LayerHyperNetwork(supernet, names, options, capacity)
    device = next(supernet.parameters()).device
    return GeneratedWeights(supernet, place(hypernetwork, device), names)


def drawn_for_training(space: Space, data: Dataset, recipe: Recipe, *, seed: int) -> Draw:
    """Return which architecture each training step uses: uniform, or by the grammar for that part of the training."""
    steps = steps_of(data, recipe)

    def draw(step: int) -> Architecture:
        generator = np.random.default_rng([seed, step])
        grammar = space.decisions.grammar
        if grammar is None:
            return UniformSampler(space.decisions).sample(generator)
        return space.decisions.architecture(grammar.at(step / steps).sample(generator))

    return draw


def train_end_to_end(
    module: GeneratedWeights | Supernet, space: Space, data: Dataset, recipe: Recipe, *, seed: int, watch: Watch
) -> None:
    """Train hypernetwork and shared weights together, one architecture and one batch per step, in place."""
    draw = drawn_for_training(space, data, recipe, seed=seed)

    def forward(images: Tensor, step: int) -> Tensor:
        logits: Tensor = module(images, space.choice(draw(step)))
        return logits

    train(module, forward, data, recipe, seed=seed, watch=watch)


def evaluator(module: GeneratedWeights | Supernet, space: Space, data: Dataset, *, seed: int) -> Rebuilt:
    """Return the evaluation of architectures with their generated (or shared) weights.

    Weights are generated once per architecture, with noise that follows from the seed and the architecture.
    """
    if isinstance(module, Supernet):
        return Rebuilt(space, module, data)
    generated = module
    supernet = generated.supernet
    assert isinstance(supernet, Supernet)

    def prepare(architecture: Architecture) -> None:
        with noise_of(architecture, seed=seed), torch.no_grad():
            generated.write(generated.hypernetwork(space.choice(architecture)))

    return Rebuilt(space, supernet, data, prepare)


@contextmanager
def noise_of(architecture: Architecture, *, seed: int) -> Iterator[None]:
    """Seed torch's generator of the CPU for an architecture, inside the block."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed((int(architecture.id, 16) + seed) % 2**63)
        yield


def pictured(module: GeneratedWeights | Supernet, job: Job, architecture: Architecture) -> tuple[Picture, ...]:
    """Return the encoding of a memory-bank network as a picture, and leave it in the run; of other spaces nothing."""
    if not isinstance(module, GeneratedWeights) or not isinstance(module.hypernetwork, BankHyperNetwork):
        return ()
    hypernetwork = module.hypernetwork
    c = hypernetwork.encode(hypernetwork.plans(job.space.choice(architecture)))[0, :, 0]
    on = [(int(channel), int(column)) for channel, column in (c > 0).nonzero().tolist()]
    svg = draw_encoding(on, c.shape[1], hypernetwork.encoding.counts)
    write_text(job.run.path / "encoding.svg", svg + "\n")
    note = (
        "What the hypernetwork is told of the winner: a column stands for a few input channels of an op, in the order "
        "of the ops; marks say which banks it reads and writes, its block, its width, and, axis by axis, dilation and "
        "kernel of its convolutions. First banks, smallest widths, dilations and kernels are on top."
    )
    return (Picture("Its encoding", note, svg),)
