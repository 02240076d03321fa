"""MatMul and Gemm on float32, and, without haste, on float64 and integers."""

from __future__ import annotations

from functools import partial
from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.binding.coded import Coded, float_kernel, float_weights
from qir.backends.c.binding.loops import led, merged_loops, too_many_loops
from qir.backends.c.binding.orders import Orders
from qir.backends.c.binding.site import Operand, Site, plain
from qir.backends.c.binding.vectors import VECTORS, vector_kernel
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.conv_f32 import pack_floats, product
from qir.backends.c.kernels.conv_f32.panels import Panels, panels
from qir.backends.c.program import Arg, Data, Kernel, Scalar, Scratch, Struct
from qir.ops.window import Window

_HERE = Path(__file__).parent
_F32, _ANY = _HERE / "matmul_f32__portable.c", _HERE / "matmul_any__portable.c"
_VECTORS = _HERE / "matmul_f32__vectors.c"
_TYPES = ("float32", "float64", "int32", "int64", "uint32", "uint64")


def as_stored(site: Site) -> Orders:
    """Inputs as they are, the result plain: the kernels take any strides."""
    return Orders(tuple(x.order if x else None for x in site.inputs),
                  tuple(plain(y.rank) if y else None for y in site.outputs))  # fmt: skip


def matrix(x: Operand, first: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shape and strides of an operand of MatMul, vectors made a row (first operand) or a column (second)."""
    if x.rank > 1:
        return x.shape, x.strides
    return ((1, *x.shape), (0, *x.strides)) if first else ((*x.shape, 1), (*x.strides, 0))


def batch_loops(site: Site) -> list[tuple[int, ...]]:
    """(size, stride in a, stride in b) over the batch axes of a MatMul."""
    (a_shape, a_strides), (b_shape, b_strides) = matrix(site.input(0), True), matrix(site.input(1), False)
    sizes = np.broadcast_shapes(a_shape[:-2], b_shape[:-2])

    def steps(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...]:
        lead = len(sizes) + 2 - len(shape)
        return tuple(0 if i < lead or shape[i - lead] == 1 else strides[i - lead] for i in range(len(sizes)))

    return merged_loops(sizes, steps(a_shape, a_strides), steps(b_shape, b_strides))


def _takes(site: Site) -> str | None:
    return None if site.input(0).dtype.name in _TYPES else f"only {', '.join(_TYPES)} are computed"


def _accepts(site: Site) -> str | None:
    return too_many_loops(batch_loops(site)) if site.node.op == "MatMul" else None


def _accepts_f32(site: Site) -> str | None:
    return _accepts(site) if site.input(0).dtype.name == "float32" else "only float32"


def _product(site: Site) -> tuple[list[tuple[int, ...]], tuple[int, int, int], tuple[int, int], tuple[int, int]]:
    """Batch loops, (rows, depth, columns), strides of a (row, depth) and of b (depth, column)."""
    a, b, node = site.input(0), site.input(1), site.node
    if node.op == "Gemm":
        row, depth = (1, 0) if node.attr("transA", 0) else (0, 1)
        inner, column = (1, 0) if node.attr("transB", 0) else (0, 1)
        return [], (a.shape[row], a.shape[depth], b.shape[column]), (a.strides[row], a.strides[depth]), (
            b.strides[inner], b.strides[column])  # fmt: skip
    (a_shape, a_strides), (b_shape, b_strides) = matrix(a, True), matrix(b, False)
    rows, depth, columns = a_shape[-2], a_shape[-1], b_shape[-1]
    steps = (a_strides[-2], a_strides[-1]), (b_strides[-2], b_strides[-1])
    if prod(b_shape[:-2]) == 1 and a.is_plain:
        return [], (prod(a_shape[:-1]), depth, columns), (depth, 1), steps[1]
    return batch_loops(site), (rows, depth, columns), *steps


def _bias(site: Site) -> tuple[Arg, tuple[int, int], float]:
    """A bias, its strides along rows and columns, and its factor."""
    bias = site.optional(2)
    if bias is None or site.node.op != "Gemm":
        return Data(np.zeros(1, site.output.dtype.numpy), "no bias"), (0, 0), 1.0
    row, column = bias.broadcast_strides(site.output)
    return bias.read, (row, column), float(np.float32(site.node.attr("beta", 1.0)))


def _shape(site: Site, packed: bool) -> tuple[Struct, Arg, float]:
    loops, (rows, depth, columns), a_steps, b_steps = _product(site)
    bias, bias_steps, beta = _bias(site)
    names = ("rows", "depth", "columns", "a_row_stride", "a_depth_stride", "b_depth_stride", "b_column_stride",
             "bias_row_stride", "bias_column_stride", "packed")  # fmt: skip
    values = (rows, depth, columns, *a_steps, *b_steps, *bias_steps, int(packed))
    batch = ("batch", (led(loops, 0, 1), led(loops, 1, 0), led(loops, 2, 0)))
    return Struct("qir_matmul_f32_shape", (batch, *zip(names, values, strict=True))), bias, beta


def _codes(site: Site) -> Coded | None:
    """The codes that stand behind the second operand, where the kernel can store these."""
    found, b = site.input(1).coded, site.input(1)
    return found if found is not None and b.rank == 2 and found.along(0 if site.node.attr("transB", 0) else 1) else None


def _weights(site: Site) -> np.ndarray | None:
    """A constant second operand, or its codes, as [K, N], rows in the order in which the first operand's columns lie;
    None where it is computed or has batches."""
    codes = _codes(site)
    value = site.constant(1) if codes is None else codes.codes
    if value is None or prod(matrix(site.input(1), False)[0][:-2]) != 1:
        return None
    value = value.T if site.node.attr("transB", 0) else value.reshape(matrix(site.input(1), False)[0][-2:])
    rows = site.input(0).rows
    return value if rows is None else value[rows]


def _second(site: Site) -> Arg:
    b, rows = site.input(1), site.input(0).rows
    if rows is None or b.value is None:
        return b.read
    axis = b.rank - 1 if site.node.attr("transB", 0) else max(b.rank - 2, 0)
    return Data(np.ascontiguousarray(np.take(b.value, rows, axis)), b.name)


def _bind_f32(site: Site) -> Bound:
    weights = _weights(site)
    shape, bias, beta = _shape(site, weights is not None)
    second: tuple[Arg, Arg, Arg] = _second(site), Scalar(0), Scalar(0)
    codes = _codes(site)
    if weights is not None:
        second = float_weights(pack_floats(np.ascontiguousarray(weights.T), 1), codes, weights.shape[1])
    depth = _product(site)[1][1]
    alpha = float(np.float32(site.node.attr("alpha", 1.0)))
    args = (shape, Scalar(alpha, "float"), Scalar(beta, "float"), site.input(0).read, *second, bias, site.output.write,
            Scratch(max(12 * depth, 1) * 4))  # fmt: skip
    return Bound(float_kernel("qir_matmul_f32f32__portable", _F32, codes if weights is not None else None), args)


def _bind_any(site: Site) -> Bound:
    shape, bias, beta = _shape(site, False)
    y = site.output
    kind = y.ctype if y.dtype.is_float else f"uint{y.dtype.bits}_t"
    kernel = Kernel("qir_matmul_any_T__portable", _ANY, f"qir_matmul_any_{y.short}__portable",
                    (("QIR_T", y.ctype), ("QIR_ACC", kind)))  # fmt: skip
    alpha = float(np.float32(site.node.attr("alpha", 1.0)))
    args = (shape, Scalar(alpha, "double"), Scalar(beta, "double"), site.input(0).read, _second(site), bias, y.write)
    return Bound(kernel, args)


def _accepts_rows(site: Site) -> str | None:
    """What the product of rows with constant columns needs, which is a pointwise convolution."""
    bias, weights = site.optional(2), _weights(site)
    if _accepts_f32(site):
        return _accepts_f32(site)
    if weights is None:
        return "its second operand is not one constant matrix"
    if _codes(site) is not None:
        return "the weights are codes"
    if bias is not None and (bias.value is None or bias.broadcast_strides(site.output)[0]):
        return "the third operand is not a constant for each column"
    loops, (rows, depth, _), steps, _ = _product(site)
    return "the rows of its first operand do not lie one after the other" if loops or (
        steps != (depth, 1) and not (rows == 1 and steps[1] == 1)) else None  # fmt: skip


def _as_pixels(site: Site) -> Panels:
    """Rows as pixels of one line."""
    rows, depth, columns = _product(site)[1]
    return panels(1, Window((1,), (1,), (1,), (0,), (0,), (0,), (rows,), (rows,)), 1, depth, columns)


def _bind_rows(site: Site, isa: str) -> Bound:
    weights, bias = _weights(site), site.constant(2)
    assert weights is not None, "refused by accepts"
    alpha, beta = (np.float32(site.node.attr(name, 1.0)) for name in ("alpha", "beta"))
    if bias is not None:
        bias = np.broadcast_to(np.float32(beta) * bias.reshape(-1), (weights.shape[1],))
    laid = np.ascontiguousarray(weights.T) * alpha
    return product(site, _as_pixels(site), laid, bias, isa)


def _macs(site: Site, width: int) -> float:
    """Multiply-accumulates and what packing the second operand costs beside them, unused lanes included."""
    _, (rows, depth, columns), *_ = _product(site)
    return site.output.size / max(columns, 1) * -(-columns // width) * width * depth * (1 + 16 / max(rows, 1))


def _accepts_two(site: Site) -> str | None:
    return _accepts_f32(site) or ("the weights are codes" if _codes(site) is not None else None)


def _bind_two(site: Site, isa: str) -> Bound:
    shape, bias, beta = _shape(site, False)
    _, (rows, depth, _), steps, _ = _product(site)
    alpha = float(np.float32(site.node.attr("alpha", 1.0)))
    gathered = rows * depth if steps[1] != 1 else 0
    args = (shape, Scalar(alpha, "float"), Scalar(beta if site.optional(2) else 0.0, "float"), site.input(0).read,
            _second(site), bias, site.output.write,
            Scratch(4 * ((depth + 1) * VECTORS[isa].panel + gathered)))  # fmt: skip
    return Bound(vector_kernel("qir_matmul_f32f32", _VECTORS, isa), args)


def _on_vectors(isa: str) -> tuple[Variant, Variant]:
    """Of rows with constant columns, and of any two operands."""
    width = VECTORS[isa].width
    return (
        Variant(isa, _HERE.parent / "conv_f32" / "conv_f32__vectors.c", _accepts_rows, partial(_bind_rows, isa=isa),
                f"matmul_f32_rows__{isa}", lambda site: _as_pixels(site).work(width), clamps=True),
        Variant(isa, _VECTORS, _accepts_two, partial(_bind_two, isa=isa), f"matmul_f32__{isa}",
                lambda site: _macs(site, width)),
    )  # fmt: skip


FAMILY = Family(
    "matmul_f32",
    ("MatMul", "Gemm"),
    as_stored,
    (
        Variant("portable", _F32, _accepts_f32, _bind_f32),
        Variant("portable", _ANY, _accepts, _bind_any),
        *(variant for isa in VECTORS for variant in _on_vectors(isa)),
    ),
    takes=_takes,
    permuted_rows=True,
)
