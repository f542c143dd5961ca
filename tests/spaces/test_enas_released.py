"""The final networks of ENAS as its code builds them: parameters by structure, and the scripts read right."""

from __future__ import annotations

import pytest
import torch

from palmette.spaces.enas_released import PUBLISHED, MacroScript, MicroScript, loose_ends


@pytest.mark.parametrize(
    ("name", "parameters"), [("enas-macro-released", 42_559_392), ("enas-micro-released", 3_894_372)]
)
def test_released_networks_have_the_parameters_of_their_structure(name: str, parameters: int) -> None:
    """Not the 21.3M and 4.6M of the paper, whose networks they are not (enas.md 3.5)."""
    with torch.device("meta"):
        network = PUBLISHED[name].network()
        assert network(torch.empty(2, 3, 32, 32)).shape == (2, 10)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_the_macro_script_has_98_of_276_skips_and_no_layer_reads_its_own_input_twice() -> None:
    script = PUBLISHED["enas-macro-released"]
    assert isinstance(script, MacroScript)
    assert len(script.operations) == len(script.skips) == 24
    assert sum(map(len, script.skips)) == 98
    assert all(max(skips, default=-1) < layer for layer, skips in enumerate(script.skips))


def test_loose_ends_of_the_micro_script() -> None:
    script = PUBLISHED["enas-micro-released"]
    assert isinstance(script, MicroScript)
    assert loose_ends(script.normal) == [2, 3, 4, 5, 6]
    assert loose_ends(script.reduction) == [2, 4, 5, 6]
