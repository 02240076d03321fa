"""Sparse weights: zeros in patterns, outputs kept by the others, zeros kept by rounding."""

from __future__ import annotations

import numpy as np
import pytest

from qir.compression.sparsity import Pattern
from qir.errors import PassError
from qir.evaluate import evaluate
from qir.ir.graph import Graph
from qir.passmanager.manager import run
from qir.passmanager.registry import parse_pipeline
from tests.passes.graphs import feeds, net, normal
from tests.passes.quantize.quantizing import ALL, context, samples

TEXT = (
    "(float[N,3,9,9] x) => (float[N,5] y) { a = Conv(x, w, b) c = Relu(a) d = Conv(c, e, f) g = Relu(d) "
    "p = GlobalAveragePool(g) q = Flatten(p) y = Gemm(q, v, k) }"
)
NET = net(TEXT, w=normal(16, 3, 3, 3), b=normal(16), e=normal(32, 16, 3, 3, seed=1) / 9, f=normal(32),
          v=normal(32, 5, seed=2), k=normal(5))  # fmt: skip


def sparse(text: str, rest: str = "") -> Graph:
    return run(NET, parse_pipeline(text + rest), context(NET, data=samples(NET, 64)))


def middle(graph: Graph) -> np.ndarray:
    """The second layer's weight or codes, along the input channels at each tap: [32, 9 * 16]."""
    _, layer, *_ = (node for node in graph.nodes if node.op == "Conv")
    constant = graph.constants[layer.inputs[1]]
    value = constant.value if constant.codes is None else constant.codes
    return value.transpose(0, 2, 3, 1).reshape(32, -1)


@pytest.mark.parametrize(("pattern", "share"), [("2:4", 0.5), ("1:4", 0.75), ("1x4", 0.5), ("16x4", 0.5), ("1x1", 0.7)])
def test_zeros_lie_in_the_pattern_and_stay_when_rounded(pattern: str, share: float) -> None:
    text = f"sparsify{{pattern={pattern},share={share}}}"
    weight, codes = middle(sparse(text)), middle(sparse(text, f",{ALL}"))
    rows, _, columns = pattern.replace(":", "x").partition("x")
    zero = weight == 0
    assert abs(zero.mean() - share) < 0.01
    assert not codes[zero].any()
    if ":" in pattern:
        assert (zero.reshape(32, -1, 4).sum(axis=2) == 4 - int(rows)).all()
    else:
        blocks = zero.reshape(-1, int(rows), 144 // int(columns), int(columns)).sum(axis=(1, 3))
        assert set(np.unique(blocks)) == {0, int(rows) * int(columns)}


def test_what_is_left_makes_good_for_what_is_gone() -> None:
    given = feeds(NET, unknown=32)
    expected = evaluate(NET, given)["y"]
    found = evaluate(sparse("sparsify"), given)["y"]
    cut = NET.constants["e"].value
    kept = Pattern.of("2:4", 0).keeps(np.square(cut.transpose(0, 2, 3, 1).reshape(32, -1)))
    plain = cut * kept.reshape(32, 3, 3, 16).transpose(0, 3, 1, 2)
    constants = {key: value for key, value in NET.constants.items() if key != "e"}
    by_size = net(TEXT, **{key: value.value for key, value in constants.items()}, e=plain)
    assert np.square(found - expected).sum() < 0.5 * np.square(evaluate(by_size, given)["y"] - expected).sum()


@pytest.mark.parametrize("options", ["pattern=4:2", "pattern=half", "pattern=0x4", "share=1"])
def test_what_is_no_pattern_is_refused(options: str) -> None:
    with pytest.raises(PassError):
        parse_pipeline(f"sparsify{{{options}}}")
