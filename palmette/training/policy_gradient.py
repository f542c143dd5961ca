"""Policy gradient: a controller learns which architectures earn much (REINFORCE, Williams, 1992; ENAS, 2018, 2.2).

The objective is the expected reward, plus the policy's entropy and minus the divergence of its skip connections, each
by its weight. A step's gradient is an unbiased estimate of the objective's: what is known of an encoded architecture
beside its reward (entropy, divergence) counts as reward *and* is differentiated itself; the released code does one or
the other. The baseline is the moving average before the step, so that it does not depend on what it is compared with.

The weight of the entropy may fall to 0 over given steps (ours; the paper keeps it). A weight large enough to keep all
options in play while rewards are compared would else also keep the policy from settling on the best.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from palmette.architecture import Architecture
from palmette.sampling.controller import Controller, Encoding, Scored
from palmette.sampling.options import PolicyGradientOptions

Reward = Callable[[Sequence[Architecture]], Sequence[float]]
"""The rewards of architectures with the weights of the moment, higher is better."""
Allows = Callable[[Architecture], bool]


class PolicyGradient(nn.Module):
    """A controller and what its steps need beside it; all of it is in ``state_dict``.

    With ``allows``, the policy is the controller's restricted to what is allowed: others are drawn again and never
    evaluated. A baseline near the mean reward then makes the same formula the gradient of the restricted policy, as
    what is lost to the normaliser, the mean reward times the mean gradient of log-probabilities, is subtracted.
    """

    baseline: Tensor
    """Moving average of what the rewards and their additions came to; not a number before the first step."""
    steps: Tensor
    """Done so far, int64."""

    def __init__(
        self, controller: Controller, options: PolicyGradientOptions | None = None, *, allows: Allows | None = None
    ) -> None:
        super().__init__()
        self.controller = controller
        self.options = options or PolicyGradientOptions()
        self.allows = allows
        self.register_buffer("baseline", torch.tensor(torch.nan, dtype=torch.float64))
        self.register_buffer("steps", torch.tensor(0))

    def draw(self, count: int, generator: torch.Generator) -> list[Encoding]:
        """Return ``count`` encodings that the policy draws.

        Raises:
            LimitError: it draws none that is allowed.
        """
        if self.allows is None:
            return self.controller.draw(count, generator)
        return self.controller.draw_allowed(count, generator, self.allows)

    def step(self, optimizer: torch.optim.Optimizer, reward: Reward, generator: torch.Generator) -> dict[str, float]:
        """Draw architectures, ask for their rewards, update the controller; return scalars to log."""
        encodings = self.draw(self.options.samples, generator)
        rewards = list(reward([self.controller.decisions.architecture(encoding) for encoding in encodings]))
        scored = self.controller(encodings, skip_prior=self.options.skip_prior)
        returns = self.returns(scored, rewards)
        mean = returns.double().mean()
        if self.baseline.isnan():
            self.baseline.copy_(mean)
        optimizer.zero_grad()
        loss = -self.surrogate(scored, returns).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        self.baseline.lerp_(mean, 1 - self.options.baseline_decay)
        self.steps += 1
        return {
            "reward": sum(rewards) / len(rewards),
            "baseline": float(self.baseline),
            "entropy": float(scored.entropy.detach().mean()),
            "divergence": float(scored.divergence.detach().mean()),
        }

    def entropy_weight(self) -> float:
        """Return the weight of the entropy in the next step."""
        if self.options.entropy_steps is None:
            return self.options.entropy
        return self.options.entropy * max(0.0, 1 - int(self.steps) / self.options.entropy_steps)

    def returns(self, scored: Scored, rewards: Sequence[float]) -> Tensor:
        """Return reward + entropy - divergence of each encoding by their weights, ``[encodings]``, without gradient."""
        return (torch.tensor(rewards).to(scored.entropy) + self._additions(scored)).detach()

    def surrogate(self, scored: Scored, returns: Tensor) -> Tensor:
        """Return what has, in expectation over the policy, the gradient of the objective, ``[encodings]``."""
        return scored.log_prob * (returns - self.baseline.to(returns)) + self._additions(scored)

    def _additions(self, scored: Scored) -> Tensor:
        return self.entropy_weight() * scored.entropy - self.options.skip_weight * scored.divergence
