"""Every command once, on a run of seconds."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from scipy.stats import binomtest
from tiny import QUICK

from palmette.architecture import Architecture
from palmette.cli.main import COMMANDS, main
from palmette.cli.method_names import METHODS
from palmette.cli.names import SPACES
from palmette.data.options import SOURCES


def ran(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[str]:
    """Run a command and return the lines it printed."""
    assert main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.fixture
def copied(finished_run: Path, tmp_path: Path) -> Path:
    """Return a copy of the finished run."""
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


def data_of(run: Path) -> Path:
    return run.parent / "images.npz"


def test_search_leaves_its_files_and_respects_the_limit(finished_run: Path) -> None:
    figures = json.loads((finished_run / "result.json").read_text())
    assert figures["winner"]["costs"]["flops"] <= 400_000
    assert Architecture.from_json((finished_run / "architecture.json").read_text()).space == "small-images"
    for name in ("config.toml", "environment.json", "trials.sqlite", "network.safetensors", "report.html"):
        assert (finished_run / name).stat().st_size > 0


def test_search_resumed_after_its_end_prints_the_same_account(
    copied: Path, finished_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = (copied / "result.json").read_bytes()
    lines = ran(capsys, "search", "--data", data_of(finished_run), "--out", copied, "--resume", *QUICK)
    printed = " ".join(" ".join(lines).split())
    assert printed.startswith(" ".join(json.loads(figures)["headline"]))
    assert str(copied / "report.html") in printed
    assert (copied / "result.json").read_bytes() == figures


def test_report_writes_the_page_of_the_run_again(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    assert ran(capsys, "report", finished_run, "--out", page) == [str(page)]
    assert page.read_bytes() == (finished_run / "report.html").read_bytes()


def test_audit_prints_every_statistic_with_its_interval(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ran(capsys, "audit", copied, "--networks", "6")
    rows = [line.split() for line in lines if line.endswith("]")]
    assert {(row[0], row[1]) for row in rows} >= {
        (score, name)
        for score in ("accuracy", "loss", "flops")
        for name in ("kendall_tau_b", "spearman", "top_precision", "regret")
    }
    stored = json.loads((copied / "report.json").read_text())["audit"]
    values = {(s["score"], s["name"]): f"{s['value']:.4f}" for s in stored["statistics"]}
    assert {(row[0], row[1]): row[2] for row in rows} == values
    assert any(line.startswith("against 6 architectures trained from scratch, 1 epochs each") for line in lines)


def test_audit_with_a_table_takes_its_truth(copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "truth.csv"
    table.write_text("arch,accuracy\n000000,0.1\n111111,0.2\n222222,0.3\n333233,0.4\n")
    lines = ran(capsys, "audit", copied, "--table", table)
    assert any("against table truth.csv, 4 architectures" in line for line in lines)


def test_evaluate_prints_the_accuracy_that_the_search_stated(
    finished_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = ran(capsys, "evaluate", finished_run, "--data", data_of(finished_run))
    stated = json.loads((finished_run / "result.json").read_text())["winner"]["test"]
    assert json.loads(line) == {"images": 16, **stated}


def test_export_writes_a_python_file_that_builds_the_winner_and_its_card(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, card, program = tmp_path / "network.py", tmp_path / "MODEL.md", tmp_path / "network.pt2"
    (line,) = ran(capsys, "export", finished_run, "--python", file, "--card", card, "--program", program)
    facts = json.loads(line)
    assert max(facts["largest_difference_python"], facts["largest_difference_program"]) < 1e-5
    assert "palmette" not in re.sub(r'""".*?"""', "", file.read_text(), flags=re.S)
    winner = json.loads((finished_run / "result.json").read_text())["winner"]
    text = card.read_text()
    assert f"| Cost: flops | {winner['costs']['flops']:,} |" in text
    low, high = binomtest(round(16 * winner["test"]["accuracy"]), 16).proportion_ci(method="wilson")
    assert f"| Test accuracy | {winner['test']['accuracy']:.2%}, 95% interval {low:.2%} to {high:.2%} |" in text
    counted = {role: text[text.index(f"| {role} images | ") :].split("|")[2].strip() for role in ("Train", "Test")}
    assert counted == {"Train": "36", "Test": "16"}
    search = json.loads((finished_run / "result.json").read_text())["search"]
    assert f"| Cost of the search | {search['evaluations']} evaluations; {search['passes']:.3g} forward passes" in text
    trusted = text[text.index("## How far this can be trusted") : text.index("## How it was made")]
    assert "- Audit against 6 architectures trained from scratch, 1 epochs each" in trusted
    assert (finished_run / "config.toml").read_text().strip() in text


def test_export_writes_onnx_that_onnxruntime_runs(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    file = tmp_path / "network.onnx"
    (line,) = ran(capsys, "export", finished_run, "--onnx", file)
    facts = json.loads(line)
    assert facts["onnx"] == str(file)
    assert facts["largest_difference"] < 1e-4
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    pixels = np.load(data_of(finished_run), allow_pickle=False)["test_x"]
    images = ((pixels[:, None] / 255 - facts["mean"][0]) / facts["std"][0]).astype(np.float32)
    (logits,) = session.run(None, {"images": images})
    labels = np.load(data_of(finished_run), allow_pickle=False)["test_y"]
    stated = json.loads((finished_run / "result.json").read_text())["winner"]["test"]
    assert np.mean(logits.argmax(1) == labels) == stated["accuracy"]


def test_retrain_trains_an_architecture_and_resumes(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = (
        *("retrain", finished_run / "architecture.json", "--data", data_of(finished_run), "--out", tmp_path / "longer"),
        *("--epochs", "3", "--batch-size", "16", "--warmup-epochs", "0"),
    )
    (line,) = ran(capsys, *given)
    winner = json.loads((finished_run / "result.json").read_text())["winner"]
    facts = json.loads(line)
    assert facts["architecture"] == winner["code"]
    assert {name: facts[name] for name in ("accuracy", "loss")} == winner["test"]  # the same training
    weights = (tmp_path / "longer" / "network.safetensors").read_bytes()
    assert ran(capsys, *given, "--resume") == [line]
    assert (tmp_path / "longer" / "network.safetensors").read_bytes() == weights
    assert main(["export", str(tmp_path / "longer"), "--card", str(tmp_path / "MODEL.md")]) == 2
    assert (
        "it was made by 'palmette retrain', which leaves no account; the card is of a search" in capsys.readouterr().err
    )


def test_draw_writes_a_picture_with_every_layer(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "winner.svg"
    assert ran(capsys, "draw", finished_run / "architecture.json", "--out", file) == [str(file)]
    text = file.read_text()
    assert ElementTree.fromstring(text).tag.endswith("svg")
    for decision in Architecture.from_json((finished_run / "architecture.json").read_text()).as_dict():
        assert decision in text


def test_draw_knows_published_cells_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "cell.svg"
    assert ran(capsys, "draw", "enas-recurrent-cell", "--out", file) == [str(file)]
    assert file.read_text().count("tanh") >= 5


def test_cost_prints_one_line_for_each_architecture(capsys: pytest.CaptureFixture[str]) -> None:
    lines = ran(capsys, "cost", "nas-bench-macro", "00000000", "00000001")
    assert [json.loads(line)["code"] for line in lines] == ["00000000", "00000001"]
    assert [json.loads(line)["canonical"] for line in lines] == ["00000000", "00000010"]  # one code for each network
    first, second = map(json.loads, lines)
    assert (first["params"], first["flops"]) == (387882, 7713280)  # the published table
    assert (second["params"], second["flops"]) == (791594, 14115328)
    assert first["acts"] > 0


def test_cost_reads_codes_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("00000000\n\n00000001\n"))
    lines = ran(capsys, "cost", "nas-bench-macro", "-")
    assert [json.loads(line)["flops"] for line in lines] == [7713280, 14115328]


def test_cost_reads_the_architecture_of_a_run(finished_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = ran(capsys, "cost", "small-images", finished_run / "architecture.json")
    winner = json.loads((finished_run / "result.json").read_text())["winner"]
    printed = json.loads(line)
    assert printed["code"] == winner["code"]
    assert {name: printed[name] for name in winner["costs"]} == winner["costs"]  # of the run's 2 classes, not of 10


def test_cost_knows_published_networks(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = ran(capsys, "cost", "spos-block-search")
    assert json.loads(line)["flops"] == pytest.approx(322.9e6, rel=1e-3)


def test_methods_spaces_and_data_list_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    listed = " ".join(ran(capsys, "methods"))
    assert all(name in listed for name in [*METHODS, *SPACES])
    listed = " ".join(ran(capsys, "spaces"))
    assert all(name in listed for name in SPACES)
    assert "6,561 codes, 3,969 distinct networks" in listed
    listed = " ".join(ran(capsys, "data"))
    assert all(name in listed for name in SOURCES)


def test_doctor_names_every_package_and_the_device(capsys: pytest.CaptureFixture[str]) -> None:
    lines = ran(capsys, "doctor")
    assert all(re.match(r"(ok|missing|broken) ", line) for line in lines)
    assert any(line.startswith("ok       torch ") for line in lines)
    assert "cores" in lines[-1]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code in (0, None)
    assert f"palmette {command}" in capsys.readouterr().out


def test_help_is_printed_without_importing_torch_and_within_half_a_second() -> None:
    code = (
        "import sys; from palmette.cli.main import main; main(['--help']); "
        "sys.exit(bool({'torch', 'numpy', 'tyro'} & set(sys.modules)))"
    )
    seconds = []
    for _ in range(5):  # the fastest, for other processes may be busy
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        seconds.append(time.perf_counter() - began)
        assert done.returncode == 0
        assert all(command in done.stdout for command in COMMANDS)
    assert min(seconds) < 0.5


def test_the_installed_command_prints_its_version_and_usage() -> None:
    program = Path(sys.executable).with_name("palmette")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"palmette \d+\.\d+\.\d+\n", version.stdout)
    usage = subprocess.run([program], capture_output=True, text=True, check=False)
    assert usage.returncode == 2
    assert usage.stdout.startswith("usage: palmette COMMAND")


def test_output_that_nobody_reads_to_its_end_is_no_error() -> None:
    codes = "".join(f"{code:08d}\n" for code in [0] * 3000)
    program = Path(sys.executable).with_name("palmette")
    process = subprocess.Popen(
        [program, "cost", "nas-bench-macro", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(codes)
    process.stdin.close()
    assert json.loads(process.stdout.readline())["flops"] == 7713280
    process.stdout.close()
    assert process.wait() == 0
    assert process.stderr.read() == ""
    process.stderr.close()
