"""Tables of latencies: what is measured, what the file holds, what is refused; the clock is a known function here."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tiny import space as tiny_space
from torch import Tensor, nn

from palmette.costs import latency
from palmette.costs.latency import Conditions, LatencyTable, measured, measured_beside, measured_table, read_latency
from palmette.errors import LimitError, PalmetteError
from palmette.space import Space
from palmette.spaces.darts import darts_small
from palmette.spaces.nas_bench_macro import nas_bench_macro
from palmette.spaces.small_images import small_images

CONDITIONS = Conditions(input_shape=(1, 8, 8))


def milliseconds(network: nn.Module) -> float:
    """Return a time that is a sum over the layers: 1, and a millionth for each weight."""
    return 1 + 1e-6 * sum(parameter.numel() for parameter in network.parameters())


def by_part(parts: Sequence[nn.Module], *_: object) -> npt.NDArray[np.float64]:
    """Return the same time of a whole network, the 1 in its first part."""
    return np.array([milliseconds(part) - (i > 0) for i, part in enumerate(parts)])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "_milliseconds", by_part)


def small_table() -> LatencyTable:
    return measured_table(small_images(), CONDITIONS, networks=40, check=6, rounds=3, seed=1)


@pytest.mark.usefixtures("clock")
def test_what_is_a_sum_is_found_and_predicted_exactly() -> None:
    space = small_images()
    table = small_table()
    assert table.agreement.r2 == pytest.approx(1.0)
    architecture = space.decisions.parse("332202")
    assert table.table(architecture)["latency"] == pytest.approx(milliseconds(space.build(architecture, seed=0)))


@pytest.mark.usefixtures("clock")
def test_progress_is_told_and_later_measurements_are_at_the_pace_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    space, told = small_images(), []
    table = measured_table(
        space, CONDITIONS, networks=40, check=6, rounds=3, advance=lambda done, total: told.append((done, total))
    )
    assert told[-1] == (3 * 46, 3 * 46)
    generator, architecture = np.random.default_rng(0), space.decisions.parse("332202")
    monkeypatch.setattr(latency, "_milliseconds", lambda parts, *_: 3 * by_part(parts))
    later = measured_beside(table, space, [architecture], rounds=3, generator=generator)
    assert later == pytest.approx(milliseconds(space.build(architecture, seed=0)))
    assert measured(space, [architecture], CONDITIONS, rounds=3, generator=generator) == pytest.approx(3 * later)


@pytest.mark.usefixtures("clock")
def test_networks_of_the_check_took_no_part_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    space, fitted = small_images(), []
    real = latency.fit_additive

    def spy(decisions, architectures, values, *, name, reads):  # type: ignore[no-untyped-def]
        fitted.extend(decisions.code(decisions.check(a)) for a in architectures)
        return real(decisions, architectures, values, name=name, reads=reads)

    monkeypatch.setattr(latency, "fit_additive", spy)
    table = measured_table(space, CONDITIONS, networks=50, check=20, rounds=3)
    assert (len(set(fitted)), len(set(table.codes))) == (50, 20)
    assert not set(fitted) & set(table.codes)


@pytest.mark.usefixtures("clock")
def test_options_that_canonical_codes_hardly_show_are_measured_too() -> None:
    space = nas_bench_macro()  # canonically layer 8 does something only where 7 does, too
    table = measured_table(space, Conditions(input_shape=(3, 32, 32)), networks=40, check=3, rounds=3)
    one, other = table.table.options["layer7"], table.table.options["layer8"]
    assert one[:, 0] == pytest.approx(other[:, 0], abs=1e-6)


def test_the_measured_network_is_the_path_of_the_supernet(monkeypatch: pytest.MonkeyPatch) -> None:
    space = tiny_space(3)
    supernet, architecture = space.supernet(seed=0).eval(), space.decisions.parse("012")

    outputs = []

    def call(parts: Sequence[nn.Module], x: Tensor, _: object) -> npt.NDArray[np.float64]:
        network = nn.Sequential(*parts)
        assert not any(hasattr(module, "factories") for module in network.modules())
        outputs.append((network(x), supernet(x, space.choice(architecture))))
        return np.ones(len(parts))

    monkeypatch.setattr(latency, "_milliseconds", call)
    measured(space, [architecture], CONDITIONS, rounds=2, generator=np.random.default_rng(0))
    assert len(outputs) == 2 * 2 * (1 + latency.CALLS)
    for own, there in outputs[1::2]:  # in turn with the reference
        assert torch.equal(own, there)


def test_a_pace_that_changes_from_moment_to_moment_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = np.random.default_rng(0)
    space, pace = small_images(), [1.0]

    def slowed(parts: Sequence[nn.Module], *_: object) -> npt.NDArray[np.float64]:
        slowed.calls += 1  # type: ignore[attr-defined]
        if slowed.calls % 8 == 1:  # type: ignore[attr-defined]
            pace[0] = moment.uniform(1, 2)
        return pace[0] * by_part(parts)

    slowed.calls = 0  # type: ignore[attr-defined]
    monkeypatch.setattr(latency, "_milliseconds", slowed)
    architectures = [space.decisions.parse(code) for code in ("332202", "000000", "112111")]
    times = measured(space, architectures, CONDITIONS, rounds=5, generator=np.random.default_rng(0))
    expected = np.array([milliseconds(space.build(architecture, seed=0)) for architecture in architectures])
    assert times / times[0] == pytest.approx(expected / expected[0])
    assert times[0] / expected[0] == pytest.approx(1, abs=0.2)  # the quickest of 15 paces from 1 to 2


def test_a_real_clock_gives_positive_times_and_leaves_the_threads_as_they_were() -> None:
    before = torch.get_num_threads()
    space = tiny_space(3)
    networks = list(space.decisions.enumerate())[:4]
    times = measured(
        space,
        networks,
        CONDITIONS,
        rounds=3,
        generator=np.random.default_rng(0),
    )
    assert times.shape == (4,)
    assert (times > 0).all()
    assert torch.get_num_threads() == before


def test_parts_that_are_no_weights_do_not_stay_without_memory() -> None:
    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("shift", torch.ones(1), persistent=False)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.shift  # type: ignore[operator]

    inner = tiny_space(2)
    space = Space(lambda: nn.Sequential(Shifted(), inner.definition()), name="shifted")
    times = measured(
        space, [next(space.decisions.enumerate())], CONDITIONS, rounds=3, generator=np.random.default_rng(0)
    )
    assert (times > 0).all()


@pytest.mark.usefixtures("clock")
def test_the_file_gives_the_table_back() -> None:
    table = small_table()
    again = read_latency(table.to_json(), small_images().decisions)
    assert again.to_json() == table.to_json()
    assert again.predicted == table.predicted
    assert (again.conditions, again.measured) == (table.conditions, table.measured)


@pytest.mark.usefixtures("clock")
def test_files_that_are_no_table_of_the_space_are_refused() -> None:
    decisions, text = small_images().decisions, small_table().to_json()
    with pytest.raises(LimitError, match="it is no table of latencies; 'palmette latency SPACE' makes one"):
        read_latency("[1, 2]", decisions)
    with pytest.raises(LimitError, match="it is no table"):
        read_latency(text[:-20], decisions)
    with pytest.raises(LimitError, match="version 1 of the format, this palmette reads 2; measure again"):
        read_latency(json.dumps(json.loads(text) | {"palmette_latency": 1}), decisions)
    with pytest.raises(LimitError, match="of space 'small-images', needed is 'nas-bench-macro' with the same options"):
        read_latency(text, nas_bench_macro().decisions)
    with pytest.raises(LimitError, match=r"it is damaged \('check'\); measure again"):
        read_latency(json.dumps({k: v for k, v in json.loads(text).items() if k != "check"}), decisions)


def test_numbers_that_make_no_table_are_refused() -> None:
    with pytest.raises(PalmetteError, match="networks = 3 were given; allowed are at least 3, 3 and 4, one for each"):
        measured_table(small_images(), CONDITIONS, networks=3)
    with pytest.raises(PalmetteError, match="90 different networks are needed and space 'tiny' gave 27"):
        measured_table(tiny_space(3), CONDITIONS, networks=60)


def test_the_clock_is_read_between_the_layers_of_a_chain_and_around_other_networks() -> None:
    space = small_images()
    reads = latency._reads(space)
    layers = list(space.decisions.decisions)
    assert [read for read in reads if read] == [[layer] for layer in layers]
    assert len(
        latency._parts(space.supernet(seed=0).network, space.build(space.decisions.parse("332202"), seed=0))
    ) == len(reads)
    assert latency._reads(darts_small()) == [list(darts_small().decisions.decisions)]
