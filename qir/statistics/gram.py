"""The Gram matrix of a layer's inputs: `G = sum x x^T` over sampled rows of its im2col matrix, one matrix a group.

The squared error that a change dW of the weights makes at the layer's output is `tr(dW G dW^T)`, so rounding, pruning
and factorization need nothing else of the data. Source: Hassibi & Stork 1993 (optimal brain surgeon); Frantar et al.,
arXiv 2208.11580.

Above 2048 inputs an output the matrix is block-diagonal: products of inputs in different blocks count as zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from qir.errors import DataError
from qir.ir.graph import Node
from qir.ops.window import window
from qir.statistics.exact import Accumulator, ExactSum, Zeros
from qir.statistics.rows import RowSample

MAX_SIZE = 2048
"""Most inputs in one block."""
_POSITIONS, _LATER_POSITIONS, _EARLY = 32, 8, 128
"""Most output positions sampled from each of the first samples, from each later one; how many samples are first."""
_LEAST_POSITIONS, _INPUTS = 8, 2
"""Layers with few inputs an output need fewer: a position for every so many inputs, but at least so many."""


def column_blocks(size: int) -> tuple[slice, ...]:
    """The columns of each block of a layer with `size` inputs an output; sizes differ by at most one."""
    count = -(-size // MAX_SIZE)
    bounds = [i * size // count for i in range(count + 1)]
    return tuple(slice(a, b) for a, b in pairwise(bounds))


@dataclass(frozen=True, eq=False)
class Gram:
    """Gram matrices of one layer.

    Attributes:
        products: sums of x x^T, [groups, k, k] for each of `column_blocks`.
        sums: sums of x, [groups, K]; K runs over [C/g, *kernel] for a convolution.
        rows: how many im2col rows were added.
        sample: a few of them.
    """

    products: tuple[ExactSum, ...]
    sums: ExactSum
    rows: int
    sample: RowSample
    kind: ClassVar[str] = "gram"

    @staticmethod
    def of(rows: np.ndarray, first: int = 0, seed: int = 0) -> Gram:
        """That of rows [groups, n, K], which are those of the samples from number `first` on."""
        total = GramAccumulator(rows.shape[0], rows.shape[2])
        total.add(rows)
        total.add_sample(RowSample.of(rows, first, seed))
        return total.gram()

    def merge(self, other: Gram) -> Gram:
        """That of both data sets: exact, associative, commutative.

        Raises:
            DataError: if they are of layers of different shapes.
        """
        total = GramAccumulator(self.groups, self.size)
        total.absorb(self)
        total.absorb(other)
        return total.gram()

    def scaled(self, factor: float | np.ndarray) -> Gram:
        """That of the inputs times a factor, or times factors [groups, K]."""
        factors = np.broadcast_to(np.asarray(factor, np.float64), (self.groups, self.size))
        products = tuple(
            ExactSum.of(part * factors[:, columns, None] * factors[:, None, columns]) for columns, part in self.blocks()
        )
        return Gram(products, ExactSum.of(self.sums.value() * factors), self.rows, self.sample.scaled(factors))

    def moved(self, offset: np.ndarray) -> Gram:
        """That of the inputs less offsets [groups, K]."""
        sums, moved = self.sums.value(), np.asarray(offset, np.float64)
        total = self.rows * moved / 2 - sums  # G - s t' - t s' + n t t'
        products = []
        for columns, part in self.blocks():
            cross = moved[:, columns, None] * total[:, None, columns]
            products.append(ExactSum.of(part + cross + cross.transpose(0, 2, 1)))
        return Gram(tuple(products), ExactSum.of(sums - self.rows * moved), self.rows, self.sample.moved(moved))

    @property
    def groups(self) -> int:
        """Number of groups."""
        return self.sums.shape[0]

    @property
    def size(self) -> int:
        """K, inputs of one output."""
        return self.sums.shape[1]

    @property
    def is_whole(self) -> bool:
        """Whether every product was kept; False where the matrix is block-diagonal."""
        return len(self.products) == 1

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """The columns and the matrices, float64 [groups, k, k], of each block on the diagonal; one at a time."""
        for columns, part in zip(column_blocks(self.size), self.products, strict=True):
            yield columns, part.value()

    @property
    def matrix(self) -> np.ndarray:
        """float64 [groups, K, K], zero off the blocks; `blocks` needs less memory."""
        found = np.zeros((self.groups, self.size, self.size))
        for columns, part in self.blocks():
            found[:, columns, columns] = part
        return found

    @property
    def diagonal(self) -> np.ndarray:
        """Sums of the squared inputs, float64 [groups, K]."""
        return np.concatenate([np.diagonal(part, axis1=1, axis2=2) for _, part in self.blocks()], axis=1)

    @property
    def mean(self) -> np.ndarray:
        """Means of the inputs over the rows, float64 [groups, K]; 0 of none."""
        return self.sums.value() / max(self.rows, 1)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What `from_state` needs."""
        fields = {"rows": self.rows, "groups": self.groups, "size": self.size}
        arrays = {f"sums.{order}": part for order, part in self.sums.parts.items()}
        arrays |= {f"sample.{name}": part for name, part in self.sample.arrays().items()}
        for number, product in enumerate(self.products):
            arrays |= {f"{number}.{order}": part for order, part in product.parts.items()}
        return fields, arrays

    @staticmethod
    def from_state(fields: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Gram:
        """The inverse of `state`."""
        groups, size = int(fields["groups"]), int(fields["size"])
        found: dict[str, dict[int, np.ndarray]] = {}
        sample = RowSample(**{key.partition(".")[2]: part for key, part in arrays.items() if key.startswith("sample.")})
        for key, array in arrays.items():
            name, _, order = key.partition(".")
            if name == "sample":
                continue
            found.setdefault(name, {})[int(order)] = array
        products = tuple(
            ExactSum((groups, columns.stop - columns.start, columns.stop - columns.start), found.get(str(number), {}))
            for number, columns in enumerate(column_blocks(size))
        )
        return Gram(products, ExactSum((groups, size), found.get("sums", {})), int(fields["rows"]), sample)


class GramAccumulator:
    """A `Gram` in the making, added to in place.

    Args:
        groups, size: of the layer; see `Gram`.
        zeros: where the matrices live.
    """

    def __init__(self, groups: int, size: int, zeros: Zeros | None = None) -> None:
        self._columns = column_blocks(size)
        sizes = [columns.stop - columns.start for columns in self._columns]
        self._products = tuple(Accumulator((groups, k, k), zeros) for k in sizes)
        self._sums = Accumulator((groups, size), zeros)
        self._shape = groups, size
        self._rows = 0
        self._sample = RowSample.none(groups, size)

    def add(self, rows: np.ndarray) -> None:
        """Adds rows [groups, n, K]; their products are float32, unless they leave its range."""
        rows = np.ascontiguousarray(rows, np.float32)
        ones = np.ones((1, rows.shape[1]), np.float32)
        self._sums.add(_product(ones, rows)[:, 0])
        for columns, total in zip(self._columns, self._products, strict=True):
            block = rows[:, :, columns]
            total.add(_product(block.transpose(0, 2, 1), block))
        self._rows += rows.shape[1]

    def add_sample(self, sample: RowSample) -> None:
        """Adds some of the rows as they are."""
        self._sample = self._sample.merge(sample)

    def absorb(self, gram: Gram) -> None:
        """Adds what another data set gave.

        Raises:
            DataError: if it is of a layer of another shape.
        """
        if gram.sums.shape != self._shape:
            raise DataError(f"Gram matrices of layers with {self._shape} and {gram.sums.shape} (groups, inputs) differ",
                            fix="Merge only what the same model gave")  # fmt: skip
        for total, part in zip(self._products, gram.products, strict=True):
            total.absorb(part)
        self._sums.absorb(gram.sums)
        self._rows += gram.rows
        self.add_sample(gram.sample)

    def gram(self) -> Gram:
        """What was added; it shares memory with the accumulator, which must not be used again."""
        return Gram(tuple(total.sum() for total in self._products), self._sums.sum(), self._rows, self._sample)


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A float32 product, in float64 where it leaves that range."""
    with np.errstate(over="ignore", invalid="ignore"):
        product: np.ndarray = np.matmul(a, b)
    if not np.isfinite(product).all():
        product = np.matmul(a.astype(np.float64), b.astype(np.float64))
    return product


def im2col_rows(
    node: Node, x: np.ndarray, weight_shape: Sequence[int], first: int, seed: int = 0, inputs: int | None = None
) -> np.ndarray | None:
    """Rows of a layer's im2col matrix, sampled at random: [groups, n, K], or None for layers that have no Gram.

    Args:
        node: Conv, Gemm or MatMul.
        x: its data input, the first axis being samples.
        weight_shape: of its weight.
        first: number of samples seen before.
        seed: with `first` it decides the choice.
        inputs: of an output, by which positions are counted, if not by the weight's.
    """
    random = np.random.default_rng((seed, first))
    most = _POSITIONS if first < _EARLY else _LATER_POSITIONS
    inputs = inputs or (x.shape[-1] if node.op != "Conv" else int(np.prod(weight_shape[1:])))
    positions = min(most, max(_LEAST_POSITIONS, inputs // _INPUTS))
    if node.op in ("Gemm", "MatMul"):
        if node.attr("transA", 0) or len(weight_shape) != 2:
            return None
        rows = x.reshape(-1, x.shape[-1])
        count = min(len(rows), x.shape[0] * positions)
        return rows[None, random.choice(len(rows), count, replace=False)]
    if node.op != "Conv":
        return None
    kernel = tuple(weight_shape[2:])
    win = window(node, x.shape[2:], kernel)
    padded = np.pad(x, ((0, 0), (0, 0), *zip(win.begin, win.end, strict=True)))
    total = int(np.prod(win.output))
    count = min(total, positions)
    chosen = random.choice(total, count, replace=False)
    places = np.unravel_index(chosen, win.output)
    taps = np.unravel_index(np.arange(int(np.prod(kernel))), kernel)
    at = tuple(place[:, None] * s + tap[None, :] * d for place, tap, s, d in
               zip(places, taps, win.strides, win.dilations, strict=True))  # fmt: skip
    whole: tuple[Any, ...] = (slice(None), slice(None))
    patches = padded[whole + at]
    group = node.attr("group", 1)
    split = patches.reshape(x.shape[0], group, x.shape[1] // group, count, len(taps[0]))
    return split.transpose(1, 0, 3, 2, 4).reshape(group, x.shape[0] * count, -1)
