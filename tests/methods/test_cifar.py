"""A search of NAS-Bench-Macro on a few real CIFAR-10 images from the command line, audited against the table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from palmette.cli.main import main
from palmette.costs.complexity import CostTable
from palmette.evaluation.audit import read_table
from palmette.spaces.nas_bench_macro import nas_bench_macro
from palmette.storage.journal import Journal

FLOPS = 50e6
ROWS = 40


def few_images(shared_data: Path, path: Path) -> Path:
    """Write the first 160 training and 60 test images, all classes alike."""
    arrays = {}
    with np.load(shared_data / "cifar10" / "cifar10_exact_subset.npz", allow_pickle=False) as archive:
        for part, count in (("train", 160), ("test", 60)):
            labels = archive[f"{part}_y"]
            kept = np.concatenate([np.flatnonzero(labels == c)[: count // 10] for c in range(10)])
            arrays |= {f"{part}_x": archive[f"{part}_x"][kept], f"{part}_y": labels[kept]}
    np.savez(path, **arrays)
    return path


@pytest.mark.slow
def test_a_search_on_cifar_meets_its_limit_and_is_audited_against_the_table(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = shared_data / "nas_bench_macro" / "nas_bench_macro_cifar10.csv"
    out = tmp_path / "run"
    given = (
        *("search", "--space", "nas-bench-macro", "--data", few_images(shared_data, tmp_path / "cifar10.npz")),
        *("--limits.flops", "50e6", "--audit.table", table, "--audit.table-rows", ROWS, "--out", out, "--threads", 1),
        *("--splits.validation", 40, "--splits.calibration", 40),
        *("--training.epochs", 2, "--training.batch-size", 32, "--retraining.epochs", 1),
        *("--retraining.batch-size", 32, "--evolution.population", 8, "--evolution.generations", 2),
        *("--evolution.mutants", 4, "--evolution.crossovers", 4),
    )
    assert main([str(argument) for argument in given]) == 0
    assert f"table {table.name}, {ROWS} architectures" in " ".join(capsys.readouterr().out.split())

    costs = CostTable(nas_bench_macro(), (3, 32, 32))
    decisions = nas_bench_macro().decisions
    figures = json.loads((out / "result.json").read_text())
    for name in ("winner", "random"):
        found = costs(decisions.parse(figures[name]["code"]))
        assert figures[name]["costs"] == dict(found)
        assert found["flops"] <= FLOPS
    with Journal(out / "trials.sqlite", read_only=True) as journal:
        trials = journal.trials()
    assert [trial.arm for trial in trials] == ["evolution"] * 24 + ["random"] * 24
    assert max(trial.costs["flops"] for trial in trials) <= FLOPS

    audit = json.loads((out / "report.json").read_text())["audit"]
    truth = read_table(table, decisions)
    assert len({point["code"] for point in audit["points"]}) == ROWS
    for point in audit["points"]:
        architecture = decisions.parse(point["code"])
        assert point["stand_alone"] == truth[architecture]
        assert point["scores"]["flops"] == costs(architecture)["flops"]
    page = (out / "report.html").read_text()
    assert figures["winner"]["code"] in page
    assert table.name in page
