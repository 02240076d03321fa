"""`finetune=` of qir.compile, and --finetune."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import qir
from qir.cli import main
from qir.passes.train import finetune as module
from qir.passes.train.finetune import Finetune
from qir.passmanager.registry import parse_pipeline
from qir.pipeline import default_pipeline, with_finetune
from qir.recipe import recipe
from qir.target import target
from tests.models import images, tiny_cnn
from tests.passes.train.networks import convolutions, pictures

QUICK = Finetune(steps=6, batch_size=16)


@pytest.mark.needs("module:torch")
@pytest.mark.parametrize(
    ("numbers", "where", "before", "after"),
    [("int8", "onnx", "correct-biases", "quantize-biases"),
     ("ternary", "portable", "correct-biases", "quantize-biases"),
     ("weights-int4", "onnx", "round-weights", "orient-weights"),
     ("float", "portable", "eliminate-dead-code", "bind-batch"), ("float", "onnx", "eliminate-dead-code", None)],
)  # fmt: skip
def test_it_stands_where_weights_are_rounded_and_biases_are_not(
    numbers: str, where: str, before: str, after: str | None
) -> None:
    passes = with_finetune(default_pipeline(recipe(numbers), target(where), has_data=True), True, recipe(numbers))
    names = [one.name for one in passes]
    place = names.index("finetune")
    assert Finetune() == passes[place]
    assert before == names[place - 1]
    assert after == (names[place + 1] if place + 1 < len(names) else None)


@pytest.mark.needs("module:torch")
@pytest.mark.parametrize(("numbers", "places"), [("int8", 1), ("ternary", 2), ("w8a4", 2), ("float", 1)])
def test_what_is_made_smaller_is_trained_in_float_first(numbers: str, places: int) -> None:
    """Behind what made it so, and once more behind the rounding where that is to few bits."""
    small = parse_pipeline("prune{channels=0.3},sparsify{pattern=2:4}")
    usual = default_pipeline(recipe(numbers), target("onnx"), has_data=True, compress=small)
    passes = with_finetune(usual, "finetune{checkpoint=part}", recipe(numbers))
    tunings = [i for i, one in enumerate(passes) if one.name == "finetune"]
    assert places == len(tunings)
    assert "sparsify" == passes[tunings[0] - 1].name
    assert "finetune{checkpoint=part.float}" == str(passes[tunings[0]])
    assert places == 1 or ("finetune{checkpoint=part}", "quantize-biases") == (
        str(passes[tunings[1]]), passes[tunings[1] + 1].name)  # fmt: skip


@pytest.mark.needs("module:torch")
@pytest.mark.parametrize("given", ["calibrate", "finetune,finetune", 3, "tune"])
def test_what_is_no_fine_tuning_is_refused(given: Any) -> None:
    with pytest.raises(qir.QirError):
        qir.compile(convolutions(), pictures(), finetune=given)


def test_without_pytorch_the_call_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(qir.MissingDependencyError, match=r"pip install 'qir\[train\]'"):
        qir.compile(convolutions(), pictures(), recipe="ternary", finetune=True)
    notes = qir.compile(convolutions(), pictures(), recipe="ternary").notes
    assert not any("finetune" in note for note in notes)
    (cost,) = (note for note in notes if note.startswith("weights are "))
    assert "ternary in 2" in cost
    assert "points of accuracy to be expected" in cost


@pytest.mark.needs("module:torch")
def test_it_needs_samples() -> None:
    with pytest.raises(qir.DataError, match="samples"):
        qir.compile(convolutions(), finetune=True)


@pytest.mark.needs("module:torch", "cc")
def test_c_and_onnx_of_a_trained_network_agree() -> None:
    """The contract holds as for any other: one code at most, in few places."""
    x = pictures()[:8]
    c = qir.compile(convolutions(1), pictures(), recipe="ternary", target="portable", finetune=QUICK)
    reference = qir.evaluate_graph(c.rounding.quant, {"x": x[:1]})["y"]
    np.testing.assert_allclose(c.run({"x": x[:1]})["y"], reference, atol=0.02 * np.abs(reference).max())
    assert any(note.startswith("finetune: ") for note in c.notes)
    trace = qir.compile(convolutions(), pictures(), recipe="ternary", finetune=QUICK, trace=True).trace
    assert trace is not None
    assert "w1" in str(trace["finetune"].diff()) or not trace["finetune"].changed


@pytest.mark.needs("module:torch")
def test_formats_are_chosen_first_and_trained_last() -> None:
    made = qir.compile(convolutions(), pictures(), recipe="mixed", finetune=QUICK, max_bytes="6200")
    assert 1 == sum(note.startswith("finetune: ") for note in made.notes)
    assert 1 == sum(note.startswith("max_bytes ") for note in made.notes)
    assert made.sizes["model"] is not None


@pytest.mark.needs("module:torch")
def test_the_command_trains_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
                                ) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    onnx.save(tiny_cnn(), "model.onnx")
    np.savez("images.npz", x=images(32))
    np.save("labels.npy", np.arange(32) % 3)
    tuned = ["--finetune", str(QUICK), "--labels", "labels.npy"]
    assert 0 == main(["compile", "model.onnx", "--calib", "images.npz", *tuned, "-o", "a.onnx"])
    assert "finetune: 6 steps on 32 samples" in capsys.readouterr().out
    passes = f"collect,calibrate,quantize,quantize-weights,{QUICK}"
    assert 0 == main(["opt", "model.onnx", "--calib", "images.npz", "--passes", passes, "--print-changed"])
    assert "finetune" in capsys.readouterr().out
    assert 2 == main(["compile", "model.onnx", "--calib", "images.npz", "--finetune", "--labels", "none.npy"])
