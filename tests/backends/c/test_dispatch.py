"""One program for every x86 processor: each plan gives the same bits, and the processor decides which one runs."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from graphs import Builder
from networks import residual
from test_emitted import WARNINGS, run

from qir.backends.c import CModule, compile_c
from qir.backends.c.dispatch import choices, choosing, joined
from qir.backends.c.edits import edits, saved_files
from qir.backends.c.isas import ISAS, on_this_processor
from qir.backends.c.targets import C_TARGETS
from qir.debug.c_layers import compare_layers
from qir.ir.graph import Stage

pytestmark = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="for x86 processors")

EMULATED = {"Nehalem": "portable", "Haswell": "avx2"}
"""Processors of qemu-x86_64 and what they shall run; it knows no AVX-512."""


@pytest.fixture(scope="module")
def module() -> CModule:
    graph, b, outputs = residual(0, 16)
    return compile_c(graph, target="x86", test_vectors=[(b.feeds, b.wanted(outputs))])


@pytest.fixture(scope="module")
def processors(module: CModule) -> list[str]:
    return [plan.processor for plan in module.program.plans]


def told(folder: Path, compiler: str, *, forced: bool) -> Path:
    """A program that prints the number of the plan, given or by the processor, and runs the test vectors."""
    (folder / "told.c").write_text(
        f'#include <stdlib.h>\nint forced;\n{"#define NET_PLAN forced" if forced else ""}\n'
        '#include "net.c"\n#define main self_test\n#include "main.c"\n#undef main\n'
        "int main(int count, char **arguments) {\n    forced = count > 1 ? atoi(arguments[1]) : 0;\n"
        '    printf("plan %d\\n", net_plan());\n    return self_test();\n}\n'
    )
    run(folder, compiler, "-std=c99", *WARNINGS, "-O2", "told.c", "net_weights.c", "-o", "told")
    return folder / "told"


def test_each_processor_gets_its_plan(
    module: CModule, processors: list[str], compiler: str, tmp_path: Path, need: Callable[[str], str],
    evidence: Callable[[str, str], None],
) -> None:  # fmt: skip
    program = str(told(module.save(tmp_path), compiler, forced=False))
    found = run(tmp_path, program)
    for isa in processors[:-1]:
        evidence("compiled", f"kernels for {isa}, on this processor")
    here = next(name for name in processors if name in (*on_this_processor(), "portable"))
    assert here == module.here.processor
    assert f"plan {processors.index(here)}\n" in found
    assert "PASSED" in found
    for processor, wanted in EMULATED.items():
        found = run(tmp_path, need("qemu-x86_64"), "-cpu", processor, program)
        assert f"plan {processors.index(wanted)}\n" in found
        assert "PASSED" in found
        evidence("ran", f"run-time choice of {wanted}, in qemu-x86_64 -cpu {processor}")


def test_every_plan_gives_the_same_bits(module: CModule, processors: list[str], tmp_path: Path, compiler: str) -> None:
    program = str(told(module.save(tmp_path), compiler, forced=True))
    for number, processor in enumerate(processors):
        if processor in (*on_this_processor(), "portable"):
            found = run(tmp_path, program, str(number))
            assert f"plan {number}\n" in found
            assert "PASSED" in found


def test_it_is_cpp_too(module: CModule, compiler: str, tmp_path: Path) -> None:
    folder = module.save(tmp_path)
    run(folder, compiler, "-x", "c++", "-std=c++17", *WARNINGS, "-fsyntax-only", "net.c", "net_weights.c", "main.c")


def chosen(tmp_path: Path, compiler: str, has: str, *, microsoft: bool) -> str:
    """The plan of a made-up processor by the emitted function; by CPUID as with Microsoft's compiler, or by gcc's."""
    features = {isa.name: isa for isa in ISAS}
    plans = [replace(compile_c(residual()[0]).program, processor=name) for name in (*C_TARGETS["x86"].isas, "portable")]
    text = choosing(plans, "net")
    known = [*features[has].features] if has in features else []
    if microsoft:
        text = text.replace("defined(__GNUC__)", "0").replace("defined(_MSC_VER)", "1").replace("_M_X64", "__x86_64__")
        text = text.replace("<intrin.h>", "<string.h>").replace("!defined(__clang__)", "1")
        fake = MICROSOFT
    else:
        fake = "#define __builtin_cpu_init() ((void)0)\n#define __builtin_cpu_supports(name) has(name)\n"
    names = " || ".join(f'strcmp(name, "{name if microsoft else name.replace("_", "")}") == 0' for name in known) or "0"
    (tmp_path / "choose.c").write_text(
        "#include <string.h>\n#include <stdio.h>\n"
        f"static int has(const char *name) {{ (void)name; return {names}; }}\n{fake}{text}"
        'int main(void) { printf("%d", net_plan()); return 0; }\n'
    )
    run(tmp_path, compiler, "-std=c99", *WARNINGS, "choose.c", "-o", "choose")
    return plans[int(run(tmp_path, "./choose"))].processor


MICROSOFT = """#define HAS(name, bit) ((unsigned)has(name) << (bit))
static void __cpuidex(int found[4], int leaf, int part) {
    unsigned words[4] = {0, 0, 0, 0};
    words[0] = leaf == 0 ? 7 : leaf == 7 && part == 0 ? 1 : leaf == 7 ? HAS("avx_vnni", 4) : 0;
    words[1] = HAS("avx2", 5) | HAS("avx512f", 16) | HAS("avx512dq", 17) | HAS("avx512bw", 30) | HAS("avx512vl", 31);
    words[1] = leaf == 7 && part == 0 ? words[1] : 0;
    words[2] = HAS("avx512_vnni", 11) | HAS("avx512_vpopcntdq", 14);
    words[2] = leaf == 1 ? 1u << 27 | HAS("fma", 12) : leaf == 7 && part == 0 ? words[2] : 0;
    memcpy(found, words, sizeof words);
}
static unsigned long long _xgetbv(unsigned which) { (void)which; return has("avx512f") ? 0xe7 : 7; }
"""


@pytest.mark.parametrize("microsoft", [False, True])
def test_plans_of_made_up_processors(tmp_path: Path, microsoft: bool) -> None:
    for processor in (*C_TARGETS["x86"].isas, "portable"):
        assert processor == chosen(tmp_path, "gcc", processor, microsoft=microsoft)


def test_instruction_sets_include_others() -> None:
    found = [row.isas for row in choices(C_TARGETS["x86"])]
    wider = ("avx512vpopcntdq", "avx512vnni", "avx2")
    assert [wider, wider[1:], ("avxvnni", "avx2"), ("avx2",), ()] == found
    assert (C_TARGETS["x86-avx2"],) == choices(C_TARGETS["x86-avx2"])


def test_plans_that_gain_nothing_are_left_out(module: CModule) -> None:
    b = Builder()
    x = b.feed("x", np.arange(6, dtype=np.int64).reshape(2, 3))
    plain = compile_c(b.graph([b.transpose(x, (1, 0), "y")], Stage.FLOAT), target="x86")
    assert () == plain.program.alternatives
    assert "net_plan" not in plain.files()["net.c"]
    kernels = [tuple(call.kernel.emitted for call in plan.every_call) for plan in module.program.plans]
    assert len(set(kernels)) == len(kernels) > 1
    assert joined([module.here, module.here]).alternatives == ()


def test_constants_that_are_equal_are_emitted_once(module: CModule) -> None:
    apart = sum(replace(plan, alternatives=()).weight_bytes for plan in module.program.plans)
    assert module.weight_bytes < apart
    text = str(module.files()["net.c"])
    structs = [body for body in re.findall(r"static const (\w+ )net_s\d+( = \{.*?\};)", text, re.S)]
    assert len(structs) == len(set(structs)) > 1
    assert module.arena_bytes == max(plan.arena_bytes for plan in module.program.plans)


def test_tools_work_on_it(module: CModule, tmp_path: Path) -> None:
    graph, b, _ = residual(0, 16)
    folder = module.save(tmp_path)
    assert compare_layers(module, graph, b.feeds).ok
    path = folder / "net_kernels.h"
    name = next(c.kernel.emitted for c in module.here.calls if c.op == "qir.IntConv").replace("qir_", "net_")
    text = path.read_text()
    start = text.index(f"static void {name}(") if f"static void {name}(" in text else text.index(f"void {name}(")
    path.write_text(text[: (end := text.index("\n}\n", start))] + "\n    y[0] ^= 1;" + text[end:])
    found = compare_layers(module, graph, b.feeds, folder=folder)
    assert found.first is not None
    assert found.first.kernel.replace("qir_", "net_") == name
    assert [name] == [edit.symbol for edit in edits(module, saved_files(module, folder))]
    assert f"On processors with {module.program.plans[0].processor}:" in module.explain()
    report = json.loads(str(module.files()["report.json"]))
    assert [plan.processor for plan in module.program.plans] == [plan["processor"] for plan in report["plans"]]
    assert report["layers"] == report["plans"][0]["layers"]
    assert len(report["layers"]) == len(module.program.plans[0].every_call)
