"""The pass: it brings the network nearer to the float model, keeps to the rules of codes, and can be interrupted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import qir
from qir.errors import DataError, MissingDependencyError, PassError
from qir.evaluate import evaluate
from qir.ir.graph import Constant, Graph
from qir.ir.text import graph_text
from qir.passes.train import finetune as module
from qir.passes.train.finetune import Finetune
from qir.passmanager.base import Context
from qir.passmanager.manager import run
from qir.passmanager.registry import parse_pipeline
from qir.recipe import recipe
from tests.passes.graphs import net, normal
from tests.passes.train.networks import context, convolutions, pictures, quantized

torch = pytest.mark.needs("module:torch")

QUICK = Finetune(steps=30, batch_size=32, learning_rate=1e-2)


def noise(graph: Graph, teacher: Graph) -> float:
    """Of the output on fresh samples, beside the power of the teacher's."""
    sample = {"x": pictures(64, seed=77)}
    wanted = evaluate(teacher, sample)["y"]
    return float(np.square(evaluate(graph, sample)["y"] - wanted).mean() / wanted.var())


def shares(logits: np.ndarray) -> np.ndarray:
    """What classes get at the temperature of the training."""
    powers = np.exp((logits - logits.max(axis=1, keepdims=True)) / QUICK.temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@torch
@pytest.mark.parametrize(("numbers", "where"), [("ternary", "onnx"), ("binary", "portable"), ("planes2", "portable"),
                                                ("w1a1", "portable")])  # fmt: skip
def test_it_brings_a_network_nearer_to_the_float_model(numbers: str, where: str, digits: ModuleType) -> None:
    """On images that it was not trained on; the formats stay."""
    data, model = digits.load(), qir.lift(str(digits.MODEL))
    wanted = evaluate(model, {"image": data.test_images})["logits"]
    fine = 0.1 if numbers in ("ternary", "binary", "planes2") else 0.5
    tuning = f"finetune{{steps=120,batch-size=32,learning-rate=0.02,fine-rate={fine}}}"
    graphs, distances = [], []
    for given in (None, tuning):
        made = qir.compile(model, data.train_images, target=where, recipe=numbers, finetune=given)
        assert made.rounding.quant is not None
        graphs.append(made.rounding.quant)
        found = evaluate(graphs[-1], {"image": data.test_images})["logits"]
        distances.append(float(np.abs(shares(found) - shares(wanted)).sum()))
    before, after = graphs
    assert distances[1] < distances[0]
    (note,) = (note for note in made.notes if note.startswith("finetune: "))
    assert "answers as the float model's" in note
    for name in (name for name, constant in after.constants.items() if constant.codes is not None):
        if "bias" not in name:
            old, new, codes = before.tensor(name).quant, after.tensor(name).quant, after.constants[name].codes
            assert old is not None
            assert new is not None
            assert codes is not None
            assert (old.storage, old.qmin, old.qmax, old.rounding) == (new.storage, new.qmin, new.qmax, new.rounding)
            assert new.qmin <= codes.min() <= codes.max() <= new.qmax


@torch
def test_the_result_computes_what_was_trained() -> None:
    """The graph's reference meaning, and the network's in torch."""
    import torch as library

    from qir.passes.train.network import Network

    graph = convolutions()
    given = context(graph, "ternary")
    after = run(quantized(graph, given), (QUICK,), given)
    x = pictures(32)
    with library.no_grad():
        found = Network(after, given)({"x": library.from_numpy(x)})["y"].numpy()
    expected = evaluate(after, {"x": x})["y"]
    assert (np.abs(found - expected) > 1e-3 * np.abs(expected).max()).mean() < 0.05


@torch
def test_a_float_network_is_trained_too() -> None:
    """Weights that something took away are made good for."""
    teacher = convolutions()
    weight = teacher.constants["w1"].value.copy()
    weight[:, ::2] = 0
    student = teacher.with_(constants={**teacher.constants, "w1": Constant(weight)})
    tuning = replace(QUICK, fine_rate=1.0, steps=60)
    after = run(student, (tuning,), context(student, "float", teacher=teacher))
    assert noise(after, teacher) < 0.8 * noise(student, teacher)
    assert student.stage is after.stage


@torch
@pytest.mark.parametrize("numbers", ["float", "int8"])
def test_zeros_of_sparse_weights_stay(numbers: str) -> None:
    graph = convolutions()
    given = context(graph, numbers)
    sparse = run(graph, parse_pipeline("sparsify{pattern=2:4}"), given)
    before = sparse if numbers == "float" else quantized(sparse, given)
    after = run(before, (replace(QUICK, learning_rate=2e-3, fine_rate=1.0),), given)
    old, made = (one.constants[next(node for node in one.nodes if node.name == "Conv_6").inputs[1]]
                 for one in (before, after))  # fmt: skip
    zeros = old.value == 0
    assert 0.5 <= zeros.mean()
    assert not made.value[zeros].any()
    assert made.codes is None or not made.codes[zeros].any()
    assert not np.array_equal(old.value, made.value)


@torch
def test_the_same_samples_give_the_same_network() -> None:
    import torch as library

    graph, threads = convolutions(), library.get_num_threads()
    texts = []
    for seed in (0, 0, 1):
        given = context(graph, "ternary", seed=seed)
        texts.append(graph_text(run(quantized(graph, given), (QUICK,), given)))
    assert texts[0] == texts[1] != texts[2]
    assert threads == library.get_num_threads()


@torch
def test_an_interrupted_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes out is the same as without the interruption."""
    from qir.passes.train import training

    graph = convolutions()
    given = context(graph, "ternary")
    before = quantized(graph, given)
    whole = run(before, (QUICK,), replace(given, notes=[]))
    kept = replace(QUICK, checkpoint=str(tmp_path / "tuning"))
    judge, looks = training.judged, []

    def interrupted(*arguments: Any) -> float:
        looks.append(1)
        if len(looks) == 7:
            raise KeyboardInterrupt
        return judge(*arguments)

    monkeypatch.setattr(training, "judged", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(before, (kept,), replace(given, notes=[]))
    again = run(before, (kept,), replace(given, notes=[]))
    assert 7 + (16 - 6) == len(looks)
    assert graph_text(whole) == graph_text(again)
    assert ["tuning"] == [path.name for path in tmp_path.iterdir()]
    with pytest.raises(DataError, match="not of this training"):
        run(before, (replace(kept, temperature=3.0),), given)


@torch
def test_labels_are_learned_where_there_are_some() -> None:
    graph = convolutions()
    labels = (evaluate(graph, {"x": pictures()})["y"].argmax(1) + 1) % 4
    given = context(graph, "ternary", labels=labels)
    before = quantized(graph, given)
    passes = (replace(QUICK, labels=30.0, learning_rate=3e-2, fine_rate=1.0, steps=80),)
    after = run(before, passes, given)
    right = [(evaluate(one, {"x": pictures()})["y"].argmax(1) == labels).mean() for one in (before, after)]
    assert right[1] > right[0] + 0.1


@torch
@pytest.mark.parametrize("labels", [np.arange(95) % 4, np.arange(96) % 5, np.linspace(0, 1, 96)])
def test_labels_that_do_not_fit_are_refused(labels: np.ndarray) -> None:
    graph = convolutions()
    given = context(graph, "ternary", labels=labels)
    with pytest.raises(DataError, match="labels"):
        run(quantized(graph, given), (QUICK,), given)


@torch
def test_what_kernels_rely_on_stays() -> None:
    """Codes of inputs, clamps that codes hold, and ranges of operators; the scale behind a Relu may change."""
    text = """(float[N,4] x) => (float[N,3] y) { a = MatMul(x, w) b = Clip(a, low, high) c = MatMul(b, v) d = Relu(c)
              e = MatMul(d, v) f = Sigmoid(e) y = MatMul(f, u) }"""
    graph = net(text, w=normal(4, 6), v=normal(6, 6, seed=1), u=normal(6, 3, seed=2), low=np.float32(-1),
                high=np.float32(1))  # fmt: skip
    data = normal(96, 4, seed=3)
    given = context(graph, replace(recipe("w4a4"), ends=None), "portable", data)
    graph = run(graph, parse_pipeline("fuse-matmul-add"), given)
    before = quantized(graph, given)
    after = run(before, (replace(QUICK, fine_rate=1.0),), given)
    values = before.types.keys() - before.constants.keys()
    changed = {name for name in values if before.types[name] != after.types[name]}
    assert {"d"} <= changed
    assert changed.isdisjoint({"x", "b", "f"})


@torch
def test_samples_of_one_size_are_wanted() -> None:
    text = "(float[N,4,L] x) => (float[N,1] y) { a = ReduceMean<keepdims=0>(x, axis) y = MatMul(a, w) }"
    graph = net(text, w=normal(4, 1), axis=np.array([2]))
    given = context(graph, "float", data=[normal(1, 4, 5), normal(1, 4, 7)])
    with pytest.raises(DataError, match="one shape"):
        run(graph, (QUICK,), given)


def test_without_pytorch_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    graph = convolutions()
    with pytest.raises(MissingDependencyError, match=r"pip install 'qir\[train\]'"):
        run(graph, (QUICK,), context(graph, "float"))


@pytest.mark.parametrize("options", ["steps=0", "learning-rate=-1.0", "warmup=1.0", "batch-size=0", "temperature=0.0"])
def test_options_without_sense_are_refused(options: str) -> None:
    with pytest.raises(PassError, match=r"finetune has"):
        parse_pipeline(f"finetune{{{options}}}")


def test_it_prints_and_parses_itself() -> None:
    (found,) = parse_pipeline(str(replace(QUICK, checkpoint="tuning.part", labels=0.5)))
    assert replace(QUICK, checkpoint="tuning.part", labels=0.5) == found


@torch
def test_statistics_alone_do_not_do() -> None:
    graph = convolutions()
    with pytest.raises(PassError, match="samples"):
        Finetune().run(graph, Context(context(graph).target, statistics=None))
