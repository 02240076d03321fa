"""The registry of kernels: users' families, refusals, and that targets promise only what kernels do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from graphs import Builder

import qir.backends.c.kernels as kernels
from qir.backends.c import Bound, Family, Variant, compile_c, register_kernel
from qir.backends.c.binding.orders import FOLLOW
from qir.backends.c.binding.site import Site
from qir.backends.c.planning.layout import ALIASES
from qir.backends.c.program import Kernel, Scalar
from qir.backends.c.targets import INTEGER
from qir.errors import RecipeError, UnsupportedError
from qir.ir.graph import Stage

SOURCE = """#include <stddef.h>

/* template: begin */
#define QIR_T float
/* template: end */

static QIR_T qir_triple_T_one(QIR_T x) {
    return x * (QIR_T)3;
}

void qir_triple_T__fast(size_t count, const QIR_T *x, QIR_T *y) {
    size_t i;
    for (i = 0; i < count; ++i) {
        y[i] = qir_triple_T_one(x[i]);
    }
}
"""


@pytest.fixture
def triple(tmp_path: Path) -> Iterator[Family]:
    """A user's family for an operator of their own, from a file outside the package."""
    source = tmp_path / "triple__fast.c"
    source.write_text(SOURCE)

    def bind(site: Site) -> Bound:
        x = site.input(0)
        kernel = Kernel("qir_triple_T__fast", source, f"qir_triple_{x.short}__fast", (("QIR_T", x.ctype),))
        return Bound(kernel, (Scalar(x.size, "size_t"), x.read, site.output.write))

    def accepts(site: Site) -> str | None:
        return "at least three elements are needed" if site.input(0).size < 3 else None

    variants = (Variant("fast", source, accepts, bind), Variant("portable", source, accepts, bind, "plain"))
    yield register_kernel(Family("triple", ("my.Triple",), FOLLOW, variants, in_place=(0,), pointwise=True))
    kernels._REGISTERED.clear()


def test_a_users_kernel_in_two_types(triple: Family) -> None:
    b = Builder()
    x = b.feed("x", np.arange(6, dtype=np.float32))
    n = b.feed("n", np.arange(6, dtype=np.int32))
    y = b.node("my.Triple", [x], "y", result=b.values["x"] * 3)
    m = b.node("my.Triple", [n], "m", result=b.values["n"] * 3)
    module = compile_c(b.graph([y, m], Stage.FLOAT))
    got = module.run(b.feeds)
    assert np.array_equal(got["y"], b.values["y"])
    assert np.array_equal(got["m"], b.values["m"])
    text = module.files()["net_kernels.h"]
    assert "static void net_triple_f32__fast(" in text
    assert "net_triple_s32_one" in text
    assert "template" not in text


def test_every_refusal_is_told(triple: Family) -> None:
    b = Builder()
    x = b.feed("x", np.zeros(2, np.float32))
    b.node("my.Triple", [x], "y", result=np.zeros(2, np.float32))
    with pytest.raises(UnsupportedError, match=r"node 'node_y'.*plain: at least three elements are needed"):
        compile_c(b.graph(["y"], Stage.FLOAT))


def test_targets_promise_only_what_kernels_do() -> None:
    renamed = {"Conv": "qir.IntConv", "ConvTranspose": "qir.IntConvTranspose", "Gemm": "qir.IntGemm",
               "MatMul": "qir.IntMatMul", "Add": "qir.IntAdd", "Sub": "qir.IntAdd", "Mul": "qir.IntMul",
               "AveragePool": "qir.IntAveragePool", "GlobalAveragePool": "qir.IntMean",
               "ReduceMean": "qir.IntMean"}  # fmt: skip
    known = {*kernels.operators(), *ALIASES}
    for op, rule in INTEGER.items():
        unary = rule.kind == "own" and rule.inputs == (0,) and op not in renamed
        assert ("qir.Lookup" if unary else renamed.get(op, op)) in known, op


def test_unknown_target() -> None:
    b = Builder()
    x = b.feed("x", np.zeros(2, np.float32))
    with pytest.raises(RecipeError, match=r"'z80' is no target of the C backend.*portable"):
        compile_c(b.graph([b.reshape(x, (1, 2), "y")], Stage.FLOAT), target="z80")
