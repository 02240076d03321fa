"use strict";
// What differs between the printed graphs of two steps.
const KINDS = { graph: "Graph", node: "Nodes", constant: "Constants", range: "Ranges" };

/** Lines of a state as a map from kind and name to number, in order. */
function stateLines(state) {
  return new Map(report.texts.states[state].map((line) => [`${report.texts.lines[line][0]} ${report.texts.lines[line][1]}`, line]));
}

/** [key, line before or undefined, line after or undefined] of every line that differs; removed ones keep their place. */
function differences(from, to) {
  const before = stateLines(from), after = stateLines(to);
  const removedAfter = new Map();
  let last = "";
  for (const key of before.keys()) {
    if (after.has(key)) last = key;
    else removedAfter.set(last, [...(removedAfter.get(last) || []), key]);
  }
  const found = [];
  const flush = (key) => { for (const gone of removedAfter.get(key) || []) found.push([gone, before.get(gone), undefined]); };
  flush("");
  for (const [key, line] of after) {
    if (before.get(key) !== line) found.push([key, before.get(key), line]);
    flush(key);
  }
  return found;
}

const words = (text) => text.match(/[%\w.:+=-]+|\s+|./gsu) || [];

/** The words of two lines, those outside the longest common subsequence marked; equal ends are left alone. */
function marked(first, second) {
  const a = words(first), b = words(second), head = [], tail = [];
  while (a.length && b.length && a[a.length - 1] === b[b.length - 1]) { tail.unshift(a.pop()); b.pop(); }
  while (a.length && b.length && a[0] === b[0]) { head.push(a.shift()); b.shift(); }
  if (a.length * b.length > 250000) return [[first], [second]];
  const width = b.length + 1, table = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      table[i * width + j] = a[i] === b[j] ? table[(i + 1) * width + j + 1] + 1
        : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
    }
  }
  const left = [], right = [];
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { left.push(a[i++]); right.push(b[j++]); }
    else if (j === b.length || (i < a.length && table[(i + 1) * width + j] >= table[i * width + j + 1])) left.push(make("mark", {}, a[i++]));
    else right.push(make("mark", {}, b[j++]));
  }
  return [left, right].map((middle) => [...head, ...middle, ...tail]);
}

function showDiff() {
  const from = report.steps[Number(byId("step-from").value)], to = report.steps[Number(byId("step-to").value)];
  const all = byId("with-constants").checked;
  const found = from.state === to.state ? [] : differences(from.state, to.state)
    .filter(([key]) => all || key.startsWith("node ") || key.startsWith("graph "));
  const rows = [];
  let count = { added: 0, removed: 0, changed: 0 };
  for (const kind of Object.keys(KINDS)) {
    const lines = found.filter(([key]) => key.startsWith(`${kind} `));
    if (lines.length) rows.push(make("h3", {}, `${KINDS[kind]}: ${lines.length}`));
    for (const [, before, after] of lines) {
      const texts = [before, after].map((line) => (line === undefined ? "" : report.texts.lines[line][2]));
      const both = before !== undefined && after !== undefined;
      const [left, right] = both ? marked(...texts) : [[texts[0]], [texts[1]]];
      if (before !== undefined) rows.push(make("p", { class: both ? "remove" : "remove pair-end", "data-sign": "−" }, ...left));
      if (after !== undefined) rows.push(make("p", { class: "add pair-end", "data-sign": "+" }, ...right));
      count[both ? "changed" : after === undefined ? "removed" : "added"] += 1;
    }
  }
  byId("diff").replaceChildren(...rows);
  byId("diff-count").textContent = found.length
    ? `${count.added} added, ${count.removed} removed, ${count.changed} changed` : "These two do not differ.";
}

function compareSteps() {
  if (!byId("compare")) return;
  const options = () => report.steps.map((step, i) => ({ step, i })).filter(({ step }) => step.changed || step.number === 0)
    .map(({ step, i }) => make("option", { value: i }, step.number === 0 ? "the model" : `${step.number} ${step.name}`));
  const from = byId("step-from"), to = byId("step-to");
  from.append(...options());
  to.append(...options());
  to.selectedIndex = to.options.length - 1;
  from.selectedIndex = Math.max(0, to.options.length - 2);
  for (const id of ["step-from", "step-to", "with-constants"]) byId(id).addEventListener("change", showDiff);
  showDiff();
}
