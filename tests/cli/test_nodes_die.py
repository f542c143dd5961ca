"""Commands on a Ray cluster whose nodes are in other folders than the command: nothing is lost with one that dies."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ray_cluster import WARNINGS, cluster, kill_node
from tiny import QUICK, npz

from palmette.cli.main import main
from palmette.storage.journal import Journal

pytest.importorskip("ray", reason="needs the extra ray")
pytestmark = pytest.mark.filterwarnings(*WARNINGS)

TABLE = Path("nas_bench_macro") / "nas_bench_macro_cifar10.csv"
COMPARE = ["compare", "--table", "part.csv", "--searches", "evolution", "--seeds", "3", "--evaluations", "20"]
SEARCH = ["search", "--data", "images.npz", *QUICK]


def killing(monkeypatch: pytest.MonkeyPatch, node: subprocess.Popen[bytes], after: str) -> None:
    """Kill a node when the first result whose key starts with ``after`` is recorded; others are under way then."""
    record = Journal.record

    def recorded(self: Journal, key: str, value: object) -> None:
        record(self, key, value)
        if key.startswith(after) and node.poll() is None:
            kill_node(node)

    monkeypatch.setattr(Journal, "record", recorded)


def compared(out: Path) -> list[tuple[Any, ...]]:
    rows = json.loads((out / "comparison.json").read_text())["rows"]
    return [(row["name"], row["entry"]["figures"], row["entry"]["costs"]["flops"], row["contrasts"]) for row in rows]


@pytest.mark.slow
def test_a_search_and_a_comparison_end_as_without_ray_though_a_node_dies(
    tmp_path: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with (shared_data / TABLE).open() as file, Path("part.csv").open("w", newline="") as part:
        csv.writer(part).writerows(list(csv.reader(file))[:301])
    npz(Path("images.npz"))
    assert main([*COMPARE, "--workers", "0", "--out", "compared-here"]) == 0
    assert main([*SEARCH, "--out", "searched-here"]) == 0
    with cluster() as (address, second):
        assert main([*SEARCH, "--ray", address, "--out", "searched"]) == 0
        killing(monkeypatch, second, after="searches/")
        assert main([*COMPARE, "--ray", address, "--out", "compared"]) == 0
        assert second.poll() is not None
    assert compared(tmp_path / "compared") == compared(tmp_path / "compared-here")
    with Journal(Path("searched/trials.sqlite")) as there, Journal(Path("searched-here/trials.sqlite")) as here:
        assert there.trials() == here.trials()
        assert there.records("audit/") == here.records("audit/")
    assert Path("searched/architecture.json").read_text() == Path("searched-here/architecture.json").read_text()
