"""Weights of 1 to 5 bits, and sums of planes, on vectors: stored packed, and the bits of the references."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import elsewhere
import numpy as np
import pytest
from graphs import Builder, Case, check_cases, joined
from test_vectors import WARNINGS, edges, fitting_flags, guard, long_rows
from test_vectors_convolutions import transposed_cases

from qir.backends.c import compile_c
from qir.backends.c.bench.rows import Row, beside_int8
from qir.backends.c.binding.site import Site
from qir.backends.c.costs import Costs
from qir.backends.c.kernels import Variant, families
from qir.backends.c.targets import C_TARGETS
from qir.quant.bitpack import few_bits
from qir.quant.planes import FITTED

LOW = (-1, -1, -2, -4, -8, -16)
"""The least code: of one bit, ternary, and two to five bits."""


def drawn(number: int, shape: tuple[int, ...], fill: str) -> np.ndarray:
    """Codes of the number's kind; or, filled, the largest ones alone, which fill sums of 16 bits."""
    low, rng = LOW[number % len(LOW)], np.random.default_rng(number)
    if number % len(LOW) == 0:
        found = rng.choice([-1, 1], shape)
    else:
        found = rng.integers(low, max(-low, 2), shape)
    return np.asarray(np.full(shape, low) if fill == "full" else found, np.int8)


def of_few_bits(one: Case, number: int) -> Case:
    """With other weights, every third time all at one end, times codes that are, too."""
    x, w, *rest = one.arrays
    assert x is not None
    assert w is not None
    full = number % 3 == 2
    weights = drawn(number, w.shape, "full" if full else "random")
    node = replace(one.node, attrs={**one.node.attrs, "weight_bits": few_bits(weights)})
    return Case(node, (np.full_like(x, 255) if full else x, weights, *rest))


def summed_planes(planes: int, shape: tuple[int, ...], axis: int, full: bool) -> np.ndarray:
    """Codes of so many planes for each channel along an axis: as large as are fitted; full, all planes are -."""
    rng, outputs = np.random.default_rng(planes), shape[axis]
    parts = rng.dirichlet(np.ones(planes), outputs)
    multipliers = np.maximum(np.floor(parts * (FITTED[planes] - planes)).astype(np.int64) + 1, 1)
    signs = -np.ones((*shape, planes)) if full else rng.choice([-1, 1], (*shape, planes))
    along = multipliers.reshape(*[outputs if place == axis else 1 for place in range(len(shape))], planes)
    return np.asarray((signs * along).sum(axis=-1), np.int8)


def of_planes(one: Case, planes: int, full: bool) -> Case:
    """With weights that are sums of planes."""
    x, w, *rest = one.arrays
    assert x is not None
    assert w is not None
    weights = summed_planes(planes, w.shape, 0 if w.ndim > 2 else 1, full)
    node = replace(one.node, attrs={**one.node.attrs, "planes": planes})
    return Case(node, (np.full_like(x, 255) if full else x, weights, *rest))


def prefer_packed(target: str, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Has weights unpacked by kernels for a target wherever these can; gives the kernels' titles."""
    isa = C_TARGETS[target].isas[0]
    packed = [v for family in families() for v in family.variants
              if v.compact and v.isa != "portable" and "sparse" not in v.title]  # fmt: skip
    titles = {v.title for v in packed if v.isa == isa}
    usual = Variant.cycles

    def cycles(variant: Variant, site: Site, costs: Costs) -> float:
        """One row is for the kernels for rows, more of them for those on panels."""
        fitting = variant.title.startswith("conv_u8") == (site.node.op != "qir.IntGemm" or site.output.shape[0] > 1)
        return usual(variant, site, costs) - 100 * (variant in packed) * (1 + fitting)

    monkeypatch.setattr(Variant, "cycles", cycles)
    return titles


def test_convolutions_and_products(vector_target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    titles = prefer_packed(vector_target, monkeypatch)
    rows = [one for one in long_rows() if one.node.op == "qir.IntGemm"]
    cases = [of_few_bits(one, n) for n, one in enumerate([*edges()[::4], *rows, *rows[:3], *transposed_cases()[::4]])]
    module = check_cases(cases, target=vector_target)
    taken = sum(choice.variant in titles for choice in module.program.choices)
    assert taken > (5 if C_TARGETS[vector_target].isas[0] == "i8mm" else 25)
    if C_TARGETS[vector_target].isas[0].startswith("avx"):
        assert titles == {choice.variant for choice in module.program.choices} & titles


def test_sums_of_planes(any_target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Portable C and x86 look them up in tables, other processors have them as int8."""
    isas, packed = C_TARGETS[any_target].isas, "p"
    if isas:
        prefer_packed(any_target, monkeypatch)
        packed = "p" if isas[0].startswith("avx") else "s8"
    whole = [one for one in edges() if one.node.op == "qir.IntConv" and one.node.attr("group", 1) == 1]
    rows = [one for one in long_rows() if one.node.op == "qir.IntGemm"]
    cases = [of_planes(one, 2 + n % 3, n % 4 == 3) for n, one in enumerate([*whole[::3], *rows[:6]])]
    module = check_cases(cases, target=any_target)
    names = [call.kernel.emitted for call in module.program.calls if "u8" in call.kernel.emitted]
    for kind in ("conv_u8", "gemm_u8"):
        assert any(f"{kind}{packed}" in name for name in names), names


def test_small_targets_take_fewer_bytes() -> None:
    """Portable C for microcontrollers: ternary codes by twenty, fewer rows of activations, the bits of the others."""
    whole = [one for one in edges() if one.node.op == "qir.IntConv" and one.node.attr("group", 1) == 1]
    rows = [one for one in long_rows() if one.node.op == "qir.IntGemm"]
    cases = [of_few_bits(one, 1 + 6 * n) for n, one in enumerate([*whole[::2], *rows])]
    cases += [of_few_bits(whole[1], 2), of_planes(whole[0], 3, full=False)]
    small = [replace(one, node=one.node.with_(attrs={**one.node.attrs, "small": 1})) for one in cases]
    names = {call.kernel.emitted.split("_")[2] for call in check_cases(small, target="portable").program.calls}
    assert {"u8t2", "u8s2", "u8p3"} <= names
    codes = drawn(1, (640, 64), "random")
    arrays = (np.zeros((1, 640), np.uint8), codes, np.zeros(64, np.int32), np.full(64, 0.01, np.float32))
    layer = Case(rows[0].node.with_(attrs={**rows[0].node.attrs, "weight_bits": 2, "small": 1}), arrays)
    assert compile_c(joined([layer])[0], target="portable").program.weight_bytes == 640 * 64 // 5 + 2 * 4 * 64


def weights_of(row: Row, **options: int) -> tuple[str, str, str]:
    """By which kernel portable C multiplies, its variant, and what the choice tells."""
    module = compile_c(row.graph, target="portable", **options)
    (choice,) = (one for one in module.program.choices if one.variant.startswith(("conv", "gemm")))
    return choice.kernel.split("_")[2], choice.variant, module.explain()


def small(row: Row) -> Row:
    """For a microcontroller."""
    nodes = [one.with_(attrs={**one.attrs, "small": 1}) if one.op.startswith("qir.") else one
             for one in row.graph.nodes]  # fmt: skip
    return replace(row, graph=replace(row.graph, nodes=tuple(nodes)))


@pytest.mark.parametrize(("kind", "packed"), [
    ("ternary", "u8s2"), ("binary", "u8s1"), ("4 bits", "u8s4"), ("2 planes", "u8p2"), ("3 planes", "u8p3"),
])  # fmt: skip
def test_portable_weights_are_bytes_where_they_meet_few_rows(kind: str, packed: str) -> None:
    """Unless bytes are short; many rows share what is unpacked."""
    (one, _), (five, _) = beside_int8(kind, ["gemm 1x64x16", "gemm 5x77x13"])
    for row in (one, five):
        name, variant, told = weights_of(row)
        assert ("u8s8", "gemm_u8__portable") == (name, variant)
        assert "not gemm_u8_packed__portable: " in told
        name, variant, told = weights_of(row, max_bytes=1)
        assert (packed, "gemm_u8_packed__portable") == (name, variant)
        assert "not gemm_u8__portable: its larger weights are more bytes than are to be had" in told
        name, variant, told = weights_of(small(row))
        assert "gemm_u8_packed__portable" == variant
        assert "not gemm_u8__portable: bytes of memory count for more than time" in told
    least, most = (compile_c(five.graph, target="portable", **options).weight_bytes
                   for options in ({"max_bytes": 1}, {}))  # fmt: skip
    assert most == compile_c(five.graph, target="portable", max_bytes=most).weight_bytes > least


def test_many_rows_share_what_portable_c_unpacks() -> None:
    for kind, name in (("ternary", "u8s2"), ("4 bits", "u8s4")):
        for row, _ in beside_int8(kind, ["3x3 16->16 32x32", "1x1 256->256 14x14", "3x3 64->64 14x14"]):
            assert name == weights_of(row)[0], row.name


def test_no_byte_around_the_operands_is_touched(
    vector_target: str, compiler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles = prefer_packed(vector_target, monkeypatch)
    b, outputs = Builder(), []
    rng = np.random.default_rng(0)
    for number, (rows, depth, columns) in enumerate([(1, 37, 19), (1, 64, 70), (9, 37, 19), (7, 40, 16), (98, 40, 33)]):
        x = b.feed(f"x{number}", rng.integers(0, 256, (rows, depth)).astype(np.uint8))
        codes = drawn(number, (depth, columns), "random")
        w, bias = b.constant(f"w{number}", codes), b.constant(f"b{number}", np.arange(columns, dtype=np.int32))
        scale = b.constant(f"s{number}", np.full(columns, 0.01, np.float32))
        outputs.append(b.node("qir.IntGemm", [x, w, bias, scale], f"y{number}", y_zero_point=9, qmin=0, qmax=255,
                              weight_bits=few_bits(codes)))  # fmt: skip
    module = compile_c(b.graph(outputs), target=vector_target)
    taken = {choice.variant for choice in module.program.choices}
    assert taken & titles
    assert any(title.startswith("conv_u8") for title in taken & titles) or "i8mm" in vector_target
    for name, text in guard(module, b, outputs).items():
        (tmp_path / name).write_text(text)
    line = [*elsewhere.command(vector_target, compiler), *fitting_flags(vector_target, ("-std=c99", "-O1"))]
    subprocess.run([*line, *WARNINGS, "-c", "net.c", "net_weights.c"], cwd=tmp_path, check=True)
    subprocess.run([*line, "-static", "net.o", "net_weights.o", "guard.c", "-o", "guard"], cwd=tmp_path, check=True)
    assert subprocess.run(elsewhere.started(vector_target, "./guard"), cwd=tmp_path, check=False).returncode == 0
