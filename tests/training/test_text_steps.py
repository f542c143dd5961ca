from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from palmette.blocks.language_model import Dropout, LanguageModel
from palmette.blocks.recurrent_cell import Cell, RecurrentLayer
from palmette.data.options import Augmentation
from palmette.data.text import Corpus, Tokens
from palmette.errors import DataError
from palmette.evaluation.score import score, token_losses
from palmette.sequences import Predicted, Segment
from palmette.space import called
from palmette.storage import checkpoint
from palmette.training.averaging import averaged
from palmette.training.loop import Step, Updates, Watch, train, train_by
from palmette.training.recipe import Recipe
from palmette.training.text_steps import TextSteps

PLAIN = Recipe(epochs=2, batch_size=2, lr=0.5, momentum=0.0, nesterov=False, weight_decay=0.0, bptt=3)


def corpus(train: int = 23, words: int = 7) -> Corpus:
    def tokens(count: int, seed: int) -> Tokens:
        return Tokens(torch.randint(words, (count,), generator=torch.Generator().manual_seed(seed)))

    return Corpus("tiny", tokens(train, 0), tokens(40, 1), tokens(40, 2), tuple(map(str, range(words))))


def model(words: int = 7, rate: float = 0.0) -> LanguageModel:
    torch.manual_seed(0)
    layer = RecurrentLayer(Cell("tanh", ((0, "relu"),)), 5, 5, dropout=rate, init_range=0.5)
    return LanguageModel(words, 5, layer, dropout=Dropout(hidden=rate, outputs=rate), init_range=0.5)


def predicted(logits: torch.Tensor, outputs: torch.Tensor | None = None) -> Predicted:
    states = torch.zeros(*logits.shape[:2], 2) if outputs is None else outputs
    return Predicted(logits, states[-1], states, states)


def test_segments_follow_each_other_and_the_target_is_the_next_word() -> None:
    steps = TextSteps(corpus(), Tokens(torch.arange(23)), PLAIN)  # two streams of 11: 0..10 and 11..21
    assert (steps.steps_per_epoch, steps.inputs_per_step) == (4, 6)
    assert steps.input(0).tokens.tolist() == [[0, 11], [1, 12], [2, 13]]
    assert steps._targets.tolist() == [[1, 12], [2, 13], [3, 14]]
    assert steps.input(3).tokens.tolist() == [[9, 20]]  # what is left
    assert steps._targets.tolist() == [[10, 21]]
    assert steps.input(4).tokens.tolist() == [[0, 11], [1, 12], [2, 13]]


def test_the_hidden_state_is_handed_on_without_gradient_and_starts_anew_every_epoch() -> None:
    steps = TextSteps(corpus(), corpus().train, PLAIN)
    assert steps.input(0).hidden is None
    outputs = torch.ones(3, 2, 2, requires_grad=True) * 4
    steps.loss(predicted(torch.zeros(3, 2, 7), outputs))
    carried = steps.input(1).hidden
    assert carried is not None
    assert torch.equal(carried, torch.full((2, 2), 4.0))
    assert not carried.requires_grad
    assert steps.input(4).hidden is None


def test_the_loss_and_its_penalties_by_hand() -> None:
    """Equal logits cost log 7; outputs 1, 3, 3: mean square 19/3, mean squared change (4 + 0) / 2."""
    recipe = dataclasses.replace(PLAIN, activation_penalty=0.3, slowness_penalty=0.5)
    steps = TextSteps(corpus(), corpus().train, recipe)
    steps.input(0)
    outputs = torch.tensor([1.0, 3.0, 3.0])[:, None, None].expand(3, 2, 2)
    loss = float(steps.loss(predicted(torch.zeros(3, 2, 7), outputs)))
    assert loss == pytest.approx(math.log(7) + 0.3 * 19 / 3 + 0.5 * 2)


def test_a_training_with_segments_equals_the_loop_written_out() -> None:
    data, network, expected = corpus(), model(), model()
    train(network, lambda x, step: called(network, x), data, PLAIN, seed=0, watch=Watch())
    streams = data.train.streams(2)
    optimizer = torch.optim.SGD(expected.parameters(), lr=0.5)
    for step in range(8):
        if step % 4 == 0:
            hidden = None
        part = streams[step % 4 * 3 :][:4]
        for group in optimizer.param_groups:
            group["lr"] = 0.5 * (1 + math.cos(math.pi * step / 8)) / 2
        optimizer.zero_grad()
        output = expected(part[:-1], hidden)
        cross_entropy(output.logits.view(-1, 7), part[1:].reshape(-1)).backward()
        hidden = output.hidden.detach()
        optimizer.step()
    for one, other in zip(network.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_clipping_limits_the_gradient_that_is_used() -> None:
    """Released code computes clipped gradients and applies the others."""
    data, network = corpus(), model()
    before = [p.detach().clone() for p in network.parameters()]
    recipe = dataclasses.replace(PLAIN, epochs=1, bptt=100, clip_norm=0.01, lr=2.0, schedule="constant")
    train(network, lambda x, step: called(network, x), data, recipe, seed=0, watch=Watch())  # one step
    moved = torch.cat([(p - b).flatten() for p, b in zip(network.parameters(), before, strict=True)])
    assert float(moved.detach().norm()) == pytest.approx(2.0 * 0.01, rel=1e-3)


def test_a_killed_training_on_text_resumes_bitwise_with_its_hidden_state(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def run(kill_at: int | None, path: Path | None) -> nn.Module:
        network = model(rate=0.3)

        def forward(x: Segment, step: int) -> Any:
            if step == kill_at:
                raise Killed
            return called(network, x)

        recipe = dataclasses.replace(PLAIN, average=0.5)
        train(network, forward, corpus(), recipe, seed=3, watch=Watch(checkpoint=path))
        return network

    undisturbed = run(None, None)
    path = tmp_path / "training.safetensors"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("palmette.training.loop.CHECKPOINT_SECONDS", 0.0)
        with pytest.raises(Killed):
            run(6, path)
    tensors, state = checkpoint.load(path)
    assert state["step"] == 6
    assert tensors["batches/hidden"].shape == (2, 5)
    resumed = run(None, path)
    for one, other in zip(undisturbed.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_average_is_that_of_the_weights_after_the_last_steps() -> None:
    module = nn.Linear(1, 1, bias=False)
    values = [5.0, 1.0, 2.0, 6.0]
    updates = averaged(Updates(passes=lambda step: []), module, 0.75)
    for number, value in enumerate(values):
        with torch.no_grad():
            module.weight.fill_(value)
        updates.after_step(Step(number=number, steps=4, steps_per_epoch=4, batch=None, optimizer=None))  # type: ignore[arg-type]
    assert float(module.weight.detach()) == pytest.approx(3.0)


def test_several_cells_in_one_update_start_from_the_same_state_and_add_up() -> None:
    data, network = corpus(), model()
    seen: list[Segment] = []

    def one(x: Segment) -> Any:
        seen.append(x)
        return called(network, x)

    train_by(Updates(passes=lambda step: [one, one]), network, data, PLAIN, seed=0, watch=Watch())
    assert len(seen) == 16
    assert all(seen[i].hidden is seen[i + 1].hidden for i in range(0, 16, 2))


def test_perplexity_carries_the_state_through_the_text_and_leaves_that_of_training_alone() -> None:
    data, network = corpus(), model().eval()
    streams = data.validation.streams(10)
    whole = network(streams[:-1])
    expected = cross_entropy(whole.logits.view(-1, 7), streams[1:].reshape(-1)).item()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("palmette.evaluation.score.SEGMENT", 1)
        metrics = score(network, data.validation, data)
    assert metrics["loss"] == pytest.approx(expected)
    assert metrics["perplexity"] == pytest.approx(math.exp(expected))
    states: list[torch.Tensor | None] = []

    def watched(segment: Segment) -> Any:
        states.append(segment.hidden)
        return called(network, segment)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("palmette.evaluation.score.SEGMENT", 2)
        token_losses(watched, data.validation)
        token_losses(watched, data.validation)
    assert [state is None for state in states] == [True, False, True, False]  # both readings start from zeros


def test_augmentation_of_images_is_refused_for_text() -> None:
    with pytest.raises(DataError, match="which changes images; leave it out for text"):
        TextSteps(corpus(), corpus().train, dataclasses.replace(PLAIN, augmentation=Augmentation(flip=True)))
