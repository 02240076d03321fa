"""`fold-constants`: what can be known at compile time becomes known.

    y = op(constants)                              ->  constant y
    y = Transpose(constant with codes)             ->  constant y with codes; also Reshape, Squeeze, Unsqueeze, Identity
    Reshape(x, Concat(Gather(Shape(x), 0), -1))    ->  Reshape(x, [0, -1])

Nodes without chance or state whose operands are all constants are evaluated; shape arithmetic is followed through
symbolic sizes (sizes.py), so the chains that exporters write for a batch dimension vanish: a target element of a
Reshape that equals the input's dimension at its place becomes 0 (copy), one other that is not known becomes -1; an
element of an Expand that equals the input's dimension becomes 1, the end of a Slice that equals it the largest int64.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from qir.errors import QirError
from qir.evaluate import Runner
from qir.ir.dtype import BOOL, FLOAT16, FLOAT32, FLOAT64, of_array
from qir.ir.graph import Constant, Graph, Node, Stage
from qir.ir.types import Affine, Shape, TensorType, ValueType
from qir.onnxio.infer import infer_types
from qir.passes.clean import sizes
from qir.passes.clean.purity import is_pure
from qir.passes.clean.shape_arithmetic import MOVES, TRANSFERS
from qir.passes.clean.sizes import UNKNOWN, Element, Size
from qir.passes.clean.targets import STATIC_OPERANDS, static_operand
from qir.passmanager.base import Context, Pass
from qir.rewrite.bodies import everywhere
from qir.rewrite.editor import Editor

logger = logging.getLogger(__name__)
_NATIVE = (FLOAT16, FLOAT32, FLOAT64, BOOL)
_READS_SIZES = ("Shape", "Size")
_MOVES_CODES = ("Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
_SMALL = 256
"""Integer values of more elements than this are not followed as shape arithmetic."""


@dataclass(frozen=True)
class FoldConstants(Pass):
    """Evaluates what depends on constants and known shapes alone.

    Attributes:
        megabytes: results larger than this are left to be computed, unless their operands were as large already.
    """

    name: ClassVar[str] = "fold-constants"

    megabytes: float = 64.0

    def run(self, graph: Graph, context: Context) -> Graph:
        limit = int(self.megabytes * 2**20)
        return everywhere(graph, lambda one: _Folder(one, limit).run())


class _Folder:
    """One walk over a graph in execution order: shapes known anew help the nodes behind them."""

    def __init__(self, graph: Graph, limit: int) -> None:
        self.graph, self.limit = graph, limit
        self.edit = Editor(graph)
        self.known: dict[str, np.ndarray] = {}
        self.refined: set[str] = set()

    def run(self) -> Graph:
        for node in self.graph.nodes:
            if self.refined & {*node.reads}:
                self._retype(node)
            codes = any(self._quant(name) is not None for name in (*node.reads, *node.outputs))
            if codes and node.op not in _READS_SIZES:
                self._move_codes(node)
                continue
            if node.domain == "qir":
                continue
            if not self._fold(node):
                self._follow(node)
                self._make_static(node)
        return self.edit.build()

    def _retype(self, node: Node) -> None:
        kinds = [self.edit.types.get(name) for name in node.outputs if name]
        if all(isinstance(kind, TensorType) and kind.is_static for kind in kinds):
            return
        inferred = infer_types(node, self.edit.types, self.edit.constants, self.graph.opsets)
        for name, kind in zip(node.outputs, inferred, strict=True):
            self._refine(name, kind)

    def _refine(self, name: str, kind: ValueType) -> None:
        old = self.edit.types.get(name)
        if not name or not isinstance(old, TensorType) or not isinstance(kind, TensorType):
            return
        shape = _finer(old.shape, kind.shape)
        if shape != old.shape:
            self.edit.set_type(name, TensorType(old.dtype, shape, old.quant))
            self.refined.add(name)

    def _fold(self, node: Node) -> bool:
        """Evaluates a node all of whose operands are constants."""
        constants = self.edit.constants
        reads = node.reads[:1] if node.op == "CastLike" else node.reads
        operands = [constants[name].value for name in reads if name in constants]
        if len(operands) != len(reads) or not is_pure(node, self.graph):
            return False
        kinds = [self.edit.types.get(name) for name in (*node.reads, *node.outputs) if name]
        if not all(isinstance(kind, TensorType) and (kind.dtype.is_integer or kind.dtype in _NATIVE) for kind in kinds):
            return False
        largest = max((array.nbytes for array in operands), default=0)
        if any(_bytes(kind) > max(self.limit, largest) for kind in kinds):
            return False
        results = self._evaluate(node)
        if results is None or any(array.nbytes > max(self.limit, largest) for array in results if array is not None):
            return False
        self.edit.remove(node)
        for name, array in zip(node.outputs, results, strict=True):
            if name and array is not None:
                self._set(name, array)
        return True

    def _quant(self, name: str) -> Affine | None:
        kind = self.edit.types.get(name)
        return kind.quant if isinstance(kind, TensorType) else None

    def _move_codes(self, node: Node) -> None:
        """Moves the codes of a constant as its reals; the scales follow their axis."""
        constants, quant = self.edit.constants, self._quant(node.inputs[0]) if node.inputs else None
        if node.op not in _MOVES_CODES or quant is None or any(name not in constants for name in node.inputs):
            return
        if quant.block_size or self._quant(node.outputs[0]) is not None:
            return
        old, *others = (constants[name] for name in node.inputs)
        value, codes = (None if array is None else MOVES[node.op](node, [array, *(one.value for one in others)])
                        for array in (old.value, old.codes))  # fmt: skip
        axis = None if value is None or quant.axis is None else _axis_after(node, old.value.shape, quant.axis, value)
        if value is None or (quant.axis is not None and axis is None):
            return
        self.edit.remove(node)
        self.edit.set_constant(node.outputs[0], Constant(np.ascontiguousarray(value), codes))
        kind = TensorType(of_array(value), value.shape, replace(quant, axis=axis))
        self.edit.set_type(node.outputs[0], kind)
        self.refined.add(node.outputs[0])

    def _evaluate(self, node: Node) -> Sequence[np.ndarray | None] | None:
        constants = self.edit.constants
        if node.op in MOVES and len(node.outputs) == 1:
            operands = [constants[name].value if name else None for name in node.inputs]
            array = MOVES[node.op](node, operands)
            return None if array is None else [np.ascontiguousarray(array).reshape(array.shape)]
        if node.op == "CastLike":
            return [constants[node.inputs[0]].value.astype(self.graph.tensor(node.outputs[0]).dtype.numpy)]
        outputs = tuple(name for name in node.outputs if name)
        names = {*node.reads, *outputs}
        lone = self.graph.with_(
            inputs=(), outputs=outputs, nodes=(node,), types={name: self.edit.types[name] for name in names},
            constants={name: constants[name] for name in node.reads}, ranges={}, stage=Stage.FLOAT,
        )  # fmt: skip
        try:
            found = Runner(lone)({})
        except QirError as error:
            logger.info("%s is not folded: %s", node.name, error)
            return None
        return [np.asarray(found[name]) if name else None for name in node.outputs]

    def _set(self, name: str, array: np.ndarray) -> None:
        self.edit.set_constant(name, Constant(array))
        old = self.edit.types.get(name)
        kind = TensorType(of_array(array), array.shape)
        if old != kind:
            self.edit.set_type(name, kind)
        self.refined.add(name)  # even of the same type: inference may look at the numbers

    def _elements(self, name: str) -> np.ndarray | None:
        """What is known of a value's integers: numbers, symbols, or unknown elements in a known shape."""
        if not name:
            return None
        if name in self.known:
            return self.known[name]
        if name in self.edit.constants:
            return self.edit.constants[name].value
        kind = self.edit.types.get(name)
        if not isinstance(kind, TensorType) or not _followed(kind):
            return None
        return sizes.vector([UNKNOWN] * int(np.prod(kind.sizes))).reshape(kind.sizes)

    def _follow(self, node: Node) -> None:
        """Shape arithmetic: the first output's elements; a constant once they are all numbers."""
        name = node.outputs[0] if node.outputs else ""
        kind = self.edit.types.get(name)
        if not name or not isinstance(kind, TensorType) or not (kind.dtype.is_integer or kind.dtype == BOOL):
            return
        if node.op in _READS_SIZES:
            elements = self._shape(node)
        elif node.op in TRANSFERS and not node.domain:
            operands = [self._elements(operand) for operand in node.inputs]
            if node.op == "Cast" and (operands[0] is None or operands[0].dtype.kind == "f"):
                return
            elements = TRANSFERS[node.op](node, operands)
        else:
            return
        if elements is None or elements.size > _SMALL:
            return
        plain = sizes.numbers(elements, kind.dtype.numpy)
        if plain is None:
            self.known[name] = elements
        elif all(not self.graph.index.consumers(extra) for extra in node.outputs[1:]):
            self.edit.remove(node)
            self._set(name, plain)

    def _shape(self, node: Node) -> np.ndarray | None:
        kind = self.edit.types.get(node.inputs[0])
        if not isinstance(kind, TensorType) or kind.shape is None:
            return None
        found = sizes.dims(node.inputs[0], kind.shape)
        if node.op == "Size":
            return sizes.vector([sizes.product(found)]).reshape(())
        return sizes.vector(found[slice(node.attr("start", 0), node.attr("end"))])

    def _make_static(self, node: Node) -> None:
        """Puts a constant in the place of an operand that decides a shape."""
        for slot in STATIC_OPERANDS.get(node.op, ()):
            name = node.input(slot)
            elements = self._elements(name)
            kind = self.edit.types.get(node.inputs[0])
            if node.domain or not name or elements is None or not isinstance(kind, TensorType):
                continue
            if node.op == "Reshape":
                self._refine(node.outputs[0], TensorType(kind.dtype, _reshaped(node, kind, elements)))
            if name in self.edit.constants or kind.shape is None:
                continue
            others = [self._elements(other) for other in node.inputs[1:]]
            values = static_operand(node, slot, sizes.dims(node.inputs[0], kind.shape), elements, others)
            if values is None:
                continue
            fresh = self.edit.constant(f"{node.outputs[0]}_{_PURPOSE[node.op]}", np.array(values, np.int64))
            changed = node.with_(inputs=tuple(fresh if i == slot else n for i, n in enumerate(node.inputs)))
            self.edit.replace(node, changed)
            self._retype(changed)
            return


_PURPOSE = {"Reshape": "shape", "Expand": "shape", "Slice": "end"}


def _axis_after(node: Node, before: tuple[int, ...], axis: int, moved: np.ndarray) -> int | None:
    """Where an axis of an array is after a move; None where it is split or joined with others."""
    if node.op == "Transpose":
        perm = node.attr("perm") or range(len(before))[::-1]
        return list(perm).index(axis)
    for place, length in enumerate(moved.shape):
        if length == before[axis] and np.prod(moved.shape[:place]) == np.prod(before[:axis]):
            return place
    return None


def _followed(kind: TensorType) -> bool:
    return kind.is_static and kind.dtype.is_integer and len(kind.sizes) <= 1 and int(np.prod(kind.sizes)) <= _SMALL


def _bytes(kind: ValueType | None) -> int:
    if not isinstance(kind, TensorType) or not kind.is_static:
        return 0
    return int(np.prod(kind.sizes, dtype=np.int64)) * max(kind.dtype.bits // 8, 1)


def _finer(old: Shape | None, new: Shape | None) -> Shape | None:
    if old is None or new is None or len(old) != len(new):
        return new if old is None else old
    return tuple(
        b if a is None or (isinstance(b, int) and isinstance(a, str)) else a for a, b in zip(old, new, strict=True)
    )


def _reshaped(node: Node, kind: TensorType, elements: np.ndarray) -> Shape | None:
    """The result's shape by symbolic arithmetic, which ONNX's own inference does without."""
    target: list[Element] = list(elements.reshape(-1))
    source = None if kind.shape is None else sizes.dims(node.inputs[0], kind.shape)
    if not node.attr("allowzero", 0):
        for axis, length in enumerate(target):
            if isinstance(length, int | np.integer) and length == 0:
                target[axis] = source[axis] if source is not None and axis < len(source) else UNKNOWN
    free = [axis for axis, length in enumerate(target) if isinstance(length, int | np.integer) and length == -1]
    if len(free) == 1 and source is not None:
        rest = sizes.product(length for axis, length in enumerate(target) if axis != free[0])
        target[free[0]] = sizes.divide(sizes.product(source), rest)
    return tuple(_dim(length) for length in target)


def _dim(length: Element) -> int | str | None:
    if isinstance(length, int | np.integer):
        return int(length) if length >= 0 else None
    if isinstance(length, Size) and length.factor == 1 and len(length.symbols) == 1:
        symbol = length.symbols[0]
        return symbol if isinstance(symbol, str) else None
    return None
