"""`quantize`: gives every value that an integer operator reads or makes its codes.

Ranges come from `calibrate`, bits from the recipe (passes/quantize/widths.py). Codes of 8 and 16 bits are the target's;
int16 ones have their zero point at 0. Sums that others are added to may have 16 (passes/quantize/sums.py). Codes of 2
and 4 bits are the first few of the 8-bit ones. So are those of 1 bit and ternary ones where nothing is negative; else
they are signs: -s or +s by `x >= 0`, and -s, 0 or +s by compares with s / 2. 16-bit codes are fine enough to hold all
that was observed, so nothing is clipped for their sake. Operators that only move codes share one Affine with their
input, but for thresholds beyond what the codes stand for, and where they read finer codes than they give. A Relu or
Clip after an integer operator is part of it where its clamp is the codes' own (passes/quantize/clamp.py), so only its
result is rounded. Values that have codes already keep them. Weights and biases are rounded by the passes that follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from qir.ir.dtype import FLOAT32, INT8, INT16, DType
from qir.ir.graph import Constant, Graph, Node, Stage
from qir.ir.types import Affine, TensorType
from qir.passes.quantize.clamp import bounds, fit, is_absorbed
from qir.passes.quantize.placement import needs_code_output, place
from qir.passes.quantize.reach import within_reach
from qir.passes.quantize.widths import Width, has_signs, widths
from qir.passmanager.base import Context, Pass, Promise
from qir.quant.scales import affine_params, encode, settled
from qir.recipe import whole_bits
from qir.rewrite.bodies import map_bodies
from qir.rewrite.editor import Editor
from qir.statistics import value_range

_PARTS = ("Gather", "Slice")
"""Operators that select."""


@dataclass(frozen=True)
class Quantize(Pass):
    """Assigns codes to activations.

    Attributes:
        symmetric: zero point in the middle of the codes.
    """

    name: ClassVar[str] = "quantize"
    needs: ClassVar[frozenset[Stage]] = frozenset({Stage.FLOAT, Stage.QUANT})
    gives: ClassVar[Stage | None] = Stage.QUANT
    promise: ClassVar[Promise] = Promise.LOSSY
    symmetric: bool = False

    def run(self, graph: Graph, context: Context) -> Graph:
        graph = graph if graph.stage is Stage.QUANT else graph.with_(stage=Stage.QUANT)
        graph = map_bodies(graph, lambda body: self._assign(body, context))
        return self._assign(graph, context)

    def _assign(self, graph: Graph, context: Context) -> Graph:
        placed = place(graph, context)
        edit = Editor(graph)
        codes = _Codes(context, self.symmetric, widths(graph, placed, context), graph.ranges)
        absorbed: set[str] = set()
        for node in graph.nodes:
            rule = placed.rules.get(node.name)
            if rule is None or node.name in absorbed:
                continue
            for name in rule.data_inputs(node):
                _input(name, node, edit, codes)
            if not needs_code_output(node, graph, placed):
                continue
            source = edit.types[rule.data_inputs(node)[0]]
            assert isinstance(source, TensorType)
            if rule.kind == "same" and codes.fits(source.quant, node.outputs):
                _set_quant(edit, node.outputs, None if source.quant is None else settled(source.quant))
            elif rule.kind == "same":
                for name in node.outputs:
                    if name in graph.ranges:
                        _set_quant(edit, (name,), codes.of(name, *codes.range(name)))
            else:
                absorbed.update(_result(node, rule.range, edit, codes))
        return edit.build()


@dataclass(frozen=True)
class _Codes:
    """How the values of one graph are rounded.

    Attributes:
        widths: by value; values that are not there have 8 bits.
        ranges: calibrated, by value.
    """

    context: Context
    symmetric: bool
    widths: Mapping[str, Width]
    ranges: Mapping[str, tuple[float, float]]

    def width(self, name: str) -> Width:
        """That of a value."""
        return self.widths.get(name, Width())

    def fits(self, source: Affine | None, names: tuple[str, ...]) -> bool:
        """Whether values that are moved codes have as many bits as these."""
        return source is None or source.storage.bits <= 8 or all(whole_bits(self.width(x).bits) > 8 for x in names if x)

    def range(self, name: str) -> tuple[float, float]:
        """The range of a value's codes: as calibrated, and all that was observed where there are codes enough."""
        low, high = self.ranges[name]
        statistics = self.context.statistics
        if whole_bits(self.width(name).bits) > 8 and statistics is not None and name in statistics:
            least, most = value_range(statistics.histogram(name))
            low, high = min(low, least), max(high, most)
        return float(np.float32(low)), float(np.float32(high))

    def of(self, name: str, low: float, high: float) -> Affine:
        """The codes of a value with this range."""
        width, target = self.width(name), self.context.target
        if has_signs(width, low):
            return _signs(width, max(-low, high))
        storage = target.activation if whole_bits(width.bits) <= 8 else target.activation16
        if width.codes < 1 << 8:
            return _few(width, low, high, storage)
        middle = storage == INT16
        scale, zero_point = affine_params(low, high, storage, symmetric=self.symmetric or middle,
                                          power_of_two=width.power_of_two)  # fmt: skip
        quant = Affine(storage, scale, zero_point)
        return replace(quant, qmin=0) if middle and low >= 0 else quant

    def clamped(self, name: str, limits: tuple[float, float], quant: Affine) -> Affine | None:
        """The codes of a value under which a clamp is absorbed; None where there are none near to `quant`."""
        if self.width(name).power_of_two:
            return quant if is_absorbed(limits, quant) else None
        return fit(limits, quant)

    def fixed(self, name: str, low: float, high: float) -> tuple[float, float]:
        """The range of codes for [low, high), the scale a power of two where the range is."""
        return low, high - (high - low) / self.width(name).codes


def _signs(width: Width, scale: float) -> Affine:
    """-s, +s by the sign, or -s, 0, +s by the nearest: `x > s / 2`, `x < -s / 2`."""
    step = np.array(max(scale, float(np.finfo(np.float32).tiny)), np.float32)
    zero = np.zeros((), np.int32)
    if width.codes == 2:
        return Affine(INT8, step, zero, rounding="binary")
    return Affine(INT8, step, zero, rounding="ternary", threshold=step / 2)


def _few(width: Width, low: float, high: float, storage: DType) -> Affine:
    """Equal steps from the storage's code for zero on, as many as there are."""
    qmin = 0 if storage.kind == "uint" else -(width.codes // 2)
    qmax = qmin + width.codes - 1
    scale, zero_point = affine_params(low, high, storage, power_of_two=width.power_of_two, qmin=qmin, qmax=qmax)
    return Affine(storage, scale, zero_point, qmin=qmin, qmax=qmax)


def _input(name: str, node: Node, edit: Editor, codes: _Codes) -> None:
    kind = edit.types[name]
    if not isinstance(kind, TensorType) or kind.quant is not None:
        return
    if name in edit.constants:
        value = within_reach(node, name, edit.graph, codes.ranges)
        quant = codes.of(name, float(value.min(initial=0)), float(value.max(initial=0)))
        constant = Constant(edit.constants[name].value, encode(value, quant))
        if len(edit.graph.index.consumers(name)) > 1 or edit.graph.index.is_output(name):
            _copy(name, constant, quant, node, edit)
        else:
            edit.set_constant(name, constant)
            _set_quant(edit, (name,), quant)
    else:
        _set_quant(edit, (name,), codes.of(name, *codes.range(name)))


def _copy(name: str, constant: Constant, quant: Affine, node: Node, edit: Editor) -> None:
    """A constant used twice is duplicated, one set of codes a use."""
    copy = edit.constant(f"{name}_{node.name}", constant.value, constant=constant, quant=quant)
    for slot, operand in enumerate(node.inputs):
        if operand == name:
            edit.replace_input(node, slot, copy)


def _result(node: Node, fixed: tuple[float, float] | None, edit: Editor, codes: _Codes) -> tuple[str, ...]:
    """Gives a node's result codes; returns the name of the clamp that was made part of it, if any."""
    output = node.outputs[0]
    if _quant(output, edit) is not None:
        return ()
    user = edit.graph.index.sole_consumer(output)
    limits = bounds(user, edit.graph) if user is not None else None
    known = _quant(user.outputs[0], edit) if user is not None else None
    if user is not None and limits is not None and known is not None:
        if is_absorbed(limits, known):
            return (user.name,)
    elif user is not None and limits is not None and user.outputs[0] in codes.ranges:
        low, high = _override(user, node, codes.range(user.outputs[0]), codes.context)
        quant = codes.clamped(user.outputs[0], limits, codes.of(user.outputs[0], low, high))
        if quant is not None:
            _set_quant(edit, user.outputs, quant)
            return (user.name,)
    found = codes.fixed(output, *fixed) if fixed is not None else codes.range(_read(output, edit.graph, codes))
    _set_quant(edit, (output,), codes.of(output, *_override(node, node, found, codes.context)))
    return ()


def _read(name: str, graph: Graph, codes: _Codes) -> str:
    """What is read of a value, where that is a part of it alone: the rest may well be clipped."""
    user = graph.index.sole_consumer(name)
    if user is None or user.op not in _PARTS or user.inputs[0] != name or user.outputs[0] not in codes.ranges:
        return name
    return _read(user.outputs[0], graph, codes)


def _override(node: Node, producer: Node, found: tuple[float, float], context: Context) -> tuple[float, float]:
    layer = context.recipe.layer((node.name, *node.origin, producer.name, *producer.origin), producer.op)
    return layer.range or found


def _quant(name: str, edit: Editor) -> Affine | None:
    kind = edit.types.get(name)
    return kind.quant if isinstance(kind, TensorType) else None


def _set_quant(edit: Editor, names: tuple[str, ...], quant: Affine | None) -> None:
    """Gives values codes, unless they have some; what is no real number (the indices of MaxPool) takes none."""
    for name in names:
        kind = edit.types.get(name)
        if name and isinstance(kind, TensorType) and kind.dtype == FLOAT32 and kind.quant is None:
            edit.set_type(name, TensorType(kind.dtype, kind.shape, quant))
