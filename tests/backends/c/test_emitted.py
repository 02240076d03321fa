"""The emitted C: clean under strict compilers, self-contained, deterministic, and the same bits whatever the flags."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import elsewhere
import numpy as np
import precompiled
import pytest
from graphs import Builder
from networks import residual

from qir.backends.c import CModule, compile_c
from qir.backends.c.build import Library
from qir.backends.c.emitting.emit import names_of
from qir.backends.c.emitting.names import RESERVED, identifier, unique
from qir.backends.c.isas import CORTEX_M
from qir.backends.c.kernels import families
from qir.backends.c.targets import C_TARGETS

WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror")
VARIANTS = [variant for family in families() for variant in family.variants if variant.isa not in CORTEX_M]
SOURCES = sorted({variant.source for variant in VARIANTS})
KINDS = sorted({source.stem.rpartition("__")[2] for source in SOURCES})
"""What names of kernel files end in: instruction sets, and templates for several of them."""


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[:4000]}"
    return done.stdout


@pytest.fixture(scope="module")
def module() -> CModule:
    graph, b, outputs = residual()
    return compile_c(graph, test_vectors=[(b.feeds, b.wanted(outputs))], source_hash="0123")


@pytest.fixture
def folder(module: CModule, tmp_path: Path) -> Path:
    return module.save(tmp_path / "out")


@pytest.mark.parametrize("standard", ["c99", "c11", "gnu17"])
def test_no_warnings_as_c(folder: Path, compiler: str, standard: str) -> None:
    run(folder, compiler, f"-std={standard}", *WARNINGS, "-O2", "-c", "net.c", "net_weights.c", "main.c")


def test_no_warnings_as_cpp(folder: Path, compiler: str) -> None:
    files = ("net.c", "net_weights.c", "main.c")
    run(folder, compiler, "-x", "c++", "-std=c++17", *WARNINGS, "-fsyntax-only", *files)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kernel_file_stands_alone(compiler: str, tmp_path: Path, kind: str, need: Callable[[str], str]) -> None:
    sources = [source for source in SOURCES if source.stem.endswith(f"__{kind}")]
    having = [name for name in elsewhere.MACHINES if kind in C_TARGETS[name].isas]
    for target in [name for name in having if C_TARGETS[name].isas[0] == kind] or having[:1] or [""]:
        if not target and kind not in ("portable", "vectors") and platform.machine() not in ("x86_64", "AMD64"):
            pytest.skip(f"{kind} is of another kind of processor")
        command = elsewhere.command(target, compiler)
        need(command[0])
        flags = C_TARGETS[target].flags if target else ()
        clang = Path(command[0]).name == "clang"
        ways = [("-std=c99", *WARNINGS, "-Os")]
        if clang:  # gcc for other processors comes without C++, and they without its library
            ways.append(("-x", "c++", "-std=c++17", "-nostdinc++", *WARNINGS))
        for way in ways:
            line = (*command, *flags, *way)  # that a file includes what it needs gcc says
            header = "arm_neon.h" if target in elsewhere.MACHINES else "immintrin.h"
            brought = precompiled.parsed(header, line) if clang and kind != "portable" else ()
            run(tmp_path, *line, *brought, "-fsyntax-only" if "c++" in way else "-c", *map(str, sources))


def test_sanitized_run_passes(folder: Path, compiler: str) -> None:
    flags = ("-std=c99", "-g", "-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    run(folder, compiler, *flags, "net.c", "net_weights.c", "main.c", "-o", "test")
    assert "PASSED" in run(folder, "./test")


def test_wrong_result_fails_the_self_test(compiler: str, tmp_path: Path) -> None:
    graph, b, outputs = residual()
    wanted = {name: array + 1 for name, array in b.wanted(outputs).items()}
    folder = compile_c(graph, test_vectors=[(b.feeds, wanted)]).save(tmp_path)
    run(folder, compiler, "net.c", "net_weights.c", "main.c", "-o", "test")
    assert subprocess.run(["./test"], cwd=folder, capture_output=True, check=False).returncode == 1


@pytest.mark.parametrize("name", ["alpha", "7 seas/é", "string"])
def test_only_prefixed_symbols_and_no_libc(compiler: str, tmp_path: Path, name: str) -> None:
    graph, _, _ = residual()
    module = compile_c(graph, name=name)
    prefix = names_of(module.program, name).prefix
    folder = module.save(tmp_path)
    assert not any(Path(file).stem in RESERVED - {"main"} for file in module.files())
    run(folder, compiler, "-std=c99", "-Os", "-ffreestanding", "-c", f"{prefix}.c", f"{prefix}_weights.c")
    rows = [line.split() for line in run(folder, "nm", f"{prefix}.o", f"{prefix}_weights.o").splitlines()]
    defined = {row[2] for row in rows if len(row) == 3 and row[1] in "TDBRVWC"}
    undefined = {row[1] for row in rows if len(row) == 2 and row[0] == "U"} - defined
    written = {row[2] for row in rows if len(row) == 3 and row[1] in "DdBbCs"}
    assert {f"{prefix}_run", f"{prefix}_run_q", f"{prefix}_error"} <= defined
    assert all(symbol.startswith(f"{prefix}_") for symbol in defined)
    assert undefined <= {"memcpy", "memset"}
    assert not written


def test_two_models_in_one_program(compiler: str, tmp_path: Path) -> None:
    for number, name in enumerate(("one", "two")):
        compile_c(residual(number)[0], name=name).save(tmp_path)
    (tmp_path / "main.c").write_text(
        '#include "one.h"\n#include "two.h"\n'
        "static unsigned char room[ONE_ARENA_BYTES + TWO_ARENA_BYTES + 64];\n"
        "static float x[ONE_IN_INPUT_ELEMENTS], y[ONE_OUT_OUTPUT_ELEMENTS];\n"
        "int main(void) { void *arena = room + (64 - (uintptr_t)room % 64);\n"
        "    return one_run(arena, x, y) + two_run(arena, x, y); }\n"
    )
    sources = ("one.c", "one_weights.c", "two.c", "two_weights.c", "main.c")
    run(tmp_path, compiler, "-std=c99", *WARNINGS, *sources, "-o", "test")
    run(tmp_path, "./test")
    (tmp_path / "all.c").write_text("".join(f'#include "{name}"\n' for name in sources))
    run(tmp_path, compiler, "-std=c99", *WARNINGS, "all.c", "-o", "test")


def test_arguments_are_checked(module: CModule) -> None:
    room = np.zeros(module.arena_bytes + 64, np.uint8)
    base = -(-room.ctypes.data // 64) * 64
    x, y = np.zeros(192, np.float32), np.zeros(10, np.float32)
    rest = [x.ctypes.data, y.ctypes.data]
    for arguments, status in (([base, *rest], 0), ([None, *rest], 1), ([base + 1, *rest], 2), ([base, None, base], 1)):
        assert module.library.call("net_run", arguments) == status
    assert module.library.text("net_error", 2) == "the arena is not aligned"
    assert module.library.text("net_error", -5) == "unknown error"


def test_same_files_every_time(module: CModule) -> None:
    graph, b, outputs = residual()
    again = compile_c(graph, test_vectors=[(b.feeds, b.wanted(outputs))], source_hash="0123")
    assert again.files() == module.files()
    assert not any("/work" in text or "/home" in text or "/tmp" in text for text in module.files().values())


def test_long_tables_keep_their_bytes(compiler: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    b = Builder()
    x = b.feed("x", rng.integers(0, 256, (1, 61)).astype(np.uint8))
    w = b.constant("w", rng.integers(-128, 128, (61, 67)).astype(np.int8))
    bias, scale = b.constant("b", np.zeros(67, np.int32)), b.constant("m", np.full(67, 1e-3, np.float32))
    graph = b.graph([b.node("qir.IntGemm", [x, w, bias, scale], "y")])
    folder = compile_c(graph, test_vectors=[(b.feeds, b.wanted(["y"]))]).save(tmp_path)
    text = (folder / "net_weights.c").read_text()
    assert "NET_WORDS" in text
    run(folder, compiler, "-std=c99", *WARNINGS, "net.c", "net_weights.c", "main.c", "-o", "test")
    assert "PASSED" in run(folder, "./test")
    (folder / "net_weights.c").write_text(text.replace("__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__", "1"))
    first = int(text.split("NET_WORDS(0x")[1][:16], 16)
    (folder / "check.c").write_text(
        '#include "net_weights.c"\n'
        f"int main(void) {{ return net_w0[0] == 0x{first.to_bytes(8, 'little').hex()} ? 0 : 1; }}\n"
    )
    run(folder, compiler, "-std=c99", *WARNINGS, "check.c", "-o", "check")
    run(folder, "./check")


def contracting() -> tuple[Builder, list[str]]:
    """A network in which a fused multiply-add would change results: sums that land next to ties."""
    rng = np.random.default_rng(0)
    b = Builder()
    x = b.feed("x", rng.integers(0, 256, 20000).astype(np.uint8))
    y = b.feed("y", rng.integers(0, 256, 20000).astype(np.uint8))
    names = []
    for number in range(40):
        first, second = rng.integers(1, 256, 2) / rng.integers(1, 256, 2).astype(np.float32)
        offset = float(np.float32(0.5) - np.float32(first) * np.float32(rng.integers(0, 9)))
        names.append(b.node("qir.IntAdd", [x, y], f"z{number}", a_multiplier=float(np.float32(first)),
                            b_multiplier=-float(np.float32(second)), offset=offset, qmin=0, qmax=255))  # fmt: skip
    return b, names


def results_of(folder: Path, files: Mapping[str, str], compiler: str, flags: tuple[str, ...], b: Builder,
               outputs: list[str]) -> dict[str, np.ndarray]:  # fmt: skip
    for name, text in files.items():
        (folder / name).write_text(text)
    run(folder, compiler, *flags, "-shared", "-fPIC", "net.c", "net_weights.c", "-o", "net.so")
    got = {name: np.zeros_like(b.values[name]) for name in outputs}
    room = np.zeros(1 << 20, np.uint8)
    arrays = [*b.feeds.values(), *got.values()]
    addresses = [-(-room.ctypes.data // 64) * 64, *(a.ctypes.data for a in arrays)]
    assert Library(folder / "net.so").call("net_run", addresses) == 0
    return got


@pytest.mark.parametrize("flags", [("-std=gnu11", "-O3", "-mfma", "-mavx2"), ("-std=gnu11", "-O3", "-march=native"),
                                   ("-O3", "-mfma", "-ffp-contract=fast"), ("-O0",)], ids=" ".join)  # fmt: skip
def test_no_flag_fuses_multiply_and_add(compiler: str, tmp_path: Path, flags: tuple[str, ...]) -> None:
    if "model name" in Path("/proc/cpuinfo").read_text() and "fma" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this processor has no FMA")
    b, outputs = contracting()
    got = results_of(tmp_path, compile_c(b.graph(outputs)).files(), compiler, flags, b, outputs)
    assert all(np.array_equal(got[name], b.values[name]) for name in outputs)


def test_fast_math_is_refused(folder: Path, compiler: str) -> None:
    command = [compiler, "-ffast-math", "-c", "net.c"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "-ffast-math" in done.stderr


def test_hook_sees_every_layer(module: CModule, folder: Path, compiler: str) -> None:
    (folder / "watch.c").write_text(
        "#include <stddef.h>\n#include <stdio.h>\n"
        "void watch(const void *arena, int layer, const char *name, const void *result, size_t bytes);\n"
        "void watch(const void *arena, int layer, const char *name, const void *result, size_t bytes) {\n"
        "    static const void *first;\n    first = first ? first : arena;\n"
        '    printf("%d %s %u %u %d\\n", layer, name, *(const unsigned char *)result, (unsigned)bytes, first == arena);'
        "\n}\n"
    )
    flags = ("-std=c99", *WARNINGS, "-DNET_HOOK=watch")
    run(folder, compiler, *flags, "net.c", "net_weights.c", "watch.c", "main.c", "-o", "test")
    rows = [line.split() for line in run(folder, "./test").splitlines() if "node_" in line]
    assert [row[1] for row in rows if "stored" not in row[1]] == [
        call.node for call in module.program.every_call if "stored" not in call.node
    ]
    assert [module.program.every_call[int(row[0])].node for row in rows] == [row[1] for row in rows]
    assert next(row[3] for row in rows if row[1] == "node_c1") == "512"
    assert {row[4] for row in rows} == {"1"}


@pytest.mark.needs("cmake")
def test_cmake_builds_and_tests(folder: Path) -> None:
    run(folder, "cmake", "-S", ".", "-B", "build")
    run(folder, "cmake", "--build", "build")
    assert "100% tests passed" in run(folder / "build", "ctest")


@pytest.mark.parametrize(("text", "wanted"), [("net", "net"), ("a b", "a_b"), ("", "net"), ("3d", "net_3d"),
                                              ("é", "net"), ("for", "for_"), ("Class", "Class_")])  # fmt: skip
def test_identifiers(text: str, wanted: str) -> None:
    assert identifier(text) == wanted


def test_identifiers_stay_apart() -> None:
    assert unique(["x", "X", "x_2", "x!"], "value") == ["x", "X_2", "x_2_2", "x_3"]


def test_benchmark_and_sizes(module: CModule) -> None:
    _, b, _ = residual()
    assert 0 < module.benchmark(b.feeds, 5) < 0.1
    assert module.weight_bytes > 0
    assert module.code_bytes is None or module.code_bytes > 100
