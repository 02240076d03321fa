"""Report data that tests share: fixed, small, with something in every section, and names that try to break out."""

from __future__ import annotations

import math

from qir.debug.errors import Error, LayerError
from qir.debug.findings import Finding, Fix, Severity
from qir.debug.report.data import (
    Block,
    Distribution,
    KernelFacts,
    Memory,
    NodeFacts,
    ReportData,
    StepFacts,
    Texts,
    ValueFacts,
)

HOSTILE = "</script><b onclick='x'>&amp;|`_*"
"""A legal ONNX name that would end a script, open an element, and break a table."""


def error(decibels: float) -> Error:
    """An error whose other figures follow from the ratio."""
    noise = 10 ** (-decibels / 20)
    return Error(decibels, math.sqrt(max(0.0, 1 - min(noise, 1.0) ** 2)), noise)


def layer(node: str, accumulated: float, isolated: float, effect: float | None = None, op: str = "Conv") -> LayerError:
    """A layer's errors in dB; its value has its name."""
    weight = error(40.0) if op == "Conv" else None
    return LayerError(node, node, op, (node,), error(accumulated), error(isolated), effect, weight)


def step(number: int, name: str, **facts: object) -> StepFacts:
    """A pass that changed something."""
    given = {
        "promise": "lossy", "stage": "quant", "seconds": 0.25 * number, "changed": True, "summary": "nodes: 1 changed",
        "nodes": 3, "constants": 2, "parameter_bytes": 1000 // (number + 1), "macs": 123456,
        "sqnr": 60.0 / (number + 1), "measured": number, "state": 0, **facts,
    }  # fmt: skip
    return StepFacts(number=number, name=name, **given)  # type: ignore[arg-type]  # the defaults above fit


BELL = tuple(round(10_000 * math.exp(-(((i - 20) / 6) ** 2))) for i in range(40))


def sample(hostile: str = HOSTILE) -> ReportData:
    """Input -> stem (Conv) -> two branches, one of a hostile name -> Add -> Output."""
    weight = Distribution(-1.0, 0.05, BELL, -0.98, 0.99, 0.0, 0.3, (-1.0, 1.0), (-0.2, 0.2), "weights")
    result = Distribution(-2.0, 0.1, BELL, -1.9, 1.95, 0.0, 0.6, (-1.2, 1.2), None)
    value = ValueFacts("stem_out", "float32[N,8,4,4]", "uint8 scale=0.01 zero_point=128")
    nodes = (
        NodeFacts("x", "Input", outputs=(ValueFacts("x", "float32[N,3,4,4]"),)),
        NodeFacts("stem", "Conv", ("stem", "stem_relu"), (ValueFacts("x", "float32[N,3,4,4]"),), (value,),
                  {"strides": "[1,1]"}, 3456, 224, 248, "QLinearConv", True, (), weight, result),
        NodeFacts(hostile, "Relu", (hostile,), (value,), (ValueFacts("a", "float32[N,8,4,4]"),), {}, None, 0, 0, "Relu",
                  False, ((f"integer {hostile}", "its result stays real"),), None, result),
        NodeFacts("right", "Conv", ("right",), (value,), (ValueFacts("b", "float32[N,8,4,4]"),), {}, 120000, 100, 100,
                  "QLinearConv", True, (), weight, result),
        NodeFacts("sum", "Add", ("sum",), (ValueFacts("a", "f"), ValueFacts("b", "f")), (ValueFacts("y", "f"),)),
        NodeFacts("y", "Output", inputs=(ValueFacts("y", "float32[N,8,4,4]"),)),
    )  # fmt: skip
    findings = (
        Finding("right", "Conv", ("right",), "range-clipped", Severity.ERROR, "4 % of the values are cut off.", 12.5,
                Fix("Take the whole range.", '[[override]]\nmatch = "right"\nrange = [-3.0, 3.0]\n', 12.5, 31.25)),
        Finding(hostile, "Relu", (hostile,), "dead-channels", Severity.NOTE, f"{hostile} has 3 dead channels.",
                math.inf),
    )  # fmt: skip
    lines = (
        ("graph", "", "graph net(%x) stage=float"), ("node", "stem", "%s: float32[N] = Conv(%x, %w)  # stem"),
        ("node", "old", "%o = Identity(%s)  # old"), ("constant", "w", "%w: float32[8] = -1..1 01234567"),
        ("graph", "", "graph net(%x) stage=quant"),
        ("node", "stem", "%s: float32[N]<uint8 scale=0.01> = Conv(%x, %w)  # stem"),
        ("node", hostile, f"%n = Relu(%s)  # {hostile}"), ("range", "s", "%s: 0..2"),
    )  # fmt: skip
    return ReportData(
        model=f"net {hostile}", target="onnx", backend="onnx", recipe='calibration = "percentile"\n', numbers="w8a8",
        seconds=1.5, samples=32, symbols=("N",), nodes=nodes,
        edges=((0, 1, "x"), (1, 2, "stem_out"), (1, 3, "stem_out"), (2, 4, "a"), (3, 4, "b"), (4, 5, "y")),
        layers=(layer("stem", 41.0, 42.0, 55.0), layer(hostile, 33.0, math.inf, math.inf, "Relu"),
                layer("right", 11.0, 12.0, 12.5), layer("sum", 21.0, 45.0, None, "Add")),
        outputs={"y": error(21.0)}, findings=findings,
        steps=(step(0, "model", promise="", changed=False, summary="", sqnr=200.0, stage="float"),
               step(1, "eliminate-dead-code", promise="exact", changed=False, summary="no change", sqnr=200.0,
                    measured=0),
               step(2, "quantize{mode=all}", state=1, notes=("one node stays float",)),
               step(3, "lower-integer", state=1, changed=False, summary="no change", measured=2)),
        step_samples=8, texts=Texts(lines, ((0, 1, 2, 3), (4, 5, 6, 3, 7))),
        kernels=(KernelFacts("stem", "Conv", "QLinearConv", True, ()),
                 KernelFacts(hostile, "Relu", "Relu", False, (("integer Relu", "its result stays real"),))),
        memory=Memory((Block("x_codes", "x", 0, 48, -1, 0), Block("stem_out", "stem", 48, 128, 0, 2),
                       Block("stem/scratch", "stem", 176, 32, 0, 0, True)), ("stem", "right", "sum"), 208, 208),
        sizes={"model": 12345, "code": None}, notes=("calibrated 5 values on 32 samples",),
    )  # fmt: skip
