"""Policy gradient: a controller learns which architectures earn much (REINFORCE, Williams, 1992; ENAS, 2018, 2.2).

The objective is the expected reward, plus the policy's entropy and minus the divergence of its skip connections, each
by its weight. A step's gradient is an unbiased estimate of the objective's: what is known of an encoded architecture
beside its reward (entropy, divergence) counts as reward *and* is differentiated itself; the released code does one or
the other. The baseline is the moving average before the step, so that it does not depend on what it is compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from palmette.architecture import Architecture
from palmette.sampling.controller import Controller, Encoding, Scored
from palmette.sampling.options import PolicyGradientOptions

Reward = Callable[[Sequence[Architecture]], Sequence[float]]
"""The rewards of architectures with the weights of the moment, higher is better."""
Allows = Callable[[Architecture], bool]


class PolicyGradient:
    """Steps of a controller, by Adam.

    With ``allows``, the policy is the controller's restricted to what is allowed: others are drawn again and never
    evaluated. A baseline near the mean reward then makes the same formula the gradient of the restricted policy, as
    what is lost to the normaliser, the mean reward times the mean gradient of log-probabilities, is subtracted.
    """

    def __init__(
        self, controller: Controller, options: PolicyGradientOptions | None = None, *, allows: Allows | None = None
    ) -> None:
        self.controller = controller
        self.options = options or PolicyGradientOptions()
        self.allows = allows
        self.optimizer = torch.optim.Adam(controller.parameters(), lr=self.options.lr)
        self.baseline: float | None = None
        """Moving average of what the rewards and their additions came to; None before the first step."""

    def step(self, reward: Reward, generator: torch.Generator) -> dict[str, float]:
        """Draw architectures, ask for their rewards, update the controller; return scalars to log."""
        encodings = self._drawn(generator)
        rewards = list(reward([self.controller.decisions.architecture(encoding) for encoding in encodings]))
        scored = self.controller(encodings, skip_prior=self.options.skip_prior)
        returns = self.returns(scored, rewards)
        mean = float(returns.mean())
        self.baseline = mean if self.baseline is None else self.baseline
        self.optimizer.zero_grad()
        loss = -self.surrogate(scored, returns).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.baseline += (1 - self.options.baseline_decay) * (mean - self.baseline)
        return {
            "reward": sum(rewards) / len(rewards),
            "baseline": self.baseline,
            "entropy": float(scored.entropy.detach().mean()),
            "divergence": float(scored.divergence.detach().mean()),
        }

    def returns(self, scored: Scored, rewards: Sequence[float]) -> Tensor:
        """Return reward + entropy - divergence of each encoding by their weights, ``[encodings]``, without gradient."""
        return (torch.tensor(rewards).to(scored.entropy) + self._additions(scored)).detach()

    def surrogate(self, scored: Scored, returns: Tensor) -> Tensor:
        """Return what has, in expectation over the policy, the gradient of the objective, ``[encodings]``."""
        advantages = returns - (0.0 if self.baseline is None else self.baseline)
        return scored.log_prob * advantages + self._additions(scored)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that a resumed training needs, as tensors and as what JSON can hold."""
        tensors = {f"controller/{name}": tensor for name, tensor in self.controller.state_dict().items()}
        for name, parameter in self.controller.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"adam/{key}/{name}"] = value
        return tensors, {"baseline": self.baseline}

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Take over what ``state`` returned."""
        prefix = "controller/"
        own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        self.controller.load_state_dict(own)
        for name, parameter in self.controller.named_parameters():
            for key in ("step", "exp_avg", "exp_avg_sq"):
                stored = tensors.get(f"adam/{key}/{name}")
                if stored is not None:
                    self.optimizer.state[parameter][key] = stored.clone()
        self.baseline = state["baseline"]

    def _drawn(self, generator: torch.Generator) -> list[Encoding]:
        if self.allows is None:
            return self.controller.draw(self.options.samples, generator)
        return self.controller.draw_allowed(self.options.samples, generator, self.allows)

    def _additions(self, scored: Scored) -> Tensor:
        return self.options.entropy * scored.entropy - self.options.skip_weight * scored.divergence
