"use strict";
// Brings the page to life.
function copyButtons() {
  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", async () => {
      const source = byId(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(source.textContent);
      } catch {  // no clipboard for pages opened from a file in some browsers: select, so that the keyboard copies
        getSelection().selectAllChildren(source);
        button.textContent = "Selected";
        return;
      }
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }
}

function jumps() {
  for (const button of document.querySelectorAll(".jump")) {
    if (!nodeNumbers.has(button.dataset.node)) button.disabled = true;
    button.addEventListener("click", () => {
      chosen.choose(button.dataset.node, "link");
      byId("graph").scrollIntoView();
    });
  }
}

function currentSection() {
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const seen = new Set();
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) seen[entry.isIntersecting ? "add" : "delete"](entry.target.id);
    const first = [...links.keys()].find((id) => seen.has(id));
    for (const [id, link] of links) {
      if (id === first) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }, { rootMargin: "-20% 0px -60% 0px" });
  for (const id of links.keys()) if (byId(id)) observer.observe(byId(id));
}

function themeButton() {
  const dark = matchMedia("(prefers-color-scheme: dark)"), kept = store("qir-report-theme");
  theme.set(kept ? kept === "dark" : dark.matches);
  dark.addEventListener("change", () => { if (!store("qir-report-theme")) theme.set(dark.matches); });
  byId("theme").addEventListener("click", () => {
    theme.set(!theme.dark);
    store("qir-report-theme", theme.dark ? "dark" : "light");
  });
}

themeButton();
graphSection();
layerChart();
valueCharts();
passChart();
compareSteps();
arenaChart();
copyButtons();
jumps();
currentSection();
if (byId("idle")) byId("idle").addEventListener("change", () => byId("pass-table").classList.toggle("show-idle", byId("idle").checked));
if (report.nodes.length) {
  const worst = report.findings.find((finding) => nodeNumbers.has(finding.node));
  const layer = [...report.layers].sort((a, b) => nodeError(a.node, "isolated") - nodeError(b.node, "isolated"))[0];
  const first = [worst && worst.node, layer && layer.node].find((name) => nodeNumbers.has(name)) || report.nodes[0].name;
  markChosen(first, "graph");
  showDetails(first);
}
