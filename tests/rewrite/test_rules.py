"""Patterns, rules and the driver that applies them."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from qir.errors import PassError
from qir.ir.graph import Graph, Node
from qir.rewrite.driver import apply_rules
from qir.rewrite.editor import Editor
from qir.rewrite.guards import put, unrounded
from qir.rewrite.pattern import Match, Op, Refused, Rule, any_value, closed_match, constant, match, op
from qir.verify import verify
from tests.passes.graphs import assert_same, net, normal, ops, quantized


def found(pattern: Op, graph: Graph, at: int = -1) -> Match | None:
    return match(pattern, graph.nodes[at], graph)


TWICE = op("Mul", any_value("x"), op("Sigmoid", any_value("x")), commutes=True)


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        ("s = Sigmoid(x) y = Mul(x, s)", True),
        ("s = Sigmoid(x) y = Mul(s, x)", True),
        ("s = Sigmoid(x) n = Neg(x) y = Mul(s, n)", False),
        ("s = Sigmoid(x) t = Mul(x, s) y = Add(t, s)", False),
        ("s = Tanh(x) y = Mul(x, s)", False),
    ],
)
def test_equal_names_meet_equal_values(body: str, fits: bool) -> None:
    graph = net(f"(float[2] x) => (float[2] y) {{ {body} }}")
    result = match(TWICE, next(node for node in graph.nodes if node.op == "Mul"), graph)
    assert (result is not None) == fits
    if result is not None:
        assert result.value("x") == "x"
        assert [node.op for node in result.inner] == ["Sigmoid", "Mul"]


def test_orders_are_tried_until_all_fits() -> None:
    inner = op("Add", any_value("p"), any_value("q"), commutes=True)
    pattern = op("Sub", inner, any_value("q"))
    result = found(pattern, net("(float[2] a, float[2] b) => (float[2] y) { s = Add(a, b) y = Sub(s, a) }"))
    assert result is not None
    assert (result.value("p"), result.value("q")) == ("b", "a")


def test_constants_and_optional_operands() -> None:
    graph = net("(float[2] x) => (float[2] y) { y = Clip(x, low) }", low=np.float32(1))
    pattern = op("Clip", any_value("x"), constant("low"), any_value("high", optional=True))
    result = found(pattern, graph)
    assert result is not None
    assert (result.scalar("low"), result.value("high"), result.array("low").shape) == (1.0, "", ())
    assert found(op("Clip", any_value("x"), constant("low"), any_value("high")), graph) is None
    assert found(op("Clip", constant("x")), graph) is None


def test_labels_must_differ() -> None:
    with pytest.raises(PassError, match="label neg twice"):
        Rule("r", op("Neg", op("Neg", any_value("x"))), lambda match, edit: Refused(""))


def test_a_finders_nodes_must_be_closed() -> None:
    graph = net("(float[2] x) => (float[2] y) { a = Exp(x) b = Neg(a) y = Add(a, b) }")
    assert closed_match(graph, graph.nodes, {}) is not None
    assert closed_match(graph, graph.nodes[:2], {}) is None


def _join(match: Match, edit: Editor) -> str:
    return put(match, edit, "Abs", (match.value("x"),))


PAIR = Rule("pair", op("Neg", op("Neg", any_value("x"), label="first")), unrounded(_join))


def test_overlapping_matches_wait_for_the_next_round() -> None:
    graph = net("(float[2] x) => (float[2] y) { a = Neg(x) b = Neg(a) c = Neg(b) y = Neg(c) }").with_(
        ranges={"b": (0.0, 1.0)}
    )
    after = apply_rules(graph, [PAIR])
    verify(after)
    assert ops(after) == ["Abs", "Abs"]
    assert after.nodes[0].outputs == ("b",)
    assert dict(after.ranges) == {"b": (0.0, 1.0)}
    assert len(after.nodes[0].origin) == 2


def test_refusals_are_logged_and_edit_nothing(caplog: pytest.LogCaptureFixture) -> None:
    graph = net("(float[2] x) => (float[2] y) { y = Neg(x) }")
    rule = Rule("never", op("Neg", any_value("x")), lambda match, edit: Refused("it is Tuesday"))
    with caplog.at_level(logging.DEBUG):
        assert apply_rules(graph, [rule]) is graph
    assert "it is Tuesday" in caplog.text


def test_rounding_inside_is_refused_and_of_the_result_kept() -> None:
    graph = net("(float[2] x) => (float[2] z) { a = Neg(x) y = Neg(a) z = Exp(y) }")
    assert apply_rules(quantized(graph, "a"), [PAIR]).nodes == graph.nodes
    after = apply_rules(quantized(graph, "y"), [PAIR])
    assert (ops(after), after.tensor("y").quant is not None) == (["Abs", "Exp"], True)


def test_a_result_under_a_new_name_takes_over_codes_and_range() -> None:
    graph = net("(float[2] x) => (float[2] z) { y = Neg(x) z = Exp(y) }").with_(ranges={"y": (-1.0, 1.0)})
    rule = Rule("r", op("Neg", any_value("x")), lambda m, edit: edit.node("Abs", (m.value("x"),), origin=m.inner)[0])
    after = apply_rules(quantized(graph, "y"), [rule])
    name = after.nodes[0].outputs[0]
    assert after.tensor(name).quant == quantized(graph, "y").tensor("y").quant
    assert dict(after.ranges) == {name: (-1.0, 1.0)}


def test_rules_that_undo_each_other_are_reported() -> None:
    def swap(to: str) -> Rule:
        other = "Neg" if to == "Abs" else "Abs"
        return Rule(
            f"to-{to}",
            op(other, any_value("x"), label="n"),
            lambda match, edit: put(match, edit, to, (match.value("x"),)),
        )

    with pytest.raises(PassError, match=r"to-Neg, to-Abs do not come to an end"):
        apply_rules(net("(float[2] x) => (float[2] y) { y = Neg(x) }"), [swap("Neg"), swap("Abs")])


def test_bodies_are_rewritten_with_their_captures() -> None:
    text = """(float[2] x, bool b) => (float[2] y) {
        e = Exp(x)
        y = If (b) <then_branch = t () => (float[2] p) { i = Add(e, k) p = Mul(i, k) },
                    else_branch = f () => (float[2] q) { q = Sub(e, k) }> }"""

    def find(node: Node, graph: Graph) -> Match | None:
        return Match(graph, node, {"n": node}) if node.op == "Add" and node.inputs[1] in graph.constants else None

    def flip(match: Match, edit: Editor) -> str:
        node = match.root
        negated = edit.revised(node.inputs[1], -match.graph.constants[node.inputs[1]].value, [node])
        return put(match, edit, "Sub", (node.inputs[0], negated))

    graph = net(text, k=normal(2))
    after = apply_rules(graph, [Rule("flip", find, flip)])
    verify(after)
    assert_same(graph, after)
    assert [node.op for _, node in after.walk()] == ["Exp", "If", "Sub", "Mul", "Sub"]
