"""`recognize-codes`: weights of layers on codes that lie on a grid themselves get the codes that say so.

    w = q s, |q| <= 7, one s a channel     ->  q, s        ternary where |q| <= 1, binary where no q is 0 either
    wider codes, all of them -1, 0 or 1    ->  the same codes with the range that they use

so networks that were trained with few-bit weights and exported as plain floats are seen as what they are. Nothing is
rounded: a weight is left real unless q s, in float32, is every one of its numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from qir.ir.dtype import FLOAT32, INT4
from qir.ir.graph import Constant, Graph, Stage
from qir.ir.types import Affine, TensorType
from qir.ops.weighted import weighted
from qir.passmanager.base import Context, Pass
from qir.quant.channels import per_channel, rows
from qir.quant.scales import encode
from qir.rewrite.bodies import everywhere
from qir.rewrite.editor import Editor

_MOST = 7
"""Largest code of 4 bits that has a negative partner."""
_GLANCE = 64
"""So many weights mostly tell that a channel is on no grid."""


@dataclass(frozen=True)
class RecognizeCodes(Pass):
    """Annotates weights that codes of few bits hold exactly, in graphs that have codes already."""

    name: ClassVar[str] = "recognize-codes"

    def run(self, graph: Graph, context: Context) -> Graph:
        return everywhere(graph, _recognize) if graph.stage is Stage.QUANT else graph


def _recognize(graph: Graph) -> Graph:
    edit = Editor(graph)
    for node in graph.nodes:
        slots, data = weighted(node, graph), graph.types.get(node.input(0))
        if slots is None or not isinstance(data, TensorType) or data.quant is None:
            continue
        name = node.inputs[slots.weight]
        constant, kind = graph.constants[name], graph.tensor(name)
        rank = constant.value.ndim
        axis = None if node.op == "ConvTranspose" or rank < 2 else slots.channel_axis % rank
        found = _of_reals(constant.value, axis) if kind.quant is None else _narrowed(constant, kind.quant)
        if found is not None and kind.dtype == FLOAT32:
            quant, codes = found
            edit.set_constant(name, Constant(constant.value, codes))
            edit.set_type(name, TensorType(kind.dtype, kind.shape, quant))
    return edit.build()


def _of_reals(weight: np.ndarray, axis: int | None) -> tuple[Affine, np.ndarray] | None:
    """The codes of a weight on a grid; None where it is on none."""
    steps: list[np.float32] = []
    for row in rows(weight, axis):
        step = _step(row)
        if step is None:
            return None
        steps.append(step)
    if not any(steps):
        return None
    smallest = min(step for step in steps if step)
    scale = per_channel(np.array([step or smallest for step in steps], np.float32), axis)
    quant = Affine(INT4, scale, np.zeros(scale.shape), axis)
    return _ranged(quant, encode(weight, quant))


def _step(row: np.ndarray) -> np.float32 | None:
    """The s of one channel, the largest there is; 0 for a channel of zeros, None where there is none."""
    sizes = np.unique(np.abs(row[:_GLANCE]))
    if len(sizes) <= _MOST + 1:
        sizes = np.unique(np.abs(row))
    sizes = sizes[sizes != 0]
    if not sizes.size or len(sizes) > _MOST or not np.isfinite(sizes).all():
        return None if sizes.size else np.float32(0)
    for most in range(1, _MOST + 1):
        codes = np.rint(sizes / (sizes[-1] / most))
        for step in (sizes[0] / codes[0], sizes[-1] / codes[-1]) if codes[0] else ():
            scale = np.float32(step)
            if scale >= np.finfo(np.float32).tiny and np.array_equal(codes.astype(np.float32) * scale, sizes):
                return scale
    return None


def _narrowed(constant: Constant, quant: Affine) -> tuple[Affine, np.ndarray] | None:
    """Codes that are wider than what they hold, where that is a sign or nothing."""
    if quant.rounding != "nearest" or quant.zero_point.any() or quant.block_size or quant.storage.kind != "int":
        return None
    codes = encode(constant.value, quant) if constant.codes is None else constant.codes
    if np.abs(codes.astype(np.int32)).max(initial=0) > 1:
        return None
    ranged, same = _ranged(quant, codes)
    return None if ranged == quant else (ranged, same)


def _ranged(quant: Affine, codes: np.ndarray) -> tuple[Affine, np.ndarray]:
    """The quantization with the range, or the rounding, that the codes tell."""
    most = int(np.abs(codes.astype(np.int32)).max(initial=1))
    if most == 1 and codes.astype(bool).all():
        return replace(quant, rounding="binary", qmin=-1, qmax=1), codes
    return replace(quant, qmin=-most, qmax=most), codes
