"""Batches: a function of seed and step."""

from __future__ import annotations

import pytest
import torch

from palmette.data.batches import TrainingBatches, torch_generator
from palmette.data.images import Images
from palmette.errors import PalmetteError


def numbered(count: int) -> Images:
    return Images(torch.zeros(count, 1, 1, 1, dtype=torch.uint8), torch.arange(count))


def test_an_epoch_shows_each_image_at_most_once_and_drops_the_last_incomplete_batch() -> None:
    batches = TrainingBatches(numbered(23), 5, seed=0)
    assert batches.steps_per_epoch == 4
    shown = torch.cat([batches.batch(step)[1] for step in range(4)])
    assert len(shown) == len(set(shown.tolist())) == 20


def test_epochs_have_orders_of_their_own() -> None:
    batches = TrainingBatches(numbered(40), 40, seed=0)
    assert sorted(batches.batch(0)[1].tolist()) == sorted(batches.batch(1)[1].tolist())
    assert batches.batch(0)[1].tolist() != batches.batch(1)[1].tolist()


def test_steps_can_be_asked_for_in_any_order() -> None:
    forward, backward = TrainingBatches(numbered(23), 5, seed=7), TrainingBatches(numbered(23), 5, seed=7)
    expected = [forward.batch(step)[1].tolist() for step in range(12)]
    assert [backward.batch(step)[1].tolist() for step in reversed(range(12))] == expected[::-1]


def test_another_seed_gives_other_batches() -> None:
    assert (
        TrainingBatches(numbered(50), 50, 0).batch(0)[1].tolist()
        != TrainingBatches(numbered(50), 50, 1).batch(0)[1].tolist()
    )


def test_a_set_smaller_than_a_batch_is_one_batch() -> None:
    batches = TrainingBatches(numbered(3), 128, seed=0)
    assert batches.steps_per_epoch == 1
    assert sorted(batches.batch(5)[1].tolist()) == [0, 1, 2]


@pytest.mark.parametrize(("count", "batch_size", "seed"), [(0, 5, 0), (5, 0, 0), (5, 5, -1)])
def test_empty_batches_and_negative_seeds_are_refused(count: int, batch_size: int, seed: int) -> None:
    with pytest.raises(PalmetteError, match=f"{count} images, batch_size = {batch_size} and seed = {seed} were given"):
        TrainingBatches(numbered(count), batch_size, seed)


def test_a_generator_follows_from_its_integers_in_their_order() -> None:
    def drawn(*entropy: int) -> int:
        return int(torch.randint(2**31, (), generator=torch_generator(*entropy)))

    assert drawn(1, 2) == drawn(1, 2)
    assert len({drawn(1, 2), drawn(2, 1), drawn(1), drawn(1, 0), drawn(1, 2, 0), drawn(0), drawn()}) == 7


def test_a_generator_draws_the_same_on_every_machine() -> None:
    assert torch_generator(1, 2).initial_seed() == 3653944173047565328
