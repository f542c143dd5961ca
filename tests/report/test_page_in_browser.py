"""The page as a reader meets it: in headless Chromium, at the widths of a desk and of a phone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from browser import Browser, chromium, running
from example_contents import example_contents, hostile_contents

from palmette.architecture import Architecture
from palmette.report.contents import Contents
from palmette.report.page import render

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
