"""The sections of the page, in reading order: each a function from the record to HTML.

What was not recorded is said in words in its place. Plots are empty boxes here; ``page.js`` fills them.
"""

from __future__ import annotations

from collections.abc import Sequence

from palmette.graphs import Graph
from palmette.report.contents import Contents
from palmette.report.drawing import draw
from palmette.report.gauges import limit_gauge, share_bar
from palmette.report.graph_drawing import draw_graph
from palmette.report.plots import cost_names, is_within, pareto_front, result
from palmette.report.wording import (
    cost_axis,
    cost_quantity,
    cost_title,
    curve_title,
    duration,
    escape,
    limits_in_words,
)

DRAWING_COLUMNS = {"for-desktop": 7, "for-tablet": 4, "for-phone": 2}
"""The winner is drawn once per width of screen, so that its rows wrap; the style sheet shows the one that fits."""


def headline(contents: Contents) -> str:
    """Say what was found: accuracy with its interval, costs, and the run's own sentences."""
    low, high = contents.test_interval
    metric = contents.metric
    sentences = "".join(f"<li>{escape(sentence)}</li>" for sentence in contents.headline)
    facts = "".join(
        f"<div><dt>{escape(cost_title(name))}</dt><dd>{cost_quantity(name, value)}"
        f"<small>{limits_in_words(name, *contents.limits.get(name, (None, None)))}</small></dd></div>"
        for name, value in contents.costs.items()
    )
    return (
        '<header class="hero"><p class="eyebrow">Palmette search report</p>'
        f"<h1>{escape(contents.method)} on {escape(contents.data)}</h1>"
        f'<p class="where">Space <b>{escape(contents.space)}</b>, '
        f"winner <code>{escape(contents.winner_code)}</code></p>"
        '<dl class="facts"><div class="main"><dt>'
        f"Test {metric.name} of the winner</dt><dd>{metric.show(contents.test_result)}"
        f"<small>95% interval {metric.show(low)} to {metric.show(high)}</small></dd></div>"
        f'{facts}</dl><ul class="sentences">{sentences}</ul></header>'
    )


def winner(contents: Contents) -> str:
    """Draw the winner, cell by cell or layer by layer."""
    if contents.graphs:
        return section("winner", "The winner", "".join(map(_cell, contents.graphs)))
    if not contents.layers:
        return section("winner", "The winner", missing("The layers of the winner were not recorded."))
    cost = _drawn_cost(contents)
    drawings = "".join(
        f'<div class="drawing {screen}">{draw(contents.layers, cost=cost, columns=columns)}</div>'
        for screen, columns in DRAWING_COLUMNS.items()
    )
    note = (
        f"Read from input to output. The bar is the layer's share of {escape(cost_title(cost))} beside the largest "
        "layer. The marks are the options of the decision, the taken one filled; an option has one colour throughout."
    )
    return section("winner", "The winner", f'<p class="note">{note}</p>{drawings}')


def pictures(contents: Contents) -> str:
    """Show what else the method has to show of the winner; nothing, if there is nothing."""
    return "".join(
        section(f"picture{number}", escape(picture.title), f'<p class="note">{escape(picture.note)}</p>{picture.svg}')
        for number, picture in enumerate(contents.pictures)
    )


def _cell(graph: Graph) -> str:
    note = "A node adds up its lines: each is an operation, on what the curve in its colour comes from."
    return (
        f'<h3>{escape(graph.name.capitalize())}</h3><p class="note">{note}</p>'
        f'<div class="cell">{draw_graph(graph)}</div>'
    )


def costs(contents: Contents) -> str:
    """Show each cost of the winner against its lower and upper end."""
    names = list(dict.fromkeys([*contents.costs, *contents.limits]))
    none = "" if contents.limits else missing("No limits were set: the search was free to spend.")
    gauges = "".join(_cost(contents, name) for name in names)
    return section("costs", "Costs against limits", f'{none}<div class="gauges">{gauges}</div>')


def trials(contents: Contents) -> str:
    """Show the metric against cost of every evaluated architecture, with a panel for the one clicked."""
    title = f"{contents.metric.name.capitalize()} against cost"
    names = cost_names(contents)
    if not names:
        return section("trials", title, missing("No evaluated architectures with their costs were recorded."))
    options = "".join(f'<option value="{escape(name)}">{escape(cost_axis(name))}</option>' for name in names)
    fronts = "".join(_front_table(contents, name, hidden=name != names[0]) for name in names)
    outside = any(not is_within(trial.costs, contents.limits) for trial in contents.trials)
    hollow = " Hollow marks lie outside the limits." if outside else ""
    note = (
        f"{len(contents.trials):,} evaluated architectures; {contents.metric.name} on the search-validation data with "
        f"the weights the search used, not on test data.{hollow} Choose a point to see its architecture."
    )
    return section(
        "trials",
        title,
        f'<p class="note">{note}</p><label class="control">Cost <select id="cost-select">{options}</select></label>'
        '<div class="beside"><div class="plot tall" id="trials-plot"></div>'
        '<aside class="panel" id="architecture-panel" aria-live="polite"><div class="panel-head">'
        '<h3 id="architecture-title"></h3><button type="button" id="architecture-copy">Copy</button></div>'
        '<p class="note" id="architecture-facts"></p>'
        '<details id="architecture-parts" open hidden><summary></summary><table class="parts"></table></details>'
        '<details open><summary>Architecture</summary><pre id="architecture-json" tabindex="0"></pre></details>'
        "</aside></div>"
        f"<details><summary>The Pareto front as a table</summary>{fronts}</details>",
    )


def history(contents: Contents) -> str:
    """Show the best result so far of each arm against the number of its evaluations."""
    if not contents.trials:
        return section("history", "Search history", missing("No evaluated architectures were recorded."))
    outside = sum(not is_within(trial.costs, contents.limits) for trial in contents.trials)
    left_out = f" {outside:,} architectures outside the limits do not count." if outside else ""
    note = f"Lines: best so far of each arm. Points: single evaluations.{left_out}"
    return section("history", "Search history", f'<p class="note">{note}</p><div class="plot" id="history-plot"></div>')


def curves(contents: Contents) -> str:
    """Show the training curves, a row of small plots for each phase."""
    if not contents.curves:
        return section("curves", "Training", missing("No training curves were recorded."))
    elsewhere = list(contents.watched.values())
    phases = dict.fromkeys(curve.phase for curve in contents.curves)
    body = ""
    for phase in phases:
        plots = "".join(
            f"<figure><figcaption>{escape(curve_title(curve.name))}</figcaption>"
            f'<div class="plot small" data-curve="{i}"></div></figure>'
            for i, curve in enumerate(contents.curves)
            if curve.phase == phase and curve not in elsewhere
        )
        body += f'<h3>{escape(phase)}</h3><div class="grid">{plots}</div>'
    return section("curves", "Training", body)


def time(contents: Contents) -> str:
    """Show where the wall time went."""
    if not contents.seconds:
        return section("time", "Time", missing("The time of the phases was not recorded."))
    total = sum(contents.seconds.values())
    rows = "".join(
        f'<tr><th scope="row">{escape(phase)}</th><td class="number">{duration(seconds)}</td>'
        f'<td class="drawn">{share_bar(seconds / total if total else 0)}</td></tr>'
        for phase, seconds in contents.seconds.items()
    )
    return section("time", "Time", f'<p class="note">{duration(total)} in all.</p><table class="bars">{rows}</table>')


def environment(contents: Contents) -> str:
    """Keep environment, winner and configuration at hand, folded."""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in contents.environment.items()
    )
    machine = f"<table>{rows}</table>" if rows else missing("The environment was not recorded.")
    settings = escape(contents.configuration)
    configuration = f"<pre>{settings}</pre>" if settings else missing("The configuration was not recorded.")
    return section(
        "environment",
        "To run it again",
        f"<details><summary>Environment</summary>{machine}</details>"
        f"<details><summary>Configuration</summary>{configuration}</details>"
        "<details><summary>The winner's architecture</summary>"
        f"<pre>{escape(contents.winner_architecture)}</pre></details>",
    )


def section(name: str, title: str, body: str) -> str:
    """Return a titled section; ``body`` is HTML, ``name`` and ``title`` are ours."""
    return f'<section id="{name}"><h2>{title}</h2>{body}</section>'


def missing(sentence: str) -> str:
    """Return the sentence that stands where something was not recorded."""
    return f'<p class="missing">{escape(sentence)}</p>'


def _drawn_cost(contents: Contents) -> str:
    names: Sequence[str] = [name for layer in contents.layers for name in layer.costs]
    return "flops" if "flops" in names or not names else names[0]


def _cost(contents: Contents, name: str) -> str:
    low, high = contents.limits.get(name, (None, None))
    title = f"<b>{escape(cost_title(name))}</b>"
    if name not in contents.costs:
        limits = limits_in_words(name, low, high)
        return f'<div class="gauge"><p>{title} {limits}: the winner\'s cost was not recorded</p></div>'
    value = contents.costs[name]
    if low is None and high is None:
        state = '<span class="state">no limit</span>'
    elif is_within({name: value}, contents.limits):
        state = f'<span class="state good">✓ within: {limits_in_words(name, low, high)}</span>'
    else:
        state = f'<span class="state bad">✗ outside: {limits_in_words(name, low, high)}</span>'
    gauge = "" if low is None and high is None else limit_gauge(name, value, low, high)
    shown = f'<span title="{value:,}">{cost_quantity(name, value)}</span>'
    return f'<div class="gauge"><p>{title} {shown} {state}</p>{gauge}</div>'


def _front_table(contents: Contents, cost: str, *, hidden: bool) -> str:
    front = pareto_front(contents.trials, cost, contents.limits, contents.metric)
    rows = "".join(
        f'<tr><td><button type="button" class="link" data-trial="{i}">{escape(trial.code)}</button></td>'
        f"<td>{escape(trial.arm)}</td><td class=number>{cost_quantity(cost, trial.costs[cost])}</td>"
        f"<td class=number>{contents.metric.show(result(trial, contents.metric))}</td></tr>"
        for i, trial in ((i, contents.trials[i]) for i in front)
    )
    titles = (
        f"<th class=number>{escape(cost_title(cost))}</th><th class=number>{contents.metric.name.capitalize()}</th>"
    )
    state = " hidden" if hidden else ""
    head = f"<thead><tr><th>Code</th><th>Arm</th>{titles}</tr></thead>"
    return f'<table data-front="{escape(cost)}"{state}>{head}<tbody>{rows}</tbody></table>'
