"""REINFORCE on the probabilities of paths: for rewards that no gradient passes through (ProxylessNAS, 2019, 3.3.2).

The gradient of the expected reward is the expectation, over paths drawn by the softmax of the logits, of the reward
times the gradient of the path's log-probability (Williams, 1992; gradient.md 9.6). A baseline that does not depend on
the paths it is compared with leaves that as it is, and lessens its variance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def log_probability(logits: Mapping[str, Tensor], path: Mapping[str, int]) -> Tensor:
    """Return the log-probability of one option per decision, drawn independently, a scalar."""
    return torch.stack([logits[name].log_softmax(0)[index] for name, index in path.items()]).sum()


def policy_loss(
    logits: Mapping[str, Tensor], paths: Sequence[Mapping[str, int]], rewards: Tensor, baseline: Tensor | float
) -> Tensor:
    """Return a scalar that falls where the expected reward rises: its mean gradient over draws is minus that of it.

    Args:
        logits: by decision, ``[options]``.
        paths: drawn by their softmax, one index per decision.
        rewards: of the paths, ``[paths]``, higher is better; they count as constants.
        baseline: from before these rewards were known.
    """
    log_p = torch.stack([log_probability(logits, path) for path in paths])
    advantages = (rewards.to(log_p) - baseline).detach()
    return -(advantages * log_p).mean()
