"""The integer form of each operator. A form returns False where the node must run in float instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import TypeAlias

import numpy as np

from qir.evaluate import evaluate
from qir.ir.dtype import FLOAT32, INT16, UINT8, of_array
from qir.ir.graph import Constant, Graph, Node, Stage
from qir.ir.types import Affine, TensorType
from qir.ops.elementwise import FUNCTIONS
from qir.ops.integer import FEW_SUMS
from qir.ops.weighted import FEW_CODES
from qir.ops.window import window
from qir.passes.lower.bits import on_bits
from qir.passes.lower.codes import Codes, Lowering, stored
from qir.passes.lower.rows import layernorm, softmax
from qir.passes.lower.weighted import conv, conv_transpose, gemm, matmul
from qir.quant.fixedpoint import fixed_sum, largest_code
from qir.quant.scales import decode, encode

Form: TypeAlias = Callable[[Node, Lowering], bool]

MOVES = ("DepthToSpace", "Expand", "Flatten", "Gather", "Identity", "MaxPool", "ReduceMax", "ReduceMin", "Reshape",
         "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze", "qir.Requantize")  # fmt: skip


def _lookup(node: Node, low: Lowering) -> bool:
    """A function of one operand: a table of its 256 results, made by the operator itself on dequantized codes."""
    live = [name for name in node.inputs if name and name not in low.graph.constants]
    others = [low.graph.constants[name].value for name in node.inputs if name and name not in live]
    if len(live) != 1 or any(value.size != 1 for value in others):
        return False
    rank = len(low.graph.tensor(live[0]).shape or ())
    if any(value.ndim > rank for value in others):
        return False  # broadcasting would add axes
    source, result = low.quant(live[0]), low.quant(node.outputs[0])
    seen, given = stored(source), stored(result)
    if source is None or result is None or seen is None or given is None or seen.storage != UINT8:
        return False  # a table of 65536 results is none
    table = low.constant(f"{node.name}_table", _table(node, live[0], low.graph, source, result))
    low.integer(node, "qir.Lookup", (low.codes(live[0]), table), {})
    return True


def _table(node: Node, live: str, graph: Graph, source: Affine, result: Affine) -> np.ndarray:
    all_codes = np.arange(source.storage.min, source.storage.max + 1).astype(source.storage.numpy)
    single = node.with_(inputs=tuple("x" if name == live else name for name in node.inputs), outputs=("y",))
    constants = {name: _scalar(name, graph) for name in single.inputs if name in graph.constants}
    vector = TensorType(FLOAT32, (all_codes.size,))
    scalars = {name: TensorType(of_array(constant.value), ()) for name, constant in constants.items()}
    types = {"x": vector, "y": vector, **scalars}
    function = Graph("table", ("x",), ("y",), (single,), types, constants, Stage.FLOAT, graph.opsets)
    codes = encode(evaluate(function, {"x": decode(all_codes, source)})["y"], result)
    given = stored(result)
    assert given is not None
    return (codes.astype(np.int32) + (given.qmin - result.qmin)).astype(given.storage.numpy)


def _scalar(name: str, graph: Graph) -> Constant:
    """A constant of one number, without axes that would broadcast; rounded where it has codes."""
    constant, quant = graph.constants[name], graph.tensor(name).quant
    value = constant.value
    if quant is not None:
        value = decode(encode(value, quant) if constant.codes is None else constant.codes, quant)
    return Constant(value.reshape(()))


def _recoded(codes: str, name: str, source: Codes, to: Codes, low: Lowering) -> str:
    """Codes moved to another scale and zero point; themselves where they already fit."""
    if source == to:
        return codes
    known = low.known(codes)
    if known is not None:
        return low.constant(f"{name}_recoded", to.encode(source.decode(known)))
    result = low.value(f"{name}_recoded", TensorType(to.storage, low.graph.tensor(name).shape))
    _recode(codes, result, source, to, low)
    return result


def _recode(codes: str, result: str, source: Codes, to: Codes, low: Lowering, origin: tuple[str, ...] = ()) -> None:
    """Moves codes to another scale and zero point: 8-bit ones by a table, others as products by one, or by way of their
    reals where a compare decides the code."""
    if source.storage == UINT8:
        table = to.encode(source.decode(np.arange(256, dtype=np.uint8)))
        low.add("qir.Lookup", (codes, low.constant(f"{result}_table", table)), (result,), {}, origin)
    elif to.rounding == "nearest":
        one = low.constant(f"{result}_one", np.ones((), np.uint8))
        attrs = {"a_zero_point": source.zero_point, "b_zero_point": 0, "multiplier": float(source.scale / to.scale)}
        low.add("qir.IntMul", (codes, one), (result,), {**attrs, **to.attrs}, origin)
    else:
        real = low.value(f"{result}_real", replace(low.type(codes), dtype=FLOAT32))
        low.dequantize(codes, real, source)
        low.quantize(real, result, to)


def _move(node: Node, low: Lowering) -> bool:
    """Operators that only move or select codes; results with codes of their own are moved there by a table."""
    source = low.stored(node.inputs[0])
    if source is None or any(name and low.stored(name) is None for name in node.outputs):
        return False
    if node.op == "MaxPool" and len(node.outputs) > 1:
        return False
    codes, to = low.codes(node.inputs[0]), low.stored(node.outputs[0])
    if source.storage == INT16 and to is not None and to.storage == UINT8 and len(node.outputs) == 1:
        codes, source = _recoded(codes, node.inputs[0], source, to, low), to  # bytes are moved in less time
    results = []
    for name in node.outputs:
        to = low.stored(name) if name else None
        if to is None:
            results.append("")
        elif to.holds(source):
            results.append(low.code_name(name))
        else:
            kind = TensorType(source.storage, low.graph.tensor(name).shape)
            results.append(low.value(f"{name}_moved", kind))
    inputs = (codes, *(low.real(name) if name else "" for name in node.inputs[1:]))
    op = "Identity" if node.op == "qir.Requantize" else node.op
    low.add(op, inputs, results, node.attrs, node.origin, node.name)
    for name, moved in zip(node.outputs, results, strict=True):
        to = low.stored(name) if name else None
        if to is not None and not to.holds(source):
            _recode(moved, low.code_name(name), source, to, low, node.origin)
    return True


def _resize(node: Node, low: Lowering) -> bool:
    return node.attr("mode", "nearest") == "nearest" and _move(node, low)


def _pad(node: Node, low: Lowering) -> bool:
    """Pads with the code of the padding value, which must be among the codes."""
    source = low.stored(node.inputs[0])
    filler = node.input(2)
    if source is None or low.stored(node.outputs[0]) != source or (filler and filler not in low.graph.constants):
        return False
    value = float(low.graph.constants[filler].value.reshape(-1)[0]) if filler else 0.0
    code = source.encode(np.array(value, np.float32))
    if abs(float(source.decode(code)) - value) > 0.5 * float(source.scale):
        return False
    rest = [low.real(name) if name else "" for name in node.inputs[3:]]
    inputs = (low.codes(node.inputs[0]), low.real(node.inputs[1]), low.constant(f"{node.name}_code", code), *rest)
    low.integer(node, "Pad", inputs, node.attrs)
    return True


def _as_result(node: Node, names: Sequence[str], low: Lowering) -> list[str] | None:
    """Operands in the codes of a node's result; None where one of them is real."""
    to = low.stored(node.outputs[0])
    sources = [low.stored(name) for name in names]
    if to is None or any(source is None for source in sources):
        return None
    return [_recoded(low.codes(name), name, source, to, low)
            for name, source in zip(names, sources, strict=True) if source is not None]  # fmt: skip


def _concat(node: Node, low: Lowering) -> bool:
    parts = _as_result(node, node.inputs, low)
    if parts is not None:
        low.integer(node, "Concat", parts, node.attrs)
    return parts is not None


def _where(node: Node, low: Lowering) -> bool:
    parts = _as_result(node, node.inputs[1:], low)
    if parts is not None:
        low.integer(node, "Where", (low.real(node.inputs[0]), *parts), node.attrs)
    return parts is not None


def _operands(node: Node, low: Lowering) -> tuple[Codes, Codes, Codes] | None:
    a, b, y = low.stored(node.inputs[0]), low.stored(node.inputs[1]), low.rounded(node.outputs[0])
    return None if a is None or b is None or y is None else (a, b, y)


def _add(node: Node, low: Lowering) -> bool:
    """`y = rint((offset + a * s_a/s_y) + b * s_b/s_y)`, the order of onnxruntime's QLinearAdd on x86."""
    found = _operands(node, low)
    if found is None:
        return False
    a, b, y = found
    a_ratio, b_ratio = a.scale / y.scale, b.scale / y.scale
    if node.op == "Sub":
        b_ratio = -b_ratio
    offset = np.float32(y.zero_point) - (a_ratio * np.float32(a.zero_point) + b_ratio * np.float32(b.zero_point))
    largest = (largest_code(a.storage), largest_code(b.storage))
    if low.target.requantization == "fixed" and fixed_sum(a_ratio, b_ratio, offset, largest) is None:
        return False
    attrs = {"a_multiplier": float(a_ratio), "b_multiplier": float(b_ratio), "offset": float(offset),
             "qmin": y.qmin, "qmax": y.qmax, **_few(a, b, y), **y.to}  # fmt: skip
    low.integer(node, "qir.IntAdd", (low.codes(node.inputs[0]), low.codes(node.inputs[1])), attrs)
    return True


def _few(a: Codes, b: Codes, y: Codes) -> dict[str, tuple[int, int, int]]:
    """Which operand has few codes, and the least and the most of them, where sums are few, too."""
    if y.qmax - y.qmin >= FEW_SUMS or any(codes.storage != UINT8 for codes in (a, b, y)):
        return {}
    slot, few = min(((0, a), (1, b)), key=lambda one: one[1].qmax - one[1].qmin)
    return {"few": (slot, few.qmin, few.qmax)} if few.qmax - few.qmin < FEW_CODES else {}


def _mul(node: Node, low: Lowering) -> bool:
    found = _operands(node, low)
    if found is None:
        return False
    a, b, y = found
    attrs = {"a_zero_point": a.zero_point, "b_zero_point": b.zero_point,
             "multiplier": float(np.float32(a.scale * b.scale) / y.scale), **y.attrs}  # fmt: skip
    low.integer(node, "qir.IntMul", (low.codes(node.inputs[0]), low.codes(node.inputs[1])), attrs)
    return True


def _average(node: Node, low: Lowering) -> tuple[Codes, dict[str, object]] | None:
    x, y = low.stored(node.inputs[0]), low.rounded(node.outputs[0])
    if x is None or y is None:
        return None
    return x, {"x_zero_point": x.zero_point, "multiplier": float(x.scale / y.scale), **y.attrs}


def _average_pool(node: Node, low: Lowering) -> bool:
    found = _average(node, low)
    kind = low.graph.tensor(node.inputs[0])
    if found is None or not kind.is_static:
        return False
    kernel = node.attr("kernel_shape")
    if prod(kernel) * found[0].largest >= 2**31:
        return False
    win = window(node, kind.sizes[2:], kernel)
    geometry = {"kernel_shape": tuple(kernel), "strides": win.strides, "dilations": win.dilations,
                "pads": (*win.begin, *win.declared_end), "ceil_mode": node.attr("ceil_mode", 0),
                "count_include_pad": node.attr("count_include_pad", 0)}  # fmt: skip
    low.integer(node, "qir.IntAveragePool", (low.codes(node.inputs[0]),), {**geometry, **found[1]})
    return True


def _mean(node: Node, low: Lowering) -> bool:
    found = _average(node, low)
    shape = low.graph.tensor(node.inputs[0]).shape
    if found is None or shape is None:
        return False
    if node.op == "GlobalAveragePool":
        axes, keep = tuple(range(2, len(shape))), 1
    else:
        given = low.graph.value(node.input(1)) if node.input(1) else np.array([])
        if given is None or (given.size == 0 and node.attr("noop_with_empty_axes", 0)):
            return False
        axes = tuple(sorted(int(a) % len(shape) for a in given)) or tuple(range(len(shape)))
        keep = node.attr("keepdims", 1)
    sizes = [shape[axis] for axis in axes]
    count = prod(size for size in sizes if isinstance(size, int))
    if not all(isinstance(size, int) for size in sizes) or count * found[0].largest >= 2**31:
        return False  # the accumulator must fit int32
    low.integer(node, "qir.IntMean", (low.codes(node.inputs[0]),), {"axes": axes, "keepdims": keep, **found[1]})
    return True


FORMS: dict[str, Form] = {
    **dict.fromkeys(MOVES, _move),
    **dict.fromkeys((*FUNCTIONS, "Div", "PRelu", "Pow"), _lookup),
    "Add": lambda node, low: _add(node, low) or _lookup(node, low),
    "Sub": lambda node, low: _add(node, low) or _lookup(node, low),
    "Mul": lambda node, low: _mul(node, low) or _lookup(node, low),
    "AveragePool": _average_pool,
    "Concat": _concat,
    "Conv": lambda node, low: on_bits(node, low) or conv(node, low),
    "ConvTranspose": conv_transpose,
    "Gemm": lambda node, low: on_bits(node, low) or gemm(node, low),
    "GlobalAveragePool": _mean,
    "LayerNormalization": layernorm,
    "MatMul": lambda node, low: on_bits(node, low) or matmul(node, low),
    "Pad": _pad,
    "ReduceMean": _mean,
    "Resize": _resize,
    "Softmax": softmax,
    "Where": _where,
}
