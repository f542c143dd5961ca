"""``palmette search --from RUN``: many limits, one training."""

from __future__ import annotations

from pathlib import Path

import pytest

from palmette.cli.main import main
from palmette.cli.search import LimitTexts
from palmette.cli.search_again import each_limit
from palmette.errors import PalmetteError
from palmette.storage.checkpoint import load
from palmette.storage.journal import Journal

SMALL = ["--training.epochs", "2", "--training.warmup-epochs", "0", "--retraining.epochs", "1"]
SMALL += ["--audit.networks", "0", "--splits.train", "500", "--splits.calibration", "64", "--threads", "1"]
BRED = ["--nsga2.population", "6", "--nsga2.generations", "2"]
EVOLVED = ["--evolution.population", "6", "--evolution.generations", "2", "--evolution.mutants", "3"]
EVOLVED += ["--evolution.crossovers", "3"]
BINS = ["--bins", "2", "--limits.flops", "300K:1M"]


def test_lists_of_limits_are_taken_position_by_position() -> None:
    found = each_limit(LimitTexts(flops="1M,2M:3M", params="50K"))
    assert found == [LimitTexts(flops="1M", params="50K"), LimitTexts(flops="2M:3M", params="50K")]
    assert each_limit(LimitTexts()) == [LimitTexts()]
    with pytest.raises(PalmetteError, match="2 were given for params and 3"):
        each_limit(LimitTexts(flops="1M,2M,3M", params="1K,2K"))


@pytest.mark.parametrize(
    ("method", "options"),
    [("spos", [*EVOLVED, *BINS]), ("greedynas", [*BRED, "--greedy.pool", "10"])],
)
def test_several_limits_in_one_call_give_one_table_and_train_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], method: str, options: list[str]
) -> None:
    source = tmp_path / "run"
    assert main(["search", "--method", method, "--out", str(source), *SMALL, *options]) == 0
    weights, state = load(source / "checkpoints" / "supernet.safetensors")
    again = ["search", "--from", str(source), "--limits.flops", "400K,800K,400K:500K"]
    tables = []
    for _ in range(2):
        capsys.readouterr()
        assert main(again) == 0
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1]  # the second call only reads
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in tables[0].splitlines() if "| flops" in line]
    rows = rows[1:]  # below the titles
    assert [row[0] for row in rows] == [
        "flops at most 400,000",
        "flops at most 800,000",
        "flops between 400,000 and 500,000",
    ]
    flops = [int(row[2].replace(",", "")) for row in rows]
    assert flops[0] <= 400_000
    assert flops[1] <= 800_000
    assert 400_000 <= flops[2] <= 500_000
    folders = sorted(path.name for path in (source / "again").iterdir() if path.is_dir())
    assert folders == ["flops-400K", "flops-400K_500K", "flops-800K"]
    for name in folders:
        there, state_there = load(source / "again" / name / "checkpoints" / "supernet.safetensors")
        assert state_there == state
        assert all((tensor == weights[key]).all() for key, tensor in there.items())
        with Journal(source / "again" / name / "trials.sqlite", read_only=True) as journal:
            assert journal.scalars("supernet") == {}
            assert len(journal.trials()) == 36


def test_a_run_without_a_trained_supernet_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--from", str(tmp_path), "--limits.flops", "1M"]) == 2
    assert "it is no run directory" in capsys.readouterr().err
