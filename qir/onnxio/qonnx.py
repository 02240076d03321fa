"""QONNX's operators, as Brevitas, FINN and QKeras write them, in plain ONNX.

    Quant(x, s, z, b)               (R(clamp(x / s + z, low, high)) - z) s, R the node's rounding mode
    BipolarQuant(x, s)              x >= 0 ? s : -s
    Trunc(x, s, z, b, c)            (R(rint(x / s + z) / 2^(b - c)) - z) s
    Trunc(x, s, z, b, r, c)         (R(clamp(rint(x / s + z) / t, low, high)) - z / t) r, t = 2^rint(log2(r / s))

IntQuant is the younger name of Quant. `quantized` turns what types can say into types; the rest computes the same as
plain operators. Sources: Pappalardo et al., arXiv:2206.07527, and the schemas of QONNX's operators, version 1 and, for
a Trunc with a scale of its result, 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qir.errors import ModelError, UnsupportedError
from qir.ir.dtype import FLOAT32
from qir.ir.graph import Constant, Graph, Node
from qir.ir.types import TensorType, ValueType
from qir.onnxio.names import all_values, fresh, with_bodies
from qir.onnxio.protos import number_of
from qir.onnxio.read import constant_types
from qir.onnxio.write import opset_of

DOMAINS = frozenset({"qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general"})
_OPERANDS = {"Quant": (4,), "IntQuant": (4,), "BipolarQuant": (2,), "Trunc": (5, 6)}
_LOWEST = 13
"""The opset from which on the expansions mean what they do in 21."""
_MODES = ("ROUND", "HALF_EVEN", "CEIL", "FLOOR", "UP", "DOWN", "ROUND_TO_ZERO", "HALF_UP", "HALF_DOWN")


def is_qonnx(node: Node) -> bool:
    """Whether this is one of QONNX's quantizers; its result has the shape of its first operand and is float32."""
    return node.domain in DOMAINS and node.op_type in _OPERANDS


def expand_qonnx(graph: Graph) -> Graph:
    """The graph with QONNX's quantizers written out, bodies included.

    Raises:
        ModelError: for nodes with operands missing.
        UnsupportedError: for rounding modes that are not known.
    """
    if opset_of(graph) < _LOWEST or not any(is_qonnx(node) for _, node in graph.walk()):
        return graph
    owner = set(all_values(graph)), {node.name for _, node in graph.walk()}
    expanded = _expanded(graph, owner, {})
    left = {node.domain for _, node in expanded.walk()}
    return _without(expanded, DOMAINS - left)


def _without(graph: Graph, domains: frozenset[str]) -> Graph:
    """The graph without the versions of domains that nothing is of any more."""
    nodes = tuple(with_bodies(node, {key: _without(body, domains) for key, body in node.subgraphs.items()})
                  for node in graph.nodes)  # fmt: skip
    opsets = {domain: version for domain, version in graph.opsets.items() if domain not in domains}
    return graph.with_(nodes=nodes, opsets=opsets)


def _expanded(graph: Graph, taken: tuple[set[str], set[str]], outer: Mapping[str, Constant]) -> Graph:
    known = {**outer, **graph.constants}
    nodes: list[Node] = []
    added: dict[str, Constant] = {}
    for node in graph.nodes:
        bodies = {key: _expanded(body, taken, known) for key, body in node.subgraphs.items()}
        if is_qonnx(node):
            nodes += _Expansion(node, graph.types, known, added, taken).run()
        else:
            nodes.append(with_bodies(node, bodies))
    idle = {name for node in graph.nodes if is_qonnx(node) for name in node.inputs} - {*graph.outputs}
    idle -= {name for node in nodes for name in node.reads}
    constants = {name: constant for name, constant in graph.constants.items() if name not in idle} | added
    types = {name: kind for name, kind in graph.types.items() if name in constants or name not in graph.constants}
    return graph.with_(nodes=tuple(nodes), constants=constants, types={**types, **constant_types(added)})


class _Expansion:
    """One quantizer in the making; methods add nodes and give the value that they make."""

    def __init__(
        self,
        node: Node,
        types: Mapping[str, ValueType],
        known: Mapping[str, Constant],
        added: dict[str, Constant],
        taken: tuple[set[str], set[str]],
    ) -> None:
        self.node, self.types, self.known, self.added = node, types, known, added
        self.values, self.names = taken
        self.nodes: list[Node] = []
        if len([name for name in node.inputs if name]) not in _OPERANDS[node.op_type] or not all(node.inputs):
            counts = " or ".join(str(count) for count in _OPERANDS[node.op_type])
            raise ModelError(f"a {node.op_type} has {counts} operands, this one {len(node.inputs)}", node=node.name,
                             fix="Export the model again")  # fmt: skip

    def run(self) -> list[Node]:
        """The nodes, the last of which gives the quantizer's result."""
        if self.node.op_type == "BipolarQuant":
            self.bipolar(*map(self.real, self.node.inputs))
        elif self.node.op_type == "Trunc":
            self.trunc()
        else:
            self.quant(*map(self.real, self.node.inputs))
        self.nodes[-1] = self.nodes[-1].with_(outputs=(self.node.outputs[0],), name=self.node.name)
        return self.nodes

    def bipolar(self, x: str, scale: str) -> str:
        """Either zero counts as positive."""
        array = self.array(scale)
        low = self.op("Neg", scale) if array is None else self.number("low", -array)
        return self.op("Where", self.op("GreaterOrEqual", x, self.number("zero", 0)), scale, low)

    def quant(self, x: str, scale: str, zero: str, bits: str) -> str:
        """A signed code of one bit is -1 or +1, as QONNX's own execution has it."""
        width, s = self.array(bits), self.array(scale)
        if width is None or width.size != 1 or width.item() != 1 or not self.node.attr("signed", 1):
            codes = self.round(self.clamp(self.scaled(x, scale, zero), bits))
        elif self.is_zero(zero) and s is not None and bool((s > 0).all()):
            return self.bipolar(x, scale)
        else:
            codes = self.bipolar(self.scaled(x, scale, zero), self.number("one", 1))
        return self.back(codes, scale, zero)

    def trunc(self) -> str:
        x, scale, zero, *rest = map(self.real, self.node.inputs)
        codes = self.op("Round", self.scaled(x, scale, zero))
        two = self.number("two", 2)
        if len(rest) == 2:
            step = self.op("Pow", two, self.op("Sub", *rest))
            return self.back(self.round(self.op("Div", codes, step), "FLOOR"), scale, zero)
        _, result_scale, bits = rest
        octaves = self.op("Div", self.op("Log", self.op("Div", result_scale, scale)), self.number("ln2", np.log(2)))
        step = self.op("Pow", two, self.op("Round", octaves))
        codes = self.round(self.clamp(self.op("Div", codes, step), bits), "FLOOR")
        return self.back(codes, result_scale, zero if self.is_zero(zero) else self.op("Div", zero, step))

    def scaled(self, x: str, scale: str, zero: str) -> str:
        steps = self.op("Div", x, scale)
        return steps if self.is_zero(zero) else self.op("Add", steps, zero)

    def back(self, codes: str, scale: str, zero: str) -> str:
        return self.op("Mul", codes if self.is_zero(zero) else self.op("Sub", codes, zero), scale)

    def clamp(self, x: str, bits: str) -> str:
        """To low = -2^(b-1), or one more where narrow, and high = 2^(b-1) - 1; unsigned 0 and 2^b - 1 or one less."""
        signed, narrow = bool(self.node.attr("signed", 1)), bool(self.node.attr("narrow", 0))
        width = self.array(bits)
        if width is not None and width.size == 1:
            power = 2.0 ** (float(width.item()) - signed)
            low, high = (narrow - power, power - 1) if signed else (0, power - 1 - narrow)
            return self.op("Clip", x, self.number("low", low), self.number("high", high))
        one, zero = self.number("one", 1), self.number("zero", 0)
        power = self.op("Pow", self.number("two", 2), self.op("Sub", bits, one if signed else zero))
        highest = self.op("Sub", power, self.number("gap", 1 if signed else 1 + narrow))
        lowest = self.op("Sub", self.number("narrow", narrow), power) if signed else zero
        return self.op("Min", self.op("Max", x, lowest), highest)

    def round(self, x: str, default: str = "ROUND") -> str:
        mode = str(self.node.attr("rounding_mode", default)).upper()
        if mode not in _MODES:
            raise UnsupportedError(f"its rounding mode {mode} is not known", node=self.node.name,
                                   fix=f"Export it with one of {', '.join(_MODES)}")  # fmt: skip
        if mode in ("ROUND", "HALF_EVEN"):
            return self.op("Round", x)
        if mode in ("CEIL", "FLOOR"):
            return self.op(mode.title(), x)
        size = self.op("Abs", x)
        if mode.startswith("HALF"):
            size = self.op("Add", size, self.number("half", 0.5 if mode == "HALF_UP" else -0.5))
        return self.op("Mul", self.op("Sign", x), self.op("Ceil" if mode in ("UP", "HALF_DOWN") else "Floor", size))

    def array(self, name: str) -> np.ndarray | None:
        found = self.added.get(name) or self.known.get(name)
        return None if found is None else found.value

    def is_zero(self, name: str) -> bool:
        array = self.array(name)
        return array is not None and not array.any()

    def real(self, name: str) -> str:
        """An operand as float32; bit widths and zero points come as integers too."""
        array, kind = self.array(name), self.types.get(name)
        if array is not None:
            return name if array.dtype == np.float32 else self.number(name, array)
        if not isinstance(kind, TensorType) or kind.dtype == FLOAT32:
            return name
        return self.op("Cast", name, to=number_of(FLOAT32))

    def number(self, hint: str, value: Any) -> str:
        name = fresh(f"{self.node.name}_{hint}", self.values)
        self.added[name] = Constant(np.asarray(value, np.float32))
        return name

    def op(self, op: str, *inputs: str, **attrs: Any) -> str:
        output = fresh(f"{self.node.name}_{op}", self.values)
        name = fresh(f"{self.node.name}_{op}", self.names)
        self.nodes.append(Node(op, inputs, (output,), attrs, name, origin=self.node.origin))
        return output
