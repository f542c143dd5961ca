"""Controller: an LSTM that makes the decisions of a space one after another, each given those before (ENAS, 2018).

Pham et al., "Efficient Neural Architecture Search via Parameter Sharing", ICML 2018, section 2.2; enas.md 2.3, 3.1,
3.2. One controller serves any decisions. Options with names are scored by a linear layer, which decisions with the same
options share; options that are earlier nodes of a graph (``decision.Node``) are scored by attention to the states the
LSTM had after these nodes. Scores become logits C tanh(score / T).

Deviations from the released code, so that one rule serves all spaces: after the last decision of every node the LSTM
takes one more step, whose output is the node's state (there in the space of cells only; elsewhere the state is that
of the last choice among nodes); the state is carried over always (a defect of the recurrent one there); and a skip
connection has probability sigmoid(logit), in sampling and in its penalty alike (there sigmoid(2 logit) in one of them).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from palmette.architecture import Architecture, Value
from palmette.decision import Decision, Integer, Subset
from palmette.decisions import Decisions
from palmette.errors import LimitError
from palmette.sampling.distributions import AnyOfN, OneOfN
from palmette.sampling.options import ControllerOptions

Encoding = Mapping[str, Value]
"""A value for every active decision, in order; several encodings may be one architecture."""
Pick = Callable[[str, OneOfN | AnyOfN], Tensor]
"""``(decision, its distribution) -> outcome`` for a batch of encodings."""

INITIAL_RANGE = 0.1
MOST_DRAWS = 4096
"""Draws without an allowed one among them, before the limits are called out of the controller's reach."""


@dataclass(frozen=True, eq=False)
class Scored:
    """What the controller says of a batch of encodings, each ``[encodings]``."""

    log_prob: Tensor
    """Logarithm of the probability of making exactly these decisions."""
    entropy: Tensor
    """Sum of the entropies of the decisions, each given those before, in nats; its expectation is the policy's."""
    divergence: Tensor
    """KL of the skip connections from ``skip_prior``: summed over a decision's options, mean over these decisions."""


@dataclass(frozen=True)
class _Step:
    """One step of the LSTM: a decision, or the state of a node whose decisions are made."""

    decision: Decision | None
    labels: tuple[str, ...] = ()
    """Names of the options."""
    among_nodes: bool = False
    """Whether they are nodes."""
    node: str = ""

    @property
    def kind(self) -> tuple[type[Decision], tuple[str, ...]]:
        """What decisions share a linear layer and embeddings by: their sort and their options."""
        assert self.decision is not None
        return type(self.decision), self.labels


@dataclass(eq=False)
class _Walk:
    """Where a batch of encodings stands: the LSTM's state and next input ``[count, hidden]``, and what was decided."""

    h: Tensor
    c: Tensor
    x: Tensor
    values: list[dict[str, Value]]
    nodes: dict[str, Tensor]
    """State of every node so far, the last of each name, ``[count, hidden]``."""
    log_prob: Tensor
    entropy: Tensor
    divergences: list[Tensor]


class Controller(nn.Module):
    """A policy over the encodings of a space. Everything random is an argument; it runs on the CPU.

    Args:
        decisions: of the space, conditional ones included.
        options: sizes and constants.
        seed: of the initial weights, uniform in +-0.1.
    """

    def __init__(self, decisions: Decisions, options: ControllerOptions | None = None, *, seed: int = 0) -> None:
        super().__init__()
        self.decisions = decisions
        self.options = options or ControllerOptions()
        self.schedule = _schedule(decisions)
        kinds = dict.fromkeys(step.kind for step in self.schedule if step.decision and not step.among_nodes)
        self.kinds = {kind: number for number, kind in enumerate(kinds)}
        hidden = self.options.hidden
        self.cell = nn.LSTMCell(hidden, hidden, bias=False)
        self.start = nn.Parameter(torch.empty(hidden))
        self.scores = nn.ModuleList(nn.Linear(hidden, len(labels), bias=False) for _, labels in kinds)
        self.embeddings = nn.ModuleList(nn.Embedding(len(labels), hidden) for _, labels in kinds)
        self.key, self.query = nn.Linear(hidden, hidden, bias=False), nn.Linear(hidden, hidden, bias=False)
        self.attention = nn.Linear(hidden, 1, bias=False)
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -INITIAL_RANGE, INITIAL_RANGE, generator=generator)

    @torch.no_grad()
    def draw(self, count: int, generator: torch.Generator) -> list[Encoding]:
        """Return ``count`` encodings drawn from the policy."""
        return list(self._walk(count, lambda _, distribution: distribution.sample(generator)).values)

    def draw_allowed(
        self, count: int, generator: torch.Generator, allows: Callable[[Architecture], bool]
    ) -> list[Encoding]:
        """Return ``count`` encodings drawn from the policy restricted to architectures that ``allows`` holds for.

        Raises:
            LimitError: ``MOST_DRAWS`` draws in a row without one.
        """
        kept: list[Encoding] = []
        vain = 0
        while len(kept) < count:
            drawn = self.draw(max(count - len(kept), min(vain, 256)), generator)
            allowed = [encoding for encoding in drawn if allows(self.decisions.architecture(encoding))]
            kept += allowed
            vain = 0 if allowed else vain + len(drawn)
            if vain >= MOST_DRAWS:
                raise LimitError(
                    f"limits: none of {vain:,} architectures that the controller drew from space "
                    f"{self.decisions.space!r} meets them; widen them"
                )
        return kept[:count]

    @torch.no_grad()
    def most_likely(self) -> Encoding:
        """Return the encoding that takes the likeliest outcome at every decision."""
        return self._walk(1, lambda _, distribution: distribution.most_likely()).values[0]

    def forward(self, encodings: Sequence[Encoding], *, skip_prior: float = 0.4) -> Scored:
        """Return log-probabilities, entropies and divergences of the encodings; gradients flow into the weights."""

        def told(name: str, distribution: OneOfN | AnyOfN) -> Tensor:
            rows = [self._outcome(name, encoding.get(name)) for encoding in encodings]
            return torch.tensor(rows, dtype=torch.bool if isinstance(distribution, AnyOfN) else torch.long)

        walk = self._walk(len(encodings), told, skip_prior)
        divergence = torch.stack(walk.divergences).mean(0) if walk.divergences else torch.zeros_like(walk.entropy)
        return Scored(walk.log_prob, walk.entropy, divergence)

    def _walk(self, count: int, pick: Pick, skip_prior: float = 0.4) -> _Walk:
        zero = self.start.new_zeros(count, self.options.hidden)
        none = self.start.new_zeros(count)
        start = self.start.expand(count, -1)
        walk = _Walk(zero, zero, start, [{} for _ in range(count)], {}, none, none, [])
        for step in self.schedule:
            if step.decision is not None:
                self._decide(walk, step, pick, skip_prior)
            else:
                walk.h, walk.c = self.cell(walk.x, (walk.h, walk.c))
                walk.nodes[step.node] = walk.h
                walk.x = start
        return walk

    def _decide(self, walk: _Walk, step: _Step, pick: Pick, skip_prior: float) -> None:
        """Make one decision for all encodings of a batch in which it is active."""
        assert step.decision is not None
        name = step.decision.name
        rows = [row for row, values in enumerate(walk.values) if self.decisions.is_active(name, values)]
        if not rows:
            return
        h, c = self.cell(walk.x, (walk.h, walk.c))
        states = self._states(walk, step)
        distribution = self._distribution(step, h, states)
        outcome = pick(name, distribution)
        x = _next_input(distribution, states, outcome)
        log_prob, entropy = distribution.log_prob(outcome), distribution.entropy()
        active: Tensor | float = 1.0
        if len(rows) < len(walk.values):
            active = torch.zeros(len(walk.values)).index_fill(0, torch.tensor(rows), 1.0).to(h)
            there = active[:, None] > 0
            h, c, x = (torch.where(there, new, old) for new, old in ((h, walk.h), (c, walk.c), (x, walk.x)))
        walk.h, walk.c, walk.x = h, c, x
        walk.log_prob = walk.log_prob + log_prob * active
        walk.entropy = walk.entropy + entropy * active
        if step.among_nodes and isinstance(distribution, AnyOfN) and distribution.is_independent:
            walk.divergences.append(distribution.divergence(skip_prior) * active)
        outcomes = outcome.tolist()
        for row in rows:
            walk.values[row][name] = self._value(step, outcomes[row])

    def _states(self, walk: _Walk, step: _Step) -> Tensor:
        """Return a vector for each option, ``[count, options, hidden]``: states of nodes, or embeddings."""
        if step.among_nodes:
            return torch.stack([walk.nodes[label] for label in step.labels], 1)
        return self.embeddings[self.kinds[step.kind]].weight.expand(len(walk.values), -1, -1)  # type: ignore[operator]

    def _distribution(self, step: _Step, h: Tensor, states: Tensor) -> OneOfN | AnyOfN:
        if step.among_nodes:
            scores = self.attention(torch.tanh(self.key(states) + self.query(h)[:, None]))[:, :, 0]
        else:
            scores = self.scores[self.kinds[step.kind]](h)
        logits = self.options.tanh_constant * torch.tanh(scores / self.options.temperature)
        if isinstance(step.decision, Subset):
            most = len(step.labels) if step.decision.most is None else step.decision.most
            return AnyOfN(logits, step.decision.least, most)
        return OneOfN(logits)

    def _value(self, step: _Step, outcome: int | list[bool]) -> Value:
        assert step.decision is not None
        if isinstance(outcome, list):
            return tuple(option for option, on in zip(step.labels, outcome, strict=True) if on)
        return self.decisions.values(step.decision.name)[outcome]

    def _outcome(self, name: str, value: Value | None) -> int | list[bool]:
        decision = self.decisions.decisions[name]
        if isinstance(decision, Subset):
            taken = value if isinstance(value, tuple) else ()
            return [option in taken for option in decision.options]
        return 0 if value is None else self.decisions.index(name, value)


def _next_input(distribution: OneOfN | AnyOfN, states: Tensor, outcome: Tensor) -> Tensor:
    """Return what stands for the outcome, ``[count, hidden]``; for several, their sum divided by 1 + their number."""
    if isinstance(distribution, AnyOfN):
        return (states * outcome[:, :, None]).sum(1) / (1 + outcome.sum(1, keepdim=True))
    return states[torch.arange(len(outcome)), outcome]


def _schedule(decisions: Decisions) -> list[_Step]:
    """Return the steps in order: every decision, and after the last of a node the step that makes its state."""
    owner = {name: i for i, node in enumerate(decisions.nodes) for name in node.decisions}
    steps: list[_Step] = []
    known: set[str] = set()
    done = 0

    def finish(until: int) -> None:
        nonlocal done
        for node in decisions.nodes[done:until]:
            steps.append(_Step(None, node=node.name))
            known.add(node.name)
        done = max(done, until)

    for name, decision in decisions.decisions.items():
        finish(owner.get(name, done))
        labels = tuple(map(str, decision.values())) if isinstance(decision, Integer) else decision.options
        steps.append(_Step(decision, labels, known.issuperset(labels)))
        if name in owner and name == decisions.nodes[owner[name]].decisions[-1]:
            finish(owner[name] + 1)
    return steps
