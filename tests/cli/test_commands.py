"""What the commands write and print."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import qir
from qir.backends.c.costs import read_costs
from qir.backends.onnx.module import OnnxModule
from qir.cli import command, main
from qir.debug.trace import Trace
from qir.onnxio.store import load_graph
from qir.passmanager.registry import pass_names
from qir.target import TARGETS
from tests.models import constant, images, model

Capture = pytest.CaptureFixture[str]


def test_version_and_help(capsys: Capture) -> None:
    assert 0 == main(["--version"])
    assert f"qir {qir.__version__}\n" == capsys.readouterr().out
    assert 0 == main([])
    assert "compile" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(set(command.commands) - {"targets"}))
def test_help_of_every_command_shows_examples_and_choices(capsys: Capture, name: str, folder: Path) -> None:
    assert 0 == main([name, "--help"])
    text = capsys.readouterr().out
    assert f"qir {name} " in text[text.index("Examples") :]
    assert all(target in text for target in TARGETS) or "--target" not in text


def test_targets_are_listed(capsys: Capture) -> None:
    assert 0 == main(["targets"])
    assert sorted(TARGETS) == [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert 0 == main(["targets", "--json"])
    assert TARGETS["onnx"].description == json.loads(capsys.readouterr().out)["onnx"]


def test_kernels_are_measured_and_chosen_by_what_they_cost(folder: Path, capsys: Capture) -> None:
    small = ["bench", "kernels", "lookup 64", "gemm 1x64x16", "--seconds", "0.0001"]
    assert 0 == main([*small, "--target", "portable", "--save", "made/costs.toml"])
    text = capsys.readouterr().out
    assert "gemm 1x64x16  gemm_u8__portable" in text
    assert "wrote made/costs.toml" in text
    assert {"gemm_u8__portable", "lookup_u8__portable"} <= set(read_costs("made/costs.toml"))
    given = ["compile", "model.onnx", "--calib", "images.npz", "--target", "portable", "--shape", "N=1", "-o", "net"]
    assert 0 == main([*given, "--costs", "made/costs.toml", "--explain"])
    assert " cycles)" in capsys.readouterr().out
    assert 0 == main([*small, "--target", "portable", "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert {"gemm 1x64x16", "lookup 64"} == {one["row"] for one in facts["measured"]}
    assert all(one["seconds"] > 0 for one in facts["measured"])


def test_module_runs_as_the_command() -> None:
    ran = subprocess.run([sys.executable, "-m", "qir", "--version"], capture_output=True, text=True, check=False)
    assert (0, f"qir {qir.__version__}\n", "") == (ran.returncode, ran.stdout, ran.stderr)


def test_compile_writes_a_model_that_runs(folder: Path, capsys: Capture) -> None:
    assert 0 == main(["compile", "model.onnx", "--calib", "images.npz", "--verify", "--report", "--explain"])
    text = capsys.readouterr().out
    assert "wrote model.qdq.onnx" in text
    assert "QLinearConv" in text
    assert "dB SQNR" in text
    result = OnnxModule(onnx.load("model.qdq.onnx")).run({"x": images(4)})
    assert (4, 3) == result["y"].shape


def test_compile_prints_one_json_object(folder: Path, capsys: Capture) -> None:
    assert 0 == main(["compile", "model.onnx", "--calib", "images.npz", "--json", "-o", "made/here/"])
    facts = json.loads(capsys.readouterr().out)
    assert [str(Path("made/here/model.qdq.onnx"))] == facts["paths"]
    assert Path(facts["paths"][0]).stat().st_size == facts["sizes"]["model"]
    assert "QLinearConv" in facts["runs_as"]
    assert "calibrate" in [row["pass"] for row in facts["passes"]]
    assert all(row["seconds"] >= 0 for row in facts["passes"])


def test_compile_without_data_says_so(folder: Path, capsys: Capture) -> None:
    assert 0 == main(["compile", "model.onnx"])
    assert "no calibration data" in capsys.readouterr().out


def test_compile_for_c_writes_a_folder(folder: Path, capsys: Capture) -> None:
    arguments = ["compile", "model.onnx", "--calib", "images.npz", "--target", "portable", "--shape", "N=1"]
    assert 0 == main([*arguments, "-o", "out", "--json", "--name", "tiny", "--explain"])
    facts = json.loads(capsys.readouterr().out)
    assert {"tiny.c", "tiny.h"} <= {Path(path).name for path in facts["paths"]}
    assert "arena" in facts["sizes"]
    assert facts["explain"]


def test_compile_for_a_microcontroller_with_an_example(folder: Path, capsys: Capture) -> None:
    arguments = ["compile", "model.onnx", "--calib", "images.npz", "--target", "cortex-m0", "--shape", "N=1"]
    assert 0 == main([*arguments, "-o", "out", "--example", "qemu", "--requantization", "float32", "--json"])
    paths = json.loads(capsys.readouterr().out)["paths"]
    assert {str(Path("out/net.c")), str(Path("out/qemu/Makefile"))} <= set(paths)
    assert "float32" == json.loads(Path("out/report.json").read_text())["requantization"]


def test_trace_is_written_and_can_be_gone_on_from(folder: Path, capsys: Capture) -> None:
    assert 0 == main(["compile", "model.onnx", "--calib", "images.npz", "--trace", "steps"])
    saved = sorted(Path("steps").glob("*-calibrate.onnx"))
    assert load_graph(saved[0]).ranges
    assert 0 == main(["opt", str(saved[0]), "--passes", "quantize", "--save-graph", "next.onnx"])
    assert "quant" == load_graph("next.onnx").stage.value


def test_an_override_keeps_a_layer_in_float(folder: Path, capsys: Capture) -> None:
    arguments = ["compile", "model.onnx", "--calib", "images.npz", "--json", "--override"]
    assert 0 == main([*arguments, "conv:float"])
    assert "QLinearConv" not in json.loads(capsys.readouterr().out)["runs_as"]


def test_compiling_twice_gives_the_same_bytes(folder: Path) -> None:
    for name in ("first.onnx", "second.onnx"):
        assert 0 == main(["compile", "model.onnx", "--calib", "images.npz", "-o", name])
    assert Path("first.onnx").read_bytes() == Path("second.onnx").read_bytes()


def test_opt_lists_every_pass_with_its_promise(capsys: Capture) -> None:
    assert 0 == main(["opt", "--list"])
    text = capsys.readouterr().out
    for name in pass_names():
        assert f"{name}  [" in text
    assert "method: minmax, percentile, mse, octav, entropy, or auto" in text


def test_opt_prints_the_graph_where_nothing_else_is_asked(folder: Path, capsys: Capture) -> None:
    assert 0 == main(["opt", "model.onnx", "--passes", "eliminate-dead-code"])
    assert capsys.readouterr().out.startswith("graph tiny(%x: float32[N,2,6,6]) -> (%y) stage=float")


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--print-before", "calibrate"], "// before"),
        (["--print-after", "quantize"], "stage=quant"),
        (["--print-after-all"], "// after 1 "),
        (["--print-changed"], "no change"),
        (["--time-passes"], "s  total"),
        (["--drift"], "dB"),
        (["--check-promises", "--print-changed"], "ranges changed"),
        (["--stop-below", "100"], "dB after pass"),
        (["--stop-below", "1"], "no layer falls below 1 dB"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_opt_shows_what_is_asked_for(folder: Path, capsys: Capture, arguments: list[str], shown: str) -> None:
    assert 0 == main(["opt", "model.onnx", "--calib", "images.npz", *arguments])
    assert shown in capsys.readouterr().out


def test_opt_runs_a_part_of_the_pipeline(folder: Path, capsys: Capture) -> None:
    three = "fold-constants,eliminate-identities,merge-duplicates"
    arguments = ["opt", "model.onnx", "--passes", three, "--time-passes"]
    assert 0 == main([*arguments, "--start-from", "eliminate-identities", "--stop-after", "eliminate-identities"])
    text = capsys.readouterr().out
    assert "eliminate-identities" in text
    assert "fold-constants" not in text
    assert "merge-duplicates" not in text


def test_opt_writes_onnx_and_dumps(folder: Path, capsys: Capture) -> None:
    assert 0 == main(["opt", "model.onnx", "--calib", "images.npz", "-o", "out.onnx", "--dump", "steps"])
    operators = {node.op_type for node in onnx.load("out.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= operators
    assert {"00-input.txt", "00-input.onnx"} <= {path.name for path in Path("steps").iterdir()}
    assert Trace.load("steps")["quantize"].changed


def test_a_dump_of_a_pipeline_that_fails_holds_the_steps_before(folder: Path, capsys: Capture) -> None:
    arguments = ["opt", "model.onnx", "--calib", "images.npz", "--dump", "steps", "--passes"]
    assert 0 != main([*arguments, "fold-constants,calibrate,lower-integer,round-weights"])
    trace = Trace.load("steps")
    assert ["fold-constants", "calibrate"] == [step.applied.name for step in trace]
    assert "lower-integer" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["onnx", "portable"])
def test_opt_verifies_every_value_of_every_graph(folder: Path, target: str) -> None:
    assert 0 == main(["opt", "model.onnx", "--calib", "images.npz", "--target", target, "--verify-each"])


def test_inspect_tells_what_the_model_holds(folder: Path, capsys: Capture) -> None:
    assert 0 == main(["inspect", "model.onnx", "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert {"x": "float32[N,2,6,6]"} == facts["inputs"]
    assert ["N"] == facts["symbols"]
    assert {"Conv": 1, "Relu": 1, "GlobalAveragePool": 1, "Flatten": 1, "Gemm": 1} == facts["operators"]
    assert 4 * 6 * 6 * 2 * 9 + 3 * 4 == facts["macs"]
    assert 4 * 2 * 9 + 4 + 3 * 4 + 3 == facts["parameters"]
    assert 4 * facts["parameters"] == facts["parameter_bytes"]
    assert {"": 17} == facts["opsets"]
    assert Path("model.onnx").stat().st_size == facts["file_bytes"]
    assert set(TARGETS) == {name for row in facts["placed"] for name in row["targets"]}
    assert 0 == main(["inspect", "model.onnx", "--target", "onnx"])
    assert "onnx: 5 of 5 nodes can run on 8-bit codes" in capsys.readouterr().out


def test_inspect_says_why_something_stays_float(folder: Path, capsys: Capture) -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["a"], "conv"), helper.make_node("Sin", ["a"], ["y"], "wave")]
    weights = [constant("w", np.ones((1, 2, 1, 1), np.float32))]
    onnx.save(model(nodes, {"x": [1, 2, 4, 4]}, {"y": [1, 1, 4, 4]}, weights), "wave.onnx")
    assert 0 == main(["inspect", "wave.onnx", "--target", "onnx"])
    assert "Sin (wave): onnx has no integer Sin" in capsys.readouterr().out


@pytest.mark.needs("cc")
def test_c_takes_one_sample_where_the_batch_is_open(folder: Path, capsys: Capture) -> None:
    arguments = ["compile", "model.onnx", "--calib", "images.npz", "--target", "portable", "-o", "out"]
    assert 0 == main([*arguments, "--verify", "--check-promises"])
    assert "dB SQNR" in capsys.readouterr().out
    assert 0 == main(["opt", "model.onnx", "--calib", "images.npz", "--target", "portable", "--drift"])
    assert "lower-integer" in capsys.readouterr().out


def test_inputs_of_other_types_are_shown(folder: Path, capsys: Capture) -> None:
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "i"], ["y"], "look-up")], "words",
        [helper.make_tensor_value_info("i", TensorProto.INT64, ["T"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["T", 4])],
        [constant("table", np.ones((5, 4), np.float32))],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "words.onnx")
    assert 0 == main(["inspect", "words.onnx"])
    assert "i: int64[T]" in capsys.readouterr().out
    assert 0 == main(["compile", "words.onnx", "--verify"])


@pytest.mark.needs("module:PIL")
def test_pictures_calibrate_a_model_that_takes_pixels(folder: Path, capsys: Capture) -> None:
    from PIL import Image

    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], "conv", kernel_shape=[3, 3])]
    weights = [constant("w", np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32))]
    onnx.save(model(nodes, {"x": ["N", 3, 8, 8]}, {"y": ["N", 4, 6, 6]}, weights), "photo.onnx")
    Path("photos").mkdir()
    random = np.random.default_rng(0)
    for number in range(5):
        Image.fromarray(random.integers(0, 256, (12, 10, 3), np.uint8)).save(f"photos/{number}.png")
    arguments = ["photo.onnx", "--calib", "photos", "--preprocess", "mean=124/116/104,std=58/57/57,size=8x8"]
    assert 0 == main(["compile", *arguments, "--verify", "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert facts["verify"]["y"]["sqnr_db"] > 25
    assert 1 == facts["runs_as"]["QLinearConv"]
    assert 0 == main(["opt", *arguments, "--drift"])
    assert "fold-preprocess" not in capsys.readouterr().out
