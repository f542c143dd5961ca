"""ENAS on a few real CIFAR-10 images from the command line: both spaces searched, derived and retrained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_cifar import few_images

from palmette.cli.main import main
from palmette.storage.journal import Journal


@pytest.mark.slow
@pytest.mark.parametrize(("space", "flops"), [("enas-macro-small", "12e6"), ("enas-micro-small", "4e6")])
def test_a_search_on_cifar_derives_and_retrains_within_its_limit(
    shared_data: Path, tmp_path: Path, space: str, flops: str
) -> None:
    out = tmp_path / "run"
    given = (
        *("search", "--space", space, "--method", "enas", "--data", few_images(shared_data, tmp_path / "cifar10.npz")),
        *("--limits.flops", flops, "--audit.networks", 0, "--out", out, "--threads", 1, "--derived", 6),
        *("--splits.validation", 40, "--splits.calibration", 40),
        *("--training.epochs", 3, "--training.batch-size", 30, "--training.warmup-epochs", 0),
        *("--controller-training.steps", 2, "--controller-training.batch-size", 40, "--policy.samples", 4),
        *("--retraining.epochs", 2, "--retraining.batch-size", 30, "--retraining.warmup-epochs", 0),
    )
    assert main([str(argument) for argument in given]) == 0
    figures = json.loads((out / "result.json").read_text())
    assert figures["winner"]["costs"]["flops"] <= float(flops)
    with Journal(out / "trials.sqlite", read_only=True) as journal:
        trials = journal.trials()
    assert [trial.arm for trial in trials] == ["enas"] * 6 + ["random"] * 6
    assert max(trial.costs["flops"] for trial in trials) <= float(flops)
    assert (out / "network.safetensors").exists()
