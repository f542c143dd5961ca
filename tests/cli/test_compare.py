"""``palmette compare``: what it writes, what it refuses, and that a second start goes on with the first."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from tiny import npz

from palmette.cli.main import main
from palmette.comparison.of_runs import ALONE, OWN
from palmette.methods import search
from palmette.spaces.small_images import small_images
from palmette.storage.journal import Journal

TABLE = Path("nas_bench_macro") / "nas_bench_macro_cifar10.csv"
SMALL = ("--seeds", "2", "--evaluations", "20", "--workers", "0", "--searches", "evolution,predictor")


@pytest.fixture
def part(tmp_path: Path, shared_data: Path) -> Path:
    """Return the first 300 rows of the true accuracies."""
    with (shared_data / TABLE).open() as file:
        rows = list(csv.reader(file))[:301]
    path = tmp_path / "part.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_searches_on_a_table_end_in_one_table_a_page_and_numbers(
    part: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["compare", "--table", str(part), "--out", str(out), *SMALL]) == 0
    said = capsys.readouterr().out
    record = json.loads((out / "comparison.json").read_text())
    assert [row["name"] for row in record["rows"]] == ["random", "evolution", "predictor"]
    for row in record["rows"]:
        assert len(row["entry"]["figures"]) == 2
        assert row["entry"]["costs"]["flops"] < row["entry"]["costs"]["flops with supernet"]
    assert "With 2 seeds the test could show nothing" in said
    assert (out / "table.md").read_text().count("\n| evolution ") == 1
    page = (out / "report.html").read_text()
    assert page.count("<svg") == 3
    assert "evolution cannot be told apart" in page


def test_a_comparison_is_not_overwritten_and_goes_on_with_resume(
    part: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["compare", "--table", str(part), "--out", str(tmp_path / "out"), *SMALL]
    assert main(command) == 0
    before = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert main(command) == 2
    assert "continue it with --resume" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 0
    assert json.loads((tmp_path / "out" / "comparison.json").read_text()) == before  # the seconds, too: nothing ran
    assert main([*command, "--resume", "--seeds", "3"]) == 2
    assert "seeds" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--searches", "evolution,luck"], "'luck' is unknown; allowed are random"),
        (["--limits.flops", "1K"], "no architecture"),
        (["--seeds", "0"], "must be at least 1"),
        (["--images", "10"], "none is left"),
        (["--space", "nas-bench-marco"], "did you mean 'nas-bench-macro'"),
        (["--table-column", "top1"], "there is no column 'top1'"),
        (["--resum"], "did you mean --resume"),
    ],
)
def test_mistakes_are_told_in_one_line(
    part: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], what: str
) -> None:
    assert main(["compare", "--table", str(part), "--out", str(tmp_path / "out"), *SMALL, *options]) == 2
    error = capsys.readouterr().err
    assert what in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_finished_runs_end_in_one_table(finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(finished_run), "--out", str(tmp_path)]) == 0
    assert "random search with as many evaluations by the same weights" in capsys.readouterr().out
    (row,) = json.loads((tmp_path / "comparison.json").read_text())["rows"]
    assert row["entry"]["unit"] == "test image"
    assert (tmp_path / "report.html").read_text().count("<svg") == 2


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["compare"], "runs"),
        (["compare", "nowhere"], "nowhere: it is no run directory"),
        (["compare", "--methods", "spos,spos"], "named twice"),
        (["compare", "--methods", "random,spos"], "name that one first"),
        (["compare", "--methods", "spos,dartz"], "did you mean 'darts'"),
        (["compare", "--methods", "spos", "--truth", "no.csv"], "cannot be read"),
        (["compare", "--methods", "spos", "--truth-column", "top1"], "add --truth"),
        (["compare", "--methods", "spos", "--seeds", "0"], "at least 1"),
        (["compare", "--methods", "spos", "--evaluations", "-1"], "evaluations -1 at least 0"),
    ],
)
def test_mistakes_about_runs_and_methods_are_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], what: str
) -> None:
    assert main([*options, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert what in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_methods_with_a_truth_are_judged_by_it_and_retrain_nothing(tmp_path: Path) -> None:
    data, out, truth = npz(tmp_path / "images.npz"), tmp_path / "out", tmp_path / "truth.csv"
    decisions = small_images(classes=2, channels=1).decisions
    accuracies = {decisions.code(a): 1 / (2 + i) for i, a in enumerate(decisions.enumerate())}
    truth.write_text("arch,accuracy\n" + "".join(f"{code},{value}\n" for code, value in accuracies.items()))
    command = ["compare", "--methods", "spos,random", "--data", str(data), "--truth", str(truth)]
    command += ["--epochs", "2", "--evaluations", "8", "--seeds", "2", "--workers", "0", "--threads", "1"]
    assert main([*command, "--out", str(out)]) == 0
    assert f"the true accuracies that {truth} has" in (out / "table.md").read_text()
    with Journal(out / "trials.sqlite", read_only=True) as journal:
        found = list(journal.records("runs/search/").values())
    spos, random = (row["entry"] for row in json.loads((out / "comparison.json").read_text())["rows"])
    for entry in (spos, random):
        codes = [record["codes"]["winner"] for record in found if record["method"] == entry["name"]]
        assert entry["figures"] == [accuracies[code] for code in codes]
    assert spos["costs"]["evaluations"] == 8
    assert not list(out.glob("*/network.safetensors"))
    assert (out / "report.html").read_text().count("<svg") == 2


@pytest.mark.slow
def test_methods_are_run_at_equal_cost_and_a_killed_comparison_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = npz(tmp_path / "images.npz"), tmp_path / "out"
    command = ["compare", "--methods", "fbnet,random", "--data", str(data), "--epochs", "2", "--seeds", "2"]
    command += ["--workers", "0", "--threads", "1", "--out", str(out)]
    retrained = search._retrained

    def killed(*arguments: Any) -> Any:
        if (out / "fbnet-2-epochs-seed-1").exists():
            raise KeyboardInterrupt
        return retrained(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(search, "_retrained", killed)
        assert main(command) == 130
    finished = out / "fbnet-2-epochs-seed-0" / "result.json"
    before = finished.stat().st_mtime_ns
    assert main([*command, "--resume"]) == 0
    assert finished.stat().st_mtime_ns == before  # done once
    rows = {row["name"]: row for row in json.loads((out / "comparison.json").read_text())["rows"]}
    passes = {name: row["entry"]["costs"]["passes"] for name, row in rows.items()}
    assert passes["random"] == pytest.approx(passes["fbnet"], rel=0.1)
    assert [contrast["rival"] for contrast in rows["fbnet"]["contrasts"]] == [OWN, ALONE]
    assert len(rows["fbnet"]["entry"]["figures"]) == 2
    assert "With 2 seeds the test could show nothing" in capsys.readouterr().out
