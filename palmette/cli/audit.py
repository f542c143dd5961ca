"""``palmette audit``: hold the ranking of a finished search against the truth again, with more networks or a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from palmette.cli.main import parse
from palmette.methods.options import AuditOptions
from palmette.workers.options import ClusterOptions


@dataclass(frozen=True, kw_only=True)
class AuditRun:
    """Print how well a finished search ranks architectures, against stand-alone training or a table of accuracies.

    Examples: `palmette audit runs/mine --networks 16`; `palmette audit runs/macro --table nas_bench_macro_cifar10.csv`.
    """

    run: Annotated[Path, tyro.conf.Positional]
    """The directory of a run."""
    by: Annotated[ClusterOptions, tyro.conf.arg(name="")] = field(default_factory=ClusterOptions)
    audit: Annotated[AuditOptions, tyro.conf.arg(name="")] = field(default_factory=AuditOptions)


def run(arguments: Sequence[str]) -> None:
    options = parse(AuditRun, arguments, name="audit")
    assert isinstance(options, AuditRun)
    from palmette.cli.search import reopened
    from palmette.methods.search import audited
    from palmette.progress import Bars

    with reopened(options.run, Bars(), by=options.by) as (job, method):
        trust = audited(job, method.search(job), method.retraining, options.audit)
    if trust is None:
        print("no audit was asked for; give --networks or --table")
        return
    for statistic in trust.statistics:
        interval = f"[{statistic.low:.4f}, {statistic.high:.4f}]"
        print(f"{statistic.score:<10} {statistic.name:<28} {statistic.value:8.4f}  {interval}")
    print("\n".join([f"against {trust.source}", *trust.verdict]))
