"""Finds the guilty layers, then the guilty part of each, then the cause, and tries the repair."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from qir.debug.compare import Batches, batch_size, batches, compared, finite
from qir.debug.errors import LayerError, Sums
from qir.debug.explain.probe import Probe
from qir.debug.explain.repairs import MOVERS, both, float_biases, with_codes
from qir.debug.explain.runtime import Changed, changed_nodes, left_in_float, overflowing, within_pairs
from qir.debug.explain.table import CAUSES, Part, Repair, override
from qir.debug.findings import Explanation, Finding, Fix, Severity
from qir.debug.hybrid import Hybrid
from qir.debug.pairing import Pairing, pair
from qir.errors import QirError
from qir.evaluate import Runner
from qir.ir.graph import Graph, Node
from qir.ir.types import TensorType

_EXCESS = {Part.STRUCTURE: 1.0, Part.WEIGHT: 8.0, Part.BIAS: 1.0, Part.CODES: 4.0}
"""How many times its least noise a part may make."""
_PER_TENSOR_EXCESS = 2.0
"""The same of a weight with one scale, whose remedy is simple."""
_SHARE = 0.1
"""Share of a layer's noise that a part must make to be looked at."""
_PROBED = 10
_SAMPLES = 64
_PROBE_BYTES = 64 << 20
_ERROR_GAIN, _WARNING_GAIN, _NOTE_GAIN = 6.0, 1.0, 0.1
"""dB at the output that a repair must regain for a finding to be an error, a warning, or to be told at all."""


def explain(real: Graph, quant: Graph, feeds: Mapping[str, Any] | Batches, *, runtime: bool = True) -> Explanation:
    """Names what costs accuracy.

    Layers are ranked by what each alone does to the outputs. The noise of a layer is taken apart by putting the float
    model's weight, bias and result back, one at a time; each part is judged against the least noise that 8 bits need.
    Where a part makes too much, the table of causes says why, and the repair is applied and measured.

    Args:
        real: the float model, in stage FLOAT, with the names that `quant` has.
        quant: the quantized network, in stage QUANT.
        feeds: one batch of inputs by name, or batches; the errors are those of all of them, causes are looked for on
            the first 64 samples.
        runtime: also judge what onnxruntime's own integer kernels make of the network on this machine.

    Raises:
        DataError: for data that does not fit, or none.
        ModelError: for two models of different inputs or outputs.
    """
    few: list[Mapping[str, Any]] = []
    hybrid = Hybrid(pair(real, quant))
    comparison = compared(hybrid, _remembered(batches(feeds), few))
    case = Case(hybrid, few, comparison.layers)
    found = [one for one in case.findings() if _matters(one)]
    found += [one for one in case.runtime(found) if _matters(one)] if runtime else []
    found.sort(key=lambda finding: (finding.severity is Severity.NOTE, -_rank(finding)))
    together, repaired = case.together()
    return Explanation(tuple(found), comparison, comparison.samples, together, repaired, tuple(case.notes))


@dataclass(eq=False)
class Case:
    """One network under investigation: the samples, the errors of its layers, and what its outputs lose."""

    hybrid: Hybrid
    samples: Sequence[Mapping[str, Any]]
    rows: Sequence[LayerError]

    def __post_init__(self) -> None:
        self.notes: list[str] = []
        self.repairs: list[tuple[float, Repair]] = []
        self.saturation: Repair | None = None
        self.reference = [self.hybrid.outputs(batch, ()) for batch in self.samples]
        self.before = self.loss(self.hybrid.pairing.quant)
        biases = float_biases(self.pairing)
        self.uncorrected = None if biases is None else (biases, max(self.before, self.loss(biases(self.pairing.quant))))

    @property
    def pairing(self) -> Pairing:
        return self.hybrid.pairing

    def loss(self, graph: Graph, *, fused: bool = False) -> float:
        """SQNR of the worst output of a changed network, in dB; by onnxruntime's integer kernels where `fused`."""
        runner = Runner(graph, optimize=fused)
        return self._worst([runner(batch) for batch in self.samples])

    def without(self, layer: str) -> float:
        """SQNR of the worst output when one layer is the float model's, in dB."""
        on = frozenset(self.pairing.layers) - {layer}
        return self._worst([self.hybrid.outputs(batch, on) for batch in self.samples])

    def _worst(self, found: Sequence[Mapping[str, Any]]) -> float:
        sums: dict[str, Sums] = {}
        for reference, outputs in zip(self.reference, found, strict=True):
            for name, value in reference.items():
                if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                    sums.setdefault(name, Sums()).add(value, outputs[name])
        return min((finite(total.error.sqnr) for total in sums.values()), default=200.0)

    def suspects(self) -> list[LayerError]:
        """The layers that do most harm to the outputs, or are far worse than their neighbours."""
        by_effect = sorted(self.rows, key=lambda row: finite(row.effect if row.effect is not None else math.inf))
        by_error = sorted(self.rows, key=lambda row: finite(row.isolated.sqnr))
        chosen = dict.fromkeys(row.value for row in (*by_effect[:_PROBED], *by_error[: _PROBED // 2]))
        return [row for row in self.rows if row.value in chosen]

    def findings(self) -> Iterator[Finding]:
        """One finding for every guilty part of every suspect."""
        misfits: dict[str, Probe] = {}
        found: list[Finding] = []
        for row in self.suspects():
            probe = self.probe(row.value)
            for part in _guilty(probe):
                if part is Part.CODES:
                    misfits[row.value] = probe
                finding = self._diagnosed(row, probe, part)
                if finding is not None:
                    found.append(finding)
        yield from self._whole(misfits, found)
        yield from found

    def probe(self, layer: str) -> Probe:
        """A layer with the float model's operands and result on the first samples."""
        names = self.pairing.operands(layer) if layer not in self.pairing.rounded_inputs else (layer,)
        wanted = {name: self.pairing.counterpart(name) for name in (*names, layer)}
        runner = Runner(self.pairing.real, tuple(wanted.values()))
        taken: dict[str, list[np.ndarray]] = {name: [] for name in wanted}
        room = _PROBE_BYTES
        for batch in self.samples:
            found = runner(batch)
            for name, source in wanted.items():
                value = np.asarray(found[source] if source in found else batch[source])
                taken[name].append(value)
                room -= value.nbytes
            if room < 0:
                break
        # Networks of a fixed batch size are run one batch at a time: only the first is looked at closely then.
        joined = {name: _joined(values, self.pairing.quant.types[name]) for name, values in taken.items()}
        operands = {} if layer in self.pairing.rounded_inputs else {name: joined[name] for name in names}
        return Probe(self.pairing, layer, operands, joined[layer])

    def _diagnosed(self, row: LayerError, probe: Probe, part: Part) -> Finding | None:
        for cause in CAUSES.values():
            diagnosis = cause.recognise(probe) if cause.part is part else None
            if diagnosis is not None:
                fix = self.tried(diagnosis.repair, row.value)
                severity = _severity(fix.gain)
                return Finding(row.node, row.op, row.origin, cause.name, severity, diagnosis.evidence,
                               row.effect if row.effect is not None else math.inf, fix)  # fmt: skip
        return None

    def tried(self, repair: Repair, layer: str) -> Fix:
        """The repair with what it regains; where it cannot be applied, what the float model's layer regains.

        Biases that were corrected for the fault are wrong without it, so it is tried with the float model's, too; what
        those regain by themselves is not the repair's.
        """
        after, before = None, self.before
        if repair.apply is not None:
            changes = [(repair.apply, before)]
            if self.uncorrected is not None:
                biases, floor = self.uncorrected
                changes.append((both(repair.apply, biases), floor))
            try:
                tried = [(self.loss(change(self.pairing.quant)), floor, change) for change, floor in changes]
                after, before, change = max(tried, key=lambda one: one[0] - one[1])
                repair = replace(repair, apply=change)
            except QirError as error:
                self.notes.append(f"a repair of %{layer} could not be tried: {error}")
        if after is not None and after - before >= _NOTE_GAIN:
            self.repairs.append((after, repair))
        return Fix(repair.what, repair.override, before, self.without(layer) if after is None else after)

    def together(self) -> tuple[Fix | None, Graph | None]:
        """All repairs that help by themselves, applied to one network, the best one last; what they regain if several.

        That against saturation follows on all others: new weights may saturate too.
        """
        chosen = [repair for _, repair in sorted(self.repairs, key=lambda row: row[0])]
        chosen += [self.saturation] if self.saturation is not None else []
        if not chosen:
            return None, None
        graph, fused = self.pairing.quant, self.saturation is not None
        before = self.loss(graph, fused=True) if fused else self.before
        for repair in chosen:
            graph = repair.apply(graph) if repair.apply is not None else graph
        overrides = "\n".join(dict.fromkeys(repair.override for repair in reversed(chosen) if repair.override))
        fix = Fix(f"All {len(chosen)} repairs together", overrides, before, self.loss(graph, fused=fused))
        return fix if len(chosen) > 1 else None, graph

    def runtime(self, found: Sequence[Finding]) -> Iterator[Finding]:
        """What onnxruntime's kernels change or leave.

        Args:
            found: before; a node whose numbers are wrong already may well give other ones there.
        """
        graph, known = self.pairing.quant, {one.node for one in found if one.severity is not Severity.NOTE}
        changed = changed_nodes(graph, self.samples[:1])
        risky = [node for node in graph.nodes if overflowing(node, graph)]
        if changed or risky:
            before = self.loss(graph, fused=True)
            saturating = [one for one in changed if one.pair]
            if risky:
                yield self._saturation(
                    saturating, risky, self._without_saturation(risky, before) if saturating else None
                )
            for one in [one for one in changed if not one.pair and one.node.name not in known][:_PROBED]:
                fix = Fix("Keep this node in float", override(one.node.name, float=True), before, self.before)
                evidence = (f"given equal codes, onnxruntime's kernel differs by more than one code in {one.share:.2%} "
                            f"of the results, by up to {one.worst}")  # fmt: skip
                yield self._at(one.node, "runtime-changed", evidence, fix, _severity(fix.gain))
        left: dict[str, list[Node]] = {}
        for node, why in left_in_float(graph):
            left.setdefault(why, []).append(node)
        for why, nodes in left.items():
            more = f", and {len(nodes) - 1} more nodes" if len(nodes) > 1 else ""
            evidence = f"onnxruntime runs it in float{more}: {why}"
            yield self._at(nodes[0], "runtime-left-float", evidence, None, Severity.NOTE)

    def _without_saturation(self, risky: Sequence[Node], before: float) -> Fix:
        """The better of two ways to keep sums within 16 bits, and of leaving the layers in float."""
        graph = self.pairing.quant
        what = "Keep neighbouring weights of one sign within a sum of 128, as target onnx does"
        changes = [partial(within_pairs, clip=clip) for clip in (False, True)]
        tried = [Fix(what, "", before, self.loss(change(graph), fused=True)) for change in changes]
        best = max((0, 1), key=lambda i: tried[i].after)
        if tried[best].gain >= _NOTE_GAIN:
            self.saturation = Repair(what, changes[best])
        lines = "\n".join(override(node.name, float=True) for node in risky)
        tried.append(Fix("Keep these layers in float, or run on a processor with VNNI", lines, before, self.before))
        return max(tried, key=lambda fix: fix.after)

    def _saturation(self, changed: Sequence[Changed], risky: Sequence[Node], fix: Fix | None) -> Finding:
        graph = self.pairing.quant
        worst = changed[0].node if changed else max(risky, key=lambda node: overflowing(node, graph))
        pair = overflowing(worst, graph)
        evidence = f"two neighbouring weights sum to {pair}, times 255 that is {255 * pair:,}, beyond 16 bits (32,767)"
        if not changed:
            evidence += "; this machine's kernels add in 32 bits, x86 processors without VNNI do not"
        else:
            others = f", and {len(changed) - 1} more nodes" if len(changed) > 1 else ""
            share, worst_code = changed[0].share, changed[0].worst
            evidence += f"; {share:.1%} of its results differ here, by up to {worst_code} codes{others}"
        severity = Severity.NOTE if fix is None else _severity(fix.gain)
        return self._at(worst, "saturation-16bit", evidence, fix, severity)

    def _at(self, node: Node, cause: str, evidence: str, fix: Fix | None, severity: Severity) -> Finding:
        effect = min((finite(row.effect) for row in self.rows if row.node == node.name and row.effect is not None),
                     default=200.0)  # fmt: skip
        return Finding(node.name, node.op, node.origin, cause, severity, evidence, effect, fix)

    def _whole(self, misfits: Mapping[str, Probe], found: list[Finding]) -> Iterator[Finding]:
        """Many codes that do not fit have one cause: other data than the network was calibrated on."""
        rounded = [probe for probe in misfits.values() if probe.quant is not None and probe.best_quant is not None]
        if len(rounded) < max(3, len(self.suspects()) // 3):
            return
        changes = {probe.layer: probe.best_quant for probe in rounded if probe.best_quant is not None}
        fix = self.tried(Repair("Calibrate again, on data like this", with_codes(changes)), rounded[0].layer)
        if fix.gain < _WARNING_GAIN or fix.gain < max((one.fix.gain for one in found if one.fix), default=0.0):
            return
        first = next(row for row in self.rows if row.value == rounded[0].layer)
        named = ", ".join(f"%{probe.layer}" for probe in rounded[:4])
        evidence = f"the codes of {len(rounded)} values do not fit these samples, {named} among them"
        yield Finding(first.node, first.op, first.origin, "calibration-mismatch", _severity(fix.gain), evidence,
                      first.effect if first.effect is not None else math.inf, fix)  # fmt: skip


def _guilty(probe: Probe) -> list[Part]:
    """The parts that make more noise than they need, and a fair share of the layer's, the loudest first."""
    floor = 1e-9 * probe.signal + 1e-30
    noises = {
        Part.STRUCTURE: (probe.structure_noise, floor),
        Part.WEIGHT: (probe.weight_noise, max(probe.least_weight_noise, floor)),
        Part.BIAS: (probe.bias_noise, max(1e-6 * probe.signal, floor)),
        Part.CODES: (0.0 if _only_moves(probe) else probe.rounding_noise, max(probe.least_rounding_noise, floor)),
    }
    total = sum(noise for noise, _ in noises.values())
    excess = {**_EXCESS, Part.WEIGHT: _PER_TENSOR_EXCESS} if _per_tensor(probe) else _EXCESS
    guilty = [part for part, (noise, least) in noises.items()
              if noise > excess[part] * least and noise >= _SHARE * total]  # fmt: skip
    return sorted(guilty, key=lambda part: -noises[part][0])


def _per_tensor(probe: Probe) -> bool:
    """Whether a weight has one scale where it could have one a channel."""
    if probe.mine is None or probe.best_weight is None or probe.best_weight.axis is None:
        return False
    quant = probe.graph.tensor(probe.mine.node.inputs[probe.mine.slots.weight]).quant
    return quant is not None and quant.axis is None


def _only_moves(probe: Probe) -> bool:
    """Whether the result has the codes of the operand, because the node only moves them."""
    if probe.node is None or probe.node.op not in MOVERS:
        return False
    kind = probe.graph.types.get(probe.node.inputs[0])
    return isinstance(kind, TensorType) and kind.quant == probe.quant


def _severity(gain: float) -> Severity:
    if gain >= _ERROR_GAIN:
        return Severity.ERROR
    return Severity.WARNING if gain >= _WARNING_GAIN else Severity.NOTE


def _matters(finding: Finding) -> bool:
    return finding.fix is None or finding.fix.gain >= _NOTE_GAIN


def _rank(finding: Finding) -> float:
    return finding.fix.gain if finding.fix is not None else -finite(finding.effect)


def _remembered(given: Iterator[Mapping[str, Any]], few: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The batches, of which the first ones are kept."""
    count = 0
    for batch in given:
        if count < _SAMPLES:
            few.append(batch)
        count += batch_size(batch)
        yield batch


def _joined(values: Sequence[np.ndarray], kind: object) -> np.ndarray:
    """Batches as one array where the model leaves their number open, else the first."""
    open_batch = isinstance(kind, TensorType) and bool(kind.shape) and not isinstance(kind.shape[0], int)  # type: ignore[index]
    return np.concatenate(list(values)) if open_batch and values[0].ndim else values[0]
