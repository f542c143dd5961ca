"""A search whose candidates, trainings and audit a Ray cluster computes finds what it finds alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import tiny
from tiny import npz
from torch import nn

import palmette as pm
from palmette.cli.main import main
from palmette.storage.journal import Journal

SHORT = [
    *("--training.epochs", "1", "--training.batch-size", "16", "--training.warmup-epochs", "0"),
    *("--retraining.epochs", "1", "--retraining.batch-size", "16", "--retraining.warmup-epochs", "0"),
    *("--threads", "1", "--audit.networks", "6", "--audit.epochs", "1"),
]
METHODS = {
    "spos": [
        *("--evolution.population", "4", "--evolution.generations", "1"),
        *("--evolution.mutants", "2", "--evolution.crossovers", "2"),
    ],
    "random": ["--trainings", "7"],
    "enas": ["--derived", "6", "--controller-training.steps", "2"],
    "smash": ["--perturbation.random", "6", "--perturbation.perturbed", "1", "--perturbation.chain", "1"],
    "darts": [],
}


@pytest.fixture(scope="module")
def _cluster() -> Iterator[None]:
    """Keep the cluster that the first search starts for those that follow, and no longer."""
    ray = pytest.importorskip("ray", reason="needs the extra ray")
    yield
    ray.shutdown()


def test_workers_without_ray_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--out", str(tmp_path / "run"), "--workers", "2"]) == 2
    assert "add --ray local" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("_cluster")
@pytest.mark.parametrize("method", METHODS)
def test_trials_and_audit_are_those_of_a_search_alone(method: str, tmp_path: Path) -> None:
    data = npz(tmp_path / "images.npz")
    command = ["search", "--method", method, "--data", str(data), *SHORT, *METHODS[method]]
    assert main([*command, "--out", str(tmp_path / "alone")]) == 0
    assert main([*command, "--out", str(tmp_path / "ray"), "--ray", "local", "--workers", "2"]) == 0
    with Journal(tmp_path / "alone" / "trials.sqlite") as alone, Journal(tmp_path / "ray" / "trials.sqlite") as ray:
        assert alone.trials() == ray.trials()
        assert len(alone.trials()) >= 5
        for kind in ("audit/", "alone/"):
            assert dict(alone.records(kind)) == dict(ray.records(kind))
        assert len(alone.records("audit/")) >= 4
        assert len(alone.records("alone/")) == (7 if method == "random" else 0)


@pytest.mark.slow
@pytest.mark.usefixtures("_cluster")
def test_ones_own_network_is_searched_on_a_cluster_and_shown_in_optuna(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="needs the extra optuna")

    def network() -> nn.Module:  # as in a script: workers cannot import it
        layers = [pm.OneOf(name, conv=lambda: nn.Conv2d(1, 1, 3, padding=1), skip=nn.Identity) for name in "abcd"]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4, 2))

    found = {}
    url = f"sqlite:///{tmp_path / 'trials.db'}"
    for name, ray, mirror in (("alone", None, None), ("ray", "local", url)):
        audit = pm.AuditOptions(networks=0)
        found[name] = pm.search(
            network,
            data=tiny.dataset(),
            method=tiny.spos(epochs=1, retraining=1),
            audit=audit,
            out=tmp_path / name,
            ray=ray,
            workers=2 if ray else 0,
            optuna=mirror,
        )
    assert found["ray"].best.architecture == found["alone"].best.architecture
    assert found["ray"].best.test == found["alone"].best.test
    with Journal(tmp_path / "alone" / "trials.sqlite") as alone, Journal(tmp_path / "ray" / "trials.sqlite") as ray:
        assert alone.trials() == ray.trials()
        with closing(sqlite3.connect(tmp_path / "trials.db")) as mirrored:
            assert mirrored.execute("SELECT COUNT(*) FROM trials").fetchone() == (len(ray.trials()),)
