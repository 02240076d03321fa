"""What a report says, as data: frozen, and plain once it is turned into JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any

from qir.debug.errors import Error, LayerError
from qir.debug.findings import Finding

FORMAT = 1
"""Version of report.json."""

MOST_DECIBELS = 200.0
"""Decibels are limited to +-200: that many stand for equal results (float32 reaches 150), -200 for no likeness."""

DIGITS = 6
"""Significant digits that numbers keep in report.json."""


def decibels(value: float) -> float:
    """A ratio in dB as reports hold it; NaN counts as no likeness."""
    return -MOST_DECIBELS if math.isnan(value) else min(max(value, -MOST_DECIBELS), MOST_DECIBELS)


@dataclass(frozen=True)
class Distribution:
    """A histogram over equally wide bins.

    Attributes:
        start, width: left edge of the first bin, and the width of each.
        counts: elements in each bin.
        low, high, mean, deviation: of the elements; deviation is the standard one.
        range: the reals that the codes reach; None where there are none. Of the widest channel, if channels differ.
        narrowest: the same of the narrowest channel; None where all share one scale.
        source: what the elements are: weights, or calibration samples.
    """

    start: float
    width: float
    counts: tuple[int, ...]
    low: float
    high: float
    mean: float
    deviation: float
    range: tuple[float, float] | None = None
    narrowest: tuple[float, float] | None = None
    source: str = "calibration samples"


@dataclass(frozen=True)
class ValueFacts:
    """A tensor as a node sees it: its name, its type in print, and how it was quantized ("" for reals)."""

    name: str
    type: str
    codes: str = ""
    constant: bool = False


@dataclass(frozen=True)
class NodeFacts:
    """One node of the graph shown. Inputs and outputs of the graph are nodes too, of operator Input and Output.

    Attributes:
        name, op: its own; unique name.
        origin: the nodes of the user's model it stands for.
        inputs, outputs: its values.
        attributes: in print.
        macs: multiply-accumulates for one sample; None where they do not apply or are not known.
        parameters, parameter_bytes: of its constants.
        runs_as: the kernel or operator that computes it; "" where that is not known.
        integer: whether that works on codes; None where it is not known.
        why: reasons why nothing else does: (what was refused, why).
        weight, activation: distributions of its weight and of its first result.
    """

    name: str
    op: str
    origin: tuple[str, ...] = ()
    inputs: tuple[ValueFacts, ...] = ()
    outputs: tuple[ValueFacts, ...] = ()
    attributes: Mapping[str, str] | None = None
    macs: int | None = None
    parameters: int = 0
    parameter_bytes: int = 0
    runs_as: str = ""
    integer: bool | None = None
    why: tuple[tuple[str, str], ...] = ()
    weight: Distribution | None = None
    activation: Distribution | None = None


@dataclass(frozen=True)
class StepFacts:
    """One application of a pass.

    Attributes:
        number: from 1; 0 is the model before any pass.
        name: the pass with its options.
        promise: exact, lossy or annotate.
        stage: of the graph after it.
        seconds: how long it ran.
        changed: whether it changed anything.
        summary: what it changed, in words.
        nodes, constants, parameter_bytes, macs: of the graph after it.
        sqnr: of the worst output against the model's, in dB; None where it was not measured.
        measured: number of the step that `sqnr` is of; another one where this step's graph takes too long to run.
        state: index of the step's lines in `Texts.states`.
        notes: what the pass found worth telling.
    """

    number: int
    name: str
    promise: str
    stage: str
    seconds: float
    changed: bool
    summary: str
    nodes: int
    constants: int
    parameter_bytes: int
    macs: int
    sqnr: float | None
    measured: int | None
    state: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Texts:
    """Printed graphs, each different line once.

    Attributes:
        lines: (kind, name, text): kind is graph, node, constant or range; name is unique within a kind and a graph.
        states: for each different graph, its lines as indices into `lines`.
    """

    lines: tuple[tuple[str, str, str], ...]
    states: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Block:
    """A buffer in the arena: bytes `offset` to `offset + nbytes`, in use from call `first` to call `last`."""

    name: str
    node: str
    offset: int
    nbytes: int
    first: int
    last: int
    scratch: bool = False


@dataclass(frozen=True)
class Memory:
    """The plan of the arena; `calls` are the nodes in the order in which the C computes them."""

    blocks: tuple[Block, ...]
    calls: tuple[str, ...]
    arena_bytes: int
    lower_bound: int


@dataclass(frozen=True)
class KernelFacts:
    """What computes a node, and what was refused for it: (what, why)."""

    node: str
    op: str
    runs_as: str
    integer: bool | None
    refused: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ReportData:
    """Everything a report shows.

    Attributes:
        model, target, recipe: what was compiled, for where, and how: the recipe as TOML. "" where not known.
        numbers: the recipe in short, such as w8a8.
        backend: onnx or c; "" where not known.
        seconds: of the compilation; None where not known.
        samples: how many samples errors were measured on; 0 without.
        symbols: dimensions known by name only, counted as 1 in multiply-accumulates.
        nodes: of the graph shown, in execution order; inputs come first and outputs last.
        edges: (from, to, value) between positions in `nodes`.
        layers, outputs: errors of every layer, and of the outputs by name.
        findings: causes of lost accuracy, the most harmful first.
        steps, texts: what every pass did; empty without a trace.
        step_samples: how many samples the errors after passes were measured on.
        kernels: what computes each node; empty where not known.
        memory: None for targets other than C.
        sizes: bytes by what they are for; None where not measured.
        notes: what the passes said.
    """

    model: str
    target: str = ""
    backend: str = ""
    recipe: str = ""
    numbers: str = ""
    seconds: float | None = None
    samples: int = 0
    symbols: tuple[str, ...] = ()
    nodes: tuple[NodeFacts, ...] = ()
    edges: tuple[tuple[int, int, str], ...] = ()
    layers: tuple[LayerError, ...] = ()
    outputs: Mapping[str, Error] | None = None
    findings: tuple[Finding, ...] = ()
    steps: tuple[StepFacts, ...] = ()
    texts: Texts = Texts((), ())
    step_samples: int = 0
    kernels: tuple[KernelFacts, ...] = ()
    memory: Memory | None = None
    sizes: Mapping[str, int | None] | None = None
    notes: tuple[str, ...] = ()

    @property
    def worst_output(self) -> float | None:
        """SQNR of the worst output in dB, limited to +-200; None where it was not measured."""
        return min((decibels(error.sqnr) for error in (self.outputs or {}).values()), default=None)

    @property
    def worst_layers(self) -> tuple[LayerError, ...]:
        """Layers in order of the harm that each does alone: by effect where it was measured, else by isolated error."""
        return tuple(sorted(self.layers, key=lambda one: one.isolated.sqnr if one.effect is None else one.effect))

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one sample."""
        return sum(node.macs or 0 for node in self.nodes)

    def as_json(self) -> dict[str, Any]:
        """Everything as plain dicts, lists, numbers and text.

        Decibels are limited to +-200 and other numbers that JSON cannot hold are None.
        """
        plain: dict[str, Any] = {"format": FORMAT, "worst_output": self.worst_output}
        for one in fields(self):
            plain[one.name] = _plain(getattr(self, one.name))
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, LayerError):
        effect = None if value.effect is None else _number(decibels(value.effect))
        return {
            **value.as_json(), "accumulated": _plain(value.accumulated), "isolated": _plain(value.isolated),
            "effect": effect, "weight": _plain(value.weight),
        }  # fmt: skip
    if isinstance(value, Finding):
        found = value.as_json()
        decibel: dict[str, Any] = {"effect": _number(decibels(value.effect))}
        if value.fix is not None:
            before, after = decibels(value.fix.before), decibels(value.fix.after)
            decibel["fix"] = {**found["fix"], "before": _number(before), "after": _number(after),
                              "gain": _number(after - before)}  # fmt: skip
        return found | decibel
    if isinstance(value, Error):
        ratio = _number(decibels(value.sqnr))
        return {"sqnr": ratio, "cosine": _number(value.cosine), "max_abs": _number(value.max_abs)}
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    return _number(value) if isinstance(value, float) else value


def _number(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    short = float(f"{value:.{DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short
