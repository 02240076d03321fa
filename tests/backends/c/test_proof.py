"""Sums of products in 16 bits on AVX2: what is proven of weights, and kernels that rely on it, on the worst codes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from graphs import Case, case, check_cases, joined
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from test_vectors import WARNINGS, guard, network, shaped

import qir
from qir.backends.c import compile_c
from qir.backends.c.isas import on_this_processor
from qir.backends.c.kernels import Variant
from qir.backends.c.kernels.conv_u8.proof import fits, in_fitting_steps

DIGITS = Path(__file__).parents[3] / "models" / "digits_cnn" / "model.onnx"
WORST = [(64, 64), (-64, -64), (127, 1), (-128, 0), (0, -128), (-128, 127), (0, 0), (1, -1)]
"""Neighbours of which two products just fit."""


def in_16_bits(steps: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """What a step's lanes hold: vpmaddubsw saturates, vpaddw wraps. Both int [step, fours, channel, 4]."""
    products = codes.astype(np.int64) * steps
    each = np.clip(products[..., 0::2] + products[..., 1::2], -(1 << 15), (1 << 15) - 1)
    found: np.ndarray = each.sum(axis=1).astype(np.int16)
    return found


def exact(steps: np.ndarray, codes: np.ndarray) -> np.ndarray:
    products = codes.astype(np.int64) * steps
    found: np.ndarray = (products[..., 0::2] + products[..., 1::2]).sum(axis=1)
    return found


WEIGHTS = st.one_of(st.integers(-128, 127), st.sampled_from([-128, 127, 64, -64, 65, -65, 32, -32, 33, -33, 0]))
STEPS = st.integers(1, 2).flatmap(lambda fours: arrays(np.int8, (3, fours, 2, 4), elements=WEIGHTS))


@given(steps=STEPS)
def test_what_fits_is_exact_on_any_codes_and_nothing_else_is(steps: np.ndarray) -> None:
    worst = [np.where(steps > 0, 255, 0), np.where(steps < 0, 255, 0)]
    ends = [(in_16_bits(steps, codes) == exact(steps, codes)).all(axis=(1, 2)) for codes in worst]
    assert (ends[0] & ends[1]).tolist() == fits(steps).tolist()


@pytest.mark.parametrize(("four", "fit"), [
    ((64, 64, 0, 0), True), ((65, 64, 0, 0), False), ((64, 0, 65, 0), True), ((-64, -64, 0, 0), True),
    ((-64, -65, 0, 0), False), ((-128, 127, -128, 127), True), ((-128, -1, 0, 0), False), ((127, 1, 0, 0), True),
    ((127, 2, 0, 0), False), ((0, 0, -128, -128), False),
])  # fmt: skip
def test_two_products_at_their_bound(four: tuple[int, ...], fit: bool) -> None:
    assert fit == bool(fits(np.array([[[four]]], np.int8))[0])


@pytest.mark.parametrize(("first", "second", "fit"), [
    ((63, 1), (63, 1), True), ((63, 1), (63, 2), False), ((127, 0), (1, 0), True), ((127, 0), (2, -128), False),
    ((-128, 127), (0, 1), True), ((-128, 0), (-1, 0), False), ((-32, -32), (-32, -32), True),
])  # fmt: skip
def test_four_products_at_their_bound(first: tuple[int, int], second: tuple[int, int], fit: bool) -> None:
    assert fit == bool(fits(np.array([[[(*first, 0, 0)], [(*second, 0, 0)]]], np.int8))[0])


@given(steps=STEPS)
def test_steps_cut_until_they_fit_add_up_to_the_weights(steps: np.ndarray) -> None:
    found, numbers = in_fitting_steps(steps)
    sums = found[: len(steps)].astype(int)
    np.add.at(sums, numbers, found[len(steps) :])
    assert fits(found).all()
    assert steps.tolist() == sums.tolist()
    assert np.count_nonzero(~fits(steps)) == len(set(numbers.tolist()))


def with_weights(one: Case, seed: int) -> Case:
    """Weights at the bound where channels go by twos, and so neighbours are known; else any whose pairs fit."""
    x, w, *rest = one.arrays
    assert w is not None
    rng = np.random.default_rng(seed)
    weights = rng.integers(-64, 65, w.shape)
    if w.ndim > 2 and w.shape[1] % 2 == 0:
        last = (w.shape[0], *w.shape[2:], w.shape[1])
        pairs = np.array(WORST)[rng.integers(0, len(WORST), (*last[:-1], last[-1] // 2))]
        weights = np.moveaxis(pairs.reshape(last), -1, 1)
    return Case(one.node, (x, np.ascontiguousarray(weights, np.int8), *rest))


def product(seed: int, rows: int, depth: int, columns: int) -> Case:
    rng = np.random.default_rng(seed)
    x, w = rng.choice([0, 255], (rows, depth)).astype(np.uint8), np.zeros((depth, columns), np.int8)
    bias, scale = rng.integers(-4000, 4000, columns).astype(np.int32), rng.uniform(1e-4, 1e-2, columns)
    return case("qir.IntGemm", (x, w, bias, scale.astype(np.float32)), y_zero_point=99, qmin=2, qmax=250)


def layers() -> list[Case]:
    """Ends of tiles, panels, steps of four and of eight; every kind of window."""
    found = [shaped(n, c, (1, n), m, (1, 1), fill="extreme", zero=(0, 9, 255)[n % 3])
             for n, (c, m) in enumerate(zip((1, 2, 4, 6, 7, 8, 9, 12, 16, 30, 32, 34, 48), (1, 7, 8, 9, 16, 17, 33) * 2,
                                            strict=False), 1)]  # fmt: skip
    found += [
        shaped(1, 8, (5, 9), 24, (3, 3), pads=(1, 1, 1, 1), fill="extreme", zero=255),
        shaped(2, 3, (9, 11), 18, (5, 5), stride=2, pads=(2, 2, 2, 2), fill="extreme"),
        shaped(3, 24, (9, 9), 20, (3, 3), dilation=3, pads=(3, 3, 3, 3), fill="extreme"),
        shaped(4, 12, (9, 9), 36, (3, 3), 3, pads=(1, 2, 0, 1), fill="extreme", real=True),
        shaped(5, 12, (3, 4, 5), 20, (2, 3, 2), pads=(1, 0, 1, 0, 1, 1), fill="extreme", real=True),
        shaped(6, 40, (2, 130), 33, (1, 1), stride=2, fill="extreme"),
        product(1, 13, 100, 37), product(2, 1, 7, 19),
    ]  # fmt: skip
    return [with_weights(one, seed) for seed, one in enumerate(found)]


@pytest.fixture(params=["conv_u8__avx2_pairs", "conv_u8__avx2_fours"])
def preferred(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A kernel that is taken wherever it can be."""
    if "avx2" not in on_this_processor():
        pytest.skip("this processor cannot run avx2")
    title: str = request.param
    monkeypatch.setattr(Variant, "cycles", lambda self, site, costs: 1.0 + (self.title != title))
    return title


def test_kernels_are_exact_on_weights_at_the_bound(preferred: str) -> None:
    module = check_cases(layers(), target="x86-avx2")
    assert len(layers()) == sum(choice.variant == preferred for choice in module.program.choices)


def test_kernels_touch_no_byte_around_their_operands(preferred: str, compiler: str, tmp_path: Path) -> None:
    b, outputs = network(most=64)
    module = compile_c(b.graph(outputs), target="x86-avx2")
    assert any(choice.variant == preferred for choice in module.program.choices)
    for name, text in guard(module, b, outputs).items():
        (tmp_path / name).write_text(text)
    for flags in (("-O0",), ("-O2",)):
        line = [compiler, "-std=c99", *flags]
        subprocess.run([*line, *WARNINGS, "-c", "net.c", "net_weights.c"], cwd=tmp_path, check=True)
    subprocess.run([*line, "net.o", "net_weights.o", "guard.c", "-o", "guard"], cwd=tmp_path, check=True)
    assert subprocess.run(["./guard"], cwd=tmp_path, check=False).returncode == 0


def test_weights_beyond_the_bound_are_for_exact_products() -> None:
    one = with_weights(shaped(1, 32, (4, 6), 16, (1, 1)), 0)
    x, w, *rest = one.arrays
    assert w is not None
    beyond = w.copy()
    beyond[3, 6:8] = [[[64]], [[65]]]
    for weights, refused in ((w, False), (beyond, True)):
        graph, _ = joined([Case(one.node, (x, weights, *rest))])
        text = compile_c(graph, target="x86-avx2").explain()
        for form in ("pairs", "fours"):
            assert refused == (f"not conv_u8__avx2_{form}: two neighbouring weights may leave 16 bits" in text)


def test_recipe_w7a8_takes_them() -> None:
    if "avx2" not in on_this_processor():
        pytest.skip("this processor cannot run avx2")
    images = np.random.default_rng(0).uniform(0, 1, (8, 1, 8, 8)).astype(np.float32)
    made = qir.compile(DIGITS, calibration={"image": images}, recipe="w7a8", target="x86-avx2", shapes={"N": 1})
    weights = [made.graph.value(node.inputs[1]) for node in made.graph.nodes if node.op == "qir.IntConv"]
    assert {np.dtype(np.int8)} == {w.dtype for w in weights if w is not None}
    assert max(np.abs(w).max() for w in weights if w is not None) <= 63
    assert "qir_conv_u8s8_u8__avx2_pairs" in made.explain()
    assert made.compare_layers({"image": images}).ok
