"""Low rank: two layers for one, as near as the rank lets them, only where they are smaller."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qir.errors import PassError
from qir.evaluate import evaluate
from qir.ir.graph import Graph
from qir.passes.compress.changed import total_macs
from qir.passmanager.manager import run
from qir.passmanager.registry import parse_pipeline
from tests.passes.graphs import feeds, net, normal
from tests.passes.quantize.quantizing import context, samples

RANK = 4
GRAPHS: dict[str, tuple[str, dict[str, Any]]] = {
    "gemm": (
        "(float[N,24] x) => (float[N,20] y) { y = Gemm<transB=1>(x, w, b) }",
        {"w": normal(20, RANK) @ normal(RANK, 24), "b": normal(20)},
    ),
    "matmul": (
        "(float[N,5,24] x) => (float[N,5,20] y) { y = MatMul(x, w) }",
        {"w": normal(24, RANK) @ normal(RANK, 20)},
    ),
    "channels": (
        "(float[N,8,7,7] x) => (float[N,20,p,q] y) { y = Conv<pads=[1,0,1,2], strides=[2,1]>(x, w, b) }",
        {"w": (normal(20, RANK) @ normal(RANK, 72)).reshape(20, 8, 3, 3), "b": normal(20)},
    ),
    "space": (
        "(float[N,8,7,7] x) => (float[N,20,p,q] y) "
        '{ y = Conv<auto_pad="SAME_UPPER", strides=[1,2]>(x, w, b) }',
        {"w": np.einsum("mrj,rci->mcij", normal(20, RANK, 3), normal(RANK, 8, 3)), "b": normal(20)},
    ),
}  # fmt: skip


def graph(name: str) -> Graph:
    text, constants = GRAPHS[name]
    return net(text, **constants)


@pytest.mark.parametrize("options", ["", "{error=1e-6}"])
@pytest.mark.parametrize("name", GRAPHS)
def test_layers_of_low_rank_are_factored_without_loss(name: str, options: str) -> None:
    before = graph(name)
    after = run(before, parse_pipeline(f"low-rank{options}"), context(before, data=samples(before, 64)))
    assert [before.nodes[0].op] * 2 == [node.op for node in after.nodes]
    assert total_macs(after) < total_macs(before)
    assert before.nodes[0].name == after.nodes[1].name
    first = after.constants[after.nodes[0].inputs[1]].value
    assert RANK == first.shape[1 if name == "matmul" else 0]
    given = feeds(before, unknown=8)
    expected, found = evaluate(before, given)["y"], evaluate(after, given)["y"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-3 * np.abs(expected).max())


def test_budgets_are_kept_and_ranks_follow_what_the_inputs_are_like() -> None:
    random = np.random.default_rng(0)
    narrow = random.standard_normal((3, 24)).astype(np.float32)  # inputs of rank 3
    text = "(float[N,24] x) => (float[N,20] y) { h = Gemm(x, w) r = Relu(h) y = Gemm(r, v) }"
    before = net(text, w=normal(24, 40), v=normal(40, 20))
    data = {"x": random.standard_normal((128, 3)).astype(np.float32) @ narrow}
    after = run(before, parse_pipeline("low-rank{macs=0.6,multiple=1}"), context(before, data=data))
    assert total_macs(after) <= 0.6 * total_macs(before)
    given = {"x": random.standard_normal((64, 3)).astype(np.float32) @ narrow}
    expected, found = evaluate(before, given)["y"], evaluate(after, given)["y"]
    assert np.square(found - expected).mean() < 0.02 * np.square(expected).mean()


@pytest.mark.parametrize("options", ["{macs=0}", "{error=-1}", "{macs=0.5,multiple=0}"])
def test_options_without_sense_are_refused(options: str) -> None:
    with pytest.raises(PassError):
        parse_pipeline(f"low-rank{options}")
