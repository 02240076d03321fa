"""The graph under construction while lowering: for every value of the QUANT graph, its codes and its reals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qir.errors import UnsupportedError
from qir.ir.dtype import FLOAT32, INT8, UINT8, of_array
from qir.ir.graph import Constant, Graph, Node, Stage
from qir.ir.types import Affine, TensorType
from qir.quant.scales import decode, encode

_SHIFT = 128


@dataclass(frozen=True)
class Codes:
    """Per-tensor uint8 codes: `x = (q - zero_point) * scale`, q in [qmin, qmax]."""

    scale: np.float32
    zero_point: int
    qmin: int
    qmax: int

    @property
    def affine(self) -> Affine:
        """As a type's codes."""
        return Affine(UINT8, np.array(self.scale), np.array(self.zero_point), qmin=self.qmin, qmax=self.qmax)

    @property
    def attrs(self) -> dict[str, int]:
        """As the attributes of an operator that makes such codes."""
        return {"y_zero_point": self.zero_point, "qmin": self.qmin, "qmax": self.qmax}


def unsigned(quant: Affine | None) -> Codes | None:
    """8-bit per-tensor codes seen as uint8 (int8 moves by 128); None for any other codes."""
    if quant is None or quant.axis is not None or quant.storage not in (UINT8, INT8):
        return None
    shift = _SHIFT if quant.storage == INT8 else 0
    zero_point = int(quant.zero_point.reshape(-1)[0]) + shift
    return Codes(np.float32(quant.scale.reshape(-1)[0]), zero_point, quant.qmin + shift, quant.qmax + shift)


class Lowering:
    """Builds the INT graph node by node. A value keeps its name for its codes, or for its reals if it has none."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._nodes: list[Node] = []
        self._types = {name: kind for name, kind in graph.types.items() if name not in graph.constants}
        self._constants: dict[str, Constant] = {}
        self._codes: dict[str, str] = {}
        self._reals: dict[str, str] = {}
        self._names = {node.name for node in graph.nodes}
        self._interface = {*graph.inputs, *graph.outputs}
        self._outside = {*graph.captures} | {*graph.inputs} & {*graph.outputs}

    def quant(self, name: str) -> Affine | None:
        """The codes that a value's type asks for.

        Values of an enclosing graph come as reals, and so do inputs that are results as they are.
        """
        if name in self._outside:
            return None
        kind = self.graph.types.get(name)
        return kind.quant if isinstance(kind, TensorType) else None

    def unsigned(self, name: str) -> Codes | None:
        """The same as uint8 codes; None where the value is real or its codes are not 8-bit per tensor."""
        return unsigned(self.quant(name))

    def define(self, name: str, real: str) -> None:
        """Says that `real` holds the unrounded reals of a value; quantizes them if the value's type asks for codes."""
        quant = self.quant(name)
        if quant is None:
            self._reals[name] = real
            return
        found = unsigned(quant)
        if found is None:
            raise UnsupportedError(f"activations with codes {quant} are not supported in C", tensor=name,
                                   fix="Use 8-bit codes with one scale for the tensor")  # fmt: skip
        attrs = {"scale": float(found.scale), "zero_point": found.zero_point, "qmin": found.qmin, "qmax": found.qmax}
        self.add("qir.Quantize", (real,), (self.code_name(name),), attrs, origin=())

    def code_name(self, name: str) -> str:
        """Reserves the name that holds the codes of a value and types it."""
        if name not in self._codes:
            self._codes[name] = self.fresh(f"{name}_codes") if name in self._interface else name
            self._types[self._codes[name]] = TensorType(UINT8, self.graph.tensor(name).shape)
        return self._codes[name]

    def codes(self, name: str) -> str:
        """The uint8 codes of a value whose type has codes; constants are rounded here."""
        if name in self.graph.constants and name not in self._codes:
            quant = self.quant(name)
            assert quant is not None
            constant = self.graph.constants[name]
            codes = encode(constant.value, quant) if constant.codes is None else constant.codes
            shift = _SHIFT if quant.storage == INT8 else 0
            self._codes[name] = self.constant(name, (codes.astype(np.int16) + shift).astype(np.uint8))
        return self._codes[name]

    def real(self, name: str) -> str:
        """The reals that a value stands for, dequantized once where it has codes."""
        if name in self._reals:
            return self._reals[name]
        if name in self.graph.constants:
            constant, quant = self.graph.constants[name], self.quant(name)
            value = constant.value
            if quant is not None:
                value = decode(encode(value, quant) if constant.codes is None else constant.codes, quant)
            self._reals[name] = self.constant(name, value)
        elif name in self._codes:
            found = self.unsigned(name)
            assert found is not None
            real = name if name in self.graph.outputs and name not in self.graph.inputs else self.fresh(f"{name}_real")
            self._types[real] = TensorType(FLOAT32, self.graph.tensor(name).shape)
            self._reals[name] = real
            attrs = {"scale": float(found.scale), "zero_point": found.zero_point}
            self.add("qir.Dequantize", (self._codes[name],), (real,), attrs, origin=())
        else:
            self._reals[name] = name  # a value of an enclosing graph
        return self._reals[name]

    def constant(self, hint: str, value: np.ndarray) -> str:
        """Adds a constant; returns its name."""
        name = self.fresh(hint)
        array = np.asarray(value, order="C")  # a scalar stays one
        self._constants[name] = Constant(array)
        self._types[name] = TensorType(of_array(array), array.shape)
        return name

    def value(self, hint: str, kind: TensorType) -> str:
        """Types a new value; returns its name."""
        name = self.fresh(hint)
        self._types[name] = kind
        return name

    def fresh(self, hint: str) -> str:
        """A value name not in use."""
        name, count = hint, 1
        while name in self._types or (name != hint and name in self.graph.types):
            count += 1
            name = f"{hint}_{count}"
        return name

    def add(self, op: str, inputs: Sequence[str], outputs: Sequence[str], attrs: Mapping[str, Any],
            origin: tuple[str, ...], name: str = "") -> None:  # fmt: skip
        """Appends a node under a unique name."""
        label, count = name or f"{outputs[0]}_{op.rpartition('.')[2].lower()}", 1
        base = label
        while label in self._names and label != name:
            count += 1
            label = f"{base}_{count}"
        self._names.add(label)
        self._nodes.append(Node(op, tuple(inputs), tuple(outputs), attrs, label, origin=origin,
                                domain=op.rpartition(".")[0]))  # fmt: skip

    def integer(self, node: Node, op: str, inputs: Sequence[str], attrs: Mapping[str, Any]) -> None:
        """Appends the integer form of a node whose result is codes, or reals where its type has none."""
        output = node.outputs[0]
        if self.quant(output) is not None:
            target = self.code_name(output)
        else:
            self._reals[output] = target = output
        self.add(op, inputs, (target,), attrs, node.origin, node.name)

    def emit(self, node: Node, outputs: Sequence[str]) -> None:
        """Appends a node that computes on reals; `outputs` are the QUANT graph's names of its results."""
        results = []
        for name in outputs:
            if name and self.quant(name) is not None:
                results.append(self.value(f"{name}_unrounded", TensorType(FLOAT32, self.graph.tensor(name).shape)))
            else:
                results.append(name)
        self._nodes.append(node.with_(outputs=tuple(results)))
        for name, real in zip(outputs, results, strict=True):
            if name:
                self.define(name, real)

    def build(self) -> Graph:
        """The finished graph; unused constants and types are gone."""
        for name in self.graph.outputs:
            real = self.real(name)
            if real != name:
                self.add("Identity", (real,), (name,), {}, ())
        used = {x for node in self._nodes for x in (*node.reads, *node.outputs)} | self._interface
        types = {n: self._plain(n, kind) for n, kind in self._types.items() if n in used}
        constants = {n: c for n, c in self._constants.items() if n in used}
        return self.graph.with_(nodes=tuple(self._nodes), types=types, constants=constants, stage=Stage.INT, ranges={})

    def _plain(self, name: str, kind: Any) -> Any:
        if isinstance(kind, TensorType) and kind.quant is not None:
            return TensorType(UINT8 if name not in self._interface else kind.dtype, kind.shape)
        return kind
