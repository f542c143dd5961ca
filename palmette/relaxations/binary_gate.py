"""Binary gates: one path runs, and the probabilities of all paths, or of two, learn (ProxylessNAS, 2019, section 3).

A gate opens one option with its probability, and its gradient is taken as if the gate were the probability: that of
logit i is the sum over j of q_j p_j ((i == j) - p_i), where q_j is the product of the output's gradient and of option
j's output (equation 4; gradient.md 9.4). ``all_paths`` measures every q_j, in the backward pass and one at a time;
``two_paths`` measures two, and ``rescale`` then keeps the probabilities of the others (section 3.2.1; 9.5).

Options that do nothing are options as all others here. The released code treats its "Zero" apart, and drops a layer's
update where Zero was drawn; that defect is not kept (9.14).
"""

from __future__ import annotations

import torch
from torch import Tensor

from palmette.choice import Gate


def one_path(logits: Tensor, generator: torch.Generator) -> int:
    """Return the index of an option drawn by the softmax of the logits: the choice of a weight step."""
    return int(torch.multinomial(logits.detach().cpu().double().softmax(0), 1, generator=generator))


def all_paths(logits: Tensor, generator: torch.Generator) -> Gate:
    """Return a gate that runs one option, drawn by the softmax of all, and measures all."""
    return _opened(logits, tuple(range(len(logits))), generator)


def two_paths(logits: Tensor, generator: torch.Generator) -> Gate:
    """Return a gate over two options, drawn without replacement, that runs one of them by their own softmax."""
    if len(logits) == 1:
        return all_paths(logits, generator)
    probabilities = logits.detach().cpu().double().softmax(0)
    pair = torch.multinomial(probabilities, 2, generator=generator)
    return _opened(logits, tuple(sorted(pair.tolist())), generator)


def gate_probabilities(logits: Tensor, gate: Gate) -> Tensor:
    """Return the softmax over the options that the gate measures and zeros elsewhere, ``[options]``, differentiable.

    An expected cost weighted by these has its gradient on the measured options only, as in the released code (9.10).
    """
    measured = torch.tensor(gate.probed, device=logits.device)
    return torch.zeros_like(logits).scatter(0, measured, logits[measured].softmax(0))


@torch.no_grad()
def rescale(logits: Tensor, before: Tensor, gate: Gate) -> None:
    """Shift the measured logits in place, so that their sum of exponentials is what it was: others' shares stay.

    Args:
        logits: after the update, ``[options]``.
        before: before it, ``[options]``.
        gate: whose gradient the update followed.
    """
    measured = torch.tensor(gate.probed, device=logits.device)
    logits[measured] -= logits[measured].logsumexp(0) - before[measured].logsumexp(0)


def _opened(logits: Tensor, measured: tuple[int, ...], generator: torch.Generator) -> Gate:
    """Return a gate with one-hot weights that pass their gradient on as the softmax of the measured options would."""
    own = torch.tensor(measured, device=logits.device)
    active = measured[one_path(logits[own], generator)]
    soft = torch.zeros_like(logits).scatter(0, own, logits[own].softmax(0))
    hard = torch.zeros_like(soft)
    hard[active] = 1.0
    return Gate(hard + (soft - soft.detach()), (active,), measured)
