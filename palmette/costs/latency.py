"""Latency: milliseconds of whole networks on this machine, and a table of options that their sums come from.

Networks are measured in random order, round after round, call by call in turn with one reference network. A machine's
pace changes from moment to moment (other work, clock rates; a factor of two on a shared server), and what slows a call
slows its neighbour in time; so what counts is the share of the reference's time, in the middle round, times the
reference's time when it was quickest. (FBNet at 224x224 on a shared server: the least times of two halves of 8 rounds
agreed to R2 0.80, these to 0.91.) Of networks that are chains of layers the clock is read between the layers too, so
that every option is measured where it runs, between the neighbours it really has, in some ten networks for each option
of a decision and not in three for each entry of the table. The table is fitted to these times
(``costs.additive``) and then held against networks that took no part in the fit. FBNet (Wu et al., 2019, section 3.2)
and ProxylessNAS (Cai et al., 2019, section 3.3) search with such tables; theirs age with the runtime (gradient.md 7.4),
so the conditions are kept.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from palmette.architecture import Architecture
from palmette.costs.additive import AdditiveTable, Agreement, fit_additive, free_entries
from palmette.decisions import Decisions
from palmette.errors import LimitError, PalmetteError
from palmette.space import Space, Supernet, chain, fill_all, slots

FORMAT = 2
FEWEST = 100
"""Networks that a table is fitted to at least."""
PER_ENTRY = 3
"""Networks per free entry of the part of the table that has the most, otherwise."""
CALLS = 3
"""Timed calls of a network and of the reference in each round, after one of each that is not timed."""
AGAIN = 10
"""Networks of a table's check that are measured again beside others."""

Array = npt.NDArray[np.float64]
Advance = Callable[[int, int], None]
Clock = Callable[[], float]
"""Seconds since some moment."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What a latency depends on beside the network."""

    input_shape: tuple[int, ...]
    """Channels, height and width in pixels."""
    batch_size: int = 1
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    device: str = "cpu"
    threads: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    """Versions and machine, as text."""


@dataclass(frozen=True)
class LatencyTable:
    """A table with what it was made under, and how well it predicts whole networks."""

    table: AdditiveTable
    """Of one cost, ``latency``, in milliseconds."""
    conditions: Conditions
    fitted_to: int
    """Networks measured for the table."""
    rounds: int
    codes: tuple[str, ...]
    """Of the networks measured for the check only."""
    measured: tuple[float, ...]
    """Milliseconds of these."""
    disturbance: float
    """By what share the reference took longer in the middle round than at best: what other work did to the machine."""

    @property
    def predicted(self) -> list[float]:
        """Return the sums of the table for the networks of the check, in milliseconds."""
        decisions = self.table.decisions
        return [self.table(decisions.parse(code))["latency"] for code in self.codes]

    @property
    def agreement(self) -> Agreement:
        """Return how well the sums agree with the measured networks."""
        return Agreement.of(self.predicted, self.measured)

    def to_json(self) -> str:
        """Return the text that ``read_latency`` reads; arrays are in option order."""
        decisions = self.table.decisions
        record = {
            "palmette_latency": FORMAT,
            "space": decisions.space,
            "unit": "milliseconds",
            "clock": clock_of(self.conditions)[0],
            "conditions": asdict(self.conditions),
            "fixed": float(self.table.fixed[0]),
            "options": {
                name: {_text(value): float(row[0]) for value, row in zip(decisions.values(name), rows, strict=True)}
                for name, rows in self.table.options.items()
            },
            "fitted_to": self.fitted_to,
            "rounds": self.rounds,
            "disturbance": self.disturbance,
            "check": {"codes": self.codes, "measured": self.measured} | asdict(self.agreement),
        }
        return json.dumps(record, indent=1) + "\n"


def read_latency(text: str, decisions: Decisions) -> LatencyTable:
    """Return the table that ``to_json`` wrote.

    Raises:
        LimitError: no such table, or one of another space or version.
    """
    try:
        record = json.loads(text)
        version, space = record["palmette_latency"], record["space"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise LimitError("it is no table of latencies; 'palmette latency SPACE' makes one") from None
    if version != FORMAT:
        raise LimitError(f"version {version!r} of the format, this palmette reads {FORMAT}; measure again")
    wanted = {name: [_text(value) for value in decisions.values(name)] for name in decisions.decisions}
    given = record.get("options")
    given = given if isinstance(given, dict) and all(isinstance(rows, dict) for rows in given.values()) else {}
    if space != decisions.space or {name: list(rows) for name, rows in given.items()} != wanted:
        raise LimitError(
            f"it is of space {space!r}, needed is {decisions.space!r} with the same options; "
            f"'palmette latency {decisions.space}' makes one"
        )
    try:
        options = {name: np.array([[float(v)] for v in rows.values()]) for name, rows in given.items()}
        check, conditions = record["check"], record["conditions"]
        table = AdditiveTable(decisions, ("latency",), np.array([float(record["fixed"])]), options)
        sums = [table(decisions.parse(code))["latency"] for code in check["codes"]]
        measured = [float(value) for value in check["measured"]]
        if not all(0 < value < np.inf for value in measured):
            raise ValueError("a measured latency is no positive number")
        return LatencyTable(
            replace(table, check=tuple(zip(sums, measured, strict=True))),
            Conditions(**conditions | {"input_shape": tuple(conditions["input_shape"])}),
            fitted_to=record["fitted_to"],
            rounds=record["rounds"],
            codes=tuple(check["codes"]),
            measured=tuple(check["measured"]),
            disturbance=float(record["disturbance"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise LimitError(f"it is damaged ({error}); measure again") from None


def measured_table(
    space: Space,
    conditions: Conditions,
    *,
    networks: int = 0,
    check: int = 30,
    rounds: int = 20,
    seed: int = 0,
    advance: Advance = lambda done, total: None,
) -> LatencyTable:
    """Measure random networks of a space, fit the table to all but ``check`` of them, and check it on these.

    Args:
        space: whose options are measured.
        conditions: under which.
        networks: to fit to; 0: three for each free entry of a layer, and at least 100.
        check: further networks, none of them among the former.
        rounds: in which every network is measured once.
        seed: of the draws and the order.
        advance: told of the networks measured so far, over all rounds.

    Raises:
        PalmetteError: numbers that make no table, or more networks than the space has.
    """
    wanted = networks_needed(space, networks=networks, check=check, rounds=rounds)
    reads = _reads(space)
    generator = np.random.default_rng(seed)
    drawn, fitted_to = _draw(space.decisions, wanted + check, generator), wanted
    timed = _measured(space, drawn, conditions, rounds=rounds, generator=generator, advance=advance)
    parts, wholes = np.median(timed.parts, axis=0), np.median(timed.parts.sum(axis=2), axis=0)
    parts *= (wholes / parts.sum(axis=1))[:, None]
    return LatencyTable(
        fit_additive(space.decisions, drawn[:fitted_to], parts[:fitted_to], name="latency", reads=reads),
        conditions,
        fitted_to,
        rounds,
        codes=tuple(space.decisions.code(space.decisions.check(encoding)) for encoding in drawn[fitted_to:]),
        measured=tuple(wholes[fitted_to:].tolist()),
        disturbance=timed.disturbance,
    )


def networks_needed(space: Space, *, networks: int, check: int, rounds: int) -> int:
    """Return how many networks the table is fitted to; arguments and errors as of ``measured_table``."""
    most = max(free_entries(space.decisions, read) for read in _reads(space))
    wanted = networks or _enough(space.decisions, PER_ENTRY * most, check)
    if min(rounds, check) < 3 or wanted < most:
        raise PalmetteError(
            f"latency: rounds = {rounds}, check = {check}, networks = {wanted} were given; allowed are at least 3, 3 "
            f"and {most}, one for each free entry of the table in a layer"
        )
    return wanted


def measured(
    space: Space,
    architectures: Sequence[Architecture],
    conditions: Conditions,
    *,
    rounds: int,
    generator: np.random.Generator,
) -> Array:
    """Return the milliseconds of one call of each network at the machine's best pace, ``[architectures]``.

    Networks are in evaluation mode and without gradients; they share the weights of one supernet, which needs less
    memory and takes the same time.
    """
    timed = _measured(space, architectures, conditions, rounds=rounds, generator=generator)
    return np.asarray(np.median(timed.parts.sum(axis=2), axis=0))


def measured_beside(
    table: LatencyTable,
    space: Space,
    architectures: Sequence[Architecture],
    *,
    rounds: int,
    generator: np.random.Generator,
) -> Array:
    """Return ``measured`` at the pace that the machine had when a table was made, ``[architectures]``.

    Some networks of its check are measured again, in the same moments, and the median of what has become of them tells
    the pace. (Two sessions on a busy server differed by up to 20% by the clock.)
    """
    known = [space.decisions.parse(code) for code in table.codes[:AGAIN]]
    times = measured(space, [*architectures, *known], table.conditions, rounds=rounds, generator=generator)
    now = times[len(architectures) :]
    return np.asarray(times[: len(architectures)] * np.median(np.array(table.measured[: len(known)]) / now))


@dataclass(frozen=True)
class _Timed:
    parts: Array
    """Milliseconds at the pace of the quickest reference, ``[rounds, architectures, parts]``."""
    disturbance: float


def _measured(
    space: Space,
    architectures: Sequence[Architecture],
    conditions: Conditions,
    *,
    rounds: int,
    generator: np.random.Generator,
    advance: Advance = lambda done, total: None,
) -> _Timed:
    device, dtype = torch.device(conditions.device), getattr(torch, conditions.dtype)
    supernet = space.supernet(seed=0).eval()
    reference, *networks = [
        [part.to(device, dtype) for part in _parts(supernet.network, _network(space, supernet, architecture))]
        for architecture in (space.decisions.sample(np.random.default_rng(0)), *architectures)
    ]
    x = torch.randn(conditions.batch_size, *conditions.input_shape, device=device, dtype=dtype)
    clock = clock_of(conditions)[1]
    times = np.zeros((rounds, len(networks), len(_reads(space))))
    paces = np.zeros((rounds, len(networks)))
    with _quietly(conditions.threads):
        for turn in range(rounds):
            for done, i in enumerate(generator.permutation(len(networks)).tolist(), start=1):
                calls = [
                    (_milliseconds(reference, x, clock), _milliseconds(networks[i], x, clock)) for _ in range(1 + CALLS)
                ]
                paces[turn, i] = sum(theirs.sum() for theirs, _ in calls[1:]) / CALLS
                times[turn, i] = sum(own for _, own in calls[1:]) / CALLS
                advance(turn * len(networks) + done, rounds * len(networks))
    best = float(paces.min())
    return _Timed(times * (best / paces)[:, :, None], float(np.median(paces)) / best - 1)


def _parts(definition: nn.Module, network: nn.Module) -> list[nn.Module]:
    """Return the parts of a network that run one after another, those of its definition: equally many in each."""
    if type(definition) is not nn.Sequential:
        return [network]
    assert isinstance(network, nn.Sequential)
    return [part for d, n in zip(definition, network, strict=True) for part in _parts(d, n)]


def _reads(space: Space) -> list[list[str]]:
    """Return the decisions that each part of a network depends on, in order."""
    with torch.device("meta"):
        parts = chain(fill_all(space.definition()))
    return [list(dict.fromkeys(d.name for slot in slots(part) for d in slot.decisions())) for part in parts]


def clock_of(conditions: Conditions) -> tuple[str, Clock]:
    """Return the clock that is read, with its name.

    On one thread of a CPU that is the time the thread has run, which on an idle machine is the time that passes; where
    other processes want the processor too, it leaves out the waiting for them (R2 of one table on a crowded machine:
    0.65 by the time that passes, 0.85 by this).
    """
    if conditions.threads == 1 and conditions.device == "cpu":
        return "processor time of the thread", time.thread_time
    return "time that passes", time.perf_counter


def _milliseconds(parts: Sequence[nn.Module], x: Tensor, clock: Clock) -> Array:
    """Return the time of each part in one call of the whole network."""
    moments = [clock()]
    y = x
    for part in parts:
        y = part(y)
        _finish(x)
        moments.append(clock())
    return np.asarray(1e3 * np.diff(moments))


def _finish(x: Tensor) -> None:
    if x.is_cuda:
        torch.cuda.synchronize(x.device)


@contextmanager
def _quietly(threads: int) -> Iterator[None]:
    """Fix the threads, and turn off gradients and numbers so small that processors stumble on them."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # untrained deep networks can reach them, trained ones do not
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)


def _network(space: Space, supernet: Supernet, architecture: Architecture) -> nn.Module:
    """Return the stand-alone network with tensors of the supernet."""
    with torch.device("meta"):
        network = space.build(architecture, seed=0).eval()
    state = {name: tensor.contiguous() for name, tensor in space.shared_state(supernet, architecture).items()}
    network.load_state_dict(state, strict=False, assign=True)
    if any(tensor.is_meta for tensor in (*network.parameters(), *network.buffers())):
        return space.build(architecture, seed=0).eval()  # it has tensors that are no part of its state
    return network


def _enough(decisions: Decisions, wanted: int, check: int) -> int:
    """Return how many networks to fit to; of a small space at most those that the check leaves."""
    wanted = max(FEWEST, wanted)
    is_small = decisions.count() < 10 * (wanted + check)
    return min(wanted, decisions.count_distinct() - check) if is_small else wanted


def _draw(decisions: Decisions, count: int, generator: np.random.Generator) -> list[Architecture]:
    """Draw so many different networks, each as the encoding that was drawn.

    Canonical forms would hardly show some options: in a row of layers, one that does nothing comes last.
    """
    encodings = Decisions(decisions.space, list(decisions.decisions.values()))
    drawn: dict[Architecture, Architecture] = {}
    for _ in range(100 * count):
        encoding = encodings.sample(generator)
        drawn.setdefault(decisions.check(encoding), encoding)
        if len(drawn) == count:
            return list(drawn.values())
    raise PalmetteError(
        f"latency: {count} different networks are needed and space {decisions.space!r} gave {len(drawn)}; "
        "measure fewer, with --networks and --check"
    )


def _text(value: object) -> str:
    return "+".join(value) if isinstance(value, tuple) else str(value)
