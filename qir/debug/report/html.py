"""report.html: one file that needs nothing beside it."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from qir import __version__
from qir.debug.report.data import NodeFacts, ReportData, decibels
from qir.debug.report.layout import draw
from qir.debug.report.markdown import severity_counts
from qir.debug.report.specs import specs
from qir.debug.report.text import bytes_text
from qir.debug.report.words import count_text, decibels_text, number_text, plural, seconds_text, short_bytes
from qir.errors import MissingDependencyError

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = ("base.js", "charts.js", "details.js", "graph.js", "diff.js", "report.js")
"""In the order in which they run."""

_NEEDED = {"jinja2": "jinja2", "vl_convert": "vl-convert-python"}
_NODE_HEIGHT = 44.0
_GAP = (28.0, 34.0)
_CHARACTER = 6.7
"""Mean width of a character of a node's label, in the units of the drawing."""


def require() -> None:
    """Makes sure of the packages that a page needs.

    Raises:
        MissingDependencyError: where jinja2 or vl-convert-python is not installed.
    """
    for module, package in _NEEDED.items():
        try:
            import_module(module)
        except ImportError as error:
            raise MissingDependencyError(
                f"a report in HTML needs {package}, which is not installed",
                fix="Run: pip install 'qir[report]', or write a .md or .json report",
            ) from error


def html(data: ReportData) -> str:
    """The report as a page of HTML.

    Raises:
        MissingDependencyError: where jinja2 or vl-convert-python is not installed.
    """
    require()
    import jinja2

    charts = bundle()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ASSETS), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "db": lambda value: decibels_text(None if value is None else decibels(value)),
        "count": count_text, "bytes": short_bytes, "all_bytes": bytes_text, "seconds": seconds_text,
        "number": number_text, "plural": plural,
    }  # fmt: skip
    ours = _inline("\n".join((ASSETS / name).read_text(encoding="utf-8") for name in SCRIPTS))
    plain = data.as_json() | {"drawing": _drawing(data), "specs": specs()}
    return environment.get_template("report.html.j2").render(
        data=data, version=__version__, css=(ASSETS / "report.css").read_text(encoding="utf-8"),
        scripts=(charts, ours), hashes=[_digest(charts), _digest(ours)], json=_embedded(plain),
        severities=severity_counts(data.findings), largest=_largest(data),
    )  # fmt: skip


@lru_cache(maxsize=1)
def bundle() -> str:
    """Vega, Vega-Lite and their embedding as one script that sets `window.vegaEmbed`."""
    import vl_convert

    return _inline(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


def _inline(script: str) -> str:
    """A script that no sequence in it ends early."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _embedded(value: Any) -> str:
    """JSON inside a script element: no character of it can end the element or start another."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _digest(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _drawing(data: ReportData) -> dict[str, Any]:
    widths = [_width(node) for node in data.nodes]
    drawn = draw(widths, [edge[:2] for edge in data.edges], height=_NODE_HEIGHT, gap=_GAP)
    return {
        "nodes": [[x, y, width] for (x, y), width in zip(drawn.centres, widths, strict=True)], "bends": drawn.bends,
        "width": drawn.width, "height": drawn.height, "node_height": _NODE_HEIGHT,
    }  # fmt: skip


def _width(node: NodeFacts) -> float:
    letters = max(len(node.name), len(node.op) + 9)
    return round(min(max(letters * _CHARACTER + 24, 96), 220), 1)


def _largest(data: ReportData) -> dict[str, float]:
    """What the bars of the table of passes are drawn against."""
    return {
        "bytes": max((step.parameter_bytes for step in data.steps), default=0) or 1,
        "seconds": max((step.seconds for step in data.steps), default=0) or 1,
    }
