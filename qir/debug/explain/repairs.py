"""Changes to a quantized graph that undo a fault."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from qir.debug.compare import dequantized
from qir.debug.explain.probe import Heavy, Probe
from qir.debug.pairing import Pairing
from qir.ir.dtype import of_array
from qir.ir.graph import Constant, Graph
from qir.ir.types import Affine, TensorType
from qir.quant.scales import encode

Change = Callable[[Graph], Graph]
MOVERS = frozenset((
    "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "MaxPool", "Slice", "Split", "Gather", "DepthToSpace",
    "SpaceToDepth", "Resize", "Expand", "Tile", "Pad", "Identity", "Dropout",
))  # fmt: skip
"""Operators whose result has the codes of their operand."""


def with_codes(changes: Mapping[str, Affine]) -> Change:
    """Gives values other codes, and those that only move them the same ones."""

    def apply(graph: Graph) -> Graph:
        types = dict(graph.types)
        pending = dict(changes)
        while pending:
            name, quant = pending.popitem()
            kind = types[name]
            assert isinstance(kind, TensorType)
            old, types[name] = kind.quant, TensorType(kind.dtype, kind.shape, quant)
            followers = [n for node in graph.index.consumers(name) if node.op in MOVERS for n in node.outputs if n]
            producer = graph.index.producer(name)
            leaders = [producer.inputs[0]] if producer is not None and producer.op in MOVERS else []
            for other in (*followers, *leaders):
                near = types.get(other)
                if isinstance(near, TensorType) and near.quant == old and old is not None and other not in changes:
                    pending[other] = quant
        return graph.with_(types=types)

    return apply


def with_weight(heavy: Heavy, value: np.ndarray, quant: Affine) -> Change:
    """Rounds other real values into a layer's weight."""
    return with_constant(heavy.node.inputs[heavy.slots.weight], value, quant)


def with_constant(name: str, value: np.ndarray, quant: Affine | None) -> Change:
    """Gives a constant other values, rounded where `quant` is given."""

    def apply(graph: Graph) -> Graph:
        real = np.array(value, np.float32)
        constant = Constant(real, None if quant is None else encode(real, quant))
        kind = TensorType(of_array(real), real.shape, quant)
        return graph.with_(constants={**graph.constants, name: constant}, types={**graph.types, name: kind})

    return apply


def float_biases(pairing: Pairing) -> Change | None:
    """Puts back the float model's biases, in which a correction hides the mean of a fault; None where they are it."""
    graph, changes = pairing.quant, []
    for layer in pairing.layers:
        probe = Probe(pairing, layer, {}, np.zeros(0, np.float32))
        name = "" if probe.mine is None or probe.mine.slots.bias < 0 else probe.mine.node.input(probe.mine.slots.bias)
        if probe.real is not None and name in graph.constants:
            own = dequantized(graph, name)
            value, quant = np.broadcast_to(probe.real.bias.reshape(-1), own.reshape(-1).shape), graph.tensor(name).quant
            step = 0.0 if quant is None else quant.scale
            if (np.abs(value - own.reshape(-1)) > step).any():
                changes.append(with_constant(name, value.reshape(own.shape), quant))
    return both(*changes) if changes else None


def both(*changes: Change) -> Change:
    """One change after another."""

    def apply(graph: Graph) -> Graph:
        for change in changes:
            graph = change(graph)
        return graph

    return apply
