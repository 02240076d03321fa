"""Ways to break a healthy quantized network, one at a time: what `qir.explain` must find.

A kind is a bug that compilers have: a scale stored wrong, an axis confused, a range that calibration got wrong, a
rewrite that is no equality. It breaks one layer, called by the value that the layer ends in. `draw` picks faults by
seed, those of emitted C (tests.debug.c_faults) among them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import tests.debug.number_faults
import tests.debug.rewrite_faults  # noqa: F401  (both register their kinds)
from qir.evaluate import Runner
from qir.ir.graph import Graph
from qir.ops.weighted import weighted
from qir.quant.error import sqnr
from qir.verify import verify
from tests.debug.c_faults import C_KINDS, CFault, CSubject, broken_c
from tests.debug.graph_edits import as_imported
from tests.debug.kinds import EVERYWHERE, KINDS, Kind

__all__ = [
    "C_KINDS", "EVERYWHERE", "KINDS", "CFault", "CSubject", "Drawn", "Fault", "Kind", "Subject", "broken", "draw",
]  # fmt: skip

TRIES = 60
"""Draws of a place for one kind, before another kind is drawn."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A healthy network to break.

    Attributes:
        name: of the model.
        real: the float graph.
        quant: the QUANT graph.
        feeds: samples on which the harm of a fault is measured.
    """

    name: str
    real: Graph
    quant: Graph
    feeds: Mapping[str, Any]

    @cached_property
    def reference(self) -> dict[str, Any]:
        return Runner(self.real)(self.feeds)

    def sqnr(self, quant: Graph, *, fused: bool = False) -> float:
        """Of the worst output against the float model, in dB; NaN counts as all noise.

        Args:
            fused: by onnxruntime's integer kernels.
        """
        found = Runner(quant, optimize=fused)(self.feeds)
        pairs = zip(self.real.outputs, quant.outputs, strict=True)
        errors = [sqnr(self.reference[mine], found[other]) for mine, other in pairs]
        return float(np.nan_to_num(min(errors), nan=-np.inf, posinf=np.inf, neginf=-np.inf))

    @cached_property
    def healthy(self) -> Mapping[bool, float]:
        """SQNR of the healthy network, by whether kernels are fused."""
        return {fused: self.sqnr(self.quant, fused=fused) for fused in (False, True)}

    @cached_property
    def places(self) -> Mapping[str, tuple[str, ...]]:
        """Kind to the layers that it can break, one for every weighted node that has one."""
        nodes = [node for node in self.quant.nodes if weighted(node, self.quant) is not None]
        found = {name: [kind.place(self.quant, node) for node in nodes] for name, kind in KINDS.items()}
        return {name: tuple(place for place in places if place is not None) for name, places in found.items()}


@dataclass(frozen=True, eq=False)
class Fault:
    """A broken network.

    Attributes:
        kind: of the fault.
        subject: what was broken.
        layer: where, by the value of the quantized graph that the layer ends in; EVERYWHERE for the whole network.
        graph: the broken network as a QDQ file would tell it.
        drop: of the worst output's SQNR, in dB.
    """

    kind: Kind
    subject: Subject
    layer: str
    graph: Graph
    drop: float

    @property
    def name(self) -> str:
        """For people: the node's, the input's, or * for the whole network."""
        node = self.graph.index.producer(self.layer)
        return node.name if node is not None else self.layer or "*"

    @cached_property
    def nodes(self) -> frozenset[str]:
        """Names that a finding may rightly give: the node's that makes the layer, or the input's and its readers'.

        All of them for the whole network.
        """
        index = self.graph.index
        if self.layer == EVERYWHERE:
            return frozenset({*self.graph.inputs, *(node.name for node in self.graph.nodes)})
        node = index.producer(self.layer)
        if node is not None:
            makers = (index.producer(name) for name in node.inputs) if self.kind.branches else ()
            return frozenset({node.name, *(maker.name for maker in makers if maker is not None)})
        return frozenset({self.layer, *(user.name for user in index.consumers(self.layer))})


@dataclass(eq=False)
class Drawn:
    """What `draw` gives.

    Attributes:
        faults: in the order drawn.
        redrawn: by kind, how many drawn faults did too little harm.
        refused: by kind, how many places turned out unfit.
        never: kinds drawn for which no fault could be made.
    """

    faults: list[Fault | CFault] = field(default_factory=list)
    redrawn: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    never: set[str] = field(default_factory=set)


def broken(subject: Subject, kind: Kind, layer: str, random: np.random.Generator) -> Fault | None:
    """One fault; None where the kind does not fit the layer.

    Raises:
        VerifyError, ModelError: if the broken graph is no valid one, a mistake of the catalogue.
    """
    made = kind.inject(subject.quant, layer, random)
    if made is None:
        return None
    verify(made)
    graph = as_imported(made)
    return Fault(kind, subject, layer, graph, subject.healthy[kind.fused] - subject.sqnr(graph, fused=kind.fused))


def draw(
    seed: int,
    subjects: Sequence[Subject],
    count: int,
    c_subjects: Sequence[CSubject] = (),
    folder: Path | None = None,
    *,
    kinds: Collection[str] = (),
    least: float = 1.0,
) -> Drawn:
    """Faults drawn by seed: the kind uniformly among all, then the network and the layer uniformly among its places.

    Args:
        c_subjects: networks whose C is to be broken, too; kinds of C are left out without.
        folder: where broken C is written, one folder a fault.
        kinds: draw only from these; from all by default.
        least: harm in dB; milder faults are drawn again, within their kind.
    """
    random, drawn = np.random.default_rng(seed), Drawn()
    names = sorted(name for name in (*KINDS, *(C_KINDS if c_subjects else ())) if not kinds or name in kinds)
    while len(drawn.faults) < count and len(drawn.never) < len(names):
        name = names[int(random.integers(len(names)))]
        for number in range(TRIES if name not in drawn.never else 0):
            fault: Fault | CFault | None
            if name in KINDS:
                fitting = [subject for subject in subjects if subject.places[name]]
                if not fitting:
                    drawn.never.add(name)
                    break
                subject = fitting[int(random.integers(len(fitting)))]
                layer = subject.places[name][int(random.integers(len(subject.places[name])))]
                fault = broken(subject, KINDS[name], layer, random)
            else:
                assert folder is not None
                network = c_subjects[int(random.integers(len(c_subjects)))]
                place = network.places[int(random.integers(len(network.places)))]
                target = folder / f"{seed}-{len(drawn.faults)}-{number}"
                fault = broken_c(network, C_KINDS[name], place, target, random)
            if fault is None:
                drawn.refused[name] += 1
            elif fault.drop < least:
                drawn.redrawn[name] += 1
            else:
                drawn.faults.append(fault)
                break
        else:
            drawn.never.add(name)
    return drawn
