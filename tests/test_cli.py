"""The command line: what it writes and prints, and how it fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import qir.api
from qir.backends.onnx.module import OnnxModule
from qir.cli import command, main
from qir.onnxio.store import load_graph
from qir.passmanager.registry import pass_names
from qir.target import TARGETS
from tests.models import constant, images, model, tiny_cnn

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with model.onnx and images.npz."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("QIR_DEBUG", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    onnx.save(tiny_cnn(), "model.onnx")
    np.savez("images.npz", x=images())
    return tmp_path


def refused(capsys: Capture, arguments: list[str], *parts: str) -> str:
    """Runs a command that must fail with exit code 2, one message on stderr and nothing written."""
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    assert 2 == main(arguments)
    told = capsys.readouterr()
    assert "" == told.out
    assert told.err.startswith("qir: ")
    assert 1 == told.err.count("\n"), told.err
    assert "Traceback" not in told.err
    for part in parts:
        assert part in told.err
    assert before == {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    return told.err


def test_version_and_help(capsys: Capture) -> None:
    assert 0 == main(["--version"])
    assert f"qir {qir.__version__}\n" == capsys.readouterr().out
    assert 0 == main([])
    assert "compile" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(command.commands))
def test_help_of_every_command_shows_examples_and_choices(capsys: Capture, name: str, folder: Path) -> None:
    assert 0 == main([name, "--help"])
    text = capsys.readouterr().out
    assert f"qir {name} model.onnx" in text
    assert all(target in text for target in TARGETS)


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
    assert "method: minmax, percentile or mse" in text


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
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_opt_shows_what_is_asked_for(folder: Path, capsys: Capture, arguments: list[str], shown: str) -> None:
    assert 0 == main(["opt", "model.onnx", "--calib", "images.npz", *arguments])
    assert shown in capsys.readouterr().out


def test_opt_runs_a_part_of_the_pipeline(folder: Path, capsys: Capture) -> None:
    arguments = ["opt", "model.onnx", "--passes", "fold-constants,eliminate-identities,merge-duplicates", "--time-passes"]
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


# What is wrong with the command line, the files or the data.


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["compile"], ["MODEL", "--help"]),
        (["compile", "model.onnx", "--bogus"], ["--bogus"]),
        (["bogus"], ["bogus"]),
        (["opt"], ["MODEL"]),
        (["compile", "absent.onnx"], ["absent.onnx", "cannot be read"]),
        (["inspect", "absent.onnx"], ["absent.onnx"]),
        (["compile", "model.onnx", "--target", "z80"], ["z80", "onnx"]),
        (["inspect", "model.onnx", "--target", "z80"], ["z80", "onnx"]),
        (["compile", "model.onnx", "--recipe", "w9"], ["w9", "int8"]),
        (["compile", "model.onnx", "--recipe", "absent.toml"], ["absent.toml"]),
        (["compile", "model.onnx", "--override", "conv"], ["--override conv", "GLOB"]),
        (["compile", "model.onnx", "--override", "conv:bits=3"], ["bits", "weight_bits"]),
        (["compile", "model.onnx", "--override", "conv:weight_bits=5"], ["weight_bits", "8"]),
        (["compile", "model.onnx", "--override", "conv:range=a..b"], ["range"]),
        (["compile", "model.onnx", "--shape", "N"], ["--shape N=1"]),
        (["compile", "model.onnx", "--shape", "M=1"], ["'M'", "N"]),
        (["compile", "model.onnx", "--shape", "x=1,3,6,6"], ["'x'"]),
        (["compile", "model.onnx", "--bind", "sr"], ["--bind input=value"]),
        (["compile", "model.onnx", "--bind", "sr=1"], ["'sr'", "x"]),
        (["compile", "model.onnx", "--passes", "quantise"], ["quantise", "quantize"]),
        (["compile", "model.onnx", "--passes", "quantize{zeal=1}"], ["zeal", "symmetric"]),
        (["compile", "model.onnx", "--passes", "quantize{symmetric=maybe}"], ["maybe", "true or false"]),
        (["compile", "model.onnx", "--passes", "quantize{"], ["parse"]),
        (["opt", "model.onnx", "--passes", "calibrate"], ["calibrate", "data"]),
        (["opt", "model.onnx", "--passes", "lower-integer"], ["lower-integer", "stage quant"]),
        (["opt", "model.onnx", "--stop-after", "lower-integer"], ["lower-integer", "not in the pipeline"]),
        (["opt", "model.onnx", "--passes", "fold-constants", "--print-after", "nonsense"], ["nonsense"]),
        (["compile", "model.onnx", "--calib", "absent.npz"], ["absent.npz"]),
        (["compile", "model.onnx", "--calib", "model.onnx"], ["model.onnx", ".npz"]),
        (["compile", "model.onnx", "--calib", "images.npz", "--preprocess", "mean=0"], ["pictures"]),
        (["compile", "model.onnx", "--preprocess", "mean"], ["--preprocess", "size=HxW"]),
        (["compile", "model.onnx", "--preprocess", "colour=RGB"], ["colour=RGB"]),
        (["compile", "model.onnx", "--preprocess", "size=ax2"], ["size=ax2"]),
        (["compile", "model.onnx", "-o", "model.onnx/x.onnx"], ["model.onnx", "not a folder"]),
        (["compile", "model.onnx", "--trace", "model.onnx/steps"], ["not a folder"]),
        (["opt", "model.onnx", "--dump", "images.npz/steps"], ["not a folder"]),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_told_in_one_message(
    folder: Path, capsys: Capture, arguments: list[str], parts: list[str]
) -> None:
    refused(capsys, arguments, *parts)


def test_a_file_that_is_no_model(folder: Path, capsys: Capture) -> None:
    Path("text.onnx").write_text("hello, this is not protobuf")
    refused(capsys, ["compile", "text.onnx"], "text.onnx", "not an ONNX model")
    Path("empty.onnx").write_bytes(b"")
    refused(capsys, ["inspect", "empty.onnx"], "empty.onnx", "not an ONNX model")


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_a_model_that_was_cut_off(folder: Path, capsys: Capture, share: float) -> None:
    whole = Path("model.onnx").read_bytes()
    Path("cut.onnx").write_bytes(whole[: int(len(whole) * share)])
    refused(capsys, ["compile", "cut.onnx", "--calib", "images.npz"], "cut")


def test_a_model_that_contradicts_itself(folder: Path, capsys: Capture) -> None:
    dangling = model([helper.make_node("Relu", ["nowhere"], ["y"], "lost")], {"x": [1, 2]}, {"y": [1, 2]})
    onnx.save(dangling, "dangling.onnx")
    refused(capsys, ["compile", "dangling.onnx"], "nowhere")
    twice = model([helper.make_node("Relu", ["x"], ["y"], name) for name in "ab"], {"x": [1, 2]}, {"y": [1, 2]})
    onnx.save(twice, "twice.onnx")
    refused(capsys, ["compile", "twice.onnx"], "y")
    clash = model([helper.make_node("MatMul", ["x", "w"], ["y"], "product")], {"x": [1, 2]}, {"y": [1, 2]},
                  [constant("w", np.ones((3, 2), np.float32))])  # fmt: skip
    onnx.save(clash, "clash.onnx")
    np.save("pair.npy", np.ones((4, 2), np.float32))
    refused(capsys, ["compile", "clash.onnx", "--calib", "pair.npy"], "product")


@pytest.mark.parametrize(
    ("arrays", "parts"),
    [
        ({"image": images()}, ["image", "'x'"]),
        ({"x": images(), "label": np.zeros(24)}, ["label"]),
        ({"x": np.zeros((4, 3, 6, 6), np.float32)}, ["'x'", "axis 1"]),
        ({"x": np.zeros((4, 6, 6, 2), np.float32)}, ["NHWC"]),
        ({"x": np.array(["a", "b"])}, ["'x'"]),
        ({"x": images().astype(np.complex64)}, ["complex64", "float32"]),
        ({"x": np.full((4, 2, 6, 6), np.nan, np.float32)}, ["'x'", "NaN"]),
        ({"x": np.full((4, 2, 6, 6), np.inf, np.float32)}, ["'x'", "Inf"]),
        ({"x": np.zeros((0, 2, 6, 6), np.float32)}, ["no samples"]),
        ({}, ["'x'"]),
    ],
    ids=["wrong name", "extra name", "shape", "layout", "text", "type", "nan", "inf", "empty", "nothing"],
)
def test_data_that_does_not_fit(folder: Path, capsys: Capture, arrays: dict[str, np.ndarray], parts: list[str]) -> None:
    np.savez("bad.npz", **arrays)
    refused(capsys, ["compile", "model.onnx", "--calib", "bad.npz"], *parts)


def test_nan_in_a_late_batch_is_found(folder: Path, capsys: Capture) -> None:
    data = images(100)
    data[99, 0, 0, 0] = np.nan
    np.savez("late.npz", x=data)
    refused(capsys, ["compile", "model.onnx", "--calib", "late.npz"], "'x'", "NaN")


def test_a_folder_without_pictures(folder: Path, capsys: Capture) -> None:
    Path("photos").mkdir()
    refused(capsys, ["compile", "model.onnx", "--calib", "photos"], "photos", "pictures")


def test_c_needs_every_size(folder: Path, capsys: Capture) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"], "relu")]
    onnx.save(model(nodes, {"x": ["N", "width"]}, {"y": ["N", "width"]}), "open.onnx")
    refused(capsys, ["compile", "open.onnx", "--target", "portable", "-o", "out"], "'x'", "width")


@pytest.mark.needs("cc")
def test_c_takes_one_sample_where_the_batch_is_open(folder: Path, capsys: Capture) -> None:
    arguments = ["compile", "model.onnx", "--calib", "images.npz", "--target", "portable", "-o", "out"]
    assert 0 == main([*arguments, "--verify", "--check-promises"])
    assert "dB SQNR" in capsys.readouterr().out
    assert 0 == main(["opt", "model.onnx", "--calib", "images.npz", "--target", "portable", "--drift"])
    assert "lower-integer" in capsys.readouterr().out


def test_an_operator_that_c_lacks(folder: Path, capsys: Capture) -> None:
    nodes = [helper.make_node("Det", ["x"], ["y"], "determinant")]
    onnx.save(model(nodes, {"x": [1, 3, 3]}, {"y": [1]}), "det.onnx")
    refused(capsys, ["compile", "det.onnx", "--target", "portable", "-o", "out"], "determinant", "Det")
    assert 0 == main(["inspect", "det.onnx", "--target", "portable"])
    assert "no kernel: 1 Det" in capsys.readouterr().out


def test_integer_graphs_are_not_written_as_onnx(folder: Path, capsys: Capture) -> None:
    arguments = ["opt", "model.onnx", "--calib", "images.npz", "--target", "portable", "--shape", "N=1"]
    refused(capsys, [*arguments, "-o", "out.onnx"], "ONNX")


def test_an_unwritable_file_leaves_the_old_one(folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("out.onnx").write_bytes(b"old")

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    assert 2 == main(["compile", "model.onnx", "-o", "out.onnx"])
    assert "No space left" in capsys.readouterr().err
    assert b"old" == Path("out.onnx").read_bytes()
    assert not [path for path in folder.iterdir() if path.name.endswith(".tmp")]


def test_an_unwritable_place_is_found_before_the_work(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    monkeypatch.setattr(qir.api, "compile", None)
    refused(capsys, ["compile", "model.onnx", "-o", "out.onnx"], "out.onnx", "permission")


# What is wrong with qir, and interruptions.


def raising(error: BaseException) -> object:
    def function(*arguments: object, **options: object) -> None:
        raise error

    return function


def test_an_internal_error_asks_to_be_reported(folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qir.api, "compile", raising(ZeroDivisionError("division by zero")))
    assert 1 == main(["compile", "model.onnx"])
    told = capsys.readouterr().err
    assert "ZeroDivisionError" in told
    assert "report" in told
    assert "Traceback" not in told


@pytest.mark.parametrize("how", ["option", "variable"])
def test_debug_shows_where_an_error_arose(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "variable":
        monkeypatch.setenv("QIR_DEBUG", "1")
    assert 2 == main(["compile", "absent.onnx", *(["--debug"] if how == "option" else [])])
    assert "Traceback" in capsys.readouterr().err


def test_interruption_ends_with_130(folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qir.api, "compile", raising(KeyboardInterrupt()))
    assert 130 == main(["compile", "model.onnx", "-o", "out.onnx"])
    assert "qir: interrupted\n" == capsys.readouterr().err
    assert not Path("out.onnx").exists()


def test_a_reader_that_has_seen_enough_is_no_error(folder: Path) -> None:
    command_line = [sys.executable, "-m", "qir", "opt", "--list"]
    with subprocess.Popen(command_line, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        told = process.stderr.read()
    assert b"" == told
    assert 0 == process.returncode


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
