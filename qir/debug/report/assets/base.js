"use strict";
// What every part of the page uses: the data, small helpers, the chosen node and the theme.
const report = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const nodeNumbers = new Map(report.nodes.map((node, i) => [node.name, i]));
const layersByNode = new Map(report.layers.map((layer) => [layer.node, layer]));
const SERIES = ["accumulated", "isolated", "effect"];
const HEAT = [40, 30, 20, 10];

/** An element with attributes and children; text always enters as text. */
function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "rect", "path", "text", "circle", "title"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") element.addEventListener("click", value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function decibels(value) {
  if (value === null || value === undefined) return "–";
  if (value >= 200) return "equal";
  return value <= -200 ? "no likeness" : `${value.toFixed(1)} dB`;
}

function short(value) {
  if (value === null || value === undefined) return "–";
  return Math.abs(value) >= 1e5 || (value !== 0 && Math.abs(value) < 1e-3) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

const commas = (value) => (value === null || value === undefined ? "–" : value.toLocaleString("en"));

/** The dB that a node has in one of the three errors; null where there is none. */
function nodeError(name, series) {
  const layer = layersByNode.get(name);
  if (!layer) return null;
  return series === "effect" ? layer.effect : layer[series].sqnr;
}

/** 0 (good) to 4 (bad). */
const heat = (value) => HEAT.filter((limit) => value < limit).length;

/** The node that all views show, and who wants to know when it changes. */
const chosen = {
  name: "",
  watchers: [],
  watch(watcher) { this.watchers.push(watcher); },
  choose(name, from) {
    if (!nodeNumbers.has(name)) return;
    this.name = name;
    for (const watcher of this.watchers) watcher(name, from);
  },
};

const theme = {
  watchers: [],
  get dark() { return document.documentElement.dataset.theme === "dark"; },
  set(dark) {
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    const button = byId("theme");
    button.textContent = dark ? "Light" : "Dark";
    button.setAttribute("aria-label", dark ? "Use light colours" : "Use dark colours");
    for (const watcher of this.watchers) watcher();
  },
};

function store(key, value) {
  try {
    if (value === undefined) return localStorage.getItem(key);
    localStorage.setItem(key, value);
  } catch { /* pages opened from a file may have no storage */ }
  return null;
}
