"""Findings on networks that qir or another tool quantized, and repairs that really help."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

import qir
from qir.debug.explain import CAUSES, Diagnosis, Part, Repair, explain, register_cause
from qir.debug.explain.foreign import comparable
from qir.debug.findings import Severity
from qir.debug.story import mended
from qir.errors import DataError, ModelError, PluginError
from qir.ir.graph import Node
from qir.ir.types import TensorType
from tests.debug.faults import KINDS
from tests.debug.small import network, samples, subject
from tests.models import images, tiny_cnn, uncorrected


class Reader(CalibrationDataReader):
    """Samples as onnxruntime's quantizer takes them."""

    def __init__(self, data: np.ndarray) -> None:
        self.items = iter([{"x": data}])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.items, None)


@lru_cache(maxsize=4)
def made_by_onnxruntime(per_channel: bool = True, spread: float = 1.0) -> bytes:
    """The small network as `quantize_static` makes it, calibrated on samples scaled by `spread`."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(network(), path)
        quantize_static(
            path, out, Reader(samples(64, 1) * spread), quant_format=QuantFormat.QDQ, per_channel=per_channel,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, reduce_range=True,
        )  # fmt: skip
        return out.read_bytes()


def test_the_healthy_network_has_nothing_above_a_note() -> None:
    compiled = qir.compile(network(), calibration=samples(128, 1))
    found = qir.explain(network(), compiled, samples(64, 2))
    assert [one for one in found.findings if one.severity is not Severity.NOTE] == []
    assert found.samples == 64
    assert "outputs against the float model on 64 samples: y" in str(found)


def test_models_of_other_tools_are_read_layer_by_layer() -> None:
    real, quant = comparable(qir.lift(network()), qir.lift(made_by_onnxruntime()))
    from qir.debug.pairing import pair

    pairing = pair(real, quant)
    made = [name for node in quant.nodes for name in node.outputs]
    assert len(pairing.values) >= 0.9 * len(made)


def test_weights_with_one_scale_are_found_and_mended() -> None:
    found = qir.explain(network(), made_by_onnxruntime(per_channel=False), samples(64, 2))
    spoilt = [one for one in found.findings if one.cause == "per-tensor-weight"]
    assert spoilt
    first = spoilt[0]
    assert first.fix is not None
    assert first.fix.gain > 0.5
    assert "per_channel = true" in first.fix.override
    assert first.node in {node.name for node in subject().quant.nodes if node.op in ("Conv", "Gemm")}
    assert found.together is not None
    assert found.together.after > found.comparison.worst_output


def test_calibration_on_other_data_is_one_finding() -> None:
    found = qir.explain(network(), made_by_onnxruntime(spread=0.1), samples(64, 2))
    assert found.findings[0].cause == "calibration-mismatch"
    assert found.findings[0].severity is Severity.ERROR
    assert found.findings[0].fix is not None
    assert found.findings[0].fix.after > found.findings[0].fix.before + 6


def test_the_proposed_override_mends_the_compilation() -> None:
    """What a finding says to paste is pasted: the loss that a bad recipe made is gone."""
    bad = (
        qir.Recipe(calibration="mse")
        .with_override("square", range=(0.0, 3.0))
        .with_override("hidden", range=(0.0, 90.0))
    )
    data = samples(64, 2)
    net = qir.compile(network(), calibration=samples(128, 1), recipe=bad, passes=uncorrected(bad))
    found = net.findings(data)
    worst = {(one.node, one.cause) for one in found.findings[:2]}
    assert worst == {("square", "range-clipped"), ("hidden", "range-too-wide")}
    better = qir.compile(network(), calibration=samples(128, 1), recipe=mended(bad, found))
    assert better.layer_errors(data).worst_output > net.layer_errors(data).worst_output + 6
    assert better.findings(data).findings == () or better.findings(data).findings[0].severity is Severity.NOTE


def test_codes_that_have_no_zero() -> None:
    """Codes from 40 on with zero point 0: rectified values can be no smaller than 40 steps."""
    graph = subject().quant
    kind = graph.tensor("square_relu.out")
    assert kind.quant is not None
    cut = TensorType(kind.dtype, kind.shape, replace(kind.quant, qmin=40))
    found = explain(subject().real, graph.with_(types={**graph.types, "square_relu.out": cut}), subject().feeds)
    assert (found.findings[0].node, found.findings[0].cause) == ("square", "zero-not-representable")


def test_values_that_are_rounded_twice() -> None:
    """A value gets coarser codes on its way to one of its readers."""
    graph = subject().quant
    kind = graph.tensor("joined.out")
    assert kind.quant is not None
    coarse = replace(kind.quant, scale=kind.quant.scale * np.float32(11.3))
    again = Node("qir.Requantize", ("joined.out",), ("joined.again",), {}, "again")
    nodes = []
    for node in graph.nodes:
        if node.name == "large":
            nodes += [again, node.with_(inputs=("joined.again", *node.inputs[1:]))]
        else:
            nodes.append(node)
    types = {**graph.types, "joined.again": TensorType(kind.dtype, kind.shape, coarse)}
    found = explain(subject().real, graph.with_(nodes=tuple(nodes), types=types), subject().feeds)
    assert (found.findings[0].node, found.findings[0].cause) == ("large", "codes-rounded-twice")
    assert found.findings[0].fix is not None
    assert found.findings[0].fix.gain > 1


def test_findings_are_plain_data() -> None:
    fault = next(iter(subject().places["bias-lost"]))
    from tests.debug.faults import broken

    made = broken(subject(), KINDS["bias-lost"], fault, np.random.default_rng(0))
    assert made is not None
    found = qir.explain(subject().real, made.graph, samples(32, 2))
    plain = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert plain["findings"][0]["cause"] == found.findings[0].cause
    assert plain["findings"][0]["fix"]["gain"] == pytest.approx(found.findings[0].fix.gain)  # type: ignore[union-attr]
    assert plain["layers"][0]["accumulated"].keys() == {"sqnr", "cosine", "max_abs"}
    assert f"{found.findings[0].severity.value}: {found.findings[0].node}" in str(found)


def test_models_and_data_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ModelError, match="holds no Q/DQ pairs"):
        qir.explain(network(), network(), samples(4, 1))
    with pytest.raises(ModelError, match=r"different outputs|no layer in common|different inputs"):
        qir.explain(tiny_cnn(), made_by_onnxruntime(), samples(4, 1))
    with pytest.raises(DataError):
        qir.explain(network(), made_by_onnxruntime(), images(4))
    with pytest.raises(qir.PassError, match="nothing was rounded"):
        qir.explain(tiny_cnn(), qir.compile(tiny_cnn(), recipe="float"), images(4))


def test_the_table_takes_rows_of_others() -> None:
    seen: list[str] = []

    @register_cause("of-the-moon", Part.CODES, "the moon is full")
    def of_the_moon(probe: object) -> Diagnosis | None:
        seen.append("asked")
        return Diagnosis("it was seen", Repair("Wait"))

    try:
        with pytest.raises(PluginError, match="a cause 'of-the-moon' already"):
            register_cause("of-the-moon", Part.CODES, "again")(of_the_moon)
        assert CAUSES["of-the-moon"].part is Part.CODES
    finally:
        del CAUSES["of-the-moon"]


def test_every_cause_of_the_catalogue_is_in_the_table() -> None:
    """Some are recognised for the network as a whole, by the runtime, or in C."""
    elsewhere = {"calibration-mismatch", "saturation-16bit", "wrong-constant"}
    assert {cause for kind in KINDS.values() for cause in kind.causes} - elsewhere <= {*CAUSES}
