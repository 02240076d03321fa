"""Fingerprints of the sub-graphs that make values: equal where statistics of one value describe the other."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from qir.ir.graph import Graph, Node


def fingerprints(graph: Graph) -> dict[str, str]:
    """The fingerprint of every value, those that bodies of If, Loop and Scan hold or capture by `node/attribute/value`.

    It covers the operators on the way from the inputs, their attributes and the real values of constants; names of
    inputs, but no other names. Codes do not enter, nor does qir.Requantize: quantizing a network, which moves its
    values by rounding only, keeps them.

    Args:
        graph: FLOAT or QUANT.
    """
    found: dict[str, str] = {}
    _walk(graph, "", {name: _hash("input", name) for name in graph.inputs}, found)
    return found


def _walk(graph: Graph, scope: str, known: Mapping[str, str], found: dict[str, str]) -> dict[str, str]:
    """Notes the fingerprints of a graph's values under their keys; returns them by plain name."""
    own = {name: _hash("constant", constant.digest.hex()) for name, constant in graph.constants.items()}
    values = {"": "", **known, **own}
    for node in graph.nodes:
        if node.op == "qir.Requantize":
            values[node.outputs[0]] = values[node.inputs[0]]
            continue
        whole = _node(node, values)
        for key, body in node.subgraphs.items():
            given = {name: _hash(whole, key, str(slot)) for slot, name in enumerate(body.inputs)}
            _walk(body, f"{scope}{node.name}/{key}/", {**values, **given}, found)
        values |= {name: _hash(whole, str(slot)) for slot, name in enumerate(node.outputs) if name}
    names = (
        *graph.inputs,
        *graph.constants,
        *graph.captures,
        *(name for node in graph.nodes for name in node.outputs if name),
    )
    found |= {scope + name: values[name] for name in names}
    return values


def _node(node: Node, values: Mapping[str, str]) -> str:
    attributes = [f"{key}={_attribute(value, values)}" for key, value in sorted(node.attrs.items())]
    return _hash(node.op, *attributes, *(values[name] for name in node.inputs))


def _attribute(value: Any, values: Mapping[str, str]) -> str:
    if isinstance(value, Graph):
        given = {name: _hash("slot", str(slot)) for slot, name in enumerate(value.inputs)}
        inside = _walk(value, "", {**values, **given}, {})
        return _hash(*(inside[name] for name in value.outputs))
    if isinstance(value, np.ndarray):
        return _hash(f"{value.dtype} {value.shape}", repr(value.tolist()))
    if isinstance(value, tuple):
        return _hash(*(_attribute(item, values) for item in value))
    return repr(value)


def _hash(*parts: str) -> str:
    what = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode()
        what.update(len(data).to_bytes(8, "little") + data)
    return what.hexdigest()
