"""The one training loop: step -> batch, augmentation, forward, update, now and then a checkpoint.

Everything random in a step is a function of (seed, step), so a checkpoint is weights, momenta and a step number,
and a resumed run ends with the same bits as an undisturbed one (on CPU, with the same number of threads).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from palmette.data.augmentation import augment, normalise
from palmette.data.batches import TrainingBatches, torch_generator
from palmette.data.images import Dataset
from palmette.errors import DivergedError
from palmette.storage import checkpoint
from palmette.training.recipe import Recipe

Forward = Callable[[Tensor, int], Tensor]
"""``(images [N, C, H, W], step) -> logits [N, classes]``."""
Advance = Callable[[int, int], None]
"""Called with the steps done and the steps in all."""
Log = Callable[[int, dict[str, float]], None]
"""Called with a step and the scalars seen since the last call."""

ModuleT = TypeVar("ModuleT", bound=nn.Module)

CHECKPOINT_SECONDS = 20.0
LOGS = 200
"""Points of a training curve."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What looks on while a training runs; none of it changes the numbers."""

    advance: Advance = field(default=lambda done, total: None)
    log: Log = field(default=lambda step, scalars: None)
    checkpoint: Path | None = None
    """Where to save, and to continue from if it is there."""


def train(module: nn.Module, forward: Forward, data: Dataset, recipe: Recipe, *, seed: int, watch: Watch) -> None:
    """Train the parameters of ``module`` in place on ``data.train``; BatchNorm is left in training mode.

    Only parameters that a step uses are updated: without gradient there is no momentum and no decay.

    Raises:
        DivergedError: the loss is no longer finite.
        StorageError: the checkpoint is damaged or of another training.
    """
    batches = TrainingBatches(data.train, recipe.batch_size, seed)
    steps = recipe.epochs * batches.steps_per_epoch
    optimizer = _optimizer(module, recipe)
    start = _restore(watch.checkpoint, module, optimizer, steps)
    if start:
        watch.advance(start, steps)
    saved, losses = time.monotonic(), []
    module.train()
    with torch.random.fork_rng():
        for step in range(start, steps):
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate(step, steps, batches.steps_per_epoch)
            loss = _loss(forward, data, batches, recipe, seed, step)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            if recipe.clip_norm:
                nn.utils.clip_grad_norm_(module.parameters(), recipe.clip_norm)
            optimizer.step()
            losses.append(loss.detach())
            if (step + 1) % max(1, steps // LOGS) == 0 or step + 1 == steps:
                watch.log(step + 1, {"loss": _finite_mean(losses, step), "lr": optimizer.param_groups[0]["lr"]})
                losses = []
            watch.advance(step + 1, steps)
            if watch.checkpoint and not losses and time.monotonic() - saved > CHECKPOINT_SECONDS:
                _save(watch.checkpoint, module, optimizer, step + 1, steps)
                saved = time.monotonic()
    if watch.checkpoint and start < steps:
        _save(watch.checkpoint, module, optimizer, steps, steps)


def place(module: ModuleT, device: torch.device) -> ModuleT:
    """Move a module to the device, in the memory format that convolutions here run fastest in."""
    return module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def passes(data: Dataset, recipe: Recipe) -> float:
    """Return the cost of a training in forward passes of one image: each image of a step counts 3."""
    batches = TrainingBatches(data.train, recipe.batch_size, 0)
    return 3.0 * recipe.epochs * batches.steps_per_epoch * batches.batch_size


def to_input(pixels: Tensor, data: Dataset) -> Tensor:
    """Return uint8 pixels as normalised float images in the memory format that networks here run fastest in."""
    return normalise(pixels, data.mean, data.std).contiguous(memory_format=torch.channels_last)


def _loss(forward: Forward, data: Dataset, batches: TrainingBatches, recipe: Recipe, seed: int, step: int) -> Tensor:
    pixels, labels = batches.batch(step)
    generator = torch_generator(seed, step, device=pixels.device)
    torch.manual_seed(int(torch.randint(2**31, (), generator=torch_generator(seed, step, 1))))  # dropout
    images = to_input(augment(pixels, recipe.augmentation, generator), data)
    with torch.autocast(images.device.type, torch.bfloat16, enabled=images.is_cuda):
        logits = forward(images, step)
    loss: Tensor = cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)
    return loss


def _optimizer(module: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    decayed = [p for p in module.parameters() if p.ndim > 1 or recipe.decay_everything]
    others = [p for p in module.parameters() if not (p.ndim > 1 or recipe.decay_everything)]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.SGD(
        [group for group in groups if group["params"]],
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        foreach=True,
    )


def _finite_mean(losses: list[Tensor], step: int) -> float:
    mean = float(torch.stack(losses).mean())
    if mean != mean or mean in (float("inf"), float("-inf")):
        raise DivergedError(
            f"training: the loss became {mean} before step {step + 1}; lower the learning rate or raise warmup_epochs"
        )
    return mean


def _save(path: Path, module: nn.Module, optimizer: torch.optim.SGD, step: int, steps: int) -> None:
    tensors = {f"weights/{name}": tensor for name, tensor in module.state_dict().items()}
    for name, parameter in module.named_parameters():
        momentum = optimizer.state.get(parameter, {}).get("momentum_buffer")
        if momentum is not None:
            tensors[f"momentum/{name}"] = momentum
    checkpoint.save(path, tensors, {"step": step, "steps": steps})


def _restore(path: Path | None, module: nn.Module, optimizer: torch.optim.SGD, steps: int) -> int:
    """Load the checkpoint if there is one and return the step to go on from."""
    if path is None or not path.exists():
        return 0
    tensors, state = checkpoint.load(path)
    checkpoint.require(path, state, {"steps": steps})
    weights = {name.removeprefix("weights/"): t for name, t in tensors.items() if name.startswith("weights/")}
    checkpoint.load_weights(path, module, weights)
    for name, parameter in module.named_parameters():
        momentum = tensors.get(f"momentum/{name}")
        if momentum is not None:
            stored = torch.empty_like(parameter).copy_(momentum)
            optimizer.state[parameter]["momentum_buffer"] = stored
    return int(state["step"])
