"""The trials of a run, mirrored to a storage of Optuna, where optuna-dashboard shows them.

The journal stays the only state: the mirror is written beside the search, never by it, and a database that is slow,
restarts or never answers delays nothing. Every trial carries its number in the journal, and what the study has is read
before anything is added, so that mirroring again after any kill or lost connection loses and doubles none. Optuna
itself repeats a commit whose answer was lost; a trial doubled in that way is found, and the study written anew.
"""

from __future__ import annotations

import fcntl
import math
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palmette.decisions import Decisions
from palmette.errors import MissingExtraError, PalmetteError, StorageError
from palmette.searches.optuna_trials import DIRECTIONS, frozen, the_optuna
from palmette.searches.pareto import Objective
from palmette.searches.trial import Trial
from palmette.storage.journal import Journal

KEY = "palmette_trial"
"""Attribute of each mirrored trial: its number in the journal."""
ARCHITECTURE = "architecture"
EVERY = 2.0
"""Seconds between two looks at the journal."""
LONGEST = 30.0
"""Seconds between two tries while the database does not answer."""
PATIENCE = 60.0
"""Seconds that a finished search waits for what is not mirrored yet."""
ANSWER = 10
"""Seconds that a database may take to accept a connection."""


class UnreachableError(StorageError):
    """A database that does not answer; it may do so later."""


@dataclass(frozen=True)
class Target:
    """A study in a storage."""

    url: str
    """``sqlite:///FILE``, ``postgresql://USER@HOST/NAME``, or a file."""
    study: str
    objectives: tuple[Objective, ...]
    """Metrics and costs that become the values of the trials, with their directions."""

    def __post_init__(self) -> None:
        if not self.url:
            raise PalmetteError("optuna: no storage was given; give sqlite:///FILE or postgresql://USER@HOST/NAME")

    @property
    def address(self) -> str:
        """The URL with the driver that the extra installs; of a file, SQLite's."""
        if "://" not in self.url:
            return f"sqlite:///{self.url}"
        scheme, rest = self.url.split("://", 1)
        return f"{'postgresql+psycopg' if scheme in ('postgres', 'postgresql') else scheme}://{rest}"

    def __str__(self) -> str:
        """Return the URL without its password."""
        scheme, _, rest = self.url.rpartition("://")
        account, at, host = rest.rpartition("@")
        return f"{scheme}{'://' if scheme else ''}{account.partition(':')[0]}{at}{host}"


def mirror(trials: Sequence[Trial], decisions: Decisions, target: Target) -> int:
    """Add the trials that the study lacks, in order, and return how many these were.

    Args:
        trials: of one journal.
        decisions: of its space.
        target: where to; the study is made if there is none.

    Raises:
        MissingExtraError: Optuna, or the driver of the database, is not installed.
        UnreachableError: the database does not answer.
        StorageError: the study is of another run or has other objectives.
    """
    with _told(target), _opened(target) as storage:
        study = _study(storage, target)
        known = _known(study, target)
        if any(count > 1 for count in known.values()):  # see above; the mirror holds nothing that the journal has not
            the_optuna().delete_study(study_name=target.study, storage=storage)
            study, known = _study(storage, target), Counter[int]()
        _check_same_run(study, trials, target)
        missing = [trial for trial in trials if trial.number not in known]
        study.add_trials(_mirrored(decisions, trial, target.objectives) for trial in missing)
        return len(missing)


@contextmanager
def mirrored(
    run: Path,
    decisions: Decisions,
    target: Target,
    say: Callable[[str], None],
    *,
    patience: float = PATIENCE,
    every: float = EVERY,
) -> Iterator[None]:
    """Mirror the journal in a run directory while the body runs, and what is left when it ends.

    Nothing that happens to the database reaches the body; what could not be mirrored is told in the end.
    """
    ended, finished = threading.Event(), threading.Event()

    def follow() -> None:
        wait, given_up, done = every, math.inf, -1
        while time.monotonic() < given_up:
            last = ended.is_set()
            if last and given_up == math.inf:
                given_up = time.monotonic() + patience
            try:
                there = _count(run)
                if there != done:
                    mirror_run(run, decisions, target)
                wait, done = every, there
                if last:
                    finished.set()
                    return
            except Exception as error:  # the search must not notice, whatever it is
                if wait == every:
                    say(f"optuna: {target}: not mirrored ({_line(error)}); tried again, the search goes on")
                wait = min(LONGEST, 2 * wait)
            if not last:
                ended.wait(wait)
            else:
                time.sleep(min(wait, every))

    thread = threading.Thread(target=follow, name="optuna-mirror", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(patience + ANSWER)
        if not finished.is_set():
            say(f"optuna: {target}: not all trials are mirrored; run: palmette mirror {run} --optuna URL")


def _count(run: Path) -> int:
    with Journal(run / "trials.sqlite", read_only=True) as journal:
        return journal.count()


def mirror_run(run: Path, decisions: Decisions, target: Target) -> int:
    """Mirror the journal in a run directory, alone: a second mirror of the run at the same time is refused.

    Raises:
        StorageError: as ``mirror``, or another mirror is at work.
    """
    with (run / ".mirror").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StorageError(f"{run}: it is being mirrored by another process; wait for that to end") from None
        with Journal(run / "trials.sqlite", read_only=True) as journal:
            trials = journal.trials()
        return mirror(trials, decisions, target)


@contextmanager
def _opened(target: Target) -> Iterator[Any]:
    arguments: dict[str, Any] = {"pool_pre_ping": True}  # a connection that was dropped is made again
    if target.address.startswith("postgresql"):
        arguments["connect_args"] = {"connect_timeout": ANSWER}
    storage = the_optuna().storages.RDBStorage(target.address, engine_kwargs=arguments)
    try:
        yield storage
    finally:
        try:
            storage.remove_session()
        finally:
            storage.engine.dispose()


def _study(storage: Any, target: Target) -> Any:
    names = [objective.name for objective in target.objectives]
    directions = [DIRECTIONS[objective.better] for objective in target.objectives]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that names of metrics are experimental
        study = the_optuna().create_study(
            storage=storage, study_name=target.study, directions=directions, load_if_exists=True
        )
        if study.metric_names is None and not study.get_trials(deepcopy=False):
            study.set_metric_names(names)
    there = [direction.name.lower() for direction in study.directions]
    if there != directions or (study.metric_names or names) != names:
        raise StorageError(
            f"optuna: study {target.study!r} has the objectives {', '.join(study.metric_names or there)}, not "
            f"{', '.join(names)}; give another --study"
        )
    return study


def _known(study: Any, target: Target) -> Counter[int]:
    """Return how often the study has each number of the journal."""
    numbers = [trial.user_attrs.get(KEY) for trial in study.get_trials(deepcopy=False)]
    if any(number is None for number in numbers):
        raise StorageError(f"optuna: study {target.study!r} has trials of another program; give another --study")
    return Counter(numbers)


def _check_same_run(study: Any, trials: Sequence[Trial], target: Target) -> None:
    own = {trial.number: trial.architecture.id for trial in trials}
    for trial in study.get_trials(deepcopy=False):
        number = trial.user_attrs[KEY]
        if number in own and trial.user_attrs[ARCHITECTURE] != own[number]:
            raise StorageError(f"optuna: study {target.study!r} has the trials of another run; give another --study")


def _mirrored(decisions: Decisions, trial: Trial, objectives: Sequence[Objective]) -> Any:
    """Return the trial as Optuna's; one without finite values has failed there."""
    figures: Mapping[str, float] = {**trial.costs, **trial.metrics}
    for objective in objectives:
        if objective.name not in figures:
            raise StorageError(f"optuna: no {objective.name!r} in these trials; allowed are {', '.join(figures)}")
    values = [float(figures[objective.name]) for objective in objectives]
    attributes = {name: value if math.isfinite(value) else str(value) for name, value in figures.items()}
    return frozen(
        decisions,
        trial.architecture,
        values if all(map(math.isfinite, values)) else None,
        user={
            KEY: trial.number,
            ARCHITECTURE: trial.architecture.id,
            "arm": trial.arm,
            "generation": trial.generation,
            **attributes,
        },
    )


@contextmanager
def _told(target: Target) -> Iterator[None]:
    """Turn what Optuna and the database say into one line each."""
    optuna = the_optuna()
    from sqlalchemy import exc

    try:
        yield
    except ImportError as error:
        driver = getattr(error.__cause__, "name", None) or error.name or "of its database"
        raise MissingExtraError(
            f"optuna: {target}: its driver {driver} is not installed; run: pip install palmette[optuna], which has "
            "those of SQLite and PostgreSQL"
        ) from None
    except (exc.ArgumentError, exc.NoSuchModuleError) as error:
        raise PalmetteError(
            f"optuna: {target}: not a storage ({_line(error)}); give sqlite:///FILE or postgresql://USER@HOST/NAME"
        ) from None
    except (exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise UnreachableError(f"optuna: {target}: the database does not answer ({_line(error)})") from None
    except RuntimeError as error:  # tables of another version of Optuna
        raise StorageError(f"optuna: {target}: {_line(error)}") from None


def _line(error: BaseException) -> str:
    return " ".join(str(error.__cause__ or error).split())[:200]
