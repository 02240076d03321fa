"""Imports run one way, and each third party is confined to the few places that need it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TREES = {"qir": "qir", "qir.passes": "passes", "qir.backends": "backends"}

# A module may import its own layer and the layers above it in this list, subject to FORBIDDEN.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("qir.errors", "qir.plugins", "qir.progress", "qir.recipe"),
    ("qir.quant", "qir.compression", "qir.ir", "qir.control"),
    ("qir.ops", "qir.target", "qir.coupling"),
    ("qir.onnxio",),
    ("qir.verify", "qir.calibration", "qir.evaluate", "qir.statistics", "qir.rewrite"),
    ("qir.observe", "qir.walk"),
    ("qir.collecting",),
    ("qir.passmanager",),
    ("qir.passes", "qir.backends"),
    ("qir.pipeline",),
    ("qir.debug",),
    ("qir.applied", "qir.compiled"),
    ("qir.budget",),
    ("qir.api",),
    ("qir.cli", "qir.__main__"),
)

# What the order alone does not say.
FORBIDDEN: tuple[tuple[str, str, str], ...] = (
    ("qir.passes", "qir.backends", "what both need belongs in qir.quant or qir.target"),
    ("qir.backends", "qir.passes", "what both need belongs in qir.quant or qir.target"),
    ("qir.quant", "qir.ir.graph", "qir.quant is arithmetic on arrays and knows no graph"),
    ("qir.compression", "qir.ir", "qir.compression is arithmetic on arrays and knows no graph"),
    ("qir.quant", "qir.ir.order", "qir.quant is arithmetic on arrays and knows no graph"),
    ("qir.ir", "qir.quant", "the IR holds facts, it computes none"),
    *((f"qir.backends.c.{below}", f"qir.backends.c.{above}", "a kernel family sees its site alone")
      for below in ("binding", "kernels") for above in ("planning", "emitting")),
    ("qir.backends.c.binding", "qir.backends.c.kernels", "families are found by their folders, never named"),
    ("qir.backends.c.planning", "qir.backends.c.emitting", "a plan knows nothing of text"),
    ("qir.backends.c.emitting", "qir.backends.c.planning", "all that is printed stands in the Program"),
)

# Third party -> the only modules, or packages with all below them, that may import it.
CONFINED: dict[str, tuple[str, ...]] = {
    "onnx": ("qir.onnxio", "qir.backends.onnx"),
    "onnx_graphsurgeon": ("qir.onnxio", "qir.backends.onnx"),
    "onnxruntime": ("qir.evaluate", "qir.backends.onnx"),
    "networkx": ("qir.ir.order", "qir.rewrite", "qir.passes.compress", "qir.backends.c.planning.memory"),
    "subprocess": ("qir.backends.c.build",),
    "ctypes": ("qir.backends.c.build",),
    "jinja2": ("qir.debug.report.html",),
    "vl_convert": ("qir.debug.report.html",),
    "sklearn": (),
    "torch": ("qir.passes.train",),
}


def sources() -> dict[str, Path]:
    """Dotted module name -> file, for the three trees that make up the package."""
    found = {}
    for package, tree in TREES.items():
        for path in sorted((ROOT / tree).rglob("*.py")):
            parts = path.relative_to(ROOT / tree).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            found[".".join((package, *parts))] = path
    return found


MODULES = sources()


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, at whatever depth: inside functions and for type checking only, too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield base
            yield from (name for alias in node.names if (name := f"{base}.{alias.name}") in MODULES)


def inside(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def layer(module: str) -> int:
    """Position of a module in LAYERS; the most specific entry wins. The bare `qir` re-exports api and is the last."""
    if module == "qir":
        return len(LAYERS)
    places = [(len(entry), rank) for rank, row in enumerate(LAYERS) for entry in row if inside(module, entry)]
    assert places, f"{module} has no place in LAYERS of tests/test_layering.py"
    return max(places)[1]


def faults(module: str, imported: str) -> Iterator[str]:
    """Why `module` may not import `imported`; nothing if it may."""
    if imported.startswith("."):
        yield "imports are absolute"
    elif inside(imported, "qir"):
        if imported == "qir" and module != "qir":
            return  # the package object: `from qir import __version__`, or the parent of a submodule named beside it
        if layer(imported) > layer(module):
            yield "it is further down the one-way order"
        for importer, target, why in FORBIDDEN:
            if inside(module, importer) and inside(imported, target):
                yield why
    else:
        party = imported.partition(".")[0]
        if party in TREES.values():
            yield f"its name is qir.{party}"
        allowed = CONFINED.get(party)
        if allowed is not None and not any(inside(module, place) for place in allowed):
            yield f"{party} is confined to {', '.join(allowed) or 'tests and models'}"


@pytest.mark.parametrize("module", MODULES)
def test_module_imports_only_what_its_layer_may(module: str) -> None:
    found = [f"{module} imports {name}: {why}" for name in imports(MODULES[module]) for why in faults(module, name)]
    assert [] == found


@pytest.mark.parametrize(
    ("module", "imported", "allowed"),
    [
        ("qir.passes.clean.dead_code", "qir.ir.graph", True),
        ("qir.ir.graph", "qir.passes", False),
        ("qir.passes.lower.integer", "qir.backends.c.planning.plan", False),
        ("qir.backends.c.planning.plan", "qir.passes.lower", False),
        ("qir.backends.c.planning.plan", "onnx", False),
        ("qir.backends.c.planning.plan", "qir.backends.c.kernels.clip", True),
        ("qir.backends.c.emitting.emit", "qir.backends.c.planning.plan", False),
        ("qir.backends.onnx.emit", "onnx", True),
        ("qir.onnxio.lift", "onnxruntime", False),
        ("qir.quant.scales", "qir.ir.graph", False),
        ("qir.quant.scales", "qir.ir.dtype", True),
        ("qir.cli", "subprocess", False),
        ("qir.api", "passes.clean", False),
    ],
)
def test_the_rules_themselves(module: str, imported: str, allowed: bool) -> None:
    assert allowed == (not list(faults(module, imported)))
