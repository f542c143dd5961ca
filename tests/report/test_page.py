from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from example_contents import HOSTILE, example_contents, hostile_contents

from palmette.evaluation.trust import Statistic
from palmette.report.collapse import sentences
from palmette.report.contents import Contents, Curve
from palmette.report.page import render

SECTIONS = ["winner", "costs", "trials", "history", "audit", "curves", "time", "environment"]


class _Outline(HTMLParser):
    """The elements of a page with their attributes, the text outside scripts, and the text of each script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def contents() -> Contents:
    return example_contents()


@pytest.fixture(scope="module")
def page(contents: Contents) -> str:
    return render(contents)


def test_the_page_is_a_function_of_its_contents(contents: Contents, page: str) -> None:
    assert render(contents) == page


def test_sections_come_in_reading_order(page: str) -> None:
    assert [attributes["id"] for attributes in _Outline(page).all("section")] == SECTIONS


def test_the_headline_gives_accuracy_interval_and_every_sentence(contents: Contents, page: str) -> None:
    text = _Outline(page).text
    assert "93.18%" in text
    assert "95% interval 92.67% to 93.66%" in text
    for sentence in contents.headline:
        assert sentence in text


def test_plotly_is_inlined_once_and_nothing_is_loaded(page: str) -> None:
    outline = _Outline(page)
    assert page.count("* plotly.js v") == 1
    assert [attributes for attributes in outline.all("script") if "src" in attributes] == []
    assert outline.all("link") == []
    assert outline.all("img") == []
    assert all((attributes.get("href") or "").startswith("#") for attributes in outline.all("a"))


def test_the_policy_allows_no_requests_and_no_foreign_script(page: str) -> None:
    policies = [a["content"] or "" for a in _Outline(page).all("meta") if a.get("http-equiv")]
    assert len(policies) == 1
    assert policies[0].startswith("default-src 'none'; script-src 'sha256-")
    assert policies[0].count("'sha256-") == 3
    assert "unsafe-inline" not in policies[0].split(";")[1]


def test_every_limit_is_shown_with_whether_it_holds(contents: Contents) -> None:
    spent = render(replace(contents, costs={"flops": 7e7, "params": 1.2e6}))
    text = _Outline(spent).text.replace("\u00a0", " ")
    assert "✗ outside: at most 60 M" in text
    assert "✓ within: 1 M to 2.5 M" in text


def test_a_limited_cost_that_was_not_recorded_is_named(contents: Contents) -> None:
    text = _Outline(render(replace(contents, limits={"latency": (None, 12.0)}))).text.replace("\u00a0", " ")
    assert "Latency at most 12 ms: the winner's cost was not recorded" in text


def test_latency_has_its_unit_wherever_it_stands(contents: Contents) -> None:
    trials = [replace(t, costs={**t.costs, "latency": t.costs["flops"] / 50_000}) for t in contents.trials]
    measured = replace(
        contents, costs={**contents.costs, "latency": 1234.5}, limits={"latency": (None, 1500.0)}, trials=trials
    )
    outline = _Outline(render(measured))
    text = outline.text.replace("\u00a0", " ")
    assert "Latency1,234.5 msat most 1,500 ms" in text  # among the facts
    assert "Latency 1,234.5 ms ✓ within: at most 1,500 ms" in text
    assert "1,500 ms" in text[text.index("✓ within: at most 1,500 ms") + 26 :]  # under the tick of the gauge
    assert "Latency (ms)FLOPs" in text  # to choose from
    front = text[text.index("The Pareto front as a table") :]
    least = min(t.costs["latency"] for t in trials)
    assert f"evolution{least:,.5g} ms" in front or f"random{least:,.5g} ms" in front
    costs = json.loads(next(text for text in outline.scripts if text.startswith("{")))["costs"]
    assert costs[0] == {"name": "latency", "title": "Latency", "unit": "ms"}
    assert {cost["unit"] for cost in costs[1:]} == {""}


def watched(contents: Contents, *, skips: list[float], eigenvalue: list[float]) -> Contents:
    """Return the contents of a differentiable search, after each epoch's watch; eight layers can be skipped."""
    steps = list(range(len(skips)))
    watch = [Curve("supernet", "skips", steps, skips), Curve("supernet", "entropy", steps, [1.0, 0.5, 0.25])]
    watch += [Curve("supernet", "eigenvalue", steps, eigenvalue)] if eigenvalue else []
    return replace(contents, curves=[*contents.curves, *watch])


def test_a_collapse_is_told_by_its_skip_connections_and_eigenvalue(contents: Contents) -> None:
    layers = [
        replace(layer, alternatives=("identity", "k3")) if layer.alternatives else layer for layer in contents.layers
    ]
    searched = replace(contents, layers=layers, remarks=["It stopped at epoch 2."])
    assert sentences(watched(searched, skips=[1.0, 6.0, 5.0], eigenvalue=[0.2, 0.5, 0.3])) == [
        "Yes, by its skip connections: they are 5 of the 8 strongest options at the end.",
        "They were 1 at first and 6 at most.",
        "The mean entropy of the decisions went from 1.00 to 0.25 nats; at 0 all are made, and what is undecided at "
        "the end is decided by rounding.",
        "The dominant eigenvalue of the Hessian went from 0.2 to 0.3, 0.5 at most: it rose, as before a collapse.",
        "It stopped at epoch 2.",
    ]
    calm = sentences(watched(searched, skips=[1.0, 2.0, 4.0], eigenvalue=[]))
    assert calm[0] == "Not by its skip connections: they are 4 of 8 strongest options at the end."
    assert "was not measured" in calm[3]


def test_the_watch_has_a_section_of_its_own_where_there_was_one(contents: Contents, page: str) -> None:
    assert 'id="collapse"' not in page
    text = render(watched(contents, skips=[1.0, 2.0, 4.0], eigenvalue=[0.2, 0.2, 0.2]))
    section = text[text.index('id="collapse"') : text.index('id="curves"')]
    assert section.count("data-curve=") == 3
    assert text.count("data-curve=") == 3 + len(contents.curves)


def test_audit_shows_differences_in_the_group_of_their_statistic(page: str) -> None:
    table = page[page.index('<table class="statistics">') :]
    group = table[: table.index("</tbody>")]
    assert "Kendall&#x27;s τ-b" in group
    assert "Accuracy − FLOPs" in group
    assert group.count("<circle") == 5


def test_an_undefined_statistic_is_said_to_be_undefined(contents: Contents) -> None:
    nothing = Statistic("accuracy", "spearman", math.nan, math.nan, math.nan)
    assert contents.audit is not None
    text = _Outline(render(replace(contents, audit=replace(contents.audit, statistics=[nothing])))).text
    assert "undefined" in text
    assert "nan" not in text


def _without_points(contents: Contents) -> Contents:
    assert contents.audit is not None
    return replace(contents, audit=replace(contents.audit, points=[], statistics=[]))


@pytest.mark.parametrize(
    ("reduce", "sentence"),
    [
        (lambda c: replace(c, audit=None), "This run was not audited."),
        (_without_points, "No rank statistics were recorded."),
        (_without_points, "The audited architectures were not recorded"),
        (lambda c: replace(c, curves=[]), "No training curves were recorded."),
        (lambda c: replace(c, trials=[]), "No evaluated architectures"),
        (lambda c: replace(c, layers=[]), "The layers of the winner were not recorded."),
        (lambda c: replace(c, limits={}), "No limits were set"),
        (lambda c: replace(c, seconds={}), "The time of the phases was not recorded."),
        (lambda c: replace(c, environment={}), "The environment was not recorded."),
        (lambda c: replace(c, configuration=""), "The configuration was not recorded."),
    ],
)
def test_what_is_missing_is_said(contents: Contents, reduce: Callable[[Contents], Contents], sentence: str) -> None:
    outline = _Outline(render(reduce(contents)))
    assert sentence in outline.text
    assert [attributes["id"] for attributes in outline.all("section")] == SECTIONS


def test_text_from_data_never_becomes_markup(contents: Contents) -> None:
    clean, hostile = _Outline(render(contents)), _Outline(render(hostile_contents()))
    assert hostile.all("img") == []
    assert len(hostile.scripts) == len(clean.scripts) == 4
    assert {name for _, attributes in hostile.elements for name in attributes} <= {
        name for _, attributes in clean.elements for name in attributes
    } | {"data-trial"}
    assert hostile.text.count("<img src=x onerror=alert(1)>") > 20


def test_embedded_data_reads_back_as_it_was(contents: Contents) -> None:
    page = render(hostile_contents())
    data = re.search(r'<script type="application/json" id="palmette-data">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    record = json.loads(data[1])
    assert record["trials"][0]["code"] == HOSTILE
    assert record["winner"]["architecture"] == HOSTILE


def test_the_page_can_be_written_whatever_the_data_hold(contents: Contents) -> None:
    odd = replace(contents, method="\ud800\x00", configuration="\udcff", environment={"\ufffe": "\x1b[31m"})
    render(odd).encode("utf-8")
