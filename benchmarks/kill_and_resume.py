"""Kill real searches with ``kill -9`` at random moments, resume them, and compare with an undisturbed search, bitwise.

Each run is killed several times before it may end. A moment is drawn uniformly from the time that the search takes
once it holds its run directory, so that kills fall into every phase: supernet, evolution, random search, audit,
retraining and the writing of the results. Compared are the architecture, every trial, curve, audit record and
figure, and the bytes of the weights.

    python benchmarks/kill_and_resume.py [--kills 20]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from palmette.storage.journal import Journal

KILLS = 20
KILLS_PER_RUN = 5
SETTINGS = (
    *("--limits.flops", "400k", "--threads", "1", "--audit.networks", "6"),
    *("--training.epochs", "12", "--training.batch-size", "16", "--training.warmup-epochs", "0"),
    *("--retraining.epochs", "9", "--retraining.batch-size", "16", "--retraining.warmup-epochs", "0"),
    *("--evolution.population", "8", "--evolution.generations", "3"),
    *("--evolution.mutants", "4", "--evolution.crossovers", "4"),
)
ENTRY = """
import sys
from palmette.training import loop
from palmette.cli.main import main
loop.CHECKPOINT_SECONDS = 0.1
sys.exit(main(sys.argv[1:]))
"""
"""The command line, but for checkpoints that are near enough to be resumed from in a search of a few seconds."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=KILLS)
    kills = parser.parse_args().kills
    with tempfile.TemporaryDirectory(prefix="palmette-kills-") as folder:
        equal = killed_and_resumed(Path(folder), kills)
    print(f"kill and resume: {equal} of {kills} equal (target {kills})")


def killed_and_resumed(folder: Path, kills: int) -> int:
    """Return how many of the kills belong to runs that ended as the undisturbed one."""
    data = _data(folder / "images.npz")
    began = time.monotonic()
    undisturbed = folder / "undisturbed"
    _held(process := _started(data, undisturbed), undisturbed)
    held = time.monotonic()
    _finished(process)
    seconds = time.monotonic() - held
    print(f"undisturbed: {held - began:.1f} s until it holds its directory, then {seconds:.1f} s", flush=True)
    generator, equal, done = random.Random(0), 0, 0
    while done < kills:
        out = folder / f"after-{done}"
        wanted = min(KILLS_PER_RUN, kills - done)
        moments = list(_killed(data, out, wanted, generator=generator, seconds=seconds))
        _finished(_started(data, out))
        different = differences(undisturbed, out)
        equal += 0 if different else wanted
        done += wanted
        print(f"killed {', '.join(moments)}: {'; '.join(different) or 'equal'}", flush=True)
    return equal


def differences(one: Path, other: Path) -> list[str]:
    """Return what differs between two finished runs."""
    found = [
        name
        for name in ("architecture.json", "result.json", "network.safetensors")
        if (one / name).read_bytes() != (other / name).read_bytes()
    ]
    audits = [json.loads((run / "report.json").read_text())["audit"] for run in (one, other)]
    if audits[0] is None or repr(audits[0]) != repr(audits[1]):
        found.append("audit")
    journals = [_journal(run / "trials.sqlite") for run in (one, other)]
    return found + [name for name in journals[0] if journals[0][name] != journals[1][name]]


def _journal(path: Path) -> dict[str, str]:
    with Journal(path, read_only=True) as journal:
        return {
            "trials": repr(journal.trials()),
            "audit records": repr(sorted(journal.records("audit/").items())),
            "curves": repr([(phase, journal.scalars(phase)) for phase in sorted(journal.phases())]),
        }


def _killed(data: Path, out: Path, kills: int, *, generator: random.Random, seconds: float) -> Iterator[str]:
    """Start the search and kill it until it was killed so many times; yield when, in words.

    Later kills find less work left, so a moment beyond the end is drawn again, and earlier, for the next start.
    """
    most = seconds / kills**0.5
    while kills:
        process = _started(data, out)
        _held(process, out)
        delay = generator.uniform(0, most)
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills -= 1
            yield f"after {delay:.2f} s"
        else:
            _finished(process)
            most = min(most, delay) / 2


def _started(data: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", ENTRY, "search", "--data", str(data), "--out", str(out), "--resume", *SETTINGS]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def _held(process: subprocess.Popen[str], out: Path) -> None:
    """Wait until the process holds the run directory."""
    lock = out / ".lock"
    while process.poll() is None:
        if lock.exists() and lock.read_text() == str(process.pid):
            return
        time.sleep(0.005)


def _finished(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"a search ended with code {process.returncode}: {errors}")


def _data(path: Path) -> Path:
    """Write noisy images of 4 classes."""
    generator = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 160), ("test", 60)):
        labels = np.arange(count) % 4
        noise = generator.integers(0, 200, (count, 8, 8)) + 18 * labels[:, None, None]
        arrays |= {f"{part}_x": noise.astype(np.uint8), f"{part}_y": labels}
    np.savez(path, **arrays)
    return path


if __name__ == "__main__":
    main()
