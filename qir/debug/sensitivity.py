"""What rounding each layer alone does to a network's outputs, without labels, and what keeping it wider would cost.

Measured in one graph that holds the float network and the quantized one (qir.debug.hybrid), all but one layer in float.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qir.debug.answers import Judge
from qir.debug.bisect import joined
from qir.debug.compare import Batches, batch_size, batches, leading, only_weight
from qir.debug.errors import Error, Sums
from qir.debug.hybrid import Hybrid
from qir.debug.pairing import Pairing, pair
from qir.debug.report.text import bytes_text
from qir.debug.report.words import count_text, decibels_text
from qir.errors import DataError
from qir.ir.graph import Graph
from qir.ir.types import TensorType
from qir.ops.weighted import macs, with_ones

_RUNS = 2048
"""Samples that are run in all, over all layers."""
_LEAST, _MOST = 8, 64
"""Samples that each layer is run on, at least and at most."""


@dataclass(frozen=True)
class LayerSensitivity:
    """What one layer alone does to the outputs. A layer is a value that is rounded, and the nodes that make it.

    Attributes:
        value: the layer's result, by its name in the quantized model.
        node, op: of the quantized model's node that makes it; the input's name and "input" where it is an input.
        settings: names of the nodes whose treatment decides how the layer is rounded: its own, or an input's readers.
        isolated: error of the layer's own result when its operands are the float model's.
        effect: SQNR of the worst output in dB when only this layer is rounded.
        divergence: mean Kullback-Leibler divergence, in nats, of the worst output with classes when only this layer is
            rounded; None where no output has classes.
        noise: what it adds to each output's noise, by output: see `Judge.noise`.
        weights: how many weights the layer has.
        weight_bytes: of its weights as stored.
        macs: multiply-accumulates of one sample.
    """

    value: str
    node: str
    op: str
    settings: tuple[str, ...]
    isolated: Error
    effect: float
    divergence: float | None
    noise: Mapping[str, float]
    weights: int
    weight_bytes: int
    macs: int


@dataclass(frozen=True)
class Sensitivity:
    """Every layer that rounding changes, the one that does most to the outputs first.

    Attributes:
        layers: sorted by falling noise at the outputs.
        noise: by output, of all layers added up.
        samples: that each layer was run on.
    """

    layers: tuple[LayerSensitivity, ...]
    noise: Mapping[str, float]
    samples: int

    def share(self, layer: LayerSensitivity) -> float:
        """A layer's noise as a share of that of all layers, of the output where it is largest."""
        return max((layer.noise[name] / total for name, total in self.noise.items() if total > 0), default=0.0)

    def __str__(self) -> str:
        head = ("share", "outputs", "KL", "alone", "weights", "MACs", "layer")
        rows = [(f"{100 * self.share(row):.1f} %", decibels_text(row.effect),
                 "" if row.divergence is None else f"{row.divergence:.2g}", decibels_text(row.isolated.sqnr),
                 bytes_text(row.weight_bytes) if row.weight_bytes else "", count_text(row.macs) if row.macs else "",
                 f"{row.node} ({row.op})") for row in self.layers]  # fmt: skip
        width = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head) - 1)]
        lines = ["  ".join([*(cell.rjust(w) for cell, w in zip(row, width, strict=False)), row[-1]])
                 for row in (head, *rows)]  # fmt: skip
        lines += ["", "share: of the noise that all layers, each alone, bring to the outputs",
                  "outputs, KL: SQNR and KL divergence (nats) of the outputs when this layer alone is rounded",
                  f"alone: SQNR of the layer's own result on exact operands; {self.samples} samples"]  # fmt: skip
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """Everything as plain dicts, lists, numbers and text; None stands for what JSON cannot hold."""
        rows = [{"value": row.value, "node": row.node, "op": row.op, "share": self.share(row),
                 "isolated": row.isolated.as_json(), "effect": row.effect if np.isfinite(row.effect) else None,
                 "divergence": row.divergence, "weights": row.weights, "weight_bytes": row.weight_bytes,
                 "macs": row.macs} for row in self.layers]  # fmt: skip
        return {"layers": rows, "samples": self.samples}


def sensitivity(real: Graph, quant: Graph, feeds: Mapping[str, Any] | Batches) -> Sensitivity:
    """Measures every layer that rounding changes.

    Args:
        real: the reference, in stage FLOAT.
        quant: what was made of it.
        feeds: one batch, or batches; the first samples are used, 8 to 64 of them by the number of layers.

    Raises:
        DataError: for data that does not fit, or none.
        ModelError: for two models of different inputs or outputs.
    """
    hybrid = Hybrid(pair(real, quant))
    pairing = hybrid.pairing
    few = _few(feeds, quant, min(max(_RUNS // max(len(pairing.layers), 1), _LEAST), _MOST))
    reference = joined([hybrid.outputs(batch, ()) for batch in few])
    judge = Judge.of(real, reference)
    single = with_ones(quant)
    rows = []
    for name, isolated in _isolated(hybrid, few).items():
        if isolated.max_abs > 0 and not _keeps_codes(pairing, name):
            found = joined([hybrid.outputs(batch, (name,)) for batch in few])
            rows.append(_row(pairing, single, name, isolated, judge, reference, found))
    total = {name: sum(row.noise[name] for row in rows) for name in judge.outputs}
    table = Sensitivity((), total, len(next(iter(reference.values()))))
    rows.sort(key=lambda row: (-table.share(row), row.node))
    return Sensitivity(tuple(rows), total, table.samples)


def _row(
    pairing: Pairing, single: Graph, name: str, isolated: Error, judge: Judge,
    reference: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray],
) -> LayerSensitivity:  # fmt: skip
    node, region = pairing.node(name), pairing.region(name)
    weight = only_weight(region, pairing.quant)
    count = 0 if weight is None else pairing.quant.constants[weight].value.size
    title, op = (name, "input") if node is None else (node.name, node.op)
    readers = pairing.quant.index.consumers(name) if node is None else (node,)
    return LayerSensitivity(
        name, title, op, tuple(reader.name for reader in readers), isolated,
        min((_sqnr(reference[one], found[one]) for one in judge.outputs), default=float("inf")),
        judge.divergence(found), judge.noise(found), count, 0 if weight is None else stored(pairing.quant, weight),
        sum(macs(one, single) or 0 for one in region),
    )  # fmt: skip


def stored(graph: Graph, constant: str) -> int:
    """Bytes of a constant's codes, or of its reals where it has none."""
    kind, value = graph.tensor(constant), graph.constants[constant].value
    return value.nbytes if kind.quant is None else -(-value.size * kind.quant.storage.bits // 8)


def _keeps_codes(pairing: Pairing, layer: str) -> bool:
    """Whether a layer takes over the codes of its only operand, so that nothing is rounded anew."""
    operands = pairing.operands(layer)
    kinds = [pairing.quant.types[name] for name in (layer, *operands)]
    quants = [kind.quant if isinstance(kind, TensorType) else None for kind in kinds]
    return len(operands) == 1 and quants[0] is not None and quants[0] == quants[1]


def _few(feeds: Mapping[str, Any] | Batches, graph: Graph, count: int) -> list[Mapping[str, Any]]:
    few: list[Mapping[str, Any]] = []
    for batch in batches(feeds):
        few.append(leading(batch, count - sum(map(batch_size, few)), graph))
        if sum(map(batch_size, few)) >= count:
            break
    if not few:
        raise DataError("there is no sample to measure on", fix="Give at least one")
    return few


def _isolated(hybrid: Hybrid, few: list[Mapping[str, Any]]) -> dict[str, Error]:
    sums = {name: Sums() for name in hybrid.tapped}
    for batch in few:
        for name, pair_of in hybrid.layers(batch, ()).items():
            sums[name].add(*pair_of)
    return {name: found.error for name, found in sums.items()}


def _sqnr(reference: np.ndarray, found: np.ndarray) -> float:
    sums = Sums()
    sums.add(reference, found)
    return sums.error.sqnr
