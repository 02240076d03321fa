"""What rounds values to codes in a lifted model turned into quantized types; the inverse of what `qdq` writes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qir.ir.dtype import FLOAT32, UINT8, of_array
from qir.ir.graph import Constant, Graph, Node, Stage
from qir.ir.types import Affine, TensorType, ValueType
from qir.onnxio.names import renamed, with_bodies
from qir.onnxio.protos import dtype_of
from qir.onnxio.rounding import ROOTS, Forms, Rounded
from qir.quant.scales import decode, encode

_PRECISION, _OUTPUT = "precision", "output_dtype"


def fold_qdq(graph: Graph) -> Graph:
    """The graph with Q/DQ pairs and other forms of rounding (qir.onnxio.rounding) as quantized types, in stage QUANT
    if there were any.

    One on a computed value or input becomes that value's type, one on a value that is used elsewhere too becomes
    qir.Requantize, DequantizeLinear of a constant becomes a constant with codes, and so does any form on a constant.
    Whatever does not fit (scales that are computed, not positive, or not float32; a lone Q or DQ; codes that others
    read; a second rounding behind a first) stays as nodes.
    """
    folded = _fold(graph, {})
    return graph if folded is graph else _staged(folded)


def _staged(graph: Graph) -> Graph:
    nodes = tuple(
        with_bodies(node, {key: _staged(body) for key, body in node.subgraphs.items()}) for node in graph.nodes
    )
    return graph.with_(nodes=nodes, stage=Stage.QUANT)


def _fold(graph: Graph, outer: Mapping[str, Constant]) -> Graph:
    constants = {**outer, **graph.constants}
    nodes = [
        with_bodies(node, {key: _fold(body, constants) for key, body in node.subgraphs.items()}) for node in graph.nodes
    ]
    if any(a is not b for a, b in zip(nodes, graph.nodes, strict=True)):
        graph = graph.with_(nodes=tuple(nodes))
    if not any(node.op == "DequantizeLinear" or node.op in ROOTS for node in graph.nodes):
        return graph
    return _Folder(graph, constants).run()


class _Folder:
    def __init__(self, graph: Graph, constants: Mapping[str, Constant]) -> None:
        self.graph, self.known = graph, constants
        self.types: dict[str, ValueType] = dict(graph.types)
        self.constants = dict(graph.constants)
        self.renamed: dict[str, str] = {}
        self.gone: set[str] = set()
        self.added: dict[str, Node] = {}
        self.made: set[str] = set()

    def run(self) -> Graph:
        forms, found = Forms(self.graph, self.known), []
        for node in self.graph.nodes:
            if node.op == "DequantizeLinear":
                self._constant(node)
            elif node.op == "QuantizeLinear":
                pair = self._pair(node)
                found.append(None if pair is None else forms.clamped(pair))
            elif node.op in ROOTS:
                found.append(forms.ending(node))
        groups: dict[str, list[Rounded]] = {}
        for one in found:
            if one is not None:
                groups.setdefault(one.source, []).append(one)
                self.made.update(one.results)
        for source, group in groups.items():
            self._attach(source, group)
        if not self.gone:
            return self.graph
        return self._result()

    def _affine(self, node: Node, codes: ValueType | None, tensor: ValueType | None) -> Affine | None:
        """The map that a Q or DQ node computes; None where it is not one that the IR knows."""
        scale = self.known.get(node.input(1))
        zero = self.known.get(node.input(2)) if node.input(2) else None
        if scale is None or (node.input(2) and zero is None) or node.attr(_PRECISION, 0) not in (0, 1):
            return None
        if not isinstance(codes, TensorType) or not codes.dtype.is_integer or scale.value.dtype != np.float32:
            return None
        real = scale.value
        if not (np.isfinite(real).all() and (real >= np.finfo(np.float32).tiny).all()):
            return None
        zeros = np.zeros(real.shape, np.int32) if zero is None else zero.value.astype(np.int64)
        if zeros.shape != real.shape and zeros.size != real.size:
            return None
        zeros = zeros.reshape(real.shape)
        if np.abs(zeros).max(initial=0) > np.iinfo(np.int32).max:
            return None
        block = int(node.attr("block_size", 0))
        if real.size == 1 and not block:
            return Affine(codes.dtype, real.reshape(()), zeros.reshape(()))
        axis = int(node.attr("axis", 1))
        shape = tensor.shape if isinstance(tensor, TensorType) else None
        if shape is None or real.ndim != (len(shape) if block else 1) or not -len(shape) <= axis < len(shape):
            return None
        return Affine(codes.dtype, real, zeros, axis % len(shape), block)

    def _constant(self, node: Node) -> None:
        codes = self.known.get(node.input(0))
        if codes is None or node.attr(_OUTPUT, 0) not in (0, 1) or codes.codes is not None:
            return
        kind = TensorType(of_array(codes.value), codes.value.shape)
        quant = self._affine(node, kind, kind)
        if quant is not None:
            self._put(node.outputs[0], Constant(decode(codes.value, quant), codes.value), quant)
            self.gone.add(node.name)

    def _pair(self, node: Node) -> Rounded | None:
        """A QuantizeLinear with all the DequantizeLinear nodes that read it."""
        index, name = self.graph.index, node.outputs[0]
        readers = index.consumers(name)
        if index.is_output(name) or not readers or any(item.op != "DequantizeLinear" for item in readers):
            return None
        if any(item.inputs[0] != name or item.attr(_OUTPUT, 0) not in (0, 1) for item in readers):
            return None
        source = self.types.get(node.inputs[0])
        if not isinstance(source, TensorType) or source.dtype is not FLOAT32:
            return None
        codes = self._codes_type(node, source)
        quant = self._affine(node, codes, source)
        if quant is None or any(self._affine(item, codes, source) != quant for item in readers):
            return None
        results = tuple(item.outputs[0] for item in readers)
        return Rounded(node.inputs[0], quant, (node, *readers), (node,), results)

    def _codes_type(self, node: Node, source: TensorType) -> ValueType | None:
        zero = self.known.get(node.input(2)) if node.input(2) else None
        if zero is not None:
            return TensorType(of_array(zero.value), source.shape)
        dtype = dtype_of(node.attr(_OUTPUT, 0)) if node.attr(_OUTPUT, 0) else UINT8
        return None if dtype is None else TensorType(dtype, source.shape)

    def _attach(self, source: str, group: list[Rounded]) -> None:
        constant = self.known.get(source)
        if constant is not None:
            for one in group:
                codes = encode(constant.value, one.quant)
                # A Q/DQ pair is rounding that a tool has added; all other forms the network was trained with.
                pair = one.nodes[-1].op == "DequantizeLinear"
                real = constant.value if pair else decode(codes, one.quant)
                for name in one.results:
                    self._put(name, Constant(real, codes), one.quant)
                self.gone |= {node.name for node in one.nodes}
            return
        index = self.graph.index
        quant = group[0].quant
        readers = {node.name for one in group for node in one.readers}
        everyone = readers == {item.name for item in index.consumers(source)}
        whole = everyone and not index.is_output(source) and all(one.quant == quant for one in group)
        results = [name for one in group for name in one.results]
        public = [name for name in results if index.is_output(name)]
        producer = index.producer(source)
        codes_already = producer is not None and producer.op in ("DequantizeLinear", "qir.Requantize")
        twice = codes_already or source in self.made
        if whole and not twice:
            self._own(source, quant, results, public, group)
        elif not everyone or len(group) > 1:
            for one in group:
                self._requantize(source, one)

    def _own(self, source: str, quant: Affine, results: list[str], public: list[str], group: list[Rounded]) -> None:
        """The rounding becomes the type of the value itself."""
        is_input = source in self.graph.inputs
        local = is_input or self.graph.index.producer(source) is not None
        if not local or len(public) > 1 or (public and is_input):
            return
        target = public[0] if public else source
        self.types[target] = _quantized(self.types[source], quant)
        self.renamed |= {name: target for name in (*results, source) if name != target}
        self.gone |= {node.name for one in group for node in one.nodes}

    def _requantize(self, source: str, one: Rounded) -> None:
        """Others use the value as it is, or with other codes."""
        public = [name for name in one.results if self.graph.index.is_output(name)]
        if len(public) > 1:
            return
        target = public[0] if public else one.results[0]
        self.types[target] = _quantized(self.types[source], one.quant)
        self.renamed |= {name: target for name in one.results if name != target}
        first = one.nodes[0]
        origin = tuple(dict.fromkeys(name for node in one.nodes for name in node.origin))
        self.added[first.name] = Node("qir.Requantize", (source,), (target,), {}, first.name, origin=origin)
        self.gone |= {node.name for node in one.nodes}

    def _put(self, name: str, constant: Constant, quant: Affine) -> None:
        self.constants[name] = constant
        self.types[name] = TensorType(FLOAT32, constant.value.shape, quant)

    def _result(self) -> Graph:
        graph = self.graph
        nodes = []
        for node in graph.nodes:
            kept = self.added.get(node.name) if node.name in self.gone else node
            if kept is not None:
                nodes.append(renamed(kept, self.renamed))
        loose = {name for node in graph.nodes if node.name in self.gone for name in node.inputs}
        used = {name for node in nodes for name in node.reads} | set(graph.outputs)
        constants = {name: item for name, item in self.constants.items() if name in used or name not in loose}
        made = {*graph.inputs, *constants, *(name for node in nodes for name in node.outputs)}
        types = {name: kind for name, kind in self.types.items() if name in made}
        return graph.with_(nodes=tuple(nodes), constants=constants, types=types)


def _quantized(kind: ValueType, quant: Affine) -> TensorType:
    assert isinstance(kind, TensorType)
    return TensorType(kind.dtype, kind.shape, quant)
