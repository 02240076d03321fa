"use strict";
// Charts: Vega-Lite specifications from the page's data, with the page's colours.
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function chartConfig(width) {
  const text = { labelColor: colour("soft"), titleColor: colour("soft"), labelFontSize: 12, titleFontSize: 12,
    titleFontWeight: 400, gridColor: colour("grid"), domainColor: colour("line"), tickColor: colour("line") };
  return {
    background: "transparent", font: "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
    axis: text, axisY: { labelLimit: Math.max(90, Math.min(240, width * 0.34)) }, view: { stroke: null },
    range: { category: [colour("accent"), colour("second"), colour("third")], ordinal: [colour("block"), colour("scratch")],
      symbol: ["circle", "square", "triangle-up"] },
    style: {
      span: { color: colour("line") }, count: { color: colour("bars") }, reach: { color: colour("accent"), opacity: 0.1 },
      bound: { color: colour("accent"), strokeWidth: 1.5 }, course: { color: colour("accent"), strokeWidth: 2 },
      stop: { color: colour("accent") }, block: { stroke: colour("block-line"), strokeOpacity: 0.7 },
    },
  };
}

const ROW = 20;

/** A chart in an element, drawn again when the theme or the width changes. `rows` is called for each drawing. */
class Chart {
  constructor(element, spec, rows, onNode = null) {
    Object.assign(this, { element, spec, rows, onNode, view: null, turn: 0, drawn: 0 });
    theme.watchers.push(() => this.draw());
    new ResizeObserver(() => { if (Math.abs(element.clientWidth - this.drawn) > 8) this.draw(); }).observe(element);
  }

  async draw() {
    const width = this.element.clientWidth;
    if (!width) return;
    const turn = ++this.turn;
    this.drawn = width;
    const spec = structuredClone(typeof this.spec === "function" ? this.spec() : this.spec);
    const { rows, ...others } = this.rows();
    spec.data.values = rows;
    if (spec.height === null) spec.height = ROW * Math.max(1, new Set(rows.map((row) => row.node)).size);
    if (Object.keys(others).length) spec.datasets = others;
    const holder = make("div", { class: "chart" });
    holder.style.width = `${width}px`;
    const before = this.view;
    this.element.append(holder);
    const options = { renderer: "svg", actions: false, ast: true, config: chartConfig(width), tooltip: { disableDefaultStyle: false } };
    const result = await vegaEmbed(holder, spec, options);
    if (turn !== this.turn) {
      result.finalize();
      holder.remove();
      return;
    }
    holder.style.width = "";
    if (before) before.finalize();
    this.element.replaceChildren(holder);
    this.view = result;
    if (this.onNode) {
      result.view.addEventListener("click", (_, item) => { if (item && item.datum && item.datum.node) this.onNode(item.datum.node); });
      if (spec.params) result.view.signal("chosen", chosen.name).runAsync();
    }
    this.element.dataset.ready = "";
  }

  mark(name) {
    if (this.view) this.view.view.signal("chosen", name).runAsync();
  }
}

function layerRows() {
  const metric = byId("metric").value, order = byId("order").value;
  const series = metric === "sqnr" ? SERIES : SERIES.slice(0, 2);
  const value = (layer, name) => {
    if (name === "effect") return layer.effect;
    const error = layer[name];
    return metric === "cosine" ? 1 - error.cosine : error[metric];
  };
  const bad = (layer) => {
    const error = nodeError(layer.node, order);
    return error === null ? Infinity : error;
  };
  const layers = order === "run" ? report.layers : [...report.layers].sort((a, b) => bad(a) - bad(b));
  const rows = [];
  for (const layer of layers) {
    const found = series.map((name) => [name, value(layer, name)]).filter(([, one]) => one !== null);
    const clipped = found.map(([name, one]) => [name, metric === "sqnr" ? Math.min(one, 100) : one, one]);
    const low = Math.min(...clipped.map((one) => one[1])), high = Math.max(...clipped.map((one) => one[1]));
    clipped.forEach(([name, shownAt, one], i) => rows.push({
      node: layer.node, op: layer.op, series: name, value: shownAt, low, high, first: i === 0,
      shown: metric === "sqnr" ? decibels(one) : short(one),
    }));
  }
  return { rows };
}

function seriesLegend() {
  const shapes = { accumulated: "M7 2a5 5 0 1 0 0 10a5 5 0 1 0 0-10z", isolated: "M2.5 2.5h9v9h-9z", effect: "M7 2l5.5 10h-11z" };
  const names = byId("metric").value === "sqnr" ? SERIES : SERIES.slice(0, 2);
  const tones = { accumulated: "accent", isolated: "second", effect: "third" };
  byId("series-legend").replaceChildren(...names.map((name) => make("span", {},
    make("svg", { viewBox: "0 0 14 14", "aria-hidden": "true" }, make("path", { d: shapes[name], fill: `var(--${tones[name]})` })), name)));
}

function layerChart() {
  if (!byId("layer-chart")) return;
  const chart = new Chart(byId("layer-chart"), () => report.specs[`layers-${byId("metric").value}`], layerRows,
    (name) => chosen.choose(name, "chart"));
  const redraw = () => { seriesLegend(); chart.draw(); };
  byId("metric").addEventListener("change", redraw);
  byId("order").addEventListener("change", redraw);
  chosen.watch((name) => chart.mark(name));
  redraw();
}

function passChart() {
  if (!byId("pass-chart")) return;
  const rows = report.steps.filter((step) => step.sqnr !== null).map((step) => ({
    number: step.number, name: step.name, sqnr: step.sqnr, text: decibels(step.sqnr), changed: step.changed,
    size: `${commas(step.parameter_bytes)} bytes`, summary: step.summary || "–",
  }));
  new Chart(byId("pass-chart"), report.specs.passes, () => ({ rows })).draw();
}

function arenaChart() {
  if (!byId("arena-chart")) return;
  const rows = report.memory.blocks.map((block) => ({
    name: block.name, node: block.node, offset: block.offset, top: block.offset + block.nbytes, bytes: block.nbytes,
    first: block.first, end: block.last + 1, calls: `${block.first} to ${block.last}`, kind: block.scratch ? "scratch" : "value",
  }));
  const chart = new Chart(byId("arena-chart"), report.specs.arena, () => ({ rows }), (name) => chosen.choose(name, "arena"));
  chosen.watch((name) => chart.mark(name));
  chart.draw();
}

/** A figure with the histogram of a distribution. `scale` is linear or log; call `.chart.draw()` once it is in the page. */
function histogram(title, distribution, scale) {
  const { start, width, counts } = distribution;
  const rows = counts.map((count, i) => ({ start: start + i * width, end: start + (i + 1) * width, count })).filter((row) => row.count);
  const ranges = ["range", "narrowest"].filter((kind) => distribution[kind])
    .map((kind) => ({ kind, low: distribution[kind][0], high: distribution[kind][1] }));
  const box = make("div", { class: "chart", role: "img", "aria-label": `${title}: ${rangeText(distribution)}` });
  const figure = make("figure", {}, make("figcaption", {}, make("strong", {}, title), make("br"), rangeText(distribution)), box);
  const chart = new Chart(box, () => report.specs[`histogram-${scale()}`], () => ({ rows, ranges }));
  return { figure, chart };
}

function rangeText(distribution) {
  const pair = (range) => `${short(range[0])} to ${short(range[1])}`;
  const parts = [`seen ${pair([distribution.low, distribution.high])}`];
  if (distribution.range) parts.push(`codes reach ${pair(distribution.range)}`);
  if (distribution.narrowest) parts.push(`in the narrowest channel ${pair(distribution.narrowest)}`);
  return parts.join("; ");
}

function distributions(node) {
  const found = [];
  if (node.weight) found.push(["Weight", node.weight]);
  if (node.activation) found.push(["Result", node.activation]);
  return found;
}

function valueCharts() {
  const nodes = report.nodes.filter((node) => distributions(node).length);
  if (!nodes.length) {
    document.querySelector("nav [data-needs=values]").hidden = true;
    return;
  }
  byId("values").hidden = false;
  const select = byId("value-node"), scale = byId("count-scale");
  select.append(...nodes.map((node) => make("option", { value: node.name }, `${node.name}  ${node.op}`)));
  const show = () => {
    const node = report.nodes[nodeNumbers.get(select.value)];
    const made = distributions(node).map(([title, one]) => histogram(`${title} of ${node.name}`, one, () => scale.value));
    byId("value-charts").replaceChildren(...made.map((one) => one.figure));
    for (const one of made) one.chart.draw();
  };
  select.addEventListener("change", () => { show(); chosen.choose(select.value, "values"); });
  scale.addEventListener("change", show);
  chosen.watch((name, from) => {
    if (from === "values" || !nodes.some((node) => node.name === name)) return;
    select.value = name;
    show();
  });
  show();
}
