"""Quantized types written out as QuantizeLinear/DequantizeLinear nodes or compares, qir's own operators as ONNX's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from qir.errors import ModelError, UnsupportedError
from qir.ir.dtype import BOOL, FLOAT32, DType, of_array
from qir.ir.graph import Constant, Graph, Node, Stage
from qir.ir.types import Affine, TensorType, ValueType
from qir.onnxio.names import all_values, fresh, with_bodies
from qir.onnxio.protos import number_of
from qir.ops import OPS
from qir.quant.channels import along
from qir.quant.scales import encode

REQUANTIZE = "qir.Requantize"


def plain(graph: Graph) -> Graph:
    """The same network in ONNX's operators alone, quantization as one Q/DQ pair a value; bodies included.

    Graph inputs and outputs keep their names. A pair's codes are `<value>_quantized`, what it gives
    `<value>_dequantized` (`<value>` itself for constants and graph outputs).

    Raises:
        UnsupportedError: for graphs of stage INT and operators without a meaning in ONNX.
        ModelError: for activations whose quantization has no QuantizeLinear.
    """
    if graph.stage is Stage.INT:
        raise UnsupportedError(
            "a graph of integer arithmetic has no plain ONNX form", fix="Export the graph before it is lowered"
        )
    return _Writer(graph).graph(graph, {}, {})


def codes_of(constant: Constant, quant: Affine) -> np.ndarray:
    """A constant's codes in their storage type, rounded from its real values where they are not there yet."""
    codes = encode(constant.value, quant) if constant.codes is None else constant.codes
    return codes.astype(quant.storage.numpy)


def _expanded(graph: Graph) -> list[Node]:
    """The nodes with qir's operators replaced by what they mean, repeatedly."""
    pending, result = list(reversed(graph.nodes)), []
    while pending:
        node = pending.pop()
        definition = OPS.get(node.op)
        if node.op == REQUANTIZE or definition is None:
            if node.domain == "qir" and node.op != REQUANTIZE:
                raise UnsupportedError(f"{node.op} is not registered", node=node.name)
            result.append(node)
        elif definition.expand is None:
            raise UnsupportedError(f"{node.op} has no equal in ONNX", node=node.name, fix="Export before lowering")
        else:
            pending += reversed(definition.expand(node, graph))
    return result


class _Writer:
    def __init__(self, graph: Graph) -> None:
        self.taken = set(all_values(graph))
        self.names = {node.name for _, node in graph.walk()}

    def graph(self, graph: Graph, outer: Mapping[str, str], outer_types: Mapping[str, ValueType]) -> Graph:
        return _GraphWriter(self, graph, outer, outer_types).run()

    def value(self, name: str) -> str:
        return fresh(name, self.taken)

    def node(self, op: str, base: str, inputs: list[str], output: str, origin: tuple[str, ...], **attrs: Any) -> Node:
        return Node(op, tuple(inputs), (output,), attrs, fresh(f"{base}_{op}", self.names), origin=origin)


class _GraphWriter:
    def __init__(
        self, owner: _Writer, graph: Graph, outer: Mapping[str, str], outer_types: Mapping[str, ValueType]
    ) -> None:
        self.owner, self.source = owner, graph
        self.results = set(graph.outputs)
        self.reads = dict(outer)
        self.seen = {**outer_types, **graph.types}
        self.types: dict[str, ValueType] = {}
        self.constants: dict[str, Constant] = {}
        self.shared: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self.nodes: list[Node] = []

    def run(self) -> Graph:
        graph = self.source
        for name, kind in graph.types.items():
            self.types[name] = _real(kind)
        for name, constant in graph.constants.items():
            quant = self._quant(name)
            if quant is None:
                self.constants[name] = constant
            else:
                self._dequantize(name, self._codes(name, constant, quant), name, quant, ())
        for name in graph.inputs:
            quant = self._quant(name)
            if quant is not None and name not in self.results:
                self.reads[name] = self.owner.value(f"{name}_dequantized")
                self._pair(name, name, self.reads[name], quant, ())
        for node in _expanded(graph):
            self._node(node)
        outputs = tuple(name if name in self.types else self._copied(name) for name in graph.outputs)
        opsets = {domain: version for domain, version in graph.opsets.items() if domain != "qir"}
        opsets |= {node.domain: 1 for node in self.nodes if node.domain not in opsets and node.domain}
        return graph.with_(nodes=tuple(self.nodes), types=self.types, constants=self.constants, outputs=outputs,
                           stage=Stage.FLOAT, opsets=opsets)  # fmt: skip

    def _quant(self, name: str) -> Affine | None:
        kind = self.source.types.get(name)
        return kind.quant if isinstance(kind, TensorType) else None

    def _node(self, node: Node) -> None:
        inputs = tuple(self.reads.get(name, name) for name in node.inputs)
        if node.op == REQUANTIZE:
            self._requantize(node, inputs[0])
            return
        bodies = {key: self.owner.graph(body, self.reads, self.seen) for key, body in node.subgraphs.items()}
        outputs, pairs = [], []
        for name in node.outputs:
            quant = self._quant(name) if name else None
            if quant is None:
                outputs.append(name)
                continue
            given = dequantized = name
            if name in self.results:
                given = self._typed(f"{name}_float", self.types[name])
            else:
                dequantized = self.owner.value(f"{name}_dequantized")
                self.reads[name] = dequantized
            outputs.append(given)
            pairs.append((name, given, dequantized, quant))
        self.nodes.append(with_bodies(node.with_(inputs=inputs, outputs=tuple(outputs)), bodies))
        for name, given, dequantized, quant in pairs:
            self._pair(name, given, dequantized, quant, node.origin)

    def _requantize(self, node: Node, source: str) -> None:
        name, quant = node.outputs[0], self._quant(node.outputs[0])
        if quant is not None:
            self._pair(name, source, name, quant, node.origin)
        elif name in self.results:
            self.nodes.append(Node("Identity", (source,), (name,), {}, node.name, origin=node.origin))
        else:
            self.reads[name] = source
            del self.types[name]

    def _copied(self, name: str) -> str:
        """A body's result that comes from around it; onnxruntime wants results to be made where they are given."""
        if name not in self.seen:
            return name
        copy = self._typed(f"{name}_copy", _real(self.seen[name]))
        self.nodes.append(self.owner.node("Identity", copy, [self.reads.get(name, name)], copy, ()))
        return copy

    def _pair(self, base: str, given: str, result: str, quant: Affine, origin: tuple[str, ...]) -> None:
        kind = self.types[base]
        assert isinstance(kind, TensorType)
        if quant.storage.bits > 16:
            raise ModelError(f"a computed value cannot be rounded to {quant.storage} codes", tensor=base)
        self.types[result] = kind
        if kind.dtype is not FLOAT32:
            given = self._add("Cast", base, [given], TensorType(FLOAT32, kind.shape), origin, to=number_of(FLOAT32))
        if quant.rounding != "nearest":
            self._compared(base, given, result, quant, origin)
            return
        given = self._limited(base, given, kind, quant, origin)
        codes = self._typed(f"{base}_quantized", TensorType(quant.storage, kind.shape))
        operands = [given, *self._parameters(base, quant)]
        self.nodes.append(self.owner.node("QuantizeLinear", base, operands, codes, origin, **_placement(quant)))
        self._dequantize(base, codes, result, quant, origin)

    def _compared(self, base: str, given: str, result: str, quant: Affine, origin: tuple[str, ...]) -> None:
        """Ternary and binary codes, which no QuantizeLinear makes: the reals that they stand for, chosen by compares.

        Where(x >= t, s, -s), or Where(x > t, s, Where(x < -t, -s, 0)).
        """
        kind = self.types[base]
        assert isinstance(kind, TensorType)
        if kind.shape is None and quant.axis is not None:
            raise ModelError("codes by compares, one threshold a channel, need a known rank", tensor=base)
        rank = len(kind.shape or ())
        high, low, above, below = (
            self._parameter(f"{base}_{name}", along(array, quant.axis, (array.size,) * rank))
            for name, array in (("high", quant.scale), ("low", -quant.scale), ("above", quant.threshold),
                                ("below", -quant.threshold))
        )  # fmt: skip
        wide, test = TensorType(FLOAT32, kind.shape), TensorType(BOOL, kind.shape)
        compare, otherwise = "GreaterOrEqual", low
        if quant.rounding == "ternary":
            zero = self._parameter(f"{base}_zero", np.zeros((), np.float32))
            is_low = self._add("Less", base, [given, below], test, origin)
            compare, otherwise = "Greater", self._add("Where", base, [is_low, low, zero], wide, origin)
        is_high = self._add(compare, base, [given, above], test, origin)
        real = result if kind.dtype is FLOAT32 else self._typed(f"{base}_real", wide)
        self.nodes.append(self.owner.node("Where", base, [is_high, high, otherwise], real, origin))
        if real != result:
            self.nodes.append(self.owner.node("Cast", base, [real], result, origin, to=number_of(kind.dtype)))

    def _limited(self, base: str, given: str, kind: TensorType, quant: Affine, origin: tuple[str, ...]) -> str:
        """Codes narrower than their storage: the reals are clipped to what the outermost codes stand for.

        Exact, as rint((n * scale) / scale) = n in float32 for every |n| < 2^16.
        """
        if (quant.qmin, quant.qmax) == (quant.storage.min, quant.storage.max):
            return given
        assert quant.qmin is not None
        assert quant.qmax is not None
        if quant.axis is not None and (kind.shape is None or quant.block_size):
            raise ModelError("codes narrower than their storage need a known rank and no blocks", tensor=base)
        bounds = []
        for code in (quant.qmin, quant.qmax):
            real = (np.float32(code) - quant.zero_point.astype(np.float32)) * quant.scale
            bounds.append(along(real, quant.axis, (real.size,) * len(kind.shape or ())))
        wide = TensorType(FLOAT32, kind.shape)
        low, high = self._parameter(f"{base}_low", bounds[0]), self._parameter(f"{base}_high", bounds[1])
        if quant.axis is None:
            return self._add("Clip", base, [given, low, high], wide, origin)
        return self._add("Min", base, [self._add("Max", base, [given, low], wide, origin), high], wide, origin)

    def _dequantize(self, base: str, codes: str, result: str, quant: Affine, origin: tuple[str, ...]) -> None:
        kind = self.types[base]
        assert isinstance(kind, TensorType)
        real = result
        if kind.dtype is not FLOAT32:
            real = self._typed(f"{base}_real", TensorType(FLOAT32, kind.shape))
        operands = [codes, *self._parameters(base, quant)]
        self.nodes.append(self.owner.node("DequantizeLinear", base, operands, real, origin, **_placement(quant)))
        if real != result:
            self.nodes.append(self.owner.node("Cast", base, [real], result, origin, to=number_of(kind.dtype)))

    def _codes(self, name: str, constant: Constant, quant: Affine) -> str:
        array = codes_of(constant, quant)
        codes = self._typed(f"{name}_quantized", TensorType(quant.storage, array.shape))
        self.constants[codes] = Constant(array)
        return codes

    def _parameters(self, base: str, quant: Affine) -> list[str]:
        scale, zero = quant.scale, quant.zero_point.astype(quant.storage.numpy)
        if quant.axis is None:
            scale, zero = scale.reshape(()), zero.reshape(())
        return [self._parameter(f"{base}_scale", scale), self._parameter(f"{base}_zero_point", zero)]

    def _parameter(self, hint: str, array: np.ndarray) -> str:
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self.shared:
            dtype: DType = of_array(array)
            self.shared[key] = self._typed(hint, TensorType(dtype, array.shape))
            self.constants[self.shared[key]] = Constant(array.copy())
        return self.shared[key]

    def _typed(self, hint: str, kind: ValueType) -> str:
        name = self.owner.value(hint)
        self.types[name] = kind
        return name

    def _add(
        self, op: str, base: str, inputs: list[str], kind: TensorType, origin: tuple[str, ...], **attrs: Any
    ) -> str:
        output = self._typed(f"{base}_{op.lower()}", kind)
        self.nodes.append(self.owner.node(op, base, inputs, output, origin, **attrs))
        return output


def _real(kind: ValueType) -> ValueType:
    return TensorType(kind.dtype, kind.shape) if isinstance(kind, TensorType) else kind


def _placement(quant: Affine) -> dict[str, int]:
    """Attributes of Q and DQ; those of their defaults are left out, so that older opsets will do."""
    attrs = {} if quant.axis is None or quant.axis == 1 else {"axis": quant.axis}
    return {**attrs, "block_size": quant.block_size} if quant.block_size else attrs
