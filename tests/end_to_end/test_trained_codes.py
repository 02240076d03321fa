"""Networks that were trained with few-bit codes go through the whole house as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import qir
from qir.evaluate import Runner
from qir.ir.graph import Graph
from qir.onnxio.lift import lift
from tests.onnxio.running import normal, parse
from tests.zoo_tasks import Task, accuracy

QONNX = {
    "quant": "qonnx.custom_op.general.Quant<narrow=1>(w{}, one, zero, two)",
    "bipolar": "qonnx.custom_op.general.BipolarQuant(w{}, one)",
}
NORM = "BatchNormalization(m{0}, g{0}, b{0}, mean{0}, var{0})"


def trained(activation: str, weight: str) -> onnx.ModelProto:
    """Quantized input, two layers with BatchNorm between them, a third and a scale behind it, as Brevitas exports."""
    body, x = "", "x"
    for number in range(3):
        quantize = QONNX[activation].replace("w{}", x)
        body += f"q{number} = {quantize} v{number} = {QONNX[weight].format(number)} t{number} = Transpose(v{number}) "
        body += f"m{number} = MatMul(q{number}, t{number}) "
        if number < 2:
            body += f"n{number} = {NORM.format(number)} "
            x = f"n{number}"
    text = f"g (float[N,20] x) => (float[N,5] y) {{ {body} s = Sub(m2, offset) y = Div(s, spread) }}"
    model = parse(text, imports=', "qonnx.custom_op.general": 1')
    sizes = (20, 16, 16, 5)
    arrays = {"one": 1.0, "zero": 0.0, "two": 2.0, "offset": [0.4], "spread": [17.8]}
    arrays |= {f"w{number}": 1.2 * normal(sizes[number + 1], sizes[number], seed=number) for number in range(3)}
    for number in range(2):
        arrays |= {f"{key}{number}": normal(16, seed=index) for index, key in enumerate(("g", "b", "mean"))}
        arrays[f"var{number}"] = 9 + normal(16, seed=7) ** 2
    for name, value in arrays.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value, np.float32), name))
    return model


def codes(graph: Graph) -> list[np.ndarray]:
    return [constant.codes for constant in graph.constants.values() if constant.codes is not None]


@pytest.mark.parametrize("weight", QONNX)
@pytest.mark.parametrize("activation", QONNX)
def test_what_comes_with_codes_is_not_rounded_again(activation: str, weight: str) -> None:
    model, x = trained(activation, weight), normal(2000, 20, seed=3)
    reference = Runner(lift(model))({"x": x})["y"]
    for data in (None, x[:64]):
        net = qir.compile(model, data)
        assert ["MatMul", "BatchNormalization"] * 2 + ["MatMul", "Sub", "Div"] == [node.op for node in net.graph.nodes]
        found = net.run({"x": x})["y"]
        np.testing.assert_allclose(found, reference, rtol=1e-5, atol=1e-6)
        assert [(16, 20), (16, 16), (5, 16)] == [array.T.shape for array in codes(net.graph)]
        assert all(np.abs(array.astype(int)).max() == 1 for array in codes(net.graph))
    assert "comes with codes" in " ".join(qir.compile(model).notes)


def test_layers_on_8_bit_codes_run_as_integers() -> None:
    """The BatchNorm joins the weight, the Relu the codes, and the bias is rounded: no samples are needed."""
    call, norm = "qonnx.custom_op.general.Quant", NORM.format(0)
    given = "float s = {0.05}, float z = {0}, float b = {8}, float[4,1,1,1] k = {0.01,0.02,0.03,0.04}, float t = {0.1}"
    model = parse(f"""g (float[1,3,8,8] x) => (float[1,4,6,6] y) <{given}> {{
        q = {call}<signed=0>(x, s, z, b) v0 = {call}<narrow=1>(w0, k, z, b) m0 = Conv(q, v0, bias) n = {norm}
        r = Relu(n) h = {call}<signed=0>(r, t, z, b) v1 = {call}<narrow=1>(w1, k, z, b) m1 = Conv(h, v1)
        y = {call}(m1, t, z, b) }}""", imports=', "qonnx.custom_op.general": 1')  # fmt: skip
    arrays = {"w0": normal(4, 3, 3, 3) / 2, "w1": normal(4, 4, 1, 1) / 4, "bias": normal(4), "var0": normal(4) ** 2 + 1}
    arrays |= {f"{key}0": normal(4, seed=index) for index, key in enumerate(("g", "b", "mean"))}
    for name, value in arrays.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    net, x = qir.compile(model), 3 * np.abs(normal(1, 3, 8, 8))
    assert ["Conv", "Conv"] == [node.op for node in net.graph.nodes]
    assert 3 == len(codes(net.graph))  # two weights, one bias
    assert "2 of 2 nodes run on integers" in str(net.fusion_report())
    # A bias moves by half a unit of the sums: so does a hidden value by at most one code, and with them the result.
    step, most = 0.1, np.abs(arrays["w1"]).sum(axis=1).max()
    reference = Runner(lift(model))({"x": x})["y"]
    np.testing.assert_allclose(net.run({"x": x})["y"], reference, rtol=0, atol=(most + 1) * step)


def test_weights_alone_are_rounded_where_that_is_asked() -> None:
    plain = parse("g (float[N,20] x) => (float[N,5] y) { q = qonnx.custom_op.general.BipolarQuant(x, one)"
                  " h = MatMul(q, v) y = MatMul(h, w) }", imports=', "qonnx.custom_op.general": 1')  # fmt: skip
    for name, value in {"one": np.float32(1), "v": normal(20, 20), "w": normal(20, 5, seed=1)}.items():
        plain.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    assert [] == codes(qir.compile(plain).graph)
    assert 2 == len(codes(qir.compile(plain, recipe="weights-int8").graph))


def classes(run: Any, name: str, batches: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([next(iter(run({name: batch}).values())) for batch in batches])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "plain", "expected"),
    [("TFC_1W1A", "tfc_w1a1_mnist", 0.9296), ("TFC_1W2A", None, 0.9474), ("TFC_2W2A", "tfc_w2a2_mnist", 0.9660)],
)
def test_trained_networks_keep_every_answer(name: str, plain: str | None, expected: float, zoo: Path) -> None:
    task = Task(zoo / (plain or "tfc_w1a1_mnist"))
    x = task.samples()
    one_by_one = [x[i : i + 1] for i in range(len(x))]
    model = zoo / "qonnx" / f"{name}.onnx"
    lifted = classes(Runner(lift(model)), "0", one_by_one)
    assert expected == pytest.approx(accuracy(lifted, task.labels), abs=1e-9)
    runs = {
        "compiled": (qir.compile(model), one_by_one),
        "with data": (qir.compile(model, one_by_one[:64]), one_by_one),
    }
    if plain is not None:
        session = ort.InferenceSession(task.model, providers=["CPUExecutionProvider"])
        reference = session.run(None, {"0": x})[0]
        np.testing.assert_array_equal(lifted.argmax(1), reference.argmax(1))
        runs["plain"] = (qir.compile(task.model), [x])
        runs["plain with data"] = (qir.compile(task.model, x[:128]), [x])
    for label, (net, batches) in runs.items():
        found = classes(net.run, "0", batches)
        np.testing.assert_array_equal(found.argmax(1), lifted.argmax(1), err_msg=label)
