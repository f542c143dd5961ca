"""The controller's probabilities: summed by hand, summing to one, matched by its samples, kept within limits."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch
from graphs import CONDITIONAL, recurrent, skips
from scipy.stats import chisquare

from palmette.architecture import Architecture
from palmette.decision import Categorical, Node
from palmette.decisions import Decisions
from palmette.errors import ArchitectureError, LimitError, PalmetteError
from palmette.sampling.controller import Controller, Encoding
from palmette.sampling.distributions import AnyOfN, OneOfN
from palmette.sampling.options import ControllerOptions

SPACES = {"recurrent": recurrent(3), "skips": skips(4), "conditional": CONDITIONAL}
PLAIN = ControllerOptions(hidden=8, temperature=1.0, tanh_constant=2.0)


def controller(decisions: Decisions, *, scale: float = 8.0, seed: int = 0) -> Controller:
    """Return a controller whose weights are large enough that its decisions depend on each other clearly."""
    made = Controller(decisions, PLAIN, seed=seed).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter *= scale
    return made


def encodings(decisions: Decisions) -> list[Encoding]:
    return list(decisions.encodings())


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


class ByHand:
    """The same policy in NumPy, written down step by step for three nodes."""

    def __init__(self, made: Controller) -> None:
        self.w = {name: p.detach().numpy() for name, p in made.named_parameters()}
        self.h = self.c = np.zeros(PLAIN.hidden)

    def step(self, x: np.ndarray) -> np.ndarray:
        """Return the output of the LSTM (Hochreiter and Schmidhuber, 1997, with forget gates)."""
        gates = self.w["cell.weight_ih"] @ x + self.w["cell.weight_hh"] @ self.h
        i, f, g, o = np.split(gates, 4)
        self.c = sigmoid(f) * self.c + sigmoid(i) * np.tanh(g)
        self.h = sigmoid(o) * np.tanh(self.c)
        return self.h

    def named(self, h: np.ndarray, index: int) -> float:
        """Return the log-probability of an activation."""
        return self.log_softmax(self.w["scores.0.weight"] @ h)[index]

    def among(self, h: np.ndarray, states: list[np.ndarray], index: int) -> float:
        """Return the log-probability of a choice among states."""
        query = self.w["query.weight"] @ h
        scores = [self.w["attention.weight"][0] @ np.tanh(self.w["key.weight"] @ a + query) for a in states]
        return self.log_softmax(np.array(scores))[index]

    @staticmethod
    def log_softmax(scores: np.ndarray) -> list[float]:
        logits = 2.0 * np.tanh(scores / 1.0)
        return (logits - np.log(np.exp(logits).sum())).tolist()


def test_the_log_probability_of_three_nodes_is_the_sum_computed_by_hand() -> None:
    """tanh; node 1, relu; node 2, identity: five decisions, and after each node one step that makes its state."""
    made = controller(SPACES["recurrent"])
    hand = ByHand(made)
    start, embedding = hand.w["start"], hand.w["embeddings.0.weight"]
    total = hand.named(hand.step(start), 0)
    node1 = hand.step(embedding[0])
    total += hand.among(hand.step(start), [node1], 0)
    total += hand.named(hand.step(node1), 1)
    node2 = hand.step(embedding[1])
    total += hand.among(hand.step(start), [node1, node2], 1)
    total += hand.named(hand.step(node2), 2)
    values = ("tanh", "node1", "relu", "node2", "identity")
    encoding = dict(zip(SPACES["recurrent"].decisions, values, strict=True))
    assert made([encoding]).log_prob.item() == pytest.approx(total, abs=1e-12)


@pytest.mark.parametrize("name", SPACES)
def test_probabilities_of_all_encodings_sum_to_one(name: str) -> None:
    made = controller(SPACES[name])
    log_probs = made(encodings(SPACES[name])).log_prob
    assert log_probs.exp().sum().item() == pytest.approx(1.0, abs=1e-12)
    assert log_probs.std() > 0.3, "the policy is so near uniform that nothing would be tested"


@pytest.mark.parametrize("name", SPACES)
def test_expected_entropy_of_the_decisions_is_the_entropy_of_the_policy(name: str) -> None:
    scored = controller(SPACES[name])(encodings(SPACES[name]))
    probabilities = scored.log_prob.exp()
    entropy = -(probabilities * scored.log_prob).sum()
    assert (probabilities * scored.entropy).sum().item() == pytest.approx(entropy.item(), abs=1e-12)


@pytest.mark.parametrize("name", SPACES)
def test_sampled_frequencies_match_the_probabilities(name: str) -> None:
    decisions, draws = SPACES[name], 10_000
    made = controller(decisions)
    every = encodings(decisions)
    expected = draws * made(every).log_prob.exp().detach().numpy()
    counted = Counter(decisions.architecture(drawn) for drawn in made.draw(draws, generator()))
    observed = np.array([counted[decisions.architecture(encoding)] for encoding in every], dtype=float)
    rare = expected < 5  # chi-square needs some of each; these are counted together
    if rare.any():
        expected = np.append(expected[~rare], expected[rare].sum())
        observed = np.append(observed[~rare], observed[rare].sum())
    assert chisquare(observed, expected).pvalue > 0.001


@pytest.mark.parametrize("name", SPACES)
def test_a_batch_scores_each_encoding_as_it_does_alone(name: str) -> None:
    made = controller(SPACES[name])
    some = made.draw(6, generator(1))
    together = made(some)
    for i, encoding in enumerate(some):
        alone = made([encoding])
        assert alone.log_prob.item() == pytest.approx(together.log_prob[i].item(), abs=1e-12)
        assert alone.divergence.item() == pytest.approx(together.divergence[i].item(), abs=1e-12)


def test_decisions_of_one_layer_depend_on_skips_of_earlier_ones() -> None:
    decisions = skips(4)
    every = encodings(decisions)
    made = controller(decisions)
    first = {"op1": "conv", "op2": "conv", "op3": "conv"}

    def last_pool(taken: tuple[str, ...]) -> float:
        those = [e for e in every if e["skips2"] == taken and all(e[k] == v for k, v in first.items())]
        p = made(those).log_prob.exp()
        pool = torch.tensor([e["op4"] == "pool" for e in those])
        return (p[pool].sum() / p.sum()).item()

    assert abs(last_pool(()) - last_pool(("stem",))) > 1e-3


def test_odds_of_two_options_are_bounded_by_the_tanh_constant() -> None:
    """With C = 2.5 one of four options has at most exp(2.5) / (exp(2.5) + 3 exp(-2.5)) = 0.980."""
    decisions = Decisions("one", [Categorical("a", ("w", "x", "y", "z"))])
    made = Controller(decisions, ControllerOptions(hidden=4), seed=0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter *= 1e4
    assert made(encodings(decisions)).log_prob.exp().max().item() <= 0.98020 + 1e-5


def test_divergence_is_zero_where_the_probability_of_sampling_is_the_prior() -> None:
    """Released code samples by sigmoid(2q) and penalises sigmoid(q), which is the prior where 0.308 is sampled."""
    at_prior = AnyOfN(torch.full((1, 3), math.log(0.4 / 0.6), dtype=torch.float64), 0, 3)
    assert at_prior.divergence(0.4).item() == pytest.approx(0.0, abs=1e-12)
    assert at_prior.marginals().tolist()[0] == pytest.approx([0.4] * 3)
    frequency = AnyOfN(at_prior.logits.expand(20_000, 3), 0, 3).sample(generator()).double().mean().item()
    assert frequency == pytest.approx(0.4, abs=4 * math.sqrt(0.24 / 60_000))


def test_divergence_is_summed_over_skips_and_averaged_over_layers_that_have_them() -> None:
    """Layers 2 to 4 have 1, 2 and 3 flags; with equal logits 0 each flag has KL(1/2 || 0.4)."""
    decisions = skips(4)
    made = Controller(decisions, PLAIN).double()
    torch.nn.init.zeros_(made.attention.weight)
    one = 0.5 * math.log(0.5 / 0.4) + 0.5 * math.log(0.5 / 0.6)
    assert made(encodings(decisions)[:2], skip_prior=0.4).divergence.tolist() == pytest.approx([one * 6 / 3] * 2)


@pytest.mark.parametrize(("least", "most"), [(0, 4), (1, 2), (2, 2), (0, 3)])
def test_any_of_n_with_bounds_equals_enumeration(least: int, most: int) -> None:
    logits = torch.tensor([[0.7, -1.2, 0.1, 2.0]], dtype=torch.float64)
    distribution = AnyOfN(logits, least, most)
    subsets = [s for s in itertools.product((False, True), repeat=4) if least <= sum(s) <= most]
    weights = np.array([math.exp(sum(v for v, on in zip(logits[0].tolist(), s, strict=True) if on)) for s in subsets])
    probabilities = weights / weights.sum()
    found = AnyOfN(logits.expand(len(subsets), 4), least, most).log_prob(torch.tensor(subsets)).exp()
    assert found.tolist() == pytest.approx(probabilities.tolist())
    assert distribution.entropy().item() == pytest.approx(-(probabilities * np.log(probabilities)).sum())
    assert distribution.marginals()[0].tolist() == pytest.approx((probabilities @ np.array(subsets)).tolist())
    assert tuple(distribution.most_likely()[0].tolist()) == subsets[int(probabilities.argmax())]
    drawn = AnyOfN(logits.expand(20_000, 4), least, most).sample(generator()).tolist()
    counts = Counter(map(tuple, drawn))
    assert chisquare([counts[s] for s in subsets], 20_000 * probabilities).pvalue > 0.001


def test_one_of_n_has_the_entropy_of_its_probabilities() -> None:
    distribution = OneOfN(torch.tensor([[0.0, math.log(3.0)]], dtype=torch.float64))
    assert distribution.entropy().item() == pytest.approx(-(0.25 * math.log(0.25) + 0.75 * math.log(0.75)))


def test_equal_seeds_draw_equal_encodings() -> None:
    made = controller(recurrent(3))
    assert made.draw(5, generator(3)) == made.draw(5, generator(3))
    assert made.draw(5, generator(3)) != made.draw(5, generator(4))


def test_draws_within_limits_follow_the_policy_restricted_to_them() -> None:
    decisions = recurrent(3)
    made = controller(decisions)

    def allows(architecture: Architecture) -> bool:
        return architecture["activation1"] == "relu" and architecture["activation2"] != "tanh"

    every = [e for e in encodings(decisions) if allows(decisions.architecture(e))]
    probabilities = made(every).log_prob.exp()
    expected = 2000 * (probabilities / probabilities.sum()).detach().numpy()
    counts = Counter(decisions.architecture(e) for e in made.draw_allowed(2000, generator(), allows))
    assert chisquare([counts[decisions.architecture(e)] for e in every], expected).pvalue > 0.001


def test_limits_out_of_reach_are_told() -> None:
    with pytest.raises(LimitError, match="none of 4,"):
        controller(recurrent(3)).draw_allowed(1, generator(), lambda architecture: False)


def test_options_that_cannot_be_are_refused() -> None:
    with pytest.raises(PalmetteError, match="temperature = 0 was given"):
        ControllerOptions(temperature=0)


def test_nodes_with_decisions_of_another_space_are_refused() -> None:
    with pytest.raises(ArchitectureError, match="its nodes have decisions b; allowed are decisions of the space"):
        Decisions("one", [Categorical("a", ("x", "y"))], nodes=[Node("node", ("b",))])
