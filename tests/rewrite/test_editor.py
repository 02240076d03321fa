"""Editor: names, places, redirections and what `build` drops; map_bodies."""

from __future__ import annotations

import numpy as np
import pytest

from qir.ir.graph import Constant, Graph
from qir.ir.types import TensorType
from qir.rewrite.bodies import map_bodies
from qir.rewrite.editor import Editor, free_name
from qir.verify import verify
from tests.passes.graphs import assert_same, net, normal, ops

IF = """(float[2] x, bool b) => (float[2] y) {
    e = Exp(x)
    y = If (b) <then_branch = t () => (float[2] p) { i = Add(e, k) p = Neg(i) },
                else_branch = f () => (float[2] q) { q = Relu(x) }> }"""


@pytest.fixture
def chain() -> Graph:
    return net("(float[2,3] x) => (float[2,3] y) { a = Exp(x) b = Add(a, c) y = Neg(b) }", c=normal(3))


def test_no_edit_gives_the_same_graph(chain: Graph) -> None:
    assert Editor(chain).build() is chain


def test_shared_parts_stay_the_same_objects(chain: Graph) -> None:
    edit = Editor(chain)
    edit.use("a", instead_of="b")
    edit.remove(chain.nodes[1])
    after = edit.build()
    assert after.nodes[0] is chain.nodes[0]
    assert ops(after) == ["Exp", "Neg"]
    assert not after.constants
    assert set(after.types) == {"x", "a", "y"}
    assert len(chain.nodes) == 3


def test_new_nodes_are_typed_and_take_their_origins_place(chain: Graph) -> None:
    edit = Editor(chain)
    add = chain.nodes[1]
    edit.remove(add)
    value = edit.node("ReduceSum", ("a", edit.constant("axes", np.array([1]))), origin=(add,))[0]
    assert edit.types[value] == TensorType(chain.tensor("x").dtype, (2, 1))
    edit.use(value, instead_of="b")
    after = edit.build()
    assert ops(after) == ["Exp", "ReduceSum", "Neg"]
    assert (after.nodes[1].name, after.nodes[1].origin) == (add.name, add.origin)
    verify(after)


def test_a_new_node_keeps_to_the_place_of_the_old_one_beside_parallel_branches() -> None:
    graph = net("(float[2] x) => (float[2] y) { a = Exp(x) b = Neg(a) c = Sin(x) d = Cos(c) y = Add(b, d) }")
    edit = Editor(graph)
    edit.remove(graph.nodes[0])
    edit.node("Abs", ("x",), origin=(graph.nodes[0],), outputs=("a",))
    assert ops(edit.build()) == ["Abs", "Neg", "Sin", "Cos", "Add"]


def test_names_avoid_those_in_use_here_and_in_bodies() -> None:
    edit = Editor(net(IF, k=normal(2)))
    assert edit.fresh_value("e") == "e_2"
    assert edit.fresh_value("i") == "i_2"
    assert edit.constant("k", np.zeros(1, np.float32)) == "k_2"
    assert free_name("n", {"n", "n_2"}) == "n_3"


def test_redirecting_a_result_keeps_its_name(chain: Graph) -> None:
    edit = Editor(chain)
    edit.use("b", instead_of="y")
    edit.remove(chain.nodes[2])
    after = edit.build()
    assert (ops(after), after.outputs, after.nodes[1].outputs) == (["Exp", "Add"], ("y",), ("y",))


def test_a_result_that_is_an_input_gets_an_identity(chain: Graph) -> None:
    edit = Editor(chain)
    edit.use("x", instead_of="y")
    edit.remove(*chain.nodes)
    edit.remove(*chain.nodes)
    after = edit.build()
    assert (ops(after), after.outputs) == (["Identity"], ("y",))
    verify(after)


def test_redirections_chain_and_reach_into_bodies() -> None:
    graph = net(IF, k=normal(2))
    edit = Editor(graph)
    edit.use("x", instead_of="e")
    edit.remove(graph.nodes[0])
    after = edit.build()
    assert after.nodes[0].captures == ("x", "k")
    verify(after)
    edit = Editor(graph)
    edit.use("b", instead_of="a")
    edit.use("c", instead_of="b")
    assert edit.resolve("a") == "c"


def test_a_revised_constant_keeps_its_name_for_a_sole_user(chain: Graph) -> None:
    edit = Editor(chain)
    assert edit.revised("c", np.ones(3, np.float32), [chain.nodes[1]]) == "c"
    assert edit.build().value("c").tolist() == [1, 1, 1]  # type: ignore[union-attr]
    shared = net("(float[2] x) => (float[2] y) { a = Add(x, c) y = Mul(a, c) }", c=normal(2))
    edit = Editor(shared)
    assert edit.revised("c", np.ones(2, np.float32), [shared.nodes[0]]) == "c_2"


def test_ranges_and_types_of_vanished_values_go(chain: Graph) -> None:
    edit = Editor(chain.with_(ranges={"a": (0.0, 1.0), "b": (0.0, 2.0)}))
    edit.use("a", instead_of="b")
    edit.remove(chain.nodes[1])
    assert dict(edit.build().ranges) == {"a": (0.0, 1.0)}


def test_bodies_see_lent_constants_and_keep_their_own_changes() -> None:
    graph = net(IF, k=normal(2))
    seen: list[set[str]] = []

    def double(body: Graph) -> Graph:
        seen.append(set(body.constants))
        if "k" not in body.constants:
            return body
        edit = Editor(body)
        edit.set_constant("k", Constant(np.zeros(2, np.float32)))
        return edit.build()

    after = map_bodies(graph, double)
    assert seen == [{"k"}, set()]
    body = after.nodes[1].subgraphs["then_branch"]
    assert set(body.constants) == {"k_2"}
    assert body.nodes[0].inputs == ("e", "k_2")
    assert set(body.types) == {"i", "p", "k_2"}
    assert set(after.constants) == {"k"}
    verify(after)
    assert map_bodies(graph, lambda body: body) is graph


def test_unchanged_numbers_after_a_change_in_a_body() -> None:
    graph = net(IF, k=normal(2))

    def swap(body: Graph) -> Graph:
        edit = Editor(body)
        for node in body.nodes:
            if node.op == "Add":
                edit.replace(node, node.with_(inputs=node.inputs[::-1]))
        return edit.build()

    assert_same(graph, map_bodies(graph, swap))
