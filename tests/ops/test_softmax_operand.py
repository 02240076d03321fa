"""What a Softmax can tell of its operand."""

from __future__ import annotations

import numpy as np

from qir.ops.softmax_operand import softmax_operands, told_apart
from tests.passes.graphs import net, normal


def test_what_is_raised_adds_at_most_half_a_step_of_8_bit_codes() -> None:
    operand = 30 * normal(50, 40)
    operand[::2, 7:] = -np.inf
    raised = told_apart(operand, 1)
    assert np.isfinite(raised).all()
    shares = [np.exp(x - operand.max(1, keepdims=True), dtype=np.float64) for x in (operand, raised)]
    softmax = [share / share.sum(1, keepdims=True) for share in shares]
    assert (raised != operand).any()
    assert np.abs(softmax[0] - softmax[1]).max() <= 1 / 512


def test_values_that_something_else_reads_are_told_apart_everywhere() -> None:
    graph = net("(float[2,3] x) => (float[2,3] y, float[2,3] d) { a = Neg(x) b = Abs(x) c = Exp(x) d = Sin(x) "
                "p = Softmax<axis=0>(a) q = Softmax(b) r = Softmax(d) s = Softmax<axis=0>(c) t = Softmax<axis=1>(c) "
                "y = Sum(p, q, r, s, t, b) }")  # fmt: skip
    assert dict(softmax_operands(graph)) == {"a": 0}
