"""A hundred faults at random moments, over all commands that keep something; each run must end as an undisturbed one.

Processes are killed with ``kill -9``, one of several under torchrun too, and the command is given again; under a search
that goes on, workers and nodes of its Ray cluster are killed, and the connections of a mirror to PostgreSQL are cut.
Equal are: architectures, trials, curves, audits, figures and the bytes of the weights of searches
(``kill_and_resume.py``), trials and records of studies, figures of comparisons, weights of trainings, and the trials in
Optuna's storage, each there once.

    python benchmarks/faults.py [--share 1.0]

Takes most of an hour; ``--share 0.1`` does a tenth of the faults, at least one of each kind. Needs the extras ray
and optuna, and PostgreSQL's server; a kind whose needs are missing is left out, and then the target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kill_and_resume import ENTRY, _data, differences

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

TARGET = 100
RECIPE = ("--training.epochs", "4", "--training.batch-size", "16", "--training.warmup-epochs", "0")
ALONE = ("--retraining.epochs", "3", "--retraining.batch-size", "16", "--retraining.warmup-epochs", "0")
AUDIT = ("--threads", "1", "--audit.networks", "6", "--audit.epochs", "1")
BRED = ("--evolution.population", "6", "--evolution.generations", "2", "--evolution.mutants", "3")
SEARCH = (*RECIPE, *ALONE, *AUDIT)
SPOS = ("search", "--method", "spos", *SEARCH, *BRED, "--evolution.crossovers", "3")
FEW = ("--networks", "4", "--recipe.epochs", "1", "--optimisation.networks", "2")


@dataclass(frozen=True)
class Case:
    """A command, and how often it is hurt."""

    name: str
    command: tuple[str, ...]
    faults: int
    different: Callable[[Path, Path], list[str]]
    resume: tuple[str, ...] = ("--resume",)
    processes: int = 1


def cases(data: Path, run: Path) -> list[Case]:
    """Return the commands whose process is killed."""
    images = ("--data", str(data))
    table = str(
        Path(os.environ.get("PALMETTE_DATA", "../shared/data")) / "nas_bench_macro" / "nas_bench_macro_cifar10.csv"
    )
    methods = {"spos": (12, SPOS), **{name: (8, ("search", "--method", name, *SEARCH)) for name in ("darts", "enas")}}
    found = [Case(f"search, {name}", (*command, *images), n, differences) for name, (n, command) in methods.items()]
    retraining = ("retrain", str(run / "architecture.json"), *images, "--epochs", "12", "--batch-size", "16")
    searches = ("--seeds", "3", "--evaluations", "100", "--searches", "random,evolution,nsga2")
    again = ("search", "--from", str(run), "--limits.flops", "300K,500K", "--retrain")
    compared = ("--methods", "spos,darts,random", "--seeds", "1", "--epochs", "2", "--evaluations", "20")
    return [
        *found,
        Case("search on two processes", (*SPOS, *images), 8, differences, processes=2),
        Case("search again", again, 8, both_limits, resume=()),
        Case("retrain", retraining, 10, files("result.json", "network.safetensors")),
        Case("study", ("study", *images, "--spaces", "A", "RegNet", *FEW), 8, journals),
        Case("compare searches", ("compare", "--table", table, *searches), 8, comparisons),
        Case("compare methods", ("compare", *compared, *images, "--threads", "1"), 8, comparisons),
    ]


def both_limits(one: Path, other: Path) -> list[str]:
    """Return what differs between two searches of a trained supernet under several limits."""
    names = sorted(path.name for path in one.iterdir() if path.is_dir())
    assert len(names) == 2
    kept = files("architecture.json", "result.json", "network.safetensors")
    return [f"{name}/{what}" for name in names for what in kept(one / name, other / name)] + [
        f"{name}/{what}" for name in names for what in trials(one / name, other / name)
    ]


def trials(one: Path, other: Path) -> list[str]:
    """Return whether the trials of two runs differ."""
    from palmette.storage.journal import Journal

    both = []
    for run in (one, other):
        with Journal(run / "trials.sqlite", read_only=True) as journal:
            both.append(repr(journal.trials()))
    return [] if both[0] == both[1] else ["trials"]


def files(*names: str) -> Callable[[Path, Path], list[str]]:
    """Return what tells which of these files differ between two runs."""
    return lambda one, other: [name for name in names if (one / name).read_bytes() != (other / name).read_bytes()]


def comparisons(one: Path, other: Path) -> list[str]:
    """Return whether two comparisons differ, but for times."""
    both = [without_times(json.loads((run / "comparison.json").read_text())) for run in (one, other)]
    return [] if repr(both[0]) == repr(both[1]) else ["comparison.json"]


def journals(one: Path, other: Path) -> list[str]:
    """Return what differs between the trials and records of two studies, but for times."""
    from palmette.storage.journal import Journal

    both = []
    for run in (one, other):
        with Journal(run / "trials.sqlite", read_only=True) as journal:
            records = {key: value for key, value in journal.records().items() if not key.startswith("seconds")}
            both.append((repr(journal.trials()), repr(sorted(without_times(records).items()))))
    return [name for name, a, b in zip(("trials", "records"), *both, strict=True) if a != b]


def without_times(value: Any) -> Any:
    """Return plain data without what is measured by a clock."""
    if isinstance(value, dict):
        return {key: without_times(inner) for key, inner in value.items() if "seconds" not in key}
    return [without_times(inner) for inner in value] if isinstance(value, list) else value


def started(command: tuple[str, ...], out: Path | None, *more: str) -> subprocess.Popen[str]:
    kept = () if out is None else ("--out", str(out), "--resume")
    return launched([sys.executable, "-c", ENTRY, *command, *kept, *more])


def launched(arguments: list[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def begun(case: Case, out: Path) -> subprocess.Popen[str]:
    """Start the command, or go on with it."""
    command = [*case.command, "--out", str(out), *case.resume]
    if case.processes == 1:
        return launched([sys.executable, "-c", ENTRY, *command])
    script = out.parent / "entry.py"
    script.write_text(ENTRY)
    several = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={case.processes}"]
    return launched([sys.executable, *several, str(script), *command])


def kill(case: Case, process: subprocess.Popen[str], generator: random.Random) -> None:
    """Kill the process, or one of those that it started: torchrun then ends the others."""
    victims = [process.pid]
    if case.processes > 1:
        found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        victims = [int(child) for child in found] or victims
    os.kill(generator.choice(victims), signal.SIGKILL)
    process.communicate()


def finished(process: subprocess.Popen[str], *, may_fail: bool = False) -> None:
    _, errors = process.communicate()
    if process.returncode and not may_fail:
        raise SystemExit(f"a command ended with code {process.returncode}: {errors[-2000:]}")


def killed(case: Case, folder: Path, faults: int, generator: random.Random) -> int:
    """Kill the command so many times, each time resuming it; return the faults after which it ended as undisturbed."""
    began = time.monotonic()
    whole, cut = folder / "whole", folder / "cut"
    finished(begun(case, whole))
    most, left = time.monotonic() - began, faults
    while left:
        process = begun(case, cut)
        try:
            process.wait(generator.uniform(0.3 * most, most))
            finished(process)
            most *= 0.8  # there is less left to do
        except subprocess.TimeoutExpired:
            kill(case, process, generator)
            left -= 1
    finished(begun(case, cut))
    return told(case.name, faults, case.different(whole, cut))


def told(name: str, faults: int, different: list[str]) -> int:
    print(f"{name}: {faults} faults, {'; '.join(different) or 'equal'}", flush=True)
    return 0 if different else faults


def workers_killed(data: Path, folder: Path, faults: int, generator: random.Random) -> int:
    """Kill Ray workers, and one node for every five of them, under a search that goes on."""
    from ray_cluster import cluster, kill_node, start

    command = (*SPOS, "--data", str(data))
    finished(started(command, folder / "whole"))
    done = equal = 0
    while done < faults:
        out, hurt = folder / f"on-ray-{done}", 0
        with cluster() as (address, node):
            process = started(command, out, "--ray", address)
            while process.poll() is None and done + hurt < faults:
                time.sleep(generator.uniform(0.5, 2))
                victims = ray_workers()
                if not (out / "trials.sqlite").exists() or not victims:
                    continue
                if hurt % 5 == 4:
                    kill_node(node)
                    node = start("--address", address)
                else:
                    os.kill(generator.choice(victims), signal.SIGKILL)
                hurt += 1
                time.sleep(3)  # jobs are given to others at most twice
            finished(process, may_fail=True)
            kill_node(node)
        if process.returncode:  # too many of them died: the journal has what was done
            finished(started(command, out))
        equal += told("search on Ray", hurt, differences(folder / "whole", out))
        done += hurt
        if not hurt:
            raise SystemExit("search on Ray: it ended before a worker could be killed")
    return equal


def ray_workers() -> list[int]:
    """Return the processes of this machine that do jobs of Ray."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                title = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if title.startswith(b"ray::_do"):
                found.append(int(entry.name))
    return found


def connections_cut(run: Path, folder: Path, faults: int, generator: random.Random) -> int:
    """Cut all connections to PostgreSQL while the trials of a run are mirrored there; mirror until all are there."""
    import optuna
    import psycopg
    from postgres import running_server

    from palmette.storage.journal import Journal

    with Journal(run / "trials.sqlite", read_only=True) as journal:
        numbers = [trial.number for trial in journal.trials()]
    done = equal = 0
    with running_server() as server:
        while done < faults:
            name, hurt = f"study-{done}", 0
            command = ("mirror", str(run), "--optuna", server.url, "--study", name)
            while True:
                process = started(command, None)
                while process.poll() is None and done + hurt < faults:
                    time.sleep(generator.uniform(0.5, 2.5))
                    with psycopg.connect(server.url, autocommit=True) as connection:
                        rows = connection.execute(
                            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                            "AND datname = current_database()"
                        ).fetchall()
                    hurt += bool(rows)
                finished(process, may_fail=True)
                if not process.returncode:
                    break
            study = optuna.load_study(study_name=name, storage=server.url.replace("postgresql:", "postgresql+psycopg:"))
            there = sorted(trial.number for trial in study.get_trials(deepcopy=False))
            equal += told("mirror to PostgreSQL", hurt, [] if there == numbers else ["trials"])
            done += hurt
    return equal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--only", default="", help="only cases whose name has this text")
    options = parser.parse_args()
    generator, equal = random.Random(0), 0
    with tempfile.TemporaryDirectory(prefix="palmette-faults-") as name:
        folder = Path(name)
        data, run = _data(folder / "images.npz"), folder / "finished"
        finished(started((*SPOS, "--data", str(data)), run))
        kinds: list[tuple[str, int, Callable[[Path, int], int]]] = [
            (case.name, case.faults, lambda place, count, case=case: killed(case, place, count, generator))  # type: ignore[misc]
            for case in cases(data, run)
        ]
        kinds += [
            ("search on Ray", 14, lambda place, count: workers_killed(data, place, count, generator)),
            ("mirror to PostgreSQL", 8, lambda place, count: connections_cut(run, place, count, generator)),
        ]
        for number, (title, faults, hurt) in enumerate(kinds):
            if options.only in title:
                place = folder / str(number)
                place.mkdir()
                equal += hurt(place, max(1, round(faults * options.share)))
    print(f"faults: {equal} of {round(TARGET * options.share)} ended as if undisturbed (target all)")


if __name__ == "__main__":
    main()
