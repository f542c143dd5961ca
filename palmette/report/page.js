// Draws the plots of the page from the JSON beside it, and shows the architecture of the point chosen.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const page = JSON.parse(byId("palmette-data").textContent);
  const { series, winner: winnerColour, ink } = page.colours;
  const MARKERS = ["circle", "diamond", "square", "triangle-up", "cross", "star-triangle-down", "hexagon"];
  const PRINT_WIDTH = { plot: 670, figure: 215 };
  const TOOLS = [["toImage", "zoom2d", "pan2d", "resetScale2d"]]; // no others: one of Plotly's sends the data away
  const isTouch = matchMedia("(pointer: coarse)").matches;
  const isNarrow = matchMedia("(max-width: 560px)").matches;

  const colour = (i) => series[i % series.length];
  const metric = page.metric; // accuracy or perplexity: its key, factor, suffix, and which way is better
  const scaled = (value) => (value === null || value === undefined ? null : metric.factor * value);
  const sign = metric.higher_is_better ? 1 : -1;
  const number = (value) => (value === null || value === undefined ? "unknown" : value.toLocaleString("en", { maximumSignificantDigits: 5 }));
  const amount = (value, unit) => (unit && typeof value === "number" ? `${number(value)} ${unit}` : number(value));
  // Plotly reads a little HTML in its texts: data is turned into plain text before it gets there.
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  const siTicks = (values) => (values.some((value) => Math.abs(value) >= 1000) ? { tickformat: "~s" } : {});
  const hasTools = (div) => !isTouch && !isNarrow && !div.closest(".grid");

  function draw(div, traces, layout) {
    const axis = { gridcolor: "#e6ebf0", zeroline: false, linecolor: "#b9c4cf", automargin: true };
    const merged = {
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: ink },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 52, r: 12, t: 8, b: 44 },
      hovermode: "closest",
      hoverlabel: { align: "left", bgcolor: "#ffffff", bordercolor: "#8b97a5", font: { color: ink, size: 12 } },
      legend: { orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom" },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: "#8b97a5", activecolor: series[0] },
      dragmode: isTouch ? false : "zoom",
      ...layout,
      xaxis: { ...axis, ...layout.xaxis },
      yaxis: { ...axis, ...layout.yaxis },
    };
    const settings = { responsive: true, displaylogo: false, displayModeBar: hasTools(div), modeBarButtons: TOOLS, showSendToCloud: false };
    return Plotly.react(div, traces, merged, settings);
  }

  // ---- trials: accuracy against cost ------------------------------------------------------------

  const describe = (trial) => [
    `${trial.arm}, generation ${trial.generation}`,
    ...Object.entries(trial.metrics).map(([name, value]) =>
      name === metric.name && value !== null ? `${name} ${scaled(value).toFixed(2)}${metric.suffix}` : `${name} ${number(value)}`),
    ...page.costs.filter(({ name }) => name in trial.costs).map(({ name, title, unit }) => `${title} ${amount(trial.costs[name], unit)}`),
    ...(trial.within ? [] : ["outside the limits"]),
  ];
  const hover = (trial) => [`<b>${plain(trial.code)}</b>`, ...describe(trial).map(plain)].join("<br>");
  const metricAxis = (text) => ({ title: { text, standoff: 6 }, ticksuffix: metric.suffix });

  function points(indices, x, style) {
    const trials = indices.map((i) => page.trials[i]);
    return {
      mode: "markers",
      x,
      y: trials.map((trial) => scaled(trial.metrics[metric.name])),
      customdata: indices,
      hovertext: trials.map(hover),
      hoverinfo: "text",
      ...style,
    };
  }

  // Two traces of one arm: filled marks within the limits, hollow and faint ones outside.
  function armPoints(arm, a, indices, x, { size, opacity, ...style }) {
    const symbol = MARKERS[a % MARKERS.length];
    const part = (within, marker) => {
      const places = indices.map((_, n) => n).filter((n) => page.trials[indices[n]].within === within);
      const showlegend = within || indices.every((i) => !page.trials[i].within);
      const names = { name: plain(arm), legendgroup: arm, showlegend };
      return points(places.map((n) => indices[n]), places.map((n) => x[n]), { ...names, marker: { color: colour(a), size, ...marker }, ...style });
    };
    return [part(true, { symbol, opacity }), part(false, { symbol: `${symbol}-open`, opacity: opacity / 2 })];
  }

  function trialsTraces(cost) {
    const costs = (indices) => indices.map((i) => page.trials[i].costs[cost] ?? null);
    const all = page.trials.map((_, i) => i);
    const traces = page.arms.flatMap((arm, a) => {
      const own = all.filter((i) => page.trials[i].arm === arm);
      return armPoints(arm, a, own, costs(own), { size: 7, opacity: 0.75 });
    });
    const front = page.fronts[cost];
    const line = { color: ink, width: 1.6, shape: "hv" };
    traces.push(points(front, costs(front), { name: "Pareto front", mode: "lines", line, hoverinfo: "skip" }));
    const won = all.filter((i) => page.trials[i].code === page.winner.code).slice(0, 1);
    const star = { symbol: "star", size: 17, color: winnerColour, line: { color: ink, width: 1.4 } };
    traces.push(points(won, costs(won), { name: "winner", marker: star }));
    return traces;
  }

  function limitLines(cost) {
    const most = Math.max(...page.trials.map(({ costs }) => costs[cost] ?? 0));
    const ends = (page.limits[cost] || []).filter((end) => end !== null && end <= 1.3 * most); // one far off would squeeze the points
    const line = { color: "#5a6775", width: 1.2, dash: "dash" };
    return {
      shapes: ends.map((x) => ({ type: "line", x0: x, x1: x, y0: 0, y1: 1, yref: "paper", line })),
      annotations: ends.map((x) => ({ x, y: 0, yref: "paper", yanchor: "bottom", xanchor: "right", text: "limit", textangle: -90, showarrow: false, font: { color: "#5a6775" } })),
    };
  }

  function drawTrials(cost) {
    const { title, unit } = page.costs.find(({ name }) => name === cost);
    const ticks = unit ? {} : siTicks(page.trials.map(({ costs }) => costs[cost])); // no thousands of milliseconds
    for (const table of document.querySelectorAll("[data-front]")) table.hidden = table.dataset.front !== cost;
    return draw(byId("trials-plot"), trialsTraces(cost), {
      xaxis: { title: { text: plain(unit ? `${title} (${unit})` : title), standoff: 10 }, ...ticks },
      yaxis: metricAxis(`${metric.name} (search-validation)`),
      ...limitLines(cost),
    });
  }

  // ---- history: best so far ---------------------------------------------------------------------

  function bestSoFar(indices) {
    let best = null;
    return indices.map((i) => {
      const { within, metrics } = page.trials[i];
      const value = within ? scaled(metrics[metric.name]) : null;
      if (value !== null && (best === null || sign * (value - best) > 0)) best = value;
      return best;
    });
  }

  function drawHistory() {
    const traces = [];
    page.arms.forEach((arm, a) => {
      const own = page.trials.map((_, i) => i).filter((i) => page.trials[i].arm === arm);
      const count = own.map((_, n) => n + 1);
      traces.push(...armPoints(arm, a, own, count, { size: 5, opacity: 0.4, showlegend: false }));
      const line = { color: colour(a), width: 2.4, shape: "hv", dash: a % 2 ? "dash" : "solid" };
      traces.push({ legendgroup: arm, name: plain(arm), mode: "lines", x: count, y: bestSoFar(own), line, hovertemplate: `best after %{x}: %{y:.2f}${metric.suffix}<extra></extra>` });
    });
    return draw(byId("history-plot"), traces, {
      xaxis: { title: { text: "evaluations", standoff: 10 }, rangemode: "tozero" },
      yaxis: metricAxis(`${metric.name} (search-validation)`),
    });
  }

  // ---- training curves and audit ----------------------------------------------------------------

  function drawCurve(div) {
    const curve = page.curves[div.dataset.curve];
    const phases = [...new Set(page.curves.map(({ phase }) => phase))];
    const thinned = curve.stride > 1 ? ` (1 point in ${curve.stride} shown)` : "";
    const line = { color: colour(phases.indexOf(curve.phase)), width: 1.8 };
    return draw(div, [{ mode: "lines", x: curve.steps, y: curve.values, line, hovertemplate: "step %{x}: %{y:.5g}<extra></extra>" }], {
      showlegend: false,
      xaxis: { title: { text: `step${thinned}`, standoff: 6 }, nticks: 5, ...siTicks(curve.steps) },
      yaxis: { nticks: 5 },
    });
  }

  function drawAudit(div) {
    const score = div.dataset.audit;
    const isMetric = score === metric.name; // scores and truth come with higher as better
    const title = div.closest("figure").querySelector("figcaption").textContent;
    const shown = page.audit.points.filter(({ scores }) => score in scores);
    const x = shown.map(({ scores }) => (isMetric ? sign * scaled(scores[score]) : scores[score]));
    const y = shown.map(({ stand_alone }) => sign * scaled(stand_alone));
    const hovertext = shown.map(({ code }, i) => `<b>${plain(code)}</b><br>stand-alone ${number(y[i])}${metric.suffix}<br>${plain(title)} ${number(x[i])}${isMetric ? metric.suffix : ""}`);
    const baseline = ["flops", "params", "random"].includes(score);
    const marker = { size: shown.length > 500 ? 4 : 7, opacity: shown.length > 500 ? 0.35 : 0.8, color: baseline ? "#5a6775" : colour(0), symbol: baseline ? "diamond" : "circle" };
    return draw(div, [{ mode: "markers", x, y, hovertext, hoverinfo: "text", marker }], {
      showlegend: false,
      xaxis: { title: { text: plain(title), standoff: 6 }, nticks: 5, ...(isMetric ? { ticksuffix: metric.suffix } : siTicks(x)) },
      yaxis: { ...metricAxis(`stand-alone ${metric.name}`), nticks: 6 },
    });
  }

  // ---- the panel --------------------------------------------------------------------------------

  function indented(json) {
    try {
      return JSON.stringify(JSON.parse(json), null, 2);
    } catch {
      return json; // not JSON: shown as it is
    }
  }

  // What each decision of an architecture costs, in the cost that is selected; [label, option, value], the fixed part first.
  function costParts(architecture, cost) {
    const { costs, fixed, values, options, joint } = page.breakdown;
    const column = costs.indexOf(cost);
    let taken;
    try {
      taken = JSON.parse(architecture).values;
    } catch {
      return [];
    }
    const picks = Object.fromEntries(Object.entries(taken).map(([name, value]) => [name, (values[name] || []).indexOf(String(value))]));
    if (column < 0 || Object.values(picks).some((pick) => pick < 0)) return [];
    const parts = Object.entries(picks).map(([name, pick]) => {
      const together = joint.filter(({ names }) => names[0] === name && names.every((other) => other in picks));
      const shared = together.map((entry) => entry.names.reduce((rows, other) => rows[picks[other]], entry.costs)[column]);
      return [name, values[name][pick], shared.reduce((sum, value) => sum + value, options[name][pick][column])];
    });
    return [["fixed layers", "", fixed[column]], ...parts];
  }

  function showParts(architecture) {
    const details = byId("architecture-parts");
    const cost = byId("cost-select").value;
    const parts = page.breakdown ? costParts(architecture, cost) : [];
    const total = parts.reduce((sum, [, , value]) => sum + value, 0);
    const most = Math.max(...parts.map(([, , value]) => value), 0);
    details.hidden = !parts.length;
    const { title, unit } = page.costs.find(({ name }) => name === cost) ?? { title: cost, unit: "" };
    details.querySelector("summary").textContent = `${title} by decision`;
    const rows = parts.map(([label, option, value]) => {
      const row = document.createElement("tr");
      row.title = total ? `${((100 * value) / total).toFixed(1)}% of ${amount(total, unit)}` : "";
      for (const text of [label, option, amount(value, unit)]) row.insertCell().textContent = text;
      const bar = row.insertCell().appendChild(document.createElement("div"));
      bar.style.width = most ? `${Math.max(0, (100 * value) / most)}%` : "0";
      return row;
    });
    details.querySelector("table").replaceChildren(...rows);
  }

  let shown = "";

  function show(code, facts, architecture) {
    shown = architecture;
    showParts(architecture);
    byId("architecture-title").textContent = code;
    byId("architecture-facts").textContent = facts.join("\n");
    byId("architecture-json").textContent = indented(architecture);
    byId("architecture-copy").textContent = "Copy";
  }

  function showTrial(index) {
    const trial = page.trials[index];
    if (!byId("architecture-panel")) return;
    show(trial.code, describe(trial), trial.architecture);
  }

  async function copyArchitecture() {
    const json = byId("architecture-json");
    try {
      await navigator.clipboard.writeText(json.textContent);
    } catch {
      getSelection().selectAllChildren(json); // no clipboard here: the text is selected, ready for the keyboard
      byId("architecture-copy").textContent = document.execCommand("copy") ? "Copied" : "Selected";
      return;
    }
    byId("architecture-copy").textContent = "Copied";
  }

  // ---- start ------------------------------------------------------------------------------------

  function onPrint(event) {
    for (const details of document.querySelectorAll("details")) {
      if (event.type === "beforeprint") details.dataset.wasOpen = details.open;
      details.open = event.type === "beforeprint" || details.dataset.wasOpen === "true";
    }
    for (const div of document.querySelectorAll(".js-plotly-plot")) {
      const width = div.closest(".grid") ? PRINT_WIDTH.figure : PRINT_WIDTH.plot;
      Plotly.relayout(div, event.type === "beforeprint" ? { width, autosize: false } : { width: null, autosize: true });
    }
  }

  async function startTrials() {
    const select = byId("cost-select");
    await drawTrials(select.value);
    select.addEventListener("change", () => drawTrials(select.value).then(() => showParts(shown)));
    show(page.winner.code, ["winner"], page.winner.architecture);
    byId("architecture-copy").addEventListener("click", copyArchitecture);
    for (const button of document.querySelectorAll("[data-trial]")) button.addEventListener("click", () => showTrial(button.dataset.trial));
  }

  async function start() {
    if (byId("trials-plot")) await startTrials();
    if (byId("history-plot")) await drawHistory();
    for (const div of [byId("trials-plot"), byId("history-plot")]) {
      div?.on("plotly_click", ({ points: [point] }) => {
        if (Number.isInteger(point.customdata)) showTrial(point.customdata);
      });
    }
    for (const div of document.querySelectorAll("[data-audit]")) await drawAudit(div);
    for (const div of document.querySelectorAll("[data-curve]")) await drawCurve(div);
    addEventListener("beforeprint", onPrint);
    addEventListener("afterprint", onPrint);
    document.documentElement.dataset.drawn = "yes";
  }

  start().catch((error) => {
    document.documentElement.dataset.errors = String(error);
  });
})();
