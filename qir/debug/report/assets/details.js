"use strict";
// Everything about the chosen node.
function valueLines(values) {
  return values.map((value) => make("code", {}, `${value.name}: ${value.type}${value.codes ? ` <${value.codes}>` : ""}`));
}

function terms(pairs) {
  const list = make("dl");
  for (const [label, ...content] of pairs) {
    const shown = content.flat().filter((one) => one !== null && one !== "");
    if (shown.length) list.append(make("dt", {}, label), make("dd", {}, ...shown));
  }
  return list;
}

function errorFigures(layer) {
  const cell = (label, value) => make("div", {}, make("dt", {}, label), make("dd", {}, value));
  const cells = [
    cell("accumulated", decibels(layer.accumulated.sqnr)), cell("isolated", decibels(layer.isolated.sqnr)),
    cell("effect", decibels(layer.effect)), cell("max abs", short(layer.accumulated.max_abs)),
    cell("cosine", layer.accumulated.cosine === null ? "–" : layer.accumulated.cosine.toFixed(5)),
  ];
  if (layer.weight) cells.push(cell("weight", decibels(layer.weight.sqnr)));
  return make("dl", { class: "errors" }, ...cells);
}

function showDetails(name) {
  const node = report.nodes[nodeNumbers.get(name)], layer = layersByNode.get(name);
  const findings = report.findings.filter((finding) => finding.node === name);
  const origin = node.origin.length && !(node.origin.length === 1 && node.origin[0] === name) ? node.origin.join(", ") : "";
  const attributes = Object.entries(node.attributes || {}).map(([key, value]) => make("code", {}, `${key} = ${value}`));
  const why = node.why.map(([what, reason]) => make("code", {}, `${what}: ${reason}`));
  const parts = [make("h3", {}, name, " ", make("span", { class: "op" }, node.op))];
  if (layer) parts.push(errorFigures(layer));
  for (const finding of findings) {
    parts.push(make("div", { class: `brief ${finding.severity}` }, make("strong", {}, finding.cause), " ", finding.evidence));
  }
  parts.push(terms([
    ["takes", valueLines(node.inputs)], ["gives", valueLines(node.outputs)],
    ["stands for", origin],
    ["work", node.macs === null ? "" : `${commas(node.macs)} MACs`],
    ["parameters", node.parameters ? `${commas(node.parameters)} in ${commas(node.parameter_bytes)} bytes` : ""],
    ["runs as", node.runs_as ? `${node.runs_as}${node.integer === false ? ", in float" : ""}` : ""],
    ["refused", why], ["attributes", attributes],
  ]));
  const made = distributions(node).map(([title, one]) => histogram(title, one, () => "log"));
  parts.push(...made.map((one) => one.figure));
  byId("details").replaceChildren(...parts);
  byId("said").textContent = `Showing ${name}, ${node.op}${layer ? `, isolated error ${decibels(layer.isolated.sqnr)}` : ""}`;
  for (const one of made) one.chart.draw();
}
