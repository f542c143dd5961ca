"""Recipes: the learning rate worked out by hand, and settings that are refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from palmette.data.options import Augmentation
from palmette.errors import PalmetteError
from palmette.training.recipe import Recipe

ROOT_HALF = math.sqrt(0.5)


def rates(recipe: Recipe, steps: int, steps_per_epoch: int) -> list[float]:
    return [recipe.learning_rate(step, steps, steps_per_epoch) for step in range(steps)]


def test_the_cosine_schedule_falls_along_half_a_cosine() -> None:
    expected = [0.4, 0.2 * (1 + ROOT_HALF), 0.2, 0.2 * (1 - ROOT_HALF)]
    assert rates(Recipe(lr=0.4), 4, 2) == pytest.approx(expected, abs=1e-15)


def test_the_linear_schedule_falls_in_equal_steps() -> None:
    assert rates(Recipe(lr=0.4, schedule="linear"), 4, 2) == pytest.approx([0.4, 0.3, 0.2, 0.1])


def test_the_warm_up_rises_in_equal_steps_and_the_schedule_begins_after_it() -> None:
    recipe = Recipe(lr=0.4, schedule="linear", warmup_epochs=1)
    assert rates(recipe, 8, 4) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.3, 0.2, 0.1])


def test_half_an_epoch_of_five_steps_warms_up_for_two() -> None:
    recipe = Recipe(lr=0.4, schedule="linear", warmup_epochs=0.5)
    assert rates(recipe, 6, 5) == pytest.approx([0.2, 0.4, 0.4, 0.3, 0.2, 0.1])


def test_a_warm_up_longer_than_the_training_only_rises() -> None:
    assert rates(Recipe(lr=0.4, warmup_epochs=2), 2, 2) == pytest.approx([0.1, 0.2])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epochs": 0}, "epochs = 0 was given; it must be at least 1"),
        ({"batch_size": 1}, "batch_size = 1 was given; it must be at least 2"),
        ({"lr": -0.1}, "lr = -0.1 was given; it must be at least 0"),
        ({"lr": math.nan}, "lr = nan was given"),
        ({"lr": math.inf}, "lr = inf was given"),
        ({"weight_decay": -1e-4}, "weight_decay = -0.0001 was given; it must be at least 0"),
        ({"warmup_epochs": -1}, "warmup_epochs = -1 was given; it must be at least 0"),
        ({"momentum": 1.0}, r"momentum = 1.0 was given; it must lie in \[0, 1\)"),
        ({"momentum": -0.1}, r"momentum = -0.1 was given; it must lie in \[0, 1\)"),
        ({"label_smoothing": 1.0}, r"label_smoothing = 1.0 was given; it must lie in \[0, 1\)"),
        ({"label_smoothing": math.nan}, "label_smoothing = nan was given"),
        ({"momentum": 0.0}, "nesterov needs momentum above 0"),
        ({"clip_norm": -1.0}, "clip_norm = -1.0 was given; it must be at least 0"),
        ({"clip_norm": math.inf}, "clip_norm = inf was given"),
        ({"schedule": "step"}, "schedule = 'step' was given; allowed are cosine, linear"),
    ],
)
def test_settings_out_of_range_are_refused_in_one_line(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(PalmetteError, match=f"recipe: {message}") as caught:
        Recipe(**wrong)
    assert "\n" not in str(caught.value)


def test_the_ends_of_the_ranges_are_allowed() -> None:
    recipe = Recipe(epochs=1, batch_size=2, lr=0, momentum=0, nesterov=False, weight_decay=0, clip_norm=0)
    assert recipe.augmentation == Augmentation()


def test_restarts_fall_as_cosines_of_doubling_length() -> None:
    """Cycles of 10, 20 and 40 epochs end after 10, 30 and 70; with 2 steps per epoch these are steps 20, 60 and 140."""
    recipe = Recipe(epochs=70, schedule="restarts", lr=0.05, lr_min=0.001, warmup_epochs=0)
    rates = [recipe.learning_rate(step, 140, 2) for step in range(140)]
    assert [step for step in range(1, 140) if rates[step] > rates[step - 1]] == [20, 60]
    assert rates[0] == rates[20] == rates[60] == pytest.approx(0.05)
    assert rates[10] == rates[40] == rates[100] == pytest.approx((0.05 + 0.001) / 2)
    assert 0.001 < rates[139] < 0.0011
