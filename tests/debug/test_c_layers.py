"""The emitted C held to its reference: healthy networks agree, and each fault is named where it was put."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

import qir
from qir.api import CompiledC
from qir.backends.c.edits import saved_files
from qir.backends.c.emitting.emit import constant_names
from qir.backends.c.isas import on_this_processor
from qir.backends.c.program import Input, Program, Scratch
from qir.debug.c_layers import CComparison, CRow, compare_layers
from qir.errors import BuildError, DataError
from tests.models import constant, model, tiny_cnn

WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")
SHAPE = (1, 3, 8, 8)


def samples(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, *SHAPE[1:])).astype(np.float32)


def compiled(nodes: list[tuple[str, list[str], list[str], dict[str, object]]], weights: dict[str, np.ndarray],
             outputs: dict[str, list[int | str]], recipe: str = "int8", target: str = "portable",
             ) -> CompiledC:  # fmt: skip
    made = [helper.make_node(op, inputs, results, results[0], **attrs) for op, inputs, results, attrs in nodes]
    net = model(made, {"x": list(SHAPE)}, outputs, [constant(name, value) for name, value in weights.items()])
    calibration = samples(16) if recipe != "float" else None
    found = qir.compile(net, calibration, target=target, recipe=recipe)
    assert isinstance(found, CompiledC)
    return found


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    fan = int(np.prod(shape[1:])) or 1
    return (np.random.default_rng(seed).standard_normal(shape) / np.sqrt(fan)).astype(np.float32)


@lru_cache
def residual(recipe: str = "int8", target: str = "portable") -> CompiledC:
    """Convolution, depthwise, pointwise, a residual sum, two pools and a product: channels last, rows permuted."""
    pads: dict[str, object] = {"pads": [1, 1, 1, 1]}
    window: dict[str, object] = {"kernel_shape": [2, 2], "strides": [2, 2]}
    return compiled(
        [("Conv", ["x", "w1", "b1"], ["first"], pads), ("Relu", ["first"], ["r1"], {}),
         ("Conv", ["r1", "w2", "b2"], ["depthwise"], {**pads, "group": 8}), ("Relu", ["depthwise"], ["r2"], {}),
         ("Conv", ["r2", "w3", "b3"], ["pointwise"], {}), ("Add", ["r1", "pointwise"], ["sum"], {}),
         ("AveragePool", ["sum"], ["pool"], window), ("MaxPool", ["pool"], ["most"], window),
         ("Flatten", ["most"], ["flat"], {}), ("Tanh", ["flat"], ["tanh"], {}),
         ("Gemm", ["tanh", "w4", "b4"], ["head"], {})],
        {"w1": drawn(8, 3, 3, 3), "b1": drawn(8), "w2": drawn(8, 1, 3, 3, seed=1), "b2": drawn(8, seed=1),
         "w3": drawn(8, 8, 1, 1, seed=2), "b3": drawn(8, seed=2), "w4": drawn(32, 5, seed=3), "b4": drawn(5, seed=3)},
        {"head": [1, 5], "most": [1, 8, 2, 2]}, recipe, target,
    )  # fmt: skip


@lru_cache
def split(recipe: str = "int8") -> CompiledC:
    """Two results of one node, an unplanned order (the sum over channels is taken plain) and several outputs."""
    return compiled(
        [("Conv", ["x", "w"], ["conv"], {}), ("Split", ["conv"], ["left", "right"], {"axis": 1}),
         ("Sigmoid", ["left"], ["gate"], {}), ("Mul", ["gate", "right"], ["gated"], {}),
         ("Reshape", ["gated", "shape"], ["rows"], {}), ("Softmax", ["rows"], ["soft"], {"axis": -1}),
         ("TopK", ["soft", "k"], ["best", "places"], {}), ("Neg", ["gated"], ["minus"], {})],
        {"w": drawn(8, 3, 1, 1), "shape": np.array([1, -1]), "k": np.array([3])},
        {"best": [1, 3], "minus": [1, 4, 8, 8]}, recipe,
    )  # fmt: skip


@lru_cache
def in_place(recipe: str = "float") -> CompiledC:
    """A chain of element-wise nodes in the bytes of one value, no two of them a function of one value's codes."""
    ops = ("Tanh", "Mul", "Softsign", "Mul", "Exp")
    nodes: list[tuple[str, list[str], list[str], dict[str, object]]] = [("Conv", ["x", "w"], ["n0"], {})]
    nodes += [(op, [f"n{i}", "c"][: 2 if op == "Mul" else 1], [f"n{i + 1}"], {}) for i, op in enumerate(ops)]
    nodes.append(("Add", [f"n{len(ops)}", "n0"], ["y"], {}))
    return compiled(nodes, {"w": drawn(4, 3, 1, 1), "c": drawn(1, 4, 1, 1)}, {"y": [1, 4, 8, 8]}, recipe)


def compare(
    net: CompiledC, count: int = 1, folder: Path | None = None, flags: tuple[str, ...] = ("-O0",)
) -> CComparison:
    """Built without optimization, which takes longer than these networks run."""
    return compare_layers(net.module, net.graph, {"x": samples(count)}, folder=folder, flags=flags)


def test_kernels_with_packed_weights_are_compared_too(tmp_path: Path) -> None:
    """Codes lie in memory as portable kernels leave them, however weights are packed; a call that computes both a
    convolution and the sum that follows it is held to both, on the operands that it was given."""
    if not on_this_processor():
        pytest.skip("this processor has no vector instructions that qir has kernels for")
    net = residual(target="native")
    found = compare(net, 3)
    assert found.ok
    assert "sum" not in {row.node for row in compare(residual(), 3).rows}
    folder = net.save(tmp_path)
    edit(folder / "net_weights.c", r"(\bint32_t \w+\[\d+\] = \{\s+)(-?\d+)", lambda m: f"{m[1]}{int(m[2]) + 9000}")
    found = compare(net, 3, folder=folder)
    assert [row.node for row in found.rows if row.departs] == ["first"]
    assert all(row.accumulated.count for row in found.rows if row.value == "sum")


@pytest.mark.parametrize("recipe", ["int8", "float"])
@pytest.mark.parametrize("net", [residual, split, in_place], ids=lambda net: net.__name__)
def test_healthy_networks_agree(net: Callable[[str], CompiledC], recipe: str) -> None:
    one = net(recipe)
    found = compare(one, 3)
    assert found.ok
    assert found.first is None
    assert str(found) == f"All {len(found.rows)} results agree with the reference, over 3 samples."
    program = one.module.program
    assert [(row.node, row.value) for row in found.rows] == [
        (call.node, value) for call in program.every_call for value in call.writes
    ]
    assert all(row.elements % 3 == 0 and not row.isolated.count for row in found.rows)
    assert all(row.origin or row.node.startswith("x") for row in found.rows)  # what is done to an input


def test_every_result_and_border_is_seen() -> None:
    values = {row.value: row for row in compare(split()).rows}
    program = split().module.program
    assert {"left", "right"} <= {program.stored[name].holds for name in values}
    assert any(row.op == "qir.Quantize" for row in values.values())
    assert "minus" in values
    chain = in_place("float").module.program.values
    assert len({chain[f"n{i}"] for i in range(1, 6)}) == 1
    assert residual().module.program.stored["tanh"].rows is not None


@pytest.mark.parametrize("recipe", ["int8", "float"])
def test_builds_without_warnings(recipe: str, compiler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", compiler)
    assert compare(residual(recipe), flags=("-std=c99", "-O3", *WARNINGS)).ok


def symbol(program: Program, op: str, role: str) -> str:
    """The name of what the first call of an operator reads as `role`."""
    uses = constant_names(program, "net")
    return next(name for name, users in uses.items() if any((c.op, r) == (op, role) for c, r in users))


def edit(path: Path, pattern: str, replacement: str | Callable[[re.Match[str]], str]) -> None:
    text, count = re.subn(pattern, replacement, path.read_text(), count=1, flags=re.S)
    assert count == 1, f"{pattern} is not in {path.name}"
    path.write_text(text)


def wrong_weight(folder: Path, program: Program) -> tuple[str, str]:
    name = symbol(program, "qir.IntConv", "weights")
    edit(folder / "net_weights.c", rf"(\b{name}\[\d+\] = \{{\s+)(-?\d+)",
         lambda m: m[1] + ("-100" if int(m[2]) > 0 else "100"))  # fmt: skip
    return "first", f"net_weights.c differs from what qir emits in array {name} (weights of first)"


def wrong_bias(folder: Path, program: Program) -> tuple[str, str]:
    name = symbol(program, "qir.IntGemm", "bias")
    edit(folder / "net_weights.c", rf"(\b{name}\[\d+\] = \{{\s+)(-?\d+)", lambda m: f"{m[1]}{int(m[2]) + 90000}")
    return "head", f"array {name} (bias of head)"


def wrong_kernel(folder: Path, program: Program) -> tuple[str, str]:
    at_end = "\n    y[-1] = (uint8_t)(y[-1] + 1);\n}\n"
    edit(folder / "net_kernels.h", r"(static void net_conv_u8s8_depthwise_u8__portable\(.*?)\n\}\n", rf"\1{at_end}")
    return "depthwise", "definition net_conv_u8s8_depthwise_u8__portable (kernel of depthwise)"


def wrong_multiplier(folder: Path, program: Program) -> tuple[str, str]:
    edit(folder / "net.c", r"(/\* own_multiplier \*/ )([\d.e-]+)f", lambda m: f"{m[1]}{2 * float(m[2])}f")
    return "pointwise", "struct net_s"


def wrong_entry(folder: Path, program: Program) -> tuple[str, str]:
    name = symbol(program, "qir.Quantize", "numbers")
    edit(folder / "net.c", rf"( {name} = .*?zero_point \*/ )(\d+)", lambda m: f"{m[1]}{int(m[2]) + 1}")
    return program.entry[0].node, f"struct {name} (numbers of {program.entry[0].node})"


def wrong_leave(folder: Path, program: Program) -> tuple[str, str]:
    name = symbol(program, "qir.Dequantize", "zero points")
    edit(folder / "net_weights.c", rf"(\b{name}\[1\] = \{{\s+)(-?\d+)", lambda m: f"{m[1]}{int(m[2]) + 1}")
    return program.leave[0].node, f"array {name} (zero points of"


def one_past(folder: Path, program: Program) -> tuple[str, str]:
    edit(folder / "net_kernels.h", r"(static void net_conv_u8s8_depthwise_u8__portable\(.*?)\n\}\n",
         r"\1\n    y[pixels * channels] ^= 1;\n}\n")  # fmt: skip
    return "depthwise", "writes 1 byte of"


def far_past(folder: Path, program: Program) -> tuple[str, str]:
    edit(folder / "net_kernels.h", r"(static void net_conv_u8s8_depthwise_u8__portable\(.*?)\n\}\n",
         r"\1\n    y[NET_ARENA_BYTES] = 1;\n}\n")  # fmt: skip
    return "depthwise", "outside of every array"


def not_all_written(folder: Path, program: Program) -> tuple[str, str]:
    name = symbol(program, "qir.Dequantize", "numbers")
    edit(folder / "net.c", rf"( {name} = .*?size \*/ \{{[1, ]*)8, 4", r"\g<1>7, 4")
    return program.leave[0].node, "4 of 32 elements depart (first at [0, 7, 0, 0]"


Fault = Callable[[Path, Program], tuple[str, str]]
FAULTS: tuple[Fault, ...] = (wrong_weight, wrong_bias, wrong_kernel, wrong_multiplier, wrong_entry, wrong_leave,
                             one_past, far_past, not_all_written)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_faults_are_named(fault: Fault, tmp_path: Path) -> None:
    net = residual()
    folder = net.save(tmp_path / "c")
    node, evidence = fault(folder, net.module.program)
    found = compare(net, folder=folder)
    first = found.first
    assert first is not None
    assert not found.ok
    assert [row.node for row in found.rows if row.departs] == [node]
    assert str(found).startswith(f"{node}: ")
    assert f"in kernel {first.kernel}" in str(found)
    assert evidence in str(found)
    assert found.edits
    json.dumps(found.as_json())


def test_what_follows_a_fault_departs_only_since_the_input(tmp_path: Path) -> None:
    net = residual()
    folder = net.save(tmp_path)
    wrong_weight(folder, net.module.program)
    found = compare(net, 4, folder=folder)
    rows: dict[str, CRow] = {row.node: row for row in found.rows}
    assert 0 < rows["first"].isolated.count == rows["first"].accumulated.count
    assert rows["depthwise"].accumulated.count > 0 == rows["depthwise"].isolated.count
    shown = rows["first"].isolated
    assert shown.sample == 0
    assert len(shown.at) == 4
    assert shown.largest >= abs(shown.expected - shown.found) > 0
    assert found.samples == 4
    assert "of sample 0" in str(found)


def test_a_value_that_is_still_needed_is_named_with_what_damaged_it(tmp_path: Path) -> None:
    net = residual()
    program = net.module.program
    folder = net.save(tmp_path)
    call = next(call for call in program.calls if call.node == "depthwise")
    kept, own = (program.buffers[program.values[arg]].offset for arg in (call.reads[0], call.writes[0]))
    edit(folder / "net_kernels.h", r"(static void net_conv_u8s8_depthwise_u8__portable\(.*?) \{\n",
         rf"\1 {{\n    uint8_t *const other = y + ({kept - own} + 3);\n")  # fmt: skip
    edit(folder / "net_kernels.h", r"(static void net_conv_u8s8_depthwise_u8__portable\(.*?)\n\}\n",
         r"\1\n    *other ^= 1;\n}\n")  # fmt: skip
    found = compare(net, folder=folder)
    assert found.first is not None
    assert found.first.node == "depthwise"
    (stray,) = found.first.strays
    assert (stray.where, stray.name, stray.offset, stray.count) == ("value", call.reads[0], 3, 1)
    assert [row.node for row in found.rows if row.departs] == ["depthwise"]


def test_results_that_are_overwritten_later(tmp_path: Path) -> None:
    net = in_place("int8")
    program = net.module.program
    assert len({program.values[f"n{i}"] for i in range(1, 6)}) == 1
    folder = net.save(tmp_path)
    uses = constant_names(program, "net").items()
    name = next(name for name, users in uses if [(call.node, role) for call, role in users] == [("n3", "table")])
    edit(folder / "net_weights.c", rf"(\b{name}\[\d+\] = \{{)(.*?)(\}};)",
         lambda m: m[1] + re.sub(r"\d+", lambda n: str(255 - int(n[0])), m[2]) + m[3])  # fmt: skip
    assert [row.node for row in compare(net, folder=folder).rows if row.departs] == ["n3"]


def test_further_results_of_a_node(tmp_path: Path) -> None:
    net = split()
    folder = net.save(tmp_path)
    call = next(call for call in net.module.program.calls if call.op == "TopK")
    function = call.kernel.emitted.replace("qir_", "net_")
    edit(folder / "net.c", rf"(\b{function}\([^;]*?([^,]*)\);\n)", r"\1    *(\2) += 1;\n")
    (wrong,) = [row for row in compare(net, folder=folder).rows if row.departs]
    assert (wrong.node, wrong.value, wrong.isolated.count) == ("best", "places", 1)


def test_wrong_operands_that_the_reference_refuses(tmp_path: Path) -> None:
    net = compiled(
        [("Flatten", ["x"], ["flat"], {}), ("ArgMax", ["flat"], ["place"], {"axis": 1}),
         ("Gather", ["table", "place"], ["y"], {})], {"table": drawn(192)}, {"y": [1, 1]}, "float",
    )  # fmt: skip
    folder = net.save(tmp_path)
    edit(folder / "net.c", r'(NET_LAYER\(\d+, "place", ([^;]*), 8\);\n)', r"*(\2) = 1000;\n    \1")
    found = compare(net, folder=folder)
    assert [row.node for row in found.rows if row.departs] == ["place"]
    assert "1000 instead of" in str(found)


def test_batches() -> None:
    random = np.random.default_rng(0)
    found = qir.compile(tiny_cnn(batch=2), random.standard_normal((8, 2, 6, 6)).astype(np.float32), target="portable")
    assert isinstance(found, CompiledC)
    x = random.standard_normal((6, 2, 6, 6)).astype(np.float32)
    assert compare_layers(found.module, found.graph, {"x": x}).samples == 3
    with pytest.raises(DataError, match=r"\[5, 2, 6, 6\] was given, \[2, 2, 6, 6\]"):
        compare_layers(found.module, found.graph, {"x": x[:5]})


def test_scratch_may_be_written() -> None:
    calls = residual().module.program.calls
    assert any(isinstance(arg, Scratch) for call in calls for arg in call.args)
    assert compare(residual()).ok


def test_float_tolerance(tmp_path: Path) -> None:
    net = residual("float")
    folder = net.save(tmp_path)
    edit(folder / "net_weights.c", r"(\bnet_w0\[\d+\] = \{\s+)(-?[\d.]+)f", lambda m: f"{m[1]}{float(m[2]) + 0.01}f")
    found = compare(net, folder=folder)
    assert found.first is not None
    assert found.first.node == net.module.program.calls[1 if "Reorder" in net.module.program.calls[0].op else 0].node


def test_edits_that_change_no_number(tmp_path: Path) -> None:
    net = residual()
    folder = net.save(tmp_path)
    edit(folder / "net.c", r"/\* To watch", "/* to watch")
    (folder / "own.h").write_text("/* mine */\n")
    found = compare(net, folder=folder)
    assert found.ok
    assert [one.symbol for one in found.edits] == [""]
    assert "line" in str(found)
    assert "own.h" in saved_files(net.module, folder)


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [("net.c", r"return NET_OK;", "return missing;", "refused the generated code"),
     ("net.h", r"(ARENA_BYTES )\d+", r"\g<1>16", "of another network: NET_ARENA_BYTES is 16 instead of"),
     ("net.c", r"NET_LAYER\(1, [^;]*;", "", "follows call")],
    ids=["code", "sizes", "calls"],
)  # fmt: skip
def test_folders_that_cannot_be_compared(name: str, old: str, new: str, words: str, tmp_path: Path) -> None:
    net = residual()
    folder = net.save(tmp_path)
    edit(folder / name, old, new)
    with pytest.raises(BuildError, match=words):
        compare(net, folder=folder)


def test_missing_files(tmp_path: Path) -> None:
    net = residual()
    with pytest.raises(BuildError, match=r"cannot read .*Save the network"):
        compare(net, folder=tmp_path / "none")
    shutil.copytree(net.save(tmp_path / "whole"), tmp_path / "part")
    (tmp_path / "part" / "net_weights.c").unlink()
    with pytest.raises(BuildError, match=r"net_weights\.c"):
        compare(net, folder=tmp_path / "part")


def test_flags_reach_the_compiler() -> None:
    with pytest.raises(BuildError, match="-ffast-math"):
        compare(residual(), flags=("-ffast-math",))


@pytest.mark.parametrize(
    ("feeds", "words"),
    [({}, "x.*not given"), ({"z": samples(1)}, "no such input.*inputs are x"),
     ({"x": samples(1)[:, :2]}, r"\[1, 2, 8, 8\] was given, \[1, 3, 8, 8\] or several"),
     ({"x": samples(1).astype(complex)}, "complex128"), ({"x": samples(0)}, "was given")],
    ids=["missing", "unknown", "shape", "type", "empty"],
)  # fmt: skip
def test_feeds_are_checked(feeds: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(DataError, match=words):
        compare_layers(residual().module, residual().graph, feeds)


def test_what_the_watcher_raises_comes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qir.debug.c_layers._isolated", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        compare(residual())
    monkeypatch.undo()
    assert compare(residual()).ok


def test_call_arguments_are_listed() -> None:
    call = next(call for call in residual().module.program.calls if call.node == "pointwise")
    assert call.reads == tuple(arg.value for arg in call.args if isinstance(arg, Input))
    assert len(call.writes) == 1
