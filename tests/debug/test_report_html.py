"""report.html as a file: whole, alone, small, and proof against hostile names. tests/browser drives it."""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from qir.debug.report import check_report, write_report
from qir.debug.report.data import Distribution, NodeFacts, ReportData, Texts, ValueFacts
from qir.debug.report.html import SCRIPTS, html
from qir.errors import MissingDependencyError
from tests.debug.reports import BELL, HOSTILE, layer, sample, step

MOST_BYTES = 5_000_000
FETCHING = {"src", "href", "action", "data", "poster", "srcset", "background"}


class Page(HTMLParser):
    """The elements of a page, with what scripts and styles hold."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[dict[str, str | None], str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script" and self.cdata_elem == "script":
            self.raw.append((self.tags[-1][1], data))


@pytest.fixture(scope="module")
def text(request: pytest.FixtureRequest) -> str:
    need = request.getfixturevalue("need")
    need("module:jinja2")
    need("module:vl_convert")
    return html(sample())


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_hostile_names_make_no_elements(page: Page) -> None:
    assert [] == [attrs for tag, attrs in page.tags if tag == "b" or "onclick" in attrs]
    assert 3 == sum(tag == "script" for tag, _ in page.tags)


def test_the_data_comes_back_from_the_page(page: Page) -> None:
    inside = "".join(data for attrs, data in page.raw if attrs.get("id") == "data")
    data = json.loads(inside)
    assert HOSTILE == data["nodes"][2]["name"]
    assert len(data["nodes"]) == len(data["drawing"]["nodes"])
    assert not re.search(r"[<>&]", inside)


def test_nothing_is_loaded_from_elsewhere(page: Page) -> None:
    for tag, attrs in page.tags:
        for name in FETCHING & attrs.keys():
            assert re.match(r"#|data:,$", attrs[name] or ""), f"{tag} {name}={attrs[name]}"
    policy = next(attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "unsafe-eval" not in policy


def test_it_is_marked_up_for_everyone(page: Page) -> None:
    tags = [tag for tag, _ in page.tags]
    assert {"main", "nav", "header", "footer", "aside", "caption", "noscript"} <= set(tags)
    assert {"lang": "en"} == next(attrs for tag, attrs in page.tags if tag == "html")
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for tag, attrs in page.tags:
        for name in ("aria-labelledby", "aria-controls", "aria-describedby"):
            assert name not in attrs or attrs[name] in ids, f"{tag} names #{attrs[name]}, which is not there"
        if tag == "th":
            assert "scope" in attrs
        if tag == "a":
            assert (attrs["href"] or "")[1:] in ids


def test_our_scripts_are_strict_and_never_parse_markup() -> None:
    from qir.debug.report.html import ASSETS

    for name in SCRIPTS:
        source = (ASSETS / name).read_text(encoding="utf-8")
        assert source.startswith('"use strict";')
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", source)
    assert sorted(SCRIPTS) == sorted(path.name for path in ASSETS.glob("*.js"))


@pytest.mark.needs("module:jinja2", "module:vl_convert")
def test_every_chart_compiles() -> None:
    import vl_convert

    from qir.debug.report.specs import specs

    for name, spec in specs().items():
        given = {**spec, "data": {"values": []}, "height": spec["height"] or 20, "width": 300}
        given["datasets"] = {"ranges": []}
        assert vl_convert.vegalite_to_vega(given)["marks"], name


@pytest.mark.needs("module:jinja2", "module:vl_convert")
def test_a_network_of_300_nodes_stays_small(tmp_path: Path) -> None:
    """With everything that a network can have: two histograms a node, and 20 passes that rewrite every line."""
    made = Distribution(-1.0, 0.02, BELL * 2, -1.0, 1.0, 0.0, 0.4, (-1.0, 1.0), (-0.1, 0.1))
    kind = "float32[N,256,14,14]"
    nodes = tuple(
        NodeFacts(f"/backbone/stage/block.{i}/conv/Conv", "Conv", (f"/backbone/stage/block.{i}/conv/Conv",) * 2,
                  (ValueFacts(f"v{i}", kind, "uint8 scale=0.0199142 zero_point=0"),) * 3,
                  (ValueFacts(f"v{i + 1}", kind, "uint8 scale=0.0199142 zero_point=0"),), {"pads": "[1,1,1,1]"}, 10**7,
                  10**5, 10**5, "qir_conv_u8s8_u8__portable", True, (("conv", "not one input channel a group"),),
                  made, made)
        for i in range(300)
    )  # fmt: skip
    codes = f"{kind}<uint8 scale=0.0199142>"
    lines = tuple(("node", f"n{i % 900}", f"%v{i}: {codes} = Conv(%a, %w) {{pads=[1,1,1,1]}}  # n{i}")
                  for i in range(900 * 20))  # fmt: skip
    data = ReportData(
        "large", nodes=nodes, edges=tuple((i, j, f"v{j}") for i in range(300) for j in (i + 1, i + 4) if j < 300),
        layers=tuple(layer(node.name, 20.0, 30.0, 40.0) for node in nodes),
        steps=tuple(step(i, f"pass-{i}", state=i) for i in range(20)),
        texts=Texts(lines, tuple(tuple(range(900 * i, 900 * (i + 1))) for i in range(20))),
    )  # fmt: skip
    assert write_report(data, tmp_path / "large.html").stat().st_size < MOST_BYTES


@pytest.mark.parametrize("package", ["jinja2", "vl_convert"])
def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    from qir.debug.report import html as module

    monkeypatch.setitem(sys.modules, package, None)
    module.bundle.cache_clear()
    for attempt in (lambda path: write_report(sample(), path), check_report):
        with pytest.raises(MissingDependencyError, match=r"pip install 'qir\[report\]'"):
            attempt(tmp_path / "report.html")
    check_report(tmp_path / "report.md")
    assert not list(tmp_path.iterdir())
