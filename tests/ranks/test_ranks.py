"""Two processes train what one trains: the same choices at every step, equal weights, and any number goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

SCRIPT = Path(__file__).with_name("share_a_training.py")
METHODS = (
    "spos/small-images",
    "spos/small-widths",
    "fairnas/small-images",
    "greedynas/small-images",
    "fbnet/small-images",
    "fbnetv2/fbnet-v2-small",
    "proxylessnas/small-images",
    "darts/small-images",
    "r-darts/small-images",
    "gdas/small-images",
    "enas/small-images",
    "enas/enas-macro-small",
    "enas/enas-recurrent-small",
    "darts/darts-recurrent-small",
    "smash/memory-bank-small",
)
RESUMED = ("spos/small-images", "darts/small-images", "enas/enas-recurrent-small")
TOLERANCE = 1e-5


def run(folder: Path, *cases: str, ranks: int, steps: int, stop: int = 0) -> int:
    """Run the script and return its exit code."""
    folder.mkdir(exist_ok=True)
    launch = [sys.executable]
    if ranks > 1:
        launch += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    command = [*launch, str(SCRIPT), str(folder), str(steps), str(stop), *cases]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0 or stop, done.stderr[-3000:]
    return done.returncode


def check_equal(one: Path, other: Path, case: str) -> None:
    name = case.replace("/", "-")
    there = load_file(one / name / "checkpoints" / "supernet.safetensors")
    here = load_file(other / name / "checkpoints" / "supernet.safetensors")
    assert there.keys() == here.keys()
    for key, tensor in there.items():
        if tensor.numel():
            assert torch.allclose(here[key], tensor, rtol=TOLERANCE, atol=TOLERANCE), f"{case}: {key}"


def choices(folder: Path, case: str, rank: int) -> list[str]:
    found: list[str] = json.loads((folder / f"{case.replace('/', '-')}-{rank}.json").read_text())
    return found


def check_same(some: list[str], others: list[str]) -> None:
    """As ``==``, but it shows the first difference only: they are long."""
    differ = next((pair for pair in zip(some, others, strict=True) if pair[0] != pair[1]), None)
    assert differ is None


def check_two_equal_one(folder: Path, *cases: str, steps: int) -> None:
    run(folder / "one", *cases, ranks=1, steps=steps)
    run(folder / "two", *cases, ranks=2, steps=steps)
    for case in cases:
        drawn = choices(folder / "two", case, 0)
        assert len(drawn) > steps // 2
        check_same(drawn, choices(folder / "two", case, 1))
        check_same(drawn, choices(folder / "one", case, 0))
        check_equal(folder / "one", folder / "two", case)


def test_two_processes_draw_the_same_paths_and_train_the_same_weights(tmp_path: Path) -> None:
    check_two_equal_one(tmp_path, "spos/small-images", steps=6)


@pytest.mark.slow
@pytest.mark.parametrize("case", METHODS)
def test_every_method_ends_fifty_steps_on_two_processes_with_the_weights_of_one(case: str, tmp_path: Path) -> None:
    check_two_equal_one(tmp_path, case, steps=50)


@pytest.mark.slow
@pytest.mark.parametrize("case", RESUMED)
def test_a_run_of_two_processes_goes_on_as_one_and_then_as_two(case: str, tmp_path: Path) -> None:
    run(tmp_path / "whole", case, ranks=1, steps=12)
    assert run(tmp_path / "cut", case, ranks=2, steps=12, stop=4) != 0
    assert run(tmp_path / "cut", case, ranks=1, steps=12, stop=4) == 9
    run(tmp_path / "cut", case, ranks=2, steps=12)
    check_equal(tmp_path / "whole", tmp_path / "cut", case)
    last = choices(tmp_path / "cut", case, 0)
    check_same(last, choices(tmp_path / "whole", case, 0)[-len(last) :])
