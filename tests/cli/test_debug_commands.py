"""`qir debug` and `qir explain`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from qir.cli import main
from qir.recipe import Recipe
from tests.models import images, tiny_cnn

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> Path:
    """A folder with a model, samples, and a trace of its compilation under a recipe that clips one layer."""
    monkeypatch.chdir(tmp_path)
    onnx.save(tiny_cnn(), "model.onnx")
    np.savez("images.npz", x=images())
    clipped = ["--override", "conv:range=0..2", "--trace", "out/trace"]
    assert 0 == main(["compile", "model.onnx", "--calib", "images.npz", *clipped])
    capsys.readouterr()
    return tmp_path / "out/trace"


def test_the_story_fits_a_screen_and_names_the_guilty(traced: Path, capsys: Capture) -> None:
    assert 0 == main(["debug", "out/trace"])
    text = capsys.readouterr().out
    assert len(text.splitlines()) <= 40
    assert "quantize-weights" in text
    assert "worst layers" in text
    assert "error conv: range-clipped" in text
    assert text.splitlines()[-1].startswith("next: qir debug out/trace --recipe fixed.toml")


def test_the_recipe_it_writes_mends_the_network(traced: Path, capsys: Capture) -> None:
    assert 0 == main(["debug", "out/trace", "--recipe", "fixed.toml"])
    assert Recipe.from_toml(Path("fixed.toml").read_text(encoding="utf-8")).overrides[-1].match == "conv"
    again = ["--recipe", "fixed.toml", "--trace", "out/again"]
    assert 0 == main(["compile", "model.onnx", "--calib", "images.npz", *again])
    capsys.readouterr()
    assert 0 == main(["debug", "out/again", "--json"])
    after = json.loads(capsys.readouterr().out)
    assert [one for one in after["findings"] if one["severity"] != "note"] == []


def test_max_drop_keeps_the_guilty_layer_in_float(traced: Path, capsys: Capture) -> None:
    ruined = ["--override", "conv:range=0..0.01", "--max-drop", "0.001", "-o", "kept.onnx"]
    assert 0 == main(["compile", "model.onnx", "--calib", "images.npz", *ruined])
    text = capsys.readouterr().out
    assert "max_drop 0.001 holds" in text
    assert "conv: float" in text


def test_sensitivity_ranks_the_layers(traced: Path, capsys: Capture) -> None:
    assert 0 == main(["debug", "out/trace", "--sensitivity"])
    assert "conv (Conv)" in capsys.readouterr().out
    assert 0 == main(["debug", "out/trace", "--sensitivity", "--json"])
    layers = json.loads(capsys.readouterr().out)["layers"]
    assert [row["share"] for row in layers] == sorted((row["share"] for row in layers), reverse=True)


def test_max_bytes_takes_a_unit_and_says_what_does_not_fit(traced: Path, capsys: Capture) -> None:
    assert 0 == main(["compile", "model.onnx", "--calib", "images.npz", "--max-bytes", "64k", "-o", "small.onnx"])
    assert "max_bytes 64,000 holds" in capsys.readouterr().out
    assert 2 == main(["compile", "model.onnx", "--calib", "images.npz", "--max-bytes", "100", "-o", "tiny.onnx"])
    assert "the smallest that was made takes" in capsys.readouterr().err
    assert not Path("tiny.onnx").exists()


def test_findings_diff_and_bisect(traced: Path, capsys: Capture) -> None:
    assert 0 == main(["debug", "out/trace", "--findings"])
    text = capsys.readouterr().out
    assert "error: conv (Conv): range-clipped" in text
    assert '    match = "conv"' in text
    assert 0 == main(["debug", "out/trace", "--diff", "calibrate", "quantize"])
    assert "<uint8 scale=" in capsys.readouterr().out
    assert 0 == main(["debug", "out/trace", "--bisect", "0.99"])
    assert "pass" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["r.md", "r.json"])
def test_reports_are_written(traced: Path, capsys: Capture, name: str) -> None:
    assert 0 == main(["debug", "out/trace", "--report", f"reports/{name}"])
    assert "range-clipped" in Path("reports", name).read_text(encoding="utf-8")


def test_explain_takes_the_models_of_any_tool(traced: Path, capsys: Capture) -> None:
    assert 0 == main(["explain", "model.onnx", "model.qdq.onnx", "--calib", "images.npz"])
    text = capsys.readouterr().out
    assert "error: conv (Conv): range-clipped" in text
    assert "tried: Set the range to 0 to" in text
    assert 0 == main(["explain", "model.onnx", "model.qdq.onnx", "--calib", "images.npz", "--json"])
    assert json.loads(capsys.readouterr().out)["findings"][0]["cause"] == "range-clipped"
    assert 0 == main(["explain", "model.onnx", "model.qdq.onnx", "--calib", "images.npz", "-o", "repaired.onnx"])
    capsys.readouterr()
    assert 0 == main(["explain", "model.onnx", "repaired.onnx", "--calib", "images.npz", "-o", "again.onnx"])
    assert "error" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["debug", "nowhere"], "nowhere"),
        (["debug", "."], "trace"),
        (["debug", "out/trace", "--report", "r.pdf"], ".html"),
        (["debug", "out/trace", "--diff", "0", "99"], "no step 99"),
        (["explain", "model.onnx", "model.onnx", "--calib", "images.npz"], "no Q/DQ pairs"),
        (["explain", "model.onnx", "model.qdq.onnx"], "--calib"),
    ],
)
def test_mistakes_are_told_in_one_line(traced: Path, capsys: Capture, arguments: list[str], said: str) -> None:
    assert 2 == main(arguments)
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
