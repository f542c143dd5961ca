"""Architectures as Optuna's trials: one parameter per decision, absent where the decision is inactive.

One of n is a categorical distribution over the options' names, an integer range an integer distribution, any of n a
categorical one over the subsets, or, where these are too many to list, one yes or no per option. Optuna is imported
only when something is converted.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from palmette.architecture import Architecture, Value
from palmette.decision import Decision, Integer, Subset
from palmette.decisions import Decisions
from palmette.errors import MissingExtraError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

DIRECTIONS = {"higher": "maximize", "lower": "minimize"}
"""Of objectives, as Optuna calls them."""

MOST_SUBSETS = 64
"""Values of any-of-n up to which its parameter is one categorical."""
JOINT = "+"
NOTHING = "(none)"


def the_optuna() -> Any:
    """Return the package, told to be quiet.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise MissingExtraError("optuna is not installed; run: pip install palmette[optuna]") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


@lru_cache(4096)
def distributions(decision: Decision) -> Mapping[str, BaseDistribution]:
    """Return the parameters of one decision, by name; the same objects every time, for they are slow to make."""
    optuna = the_optuna()
    categorical = optuna.distributions.CategoricalDistribution
    if isinstance(decision, Integer):
        return {decision.name: _of_range(decision)}
    if isinstance(decision, Subset) and not _is_listed(decision):
        return {f"{decision.name}/{option}": categorical(("no", "yes")) for option in decision.options}
    return {decision.name: categorical(tuple(_text(value) for value in decision.values()))}


def parameters(decision: Decision, value: Value) -> dict[str, str | int]:
    """Return the values of a decision's parameters, by name."""
    if isinstance(decision, Integer):
        assert isinstance(value, int)
        return {decision.name: value if _is_range(decision) else str(value)}
    if isinstance(decision, Subset) and not _is_listed(decision):
        assert isinstance(value, tuple)
        return {f"{decision.name}/{option}": "yes" if option in value else "no" for option in decision.options}
    return {decision.name: _text(value)}


def value_of(decision: Decision, given: Mapping[str, Any]) -> Value:
    """Return the value of a decision whose parameters are ``given``, the inverse of ``parameters``."""
    if isinstance(decision, Integer):
        return int(given[decision.name])
    if isinstance(decision, Subset) and not _is_listed(decision):
        return tuple(option for option in decision.options if given[f"{decision.name}/{option}"] == "yes")
    text = given[decision.name]
    return next(value for value in decision.values() if _text(value) == text)


def frozen(
    decisions: Decisions,
    architecture: Architecture,
    values: Sequence[float] | None,
    *,
    user: Mapping[str, Any] | None = None,
    system: Mapping[str, Any] | None = None,
) -> Any:
    """Return a finished trial of Optuna; one without values has failed.

    Args:
        decisions: of the space.
        architecture: what was evaluated.
        values: of the objectives.
        user: attributes that people read.
        system: attributes that samplers read.
    """
    optuna = the_optuna()
    given: dict[str, str | int] = {}
    ranges = _Shared()
    for name, value in architecture.values:
        given |= parameters(decisions.decisions[name], value)
        ranges |= distributions(decisions.decisions[name])
    state = optuna.trial.TrialState.FAIL if values is None else optuna.trial.TrialState.COMPLETE
    now = datetime.datetime.now()
    return optuna.trial.FrozenTrial(
        number=-1,
        trial_id=-1,
        state=state,
        value=None,
        values=values,
        datetime_start=now,
        datetime_complete=now,
        params=given,
        distributions=ranges,
        user_attrs=dict(user or {}),
        system_attrs=dict(system or {}),
        intermediate_values={},
    )


class _Shared(dict[str, "BaseDistribution"]):
    """Distributions, which nothing changes: a deep copy of a trial, which Optuna often makes, need not copy them."""

    def __deepcopy__(self, memo: object) -> _Shared:
        return _Shared(self)


def _of_range(decision: Integer) -> BaseDistribution:
    distribution = the_optuna().distributions
    if not _is_range(decision):
        return distribution.CategoricalDistribution(tuple(map(str, decision.values())))  # type: ignore[no-any-return]
    high = decision.low + (decision.high - decision.low) // decision.step * decision.step
    return distribution.IntDistribution(decision.low, high, log=decision.log, step=decision.step)  # type: ignore[no-any-return]


def _is_range(decision: Integer) -> bool:
    """Say whether Optuna has such a range: logarithmic ones there have steps of 1 and begin at 1."""
    return not decision.log or (decision.step == 1 and decision.low >= 1)


def _is_listed(decision: Subset) -> bool:
    return len(decision.options) <= 16 and len(decision.values()) <= MOST_SUBSETS


def _text(value: Value) -> str:
    return (JOINT.join(value) or NOTHING) if isinstance(value, tuple) else str(value)
