"""Studies side by side: what differs names them, intervals give the verdicts, exact laws are found again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from palmette.cli.main import main
from palmette.design_spaces.together import as_table, read_study, together
from palmette.design_spaces.together_page import render
from palmette.errors import PalmetteError, StorageError
from palmette.storage.run_directory import RunDirectory

SPACES = ("AnyNetX_A", "RegNetX")


def study(path: Path, *, flops: str, block: str = "bottleneck", difference: float = -0.01, scale: float = 1.0) -> Path:
    """Write a finished study of eight networks a space: activations are 5 sqrt(F), parameters 2 + 3 F."""
    with RunDirectory.create(path, {"block": block, "seed": 0, "limits": {"flops": flops}}):
        pass
    networks = [
        {"space": space, "error": 0.1 * (i + 1), "flops": scale * (i + 1) * 1e6, **laws(scale * (i + 1))}
        for space in SPACES
        for i in range(8)
    ]
    best = {key: {"low": 1, "median": 2 * scale, "high": 3 * scale} for key in ("flops", "depth", "b", "wm")}
    paired = {"value": difference, "low": difference - 0.002, "high": difference + 0.002}
    analysis: dict[str, Any] = {
        "spaces": {space: {"best_ranges": best} for space in SPACES},
        "comparisons": [{"space": "RegNetX", "beside": "AnyNetX_A", "paired_mean": paired, "pairs": 8}],
        "networks": networks,
    }
    (path / "study.json").write_text(json.dumps(analysis))
    return path


def laws(mega: float) -> dict[str, float]:
    return {"acts": 5 * mega**0.5, "params": 2 + 3 * mega}


def test_each_study_is_named_by_what_differs_and_judged_by_its_interval(tmp_path: Path) -> None:
    paths = [
        study(tmp_path / "low", flops="1M:2M"),
        study(tmp_path / "high", flops="3M:6M", difference=0.01, scale=3),
        study(tmp_path / "basic", flops="1M:2M", block="basic", difference=0.001),
    ]
    joint = together([read_study(path) for path in paths])
    assert [s["name"] for s in joint["studies"]] == [
        "block bottleneck, flops 1M:2M",
        "block bottleneck, flops 3M:6M",
        "block basic, flops 1M:2M",
    ]
    table = as_table(joint).splitlines()
    assert table[0] == "| study | RegNetX beside AnyNetX_A |"
    assert table[2] == "| block bottleneck, flops 1M:2M | -1.00 [-1.20, -0.80] better |"
    assert table[3].endswith("+1.00 [+0.80, +1.20] worse |")
    assert table[4].endswith("+0.10 [-0.10, +0.30] unclear |")


def test_studies_that_differ_in_flops_only_give_trends(tmp_path: Path) -> None:
    paths = [
        study(tmp_path / "high", flops="3M:6M", scale=3),
        study(tmp_path / "low", flops="1M:2M"),
        study(tmp_path / "basic", flops="1M:2M", block="basic"),
    ]
    joint = together([read_study(path) for path in paths])
    assert [trend["space"] for trend in joint["trends"]] == list(SPACES)
    trend = joint["trends"][0]
    assert [regime["best_ranges"]["depth"]["median"] for regime in trend["regimes"]] == [2, 6]  # by flops
    assert len(trend["best_networks"]) == 2 * 2  # the best quarter of eight, of two studies
    assert trend["laws"]["acts"]["exponent"] == pytest.approx(0.5)
    assert trend["laws"]["acts"]["sqrt"] == pytest.approx(5)
    assert trend["laws"]["params"]["1"] == pytest.approx(2)
    assert trend["laws"]["params"]["linear"] == pytest.approx(3)
    page = render(joint, title="<two>")
    assert page.count("<svg") == 2
    assert "&lt;two&gt;" in page
    assert "5 sqrt(F)" in page
    assert "2 + 3 F" in page


def test_what_cannot_be_joined_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = study(tmp_path / "one", flops="1M:2M")
    twin = study(tmp_path / "twin", flops="1M:2M")
    with pytest.raises(PalmetteError, match="give at least 2"):
        together([read_study(one)])
    with pytest.raises(PalmetteError, match="same settings"):
        together([read_study(one), read_study(twin)])
    (twin / "study.json").write_text("{")
    with pytest.raises(StorageError, match="damaged"):
        read_study(twin)
    (twin / "study.json").unlink()
    assert main(["study", "--from", str(one), str(twin), "--out", str(tmp_path / "out")]) == 2
    assert "no study.json; finish the study with" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_command_writes_table_page_and_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = study(tmp_path / "one", flops="1M:2M"), study(tmp_path / "two", flops="2M:4M", scale=2)
    assert main(["study", "--from", str(one), str(two), "--out", str(tmp_path / "out")]) == 0
    table = (tmp_path / "out" / "table.md").read_text()
    assert table.strip() in capsys.readouterr().out
    assert "studies side by side" in (tmp_path / "out" / "report.html").read_text()
    assert len(json.loads((tmp_path / "out" / "together.json").read_text())["trends"]) == 2
