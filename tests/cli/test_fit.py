"""`qir inspect` with a board's limits: exact sizes before anything is built, a verdict, and advice that holds."""

from __future__ import annotations

import json
import re
from pathlib import Path

import onnx
import pytest

import qir
from qir.cli import main
from tests.models import images, tiny_cnn

Capture = pytest.CaptureFixture[str]
MODEL = ["inspect", "model.onnx", "--target", "cortex-m4"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    onnx.save(tiny_cnn(), "model.onnx")
    return tmp_path


def told(capsys: Capture, *arguments: str) -> dict[str, object]:
    assert 0 == main([*MODEL, *arguments, "--json"])
    found: dict[str, object] = json.loads(capsys.readouterr().out)["fit"]
    return found


def test_sizes_are_those_of_what_is_compiled(capsys: Capture) -> None:
    found = told(capsys)
    net = qir.compile("model.onnx", images(), target="cortex-m4")
    assert isinstance(net, qir.CompiledC)
    assert (net.arena_bytes, net.weight_bytes) == (found["arena_bytes"], found["weight_bytes"])
    assert found["io_bytes"] == sum(port.elements for port in net.program.ports)
    assert found["macs"] == net.program.macs
    assert found["fits"] is None
    assert isinstance(found["layers"], list)
    assert [call.node for call in net.program.every_call] == [layer["node"] for layer in found["layers"]]
    assert net.weight_bytes == sum(layer["weight_bytes"] for layer in found["layers"])
    assert 0 <= net.arena_bytes - max(layer["arena_bytes"] for layer in found["layers"]) < 16  # places are aligned


@pytest.mark.needs("arm-none-eabi-gcc")
def test_code_is_estimated(capsys: Capture) -> None:
    found, net = told(capsys), qir.compile("model.onnx", images(), target="cortex-m4")
    assert isinstance(net, qir.CompiledC)
    assert net.code_bytes is not None
    assert isinstance(found["code_bytes"], int)
    assert 0.65 * net.code_bytes < found["code_bytes"] < 1.35 * net.code_bytes


def test_limits_are_answered(capsys: Capture) -> None:
    assert 0 == main([*MODEL, "--ram", "64k", "--flash", "64Ki"])
    assert "It fits." in capsys.readouterr().out
    found = told(capsys, "--flash", "1k")
    assert found["fits"] is False
    advice = "\n".join(map(str, found["advice"]))  # type: ignore[call-overload]
    assert "recipe ternary takes" in advice
    assert "of the weights have to go" in advice
    taken = int(str(told(capsys)["ram_bytes"]))
    advice = "\n".join(map(str, told(capsys, "--ram", str(taken - 40))["advice"]))  # type: ignore[call-overload]
    way, goal = re.findall(r"--io (\w+) --max-ram (\d+) takes", advice)[0]
    smaller = qir.compile("model.onnx", images(), target="cortex-m4", io=way, max_ram=int(goal))
    assert isinstance(smaller, qir.CompiledC)
    assert smaller.arena_bytes <= int(goal)


def test_limits_need_a_board(capsys: Capture) -> None:
    for arguments in (["inspect", "model.onnx", "--ram", "1k"], [*MODEL[:-1], "onnx", "--flash", "1k"]):
        assert 2 == main(arguments)
        assert "Give one --target that makes C" in capsys.readouterr().err
