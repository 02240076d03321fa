"""report.html in a real browser: Debian's chromium, headless, driven by playwright. Screenshots go to build/report/."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from qir.debug.report import write_report
from tests.debug.reports import HOSTILE, sample

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("module:playwright", "module:jinja2", "module:vl_convert", "chromium"),
]
SHOTS = Path(__file__).resolve().parents[2] / "build" / "report"
DESKTOP, PHONE = {"width": 1280, "height": 860}, {"width": 360, "height": 740}

CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => [r, g, b].map((c) => linear(c / 255))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0.99) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest("svg, script, .visually-hidden, .skip")) continue;
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(ground(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push(`${element.tagName}.${element.className} ${ratio} ${element.textContent.slice(0, 30)}`);
  }
  for (const group of document.querySelectorAll(".canvas .node")) {
    const box = rgb(getComputedStyle(group.querySelector("rect")).fill);
    for (const text of group.querySelectorAll("text")) {
      const [a, b] = [light(rgb(getComputedStyle(text).fill)), light(box)].sort((x, y) => y - x);
      if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(`node ${text.textContent} ${((a + 0.05) / (b + 0.05)).toFixed(2)}`);
    }
  }
  return poor;
}"""


@pytest.fixture(scope="module")
def browser(need: Callable[[str], str]) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=need("chromium"), args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(sample(), tmp_path_factory.mktemp("report") / "report.html")


Opened = Callable[..., Any]


@dataclass
class Visit:
    """What went on beside the page: everything said on the console, and every address asked for."""

    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def check(self) -> None:
        assert [] == self.said
        assert [] == [url for url in self.asked if not url.startswith(("file:", "data:", "blob:"))]


@pytest.fixture(scope="module")
def visit() -> Visit:
    return Visit()


@pytest.fixture(scope="module")
def opened(browser: Browser, report: Path, visit: Visit) -> Iterator[Opened]:
    """`opened(viewport, dark=...)` shows the report with the network cut."""
    contexts = []

    def show(viewport: dict[str, int] = DESKTOP, *, dark: bool = False) -> Page:
        context = browser.new_context(viewport=viewport, color_scheme="dark" if dark else "light",  # type: ignore[arg-type]
                                      has_touch=viewport is PHONE)  # fmt: skip
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: visit.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: visit.said.append(str(error)))
        page.on("request", lambda request: visit.asked.append(request.url))
        context.set_offline(True)
        page.goto(report.as_uri())
        page.wait_for_selector("#layer-chart[data-ready]")
        return page

    yield show
    for context in contexts:
        context.close()


@pytest.fixture(autouse=True)
def nothing_went_wrong(visit: Visit) -> Iterator[None]:
    yield
    visit.check()


@pytest.fixture(scope="module")
def page(opened: Opened) -> Page:
    """One page that tests share: each first brings what it looks at into the state it wants."""
    return opened()


def until(page: Page, expression: str, expected: object = True) -> None:
    """Waits until a script's value is as expected; the page's policy forbids what playwright itself waits by."""
    for _ in range(400):
        if (found := page.evaluate(expression)) == expected:
            return
        page.wait_for_timeout(25)
    assert expected == found, expression


def count(selector: str) -> str:
    return f"document.querySelectorAll({selector!r}).length"


def shot(page: Page, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.wait_for_selector("#arena-chart[data-ready]")
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


def details(page: Page) -> str:
    return page.locator("#details h3").inner_text()


def test_search_finds_nodes_by_name_and_by_operator(page: Page) -> None:
    page.fill("#search", "conv")
    assert 2 == page.locator("#hits button").count()
    assert 2 == page.locator(".canvas .node.hit").count()
    assert "2 found" == page.locator("#hit-count").inner_text()
    page.fill("#search", "right")
    page.press("#search", "Enter")
    assert "right Conv" == details(page)
    page.press("#search", "Escape")
    assert page.locator("#hits").is_hidden()


def test_a_click_on_a_node_shows_everything_about_it(page: Page) -> None:
    page.locator(".canvas .node", has_text="stem").first.click()
    assert "stem Conv" == details(page)
    said = page.locator("#details").inner_text()
    for text in ("41.0 dB", "42.0 dB", "55.0 dB", "3,456 MACs", "QLinearConv", "stem_relu", "uint8 scale", "strides"):
        assert text in said
    until(page, count("#details .chart[data-ready]"), 2)
    assert 1 == page.locator(".canvas .node.chosen").count()
    assert 3 == page.locator(".canvas .edge.near").count()
    assert "stem" == page.locator("#value-node").input_value()


def test_the_keyboard_walks_the_graph(page: Page) -> None:
    page.locator(".canvas .node", has_text="stem").first.click()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert "sum Add" == details(page)
    before = page.locator("#canvas svg > g").get_attribute("transform")
    page.keyboard.press("+")
    assert before != page.locator("#canvas svg > g").get_attribute("transform")


def test_the_graph_is_dragged_and_zoomed(page: Page) -> None:
    stage = page.locator("#canvas svg > g")
    page.locator("#canvas").scroll_into_view_if_needed()
    first = stage.get_attribute("transform")
    page.click("#zoom-in")
    second = stage.get_attribute("transform")
    assert first != second
    chosen = details(page)
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 30, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 60, steps=4)
    page.mouse.up()
    assert second != stage.get_attribute("transform")
    assert chosen == details(page)


def test_hostile_names_stay_text(page: Page) -> None:
    page.fill("#search", "</script>")
    page.locator("#hits button").click()
    assert f"{HOSTILE} Relu" == details(page)
    page.press("#search", "Escape")
    assert 0 == page.locator("b").count()


def test_the_graph_is_coloured_by_the_chosen_error(page: Page) -> None:
    added = page.locator(".canvas .node", has_text="sum")
    page.select_option("#colour", "isolated")
    assert "0" == added.get_attribute("data-heat")
    page.select_option("#colour", "accumulated")
    assert "2" == added.get_attribute("data-heat")
    assert "accumulated 21.0 dB" in (added.get_attribute("aria-label") or "")
    page.select_option("#colour", "effect")
    assert added.get_attribute("data-heat") is None


def test_the_layer_chart_switches_metric_and_order(page: Page) -> None:
    points = "#layer-chart .mark-symbol path"
    page.select_option("#metric", "max_abs")
    page.select_option("#metric", "sqnr")
    until(page, count(points), 11)
    page.select_option("#metric", "cosine")
    until(page, count(points), 8)
    page.select_option("#metric", "sqnr")
    page.select_option("#order", "accumulated")
    until(page, f"{count(points)} === 11 && [...document.querySelectorAll('#layer-chart .role-axis-label text')]"
                ".map((text) => text.textContent).filter((text) => /^[a-z]/.test(text)).join()",
          "equal,right,sum,stem")  # fmt: skip
    page.locator(points).first.click()
    assert "right Conv" == details(page)


def test_histograms_follow_the_node_and_the_scale(page: Page) -> None:
    page.select_option("#value-node", "right")
    assert "right Conv" == details(page)
    until(page, count("#value-charts .chart[data-ready]"), 2)
    assert "codes reach -1 to 1; in the narrowest channel -0.2 to 0.2" in page.locator("#value-charts").inner_text()
    page.select_option("#count-scale", "linear")
    until(page, count("#value-charts .chart[data-ready]"), 2)
    assert page.locator("#value-charts .mark-rect path").count() >= 40


def test_two_steps_are_compared(page: Page) -> None:
    page.select_option("#step-from", "0")
    page.select_option("#step-to", "2")
    assert "2 added, 1 removed, 2 changed" == page.locator("#diff-count").inner_text()
    assert page.locator("#diff .remove", has_text="Identity").count() == 1
    changed = page.locator("#diff .add", has_text="# stem")
    assert "<uint8 scale=0.01>" == "".join(changed.locator("mark").all_text_contents())
    page.uncheck("#with-constants")
    assert "1 added, 1 removed, 2 changed" == page.locator("#diff-count").inner_text()
    page.select_option("#step-to", "0")
    assert "These two do not differ." == page.locator("#diff-count").inner_text()


def test_idle_passes_show_on_demand(page: Page) -> None:
    idle = page.locator("#pass-table", has_text="eliminate-dead-code").locator("tr.idle").first
    assert idle.is_hidden()
    page.check("#idle")
    assert idle.is_visible()
    assert "one node stays float" in page.locator("#pass-table").inner_text()


def test_a_fix_is_copied(page: Page) -> None:
    button = page.locator("[data-copy=fix-1]")
    button.click()
    until(page, "/Copied|Selected/.test(document.querySelector('[data-copy=fix-1]').textContent)")


def test_findings_lead_to_their_node(page: Page) -> None:
    page.locator(".finding.note .jump").click()
    assert details(page).startswith("</script>")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_stands_out(opened: Opened, dark: bool) -> None:
    page = opened(dark=dark)
    page.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
    for colour in ("isolated", "accumulated"):
        page.select_option("#colour", colour)
        assert [] == page.evaluate(CONTRAST)
    shot(page, "dark" if dark else "light")


def test_the_theme_is_toggled(page: Page) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    point = "document.querySelector('#layer-chart .mark-symbol path').getAttribute('fill')"
    before = page.evaluate(point)
    page.click("#theme")
    assert light != page.evaluate(ground)
    until(page, f"{count('#layer-chart svg')} === 1 && {point} !== '{before}'")
    page.click("#theme")
    assert light == page.evaluate(ground)


def test_it_fits_a_phone(opened: Opened) -> None:
    page = opened(PHONE)
    page.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
    shot(page, "phone")
    wide = page.evaluate(
        "[...document.querySelectorAll('main *')].filter((e) => !e.closest('.scroll, pre, svg, .visually-hidden, nav')"
        " && e.getBoundingClientRect().right > 361).map((e) => e.outerHTML.slice(0, 90))"
    )
    assert [] == wide
    assert 360 == page.evaluate("document.documentElement.scrollWidth")
    small = page.evaluate(
        "[...document.querySelectorAll('main button:not(.jump), main select')].filter((e) => e.checkVisibility()"
        " && e.getBoundingClientRect().height < 24).map((e) => e.outerHTML.slice(0, 90))"
    )
    assert [] == small
    page.locator(".canvas .node", has_text="stem").first.tap()
    assert re.match("stem", details(page))


def test_it_prints(opened: Opened) -> None:
    page = opened()
    page.emulate_media(media="print")
    assert page.locator("nav").is_hidden()
    assert len(page.pdf()) > 20_000
