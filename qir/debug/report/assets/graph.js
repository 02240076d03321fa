"use strict";
// The drawing of the network. Places come from the data; here it is shown, moved, searched and coloured.
const graphView = { x: 0, y: 0, scale: 1, nodes: [], edges: [], stage: null, box: null };

function elided(text, width) {
  const most = Math.floor((width - 20) / 6.4);
  return text.length <= most ? text : `…${text.slice(text.length - most + 1)}`;  // the end tells names apart
}

/** From the bottom of one node to the top of another; straight past the rows between, so that it touches no node there. */
function edgePath(from, to, bends, half) {
  let [x, y] = [from[0], from[1] + half], path = `M${x} ${y}`;
  const curve = (nextX, nextY) => {
    path += `C${x} ${(y + nextY) / 2} ${nextX} ${(y + nextY) / 2} ${nextX} ${nextY}`;
    [x, y] = [nextX, nextY];
  };
  for (const [bendX, bendY] of bends) {
    curve(bendX, bendY - half);
    y = bendY + half;
    path += `V${y}`;
  }
  curve(to[0], to[1] - half);
  return path;
}

function drawGraph() {
  const drawing = report.drawing, half = drawing.node_height / 2;
  const worst = new Map();
  for (const finding of [...report.findings].reverse()) worst.set(finding.node, finding.severity);
  graphView.stage = make("g");
  graphView.edges = report.edges.map(([from, to, value], i) => {
    const path = make("path", { class: "edge", d: edgePath(drawing.nodes[from], drawing.nodes[to], drawing.bends[i], half) });
    path.append(make("title", {}, value));
    return { from, to, path };
  });
  graphView.nodes = report.nodes.map((node, i) => {
    const [x, y, width] = drawing.nodes[i], port = node.op === "Input" || node.op === "Output";
    const figure = make("text", { class: "sub", x: width / 2 - 10, y: -4, "text-anchor": "end" });
    const group = make("g", { class: port ? "node port" : "node", transform: `translate(${x} ${y})`, tabindex: "-1", role: "button" },
      make("rect", { x: -width / 2, y: -half, width, height: half * 2, rx: 7 }),
      make("text", { class: "title", x: 10 - width / 2, y: -4 }, elided(node.op, width - 52)), figure,
      make("text", { class: "sub", x: 10 - width / 2, y: 13 }, elided(node.name, width)), make("title", {}, node.name));
    if (worst.has(node.name)) group.append(make("circle", { class: `mark ${worst.get(node.name)}`, cx: width / 2 - 2, cy: 2 - half, r: 7 }));
    group.addEventListener("focus", () => reveal(i, false));
    return { group, figure, x, y };
  });
  graphView.stage.append(...graphView.edges.map((edge) => edge.path), ...graphView.nodes.map((node) => node.group));
  graphView.box = byId("canvas");
  graphView.box.append(make("svg", { role: "presentation" }, graphView.stage));
  if (graphView.nodes.length) graphView.nodes[0].group.setAttribute("tabindex", "0");
}

function colourGraph() {
  const series = byId("colour") ? byId("colour").value : null;
  graphView.nodes.forEach(({ group, figure }, i) => {
    const node = report.nodes[i], value = series ? nodeError(node.name, series) : null;
    if (value === null) group.removeAttribute("data-heat");
    else group.setAttribute("data-heat", heat(value));
    figure.textContent = value === null ? "" : decibels(value).replace(" dB", "");
    group.setAttribute("aria-label", `${node.op} ${node.name}${value === null ? "" : `, ${series} ${decibels(value)}`}`);
  });
}

function heatLegend() {
  if (!byId("heat-legend")) return;
  const labels = [`${HEAT[0]} dB or more`, ...HEAT.slice(1).map((limit, i) => `${limit} to ${HEAT[i]}`), `below ${HEAT[HEAT.length - 1]}`];
  byId("heat-legend").replaceChildren(...labels.map((label, i) => make("span", {}, make("i", { class: `key h${i}` }), label)));
}

function place() {
  graphView.stage.setAttribute("transform", `translate(${graphView.x} ${graphView.y}) scale(${graphView.scale})`);
}

function zoom(factor, x = graphView.box.clientWidth / 2, y = graphView.box.clientHeight / 2) {
  const scale = Math.min(3, Math.max(0.05, graphView.scale * factor)), ratio = scale / graphView.scale;
  graphView.x = x - (x - graphView.x) * ratio;
  graphView.y = y - (y - graphView.y) * ratio;
  graphView.scale = scale;
  place();
}

/** All of it, or from the top on where that would be too small to read. */
function fit(least) {
  const { width, height } = report.drawing, room = [graphView.box.clientWidth - 32, graphView.box.clientHeight - 32];
  const whole = Math.min(room[0] / width, room[1] / height, 1.25);
  graphView.scale = Math.max(whole, least ? Math.min(least, room[0] / width) : 0.05);
  graphView.x = (graphView.box.clientWidth - width * graphView.scale) / 2;
  graphView.y = graphView.scale === whole ? (graphView.box.clientHeight - height * whole) / 2 : 16;
  place();
}

/** Moves the drawing so that a node is seen; to its middle if asked. */
function reveal(i, centre) {
  const { x, y } = graphView.nodes[i], box = graphView.box;
  const at = [x * graphView.scale + graphView.x, y * graphView.scale + graphView.y];
  const hidden = at[0] < 60 || at[1] < 40 || at[0] > box.clientWidth - 60 || at[1] > box.clientHeight - 40;
  if (centre && graphView.scale < 0.5) graphView.scale = 0.9;
  if (!centre && !hidden) return;
  graphView.x = box.clientWidth / 2 - x * graphView.scale;
  graphView.y = box.clientHeight / 2 - y * graphView.scale;
  place();
}

function markChosen(name, from) {
  const number = nodeNumbers.get(name);
  graphView.nodes.forEach(({ group }, i) => {
    group.classList.toggle("chosen", i === number);
    group.setAttribute("tabindex", i === number ? "0" : "-1");
  });
  for (const edge of graphView.edges) edge.path.classList.toggle("near", edge.from === number || edge.to === number);
  if (from !== "graph") reveal(number, true);
}

/** The node that an arrow key leads to: up and down follow edges, left and right go to a neighbour of the same row. */
function neighbour(i, key) {
  const here = graphView.nodes[i];
  const near = (numbers) => numbers.sort((a, b) => Math.abs(graphView.nodes[a].x - here.x) - Math.abs(graphView.nodes[b].x - here.x))[0];
  if (key === "ArrowDown") return near(graphView.edges.filter((edge) => edge.from === i).map((edge) => edge.to));
  if (key === "ArrowUp") return near(graphView.edges.filter((edge) => edge.to === i).map((edge) => edge.from));
  const side = key === "ArrowLeft" ? -1 : 1;
  return near([...graphView.nodes.keys()].filter((n) => graphView.nodes[n].y === here.y && (graphView.nodes[n].x - here.x) * side > 0));
}

function graphKeys(event) {
  const i = graphView.nodes.findIndex(({ group }) => group === document.activeElement);
  if (event.key === "+" || event.key === "=") zoom(1.25);
  else if (event.key === "-") zoom(0.8);
  else if (event.key === "0") fit(0);
  else if (i >= 0 && event.key.startsWith("Arrow")) {
    const next = neighbour(i, event.key);
    if (next !== undefined) {
      for (const { group } of graphView.nodes) group.setAttribute("tabindex", "-1");
      graphView.nodes[next].group.setAttribute("tabindex", "0");
      graphView.nodes[next].group.focus({ preventScroll: true });
    }
  } else if (i >= 0 && (event.key === "Enter" || event.key === " ")) chosen.choose(report.nodes[i].name, "graph");
  else return;
  event.preventDefault();
}

/** Dragging with one pointer, pinching with two; a press that does not move is a click on what lies below. */
function graphPointers() {
  const box = graphView.box, held = new Map();
  let moved = 0;
  const at = (event) => { const edge = box.getBoundingClientRect(); return [event.clientX - edge.left, event.clientY - edge.top]; };
  box.addEventListener("pointerdown", (event) => { held.set(event.pointerId, at(event)); if (held.size === 1) moved = 0; });
  box.addEventListener("pointermove", (event) => {
    const before = held.get(event.pointerId), now = at(event);
    if (!before) return;
    moved += Math.abs(now[0] - before[0]) + Math.abs(now[1] - before[1]);
    if (moved < 4) return;
    box.classList.add("held");
    if (!box.hasPointerCapture(event.pointerId)) box.setPointerCapture(event.pointerId);
    const other = [...held].find(([id]) => id !== event.pointerId);
    if (other) {
      const [x, y] = other[1], apart = (point) => Math.hypot(point[0] - x, point[1] - y);
      zoom(apart(now) / Math.max(apart(before), 1), x, y);
    } else {
      graphView.x += now[0] - before[0];
      graphView.y += now[1] - before[1];
      place();
    }
    held.set(event.pointerId, now);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    box.addEventListener(end, (event) => { held.delete(event.pointerId); if (!held.size) box.classList.remove("held"); });
  }
  box.addEventListener("click", (event) => {
    const group = event.target.closest(".node");
    if (!group || moved >= 4) return;
    chosen.choose(report.nodes[graphView.nodes.findIndex((node) => node.group === group)].name, "graph");
  });
  box.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey && !box.contains(document.activeElement)) return;  // the page scrolls on
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), ...at(event));
  }, { passive: false });
}

function search() {
  const text = byId("search").value.trim().toLowerCase();
  const hits = text ? report.nodes.filter((node) => [node.name, node.op, ...node.origin].some((one) => one.toLowerCase().includes(text))) : [];
  const names = new Set(hits.map((node) => node.name));
  graphView.box.classList.toggle("searching", text !== "" && hits.length > 0);
  graphView.nodes.forEach(({ group }, i) => group.classList.toggle("hit", names.has(report.nodes[i].name)));
  const shown = hits.slice(0, 24);
  byId("hits").replaceChildren(...shown.map((node) => make("li", {},
    make("button", { type: "button", onclick: () => chosen.choose(node.name, "search") }, `${node.name}  ${node.op}`))));
  if (hits.length > shown.length) byId("hits").append(make("li", {}, `and ${hits.length - shown.length} more`));
  byId("hits").hidden = !hits.length;
  byId("hit-count").textContent = text ? `${hits.length} found` : "";
  return hits;
}

function graphSection() {
  if (!byId("canvas")) return;
  drawGraph();
  heatLegend();
  colourGraph();
  fit(0.8);
  graphPointers();
  graphView.box.addEventListener("keydown", graphKeys);
  byId("zoom-in").addEventListener("click", () => zoom(1.25));
  byId("zoom-out").addEventListener("click", () => zoom(0.8));
  byId("zoom-fit").addEventListener("click", () => fit(0));
  if (byId("colour")) byId("colour").addEventListener("change", colourGraph);
  byId("search").addEventListener("input", search);
  byId("search").addEventListener("keydown", (event) => {
    if (event.key === "Escape") { byId("search").value = ""; search(); }
    if (event.key !== "Enter") return;
    const hits = search();
    if (hits.length) chosen.choose(hits[0].name, "search");
  });
  chosen.watch(markChosen);
  chosen.watch((name) => showDetails(name));
}
