"""The one training loop: step -> batch, augmentation, forward passes, update, now and then a checkpoint.

Everything random in a step is a function of (seed, step), so a checkpoint is weights, momenta, a step number and what
``Updates.state`` and ``Updates.tensors`` give, and a resumed run ends with the same bits as an undisturbed one (on CPU,
with the same number of threads). Several ranks share every batch. ``train`` is the ordinary case, one pass per
update; ``train_by`` has any number, and may end early.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from palmette import ranks
from palmette.data.batches import torch_generator
from palmette.data.text import Corpus, Data
from palmette.errors import DivergedError
from palmette.leading import guard
from palmette.storage import checkpoint
from palmette.training.averaging import averaged
from palmette.training.drop_path import drop_path_schedule
from palmette.training.recipe import Recipe
from palmette.training.steps import Batch, ImageSteps, Pass, Steps, memory_format
from palmette.training.text_steps import TextSteps

Forward = Callable[[Any, int], Any]
"""``(input, step) -> output``: images ``[N, C, H, W]`` to logits ``[N, classes]``, or a text segment to predictions."""
Advance = Callable[[int, int], None]
"""Called with the steps done and the steps in all."""
Log = Callable[[int, dict[str, float]], None]
"""Called with a step and the scalars seen since the last call."""

ModuleT = TypeVar("ModuleT", bound=nn.Module)

CHECKPOINT_SECONDS = 20.0
MOMENTA = {
    "momentum_buffer": "momentum",
    "exp_avg": "first_moment",
    "exp_avg_sq": "second_moment",
    "step": "updates_made",
}
"""What the optimisers keep of a parameter, and its name in a checkpoint."""
LOGS = 200
"""Points of a training curve."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What looks on while a training runs; none of it changes the numbers."""

    advance: Advance = field(default=lambda done, total: None)
    log: Log = field(default=lambda step, scalars: None)
    checkpoint: Path | None = None
    """Where to save, and to continue from if it is there."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a training, as what happens beside its own update sees it."""

    number: int
    """From 0."""
    steps: int
    """In the whole training."""
    steps_per_epoch: int
    batch: Batch
    optimizer: torch.optim.Optimizer
    """Of the weights, with the learning rate of this step."""


@dataclass(frozen=True, kw_only=True)
class Updates:
    """What the updates of a training consist of, where that is more than one forward pass each."""

    passes: Callable[[int], Sequence[Pass]]
    """The forward passes of a step, all on its batch; each is followed by a backward pass, and the gradients add up."""
    before_step: Callable[[Step], None] = lambda step: None
    """Called before the passes of a step, for example to update something else on other images."""
    before_update: Callable[[], None] = lambda: None
    """Called when all gradients of a step are there, for example to average them."""
    after_step: Callable[[Step], None] = lambda step: None
    """Called after the update of a step."""
    is_done: Callable[[], bool] = lambda: False
    """Asked before each step: whether the training ends here."""
    scalars: Callable[[], Mapping[str, float]] = dict
    """More to log beside the loss."""
    state: Callable[[], Mapping[str, Any]] = dict
    """What a resumed training needs besides weights and step, as JSON can hold it."""
    restore: Callable[[Mapping[str, Any]], None] = lambda state: None
    """Takes over what ``state`` gave."""
    tensors: Callable[[], Mapping[str, Tensor]] = dict
    """Tensors that belong into the checkpoint beside weights and momenta."""
    restore_tensors: Callable[[Mapping[str, Tensor]], None] = lambda tensors: None
    """Takes over what ``tensors`` gave, on the CPU."""


def train(module: nn.Module, forward: Forward, data: Data, recipe: Recipe, *, seed: int, watch: Watch) -> None:
    """Train the parameters of ``module`` in place on ``data.train``, one forward pass per update.

    Raises:
        DivergedError: the loss is no longer finite.
        StorageError: the checkpoint is damaged or of another training.
    """
    updates = Updates(passes=lambda step: [lambda x: forward(x, step)])
    train_by(updates, module, data, recipe, seed=seed, watch=watch)


def train_by(updates: Updates, module: nn.Module, data: Data, recipe: Recipe, *, seed: int, watch: Watch) -> int:
    """Train the parameters of ``module`` in place on ``data.train`` and return the number of steps it took.

    BatchNorm is left in training mode. Only parameters that a step uses are updated: without gradient there is no
    momentum and no decay. Raises what ``train`` raises.
    """
    if recipe.average:
        updates = averaged(updates, module, recipe.average)
    source = training_steps(data, recipe, seed=seed)
    steps = recipe.epochs * source.steps_per_epoch
    optimizer = _optimizer(module, recipe)
    start = done = _restore(watch.checkpoint, module, optimizer, updates, source, steps)
    if start:
        watch.advance(start, steps)
    saved, losses = time.monotonic(), []
    set_drop_path = drop_path_schedule(module, recipe)
    module.train()
    with torch.random.fork_rng(), ranks.synchronised():
        while done < steps and not updates.is_done():
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate(done, steps, source.steps_per_epoch)
            set_drop_path(done // source.steps_per_epoch)
            step = _begun(done, steps, source, optimizer, seed)
            updates.before_step(step)
            optimizer.zero_grad(set_to_none=True)
            losses.append(_backward(updates.passes(done), step.batch))
            ranks.average([p.grad for p in module.parameters() if p.grad is not None])
            updates.before_update()
            if recipe.clip_norm:
                nn.utils.clip_grad_norm_(module.parameters(), recipe.clip_norm)
            optimizer.step()
            updates.after_step(step)
            done += 1
            if done % max(1, steps // LOGS) == 0 or done == steps or updates.is_done():
                scalars = {"loss": _finite_mean(losses, done), "lr": optimizer.param_groups[0]["lr"]}
                watch.log(done, scalars | dict(updates.scalars()))
                losses = []
            watch.advance(done, steps)
            if watch.checkpoint and not losses and ranks.agreed(time.monotonic() - saved > CHECKPOINT_SECONDS):
                _save(watch.checkpoint, module, optimizer, updates, source, done, steps)
                saved = time.monotonic()
    if watch.checkpoint and start < done:
        _save(watch.checkpoint, module, optimizer, updates, source, done, steps)
    return done


def place(module: ModuleT, device: torch.device) -> ModuleT:
    """Move a module to the device, in the memory format that convolutions here run fastest in."""
    axes = max((p.ndim for p in module.parameters()), default=4)
    return module.to(device).to(memory_format=memory_format(axes))  # type: ignore[call-overload,no-any-return]


def training_steps(data: Data, recipe: Recipe, *, seed: int) -> Steps:
    """Return the steps of a training on ``data.train``."""
    if isinstance(data, Corpus):
        return TextSteps(data, data.train, recipe)
    return ImageSteps(data, data.train, recipe, seed=seed)


def steps_of(data: Data, recipe: Recipe) -> int:
    """Return the number of updates of a training that does not end early."""
    return recipe.epochs * training_steps(data, recipe, seed=0).steps_per_epoch


def passes(data: Data, recipe: Recipe, *, steps: int | None = None) -> float:
    """Return the cost of a training in forward passes of one image (or token): each one of a step counts 3."""
    source = training_steps(data, recipe, seed=0)
    return 3.0 * source.inputs_per_step * (steps_of(data, recipe) if steps is None else steps)


def _begun(number: int, steps: int, source: Steps, optimizer: torch.optim.Optimizer, seed: int) -> Step:
    """Return a step with its batch, and seed the random layers for it."""
    batch = Batch.of(source, number)
    torch.manual_seed(int(torch.randint(2**31, (), generator=torch_generator(seed, number, 1))))  # dropout
    return Step(number=number, steps=steps, steps_per_epoch=source.steps_per_epoch, batch=batch, optimizer=optimizer)


def _backward(passes: Sequence[Pass], batch: Batch) -> Tensor:
    """Add up the gradients of a step's passes and return their mean loss."""
    losses = []
    for forward in passes:
        loss = batch.loss(forward)
        loss.backward()  # type: ignore[no-untyped-call]
        losses.append(loss.detach())
    return torch.stack(losses).mean()


def _optimizer(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    decayed = [p for p in module.parameters() if p.ndim > 1 or recipe.decay_everything]
    others = [p for p in module.parameters() if not (p.ndim > 1 or recipe.decay_everything)]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    if recipe.optimizer == "adam":
        betas = (recipe.momentum, recipe.second_moment)
        adam = torch.optim.Adam(groups, lr=recipe.lr, betas=betas, eps=recipe.epsilon, foreach=True)
        guard(adam)
        return adam
    sgd = torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.nesterov, foreach=True)
    guard(sgd)
    return sgd


def _finite_mean(losses: list[Tensor], step: int) -> float:
    mean = float(torch.stack(losses).mean())
    if mean != mean or mean in (float("inf"), float("-inf")):
        raise DivergedError(
            f"training: the loss became {mean} before step {step}; lower the learning rate or raise warmup_epochs"
        )
    return mean


def _save(
    path: Path,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    updates: Updates,
    source: Steps,
    step: int,
    steps: int,
) -> None:
    tensors = {f"batches/{name}": tensor for name, tensor in source.state().items()}
    tensors |= {f"weights/{name}": tensor for name, tensor in module.state_dict().items()}
    for name, parameter in module.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                tensors[f"{MOMENTA[key]}/{name}"] = value
    tensors |= {f"updates/{name}": tensor for name, tensor in updates.tensors().items()}
    done = step == steps or updates.is_done()
    checkpoint.save(path, tensors, {"step": step, "steps": steps, "done": done, "updates": dict(updates.state())})


def _restore(
    path: Path | None, module: nn.Module, optimizer: torch.optim.Optimizer, updates: Updates, source: Steps, steps: int
) -> int:
    """Load the checkpoint if there is one and return the step to go on from."""
    if path is None or not path.exists():
        return 0
    tensors, state = checkpoint.load(path)
    checkpoint.require(path, state, {"steps": steps})
    checkpoint.load_weights(path, module, part(tensors, "weights/"))
    for name, parameter in module.named_parameters():
        for key, prefix in MOMENTA.items():
            value = tensors.get(f"{prefix}/{name}")
            if value is not None:
                like = parameter if value.ndim else value
                optimizer.state[parameter][key] = torch.empty_like(like).copy_(value)
    source.restore(part(tensors, "batches/"))
    if state.get("updates"):
        updates.restore(state["updates"])
    updates.restore_tensors(part(tensors, "updates/"))
    return int(state["step"])


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint whose names begin with ``prefix``, under the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
