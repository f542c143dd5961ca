"""Model card: what a network is, what it was trained on, how well it does and how sure that is, as Markdown.

Mitchell et al., "Model Cards for Model Reporting", 2019, as far as a search knows the answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from palmette.costs.limits import amount
from palmette.errors import StorageError
from palmette.evaluation.metric import ACCURACY, PERPLEXITY, Metric
from palmette.export.weights import Card
from palmette.storage.typed import typed

NO_AUDIT = (
    "Not audited: nothing here shows how far the ranking by shared weights agrees with training each network alone."
)


def model_card(directory: Path, card: Card) -> str:
    """Return the card of the winner of a finished run.

    Raises:
        StorageError: the directory has no result of a search.
    """
    known = _Known.read(directory, PERPLEXITY if card.is_text else ACCURACY)
    of_what = "tokens" if card.is_text else "images"
    rows = [
        ("Architecture", f"`{known.code}` of space `{card.architecture.space}`"),
        ("Data", card.data),
        *_input(card),
        *((f"Cost: {name}", amount(name, value)) for name, value in known.costs.items()),
        *((f"{role.capitalize()} {of_what}", f"{count:,}") for role, count in known.roles.items() if count),
        *known.test,
        ("Cost of the search", known.search),
    ]
    table = "\n".join(["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows)])
    findings = "\n".join(f"- {line}" for line in known.findings)
    made_on = "\n".join(f"- {key}: {value}" for key, value in known.environment.items())
    kind, verb = ("text", "was") if card.is_text else ("images", "were")
    return f"""# {known.code}

{table}

## How far this can be trusted

{findings}

The test {kind} {verb} read once, at the end. The figures hold for {kind} like those of the data set, no others.

## How it was made

Found and trained by Palmette with these settings:

```toml
{known.configuration}
```

{made_on}
"""


@dataclass(frozen=True)
class _Known:
    """What a run directory says of its winner."""

    code: str
    costs: Mapping[str, float]
    roles: Mapping[str, int]
    """Images or tokens by what they were used for."""
    test: Sequence[tuple[str, str]]
    """Rows of the table."""
    search: str
    """What it cost."""
    findings: Sequence[str]
    environment: Mapping[str, str]
    configuration: str

    @staticmethod
    def read(directory: Path, metric: Metric) -> _Known:
        """Read the directory; errors as of ``model_card``."""
        unfinished = StorageError(f"{directory}: it has no result of this version; finish the run with --resume first")
        try:
            result = json.loads((directory / "result.json").read_text(encoding="utf-8"))
            is_alone = "winner" not in result and "test" in result
        except (OSError, TypeError, ValueError, RecursionError):
            raise unfinished from None
        if is_alone:
            raise StorageError(
                f"{directory}: it was made by 'palmette retrain', which leaves no account; the card is of a search, "
                "so give the directory of one"
            )
        try:
            winner = result["winner"]
            facts = json.loads((directory / "environment.json").read_text(encoding="utf-8"))
            test = typed(Mapping[str, float], winner["test"], where="test")
            low, high = map(metric.show, typed(tuple[float, float], winner["interval"], where="interval"))
            main = (f"Test {metric.name}", f"{metric.show(test[metric.name])}, 95% interval {low} to {high}")
            others = [(f"Test {name}", f"{value:.4f}") for name, value in test.items() if name != metric.name]
            return _Known(
                code=typed(str, winner["code"], where="code"),
                costs=typed(Mapping[str, float], winner["costs"], where="costs"),
                roles=typed(Mapping[str, int], result["roles"], where="roles"),
                test=[main, *others],
                search=_searched(typed(Mapping[str, float], result["search"], where="search")),
                findings=[
                    *typed(Sequence[str], result["headline"], where="headline"),
                    *typed(Sequence[str], result["audit"] or [NO_AUDIT], where="audit"),
                ],
                environment=typed(Mapping[str, str], facts, where="environment"),
                configuration=(directory / "config.toml").read_text(encoding="utf-8").rstrip(),
            )
        except (OSError, KeyError, TypeError, ValueError, RecursionError):
            raise unfinished from None


def _searched(search: Mapping[str, float]) -> str:
    return (
        f"{search['evaluations']:,.0f} evaluations; {search['passes']:.3g} forward passes of one input, through the "
        f"average network {search['flops']:.3g} FLOPs"
    )


def _input(card: Card) -> list[tuple[str, str]]:
    """Return the rows that say what the network takes."""
    if card.is_text:
        return [("Vocabulary", f"{len(card.classes):,} words, in `network.safetensors`")]
    shape = " x ".join(map(str, card.input_shape))
    return [
        ("Classes", ", ".join(card.classes)),
        ("Input", f"{shape}, (pixels / 255 - mean) / std"),
        ("Mean, std", f"{_numbers(card.mean)}; {_numbers(card.std)}"),
    ]


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
