"""What onnxruntime's CPU provider takes for a node, in float and on codes: estimates that decide, not predictions.

Source: fitted to onnxruntime 1.32's own profile, single layers of 7x7 to 56x56 pixels and 1 to 208 channels, batch 1,
one thread, x86-64 with AVX-512 VNNI (2026). Other processors differ by a factor that is much alike for both sides, but
for those without VNNI, whose integer products are slower: what is left in float here is there with more right.
"""

from __future__ import annotations

from math import prod

from qir.ir.graph import Graph, Node
from qir.ir.types import TensorType
from qir.ops.weighted import macs
from qir.target import Costs

_NODE = 700.0
"""ns that any node takes: what is left of the shortest ones once the profiler's own time is taken off."""
_MOVED = 0.12
"""ns an element that is read, converted or permuted, and written: 627,200 elements in 77 us."""


def _conv(node: Node, graph: Graph, codes: bool) -> float:
    weight, result = graph.tensor(node.inputs[1]).sizes, graph.tensor(node.outputs[0]).sizes
    outputs, inputs, kernel = weight[0], weight[1], weight[2:]
    work, pixels, taps = float(macs(node, graph) or 0), prod(result[2:]), prod(kernel)
    depthwise = inputs == 1 and node.attr("group", 1) > 1
    if not codes:  # blocks of 16 output channels
        filled = -(-outputs // 16) * 16 / outputs
        return _NODE + 1000 + work * filled / (40 if depthwise else 55)
    gathered = pixels * (3 + 0.9 * taps)  # a pointer for each pixel and tap
    if depthwise:  # whole blocks of 16 channels have a kernel of their own
        return _NODE + 1800 + gathered + work / (30 if outputs % 16 == 0 else 14)
    if inputs % 4 == 0 and outputs % 8 == 0 and outputs >= 16:
        return _NODE + 1800 + gathered + work / 200
    copied = pixels * (8 + (5 * kernel[0] if taps > 1 else 0))  # a row of taps at a time into a matrix
    return _NODE + 1800 + copied + work / 200


def _matrix(node: Node, graph: Graph, codes: bool) -> float:
    work, result = float(macs(node, graph) or 0), graph.tensor(node.outputs[0]).sizes
    single = prod(result[:-1]) == 1  # one row: bound by reading the weights
    if codes:
        return _NODE + 1500 + work / (50 if single else 180)
    return _NODE + 800 + work / (18 if single else 50)


def _node(node: Node, graph: Graph, codes: bool) -> float:
    if node.op == "Conv":
        return _conv(node, graph, codes)
    if node.op in ("Gemm", "MatMul"):
        return _matrix(node, graph, codes)
    moved = sum(prod(graph.tensor(name).sizes) for name in (node.inputs[0], node.outputs[0]))
    if node.op in ("Add", "Mul", "Concat", "AveragePool", "GlobalAveragePool", "LeakyRelu", "Sigmoid", "Softmax",
                   "Where"):  # fmt: skip
        return _NODE + moved * _MOVED + (1800 if codes else 500)
    return _NODE + moved * (_MOVED / 4 if codes else _MOVED)


def _border(kind: TensorType) -> float:
    """The conversion, and for images the change of layout that comes with it on both sides."""
    steps = 2 if len(kind.sizes) == 4 else 1
    return steps * (_NODE + prod(kind.sizes) * _MOVED)


COSTS = Costs(_node, _border)
