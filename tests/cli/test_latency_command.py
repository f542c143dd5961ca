"""``palmette latency`` and its table in the other commands; real clocks, but nothing is claimed of what they show."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tiny import QUICK, npz

from palmette.cli.latency_table import read_table
from palmette.cli.main import main
from palmette.costs.limits import Limit
from palmette.spaces.small_images import small_images
from palmette.storage.journal import Journal

FEW = ("--networks", "24", "--check", "4", "--rounds", "3")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a table in which every option costs as many milliseconds as its number, and 1 is fixed."""
    path = tmp_path_factory.mktemp("latency") / "latency.json"
    assert main(["latency", "small-images", "--out", str(path), *FEW]) == 0
    record = json.loads(path.read_text())
    record["fixed"] = 1.0
    record["options"] = {
        name: dict(zip(rows, range(len(rows)), strict=True)) for name, rows in record["options"].items()
    }
    path.write_text(json.dumps(record))
    return path


def test_a_table_and_its_page_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "mine.json"
    assert main(["latency", "small-images", "--out", str(out), *FEW]) == 0
    assert "4 other networks against the sums of the table: R2 " in capsys.readouterr().out
    record, page = json.loads(out.read_text()), out.with_suffix(".html").read_text()
    assert record["conditions"]["threads"] == 1
    assert (record["conditions"]["dtype"], record["conditions"]["input_shape"]) == ("float32", [1, 8, 8])
    assert {"torch", "processor"} <= record["conditions"]["environment"].keys()
    assert page.count("<circle") == 4
    assert all(code in page for code in record["check"]["codes"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.html", "mine.json"]


def test_codes_are_measured_beside_what_a_table_predicts(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["latency", "small-images", "332202", "000000", "--rounds", "3", "--table", str(table)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["predicted"] for line in lines] == [1 + 12, 1]
    assert all(line["measured"] > 0 for line in lines)


def test_cost_prints_the_latency_of_a_table(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "small-images", "332202", "--latency-table", str(table)]) == 0
    assert json.loads(capsys.readouterr().out)["latency"] == 13


@pytest.mark.slow
def test_every_architecture_of_a_search_keeps_the_limit(table: Path, tmp_path: Path) -> None:
    data, out = npz(tmp_path / "images.npz", shape=(8, 8)), tmp_path / "run"
    options = ("--data", str(data), "--latency-table", str(table), "--limits.latency", "5:8", "--out", str(out))
    assert main(["search", *options, *QUICK, "--limits.flops", "2M"]) == 0
    with Journal(out / "trials.sqlite") as journal:
        latencies = [trial.costs["latency"] for trial in journal.trials()]
    assert len(latencies) > 8
    assert all(Limit(5, 8).excess(latency) == 0 for latency in latencies)
    decisions = small_images(classes=2).decisions
    winner = json.loads((out / "result.json").read_text())["winner"]
    costs = read_table(table, decisions, (1, 8, 8)).table(decisions.parse(winner["code"]))
    assert winner["costs"]["latency"] == costs["latency"]
    assert "Latency check" in (out / "report.html").read_text()
    again = ("--from", str(out), "--limits.latency", "4,6", "--limits.flops", "2M")
    assert main(["search", *again]) == 0
    assert all(f"latency at most {most} ms" in (out / "again" / "table.md").read_text() for most in (4, 6))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["search", "--limits.latency", "5"],
            "--limits.latency was given without a table of latencies; make one with '",
        ),
        (["search", "--latency-table", "none.json"], "none.json: cannot be read"),
        (
            ["search", "--space", "nas-bench-macro", "--latency-table", "{table}"],
            "it is of space 'small-images', needed",
        ),
        (
            ["search", "--latency-table", "{table}", "--limits.latency", "0.5"],
            "latency at most 0.5 ms: the smallest archi",
        ),
        (
            ["search", "--latency-table", "{table}", "--image-size", "12"],
            r"measured with images of shape \(1, 8, 8\), n",
        ),
        (["cost", "spos-block-search", "--latency-table", "{table}"], "a table of latencies is of a space; give the"),
        (["latency", "small-image"], "unknown space 'small-image'"),
        (["latency", "small-images", "--rounds", "0"], "latency: rounds = 0 was given; allowed are numbers from 1"),
        (
            ["latency", "small-images", "--rounds", "2"],
            "rounds = 2, check = 30, networks = 100 were given; allowed are",
        ),
        (["latency", "small-images", "99"], "code '99' has 2 entries"),
        (
            ["latency", "small-images", "000000", "--table", "{table}", "--batch-size", "4"],
            "batch_size = 4 was given and the table .* was made with 1; measure with the same, or without --table",
        ),
    ],
)
def test_what_cannot_be_is_told_in_one_line(
    table: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    assert main([argument.format(table=table) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert re.search(complaint, error), error
    assert error.count("\n") == 1
