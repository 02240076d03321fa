"""Two networks in one graph, with a switch for each layer: any mixture of both runs in one session.

Every layer is computed twice, by the reference's nodes and by the judged network's, from the same operands; a switch
chooses which result goes on. All switches off is the reference, all on the judged network, bit for bit; a single one on
shows what that layer alone does to the outputs, a single one off what mending it would regain.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from qir.debug.pairing import Pairing
from qir.errors import ModelError
from qir.evaluate import Runner
from qir.ir.dtype import BOOL
from qir.ir.graph import Constant, Graph, Node, Stage
from qir.ir.order import topological_order
from qir.ir.types import TensorType, ValueType
from qir.ops.softmax_operand import softmax_operands, told_apart
from qir.rewrite.editor import rename_inputs

_REAL, _QUANT, _CHOSEN, _SWITCH = "real/", "quant/", "chosen/", "switch/"


class Hybrid:
    """A pair of graphs made ready to run in any mixture.

    Args:
        pairing: of FLOAT or QUANT graphs.
        tapped: layers whose results of both kinds `layers` gives; all by default.

    Raises:
        ModelError: where onnxruntime refuses the graph.
    """

    def __init__(self, pairing: Pairing, tapped: Collection[str] | None = None) -> None:
        self.pairing = pairing
        self.tapped = tuple(name for name in pairing.layers if tapped is None or name in tapped)
        graph = _merged(pairing)
        self._plain = Runner(graph)
        self._runner: Runner | None = None
        self._graph = graph
        self._axes = softmax_operands(pairing.quant)

    def outputs(self, feeds: Mapping[str, Any], on: Collection[str]) -> dict[str, Any]:
        """The network's outputs, by the judged network's names, when the layers `on` are the judged network's."""
        found = self._plain({**feeds, **self._switches(on)})
        return {name: found[_CHOSEN + name] if _CHOSEN + name in found else found[_QUANT + name]
                for name in self.pairing.quant.outputs}  # fmt: skip

    def layers(self, feeds: Mapping[str, Any], on: Collection[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """(reference's, judged network's) result of every tapped layer, both from the operands that `on` makes.

        What only a Softmax reads is given as far as it tells elements apart.
        """
        if self._runner is None:
            names = [(self._real(name), self._quant(name)) for name in self.tapped]
            self._runner = Runner(self._graph, [name for pair in names for name in pair])
        found = self._runner({**feeds, **self._switches(on)})
        return {name: (self._told(name, found[self._real(name)]), self._told(name, found[self._quant(name)]))
                for name in self.tapped}  # fmt: skip

    def _told(self, layer: str, result: Any) -> Any:
        """A result as far as its readers tell elements apart: the rest is no error of the layer."""
        return told_apart(result, self._axes[layer]) if layer in self._axes else result

    def _real(self, layer: str) -> str:
        return _REAL + self.pairing.counterpart(layer)

    def _quant(self, layer: str) -> str:
        return _QUANT + layer

    def _switches(self, on: Collection[str]) -> dict[str, np.ndarray]:
        return {_SWITCH + name: np.array(name in on) for name in self.pairing.layers}


def _merged(pairing: Pairing) -> Graph:
    real, quant = pairing.real, pairing.quant
    chosen = {pairing.counterpart(layer): layer for layer in reversed(pairing.layers)}
    types: dict[str, ValueType] = {_SWITCH + name: TensorType(BOOL, ()) for name in pairing.layers}
    constants: dict[str, Constant] = {}
    for prefix, graph in ((_REAL, real), (_QUANT, quant)):
        types |= {prefix + name: kind for name, kind in graph.types.items()}
        constants |= {prefix + name: constant for name, constant in graph.constants.items()}
    types |= {name: _unrounded(quant.types[name]) for name in quant.inputs}
    types |= {_CHOSEN + name: _unrounded(quant.types[name]) for name in pairing.layers}

    def from_real(name: str) -> str:
        if name in chosen:
            return _CHOSEN + chosen[name]
        return name if name in real.inputs else _REAL + name

    def from_quant(name: str) -> str:
        if name in pairing.values or name in pairing.rounded_inputs:
            return _CHOSEN + name
        return name if name in quant.inputs else _QUANT + name

    nodes: list[Node] = []
    for name in pairing.rounded_inputs:
        nodes += [Node("Identity", (name,), (prefix + name,), {}, prefix + name) for prefix in (_REAL, _QUANT)]
    for prefix, graph, source in ((_REAL, real, from_real), (_QUANT, quant, from_quant)):
        for node in graph.nodes:
            outputs = tuple(prefix + name if name else "" for name in node.outputs)
            nodes.append(rename_inputs(node, source).with_(outputs=outputs, name=prefix + node.name))
    for name in pairing.layers:
        operands = (_SWITCH + name, _QUANT + name, _REAL + pairing.counterpart(name))
        nodes.append(Node("Where", operands, (_CHOSEN + name,), {}, _CHOSEN + name))
    try:
        ordered = topological_order(nodes)
    except ValueError:
        raise ModelError("the layers of the two models depend on each other in different orders",
                         fix="Compare a model with what was made of it") from None  # fmt: skip
    outputs = tuple(from_quant(name) for name in quant.outputs)
    opsets = {domain: max(real.opsets.get(domain, 0), quant.opsets.get(domain, 0))
              for domain in {*real.opsets, *quant.opsets}}  # fmt: skip
    functions = tuple(dict.fromkeys((*real.functions, *quant.functions)))
    inputs = (*quant.inputs, *(_SWITCH + name for name in pairing.layers))
    return Graph("hybrid", inputs, outputs, tuple(ordered), types, constants, Stage.QUANT, opsets, functions=functions)


def _unrounded(kind: ValueType) -> ValueType:
    return TensorType(kind.dtype, kind.shape) if isinstance(kind, TensorType) else kind
