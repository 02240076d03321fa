"""Ways in and out of a network in C: codes as the layers have them, inside the arena, states that are kept, static
memory."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from test_emitted import WARNINGS, run

import qir
from qir.errors import RecipeError
from tests.models import images, tiny_cnn

STEPS = 6


def compiled(way: str, **options: object) -> qir.CompiledC:
    made = qir.compile(tiny_cnn(), images(), target="portable", shapes={"N": 1}, io=way, **options)  # type: ignore[arg-type]
    assert isinstance(made, qir.CompiledC)
    return made


def built(made: qir.CompiledC, folder: Path, compiler: str, *flags: str) -> str:
    """What the self-test says; everything is free of warnings, in C++ too."""
    made.save(folder)
    files = ("net.c", "net_weights.c", "main.c")
    run(folder, compiler, "-std=c99", *WARNINGS, *flags, *files, "-lm", "-o", "test")
    run(folder, compiler, "-x", "c++", "-std=c++17", *WARNINGS, *flags, "-fsyntax-only", *files)
    return run(folder, "./test")


@pytest.mark.parametrize("recipe", ["int8", "float"])
def test_ways_differ_in_form_alone(recipe: str, compiler: str, tmp_path: Path) -> None:
    usual = compiled("model", recipe=recipe)
    (given,), (result,) = usual.program.inputs, usual.program.outputs
    sample = {given.name: images(1)}
    for way in ("native", "arena"):
        made = compiled(way, recipe=recipe)
        assert "PASSED" in built(made, tmp_path / way, compiler)
        np.testing.assert_array_equal(usual.run(sample)[result.name], made.run(sample)[result.name])
        watched = made.compare_layers(sample)
        assert watched.ok, watched
        assert watched.rows
        (port,) = made.program.inputs
        assert (0, 2, 3, 1) == port.order
        assert not made.program.entry
        assert ("uint8" if recipe == "int8" else "float32") == port.given().name
        if recipe == "int8":
            codes = {port.name: port.outward(port.inward(sample[port.name]), codes=True)}
            found = [one.module.run_codes(codes)[result.name] for one in (usual, made)]
            np.testing.assert_array_equal(*found)
    sizes = [compiled(way, recipe=recipe).arena_bytes for way in ("native", "model", "arena")]
    assert sizes == sorted(sizes)


def test_what_lies_in_the_arena_is_told(tmp_path: Path) -> None:
    made = compiled("arena")
    header = str(made.module.files()["net.h"])
    assert "int net_run(void *arena);" in header
    places = dict(re.findall(r"#define NET_(\w+)_OFFSET (\d+)", header))
    assert {f"IN_{made.module.names.inputs[0].upper()}", f"OUT_{made.module.names.outputs[0].upper()}"} == set(places)
    with pytest.raises(RecipeError, match="io 'arena' cannot be had for target x86"):
        qir.compile(tiny_cnn(), images(), target="x86", shapes={"N": 1}, io="arena")


def gru(random: np.random.Generator) -> onnx.ModelProto:
    """One step a run: x and the hidden state h to y and the next state."""
    weights = {name: random.standard_normal(shape).astype(np.float32) / 2
               for name, shape in (("w", (1, 24, 5)), ("r", (1, 24, 8)), ("v", (8, 3)))}  # fmt: skip
    nodes = [helper.make_node("GRU", ["x", "w", "r", "", "", "h"], ["", "next"], "gru", hidden_size=8),
             helper.make_node("Squeeze", ["next", "zero"], ["flat"], "squeeze"),
             helper.make_node("MatMul", ["flat", "v"], ["y"], "head")]  # fmt: skip
    values = {"x": (1, 1, 5), "h": (1, 1, 8), "y": (1, 3), "next": (1, 1, 8)}
    kinds = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in values.items()}
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    constants.append(numpy_helper.from_array(np.zeros(1, np.int64), "zero"))
    graph = helper.make_graph(nodes, "gru", [kinds["x"], kinds["h"]], [kinds["y"], kinds["next"]], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def causal(random: np.random.Generator) -> onnx.ModelProto:
    """A convolution over time that sees the last two steps of the run before: they are kept in a cache."""
    weight = random.standard_normal((6, 4, 3)).astype(np.float32) / 3
    nodes = [helper.make_node("Concat", ["h", "x"], ["both"], "join", axis=2),
             helper.make_node("Conv", ["both", "w"], ["y"], "conv"),
             helper.make_node("Slice", ["both", "from", "to", "axis"], ["next"], "last")]  # fmt: skip
    values = {"x": (1, 4, 3), "h": (1, 4, 2), "y": (1, 6, 3), "next": (1, 4, 2)}
    kinds = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in values.items()}
    numbers = {"from": 3, "to": 5, "axis": 2}
    constants = [numpy_helper.from_array(weight, "w"),
                 *(numpy_helper.from_array(np.array([value]), name) for name, value in numbers.items())]  # fmt: skip
    graph = helper.make_graph(nodes, "causal", [kinds["h"], kinds["x"]], [kinds["next"], kinds["y"]], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.mark.parametrize(("make", "recipe", "way"), [
    (gru, "float", "model"), (gru, "int8", "native"), (causal, "float", "arena"), (causal, "int8", "model"),
])  # fmt: skip
def test_a_state_is_kept_from_run_to_run(make: object, recipe: str, way: str, compiler: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    model = make(random)  # type: ignore[operator]
    shapes = {one.name: [dim.dim_value for dim in one.type.tensor_type.shape.dim] for one in model.graph.input}
    data = [{name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
            for _ in range(16)]  # fmt: skip
    made = qir.compile(model, data, target="portable", recipe=recipe, io=way, state={"next": "h"})
    assert isinstance(made, qir.CompiledC)
    kept = np.zeros(shapes["h"], np.float32)
    for number in range(STEPS):
        if number == STEPS - 2:
            made.reset()
            kept = np.zeros_like(kept)
        wanted = qir.evaluate_graph(made.graph, {"x": data[number]["x"], "h": kept})
        found = made.run({"x": data[number]["x"]})
        assert ["y"] == list(found)
        np.testing.assert_allclose(found["y"], wanted["y"], rtol=1e-5, atol=1e-6)
        kept = wanted["next"]
    assert np.abs(kept).max() > 0
    for given in ({"x": data[0]["x"]}, {"x": data[0]["x"], "h": kept}):
        watched = made.compare_layers(given)
        assert watched.ok, watched
    assert "3 input(s)" in str(made.module.files()["main.c"])
    assert "PASSED" in built(made, tmp_path, compiler, "-DNET_STATIC_ARENA")


def test_static_memory_is_there_only_where_it_is_asked_for(compiler: str, tmp_path: Path) -> None:
    made = qir.compile(gru(np.random.default_rng(1)), target="portable", recipe="float", state={"next": "h"})
    made.save(tmp_path)
    (tmp_path / "test.c").write_text(
        '#include "net.h"\nint main(void) {\n    float x[5] = {1, 2, 3, 4, 5}, first[3], second[3], third[3];\n'
        "    int i, wrong = net_run_static(x, first) | net_run_static(x, second);\n    net_reset_static();\n"
        "    wrong |= net_run_static(x, third);\n    for (i = 0; i < 3; ++i) {\n"
        "        wrong |= first[i] != third[i] || first[i] == second[i];\n    }\n    return wrong;\n}\n"
    )
    files = ("net.c", "net_weights.c", "test.c", "-lm", "-o", "test")
    run(tmp_path, compiler, "-std=c99", *WARNINGS, "-DNET_STATIC_ARENA", *files)
    run(tmp_path, "./test")
    run(tmp_path, compiler, "-std=c99", *WARNINGS, "-c", "net.c")
    assert not re.findall(r" [bBdDC] ", run(tmp_path, "nm", "net.o"))


@pytest.mark.parametrize(("state", "words"), [
    ({"nothing": "h"}, "'nothing' is no output of its own"), ({"next": "y"}, "'y' is no input of its own"),
    ({"y": "x"}, r"cannot become"), ({"next": "h", "y": "h"}, "'h' is no input of its own"),
])  # fmt: skip
def test_states_that_do_not_fit_are_refused(state: dict[str, str], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        qir.compile(gru(np.random.default_rng(1)), target="portable", recipe="float", state=state)


def test_forms_of_c_are_not_for_onnx() -> None:
    for option in ({"io": "native"}, {"state": {"next": "h"}}):
        with pytest.raises(RecipeError, match="target onnx makes none"):
            qir.compile(gru(np.random.default_rng(1)), recipe="float", **option)  # type: ignore[arg-type]
