"""The page as a reader meets it: in headless Chromium, at the widths of a desk and of a phone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, chromium, running
from example_contents import example_contents, hostile_contents

from palmette.architecture import Architecture
from palmette.cli.compare_runs import account_of
from palmette.comparison.account import write
from palmette.comparison.of_runs import FinishedRun
from palmette.costs.additive import AdditiveTable
from palmette.costs.latency import Conditions, LatencyTable
from palmette.design_spaces.page import render as render_study
from palmette.evaluation.metric import ACCURACY
from palmette.report.contents import Contents
from palmette.report.latency import render as render_latency
from palmette.report.page import render
from palmette.spaces.nas_bench_macro import nas_bench_macro

WIDTHS = (1280, 390)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        pytest.skip("no chromium on this machine; install the package of that name to run the page's tests")
    with running(path) as started:
        yield started


@pytest.fixture(scope="module")
def contents() -> Contents:
    return example_contents()


@pytest.fixture(scope="module")
def page(contents: Contents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _write(contents, tmp_path_factory.mktemp("report"))


@pytest.mark.parametrize("width", WIDTHS)
def test_all_plots_are_drawn_without_errors_and_without_requests(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width=width)
    assert browser.evaluate("document.documentElement.dataset.errors || ''") == ""
    assert browser.problems() == []
    assert browser.requests() == []
    undrawn = "[...document.querySelectorAll('.plot')].filter(p => !p.querySelector('svg.main-svg')).length"
    assert browser.evaluate(undrawn) == 0
    assert browser.evaluate("document.querySelectorAll('.plot').length") == 2 + 3 + 6


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width=width)
    browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.evaluate("innerWidth") == width
    assert browser.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("width", "shown"), [(1280, "for-desktop"), (800, "for-tablet"), (390, "for-phone")])
def test_one_drawing_of_the_winner_fits_the_screen(browser: Browser, page: Path, width: int, shown: str) -> None:
    browser.open(page, width=width)
    visible = "[...document.querySelectorAll('.drawing')].filter(d => d.offsetWidth).map(d => d.className)"
    assert browser.evaluate(visible) == [f"drawing {shown}"]


@pytest.mark.parametrize("plot", ["trials-plot", "history-plot"])
def test_a_point_shows_its_metrics_on_hover_and_its_architecture_on_click(
    browser: Browser, page: Path, contents: Contents, plot: str
) -> None:
    browser.open(page, width=1280)
    browser.evaluate(f"document.querySelectorAll('#{plot} .points')[1].querySelector('path').id = 'sample'")
    browser.hover("#sample")
    browser.wait(f"document.querySelector('#{plot} .hoverlayer text')")
    label = browser.evaluate(f"document.querySelector('#{plot} .hoverlayer text').textContent")
    assert "accuracy" in label
    browser.click("#sample")
    browser.wait("document.getElementById('architecture-facts').textContent.includes('generation')")
    code = browser.evaluate("document.getElementById('architecture-title').textContent")
    shown = json.loads(browser.evaluate("document.getElementById('architecture-json').textContent"))
    assert code in label
    assert shown in [json.loads(trial.architecture) for trial in contents.trials if trial.code == code]


def test_the_parts_of_the_chosen_architecture_add_up_to_its_cost(
    browser: Browser, page: Path, contents: Contents
) -> None:
    browser.open(page, width=1280)
    table = "[...document.querySelectorAll('.parts tr')].map(r => [...r.cells].slice(0, 3).map(c => c.textContent))"
    browser.evaluate("document.querySelector('[data-front=flops] [data-trial]').click()")
    code = browser.evaluate("document.getElementById('architecture-title').textContent")
    trial = next(trial for trial in contents.trials if trial.code == code)
    for cost in ("flops", "params"):
        browser.evaluate(
            f"(s => {{ s.value = '{cost}'; s.dispatchEvent(new Event('change')); }})(window['cost-select'])"
        )
        browser.wait(
            f"document.querySelector('#architecture-parts summary').textContent.startsWith('{cost[0].upper()}')"
        )
        rows = browser.evaluate(table)
        chosen = Architecture.from_json(trial.architecture)
        assert [tuple(row[:2]) for row in rows] == [("fixed layers", ""), *chosen.values]
        assert sum(float(row[2].replace(",", "")) for row in rows) == pytest.approx(trial.costs[cost], rel=1e-4)


def test_the_panel_starts_with_the_winner_and_copies(browser: Browser, page: Path, contents: Contents) -> None:
    browser.open(page, width=1280)
    assert browser.evaluate("document.getElementById('architecture-title').textContent") == contents.winner_code
    browser.click("#architecture-copy")
    browser.wait("['Copied', 'Selected'].includes(document.getElementById('architecture-copy').textContent)")


def test_another_cost_changes_axis_and_front(browser: Browser, page: Path) -> None:
    browser.open(page, width=1280)
    title = "document.querySelector('#trials-plot .xtitle').textContent"
    assert browser.evaluate(title) == "FLOPs"
    browser.evaluate("(s => { s.value = 'params'; s.dispatchEvent(new Event('change')); })(window['cost-select'])")
    browser.wait(f"{title} === 'Parameters'")
    shown = "[...document.querySelectorAll('[data-front]')].filter(t => !t.hidden).map(t => t.dataset.front)"
    assert browser.evaluate(shown) == ["params"]


def test_latency_has_its_unit_on_the_axis_and_in_the_panel(
    browser: Browser, contents: Contents, tmp_path: Path
) -> None:
    trials = [replace(t, costs={"latency": t.costs["flops"] / 10_000}) for t in contents.trials[:50]]
    browser.open(_write(replace(contents, trials=trials, limits={"latency": (None, 6000.0)}), tmp_path), width=1280)
    assert browser.evaluate("document.querySelector('#trials-plot .xtitle').textContent") == "Latency (ms)"
    ticks = browser.evaluate("[...document.querySelectorAll('#trials-plot .xtick text')].map(t => t.textContent)")
    assert "4000" in ticks
    browser.evaluate("document.querySelector('[data-trial]').click()")
    facts = browser.evaluate("document.getElementById('architecture-facts').textContent")
    assert re.search(r"^Latency [\d,.]+ ms$", facts, re.MULTILINE)


def test_the_front_can_be_read_and_chosen_by_keyboard(browser: Browser, page: Path) -> None:
    browser.open(page, width=1280)
    code = browser.evaluate("(b => { b.click(); return b.textContent; })(document.querySelector('[data-trial]'))")
    assert browser.evaluate("document.getElementById('architecture-title').textContent") == code


def test_no_button_sends_the_data_away(browser: Browser, page: Path) -> None:
    browser.open(page, width=1280)
    buttons = browser.evaluate("[...document.querySelectorAll('.modebar-btn')].map(b => b.dataset.title)")
    assert buttons
    assert not [title for title in buttons if "hare" in title or "loud" in title]


def test_markup_in_data_is_shown_as_text(browser: Browser, tmp_path: Path) -> None:
    browser.open(_write(hostile_contents(), tmp_path), width=390)
    assert browser.problems() == []
    assert browser.requests() == []
    assert browser.evaluate("document.querySelectorAll('img').length") == 0
    assert browser.evaluate("document.documentElement.scrollWidth") <= 390
    assert "<img" in browser.evaluate("document.querySelector('#trials-plot .legendtext').textContent")


def test_a_page_without_its_optional_parts_runs_clean(browser: Browser, contents: Contents, tmp_path: Path) -> None:
    bare = replace(contents, audit=None, curves=[], trials=[], layers=[], seconds={}, environment={}, limits={})
    browser.open(_write(bare, tmp_path), width=1280)
    assert browser.problems() == []
    assert browser.evaluate("document.querySelectorAll('.plot').length") == 0


def test_a_script_that_fails_is_noticed(browser: Browser, page: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.html"
    broken.write_text(page.read_text(encoding="utf-8").replace('id="palmette-data">{', 'id="palmette-data">'), "utf-8")
    browser.open(broken, width=1280)
    assert browser.evaluate("document.documentElement.dataset.errors")
    assert browser.evaluate("document.querySelector('.failure').offsetHeight") > 0


def test_printing_makes_a_document_and_puts_the_plots_back(browser: Browser, page: Path) -> None:
    browser.open(page, width=1280)
    folds = "document.querySelectorAll('details[open]').length"
    opened = browser.evaluate(folds)
    before = browser.evaluate("document.querySelector('#history-plot svg.main-svg').clientWidth")
    assert browser.print().startswith(b"%PDF")
    browser.wait(f"document.querySelector('#history-plot svg.main-svg').clientWidth === {before}")
    assert browser.evaluate(folds) == opened


def _write(contents: Contents, folder: Path) -> Path:
    path = folder / "report.html"
    path.write_text(render(contents), encoding="utf-8")
    return path


def comparison(folder: Path) -> None:
    """Write a comparison of finished runs."""
    costs = {"evaluations": 100.0, "passes": 1e6, "flops": 1e13, "seconds": 60.0}
    runs = [
        FinishedRun(
            method=method,
            seed=seed,
            settings={"space": "tiny", "data": "digits", "method": method},
            metric=ACCURACY,
            codes={"winner": "012", "random": "111"},
            figures={"winner": 0.9 + 0.01 * seed, "random": 0.88 + 0.01 * seed},
            costs=costs,
            outcomes={},
        )
        for method in ("spos", "fairnas", "random")
        for seed in range(3)
    ]
    write(account_of(runs, {"methods": "spos,fairnas,random", "data": "a/long/path/" * 20}), folder)


def latencies(folder: Path) -> None:
    """Write the page of a table of latencies."""
    space = nas_bench_macro()
    options = {name: np.arange(3.0).reshape(3, 1) for name in space.decisions.parse("00000000").as_dict()}
    table = AdditiveTable(space.decisions, ("latency",), np.array([1.0]), options)
    codes, times = ("00000000", "11111111", "22222222"), (1.1, 9.0, 17.5)
    made = LatencyTable(table, Conditions(input_shape=(3, 32, 32)), 40, 5, codes, times, 0.5)
    (folder / "report.html").write_text(render_latency(made), encoding="utf-8")


def study(folder: Path) -> None:
    """Write the page of a study of two design spaces."""
    one = {"states": dict.fromkeys(("finished", "diverged", "failed"), 3), "size": 1e18, "acceptance": 0.02}
    spaces = {name: {**one, "draws": 3000, "min": 0.1, "mean": 0.2, "median": 0.2} for name in ("AnyNetX_A", "RegNetX")}
    interval = {"value": 0.01, "low": -0.01, "high": 0.02}
    compared = {"space": "RegNetX", "beside": "AnyNetX_A", "mean": interval, "paired_mean": interval, "wins": interval}
    compared |= {"paired_p_value": 0.2, "distance": 0.3, "threshold": 0.4}
    drawing = '<svg viewBox="0 0 900 300" width="900" height="300"><rect width="900" height="300"/></svg>'
    page = render_study(
        "A study",
        {"spaces": spaces, "comparisons": [compared]},
        {"error_distributions": drawing, "best_ranges_RegNetX": drawing},
        configuration="spaces = " + "RegNetX " * 60,
        environment={"torch": "2"},
    )
    (folder / "report.html").write_text(page, encoding="utf-8")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("made", [comparison, latencies, study])
def test_pages_without_a_script_fit_the_screen_and_load_nothing(
    browser: Browser, made: Callable[[Path], None], width: int, tmp_path: Path
) -> None:
    made(tmp_path)
    browser.open(tmp_path / "report.html", width=width, until="document.readyState === 'complete'")
    browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.evaluate("document.querySelectorAll('section').length") >= 3
    assert browser.evaluate("innerWidth") == width  # a phone widens its window to what does not fit
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.requests() == []
    assert browser.problems() == []
