"""How the commands fail: one message, the right exit code, nothing half-written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import qir.api
from qir.cli import main
from tests.models import constant, images, model

Capture = pytest.CaptureFixture[str]


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
        (["compile", "model.onnx", "--weights", "text"], ["--weights", "auto"]),
        (["compile", "model.onnx", "--weights", "asm"], ["--weights is a form of C", "onnx"]),
        (["compile", "model.onnx", "--example", "qemu"], ["--example is a form of C", "onnx"]),
        (["compile", "model.onnx", "--requantization", "fixed"], ["requantization fixed", "onnx"]),
        (["compile", "model.onnx", "--recipe", "w9"], ["w9", "int8"]),
        (["compile", "model.onnx", "--recipe", "absent.toml"], ["absent.toml"]),
        (["compile", "model.onnx", "--override", "conv"], ["--override conv", "GLOB"]),
        (["compile", "model.onnx", "--override", "conv:bits=3"], ["bits", "weight_bits"]),
        (["compile", "model.onnx", "--override", "conv:weight_bits=9"], ["weight_bits", "8"]),
        (["compile", "model.onnx", "--override", "conv:range=a..b"], ["range"]),
        (["compile", "model.onnx", "--shape", "N"], ["--shape N=1"]),
        (["compile", "model.onnx", "--shape", "N=0"], ["dimension 'N' cannot be 0", "N=1"]),
        (["compile", "model.onnx", "--shape", "M=1"], ["'M'", "N"]),
        (["compile", "model.onnx", "--shape", "x=1,3,6,6"], ["'x'"]),
        (["compile", "model.onnx", "--bind", "sr"], ["--bind input=value"]),
        (["compile", "model.onnx", "--bind", "sr=1"], ["'sr'", "x"]),
        (["compile", "model.onnx", "--passes", "quantise"], ["quantise", "quantize"]),
        (["compile", "model.onnx", "--passes", "quantize{zeal=1}"], ["zeal", "symmetric"]),
        (["compile", "model.onnx", "--passes", "quantize{symmetric=maybe}"], ["maybe", "true or false"]),
        (["compile", "model.onnx", "--passes", "quantize{"], ["parse"]),
        (["compile", "model.onnx", "--costs", "costs.toml"], ["onnx", "costs"]),
        (["compile", "model.onnx", "--target", "portable", "--costs", "absent.toml"], ["absent.toml", "qir bench"]),
        (["bench", "kernels", "nonsense"], ["nonsense", "gemm 1x640x128"]),
        (["bench", "kernels", "--target", "onnx"], ["onnx", "portable"]),
        (["opt", "model.onnx", "--passes", "calibrate"], ["calibrate", "data"]),
        (["opt", "model.onnx", "--passes", "lower-integer"], ["lower-integer", "stage quant"]),
        (["opt", "model.onnx", "--stop-after", "lower-integer"], ["lower-integer", "not in the pipeline"]),
        (["opt", "model.onnx", "--passes", "fold-constants", "--print-after", "nonsense"], ["nonsense"]),
        (["compile", "model.onnx", "--calib", "absent.npz"], ["absent.npz"]),
        (["compile", "model.onnx", "--calib", "model.onnx"], ["model.onnx", ".npz"]),
        (["compile", "model.onnx", "--preprocess", "mean=0/0"], ["mean"]),
        (["compile", "model.onnx", "--preprocess", "mean"], ["--preprocess", "size=HxW"]),
        (["compile", "model.onnx", "--preprocess", "colour=RGB"], ["colour=RGB"]),
        (["compile", "model.onnx", "--preprocess", "size=ax2"], ["size=ax2"]),
        (["compile", "model.onnx", "-o", "model.onnx/x.onnx"], ["model.onnx", "not a folder"]),
        (["compile", "model.onnx", "--trace", "model.onnx/steps"], ["not a folder"]),
        (["opt", "model.onnx", "--dump", "images.npz/steps"], ["not a folder"]),
        (["opt", "model.onnx", "--dump", "."], ["is no trace"]),
        (["compile", "model.onnx", "--trace", "."], ["is no trace"]),
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


def test_an_operator_that_c_lacks(folder: Path, capsys: Capture) -> None:
    nodes = [helper.make_node("Bernoulli", ["x"], ["y"], "coin")]
    onnx.save(model(nodes, {"x": [1, 3]}, {"y": [1, 3]}), "coin.onnx")
    refused(capsys, ["compile", "coin.onnx", "--target", "portable", "-o", "out"], "coin", "Bernoulli")
    assert 0 == main(["inspect", "coin.onnx", "--target", "portable"])
    assert "no kernel: 1 Bernoulli" in capsys.readouterr().out


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
