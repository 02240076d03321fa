"""The graph under construction while lowering: for every value of the QUANT graph, its codes and its reals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qir.errors import UnsupportedError
from qir.ir.dtype import FLOAT32, INT8, INT16, UINT8, UINT16, DType, of_array
from qir.ir.graph import Constant, Graph, Node, Stage
from qir.ir.types import Affine, Rounding, TensorType
from qir.ops.integer_bits import packed_bytes
from qir.quant.binary import binary_codes
from qir.quant.bitpack import signed_bits
from qir.quant.fixedpoint import largest
from qir.quant.scales import decode, dequantize, encode, quantize
from qir.quant.ternary import ternary_codes
from qir.target import Target

_STORED = {UINT8: (UINT8, 0), INT8: (UINT8, 128), INT16: (INT16, 0), UINT16: (INT16, -(1 << 15))}
"""Storage in stage QUANT to storage in stage INT, and how far codes move."""


@dataclass(frozen=True)
class Codes:
    """Per-tensor codes of stage INT: `x = (q - zero_point) * scale`, q in [qmin, qmax], stored as uint8 or int16.

    Ternary and binary codes are those next to the zero point; which one a real takes is decided by a compare.
    """

    scale: np.float32
    zero_point: int
    qmin: int
    qmax: int
    storage: DType = UINT8
    rounding: Rounding = "nearest"
    threshold: float = 0.0

    def encode(self, reals: np.ndarray) -> np.ndarray:
        """The codes of reals."""
        if self.rounding == "nearest":
            return quantize(reals, float(self.scale), self.zero_point, self.qmin, self.qmax, self.storage)
        compare = binary_codes if self.rounding == "binary" else ternary_codes
        return (compare(reals, self.threshold).astype(np.int32) + self.zero_point).astype(self.storage.numpy)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """The reals of codes."""
        return dequantize(codes, float(self.scale), self.zero_point)

    def holds(self, other: Codes) -> bool:
        """Whether rounding the reals of other codes gives these codes again."""
        if (self.scale, self.zero_point, self.storage) != (other.scale, other.zero_point, other.storage):
            return False
        codes = np.arange(other.qmin, other.qmax + 1, other.step).astype(other.storage.numpy)
        return np.array_equal(codes, self.encode(other.decode(codes)))

    @property
    def step(self) -> int:
        """From one code to the next: binary ones leave out the zero point."""
        return 2 if self.rounding == "binary" else 1

    @property
    def levels(self) -> int:
        """How many codes there are."""
        return (self.qmax - self.qmin) // self.step + 1

    @property
    def attrs(self) -> dict[str, Any]:
        """As the attributes of an operator that makes such codes."""
        return {"y_zero_point": self.zero_point, "qmin": self.qmin, "qmax": self.qmax, **self.to}

    @property
    def to(self) -> dict[str, str]:
        """The attribute that names the storage; uint8 goes without saying."""
        return {} if self.storage == UINT8 else {"to": self.storage.name}

    @property
    def largest(self) -> int:
        """Largest |q - zero_point|."""
        return largest(self.storage, self.zero_point)


def stored(quant: Affine | None) -> Codes | None:
    """Per-tensor codes as stage INT stores them: int8 moves to uint8, uint16 to int16; None for any other codes."""
    if quant is None or quant.axis is not None or quant.storage not in _STORED:
        return None
    storage, shift = _STORED[quant.storage]
    zero_point = int(quant.zero_point.reshape(-1)[0]) + shift
    return Codes(np.float32(quant.scale.reshape(-1)[0]), zero_point, quant.qmin + shift, quant.qmax + shift, storage,
                 quant.rounding, float(quant.threshold.reshape(-1)[0]))  # fmt: skip


class Lowering:
    """Builds the INT graph node by node. A value keeps its name for its codes, or for its reals if it has none."""

    def __init__(self, graph: Graph, target: Target) -> None:
        """
        Args:
            graph: stage QUANT.
            target: what it is lowered for.
        """
        self.graph, self.target = graph, target
        self._nodes: list[Node] = []
        self._types = {name: kind for name, kind in graph.types.items() if name not in graph.constants}
        self._constants: dict[str, Constant] = {}
        self._codes: dict[str, str] = {}
        self._reals: dict[str, str] = {}
        self._packed: dict[str, str] = {}
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

    def stored(self, name: str) -> Codes | None:
        """The same as stage INT stores them; None where the value is real or has codes that it does not know."""
        return stored(self.quant(name))

    def rounded(self, name: str) -> Codes | None:
        """The same for a result that arithmetic rounds to the nearest code; None where a compare decides its code."""
        found = self.stored(name)
        return found if found is not None and found.rounding == "nearest" else None

    def define(self, name: str, real: str) -> None:
        """Says that `real` holds the unrounded reals of a value; quantizes them if the value's type asks for codes."""
        quant = self.quant(name)
        if quant is None:
            self._reals[name] = real
            return
        found = stored(quant)
        if found is None:
            raise UnsupportedError(f"activations with codes {quant} are not supported in C", tensor=name,
                                   fix="Use codes of 8 or 16 bits with one scale for the tensor")  # fmt: skip
        self.quantize(real, self.code_name(name), found)

    def quantize(self, real: str, codes: str, to: Codes) -> None:
        """Appends a node that rounds reals."""
        attrs = {"scale": float(to.scale), "zero_point": to.zero_point, "qmin": to.qmin, "qmax": to.qmax, **to.to}
        compared = {} if to.rounding == "nearest" else {"rounding": to.rounding, "threshold": to.threshold}
        self.add("qir.Quantize", (real,), (codes,), {**attrs, **compared}, origin=())

    def dequantize(self, codes: str, real: str, source: Codes) -> None:
        """Appends a node that gives the reals of codes."""
        attrs = {"scale": float(source.scale), "zero_point": source.zero_point}
        self.add("qir.Dequantize", (codes,), (real,), attrs, origin=())

    def code_name(self, name: str) -> str:
        """Reserves the name that holds the codes of a value and types it."""
        if name not in self._codes:
            self._codes[name] = self.fresh(f"{name}_codes") if name in self._interface else name
            found = self.stored(name)
            assert found is not None
            self._types[self._codes[name]] = TensorType(found.storage, self.graph.tensor(name).shape)
        return self._codes[name]

    def codes(self, name: str) -> str:
        """The codes of a value whose type has codes; constants are rounded here."""
        if name in self.graph.constants and name not in self._codes:
            quant = self.quant(name)
            assert quant is not None
            constant = self.graph.constants[name]
            codes = encode(constant.value, quant) if constant.codes is None else constant.codes
            storage, shift = _STORED[quant.storage]
            self._codes[name] = self.constant(name, (codes.astype(np.int32) + shift).astype(storage.numpy))
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
            found = self.stored(name)
            assert found is not None
            real = name if name in self.graph.outputs and name not in self.graph.inputs else self.fresh(f"{name}_real")
            self._types[real] = TensorType(FLOAT32, self.graph.tensor(name).shape)
            self._reals[name] = real
            self.dequantize(self._codes[name], real, found)
        else:
            self._reals[name] = name  # a value of an enclosing graph
        return self._reals[name]

    def weight(self, name: str) -> str:
        """The reals of a constant whose type has codes, as a node that dequantizes the codes: signed ones, so that zero
        points move with them."""
        constant, quant = self.graph.constants[name], self.quant(name)
        if name in self._reals or quant is None or quant.block_size or quant.storage.bits > 16:
            return self.real(name)
        codes = (encode(constant.value, quant) if constant.codes is None else constant.codes).astype(np.int32)
        used = max(2, int(quant.qmax - quant.qmin).bit_length())
        shift = 0 if quant.storage.kind == "int" else quant.qmin + (1 << (used - 1))
        kept = self.constant(f"{name}_codes", (codes - shift).astype(np.int16 if quant.storage.bits > 8 else np.int8))
        zero_point, scale = quant.zero_point - shift, quant.scale.astype(np.float64)
        attrs = {"scale": scale.tolist(), "zero_point": zero_point.tolist()}
        if quant.axis is not None:
            attrs["axis"] = quant.axis % codes.ndim
        if quant.storage.bits <= 4:
            attrs["weight_bits"] = signed_bits(codes - shift)
        self._reals[name] = self.value(name, TensorType(FLOAT32, codes.shape))
        self.add("qir.Dequantize", (kept,), (self._reals[name],), attrs, origin=())
        return self._reals[name]

    def packed(self, name: str, bits: int, axis: int) -> str:
        """The codes of a value packed along an axis (qir.ops.integer_bits)."""
        if name not in self._packed:
            codes, found = self.codes(name), self.stored(name)
            assert found is not None
            attrs = {"bits": bits, "qmin": found.qmin, "step": found.step, "axis": axis}
            self.add("qir.IntPackBits", (codes,), (self.packed_name(name, bits, axis),), attrs, ())
        return self._packed[name]

    def packed_name(self, name: str, bits: int, axis: int) -> str:
        """Reserves the name of a value's packed codes and types it."""
        shape = [*(self.graph.tensor(name).shape or ())]
        channels = shape.pop(axis)
        assert isinstance(channels, int)
        self._packed[name] = self.value(f"{name}_bits", TensorType(UINT8, (*shape, packed_bytes(channels, bits))))
        return self._packed[name]

    def constant(self, hint: str, value: np.ndarray) -> str:
        """Adds a constant; returns its name."""
        name = self.fresh(hint)
        array = np.asarray(value, order="C")  # a scalar stays one
        self._constants[name] = Constant(array)
        self._types[name] = TensorType(of_array(array), array.shape)
        return name

    def known(self, name: str) -> np.ndarray | None:
        """A constant of the INT graph; None for what is computed."""
        return self._constants[name].value if name in self._constants else None

    def value(self, hint: str, kind: TensorType) -> str:
        """Types a new value; returns its name."""
        name = self.fresh(hint)
        self._types[name] = kind
        return name

    def type(self, name: str) -> TensorType:
        """The type of a value of the INT graph."""
        kind = self._types[name]
        assert isinstance(kind, TensorType)
        return kind

    def fresh(self, hint: str) -> str:
        """A value name not in use."""
        name, count = hint, 1
        while name in self._types or (name != hint and name in self.graph.types):
            count += 1
            name = f"{hint}_{count}"
        return name

    def free(self, hint: str) -> str:
        """A node's name not in use."""
        name, count = hint, 1
        while name in self._names:
            count += 1
            name = f"{hint}_{count}"
        self._names.add(name)
        return name

    def add(self, op: str, inputs: Sequence[str], outputs: Sequence[str], attrs: Mapping[str, Any],
            origin: tuple[str, ...], name: str = "") -> None:  # fmt: skip
        """Appends a node under a unique name."""
        label = name or self.free(f"{outputs[0]}_{op.rpartition('.')[2].lower()}")
        self._names.add(label)
        if self.target.requantization != "float32" and op.startswith("qir.Int") and "qmax" in attrs:
            attrs = {**attrs, "requantization": self.target.requantization}
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

    def sums(self, node: Node, op: str, inputs: Sequence[str], attrs: Mapping[str, Any], bias: np.ndarray,
             axis: int) -> None:  # fmt: skip
        """Appends an integer form whose results are reals, and the sum of these with a real bias [C] along an axis."""
        output = node.outputs[0]
        kind = TensorType(FLOAT32, self.graph.tensor(output).shape)
        sums = self.value(f"{output}_sums", kind)
        self.add(op, inputs, (sums,), attrs, node.origin, node.name)
        if not bias.any():
            self.define(output, sums)
            return
        form = [1] * len(kind.shape or ())
        form[axis] = bias.size
        added = self.constant(f"{node.name}_bias", bias.astype(np.float32).reshape(form))
        self.emit(Node("Add", (sums, added), (output,), {}, self.free(f"{output}_add"), origin=node.origin), (output,))

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
            found = stored(kind.quant)
            return TensorType(found.storage if found and name not in self._interface else kind.dtype, kind.shape)
        return kind
