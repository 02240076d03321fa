"""The report of a compilation, as text."""

from __future__ import annotations

from collections.abc import Mapping

from qir.ir.graph import Graph, Node
from qir.ir.symbols import symbols
from qir.ir.types import TensorType
from qir.ops.weighted import macs, with_ones
from qir.passmanager.instruments import Timer
from qir.target import Target


def report_text(
    graph: Graph,
    target: Target,
    timer: Timer,
    notes: tuple[str, ...],
    sizes: Mapping[str, int | None],
    errors: Mapping[str, float],
) -> str:
    """Layers (operator, types, error against float, multiply-accumulates), sizes, notes, and what each pass took."""
    single = with_ones(graph)
    layers = [node for node in graph.nodes if not _of_constants(node, graph)]
    rows = [_row(node, graph, errors.get(node.name), macs(node, single)) for node in layers]
    work = sum(macs(node, single) or 0 for node in graph.nodes) / 1e6
    known = symbols(graph)
    per = f" with {', '.join(f'{symbol} = 1' for symbol in known)}" if known else ""
    width = [max((len(row[i]) for row in rows), default=0) for i in range(4)]
    lines = [f"{graph.name} for {target.name}: {len(layers)} nodes, {work:.2f} M multiply-accumulates{per}", ""]
    lines += ["  ".join(cell.ljust(w) for cell, w in zip(row, [*width, 0], strict=True)).rstrip() for row in rows]
    lines += (
        ["", "dB: signal to noise of the layer's result against the float model, on calibration data"] if errors else []
    )
    lines += ["", *(f"{label}: {bytes_text(value)}" for label, value in sizes.items())]
    lines += ["", *notes] if notes else []
    return "\n".join([*lines, "", "passes:", str(timer)])


def _of_constants(node: Node, graph: Graph) -> bool:
    """True for weights that are decoded when a layer reads them: no layer of their own."""
    return node.op == "qir.Dequantize" and node.inputs[0] in graph.constants


def _weights(node: Node, graph: Graph) -> list[str]:
    """How a layer's weights are stored, where that is not in its operands' types."""
    source = graph.index.producer(node.input(1)) if node.input(1) else None
    if source is not None and _of_constants(source, graph):
        return [f"{source.attr('weight_bits', graph.tensor(source.inputs[0]).dtype.bits)}-bit weights"]
    if planes := node.attr("planes"):
        return [f"weights of {planes} planes"]
    bits = node.attr("weight_bits")
    return [f"{bits}-bit weights"] if bits else []


def _row(node: Node, graph: Graph, error: float | None, count: int | None) -> tuple[str, str, str, str, str]:
    stored = _weights(node, graph)
    live = [name for slot, name in enumerate(node.inputs) if name and name not in graph.constants
            and not (stored and slot == 1)]  # fmt: skip
    types = (f"{', '.join([*(_short(graph, name) for name in live), *stored])} -> "
             f"{', '.join(_short(graph, name) for name in node.outputs if name)}")  # fmt: skip
    noise = "" if error is None else f"{error:.1f} dB"
    return node.name, node.op, types, noise, "" if count is None else f"{count:,} MACs"


def _short(graph: Graph, name: str) -> str:
    kind = graph.types.get(name)
    if not isinstance(kind, TensorType):
        return str(kind)
    shape = "x".join("?" if dim is None else str(dim) for dim in kind.shape or ())
    return f"{kind.quant.storage if kind.quant is not None else kind.dtype}[{shape}]"


def bytes_text(count: int | None) -> str:
    """A size for people: exact bytes, and kB or MB from 10,000 on."""
    if count is None:
        return "not measured"
    if count < 10_000:
        return f"{count:,} bytes"
    short = f"{count / 1e6:.1f} MB" if count >= 10_000_000 else f"{count / 1e3:.1f} kB"
    return f"{count:,} bytes ({short})"
