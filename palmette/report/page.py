"""The report: one HTML page that holds everything it shows and loads nothing.

``render`` is a pure function of ``Contents``. The page forbids itself the network and any script other than its
own three by a content security policy, so that text from a run cannot become code even if escaping had a hole.
"""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from string import Template

from palmette.report import sections
from palmette.report.audit import audit
from palmette.report.collapse import collapse
from palmette.report.contents import Contents
from palmette.report.plots import embedded, plot_data
from palmette.report.wording import escape

WATCH = "addEventListener('error',e=>{document.documentElement.dataset.errors=e.message||'failed to load'});"
"""Runs first: a page whose script failed says so (see ``page.css``) in place of quietly showing no plots."""


def render(contents: Contents) -> str:
    """Return the page as the text of one HTML file, to be written as UTF-8."""
    from plotly.offline import get_plotlyjs  # here, since it reads 4.8 MB

    scripts = {"watch": WATCH, "plotly": get_plotlyjs(), "script": _file("page.js")}
    return Template(_file("page.html")).substitute(
        scripts,
        policy=_policy(*scripts.values()),
        title=escape(f"{contents.method} on {contents.data}: search report"),
        style=_file("page.css"),
        headline=sections.headline(contents),
        sections="\n".join(part(contents) for part in _PARTS),
        data=embedded(plot_data(contents)),
    )


_PARTS = (
    sections.winner,
    sections.pictures,
    sections.costs,
    sections.trials,
    sections.history,
    audit,
    collapse,
    sections.curves,
    sections.time,
    sections.environment,
)


def _policy(*scripts: str) -> str:
    """Return the content security policy that allows these inline scripts and no others, and no requests."""
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _file(name: str) -> str:
    return resources.files("palmette.report").joinpath(name).read_text(encoding="utf-8")
