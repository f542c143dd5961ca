"""``palmette search --method NAME``: the options of that method and no others, kept in the run for going on."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from palmette.cli.method_names import METHODS, settings
from palmette.cli.names import SPACES
from palmette.cli.search import Search, parse_search
from palmette.errors import PalmetteError
from palmette.methods.fairnas import FairNAS
from palmette.methods.greedynas import GreedyNAS
from palmette.methods.spos import SPOS
from palmette.storage.run_directory import RunDirectory, plain, read_configuration, rebuilt


@pytest.mark.parametrize(("name", "kind"), [("spos", SPOS), ("fairnas", FairNAS), ("greedynas", GreedyNAS)])
@pytest.mark.parametrize("space", SPACES)
def test_every_method_has_settings_for_every_space(name: str, kind: type, space: str) -> None:
    options = parse_search(["--method", name, "--space", space])
    assert isinstance(options.options, kind)
    assert options.options == settings(name, space)


def test_options_of_the_named_method_are_read_and_those_of_others_refused() -> None:
    options = parse_search(["--method", "greedynas", "--greedy.paths", "8", "--nsga2.objectives", "accuracy", "flops"])
    assert isinstance(options.options, GreedyNAS)
    assert options.options.greedy.paths == 8
    assert options.options.nsga2.objectives == ("accuracy", "flops")
    with pytest.raises(PalmetteError, match="greedy"):
        parse_search(["--method", "fairnas", "--greedy.paths", "8"])
    with pytest.raises(PalmetteError, match="did you mean 'fairnas'"):
        parse_search(["--method", "fairnass"])


@pytest.mark.parametrize("name", METHODS)
def test_the_configuration_of_a_run_gives_back_equal_options(name: str, tmp_path: Path) -> None:
    options = parse_search(["--method", name])
    RunDirectory.create(tmp_path / "run", plain(options)).close()
    stored = read_configuration(tmp_path / "run")
    assert rebuilt(METHODS[name].options, stored["options"]) == options.options
    assert {field.name for field in fields(Search)} >= set(stored)


def test_help_shows_the_options_of_the_named_method_only(capsys: pytest.CaptureFixture[str]) -> None:
    shown = {}
    for name in METHODS:
        with pytest.raises(SystemExit):
            parse_search(["--method", name, "--help"])
        shown[name] = capsys.readouterr().out
    assert "--greedy.pool" in shown["greedynas"]
    assert "--greedy.pool" not in shown["fairnas"]
    assert "--evolution.population" in shown["spos"]
    assert "--evolution.population" not in shown["greedynas"]


@pytest.mark.parametrize(("space", "share"), [("darts", 0.5), ("darts-small", 0.5), ("small-images", None)])
def test_cells_of_darts_decide_with_half_of_the_training_images(space: str, share: float | None) -> None:
    assert parse_search(["--space", space]).splits.validation == share
    assert parse_search(["--space", space, "--splits.validation", "0.1"]).splits.validation == 0.1


def test_half_of_cifar_10_is_25000_images_for_the_weights_and_as_many_for_the_cells() -> None:
    assert parse_search(["--space", "darts"]).splits.validation_size(50_000, 10) == 25_000
