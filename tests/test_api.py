"""`qir.compile` from Python."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

import qir
from qir.quant.error import sqnr
from tests.models import images, tiny_cnn, uncorrected


@pytest.fixture(scope="module")
def proto() -> onnx.ModelProto:
    return tiny_cnn()


@pytest.fixture(scope="module")
def net(proto: onnx.ModelProto) -> qir.CompiledOnnx:
    made = qir.compile(proto, images())
    assert isinstance(made, qir.CompiledOnnx)
    return made


def test_a_quantized_model_stays_near_the_float_one(proto: onnx.ModelProto, net: qir.CompiledOnnx) -> None:
    x = images()
    reference = qir.evaluate_graph(qir.lift(proto), {"x": x})["y"]
    assert sqnr(reference, net.run({"x": x})["y"]) > 25


def test_models_are_taken_in_every_form(proto: onnx.ModelProto, net: qir.CompiledOnnx, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(proto, path)
    expected = net.module.model.SerializeToString()
    for form in (path, str(path), path.read_bytes(), qir.lift(proto)):
        made = qir.compile(form, images())
        assert isinstance(made, qir.CompiledOnnx)
        assert expected == made.module.model.SerializeToString()


def test_calibration_is_taken_in_every_form(proto: onnx.ModelProto, net: qir.CompiledOnnx, tmp_path: Path) -> None:
    x = images()
    np.savez(tmp_path / "x.npz", x=x)
    np.save(tmp_path / "x.npy", x)
    forms = [{"x": x}, [row for row in x], (row for row in x), lambda: iter(x), tmp_path / "x.npz", tmp_path / "x.npy"]
    for form in forms:
        made = qir.compile(proto, form)
        assert dict(net.graph.ranges) == dict(made.graph.ranges)


def test_the_result_tells_what_was_done(net: qir.CompiledOnnx) -> None:
    assert "onnx" == net.target.name
    assert qir.Recipe() == net.recipe
    assert len(net.passes) == len(net.timer.seconds)
    assert 1 == net.operators()["QLinearConv"]
    assert net.sizes["model"] == net.module.model_bytes
    assert net.seconds > 0
    assert net.trace is None
    for part in ("N = 1", "conv", "uint8", "MACs", "calibrate", "bytes"):
        assert part in net.report()
    assert ["QLinearConv", "conv"] in [line.split() for line in net.explain().splitlines()]


def test_a_trace_keeps_and_writes_every_step(proto: onnx.ModelProto, tmp_path: Path) -> None:
    made = qir.compile(proto, images(), trace=tmp_path / "steps")
    assert made.trace is not None
    assert len(made.passes) == len(made.trace)
    assert made.graph is made.trace.steps[-1].after
    saved = qir.load_graph(tmp_path / "steps" / "00-input.onnx")
    assert qir.graph_text(made.source) == qir.graph_text(saved)
    assert qir.compile(proto, images(), trace=True).trace is not None


def test_own_passes_replace_the_usual_ones(proto: onnx.ModelProto) -> None:
    made = qir.compile(proto, images(), passes="calibrate{method=mse},quantize,quantize-weights")
    assert "calibrate{method=mse},quantize,quantize-weights" == qir.pipeline_text(made.passes)
    again = qir.compile(proto, images(), passes=made.passes)
    assert qir.graph_text(made.graph) == qir.graph_text(again.graph)
    with pytest.raises(qir.RecipeError, match="no pass"):
        qir.compile(proto, passes=["fold-constants"])  # type: ignore[list-item]


def test_promises_hold_for_the_default_pipeline(proto: onnx.ModelProto) -> None:
    checker = qir.PromiseChecker({"x": images(4)})
    drift = qir.Drift({"x": images(4)})
    qir.compile(proto, images(), instruments=[checker, drift])
    assert drift.records
    assert drift.records[-1][1] > 20


@pytest.mark.parametrize("text", ["float", "w8", "int8"])
def test_recipes_decide_what_is_quantized(proto: onnx.ModelProto, text: str) -> None:
    made = qir.compile(proto, images(), recipe=text)
    quantized = {name for name, kind in made.graph.types.items() if getattr(kind, "quant", None) is not None}
    assert ("conv.weight" in quantized) == (text != "float")
    assert ("x" in quantized) == (text == "int8")


@pytest.mark.needs("cc")
def test_c_is_built_and_runs(proto: onnx.ModelProto, tmp_path: Path) -> None:
    made = qir.compile(proto, images(), target="portable", shapes={"N": 1}, name="tiny")
    assert isinstance(made, qir.CompiledC)
    x = images(1, seed=7)
    reference = qir.evaluate_graph(made.graph, {"x": x})["y"]
    np.testing.assert_array_equal(reference, made.run({"x": x})["y"])
    assert made.benchmark({"x": x}, 3) > 0
    assert {"tiny.c", "tiny.h"} <= {path.name for path in made.save(tmp_path / "out").iterdir()}
    assert made.arena_bytes > 0
    assert made.weight_bytes > 0
    assert "conv" in made.explain()
    assert "arena" in made.report()


@pytest.mark.needs("cc")
def test_c_is_compared_with_its_reference_kernel_by_kernel(proto: onnx.ModelProto, tmp_path: Path) -> None:
    made = qir.compile(proto, images(), target="portable")
    assert isinstance(made, qir.CompiledC)
    assert made.compare_layers({"x": images(3, seed=7)}).ok
    weights = made.save(tmp_path / "net") / "net_weights.c"
    text = weights.read_text(encoding="utf-8")
    start = text.index("{", text.index("net_w0[")) + 1
    end = text.index(",", start)
    weights.write_text(f"{text[:start]}{(int(text[start:end]) + 40) % 100}{text[end:]}", encoding="utf-8")
    found = made.compare_layers({"x": images(3, seed=7)}, folder=tmp_path / "net")
    assert found.first is not None
    assert "differs from what qir emits in array net_w0" in str(found)


def test_findings_and_reports_of_a_compilation(proto: onnx.ModelProto, tmp_path: Path) -> None:
    clipped = qir.Recipe().with_override("conv", range=(0.0, 2.0))
    made = qir.compile(proto, images(), recipe=clipped, trace=True, passes=uncorrected(clipped))
    assert made.findings().findings[0].cause == "range-clipped"
    text = made.save_report(tmp_path / "r.md").read_text(encoding="utf-8")
    assert "range-clipped" in text
    assert "quantize-weights" in text
    with pytest.raises(qir.OutputError, match=r"says no form of report.*\.html"):
        made.save_report(tmp_path / "r.pdf")
    silent = qir.compile(proto, recipe="float").save_report(tmp_path / "float.json")
    assert json.loads(silent.read_text(encoding="utf-8"))["findings"] == []


def test_an_override_that_names_nothing_is_noted(proto: onnx.ModelProto) -> None:
    def noted(match: str) -> bool:
        made = qir.compile(proto, recipe=qir.Recipe().with_override(match, float=True))
        return any(f"name or operator like '{match}'" in note for note in made.notes)

    assert [False, False, True] == [noted(match) for match in ("conv", "Relu", "cnv*")]


def test_an_operator_that_nobody_knows_is_named(proto: onnx.ModelProto) -> None:
    strange = onnx.ModelProto()
    strange.CopyFrom(proto)
    strange.graph.node.append(onnx.helper.make_node("Foo", [strange.graph.output[0].name], ["z"], "foo", domain="my"))
    strange.graph.output[0].name = "z"
    strange.opset_import.append(onnx.helper.make_opsetid("my", 1))
    with pytest.raises(qir.UnsupportedError, match=r"node 'foo'.*my\.Foo.*register_op"):
        qir.compile(strange, images())


def test_a_quantized_model_compiles_again(proto: onnx.ModelProto) -> None:
    first = qir.compile(proto, images())
    again = qir.compile(first.module.model, images())  # type: ignore[union-attr]
    x = {"x": images(4, seed=3)}
    np.testing.assert_allclose(first.run(x)["y"], again.run(x)["y"], atol=0.05)


def test_targets_are_listed() -> None:
    names = [target.name for target in qir.targets()]
    assert sorted(names) == names
    assert {"onnx", "portable"} <= set(names)
    assert all(target.description for target in qir.targets())


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ({"target": "z80"}, qir.RecipeError, "z80"),
        ({"recipe": "w9"}, qir.RecipeError, "w9"),
        ({"passes": "quantise"}, qir.PassError, "quantize"),
        ({"calibration": 100}, qir.DataError, "samples"),
        ({"calibration": None, "passes": "calibrate"}, qir.PassError, "calibrate"),
        ({"calibration": {"image": 1}}, qir.DataError, "image"),
        ({"calibration": []}, qir.DataError, "no samples"),
        ({"calibration": np.zeros((2, 3, 6, 6), np.float32)}, qir.DataError, "axis 1"),
        ({"calibration": np.zeros((2, 2, 6, 6), np.complex64)}, qir.DataError, "complex64"),
        ({"calibration": np.full((2, 2, 6, 6), np.inf)}, qir.DataError, "Inf"),
        ({"shapes": {"M": 1}}, qir.ShapeError, "M"),
        ({"shapes": {"N": -1}}, qir.ShapeError, "-1"),
        ({"bind": {"sr": 1}}, qir.DataError, "sr"),
        ({"target": "portable", "passes": ""}, qir.ShapeError, "N"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) and "calibration" not in value else None,
)
def test_wrong_arguments_are_refused(
    proto: onnx.ModelProto, arguments: dict[str, object], error: type[qir.QirError], told: str
) -> None:
    with pytest.raises(error, match=told):
        qir.compile(proto, **{"calibration": images(), **arguments})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "model", [b"", b"nonsense", "absent.onnx", 5, None, pytest.param(object(), id="object"), {}], ids=str
)
def test_what_is_no_model_is_refused(model: object) -> None:
    with pytest.raises(qir.ModelError):
        qir.compile(model)


def test_a_lifted_graph_is_bound_already(proto: onnx.ModelProto) -> None:
    with pytest.raises(qir.ModelError, match="already bound"):
        qir.compile(qir.lift(proto), shapes={"N": 1})


def test_results_say_which_inputs_they_want(net: qir.CompiledOnnx, tmp_path: Path) -> None:
    with pytest.raises(qir.DataError, match="x"):
        net.run({})
    with pytest.raises(qir.DataError):
        net.run({"x": np.zeros((1, 3, 6, 6), np.float32)})
    with pytest.raises(qir.OutputError, match="absent"):
        net.save(tmp_path / "absent" / "model.onnx")
