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

from palmette.cli.method_names import METHODS
from palmette.storage.journal import Journal

SCRIPT = Path(__file__).with_name("share_a_training.py")
CASES = (
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
RELATIVES = (
    "random/small-images",
    "pc-darts/cells",
    "darts-minus/small-images",
    "fairdarts/small-images",
    "drnas/small-images",
)
VARIANTS = (
    "spos/small-bits+two-steps",
    "spos/small-images+nsga2",
    "spos/small-images+predictor",
    "spos/small-images+random",
    "spos/small-images+optuna",
    "enas/small-images+limits",
)
RESUMED = ("spos/small-images", "darts/small-images", "enas/enas-recurrent-small")
STEPS = 50
LONGEST = 850
TOLERANCE = 1e-5


def start(folder: Path, *cases: str, ranks: int, steps: int, batch: int = 10, stop: int = 0) -> subprocess.Popen[str]:
    """Start the script."""
    folder.mkdir(exist_ok=True)
    launch = [sys.executable]
    if ranks > 1:
        launch += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    command = [*launch, str(SCRIPT), str(folder), str(steps), str(batch), str(stop), *cases]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def run(folder: Path, *cases: str, ranks: int, steps: int, stop: int = 0) -> int:
    """Run the script and return its exit code."""
    return ended(start(folder, *cases, ranks=ranks, steps=steps, stop=stop), may_fail=stop > 0)


def ended(process: subprocess.Popen[str], *, may_fail: bool = False) -> int:
    _, errors = process.communicate(timeout=LONGEST)
    assert process.returncode == 0 or may_fail, errors[-3000:]
    return process.returncode


def run_both(folder: Path, *cases: str, steps: int, batch: int = 10) -> Path:
    """Run the script on one process and, at the same time, on two; return the folder."""
    both = [start(folder / name, *cases, ranks=n, steps=steps, batch=batch) for name, n in (("one", 1), ("two", 2))]
    for process in both:
        ended(process)
    return folder


def name_of(case: str) -> str:
    return case.replace("/", "-")


def check_equal(one: Path, other: Path, case: str) -> None:
    weights = Path(name_of(case)) / "checkpoints" / "supernet.safetensors"
    there, here = load_file(one / weights), load_file(other / weights)
    assert there.keys() == here.keys()
    for key, tensor in there.items():
        if tensor.numel():
            assert torch.allclose(here[key], tensor, rtol=TOLERANCE, atol=TOLERANCE), f"{case}: {key}"


def check_equal_trials(one: Path, other: Path, case: str) -> None:
    trials = Path(name_of(case)) / "trials.sqlite"
    with Journal(one / trials) as there, Journal(other / trials) as here:
        for trial, same in zip(there.trials(), here.trials(), strict=True):
            assert same.architecture == trial.architecture
            assert dict(same.metrics) == pytest.approx(dict(trial.metrics), rel=TOLERANCE, abs=TOLERANCE)


def choices(folder: Path, case: str, rank: int) -> list[str]:
    found: list[str] = json.loads((folder / f"{name_of(case)}-{rank}.json").read_text())
    assert found[-1].startswith("found "), found[-1]
    return found


def check_same(some: list[str], others: list[str]) -> None:
    """As ``==``, but it shows the first difference only: they are long."""
    differ = next((pair for pair in zip(some, others, strict=True) if pair[0] != pair[1]), None)
    assert differ is None


def check_two_equal_one(folder: Path, case: str, *, steps: int) -> None:
    drawn = choices(folder / "two", case, 0)
    check_same(drawn, choices(folder / "two", case, 1))
    check_same(drawn, choices(folder / "one", case, 0))
    if case in RELATIVES + VARIANTS:
        check_equal_trials(folder / "one", folder / "two", case)
    if case.startswith("random/"):
        return  # it has no supernet, and its trials are what its networks came to
    assert len(drawn) > steps // 2
    check_equal(folder / "one", folder / "two", case)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of cases trained in one go: starting processes takes longer than most of them do."""
    return run_both(tmp_path_factory.mktemp("relatives"), *RELATIVES, *VARIANTS, steps=STEPS, batch=4)


def test_every_method_is_among_the_cases() -> None:
    assert {case.split("/")[0] for case in CASES + RELATIVES} == set(METHODS)


def test_two_processes_draw_the_same_paths_and_train_the_same_weights(tmp_path: Path) -> None:
    check_two_equal_one(run_both(tmp_path, "spos/small-images", steps=6), "spos/small-images", steps=6)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_every_method_ends_fifty_steps_on_two_processes_with_the_weights_of_one(case: str, tmp_path: Path) -> None:
    check_two_equal_one(run_both(tmp_path, case, steps=STEPS), case, steps=STEPS)


@pytest.mark.slow
@pytest.mark.parametrize("case", RELATIVES)
def test_so_do_their_relatives_and_random_search(case: str, trained: Path) -> None:
    check_two_equal_one(trained, case, steps=STEPS)


@pytest.mark.slow
@pytest.mark.parametrize("case", VARIANTS)
def test_other_searches_limits_and_bits_end_as_on_one_process(case: str, trained: Path) -> None:
    check_two_equal_one(trained, case, steps=2 if case.endswith("+two-steps") else STEPS // 5)


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
