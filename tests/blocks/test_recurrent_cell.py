from __future__ import annotations

import pytest
import torch
from torch import Tensor

from palmette.blocks.language_model import Dropout, LanguageModel
from palmette.blocks.recurrent_cell import ACTIVATIONS, Cell, RecurrentLayer, plain_cell, run_cell
from palmette.errors import ArchitectureError, PalmetteError

NOTES = Cell("tanh", ((0, "relu"), (1, "relu"), (0, "tanh")))
"""The four-node example of the ENAS paper's section 2.1."""


def test_the_four_node_example_by_hand() -> None:
    """k1 = tanh(0.5 + 0.4 0.25), k2 = relu(2 k1), k3 = relu(1.5 k2), k4 = tanh(0.8 k1); h = (k3 + k4) / 2."""
    weights = [torch.tensor([[w]]) for w in (0.5, 0.25, 2.0, 1.5, 0.8)]
    x, hidden = torch.ones(1, 1, 1), torch.full((1, 1), 0.4)
    assert NOTES.averaged == (2, 3)
    for run in (run_cell, plain_cell):
        assert run(NOTES, x, hidden, weights, mask=None).item() == pytest.approx(1.008084, abs=1e-6)


def test_a_gated_node_by_hand() -> None:
    """c = sigmoid(1 0.2 + 0.4 0.3) = 0.579324, f = tanh(1 0.5 + 0.4 0.25) = 0.537050; h = 0.4 + c (f - 0.4)."""
    weights = [torch.tensor([[0.2, 0.5]]), torch.tensor([[0.3, 0.25]])]
    output = run_cell(Cell("tanh", ()), torch.ones(1, 1, 1), torch.full((1, 1), 0.4), weights, mask=None)
    assert output.item() == pytest.approx(0.4 + 0.5793243 * 0.1370496, abs=1e-6)


@pytest.mark.parametrize("highway", [True, False])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("averages_all", [True, False])
@pytest.mark.parametrize("limit", [None, 1.5])
def test_the_fast_way_and_its_gradients_equal_a_plain_loop_under_autograd(
    highway: bool, masked: bool, averages_all: bool, limit: float | None
) -> None:
    generator = torch.Generator().manual_seed(0)

    def leaf(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    nodes = tuple(zip((0, 1, 0, 3, 3), (*ACTIVATIONS, "tanh"), strict=True))
    cell = Cell("relu", nodes, averages_all, limit)
    width = 12 if highway else 6
    leaves = [leaf(5, 3, 4), leaf(3, 6), leaf(4, width), *(leaf(6, width) for _ in range(6))]
    mask = torch.rand(3, 6, generator=generator, dtype=torch.float64) if masked else None
    outgoing = torch.randn(5, 3, 6, generator=generator, dtype=torch.float64)
    results = []
    for run in (run_cell, plain_cell):
        output = run(cell, leaves[0], leaves[1], leaves[2:], mask=mask)
        results.append([output, *torch.autograd.grad(output, leaves, outgoing)])
    torch.testing.assert_close(results[0], results[1], rtol=1e-10, atol=1e-12)


def test_states_are_scaled_back_to_the_limit_and_shorter_ones_left_alone() -> None:
    """One unit each way: identity of 3 and 4 with root mean square 3.5355, and tanh, which never exceeds 1."""
    x, none = torch.tensor([[[3.0, 4.0]]]), torch.zeros(1, 2)
    weights = [torch.eye(2), torch.zeros(2, 2)]
    within = run_cell(Cell("identity", (), limit=1.0), x, none, weights, mask=None)
    torch.testing.assert_close(within[0, 0], torch.tensor([3.0, 4.0]) / 12.5**0.5)
    alone, limited = (run_cell(Cell("tanh", (), limit=limit), x, none, weights, mask=None) for limit in (None, 1.0))
    assert torch.equal(alone, limited)


def test_a_second_backward_pass_is_refused_and_not_wrong() -> None:
    leaf = torch.ones(2, 1, 1, requires_grad=True)
    weights = [torch.ones(1, 2), torch.ones(1, 2)]
    total = run_cell(Cell("tanh", ()), leaf, torch.zeros(1, 1), weights, mask=None).sum()
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


def test_a_cell_that_reads_ahead_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="node 1 reads node 1; allowed are 0 to 0"):
        Cell("tanh", ((1, "relu"),))
    with pytest.raises(ArchitectureError, match="activation 'sine'; allowed are tanh, relu, identity, sigmoid"):
        Cell("sine", ())


def model(**rates: float) -> LanguageModel:
    torch.manual_seed(0)
    dropout = Dropout(**rates)
    return LanguageModel(20, 8, RecurrentLayer(NOTES, 8, 8, dropout=dropout.hidden), dropout=dropout)


def test_the_decoder_uses_the_embedding_again() -> None:
    network = model()
    assert sum(p.numel() for p in network.parameters()) == 20 * 8 + 4 * 8**2 + 3 * 2 * 8**2
    tokens = torch.tensor([[3], [5]])
    before = network(tokens).logits
    with torch.no_grad():
        network.embedding.weight[7] += 1.0  # a word that is not read: only its own logit may change
    after = network(tokens).logits
    changed = (before != after).any(0).any(0)
    assert changed.nonzero().flatten().tolist() == [7]


def test_two_segments_with_the_state_handed_over_equal_one_long_segment() -> None:
    network = model().eval()
    tokens = torch.randint(20, (7, 3), generator=torch.Generator().manual_seed(0))
    whole = network(tokens)
    first = network(tokens[:4])
    second = network(tokens[4:], first.hidden)
    torch.testing.assert_close(torch.cat([first.logits, second.logits]), whole.logits)
    assert not torch.allclose(network(tokens[4:]).logits, second.logits)


@pytest.mark.parametrize("name", ["embedding", "inputs", "outputs"])
def test_dropout_is_the_same_at_every_time_step(name: str) -> None:
    network = model(**{name: 0.5}).train()
    network.recurrent = torch.nn.Identity()  # what comes in goes out, so that the mask is seen
    network.forward = lambda x: network._locked(x, getattr(network.dropout, name))  # type: ignore[method-assign]
    masks = network(torch.ones(6, 3, 8))
    assert set(masks.flatten().tolist()) == {0.0, 2.0}
    assert torch.equal(masks, masks[:1].expand_as(masks))
    assert not torch.equal(masks[0, 0], masks[0, 1])


def test_dropped_words_vanish_whole_and_only_in_training() -> None:
    network = model(words=0.5).train()
    rows = network._embedded_words() / network.embedding.weight
    kept = rows.mean(1)
    assert torch.allclose(rows, kept[:, None].expand_as(rows))
    assert set(kept.round().tolist()) == {0.0, 2.0}
    network.eval()
    assert torch.equal(network._embedded_words(), network.embedding.weight)


def test_dropout_of_everything_is_refused() -> None:
    with pytest.raises(PalmetteError, match=r"hidden = 1\.0 was given; it must lie in \[0, 1\)"):
        Dropout(hidden=1.0)
