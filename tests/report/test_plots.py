from __future__ import annotations

import json
import math
from dataclasses import replace

from example_contents import example_contents

from palmette.report.contents import TrialRow
from palmette.report.plots import cost_names, embedded, pareto_front, plot_data


def _trial(flops: float, accuracy: float) -> TrialRow:
    return TrialRow("0", "{}", "random", 0, {"accuracy": accuracy}, {"flops": flops})


def test_the_front_holds_the_trials_that_no_other_beats() -> None:
    trials = [_trial(3, 0.9), _trial(1, 0.5), _trial(2, 0.4), _trial(2, 0.7), _trial(4, 0.9)]
    assert pareto_front(trials, "flops", {}) == [1, 3, 0]


def test_of_equal_trials_the_front_holds_one() -> None:
    assert pareto_front([_trial(1, 0.5), _trial(1, 0.5)], "flops", {}) == [0]


def test_trials_outside_the_limits_or_without_accuracy_are_not_on_the_front() -> None:
    trials = [_trial(1, 0.5), _trial(2, math.nan), _trial(3, 0.8), _trial(4, 0.9)]
    assert pareto_front(trials, "flops", {"flops": (2, 3)}) == [2]


def test_costs_with_limits_are_offered_first_and_flops_before_the_others() -> None:
    costs = {"params": 1.0, "flops": 2.0, "bitops": 3.0}
    contents = replace(example_contents(), trials=[TrialRow("0", "{}", "random", 0, {}, costs)], limits={})
    assert cost_names(contents) == ["flops", "params", "bitops"]
    assert cost_names(replace(contents, limits={"bitops": (None, 9.0)})) == ["bitops", "flops", "params"]


def test_embedded_json_holds_no_character_that_ends_a_script_and_reads_back_equal() -> None:
    data = {"name": "</script><!--<img onerror=alert(1)>&\u2028"}
    text = embedded(data)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == data


def test_numbers_that_json_cannot_say_become_null() -> None:
    trials = [_trial(1, math.nan), _trial(math.inf, 0.5)]
    contents = replace(example_contents(trials_per_arm=2), trials=trials)
    data = json.loads(embedded(plot_data(contents)))
    assert data["trials"][0]["metrics"]["accuracy"] is None
    assert data["trials"][1]["costs"]["flops"] is None
