"""Which layers stand at the ends of a network."""

from __future__ import annotations

from qir.ops.weighted import depthwise_layers, outer_layers
from tests.passes.graphs import net, normal


def test_layers_with_none_before_or_behind_them() -> None:
    graph = net(
        """(float[N,4,8,8] x, float[N,4,8,8] z) => (float[a,b,c,d] p, float[a,b,c,d] q) {
            s = Transpose <perm=[1,0,2,3]> (turned)  a = Conv (x, s)  b = Relu (a)  c = Conv (z, w)  d = Add (b, c)
            e = Conv <group=4> (d, g)  f = Conv (e, w)  p = Conv (f, w)  h = Conv (f, w)  q = Sigmoid (h)
        }""",
        w=normal(4, 4, 1, 1), turned=normal(4, 4, 1, 1), g=normal(4, 1, 1, 1),
    )  # fmt: skip
    makers = {graph.index.producer(name).name for name in "acph"}  # type: ignore[union-attr]
    assert makers == set(outer_layers(graph))
    assert [node.name for node in graph.nodes if node.attr("group", 1) == 4] == list(depthwise_layers(graph))
