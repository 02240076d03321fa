"""`orient-weights`: the stored weight of a Gemm as [K, N], for targets whose weight-only kernel takes no other.

onnxruntime computes MatMul and Gemm on 4- and 8-bit weights without unpacking them (MatMulNBits), but only for
transB = 0; any other Gemm it runs in float after it has decoded the whole weight, at every run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from qir.ir.graph import Constant, Graph, Stage
from qir.ir.types import TensorType
from qir.ops.weighted import weighted
from qir.passmanager.base import Context, Pass
from qir.rewrite.bodies import map_bodies
from qir.rewrite.editor import Editor


@dataclass(frozen=True)
class OrientWeights(Pass):
    """Transposes the codes of Gemm layers with transB = 1 whose input is real."""

    name: ClassVar[str] = "orient-weights"
    needs: ClassVar[frozenset[Stage]] = frozenset({Stage.QUANT})

    def run(self, graph: Graph, context: Context) -> Graph:
        return _orient(map_bodies(graph, _orient))


def _orient(graph: Graph) -> Graph:
    edit = Editor(graph)
    for node in graph.nodes:
        slots = weighted(node, graph)
        if slots is None or node.op != "Gemm" or not node.attr("transB", 0):
            continue
        name = node.inputs[slots.weight]
        constant, quant, data = graph.constants[name], graph.tensor(name).quant, graph.tensor(node.inputs[0]).quant
        if quant is None or constant.codes is None or quant.block_size or data is not None:
            continue
        if graph.index.sole_consumer(name) is not node:
            continue  # quantize-weights gave every layer its own; this one came with the model
        value, codes = np.ascontiguousarray(constant.value.T), np.ascontiguousarray(constant.codes.T)
        turned = quant if quant.axis is None else replace(quant, axis=1 - quant.axis % 2)
        edit.set_constant(name, Constant(value, codes))
        edit.set_type(name, TensorType(graph.tensor(name).dtype, value.shape, turned))
        attrs = {key: given for key, given in node.attrs.items() if key != "transB"}
        edit.replace(node, edit.current(node).with_(attrs=attrs))
    return edit.build()
