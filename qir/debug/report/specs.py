"""The charts, as Vega-Lite specifications. The page gives them their rows, and their colours through named styles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EQUAL = 100
"""Decibels that charts end at: more is as good as equal."""

_SHORT = "format(datum.value, '~s')"
"""Each number with its own unit: an axis format would give all of them that of the largest."""

_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"  # names the language; nothing is fetched

_METRICS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "sqnr": ("signal to noise in dB, more is better", {"zero": False, "nice": True}),
    "cosine": ("1 − cosine, less is better", {"type": "symlog", "constant": 1e-4, "nice": False}),
    "max_abs": ("largest absolute difference, less is better", {"zero": True}),
}


def specs() -> dict[str, dict[str, Any]]:
    """Every chart by name."""
    charts = {f"layers-{metric}": _layers(metric) for metric in _METRICS}
    charts |= {f"histogram-{kind}": _histogram(kind) for kind in ("linear", "log")}
    return charts | {"passes": _passes(), "arena": _arena()}


def _chart(description: str, layers: list[dict[str, Any]], height: int | None, **more: Any) -> dict[str, Any]:
    return {
        "$schema": _SCHEMA, "description": description, "width": "container", "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"}, "data": {"name": "rows"}, "layer": layers, **more,
    }  # fmt: skip


def _layers(metric: str) -> dict[str, Any]:
    title, scale = _METRICS[metric]
    labels = f"datum.value >= {EQUAL} ? 'equal' : datum.value" if metric == "sqnr" else "format(datum.value, '.3~g')"
    node = {
        "field": "node", "type": "nominal", "sort": None, "title": None,
        "axis": {"domain": False, "ticks": False, "grid": True, "labelOverlap": False},
    }  # fmt: skip
    value = {"field": "value", "type": "quantitative", "title": title, "scale": scale,
             "axis": {"orient": "top", "tickCount": 8, "labelExpr": labels}}  # fmt: skip
    series = {"field": "series", "type": "nominal", "title": None,
              "scale": {"domain": ["accumulated", "isolated", "effect"]}}  # fmt: skip
    tip = [
        {"field": "node", "title": "node"}, {"field": "op", "title": "operator"},
        {"field": "series", "title": "error"}, {"field": "shown", "title": "value"},
    ]  # fmt: skip
    return _chart(
        f"Error of every layer: {title}",
        [
            {"transform": [{"filter": "datum.first"}],
             "mark": {"type": "rule", "style": "span"},
             "encoding": {"y": node, "x": {**value, "field": "low"}, "x2": {"field": "high"}}},
            {"mark": {"type": "point", "filled": True, "size": 62, "opacity": 1, "cursor": "pointer"},
             "encoding": {
                 "y": node, "x": value, "color": {**series, "legend": None}, "shape": {**series, "legend": None},
                 "size": {"condition": {"test": "datum.node === chosen", "value": 170}, "value": 62},
                 "tooltip": tip}},
        ],
        None,
        params=[{"name": "chosen", "value": ""}],
    )  # fmt: skip


def _histogram(kind: str) -> dict[str, Any]:
    scale = {"type": "symlog", "constant": 1} if kind == "log" else {"zero": True}
    axis: dict[str, Any] = {"tickCount": 4, "labelExpr": _SHORT}
    if kind == "log":
        axis |= {"values": [0, *(10**power for power in range(13))], "labelOverlap": "greedy"}
    count = {"field": "count", "type": "quantitative", "title": "elements", "scale": scale, "axis": axis}
    start = {"field": "start", "type": "quantitative", "title": None, "scale": {"zero": False, "nice": False},
             "axis": {"tickCount": 6, "format": ".4~g", "grid": False}}  # fmt: skip
    bound = {"x": {"field": "at", "type": "quantitative"}}
    bars = {
        "mark": {"type": "bar", "style": "count", "binSpacing": 0},
        "encoding": {
            "x": start, "x2": {"field": "end"}, "y": count, "y2": {"datum": 0},
            "tooltip": [{"field": "start", "title": "from", "format": ".4~g"},
                        {"field": "end", "title": "to", "format": ".4~g"},
                        {"field": "count", "title": "elements", "format": ","}],
        },
    }  # fmt: skip
    return _chart(
        "Histogram with the range that codes reach",
        [
            {"data": {"name": "ranges"}, "mark": {"type": "rect", "style": "reach"},
             "encoding": {"x": {"field": "low", "type": "quantitative"}, "x2": {"field": "high"}}},
            bars,
            {"data": {"name": "ranges"}, "transform": [{"fold": ["low", "high"], "as": ["side", "at"]}],
             "mark": {"type": "rule", "style": "bound"},
             "encoding": {**bound, "strokeDash": {"field": "kind", "type": "nominal", "legend": None,
                                                  "scale": {"domain": ["range", "narrowest"],
                                                            "range": [[1, 0], [4, 3]]}}}},
        ],
        110,
    )  # fmt: skip


def _passes() -> dict[str, Any]:
    number = {"field": "number", "type": "ordinal", "title": "pass", "axis": {"labelAngle": 0, "labelOverlap": True}}
    error = {
        "field": "shown", "type": "quantitative", "title": "worst output, dB",
        "scale": {"zero": False, "nice": True, "domainMax": EQUAL},
        "axis": {"labelExpr": f"datum.value >= {EQUAL} ? 'equal' : datum.label", "tickCount": 5},
    }  # fmt: skip
    tip = [
        {"field": "name", "title": "pass"}, {"field": "text", "title": "worst output"},
        {"field": "size", "title": "parameters"}, {"field": "summary", "title": "changed"},
    ]  # fmt: skip
    clipped = [{"calculate": f"min(datum.sqnr, {EQUAL})", "as": "shown"}]
    return _chart(
        "Signal to noise of the worst output against the model's after every pass, in dB",
        [
            {"mark": {"type": "line", "style": "course", "interpolate": "step-after"},
             "encoding": {"x": number, "y": error}},
            {"mark": {"type": "point", "style": "stop", "filled": True, "opacity": 1},
             "encoding": {"x": number, "y": error, "tooltip": tip,
                          "size": {"condition": {"test": "datum.changed", "value": 70}, "value": 14}}},
        ],
        170,
        transform=clipped,
    )  # fmt: skip


def _arena() -> dict[str, Any]:
    entry = "datum.value < 0 ? 'entry' : datum.label"
    time = {"field": "first", "type": "quantitative", "title": "call", "scale": {"nice": False, "zero": False},
            "axis": {"grid": False, "tickMinStep": 1, "labelExpr": entry}}  # fmt: skip
    place = {"field": "offset", "type": "quantitative", "title": "bytes from the start of the arena",
             "scale": {"nice": False}, "axis": {"labelExpr": _SHORT, "tickCount": 6}}  # fmt: skip
    tip = [
        {"field": "name", "title": "buffer"}, {"field": "node", "title": "made by"},
        {"field": "bytes", "title": "bytes", "format": ","}, {"field": "offset", "title": "offset", "format": ","},
        {"field": "calls", "title": "calls"},
    ]  # fmt: skip
    return _chart(
        "Buffers of the arena: bytes upwards, calls to the right",
        [
            {"mark": {"type": "rect", "style": "block", "cursor": "pointer"},
             "encoding": {
                 "x": time, "x2": {"field": "end"}, "y": place, "y2": {"field": "top"}, "tooltip": tip,
                 "fill": {"field": "kind", "type": "nominal", "legend": None,
                          "scale": {"domain": ["value", "scratch"], "range": "ordinal"}},
                 "strokeWidth": {"condition": {"test": "datum.node === chosen && chosen !== ''", "value": 3},
                                 "value": 1}}},
        ],
        300,
        params=[{"name": "chosen", "value": ""}],
    )  # fmt: skip
