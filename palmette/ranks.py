"""Ranks: several processes train one network, each on its share of every batch (``torchrun``).

All ranks run the same program on the same seeds, so they draw the same choices; what they exchange is gradients of
active weights, losses, BatchNorm statistics and the metrics of candidates. A training on N ranks therefore equals the
training on one with the same batches, but for rounding, and continues on any other number of ranks. Everything here is
cheap or free of effect where there is one process only.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from palmette.errors import PalmetteError

T = TypeVar("T")
R = TypeVar("R")

_apart: ContextVar[bool] = ContextVar("apart", default=False)


def count() -> int:
    """Return the number of processes that work together, 1 for one alone."""
    return dist.get_world_size() if dist.is_initialized() else 1


def own() -> int:
    """Return the number of this process, from 0; that one writes what is kept."""
    return dist.get_rank() if dist.is_initialized() else 0


@contextmanager
def started() -> Iterator[None]:
    """Join the processes that ``torchrun`` started, if it did; each takes the GPU of its local rank."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
        dist.barrier()  # rank 0 serves the connections of the others
    finally:
        dist.destroy_process_group()


def part(size: int) -> slice:
    """Return which of ``size`` things in a row are this rank's: ranks differ by one at most.

    Raises:
        PalmetteError: fewer things than ranks.
    """
    if size < count():
        raise PalmetteError(
            f"a batch of {size} was to be divided among {count()} processes; raise batch_size, or start fewer"
        )
    return slice(size * own() // count(), size * (own() + 1) // count())


def share(size: int) -> float:
    """Return this rank's part of ``size`` things in equal parts: 1 for one process alone."""
    mine = part(size)
    return float((mine.stop - mine.start) * count() / size)


def shared_out(things: Sequence[T], do: Callable[[Sequence[T]], Sequence[R]]) -> list[R]:
    """Return ``do(things)``, each rank doing a part, without synchronised statistics, and all getting the whole."""
    if count() == 1 or _apart.get():
        return list(do(things))
    mine = things[slice(len(things) * own() // count(), len(things) * (own() + 1) // count())]
    token = _apart.set(True)
    try:
        results = list(do(mine)) if mine else []
    finally:
        _apart.reset(token)
    parts: list[list[R]] = [[] for _ in range(count())]
    dist.all_gather_object(parts, results)
    return [result for one in parts for result in one]


def gathered(tensor: Tensor, dim: int) -> Tensor:
    """Return the tensors of all ranks, on the CPU, joined along ``dim``."""
    if count() == 1:
        return tensor
    parts: list[Any] = [None] * count()
    dist.all_gather_object(parts, tensor.cpu())
    return torch.cat(parts, dim)


def agreed(value: T) -> T:
    """Return the value of rank 0, for what may differ by rank, as a time that has passed."""
    if count() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def average(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its mean over the ranks, in place; gradients that are given must be the same on all.

    Raises:
        PalmetteError: the ranks do not have the same tensors, for they have drawn different choices.
    """
    if count() == 1 or not tensors:
        return
    _check_same([tuple(tensor.shape) for tensor in tensors], tensors[0].device)
    with torch.no_grad():
        for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
            group = [tensor for tensor in tensors if tensor.dtype == dtype]
            flat = torch.cat([tensor.reshape(-1) for tensor in group])
            dist.all_reduce(flat)
            flat /= count()
            for tensor, mean in zip(group, torch.split(flat, [tensor.numel() for tensor in group]), strict=True):
                tensor.copy_(mean.view(tensor.shape))


def mean_loss(loss: Tensor, share: float) -> Tensor:
    """Return the loss of a whole batch from those of its parts: its value on all ranks, its gradient by this part.

    Averaged over the ranks, the gradients are those of the whole batch's loss.

    Args:
        loss: the mean over this rank's part, a scalar.
        share: of the batch that is this rank's, in equal parts: 1.
    """
    if count() == 1 or _apart.get():
        return loss
    local = loss * share
    value = local.detach().clone()
    dist.all_reduce(value)
    return local + (value / count() - local.detach())


@contextmanager
def synchronised() -> Iterator[None]:
    """Let BatchNorm take its statistics over the parts of all ranks, inside the block.

    For that ``torch.batch_norm``, which all layers end in, is replaced: PyTorch's SyncBatchNorm needs a GPU and other
    modules, and a ``TorchFunctionMode`` is not in force in backward passes, where checkpoints and gates compute again.
    """
    if count() == 1:
        yield
        return
    torch.batch_norm = _batch_norm  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.batch_norm = _of_one_rank


_of_one_rank = torch.batch_norm


def _batch_norm(  # noqa: PLR0913 - the arguments of torch.batch_norm
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    """Return what ``torch.batch_norm`` returns for the inputs of all ranks together, this rank's part of it."""
    if not training or _apart.get():
        return _of_one_rank(x, weight, bias, running_mean, running_var, training, momentum, eps, cudnn_enabled)
    axes = [axis for axis in range(x.ndim) if axis != 1]
    shape = [1, -1, *[1] * (x.ndim - 2)]
    wide = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    own = wide.new_tensor([float(x.numel() // x.shape[1])])
    total = _sum_of_ranks(torch.cat([wide.sum(axes), own]))  # sizes go along, for messages cost more than numbers
    size = total[-1].detach()
    mean = total[:-1] / size
    centred = wide - mean.view(shape)
    variance = _sum_of_ranks(centred.square().sum(axes)) / size
    with torch.no_grad():
        if running_mean is not None:
            running_mean.lerp_(mean.to(running_mean), momentum)
        if running_var is not None:
            running_var.lerp_((variance * size / (size - 1)).to(running_var), momentum)
    y = centred * (variance + eps).rsqrt().view(shape)
    if weight is not None:
        y = y * weight.view(shape)
    if bias is not None:
        y = y + bias.view(shape)
    return y.to(x.dtype)


class _Sum(torch.autograd.Function):
    """The sum over ranks; the gradient of all ranks' losses by it is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return _sum_of_ranks(gradients[0])


def _sum_of_ranks(x: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(x)  # type: ignore[no-untyped-call]
    return total


def _check_same(what: object, device: torch.device) -> None:
    """Raise PalmetteError if the ranks do not all have the same ``what``."""
    digest = int.from_bytes(hashlib.sha256(repr(what).encode()).digest()[:6], "big")
    extremes = torch.tensor([digest, -digest], device=device)
    dist.all_reduce(extremes, op=dist.ReduceOp.MAX)
    if int(extremes[0]) != -int(extremes[1]):
        raise PalmetteError("the processes have drawn different choices; are their versions and options the same?")
