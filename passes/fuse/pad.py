"""`fuse-pad`: a Pad becomes part of the convolution or pool behind it.

    Conv(Pad(x, p, 0), pads=q)                            ->  Conv(x, pads=p+q)
    AveragePool(Pad(x, p, 0))                             ->  AveragePool(x, pads=p, count_include_pad=1)
    MaxPool(Pad(x, p, -inf)), or p of 0 where x >= 0      ->  MaxPool(x, pads=p)

if the Pad is of mode constant, adds (never cuts) and only along spatial axes, and its result has no other use. A pool's
padding must stay smaller than its kernel, so that every window holds an element.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qir.ir.graph import Graph, Node
from qir.ir.types import TensorType
from qir.passes.clean.facts import elements_of, never_negative, shape_of
from qir.passmanager.base import Context, Pass
from qir.rewrite.driver import apply_rules
from qir.rewrite.editor import Editor
from qir.rewrite.guards import put
from qir.rewrite.pattern import Match, Refused, Rule, any_value, op


@dataclass(frozen=True)
class FusePad(Pass):
    """Moves constant padding into Conv, AveragePool and MaxPool."""

    name: ClassVar[str] = "fuse-pad"

    def run(self, graph: Graph, context: Context) -> Graph:
        return apply_rules(graph, _RULES)


def _padding(graph: Graph, pad: Node) -> tuple[np.ndarray, float] | Refused:
    """Added elements [2, rank] and the value they have."""
    shape, pads = shape_of(graph, pad.inputs[0]), elements_of(graph, pad.input(1))
    axes, value = elements_of(graph, pad.input(3)), graph.value(pad.input(2)) if pad.input(2) else np.zeros(1)
    if pad.attr("mode", "constant") != "constant":
        return Refused("it repeats or reflects elements")
    if shape is None or pads is None or axes is None or value is None or value.dtype.kind not in "fiu":
        return Refused("its padding is not constant")
    table = np.zeros((2, len(shape)), np.int64)
    table[:, axes or slice(None)] = np.array(pads, np.int64).reshape(2, -1)
    if np.any(table < 0) or np.any(table[:, :2]):
        return Refused("it cuts, or pads batch or channels")
    return table[:, 2:], float(value.reshape(-1)[0])


def _fuse(found: Match, edit: Editor) -> str | Refused:
    graph, pad, node = found.graph, found["pad"], found.root
    x, between = (graph.types.get(name) for name in (pad.inputs[0], pad.outputs[0]))
    if isinstance(x, TensorType) and isinstance(between, TensorType) and between.quant not in (None, x.quant):
        return Refused("the padded value is rounded to other codes")
    padding = _padding(graph, pad)
    if isinstance(padding, Refused):
        return padding
    added, value = padding
    if node.attr("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return Refused("the operator pads by the size of its input")
    own = np.array(node.attr("pads") or (0,) * added.size, np.int64).reshape(added.shape)
    attrs = {key: item for key, item in node.attrs.items() if key != "auto_pad"}
    why = "the padding is not zero" if value != 0 and node.op != "MaxPool" else ""
    if node.op != "Conv":
        why = why or _pool_refuses(graph, node, own, added, value)
    if why:
        return Refused(why)
    if node.op == "AveragePool":
        attrs["count_include_pad"] = 1
    attrs["pads"] = tuple(int(n) for n in (own + added).reshape(-1))
    return put(found, edit, node.op, (pad.inputs[0], *node.inputs[1:]), attrs)


def _pool_refuses(graph: Graph, node: Node, own: np.ndarray, added: np.ndarray, value: float) -> str:
    if any(graph.index.consumers(name) or graph.index.is_output(name) for name in node.outputs[1:] if name):
        return "the positions of the maxima are used"
    if node.attr("ceil_mode", 0):
        return "with ceil_mode the last window depends on the padding"
    kernel = np.array(node.attr("kernel_shape"))
    if np.any(own + added >= kernel) or any(d != 1 for d in node.attr("dilations") or ()):
        return "a window could lie in the padding alone"
    if node.op == "AveragePool":
        return "its own padding does not count" if np.any(own) and not node.attr("count_include_pad", 0) else ""
    lowest = value == -np.inf or value <= np.finfo(np.float32).min
    if lowest or (value == 0 and never_negative(graph, graph.index.producers[node.inputs[0]].inputs[0])):
        return ""
    return "the padding could be a maximum"


_RULES = (Rule("pad-into-window", op(("Conv", "AveragePool", "MaxPool"), op("Pad", any_value("x"))), _fuse),)
