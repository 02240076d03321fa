"""Plain operators that round a value to codes, and the types that say the same.

    Where(x >= t, s, -s)                                 binary, also with < and the operands the other way round
    Sign(Sign(x) + c), 0 < c < 1                         binary, the sign of Larq with sign(0) = +1
    Where(x > t, s, Where(x < -t, -s, 0))                ternary, the compares in either order
    (clamp(Round(x / s + z), low, high) - z) * s         nearest, clamped before or after rounding; z may be absent
    DequantizeLinear(QuantizeLinear(clamp(x)))           nearest, where the clamp is to what two codes stand for

s, t, z, low and high are constants, one number or one a channel. A type rounds x / s alone: with a z, what is a tie
within float error may go to the other neighbour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from qir.ir.dtype import FLOAT32, INT4, INT8, INT16, INT32, UINT4, UINT8, UINT16, DType
from qir.ir.graph import Constant, Graph, Node
from qir.ir.types import Affine, Rounding, TensorType

ROOTS = frozenset({"Where", "Sign", "Mul"})
"""Operators that the forms above end in, pairs aside."""
_MIRRORED = {"GreaterOrEqual": "LessOrEqual", "LessOrEqual": "GreaterOrEqual", "Greater": "Less", "Less": "Greater"}
_STORAGES = (UINT4, INT4, UINT8, INT8, UINT16, INT16, INT32)


@dataclass(frozen=True)
class Rounded:
    """Nodes that together round a value to codes and give the reals that these stand for.

    Attributes:
        source: the value that is rounded.
        quant: to which codes, and how.
        nodes: all of them, in order of execution; nothing else reads what they hand to each other.
        readers: those that read the source.
        results: what they give.
    """

    source: str
    quant: Affine
    nodes: tuple[Node, ...]
    readers: tuple[Node, ...]
    results: tuple[str, ...]


@dataclass(frozen=True)
class _Test:
    """A compare of a value with constants, the value on the left."""

    node: Node
    relation: str
    x: str
    bound: np.ndarray


@dataclass(frozen=True)
class Forms:
    """Finds the forms in one graph.

    Attributes:
        known: constants of the graph and those around it.
    """

    graph: Graph
    known: Mapping[str, Constant]

    def ending(self, node: Node) -> Rounded | None:
        """The form that ends in a node; None where there is none that a type can say."""
        if node.op == "Where":
            return self._compared(node)
        if node.op == "Sign":
            return self._sign(node)
        return self._arithmetic(node) if node.op == "Mul" else None

    def clamped(self, pair: Rounded) -> Rounded:
        """A Q/DQ pair, with the clamp to fewer codes than its storage has that only it reads."""
        quant, first = pair.quant, self.graph.index.producer(pair.source)
        if first is None or quant.block_size or self.graph.index.sole_consumer(pair.source) is None:
            return pair
        found = self._clamp(first)
        if found is None:
            return pair
        x, nodes, (low, high) = found
        codes = [self._code(bound, quant, x) for bound in (low, high)]
        if codes[0] is None or codes[1] is None or not quant.qmin <= codes[0] < codes[1] <= quant.qmax:
            return pair
        if tuple(codes) == (quant.qmin, quant.qmax) or not self._takes_codes(x, pair):
            return pair
        narrow = replace(quant, qmin=codes[0], qmax=codes[1])
        return Rounded(x, narrow, (*nodes, *pair.nodes), nodes[:1], pair.results)

    def _takes_codes(self, x: str, pair: Rounded) -> bool:
        """Whether the codes can be a value's own: nothing but the clamp reads it, and it is not rounded already."""
        index, maker = self.graph.index, self.graph.index.producer(x)
        if not self._is_real(x) or index.sole_consumer(x) is None:
            return False
        if maker is None:
            return x in self.graph.inputs and not any(index.is_output(name) for name in pair.results)
        return maker.op != "DequantizeLinear" and self.ending(maker) is None

    def _number(self, name: str) -> np.ndarray | None:
        """A float32 constant that has no codes."""
        found = self.known.get(name)
        return None if found is None or found.codes is not None or found.value.dtype != np.float32 else found.value

    def _inner(self, name: str, *ops: str) -> Node | None:
        """The node that makes a value which one other node alone reads, where it is of these operators."""
        node = self.graph.index.producer(name)
        inside = node is not None and node.op in ops and self.graph.index.sole_consumer(name) is not None
        return node if inside else None

    def _is_real(self, name: str) -> bool:
        kind = self.graph.types.get(name)
        return isinstance(kind, TensorType) and kind.dtype == FLOAT32 and kind.quant is None

    def _along(self, array: np.ndarray, x: str) -> tuple[int | None, np.ndarray] | None:
        """The axis of a value that constants run along, None for one number, and the constants, [] or [C]."""
        kind = self.graph.types.get(x)
        shape = kind.shape if isinstance(kind, TensorType) else None
        if array.size == 1:
            fits = array.ndim <= (0 if shape is None else len(shape))
            return (None, array.reshape(())) if fits else None
        axes = [axis for axis in range(-array.ndim, 0) if array.shape[axis] != 1]
        if shape is None or array.ndim > len(shape) or len(axes) != 1 or shape[axes[0]] != array.size:
            return None
        return axes[0] + len(shape), array.reshape(-1)

    def _rounded(
        self, x: str, storage: DType, rounding: Rounding, arrays: Mapping[str, np.ndarray], limits: tuple[int, int]
    ) -> Affine | None:
        """The type of a value; None where its scale is no scale or its parameters run along several axes."""
        placed = {key: self._along(array, x) for key, array in arrays.items()}
        found = {key: place for key, place in placed.items() if place is not None}
        axes = {axis for axis, _ in found.values() if axis is not None}
        if len(found) < len(placed) or len(axes) > 1 or not self._is_real(x):
            return None
        size = max(array.size for _, array in found.values())
        shape = (size,) if axes else ()
        full = {key: np.broadcast_to(array, shape) for key, (_, array) in found.items()}
        scale = full["scale"]
        if not (np.isfinite(scale).all() and (scale >= np.finfo(np.float32).tiny).all()):
            return None
        zero = full.get("zero", np.zeros(shape))
        threshold = full.get("threshold", np.zeros(shape))
        return Affine(storage, scale, zero, min(axes, default=None), qmin=limits[0], qmax=limits[1], rounding=rounding,
                      threshold=threshold)  # fmt: skip

    def _test(self, name: str) -> _Test | None:
        node = self._inner(name, *_MIRRORED)
        if node is None:
            return None
        for slot in (0, 1):
            bound = self._number(node.inputs[1 - slot])
            if bound is not None and bool(np.isfinite(bound).all()):
                return _Test(node, _MIRRORED[node.op] if slot else node.op, node.inputs[slot], bound)
        return None

    def _compared(self, root: Node) -> Rounded | None:
        test = self._test(root.inputs[0])
        if test is None:
            return None
        if test.relation in ("Greater", "Less"):
            found = self._nested(root, test)
            if found is not None:
                return found
        if test.relation not in ("GreaterOrEqual", "Less"):
            return None
        slots = (1, 2) if test.relation == "GreaterOrEqual" else (2, 1)
        high, low = (self._number(root.inputs[slot]) for slot in slots)
        if high is None or low is None or not _equal(high, -low):
            return None
        quant = self._signs(test.x, "binary", {"scale": high, "low": -low, "threshold": test.bound})
        return None if quant is None else Rounded(test.x, quant, (test.node, root), (test.node,), root.outputs)

    def _nested(self, root: Node, first: _Test) -> Rounded | None:
        """Ternary codes: one side told by the outer compare, the other by the inner one."""
        rest = self._inner(root.inputs[2], "Where")
        second = self._test(rest.inputs[0]) if rest is not None else None
        if rest is None or second is None or second.x != first.x or second.relation != _MIRRORED[first.relation]:
            return None
        outer, inner, zero = (self._number(name) for name in (root.inputs[1], *rest.inputs[1:]))
        if outer is None or inner is None or zero is None or zero.any():
            return None
        (high, low), (above, below) = (outer, inner), (first.bound, second.bound)
        if first.relation == "Less":
            high, low, above, below = low, high, below, above
        if not _equal(high, -low) or not _equal(above, -below) or (above < 0).any():
            return None
        arrays = {"scale": high, "low": -low, "threshold": above, "below": -below, "between": zero}
        quant = self._signs(first.x, "ternary", arrays)
        nodes = (second.node, rest, first.node, root)
        return None if quant is None else Rounded(first.x, quant, nodes, (second.node, first.node), root.outputs)

    def _sign(self, root: Node) -> Rounded | None:
        add = self._inner(root.inputs[0], "Add")
        for slot in (0, 1) if add is not None else ():
            assert add is not None
            sign, offset = self._inner(add.inputs[slot], "Sign"), self._number(add.inputs[1 - slot])
            if sign is None or offset is None or offset.size != 1 or not 0 < offset.item() < 1:
                continue
            x = sign.inputs[0]
            quant = self._signs(x, "binary", {"scale": np.ones((), np.float32), "offset": offset})
            return None if quant is None else Rounded(x, quant, (sign, add, root), (sign,), root.outputs)
        return None

    def _signs(self, x: str, rounding: Rounding, arrays: Mapping[str, np.ndarray]) -> Affine | None:
        storage = self._storage(x, -1, 1)
        return None if storage is None else self._rounded(x, storage, rounding, arrays, (-1, 1))

    def _arithmetic(self, root: Node) -> Rounded | None:
        scale, steps = self._number(root.inputs[1]), root.inputs[0]
        if scale is None:
            scale, steps = self._number(root.inputs[0]), root.inputs[1]
        if scale is None:
            return None
        less = self._inner(steps, "Sub")
        zero = self._number(less.inputs[1]) if less is not None else None
        outer = self._inner(less.inputs[0] if less is not None else steps, "Clip", "Round")
        inner = self._inner(outer.inputs[0], "Clip", "Round") if outer is not None else None
        if outer is None or inner is None or inner.op == outer.op:
            return None
        more = self._inner(inner.inputs[0], "Add")
        offset = self._number(more.inputs[1]) if more is not None else None
        if (less is None) != (more is None) or (less is not None and (zero is None or offset is None)):
            return None
        divide = self._inner(more.inputs[0] if more is not None else inner.inputs[0], "Div")
        divisor = self._number(divide.inputs[1]) if divide is not None else None
        if divide is None or divisor is None or not _equal(divisor, scale):
            return None
        if zero is not None and (offset is None or not _equal(zero, offset) or not _integral(zero)):
            return None
        found = self._clamp(outer if outer.op == "Clip" else inner)
        if found is None or not all(bound.size == 1 and _integral(bound) for bound in found[2]):
            return None
        low, high = (int(bound.item()) for bound in found[2])
        x, zeros = divide.inputs[0], np.zeros(()) if zero is None else zero
        storage = self._storage(x, low, high)
        if storage is None or low >= high or not ((low <= zeros) & (zeros <= high)).all():
            return None
        arrays = {"scale": scale, "divisor": divisor}
        arrays |= {} if zero is None or offset is None else {"zero": zero, "offset": offset}
        quant = self._rounded(x, storage, "nearest", arrays, (low, min(high, storage.max)))
        nodes = tuple(node for node in (divide, more, inner, outer, less, root) if node is not None)
        return None if quant is None else Rounded(x, quant, nodes, (divide,), root.outputs)

    def _storage(self, x: str, low: int, high: int) -> DType | None:
        """The narrowest type that is stored for constants, or computed, and holds these codes."""
        widths = (4, 8, 16, 32) if x in self.known else (8, 16)
        top = 2.0**31  # what float32 makes of the largest int32
        for storage in _STORAGES:
            largest = top if storage is INT32 else storage.max
            if storage.bits in widths and storage.min <= low and high <= largest:
                return storage
        return None

    def _clamp(self, node: Node) -> tuple[str, tuple[Node, ...], tuple[np.ndarray, np.ndarray]] | None:
        """What a Clip, or a Min of a Max, clamps, the nodes and the bounds."""
        nodes: tuple[Node, ...] = (node,)
        least, most = node.input(1), node.input(2)
        if node.op == "Min" and len(node.inputs) == 2:
            inner = self._inner(node.inputs[0], "Max")
            if inner is None or len(inner.inputs) != 2:
                return None
            nodes, least, most = (inner, node), inner.inputs[1], node.inputs[1]
        elif node.op != "Clip":
            return None
        low, high = self._number(least), self._number(most)
        return None if low is None or high is None else (nodes[0].inputs[0], nodes, (low, high))

    def _code(self, bound: np.ndarray, quant: Affine, x: str) -> int | None:
        """The code that stands for a bound, in every channel; None where there is none."""
        placed = self._along(bound, x)
        if placed is None or placed[0] not in (None, quant.axis):
            return None
        codes = np.rint(placed[1] / quant.scale) + quant.zero_point
        exact = (codes - quant.zero_point).astype(np.float32) * quant.scale == placed[1]
        return int(codes.reshape(-1)[0]) if exact.all() and np.ptp(codes) == 0 else None


def _equal(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two constants are the same once broadcast."""
    try:
        return bool((first == second).all())
    except ValueError:
        return False


def _integral(array: np.ndarray) -> bool:
    return bool(np.isfinite(array).all() and (array == np.rint(array)).all())
