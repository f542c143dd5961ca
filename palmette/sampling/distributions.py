"""Distributions of one decision, many at a time: one of n options, and any of n.

Both are given by logits ``[count, options]`` and are exact: probabilities, entropies and samples belong together. Any
of n is a product of independent choices, P(on) = sigmoid(logit), conditioned on the number taken where that has bounds;
in either case P(subset) is proportional to exp(sum of the logits taken).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import softplus


@dataclass(frozen=True, eq=False)
class OneOfN:
    """One of the options; an outcome is its index, int64 ``[count]``."""

    logits: Tensor

    @cached_property
    def _log_probs(self) -> Tensor:
        return self.logits.log_softmax(1)

    def sample(self, generator: torch.Generator) -> Tensor:
        return torch.multinomial(self._log_probs.exp(), 1, generator=generator)[:, 0]

    def most_likely(self) -> Tensor:
        return self.logits.argmax(1)

    def log_prob(self, index: Tensor) -> Tensor:
        """Return the logarithm of each outcome's probability, ``[count]``."""
        return self._log_probs.gather(1, index[:, None])[:, 0]

    def entropy(self) -> Tensor:
        """Return the entropy in nats, ``[count]``."""
        return -(self._log_probs.exp() * self._log_probs).sum(1)


@dataclass(frozen=True, eq=False)
class AnyOfN:
    """From ``least`` to ``most`` of the options; an outcome says which, bool ``[count, options]``."""

    logits: Tensor
    least: int
    most: int

    @property
    def is_independent(self) -> bool:
        """Whether the number taken has no bounds, so that every option is a choice of its own."""
        return self.least == 0 and self.most == self.logits.shape[1]

    @torch.no_grad()
    def sample(self, generator: torch.Generator) -> Tensor:
        draws = torch.rand(self.logits.shape, generator=generator, dtype=self.logits.dtype)
        if self.is_independent:
            return draws < self.logits.sigmoid()
        return self._one_by_one(draws)

    @torch.no_grad()
    def most_likely(self) -> Tensor:
        """Return the subset of highest probability: all of positive logit, or the nearest number that is allowed."""
        ranks = self.logits.argsort(1, descending=True).argsort(1)
        taken = (self.logits > 0).sum(1, keepdim=True).clamp(self.least, self.most)
        return ranks < taken

    def log_prob(self, taken: Tensor) -> Tensor:
        """Return the logarithm of each outcome's probability, ``[count]``."""
        return (self.logits * taken).sum(1) - self._log_total(self.logits)

    def entropy(self) -> Tensor:
        """Return the entropy in nats, ``[count]``: the log-normaliser minus the expected sum of logits taken."""
        return self._log_total(self.logits) - (self.marginals() * self.logits).sum(1)

    def marginals(self) -> Tensor:
        """Return the probability of each option, ``[count, options]``: the gradient of the log-normaliser."""
        if self.is_independent:
            return self.logits.sigmoid()
        with torch.enable_grad():
            logits = self.logits if self.logits.requires_grad else self.logits.detach().requires_grad_()
            (found,) = torch.autograd.grad(self._log_total(logits).sum(), logits, create_graph=True)
        return found if self.logits.requires_grad else found.detach()

    def divergence(self, prior: float) -> Tensor:
        """Return KL(marginals || prior) of each option taken or not, summed over options, in nats, ``[count]``."""
        on, off = self.marginals(), 1 - self.marginals()
        return (on * (on / prior).log() + off * (off / (1 - prior)).log()).sum(1)

    def _log_total(self, logits: Tensor) -> Tensor:
        """Return the logarithm of the sum over allowed subsets of exp(sum of logits), ``[count]``."""
        if self.is_independent:
            return softplus(logits).sum(1)
        return _by_size(logits)[0][:, self.least : self.most + 1].logsumexp(1)

    def _one_by_one(self, draws: Tensor) -> Tensor:
        """Decide option after option, each given how many are taken already and how many may follow."""
        count, options = self.logits.shape
        totals, taken = _by_size(self.logits), torch.zeros((count, 1), dtype=torch.long)
        columns = []
        for option in range(options):
            rest = totals[option + 1]
            sizes = torch.arange(rest.shape[1]) + taken
            off = _restricted(rest, (sizes >= self.least) & (sizes <= self.most))
            on = _restricted(rest, (sizes + 1 >= self.least) & (sizes + 1 <= self.most)) + self.logits[:, option]
            column = draws[:, option] < torch.sigmoid(on - off)
            columns.append(column)
            taken = taken + column[:, None]
        return torch.stack(columns, 1)


def _by_size(logits: Tensor) -> list[Tensor]:
    """Return, from each option on, the log-sums over subsets of the options that follow, by size ``[count, sizes]``."""
    totals = [logits.new_zeros(len(logits), 1)]
    for option in reversed(range(logits.shape[1])):
        rest, here = totals[0], logits[:, option, None]
        both = torch.logaddexp(rest[:, 1:], here + rest[:, :-1])
        totals.insert(0, torch.cat([rest[:, :1], both, here + rest[:, -1:]], 1))
    return totals


def _restricted(totals: Tensor, allowed: Tensor) -> Tensor:
    return totals.masked_fill(~allowed, -torch.inf).logsumexp(1)
