"""The public face: every name is there, documented, and cheap to have."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import qir

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", qir.__all__)
def test_public_name_is_there_and_documented(name: str) -> None:
    found = getattr(qir, name)
    assert name in dir(qir)
    if name != "__version__":
        text = inspect.getdoc(found) or ""
        assert len(text) > 10, f"qir.{name} has no docstring"
        assert not text.startswith(f"{name}("), f"qir.{name} has only the docstring that dataclass makes"


def test_every_public_name_is_in_all() -> None:
    assert set(qir._HOMES) | {"__version__"} == set(qir.__all__)
    assert len(set(qir.__all__)) == len(qir.__all__)


def test_type_checkers_see_the_same_names_from_the_same_places() -> None:
    tree = ast.parse((ROOT / "qir" / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            seen[alias.asname or alias.name] = (node.module, alias.name)
    homes = {name: tuple(home.split(":")) if ":" in home else (home, name) for name, home in qir._HOMES.items()}
    assert homes == seen


def test_unknown_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        qir.nonsense  # noqa: B018


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip()


def test_import_loads_no_heavy_module() -> None:
    heavy = "onnxruntime", "onnx", "numpy", "networkx", "rich", "click"
    assert "[]" == run(f"import qir, sys; print([name for name in {heavy} if name in sys.modules])")


def test_names_and_modules_of_the_same_name_do_not_clash() -> None:
    """Whatever was imported before, `qir.compile` is the function and `qir.recipe` the module."""
    code = """
import qir, inspect
first = qir.compile
import qir.recipe, qir.target, qir.calibration, qir.evaluate, qir.verify, qir.statistics, qir.cli.compile
assert first is qir.compile and inspect.isfunction(qir.compile)
assert all(map(inspect.ismodule, (qir.recipe, qir.target, qir.calibration, qir.evaluate, qir.verify, qir.statistics)))
assert qir.recipe.recipe("int8") == qir.Recipe() and qir.evaluate.evaluate is qir.evaluate_graph
from qir import *
print(compile is qir.compile)
"""
    assert "True" == run(code)


def test_no_public_name_hides_a_module() -> None:
    modules = {path.stem for path in (ROOT / "qir").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert not modules & set(qir.__all__)


def test_errors_derive_from_one() -> None:
    errors = [getattr(qir, name) for name in qir.__all__ if name.endswith("Error")]
    assert len(errors) > 8
    assert all(issubclass(error, qir.QirError) for error in errors)
    error = qir.DataError("it is wrong", node="conv", tensor="x", fix="Mend it")
    assert "node 'conv', tensor 'x': it is wrong. Mend it." == str(error)
