"""Constant arrays as text, for the assembler and for #embed: the same numbers, whole files, clear refusals."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from graphs import Builder
from networks import residual
from test_emitted import WARNINGS, run

import qir.backends.c.module as module_file
from qir.backends.c import CModule, compile_c
from qir.backends.c.build import shared_library
from qir.backends.c.edits import edits, saved_files
from qir.backends.c.emitting.arrays import FORMS, SMALL, Arrays
from qir.backends.c.emitting.emit import arrays_of
from qir.backends.c.program import Data
from qir.errors import OutputError

ZIG = (sys.executable, "-m", "ziglang", "cc")
KINDS = ("int8", "uint8", "int16", "int32", "int64", "uint64", "float32", "float64", "bool")


@pytest.fixture(scope="module")
def module() -> CModule:
    graph, b, outputs = residual()
    return compile_c(graph, test_vectors=[(b.feeds, b.wanted(outputs))])


def data() -> list[Data]:
    """Arrays of every type, short and long, and an empty one."""
    rng = np.random.default_rng(0)
    sizes = (1, 5, 3000)
    found = [Data((rng.normal(0, 60, size)).astype(kind)) for kind in KINDS for size in sizes]
    return [*found, Data(np.zeros(0, np.float32))]


def test_bytes_lie_where_the_header_says() -> None:
    arrays = Arrays(data(), "net", 64, "asm")
    for one, span in zip(arrays.data, arrays.spans().values(), strict=True):
        assert span.start % 64 == 0
        assert one.array.tobytes() == arrays.binary[span]
    assert len(arrays.binary) == arrays.size


def test_byte_order_of_the_file_is_little() -> None:
    swapped = Data(np.array([1, 258], ">i2"))
    assert b"\1\0\2\1" == Arrays([swapped], "net", 16, "embed").binary


@pytest.mark.parametrize(("count", "form"), [(SMALL, "c"), (SMALL + 1, "asm"), (0, "c")])
def test_large_weights_go_to_the_assembler(count: int, form: str) -> None:
    assert form == Arrays([Data(np.zeros(count, np.int8))], "net", 16).form


def test_unknown_form_is_refused(module: CModule, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"'elf'.*auto, c, asm, embed"):
        module.save(tmp_path / "new", "elf")
    assert not (tmp_path / "new").exists()


def test_numbers_are_the_same(compiler: str, tmp_path: Path) -> None:
    every = data()
    for form in ("c", "asm"):
        arrays = Arrays(every, "net", 64, form)
        lines = [f"    (void)fwrite({arrays[one]}, 1, {one.array.nbytes}, stdout);\n" for one in every]
        main = f'#include "net_weights.h"\n#include <stdio.h>\nint main(void) {{\n{"".join(lines)}    return 0;\n}}\n'
        (tmp_path / "main.c").write_text(main)
        for name, content in arrays.files().items():
            (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        source = "net_weights.c" if form == "c" else "net_weights.S"
        run(tmp_path, compiler, "-std=c99", *WARNINGS, "main.c", source, "-o", form)
        found = subprocess.run([tmp_path / form], capture_output=True, check=True).stdout
        assert b"".join(one.array.tobytes() for one in every) == found


def test_assembled_weights_pass_every_check(module: CModule, compiler: str, tmp_path: Path) -> None:
    folder = module.save(tmp_path, "asm")
    flags = ("-g", "-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    run(folder, compiler, "-std=c99", *WARNINGS, *flags, "net.c", "net_weights.S", "main.c", "-o", "test")
    assert "PASSED" in run(folder, "./test")
    run(folder, compiler, "-x", "c++", "-std=c++17", *WARNINGS, "-fsyntax-only", "net.c")
    assert "GNU_STACK      0x000000" in run(folder, "readelf", "-lW", "test")
    assert "RWE" not in run(folder, "readelf", "-lW", "test")
    placed = run(folder, "nm", "-n", "test")
    assert any(line.endswith(" R net_weights") and int(line.split()[0], 16) % 16 == 0 for line in placed.splitlines())


@pytest.mark.needs("module:ziglang")
def test_embedded_weights_pass(module: CModule, compiler: str, tmp_path: Path) -> None:
    folder = module.save(tmp_path, "embed")
    run(folder, *ZIG, "-std=c99", *WARNINGS, "-c", "net_weights.c")
    run(folder, compiler, "-std=c99", *WARNINGS, "net.c", "net_weights.o", "main.c", "-o", "test")
    assert "PASSED" in run(folder, "./test")
    run(folder, *ZIG, "-x", "c++", "-std=c++17", *WARNINGS, "-c", "net_weights.c", "-o", "cpp.o")
    run(folder, compiler, "net.c", "cpp.o", "main.c", "-o", "test")
    assert "PASSED" in run(folder, "./test")
    assert " R net_weights" in run(folder, "nm", "cpp.o")


@pytest.mark.needs("module:ziglang")
@pytest.mark.parametrize(
    ("triple", "symbol"),
    [("aarch64-macos", b"_net_weights"), ("x86_64-macos", b"_net_weights"), ("x86-windows-gnu", b"_net_weights"),
     ("x86_64-windows-gnu", b"net_weights"), ("riscv64-linux-musl", b"net_weights")],
)  # fmt: skip
def test_other_systems_assemble_it(triple: str, symbol: bytes, module: CModule, tmp_path: Path) -> None:
    folder = module.save(tmp_path, "asm")
    run(folder, *ZIG, "-target", triple, "-c", "net_weights.S", "-o", "weights.o")
    made = (folder / "weights.o").read_bytes()
    assert re.search(rb"[^\w]" + symbol + rb"\0", made)
    assert (folder / "net_weights.bin").read_bytes() in made


@pytest.mark.parametrize("system", ["arm-linux-gnueabihf", "aarch64-linux-gnu", "arm-none-eabi", "riscv64-unknown-elf"])
def test_cross_assemblers_take_it(system: str, module: CModule, tmp_path: Path, need: Callable[[str], str]) -> None:
    folder = module.save(tmp_path, "asm")
    run(folder, need(f"{system}-gcc"), "-c", "net_weights.S", "-o", "weights.o")
    assert (folder / "net_weights.bin").read_bytes() in (folder / "weights.o").read_bytes()


def refusal(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    return done.stderr


@pytest.mark.parametrize("form", ["asm", "embed"])
def test_big_endian_processors_are_refused(form: str, module: CModule, compiler: str, tmp_path: Path) -> None:
    folder = module.save(tmp_path, form)
    name = "net_weights.S" if form == "asm" else "net_weights.c"
    text = (folder / name).read_text().replace("__BYTE_ORDER__ ==", "__ORDER_BIG_ENDIAN__ ==")
    (folder / name).write_text(text)
    assert "net_weights.bin is little-endian and this processor is not" in refusal(folder, compiler, "-c", name)


def test_compilers_without_embed_say_so(module: CModule, compiler: str, tmp_path: Path) -> None:
    folder = module.save(tmp_path, "embed")
    probe = "#if defined(__has_embed)\n#error\n#endif\n"
    if subprocess.run([compiler, "-E", "-"], input=probe, capture_output=True, text=True, check=False).returncode:
        pytest.skip("this compiler knows #embed")
    assert "does not know #embed, of C23" in refusal(folder, compiler, "-c", "net_weights.c")


@pytest.mark.parametrize("change", [-1, 1])
def test_bytes_of_another_length_are_refused(change: int, module: CModule, compiler: str, tmp_path: Path) -> None:
    folder = module.save(tmp_path, "asm")
    path = folder / "net_weights.bin"
    path.write_bytes(path.read_bytes()[:change] if change < 0 else path.read_bytes() + b"\0")
    assert "it is of another network" in refusal(folder, compiler, "-c", "net_weights.S")


@pytest.mark.needs("module:ziglang")
@pytest.mark.parametrize("change", [-1, 1])
def test_embedded_bytes_of_another_length_are_refused(change: int, module: CModule, tmp_path: Path) -> None:
    folder = module.save(tmp_path, "embed")
    path = folder / "net_weights.bin"
    path.write_bytes(path.read_bytes()[:change] if change < 0 else path.read_bytes() + b"\0")
    assert "different type" in refusal(folder, *ZIG, "-c", "net_weights.c")


@pytest.mark.parametrize("form", FORMS)
def test_a_folder_holds_one_form(form: str, module: CModule, tmp_path: Path) -> None:
    (tmp_path / "mine_weights.S").write_text("")
    for before in FORMS:
        module.save(tmp_path, before)
        module.save(tmp_path, form)
        found = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != "mine_weights.S"}
        wanted = module.files(form)
        assert {name: one if isinstance(one, bytes) else one.encode() for name, one in wanted.items()} == found
        assert wanted == replace(module).files(form)
    assert (tmp_path / "mine_weights.S").exists()


@pytest.mark.parametrize("fails", ["write", "replace"])
def test_a_failed_save_leaves_what_was_there(
    fails: str, module: CModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = module.save(tmp_path / "net", "c")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    other = compile_c(residual(1)[0])
    if fails == "write":
        monkeypatch.setattr(module_file.os, "chmod", broken)
    else:
        monkeypatch.setattr(module_file.os, "replace", broken)
    with pytest.raises(OutputError, match="no room"):
        other.save(folder, "asm")
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def broken(*_: object) -> None:
    raise OSError("no room")


@pytest.mark.parametrize("form", ["asm", "embed"])
def test_edited_bytes_are_named(form: str, module: CModule, tmp_path: Path) -> None:
    folder = module.save(tmp_path, form)
    assert () == edits(module, saved_files(module, folder))
    name, span = list(arrays_of(module.program, module.names).spans().items())[2]
    path = folder / "net_weights.bin"
    content = bytearray(path.read_bytes())
    content[span.stop - 1] ^= 1
    path.write_bytes(content)
    (found,) = edits(module, saved_files(module, folder))
    assert ("net_weights.bin", "array", name, 0) == (found.file, found.kind, found.symbol, found.line)
    assert f"net_weights.bin differs from what qir emits in array {name} (" in str(found)
    path.write_bytes(bytes(module.files(form)["net_weights.bin"]) + b"\0")  # type: ignore[arg-type]
    (found,) = edits(module, saved_files(module, folder))
    assert "net_weights.bin differs from what qir emits outside of its arrays" == str(found)


def wide() -> CModule:
    """A network whose weights are too large for text."""
    rng = np.random.default_rng(0)
    b = Builder()
    x = b.feed("x", rng.integers(0, 256, (1, 1030)).astype(np.uint8))
    w = b.constant("w", rng.integers(-127, 128, (1030, 1030)).astype(np.int8))
    bias, scale = b.constant("b", np.zeros(1030, np.int32)), b.constant("m", np.full(1030, 1e-4, np.float32))
    graph = b.graph([b.node("qir.IntGemm", [x, w, bias, scale], "y", y_zero_point=128, qmin=0, qmax=255)])
    return compile_c(graph, test_vectors=[(b.feeds, b.wanted(["y"]))])


@pytest.mark.needs("cmake")
@pytest.mark.parametrize("form", ["c", "asm"])
def test_cmake_builds_it_and_again_when_the_bytes_change(form: str, tmp_path: Path) -> None:
    folder = wide().save(tmp_path / "net", form)
    (tmp_path / "build").mkdir()
    run(tmp_path / "build", "cmake", "../net")
    run(tmp_path / "build", "cmake", "--build", ".")
    assert "100% tests passed" in run(tmp_path / "build", "ctest")
    if form == "asm":
        path = folder / "net_weights.bin"
        path.write_bytes(bytes(len(path.read_bytes())))
        run(tmp_path / "build", "cmake", "--build", ".")
        assert subprocess.run(["ctest"], cwd=tmp_path / "build", capture_output=True, check=False).returncode != 0


def test_this_process_builds_large_weights_from_bytes() -> None:
    module = wide()
    assert "net_weights.S" in module.sources
    ((feeds, wanted),) = module.vectors
    np.testing.assert_array_equal(module.run(feeds)["y"], wanted["y"])


@pytest.mark.slow
def test_a_hundred_megabytes_build_at_once(compiler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", compiler)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    bytes_ = np.random.default_rng(0).integers(0, 256, 100_000_000, np.uint8)
    files = Arrays([Data(bytes_)], "net", 64).files()
    start = time.perf_counter()
    shared_library(files)
    assert time.perf_counter() - start < 10  # 1.2 s, on a quiet machine
