"""Choice: what a supernet is told to be for one call, ``supernet(x, choice)``.

Per decision a choice holds an index (single path), a tuple of indices (any of n), a weight vector ``[options]``
(mixture, width mask), or a ``Gate``: a weight vector of which only the active entries are computed (ProxylessNAS).
The choice travels from the call to slots however deeply nested in a context variable, so that concurrent calls
in other threads or tasks do not disturb each other and nothing has to be set or reset on modules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from palmette.errors import ArchitectureError


@dataclass(frozen=True)
class Gate:
    """Weights ``[options]`` of which only the ``active`` options run; the others cost nothing and get no gradient.

    Except those that are ``probed``: with them one option is active, its weight is 1, and the weights of the probed
    options, the active one among them, get the gradient that they would have if all of these ran (``probe.py``).
    """

    weights: Tensor
    active: tuple[int, ...]
    probed: tuple[int, ...] = ()


Pick = int | tuple[int, ...] | Tensor | Gate
Choice = Mapping[str, Pick]
Term = tuple[int, Tensor | None]
"""An option's index and its scalar weight; ``None`` stands for the constant one."""

_choice: ContextVar[Choice | None] = ContextVar("palmette_choice", default=None)


@contextmanager
def chosen(choice: Choice) -> Iterator[None]:
    """Make ``choice`` the one that slots read inside the block, in this thread or task only."""
    token = _choice.set(choice)
    try:
        yield
    finally:
        _choice.reset(token)


def current_choice() -> Choice | None:
    """Return the choice of the call that is running, for computing a part of it later; None outside calls."""
    return _choice.get()


def picked(decision: str) -> Pick:
    """Return what the current call picks for ``decision``.

    Raises:
        ArchitectureError: outside a supernet call, or the choice has no entry for the decision.
    """
    choice = _choice.get()
    if choice is None:
        raise ArchitectureError(
            f"decision {decision!r}: no choice is set; call supernet(x, choice), "
            "and under activation checkpointing use palmette.choice.checkpointed"
        )
    if decision not in choice:
        raise ArchitectureError(f"decision {decision!r}: the choice has no entry for it; it has {', '.join(choice)}")
    return choice[decision]


def has_pick(name: str) -> bool:
    """Say whether the current call picks anything for ``name``, for slots that can be told in two ways."""
    return name in (_choice.get() or {})


def terms(pick: Pick, options: int) -> list[Term]:
    """Return the options to compute and their weights: every pick is a weighted sum of few options."""
    match pick:
        case int():
            return [(pick, None)]
        case tuple():
            return [(index, None) for index in pick]
        case Gate():
            return [(index, pick.weights[index]) for index in pick.probed or pick.active]
        case Tensor():
            if pick.shape != (options,):
                raise ArchitectureError(f"weights of shape {tuple(pick.shape)} for {options} options; give [{options}]")
            return list(enumerate(pick))


def checkpointed(module: nn.Module, x: Tensor) -> Tensor:
    """Run ``module(x)`` with activation checkpointing; the recomputation sees the choice of the original call."""

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        choice = _choice.get()
        return nullcontext(), nullcontext() if choice is None else chosen(choice)

    result: Tensor = checkpoint(module, x, use_reentrant=False, context_fn=contexts)
    return result
