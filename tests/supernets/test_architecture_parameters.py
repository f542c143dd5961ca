"""Architecture parameters: one vector of logits per decision, and what follows from them."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from tiny import space

from palmette.choice import Gate
from palmette.relaxations.gumbel_softmax import straight_through
from palmette.relaxations.softmax import softmax
from palmette.supernets.architecture_parameters import ArchitectureParameters


def made(**logits: list[float]) -> ArchitectureParameters:
    parameters = ArchitectureParameters({name: "abcdefgh"[: len(values)] for name, values in logits.items()}, seed=0)
    for name, values in logits.items():
        parameters.logits[name].data = torch.tensor(values)
    return parameters


def test_there_is_one_small_vector_for_each_decision_of_a_space() -> None:
    parameters = ArchitectureParameters(space(3).mixtures.options(), seed=0)
    assert {name: tuple(logits.shape) for name, logits in parameters.logits.items()} == {
        "a": (3,),
        "b": (3,),
        "c": (3,),
    }
    assert all(0 < float(logits.detach().abs().max()) < 5e-3 for logits in parameters.logits.values())


def test_probabilities_and_entropy_are_those_of_the_softmax() -> None:
    parameters = made(a=[0.0, math.log(3.0)], b=[0.0, 0.0, 0.0, 0.0])
    torch.testing.assert_close(parameters.probabilities()["a"], torch.tensor([0.25, 0.75]))
    entropies = [-(0.25 * math.log(0.25) + 0.75 * math.log(0.75)), math.log(4)]
    assert parameters.entropy() == pytest.approx(sum(entropies) / 2)


def test_the_first_of_equally_likely_options_is_the_most_likely() -> None:
    assert made(a=[0.1, 0.4, 0.4], b=[0.0, 0.0]).most_likely() == {"a": 1, "b": 0}


def test_a_choice_is_the_relaxation_of_every_decision_and_lets_gradients_pass() -> None:
    parameters = made(a=[0.0, 1.0], b=[2.0, 0.0])
    choice = parameters.choice(softmax, torch.Generator())
    assert isinstance(choice["b"], torch.Tensor)
    (gradient,) = torch.autograd.grad(choice["b"][0], parameters.logits["b"])
    p = torch.tensor([2.0, 0.0]).softmax(0)
    torch.testing.assert_close(gradient, torch.stack([p[0] * p[1], -p[0] * p[1]]))


def test_decisions_draw_from_one_generator_one_after_another() -> None:
    parameters = made(**{f"d{i}": [0.0] * 8 for i in range(6)})
    choice = parameters.choice(partial(straight_through, temperature=1.0), torch.Generator().manual_seed(0))
    gates = [gate for gate in choice.values() if isinstance(gate, Gate)]
    assert len({gate.active for gate in gates}) > 1
