"""How far rounding moved each layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qir.evaluate import Runner
from qir.ir.dtype import FLOAT32
from qir.ir.graph import Graph, Stage
from qir.ir.types import TensorType
from qir.passmanager.manager import Step
from qir.quant.error import sqnr


@dataclass
class Rounding:
    """An instrument that keeps the last graph on either side of rounding.

    Attributes:
        real: the last FLOAT graph.
        quant: the last QUANT graph; None where nothing was rounded.
    """

    real: Graph | None = None
    quant: Graph | None = None

    def __call__(self, step: Step) -> None:
        for graph in (step.before, step.after):
            if graph.stage is Stage.FLOAT:
                self.real = graph
            elif graph.stage is Stage.QUANT:
                self.quant = graph


def layer_errors(real: Graph, quant: Graph, feeds: Mapping[str, Any]) -> dict[str, float]:
    """Signal to noise of every node's first result against the float model, accumulated from the input on, in dB.

    Args:
        feeds: one batch.

    Returns:
        By node name of `quant`; only nodes whose result the float model has under the same name.
    """
    names = {node.name: node.outputs[0] for node in quant.nodes if _is_float(quant, node.outputs[0])}
    shared = [name for name in names.values() if _is_float(real, name)]
    before, after = Runner(real, shared)(feeds), Runner(quant, shared)(feeds)
    return {node: sqnr(before[name], after[name]) for node, name in names.items() if name in before}


def _is_float(graph: Graph, name: str) -> bool:
    kind = graph.types.get(name)
    return isinstance(kind, TensorType) and kind.dtype == FLOAT32
