"""Pruning: whole channels go through everything that they touch, the rest makes good for them, budgets are kept."""

from __future__ import annotations

import numpy as np
import pytest

from qir.coupling import REMOVAL, Coupling
from qir.errors import PassError
from qir.evaluate import evaluate
from qir.ir.graph import Constant, Graph
from qir.passes.compress.changed import total_macs
from qir.passes.compress.work import work
from qir.passmanager.manager import run
from qir.passmanager.registry import parse_pipeline, pipeline_text
from qir.rewrite.channel_removal import remove_channels
from qir.verify import verify
from tests.passes.graphs import assert_same, feeds, net, normal
from tests.passes.quantize.quantizing import context, samples

IMAGE = "(float[N,3,8,8] x) => (float[N,5,p,q] y)"
W, V, B = normal(8, 3, 3, 3), normal(5, 8, 1, 1, seed=2), normal(8, seed=1)
GRAPHS: dict[str, tuple[str, dict[str, object]]] = {
    "residual": (
        f"{IMAGE} {{ a = Conv(x, w, b) c = Relu(a) d = Conv<pads=[1,1,1,1]>(c, e) f = Add(c, d) y = Conv(f, v) }}",
        {"w": W, "b": B, "e": normal(8, 8, 3, 3), "v": V},
    ),
    "concat and split": (
        f"{IMAGE} {{ a = Conv(x, w, b) c = Conv(x, u) d = Concat<axis=1>(a, c) f, g = Split<axis=1, num_outputs=2>(d) "
        "h = Mul(f, g) y = Conv(h, v) }",
        {"w": W, "b": B, "u": normal(8, 3, 3, 3, seed=3), "v": V},
    ),
    "depthwise, norm and constants": (
        f"{IMAGE} {{ a = Conv(x, w, b) n = BatchNormalization(a, b, b, b, p) c = HardSwish(n) "
        "d = Conv<group=8>(c, k) f = PRelu(d, s) g = Add(f, t) h = Clip(g, low, high) y = Conv(h, v) }",
        {"w": W, "b": B, "p": np.abs(B) + 0.5, "k": normal(8, 1, 3, 3), "s": normal(8, 1, 1), "t": normal(1, 8, 1, 1),
         "low": np.float32(-1), "high": np.float32(3), "v": V},
    ),
    "squeeze and excite": (
        f"{IMAGE} {{ a = Conv(x, w, b) m = GlobalAveragePool(a) r = Conv(m, u) q = Relu(r) z = Conv(q, o) "
        "k = HardSigmoid(z) g = Mul(a, k) y = Conv(g, v) }",
        {"w": W, "b": B, "u": normal(4, 8, 1, 1), "o": normal(8, 4, 1, 1), "v": V},
    ),
    "flattened": (
        "(float[N,3,8,8] x) => (float[N,5] y) { a = Conv(x, w, b) m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(a) "
        "f = Flatten(m) y = Gemm(f, v, c) }",
        {"w": W, "b": B, "v": normal(72, 5), "c": normal(5)},
    ),
    "flattened, channels last": (
        "(float[N,3,8,8] x) => (float[N,5] y) { a = Conv(x, w, b) t = Transpose<perm=[0,2,3,1]>(a) "
        "f = Reshape(t, z) y = MatMul(f, v) }",
        {"w": W, "b": B, "z": np.array([0, 288]), "v": normal(288, 5)},
    ),
    "grouped": (
        f"{IMAGE} {{ a = Conv(x, w, b) c = Conv<group=2>(a, u, b) y = Conv(c, v) }}",
        {"w": W, "b": B, "u": normal(8, 4, 1, 1), "v": V},
    ),
    "transposed": (
        f"{IMAGE} {{ a = ConvTranspose(x, w, b) c = ConvTranspose<group=8>(a, k) y = Conv(c, v) }}",
        {"w": normal(3, 8, 3, 3), "b": B, "k": normal(8, 1, 3, 3), "v": V},
    ),
    "heads": (
        "(float[N,6,8] x) => (float[N,6,5] y) { q = MatMul(x, w) k = MatMul(x, u) v = MatMul(x, o) "
        "qr = Reshape(q, z) kr = Reshape(k, z) vr = Reshape(v, z) qt = Transpose<perm=[0,2,1,3]>(qr) "
        "kt = Transpose<perm=[0,2,3,1]>(kr) vt = Transpose<perm=[0,2,1,3]>(vr) s = MatMul(qt, kt) "
        "p = Softmax<axis=3>(s) h = MatMul(p, vt) ht = Transpose<perm=[0,2,1,3]>(h) hr = Reshape(ht, f) "
        "y = MatMul(hr, e) }",
        {"w": normal(8, 16), "u": normal(8, 16, seed=4), "o": normal(8, 16, seed=5), "z": np.array([0, 6, 4, 4]),
         "f": np.array([0, 6, 16]), "e": normal(16, 5)},
    ),
}  # fmt: skip
CLASSES = {"residual": 8, "concat and split": 8, "depthwise, norm and constants": 8, "squeeze and excite": 12,
           "flattened": 8, "flattened, channels last": 8, "grouped": 8, "transposed": 8, "heads": 4}  # fmt: skip


def graph(name: str) -> Graph:
    text, constants = GRAPHS[name]
    return net(text, **constants)


@pytest.mark.parametrize("name", GRAPHS)
def test_channels_that_no_layer_heeds_go_without_a_trace(name: str) -> None:
    before = graph(name)
    coupling = Coupling.of(before, REMOVAL)
    assert CLASSES[name] == len(coupling.groups) - 1
    gone = np.zeros(len(coupling.groups), bool)
    for group in range(1, int(coupling.groups.max()) + 1):
        gone[np.flatnonzero(coupling.groups == group)[1::2]] = True
    constants = dict(before.constants)
    for node in before.nodes:
        for along in coupling.operands.get((node.name, 1), ()):
            read = coupling.values.get(node.inputs[0])
            if read is not None and node.name not in coupling.carriers and np.isin(along.ids, read.ids).all():
                value = constants[node.inputs[1]].value.copy()
                np.moveaxis(value, along.axis, 0)[gone[along.ids]] = 0
                constants[node.inputs[1]] = Constant(value)
    before = before.with_(constants=constants)
    after = remove_channels(before, coupling, gone)
    verify(after, after="remove_channels")
    assert total_macs(after) < total_macs(before)
    assert_same(before, after, tolerance=1e-5)


def pruned(text: str, before: Graph) -> Graph:
    return run(before, parse_pipeline(text), context(before, data=samples(before, 64)))


@pytest.mark.parametrize("name", [name for name in GRAPHS if name != "transposed"])
@pytest.mark.parametrize("method", ["obs", "magnitude", "random"])
def test_every_network_prunes_to_half(name: str, method: str) -> None:
    before = graph(name)
    after = pruned(f"prune{{channels=0.5,multiple=1,method={method}}}", before)
    assert total_macs(after) < total_macs(before)
    assert {node.name for node in before.nodes} == {node.name for node in after.nodes}
    assert evaluate(after, feeds(before))["y"].shape == evaluate(before, feeds(before))["y"].shape


def copies(seed: int = 0) -> Graph:
    """Of sixteen channels four are sums of the others, scaled so that they are the largest."""
    random = np.random.default_rng(seed)
    first = random.standard_normal((16, 12)).astype(np.float32)
    first[12:] = 3 * random.standard_normal((4, 12)).astype(np.float32) @ first[:12]
    text = "(float[N,12] x) => (float[N,5] y) { h = Gemm<transB=1>(x, w, b) y = Gemm(h, v, c) }"
    return net(text, w=first, b=normal(16), v=normal(16, 5), c=normal(5))


def test_what_others_can_make_good_for_goes_first_and_is_made_good_for() -> None:
    before = copies()
    given = feeds(before, unknown=64)
    expected = evaluate(before, given)["y"]
    errors = []
    for method in ("obs", "magnitude", "random"):
        after = pruned(f"prune{{channels=0.25,multiple=1,method={method}}}", before)
        assert 12 == after.constants[after.nodes[1].inputs[1]].value.shape[0]
        errors.append(float(np.square(evaluate(after, given)["y"] - expected).mean() / np.square(expected).mean()))
    assert errors[0] < min(errors[1:]) / 10


def test_budgets_overrides_and_counts() -> None:
    before = graph("squeeze and excite")
    whole = total_macs(before)
    assert total_macs(pruned("prune{macs=0.6,multiple=1}", before)) <= 0.6 * whole
    assert total_macs(pruned(f"prune{{macs={int(0.7 * whole)},multiple=1}}", before)) <= 0.7 * whole
    after = pruned("prune{layers=[*:0,Conv_0:0.5]}", before)
    made = {node.name: after.tensor(node.outputs[0]).shape[1] for node in after.nodes if node.op == "Conv"}
    first, squeeze, *_ = made.values()
    assert (4, 4) == (first, squeeze)
    assert before is pruned("prune", before)
    text = "prune{channels=0.3,macs=0.5,layers=[a*:0.2,Conv:0],method=magnitude}"
    assert text == pipeline_text(parse_pipeline(text))


MISTAKES = ["channels=1", "macs=0", "method=best", "layers=[conv]", "layers=[a:2]", "multiple=0", "time=1.5"]


@pytest.mark.parametrize("options", MISTAKES)
def test_options_without_sense_are_refused(options: str) -> None:
    with pytest.raises(PassError):
        parse_pipeline(f"prune{{{options}}}")


def test_what_reaches_the_outputs_stays() -> None:
    before = net("(float[N,3,8,8] x) => (float[N,8,6,6] y) { a = Conv(x, w) y = Sigmoid(a) }", w=W)
    assert before is pruned("prune{channels=0.5}", before)


@pytest.mark.parametrize("where", ["x86-avx2", "cortex-m4"])
def test_time_is_that_of_the_kernels_that_the_target_would_take(where: str) -> None:
    """Counts are those that vectors hold."""
    text = f"(float[1,3,8,8] x) => (float[1,5,8,8] y) {{ {CHAIN} }}"
    before = net(text, w=normal(32, 3, 1, 1), v=normal(32, 32, 3, 3, seed=1), u=normal(5, 32, 1, 1, seed=2))
    given = context(before, where, data=samples(before, 64))
    whole = sum(work(before, given).values())
    assert whole > 0
    after = run(before, parse_pipeline("prune{time=0.7}"), given)
    assert 0.7 * whole >= sum(work(after, given).values())
    made = [after.tensor(node.outputs[0]).sizes[1] for node in after.nodes if node.op == "Conv"]
    assert sum(made[:2]) < 64
    assert all(count % 8 == 0 for count in made[:2])


def test_without_estimates_time_is_no_budget() -> None:
    text = """(float[1,3,8,8] x) => (float[1,5,6,6] y) { a = Conv(x, w) b = Conv(a, v) c = NonZero(b) d = Cast<to=1>(c)
              e = ReduceSum<keepdims=0>(d) y = Add(b, e) }"""
    before = net(text, w=W, v=V)
    given = context(before, "portable", data=samples(before, 8))
    with pytest.raises(PassError, match="no estimates of this network"):
        run(before, parse_pipeline("prune{time=0.5}"), given)
    with pytest.raises(PassError, match="milliseconds"):
        run(before, parse_pipeline("prune{ms=0.5}"), given)


CHAIN = "a = Conv(x, w) b = Relu(a) c = Conv<pads=[1,1,1,1]>(b, v) d = Relu(c) y = Conv(d, u)"
