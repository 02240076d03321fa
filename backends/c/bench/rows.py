"""What is measured: single operators on shapes of common networks, and small ones, on which the call itself shows.

Operands lie in the order that the kernels like, so that a row is one call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, TypeAlias

import numpy as np

from qir.ir.dtype import of_array
from qir.ir.graph import Constant, Graph, Node, Stage
from qir.ir.types import TensorType
from qir.ops.integer_rows import exponentials
from qir.quant.bitpack import few_bits

_FINISH: Mapping[str, Any] = {"y_zero_point": 3, "qmin": 0, "qmax": 255}
_NHWC = (0, 2, 3, 1)


@dataclass(frozen=True, eq=False)
class Row:
    """A network of one operator.

    Attributes:
        name: operator and shapes.
        graph: stage INT.
        feeds: a sample of its inputs.
        work: multiply-accumulates, or elements where there are none.
        streams: whether reading its weights once is what takes the time.
        bits: of an activation times those of a weight, where products run on packed bits; else 0.
    """

    name: str
    graph: Graph
    feeds: Mapping[str, np.ndarray]
    work: float
    streams: bool = False
    bits: int = 0


def rows(parts: Sequence[str] = ()) -> tuple[Row, ...]:
    """Those whose names hold one of the parts; all of them without any."""
    usual = (*(_conv(*one) for one in _CONVOLUTIONS), *(_gemm(*one) for one in _GEMMS))
    made = (usual, _seven_bits(), _few_bits(), _sparse(), _on_bits(), _others())
    found = [row for some in made for row in some]
    return tuple(row for row in found if not parts or any(part in row.name for part in parts))


_CONVOLUTIONS: tuple[tuple[str, int, tuple[int, int], int, tuple[int, int], int], ...] = (
    ("3x3", 128, (14, 14), 128, (3, 3), 1),
    ("3x3", 64, (56, 56), 64, (3, 3), 1),
    ("3x3", 256, (14, 14), 256, (3, 3), 1),
    ("3x3", 512, (7, 7), 512, (3, 3), 1),
    ("3x3", 16, (32, 32), 16, (3, 3), 1),
    ("3x3", 8, (4, 4), 8, (3, 3), 1),
    ("3x3", 32, (16, 16), 64, (3, 3), 2),
    ("1x1", 64, (25, 5), 64, (1, 1), 1),
    ("1x1", 128, (56, 56), 128, (1, 1), 1),
    ("1x1", 512, (14, 14), 512, (1, 1), 1),
    ("1x1", 16, (112, 112), 96, (1, 1), 1),
    ("1x1", 144, (56, 56), 24, (1, 1), 1),
    ("1x1", 320, (7, 7), 1280, (1, 1), 1),
    ("1x1", 256, (3, 3), 256, (1, 1), 1),
    ("depthwise 3x3", 64, (25, 5), 64, (3, 3), 1),
    ("depthwise 3x3", 128, (56, 56), 128, (3, 3), 1),
    ("depthwise 3x3", 512, (14, 14), 512, (3, 3), 1),
    ("depthwise 3x3", 96, (112, 112), 96, (3, 3), 2),
    ("depthwise 3x3", 128, (6, 6), 128, (3, 3), 1),
    ("depthwise 3x3", 32, (3, 3), 32, (3, 3), 1),
    ("depthwise 5x5", 240, (28, 28), 240, (5, 5), 1),
    ("first 3x3", 3, (224, 224), 32, (3, 3), 2),
    ("first 7x7", 3, (224, 224), 64, (7, 7), 2),
    ("first 3x3", 3, (32, 32), 16, (3, 3), 1),
    ("first 10x4", 1, (49, 10), 64, (10, 4), 2),
)
"""Kind, channels in, size, channels out, kernel, stride; padded as "same"."""

_SWEEP: tuple[tuple[str, int, tuple[int, int], int, tuple[int, int], int], ...] = (
    ("1x1", 16, (32, 32), 16, (1, 1), 1),
    ("1x1", 64, (25, 5), 64, (1, 1), 1),
    ("1x1", 13, (9, 9), 19, (1, 1), 1),
    ("1x1", 128, (3, 3), 128, (1, 1), 1),
    ("1x1", 256, (14, 14), 256, (1, 1), 1),
    ("3x3", 3, (32, 32), 16, (3, 3), 1),
    ("3x3", 8, (4, 4), 8, (3, 3), 1),
    ("3x3", 13, (9, 9), 19, (3, 3), 1),
    ("3x3", 16, (32, 32), 16, (3, 3), 1),
    ("3x3", 64, (14, 14), 64, (3, 3), 1),
    ("3x3", 128, (7, 7), 128, (3, 3), 1),
    ("3x3", 32, (16, 16), 64, (3, 3), 2),
)
_SWEEP_GEMMS = ((196, 1152, 128), (8, 64, 32), (5, 77, 13), (1, 64, 16), (1, 640, 128), (1, 1000, 10), (1, 2048, 512))
"""What weights of few bits are compared on."""

_GEMMS = ((196, 1152, 128), (8, 64, 32), (1, 64, 16), (1, 640, 128), (1, 1024, 1000), (1, 4096, 4096))
"""Rows, depth, columns."""


class _Made:
    """A graph of one operator, between transpositions where it wants its operands otherwise."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.feeds: dict[str, np.ndarray] = {}
        self.constants: dict[str, Constant] = {}
        self.types: dict[str, TensorType] = {}
        self.nodes: list[Node] = []

    def feed(self, array: np.ndarray, perm: tuple[int, ...] = ()) -> str:
        """An input, which is stored with its axes in the order `perm`."""
        name = f"x{len(self.types)}"
        if not perm:
            self.feeds[name] = array
            return self._typed(name, array)
        stored = self.feed(np.ascontiguousarray(array.transpose(perm)))
        return self.node("Transpose", [stored], array, perm=tuple(np.argsort(perm).tolist()))

    def constant(self, array: np.ndarray) -> str:
        name = f"w{len(self.types)}"
        self.constants[name] = Constant(array)
        return self._typed(name, array)

    def node(self, op: str, inputs: Sequence[str], result: np.ndarray, **attrs: object) -> str:
        name = f"y{len(self.types)}"
        self.nodes.append(Node(op, tuple(inputs), (name,), attrs, name=f"{op} {len(self.nodes)}"))
        return self._typed(name, result)

    def _typed(self, name: str, array: np.ndarray) -> str:
        self.types[name] = TensorType(of_array(array), array.shape)
        return name

    def row(
        self, output: str, result: np.ndarray, work: float, perm: tuple[int, ...] = (), streams: bool = False
    ) -> Row:
        if perm:
            output = self.node("Transpose", [output], np.ascontiguousarray(result.transpose(perm)), perm=perm)
        graph = Graph("row", tuple(self.feeds), (output,), tuple(self.nodes), self.types, self.constants, Stage.INT)
        return Row(self.name, graph, self.feeds, work, streams)


Weights: TypeAlias = Callable[..., np.ndarray]
"""Codes of a shape."""


def _random(*shape: int, low: int = 0, high: int = 256, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(prod(shape)).integers(low, high, shape).astype(dtype)


def _weights(*shape: int) -> np.ndarray:
    return _random(*shape, low=-127, high=128, dtype=np.int8)


def _trained(*shape: int) -> np.ndarray:
    """Weights [channels, ...] of seven bits, spread as those of trained layers: the largest of a channel is 63."""
    real = np.random.default_rng(prod(shape)).normal(size=shape)
    most = np.abs(real).max(axis=tuple(range(1, real.ndim)), keepdims=True)
    codes: np.ndarray = np.rint(real * 63 / most).astype(np.int8)
    return codes


def _seven_bits() -> Iterator[Row]:
    """What recipe w7a8 makes of layers."""
    yield _conv("1x1", 512, (14, 14), 512, (1, 1), 1, _trained)
    yield _conv("1x1", 64, (56, 56), 256, (1, 1), 1, _trained)
    yield _gemm(196, 1152, 128, _trained)


def _ternary(*shape: int) -> np.ndarray:
    return _random(*shape, low=-1, high=2, dtype=np.int8)


def _binary(*shape: int) -> np.ndarray:
    return 2 * _random(*shape, high=2, dtype=np.int8) - 1


def _four_bits(*shape: int) -> np.ndarray:
    return _random(*shape, low=-8, high=8, dtype=np.int8)


def _few_bits() -> Iterator[Row]:
    """What recipes for weights of few bits make of layers: what is computed long beside unpacking, and what is not."""
    for weights in (_ternary, _binary, _four_bits):
        yield _conv("3x3", 128, (14, 14), 128, (3, 3), 1, weights)
        yield _conv("3x3", 512, (7, 7), 512, (3, 3), 1, weights)
        yield _conv("1x1", 512, (14, 14), 512, (1, 1), 1, weights)
        yield _conv("1x1", 256, (3, 3), 256, (1, 1), 1, weights)
        yield from (_gemm(*sizes, weights) for sizes in ((196, 1152, 128), (8, 64, 32), (1, 640, 128), (1, 4096, 4096)))


def _planes(planes: int) -> Weights:
    """Sums of as many planes a channel, with multipliers that halve."""

    def made(*shape: int) -> np.ndarray:
        signs = 2 * _random(*shape, planes, high=2, dtype=np.int8) - 1
        codes: np.ndarray = (signs * (8 >> np.arange(planes))).sum(axis=-1).astype(np.int8)
        return codes

    return made


def _half_blocks(*shape: int) -> np.ndarray:
    """Weights of which half the blocks of 16 output channels by 4 input channels at one tap are zero."""
    found, random = _weights(*shape), np.random.default_rng(prod(shape))
    kept = random.permuted(np.arange(shape[1] // 4 * prod(shape[2:])) % 2, axis=0).reshape(shape[1] // 4, *shape[2:])
    for first in range(0, shape[0], 16):
        found[first : first + 16] *= np.repeat(random.permuted(kept, axis=0), 4, axis=0).astype(np.int8)
    return found


def _sparse() -> Iterator[Row]:
    """Layers of which half the work can be skipped."""
    for kind, c, size, m in (("3x3", 16, 32, 16), ("3x3", 64, 8, 64), ("3x3", 128, 14, 128), ("1x1", 512, 14, 512)):
        yield _conv(kind, c, (size, size), m, (3, 3) if kind == "3x3" else (1, 1), 1, _half_blocks)
    yield _gemm(196, 1152, 128, _half_blocks)
    yield _gemm(1, 640, 128, _half_blocks)
    yield _gemm(1, 4096, 4096, _half_blocks)


_two_planes, _three_planes = _planes(2), _planes(3)
_PLANES: Mapping[Weights, int] = {_two_planes: 2, _three_planes: 3}
_NAMES: Mapping[Weights, str] = {_weights: "", _trained: ", 7 bits", _ternary: ", ternary", _binary: ", binary",
                                 _four_bits: ", 4 bits", _half_blocks: ", half of 16x4",
                                 _two_planes: ", 2 planes", _three_planes: ", 3 planes"}  # fmt: skip
FEW: Mapping[str, Weights] = {"ternary": _ternary, "binary": _binary, "4 bits": _four_bits,
                              "2 planes": _two_planes, "3 planes": _three_planes}  # fmt: skip
"""Kinds of weights of few bits."""


def _needed(weights: Weights, codes: np.ndarray) -> Mapping[str, int]:
    """As lowering says it."""
    if weights in _PLANES:
        return {"planes": _PLANES[weights]}
    bits = few_bits(codes)
    return {"weight_bits": bits} if bits <= 4 else {}


def beside_int8(kind: str, parts: Sequence[str] = ()) -> Iterator[tuple[Row, Row]]:
    """Layers with weights of few bits, each beside the same with weights of eight: small and odd ones, too.

    Args:
        kind: key of FEW.
        parts: of the names of those with eight; all of them without any.
    """
    both = FEW[kind], _weights
    convolutions = (tuple(_conv(*one, weights) for weights in both) for one in _SWEEP)
    products = (tuple(_gemm(*one, weights) for weights in both) for one in _SWEEP_GEMMS)
    for few, int8 in (*convolutions, *products):
        if not parts or any(part in int8.name for part in parts):
            yield few, int8


def _conv(
    kind: str, c: int, size: tuple[int, int], m: int, kernel: tuple[int, int], stride: int, weights: Weights = _weights
) -> Row:
    made = _Made(f"{kind} {c}->{m} {size[0]}x{size[1]}" + (f" /{stride}" if stride > 1 else "") + _NAMES[weights])
    group = c if kind.startswith("depthwise") else 1
    out = [(n + stride - 1) // stride for n in size]
    pads = [max((o - 1) * stride + k - n, 0) for o, k, n in zip(out, kernel, size, strict=True)]
    before = [p // 2 for p in pads]
    result = np.zeros((1, m, *out), np.uint8)
    codes = weights(m, c // group, *kernel)
    x, w = made.feed(_random(1, c, *size), _NHWC), made.constant(codes)
    bias, scale = made.constant(np.zeros(m, np.int32)), made.constant(np.full(m, 1e-4, np.float32))
    y = made.node(
        "qir.IntConv", [x, w, bias, scale], result, x_zero_point=7, group=group, strides=(stride, stride),
        pads=(*before, *(p - q for p, q in zip(pads, before, strict=True))), **_needed(weights, codes), **_FINISH,
    )  # fmt: skip
    return made.row(y, result, float(result.size * c // group * prod(kernel)), _NHWC)


def _gemm(count: int, depth: int, columns: int, weights: Weights = _weights) -> Row:
    made, result = _Made(f"gemm {count}x{depth}x{columns}{_NAMES[weights]}"), np.zeros((count, columns), np.uint8)
    codes = weights(columns, depth)
    x, w = made.feed(_random(count, depth)), made.constant(np.ascontiguousarray(codes.T))
    bias, scale = made.constant(np.zeros(columns, np.int32)), made.constant(np.full(columns, 1e-4, np.float32))
    y = made.node("qir.IntGemm", [x, w, bias, scale], result, **_needed(weights, codes), **_FINISH)
    return made.row(y, result, float(count * depth * columns), streams=count == 1)


def _on_bits() -> Iterator[Row]:
    """Layers on packed bits, between others like them, and the first and the last."""
    for x_bits, w_bits in ((1, 1), (1, 2), (2, 2)):
        yield _bit_gemm(196, 1152, 128, x_bits, w_bits)
        yield _bit_conv(128, 14, 128, x_bits, w_bits)
    yield _bit_conv(64, 56, 64, 1, 1)
    yield _bit_conv(16, 32, 16, 1, 1)
    yield _bit_gemm(1, 64, 64, 1, 1)
    yield _bit_gemm(1, 4096, 4096, 1, 1)
    yield _one("pack 196x1152", "qir.IntPackBits", [_random(196, 1152, low=0, high=2)], np.zeros((196, 144), np.uint8),
               196.0 * 1152, axis=-1, bits=1, qmin=0)  # fmt: skip


def _bit_weights(bits: int, *shape: int) -> np.ndarray:
    """Binary or ternary."""
    if bits == 2:
        return _random(*shape, low=-1, high=2, dtype=np.int8)
    signs: np.ndarray = 2 * _random(*shape, low=0, high=2, dtype=np.int8) - 1
    return signs


def _bit_layer(made: _Made, op: str, x: np.ndarray, w: np.ndarray, channels: int, result: np.ndarray, x_bits: int,
               **attrs: object) -> str:  # fmt: skip
    """The node, which gives packed numbers of as many bits as its input has."""
    thresholds = np.zeros(((1 << x_bits) - 1, channels), np.int32)
    constants = (made.constant(array) for array in (w, np.zeros(channels, np.int32), thresholds))
    return made.node(op, [made.feed(x), *constants], result, bits=x_bits, step=3 - x_bits, x_zero_point=1,
                     y_levels=1 << x_bits, y_bits=x_bits, **attrs)  # fmt: skip


def _bit_gemm(count: int, depth: int, columns: int, x_bits: int, w_bits: int) -> Row:
    made = _Made(f"bits {x_bits}x{w_bits} gemm {count}x{depth}x{columns}")
    x, result = _random(count, x_bits * depth // 8), np.zeros((count, x_bits * columns // 8), np.uint8)
    w = np.ascontiguousarray(_bit_weights(w_bits, columns, depth).T)
    y = _bit_layer(made, "qir.IntBitGemm", x, w, columns, result, x_bits)
    return replace(made.row(y, result, float(count * depth * columns), streams=count == 1), bits=x_bits * w_bits)


def _bit_conv(c: int, size: int, m: int, x_bits: int, w_bits: int) -> Row:
    made = _Made(f"bits {x_bits}x{w_bits} 3x3 {c}->{m} {size}x{size}")
    x, result = (_random(1, size, size, x_bits * channels // 8) for channels in (c, m))
    y = _bit_layer(made, "qir.IntBitConv", x, _bit_weights(w_bits, m, c, 3, 3), m, result, x_bits, pads=(1, 1, 1, 1),
                   strides=(1, 1))  # fmt: skip
    return replace(made.row(y, result, float(size * size * m * c * 9)), bits=x_bits * w_bits)


def _one(
    name: str, op: str, feeds: Sequence[np.ndarray], result: np.ndarray, work: float, perm: tuple[int, ...] = (),
    constants: Sequence[np.ndarray] = (), **attrs: object,
) -> Row:  # fmt: skip
    made = _Made(name)
    operands = [made.feed(array, perm) for array in feeds] + [made.constant(array) for array in constants]
    return made.row(made.node(op, operands, result, **attrs), result, work, perm)


def _others() -> list[Row]:
    found = []
    for a, b in (((4, 197, 64), (4, 64, 197)), ((4, 197, 197), (4, 197, 64)), ((1, 8, 16), (1, 16, 8))):
        result = np.zeros((a[0], a[1], b[2]), np.uint8)
        found.append(_one(
            f"matmul {a[0]}x{a[1]}x{a[2]}x{b[2]}", "qir.IntMatMul", [_random(*a), _random(*b)], result,
            float(prod(a) * b[2]), a_zero_point=7, b_zero_point=9, multiplier=1e-4, **_FINISH,
        ))  # fmt: skip
    for k, c, n, stride in ((3, 64, 112, 2), (2, 16, 24, 2), (2, 16, 4, 2)):
        out, after = (n + stride - 1) // stride, max(k - stride, 0)
        found.append(_one(
            f"max pool {k}x{k} {c} {n}x{n} /{stride}", "MaxPool", [_random(1, c, n, n)],
            np.zeros((1, c, out, out), np.uint8), float(c * n * n), _NHWC, kernel_shape=(k, k),
            strides=(stride, stride), pads=(0, 0, after, after),
        ))  # fmt: skip
    for c, n in ((64, 28), (16, 4)):
        found.append(_one(
            f"average pool 3x3 {c} {n}x{n}", "qir.IntAveragePool", [_random(1, c, n, n)],
            np.zeros((1, c, n - 2, n - 2), np.uint8), float(c * n * n), _NHWC, kernel_shape=(3, 3), strides=(1, 1),
            pads=(0, 0, 0, 0), x_zero_point=3, multiplier=0.9, **_FINISH,
        ))  # fmt: skip
    for c, n in ((1280, 7), (64, 8), (16, 2)):
        found.append(_one(
            f"mean {c} {n}x{n}", "qir.IntMean", [_random(1, n, n, c)], np.zeros((1, 1, 1, c), np.uint8),
            float(n * n * c), axes=(1, 2), x_zero_point=3, multiplier=0.9, **_FINISH,
        ))  # fmt: skip
    for c, n in ((64, 28), (64, 8), (16, 2)):
        x, work = _random(1, n, n, c), float(n * n * c)
        found.append(_one(f"add {c} {n}x{n}", "qir.IntAdd", [x, x], x, work, a_multiplier=0.7, b_multiplier=0.4,
                          offset=3.0, qmin=0, qmax=255))  # fmt: skip
        found.append(_one(f"mul {c} {n}x{n} by channel", "qir.IntMul", [x, _random(1, 1, 1, c)], x, work,
                          a_zero_point=3, b_zero_point=0, multiplier=0.004, **_FINISH))  # fmt: skip
    for count, size in ((788, 197), (16, 16)):
        x = _random(count, size)
        found.append(_one(f"softmax {count}x{size}", "qir.IntSoftmax", [x], x, float(count * size), axis=1,
                          constants=[exponentials(np.float32(0.05))], multiplier=256.0, **_FINISH))  # fmt: skip
        found.append(_one(
            f"layer normalization {count}x{size}", "qir.IntLayerNorm", [x], x, float(count * size), epsilon=100.0,
            constants=[np.full(size, 30, np.float32), np.zeros(size, np.float32)], **_FINISH,
        ))  # fmt: skip
    for count in (50176, 4096, 64):
        x, real = _random(count), np.zeros(count, np.float32)
        found.append(_one(f"lookup {count}", "qir.Lookup", [x], x, float(count), constants=[_random(256)]))
        found.append(_one(f"quantize {count}", "qir.Quantize", [real], x, float(count), scale=0.02, zero_point=9,
                          qmin=0, qmax=255))  # fmt: skip
        found.append(_one(f"dequantize {count}", "qir.Dequantize", [x], real, float(count), scale=0.02, zero_point=9))
    return found
