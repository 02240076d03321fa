"""What passes that make layers smaller leave behind: statistics that still hold, and what they say of themselves."""

from __future__ import annotations

import numpy as np

from qir.evaluate import Runner
from qir.ir.graph import Graph, Node
from qir.ops.weighted import macs, weighted, with_ones
from qir.passes.quantize.correct_biases import first_samples, valid_part
from qir.passmanager.base import Context
from qir.statistics import Gram, fingerprints

_SAMPLES = 64


def smaller(before: Graph, after: Graph, context: Context, by: str, what: str) -> Graph:
    """The graph after a pass, which drops statistics of what it changed and notes what it did.

    Args:
        by: name of the pass.
        what: it did, for the note.
    """
    old, new = fingerprints(before), fingerprints(after)
    context.moments = {name: found for name, found in context.moments.items() if old.get(name) == new.get(name)}
    if context.statistics is not None:
        reads = {node.name: node.inputs[0] for node in before.nodes if node.inputs}
        changed = [key for kind, key in context.statistics.entries
                   if (name := reads.get(key, key) if kind == Gram.kind else key) in old
                   and old[name] != new.get(name)]  # fmt: skip
        context.statistics = context.statistics.drop(sorted({*changed}), by)
    seen = ""
    if context.feeds is not None:
        off = max(noise(before, after, context), 1e-30)
        seen = f"; {-10 * np.log10(off):.1f} dB SQNR on calibration samples"
    context.notes.append(
        f"{by}: {what}: {_millions(total_macs(before))} to {_millions(total_macs(after))} MACs, "
        f"{weight_bytes(before, context):,} to {weight_bytes(after, context):,} B of weights{seen}"
    )
    return after


def total_macs(graph: Graph) -> int:
    """Multiply-accumulates of one sample, as far as shapes are known; those by weights of zero do not count."""
    single = with_ones(graph)
    return round(sum((macs(node, single) or 0) * _share(node, graph) for node in single.nodes))


def weight_bytes(graph: Graph, context: Context) -> int:
    """Of the layers' weights that are not zero, in the widths that the recipe gives them."""
    layers = [(node, slots) for node in graph.nodes if (slots := weighted(node, graph)) is not None]
    bits = [weight_bits(node, context) * _share(node, graph) * graph.constants[node.inputs[slots.weight]].value.size
            for node, slots in layers]  # fmt: skip
    return round(sum(bits) / 8)


def weight_bits(node: Node, context: Context) -> int:
    """In which the recipe stores a weight of a layer."""
    return context.recipe.layer((node.name, *node.origin), node.op).weight_width or 32


def _share(node: Node, graph: Graph) -> float:
    """Of a layer's weights that are not zero; 1 of other nodes."""
    slots = weighted(node, graph)
    value = graph.constants[node.inputs[slots.weight]].value if slots is not None else None
    return 1.0 if value is None else np.count_nonzero(value) / max(value.size, 1)


def noise(before: Graph, after: Graph, context: Context) -> float:
    """Power of what has changed of the outputs beside theirs, on calibration samples; of several the worst."""
    assert context.feeds is not None
    batches = first_samples(before, context.feeds, _SAMPLES)
    runs = Runner(before), Runner(after)
    real = [name for name in before.outputs if before.tensor(name).dtype.is_float]
    power, off = np.zeros(len(real)), np.zeros(len(real))
    for batch in batches:
        wanted, found = (run(batch) for run in runs)
        for slot, name in enumerate(real):
            a, b = (valid_part(np.asarray(one[name], np.float64), batch) for one in (wanted, found))
            power[slot] += np.square(a).sum()
            off[slot] += np.square(a - b).sum()
    return float((off / np.maximum(power, 1e-300)).max(initial=0))


def _millions(count: int) -> str:
    return f"{count / 1e6:.2f} M"
