"""Scaling channels of values by factors that go into weights, and what a graph says of having been scaled so.

Values keep their names though their numbers are others; the graph's metadata holds the factors, so that a network can
be compared with the model it was made of, value by value. Factors are 2^(k/16), k in [-127, 127].
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from qir.coupling import FIXED, NORMALIZATIONS, Coupling
from qir.ir.graph import Graph, Node
from qir.ir.types import TensorType
from qir.ops.weighted import weighted
from qir.rewrite.editor import Editor

_KEY = "qir.equalized"
STEPS = 16
"""Codes of one octave."""
_LIMIT = 127


@dataclass(frozen=True, eq=False)
class Factors:
    """What the channels of one value were multiplied with.

    Attributes:
        axis: the channels'.
        codes: int8 [C], the k of 2^(k/16).
    """

    axis: int
    codes: np.ndarray

    @property
    def values(self) -> np.ndarray:
        """The factors, float64 [C]."""
        return np.asarray(np.exp2(self.codes.astype(np.float64) / STEPS))


def nearest_codes(factors: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """The k of 2^(k/16) closest to each factor; 2^(k/16) is within the bounds, of which 1 is."""
    least, most = (np.clip(STEPS * np.log2(np.clip(bound, 1e-9, 1e9)), -_LIMIT, _LIMIT) for bound in (lower, upper))
    codes = np.clip(np.rint(STEPS * np.log2(factors)), np.ceil(least - 1e-9), np.floor(most + 1e-9))
    return np.asarray(codes, np.int8)


def factors_of(graph: Graph) -> dict[str, Factors]:
    """By value what its channels have been multiplied with, as the graph notes it; 1 where nothing is said."""
    found: dict[str, Factors] = {}
    for name, entry in json.loads(graph.metadata.get(_KEY, "{}")).items():
        if isinstance(entry, str):
            found[name] = found[entry]
        else:
            found[name] = Factors(int(entry[0]), np.frombuffer(base64.b85decode(entry[1]), np.int8))
    return found


def scale_channels(graph: Graph, coupling: Coupling, codes: np.ndarray) -> Graph:
    """Scales every class of channels: factors meet in the values and cancel in the layers that read them.

    Args:
        graph: FLOAT.
        coupling: of the graph.
        codes: int8, the k of 2^(k/16) of each class; 0 for the fixed one. Cut where the channels have been scaled
            before and the product of both factors would leave its limits.
    """
    before = factors_of(graph)
    for name, one in before.items():
        if name in coupling.values:
            ids, old = coupling.values[name].ids, one.codes.astype(np.int16)
            codes = codes.copy()
            codes[ids] = np.clip(codes[ids], -_LIMIT - old, _LIMIT - old)
    scaled = {
        name: Factors(channels.axis, codes[channels.ids])
        for name, channels in coupling.values.items()
        if codes[channels.ids].any()
    }
    edit = Editor(graph)
    for node in graph.nodes:
        made = scaled.get(node.outputs[0]) if node.outputs else None
        read = scaled.get(node.inputs[0]) if node.inputs else None
        for slot, factor in _operands(node, graph, made, read):
            value = (graph.constants[node.inputs[slot]].value * factor).astype(np.float32)
            edit.replace_input(edit.current(node), slot, edit.revised(node.inputs[slot], value, [node]))
    total = {**before, **{
        name: Factors(one.axis, one.codes + before[name].codes) if name in before else one
        for name, one in scaled.items()
    }}  # fmt: skip
    return edit.build(metadata={**graph.metadata, _KEY: _text(total)})


def scaled_like(graph: Graph, other: Graph) -> Graph:
    """The graph with its channels scaled as those of another, as far as values of both have one name.

    Values whose factors its weights cannot take (another model's) stay as they are.
    """
    wanted, mine = factors_of(other), factors_of(graph)
    if wanted.keys() == mine.keys() and all((wanted[name].codes == mine[name].codes).all() for name in wanted):
        return graph
    coupling = Coupling.of(graph)
    codes = np.zeros(len(coupling.groups), np.int8)
    for name, channels in coupling.values.items():
        signed = [(1, wanted.get(name)), (-1, mine.get(name))]
        known = [sign * one.codes for sign, one in signed if one is not None and one.axis == channels.axis]
        if known and all(one.size == channels.ids.size for one in known):
            codes[channels.ids] = sum(known)
    codes[FIXED] = 0
    return scale_channels(graph, coupling, codes) if codes.any() else graph


def _text(factors: Mapping[str, Factors]) -> str:
    """JSON; values with equal factors refer to the first of them."""
    first: dict[tuple[int, bytes], str] = {}
    entries: dict[str, object] = {}
    for name, one in factors.items():
        if one.codes.any():
            key = one.axis, one.codes.tobytes()
            same = first.setdefault(key, name)
            entries[name] = [one.axis, base64.b85encode(key[1]).decode()] if same == name else same
    return json.dumps(entries, separators=(",", ":"))


def _operands(node: Node, graph: Graph, made: Factors | None, read: Factors | None) -> list[tuple[int, np.ndarray]]:
    """The constants of a node that take factors, by slot, where its result and its first operand are scaled."""
    slots = weighted(node, graph)
    if slots is not None and (made is not None or read is not None):
        shape = graph.constants[node.inputs[slots.weight]].value.shape
        found = [(slots.weight, _of_weight(node, shape, made, read))]
        biased = made is not None and slots.bias >= 0 and node.input(slots.bias)
        return found + ([(slots.bias, made.values)] if biased and made is not None else [])
    if made is not None and node.op in NORMALIZATIONS:
        return [(slot, made.values) for slot, name in enumerate(node.inputs) if slot and name]
    if made is not None and node.op == "BatchNormalization":
        return [(slot, made.values) for slot in (1, 2)]
    if made is not None and node.op in ("Add", "Sub"):
        kind = graph.types[node.outputs[0]]
        rank = len(kind.shape or ()) if isinstance(kind, TensorType) else 0
        factor = made.values.reshape(-1, *[1] * (rank - 1 - made.axis))
        return [(slot, factor) for slot, name in enumerate(node.inputs) if name in graph.constants]
    return []


def _of_weight(node: Node, shape: tuple[int, ...], made: Factors | None, read: Factors | None) -> np.ndarray:
    """What a weight of a shape is multiplied with."""
    groups = int(node.attr("group", 1))
    if node.op == "Conv":
        outputs, inputs = shape[0], shape[1] * groups
    elif node.op == "ConvTranspose":
        outputs, inputs = shape[1] * groups, shape[0]
    else:
        outputs, inputs = shape if node.attr("transB", 0) else shape[::-1]
    rows = np.ones(outputs) if made is None else made.values
    columns = np.ones(inputs) if read is None else read.values
    cells = rows.reshape(groups, -1, 1) / columns.reshape(groups, 1, -1)  # [groups, outputs, inputs]
    if node.op == "Conv":
        return cells.reshape(*shape[:2], *[1] * (len(shape) - 2))
    if node.op == "ConvTranspose":
        return cells.swapaxes(1, 2).reshape(*shape[:2], *[1] * (len(shape) - 2))
    return np.asarray(cells[0] if node.attr("transB", 0) else cells[0].T)
