"""The examples run as a reader would run them, and end in what they promise."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import ROOT

EXAMPLES = ROOT / "examples"


def output(example: str, folder: Path) -> str:
    """Return what the example prints, run in a folder of its own on one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(folder)}
    command = [sys.executable, "-W", "error", str(EXAMPLES / example)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_one_shot_in_100_lines_has_at_most_100_lines_and_imports_torch_alone() -> None:
    lines = (EXAMPLES / "one_shot_in_100_lines.py").read_text().splitlines()
    assert len(lines) <= 100
    imported = {line.split()[1].split(".")[0] for line in lines if re.match(r"(import|from) ", line)}
    assert imported <= {"torch", *sys.stdlib_module_names}


def test_one_shot_in_100_lines_finds_networks_within_its_limit_that_learn(tmp_path: Path) -> None:
    text = output("one_shot_in_100_lines.py", tmp_path)
    found = re.findall(r"^(.+): \((.+)\), ([\d,]+) multiply-accumulates, retrained ([\d.]+)% on test", text, re.M)
    assert [name for name, *_ in found] == ["evolution", "random search"]
    for _, architecture, flops, accuracy in found:
        assert len(architecture.split(",")) == 6
        assert int(flops.replace(",", "")) <= 600_000
        assert float(accuracy) > 70  # one of 8 classes by chance is 12.5
    assert re.search(r"^evolution less random: [+-]\d", text, re.M)


@pytest.mark.skipif(find_spec("onnxruntime") is None, reason="needs palmette[onnx]")
def test_own_network_meets_its_limit_and_is_handed_over(tmp_path: Path) -> None:
    text = output("own_network.py", tmp_path)
    limit, found = re.findall(r"limit ([\d,]+) of [\d,]+ multiply-accumulates; found ([\d,]+)", text)[0]
    assert int(found.replace(",", "")) <= int(limit.replace(",", "")) == 561_824
    accuracy = re.findall(r"Best network \d{4}: ([\d.]+)% test accuracy", text)[0]
    assert float(accuracy) > 90  # one of 10 classes by chance is 10
    weights, onnx = re.findall(r"parameters in (\S+) and (\S+)", text)[0]
    assert Path(weights).stat().st_size > 10_000
    assert Path(onnx).stat().st_size > 10_000
