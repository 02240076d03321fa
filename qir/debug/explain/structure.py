"""Causes that sit in a layer's nodes: a rewrite that was not exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qir.debug.compare import dequantized
from qir.debug.explain.probe import Probe
from qir.debug.explain.repairs import with_constant
from qir.debug.explain.table import Diagnosis, Part, Repair, register_cause
from qir.debug.pairing import Pairing
from qir.ir.graph import Graph, Node
from qir.ir.text import attr_text
from qir.ir.types import Affine, TensorType
from qir.quant.error import difference

_REPORT = "Compile again without the pass that changed it, and report the pass"


@register_cause("missing-activation", Part.STRUCTURE, "a Relu or Clip was taken out and nothing does its work")
def missing_activation(probe: Probe) -> Diagnosis | None:
    if not probe.forgotten_clamps:
        return None
    node = probe.forgotten_clamps[0]
    low, high = probe.range
    rounds = f"the codes reach from {low:.4g} to {high:.4g}" if probe.quant is not None else "the result is not rounded"
    return Diagnosis(f"{node.op} {node.name} is gone, and {rounds}", Repair(f"Put the {node.op} back"))


@register_cause("swapped-operands", Part.STRUCTURE, "the node reads other values, or in another order")
def swapped_operands(probe: Probe) -> Diagnosis | None:
    for mine, real in _matched(probe):
        found = [_data(name, probe.pairing) for name in mine.inputs]
        fixed = probe.pairing.real.constants
        pairs = [(a, b) for a, b in zip(found, real.inputs, strict=False) if a is not None and b not in fixed]
        wrong = [(a, b) for a, b in pairs if a != b]
        if wrong:
            a, b = wrong[0]
            return Diagnosis(f"{mine.op} {mine.name} reads %{a} where the float model reads %{b}", Repair(_REPORT))
    return None


@register_cause("changed-attributes", Part.STRUCTURE, "the node is another operator or has other attributes")
def changed_attributes(probe: Probe) -> Diagnosis | None:
    for mine, real in _matched(probe):
        if mine.op != real.op:
            continue
        names = sorted({*mine.attrs, *real.attrs})
        differ = [n for n in names if attr_text(mine.attr(n)) != attr_text(real.attr(n))]
        if differ:
            said = ", ".join(f"{n}={attr_text(mine.attr(n))} instead of {attr_text(real.attr(n))}" for n in differ)
            return Diagnosis(f"{mine.op} {mine.name} has {said}", Repair(_REPORT))
    absorbed = {node.name for node in probe.lost_clamps} - {node.name for node in probe.forgotten_clamps}
    mine_ops = [node.op for node in probe.region]
    real_ops = [node.op for node in probe.pairing.real_region(probe.layer) if node.name not in absorbed]
    if mine_ops != real_ops and probe.mine is None:
        evidence = f"the layer is {' + '.join(mine_ops)}, in the float model {' + '.join(real_ops)}"
        return Diagnosis(evidence, Repair(_REPORT))
    return None


@register_cause("constant-mismatch", Part.STRUCTURE, "a constant operand is not the float model's")
def constant_mismatch(probe: Probe) -> Diagnosis | None:
    graph, real_graph = probe.graph, probe.pairing.real
    for mine, real in _matched(probe):
        if probe.real is not None and probe.mine is not None and mine.name == probe.mine.node.name:
            continue  # its weight and bias are parts of their own
        for name, other in zip(mine.inputs, real.inputs, strict=False):
            if name not in graph.constants or other not in real_graph.constants:
                continue
            found, wanted = dequantized(graph, name), real_graph.constants[other].value
            if found.dtype.kind != "f":
                if not np.array_equal(found, wanted):
                    return Diagnosis(f"%{name} is not the float model's %{other}", Repair(_REPORT))
                continue
            if found.shape != wanted.shape or not found.size:
                continue
            step = float(np.max(quant.scale)) if (quant := graph.tensor(name).quant) is not None else 0.0
            far = float(np.abs(difference(found, wanted)).max())
            if far > step + 1e-5 * float(np.abs(wanted).max(initial=0)):
                return Diagnosis(
                    f"%{name} differs from the float model's by up to {far:.4g} ({far / step:.0f} steps)" if step else
                    f"%{name} differs from the float model's by up to {far:.4g}",
                    Repair("Take the float model's constant", with_constant(name, wanted, graph.tensor(name).quant)),
                )  # fmt: skip
    return None


@register_cause("constant-rounding", Part.STRUCTURE, "a constant operand has too few levels")
def constant_rounding(probe: Probe) -> Diagnosis | None:
    graph = probe.graph
    coded = {name: quant for node in probe.region for name in node.inputs
             if name in graph.constants and (quant := graph.tensor(name).quant) is not None}  # fmt: skip
    if not coded or probe.mine is not None:
        return None
    name, quant = max(coded.items(), key=lambda row: float(np.max(row[1].scale)))
    fix = Repair("Keep this constant in float", with_constant(name, graph.constants[name].value, None))
    return Diagnosis(f"%{name} has codes {quant}, and nothing else in the layer differs from the float model's", fix)


@register_cause("codes-rounded-twice", Part.STRUCTURE, "a value is rounded to codes once more on its way")
def codes_rounded_twice(probe: Probe) -> Diagnosis | None:
    inner = {name: quant for node in probe.region for name in node.outputs
             if name and name != probe.layer and (quant := _quant(probe.graph, name)) is not None}  # fmt: skip
    if not inner:
        return None

    def apply(graph: Graph) -> Graph:
        plain = {name: TensorType(graph.tensor(name).dtype, graph.tensor(name).shape) for name in inner}
        return graph.with_(types={**graph.types, **plain})

    once = replace(probe, pairing=replace(probe.pairing, quant=apply(probe.graph)))
    if once.structure_noise > 0.1 * probe.structure_noise:
        return None
    name, quant = next(iter(inner.items()))
    evidence = f"%{name} is rounded to {quant} before the layer reads it, and without that the layer is right"
    return Diagnosis(evidence, Repair("Round it once, to the codes of the first time", apply))


def _quant(graph: Graph, name: str) -> Affine | None:
    kind = graph.types.get(name)
    return kind.quant if isinstance(kind, TensorType) else None


@register_cause("changed-node", Part.STRUCTURE, "the layer computes something else than the float model's")
def changed_node(probe: Probe) -> Diagnosis | None:
    mine = " + ".join(f"{node.op} {node.name}" for node in probe.region)
    real = " + ".join(f"{node.op} {node.name}" for node in probe.pairing.real_region(probe.layer))
    evidence = f"with the float model's parameters and operands, {mine} does not give what {real} gives"
    return Diagnosis(evidence, Repair(_REPORT))


def _matched(probe: Probe) -> list[tuple[Node, Node]]:
    """Nodes of the layer with the float model's of the same name or origin, else of the same operator."""
    real = list(probe.pairing.real_region(probe.layer))
    found = []
    for mine in probe.region:
        names = {mine.name, *mine.origin}
        same = [node for node in real if node.op == mine.op]
        alike = [node for node in same if names & {node.name, *node.origin}] or same
        if len(alike) == 1:
            found.append((mine, alike[0]))
            real.remove(alike[0])
    return found


def _data(name: str, pairing: Pairing) -> str | None:
    """The float model's name of an operand; None for constants and values that only the judged network has."""
    if name in pairing.values:
        return pairing.values[name]
    return name if name in pairing.quant.inputs else None
