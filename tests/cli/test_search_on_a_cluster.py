"""A search whose candidates and audit a Ray cluster computes finds what it finds alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from palmette.cli.main import main
from palmette.storage.journal import Journal

SHORT = [
    *("--training.epochs", "2", "--retraining.epochs", "1", "--threads", "1"),
    *("--evolution.population", "6", "--evolution.generations", "1", "--evolution.mutants", "3"),
    *("--evolution.crossovers", "3", "--audit.networks", "6", "--audit.epochs", "1"),
]


def test_workers_without_ray_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--out", str(tmp_path / "run"), "--workers", "2"]) == 2
    assert "add --ray local" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_trials_and_audit_are_those_of_a_search_alone(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray")
    assert main(["search", "--out", str(tmp_path / "alone"), *SHORT]) == 0
    try:
        assert main(["search", "--out", str(tmp_path / "ray"), "--ray", "local", "--workers", "2", *SHORT]) == 0
    finally:
        ray.shutdown()  # a process stays connected, and other tests start clusters of their own
    with Journal(tmp_path / "alone" / "trials.sqlite") as alone, Journal(tmp_path / "ray" / "trials.sqlite") as ray:
        assert alone.trials() == ray.trials()
        assert len(alone.trials()) >= 12
        assert alone.records("audit/") == ray.records("audit/")
        assert len(alone.records("audit/")) == 6
