"""Weights and activations of few bits on Cortex-M: packed as in portable C, the bits of the references, counted."""

from __future__ import annotations

from collections.abc import Callable

import elsewhere
import numpy as np
import pytest
from conftest import CORES
from graphs import Builder, Case, check_cases, evaluate, fixed, fixed_graph, joined
from networks import conv
from test_absorb import added
from test_bits import layers
from test_few_bits import of_few_bits
from test_vectors import edges, long_rows, shaped

from qir.backends.c import compile_c
from qir.ir.graph import Constant, Graph

pytestmark = pytest.mark.slow


def cases() -> list[Case]:
    """Every number of bits with channels around multiples of four, depths around those of four and eight, odd numbers
    of pixels, edges, groups, reals, single rows; codes and weights all at their ends."""
    shapes = edges()
    made = [*shapes[::2], *shapes[1:26:2], *long_rows()[:11]]
    return [of_few_bits(one, n) for n, one in enumerate(made) if one.node.op in ("qir.IntConv", "qir.IntGemm")]


def test_packed_weights(core: str) -> None:
    """Also by integers alone; five bits stay portable."""
    usual = cases()
    text = check_cases([*usual, *map(fixed, usual[::4])], target=core).explain()
    kinds = [f"qir_conv_u8few{bits}_u8" for bits in (1, 2, 4)] + ["_u8_fixed_", "qir_conv_u8s5"]
    if core == "cortex-m4":
        kinds += [*(f"qir_gemm_u8few{bits}_row_" for bits in (1, 2, 4)), "_f32_by", "few2_u8_each"]
    else:
        kinds += [*(f"few{bits}_{kind}__mve" for bits in (1, 2, 4) for kind in ("u8", "f32")),
                  *(f"few{bits}_u8_fixed_" for bits in (1, 2, 4)), "few2_u8_direct__mve",
                  "few4_u8_direct__mve"]  # fmt: skip
    assert not {kind for kind in kinds if kind not in text}


@pytest.mark.parametrize("target", CORES)
def test_packed_weights_take_their_bits_and_few_instructions_more(target: str, need: Callable[[str], str]) -> None:
    """Than int8."""
    for tool in elsewhere.needs(target):
        need(tool)
    int8 = shaped(0, 16, (9, 9), 16, (3, 3), pads=(1, 1, 1, 1))
    programs, counts = [], []
    for one in (int8, of_few_bits(int8, 1)):
        graph, builder = joined([one])
        module = compile_c(graph, target=target)
        programs.append(module.program)
        counts.append(elsewhere.on_board(module, builder.feeds, ("-Os",))[1])
    weights = [next(data.array.nbytes for data in one.data if data.role == "weights") for one in programs]
    assert weights[0] == 4 * weights[1]
    assert counts[1] < 1.25 * counts[0], counts


@pytest.mark.parametrize("core", CORES[:1], indirect=True)
def test_packed_bits(core: str) -> None:
    """Windows of 2 to 25 words, up to two planes by four, every kind of result, also by integers alone."""
    usual = [*layers()][:-2]
    coded = [one for one in usual if "qmax" in one.node.attrs]
    text = check_cases([*usual, *map(fixed, coded[:2])], target=core).explain()
    kinds = ("unlike_packed", "both_packed", "unlike_numbers", "both_codes_u8", "both_codes_f32", "codes_u8_fixed")
    assert not {kind for kind in kinds if f"{kind}__dsp" not in text}


def ternary(graph: Graph) -> Graph:
    """A network of `networks.conv` with other weights."""
    rng = np.random.default_rng(0)
    others = {name: Constant(rng.integers(-1, 2, one.value.shape).astype(np.int8)) if name.endswith(".w") else one
              for name, one in graph.constants.items()}  # fmt: skip
    nodes = tuple(node.with_(attrs={**node.attrs, "weight_bits": 2}) if node.op == "qir.IntConv" else node
                  for node in graph.nodes)  # fmt: skip
    return graph.with_(nodes=nodes, constants=others)


def test_sums_join_layers_of_packed_weights(core: str) -> None:
    rng, b, outputs = np.random.default_rng(0), Builder(), []
    for n, (c, size, m, kernel) in enumerate([(8, 3, 8, 3), (3, 5, 7, 1)]):
        x = b.feed(f"x{n}", rng.integers(0, 256, (1, c, size, size)).astype(np.uint8))
        total = added(b, conv(b, rng, x, f"c{n}", m, kernel), conv(b, rng, x, f"a{n}", m), f"s{n}")
        outputs.append(b.transpose(total, (0, 2, 3, 1), f"z{n}"))
    usual = ternary(b.graph(outputs))
    for graph in (usual, fixed_graph(usual)):
        module, wanted = compile_c(graph, target=core), evaluate(graph, b.feeds)
        names = [call.kernel.emitted for call in module.program.calls]
        assert 2 == sum("few2" in name and "_sum_" in name for name in names), names
        found = elsewhere.run(module, b.feeds)
        assert all(np.array_equal(wanted[name], found[name]) for name in outputs)
