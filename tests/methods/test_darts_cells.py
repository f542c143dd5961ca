"""A search of DARTS cells on a few real CIFAR-10 images from the command line: searched small, trained large."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from test_cifar import few_images

from palmette.cli.main import main
from palmette.cli.trained import trained
from palmette.costs.complexity import complexity
from palmette.report.contents import read_contents
from palmette.spaces.darts import SMALL, darts_small
from palmette.storage.journal import Journal

PARAMS = 60_000


@pytest.mark.slow
def test_a_search_of_cells_ends_in_the_large_network_within_its_limit(shared_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    given = (
        *("search", "--space", "darts-small", "--method", "darts", "--out", out, "--threads", 1),
        *("--data", few_images(shared_data, tmp_path / "cifar10.npz"), "--limits.params", PARAMS),
        *("--splits.calibration", 40, "--audit.networks", 0, "--collapse", "eigenvalue"),
        *("--training.epochs", 2, "--training.batch-size", 16, "--architecture.batch-size", 16),
        *("--retraining.epochs", 1, "--retraining.batch-size", 16),
    )
    assert main([str(argument) for argument in given]) == 0

    figures = json.loads((out / "result.json").read_text())
    space = darts_small()
    winner = space.decisions.parse(figures["winner"]["code"])
    with torch.device("meta"):
        large = space.stand_alone.build(winner, seed=0)
    assert figures["winner"]["costs"] == complexity(large, (3, 32, 32))
    assert figures["winner"]["costs"]["params"] <= PARAMS

    network, card = trained(out)  # read back: without the auxiliary head that the training had
    assert card.architecture == winner
    assert sum(p.numel() for p in network.parameters()) == figures["winner"]["costs"]["params"]
    assert SMALL.auxiliary
    with Journal(out / "trials.sqlite", read_only=True) as journal:
        assert {"skips", "entropy", "eigenvalue", "held_out_loss"} <= journal.scalars("supernet").keys()

    assert [graph.name for graph in read_contents(out / "report.json").graphs] == ["normal cell", "reduction cell"]
    page = (out / "report.html").read_text()
    assert "Reduction cell" in page
