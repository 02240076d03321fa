"""qir: a quantizing compiler for neural networks.

`qir.compile` is the main door. Everything in `__all__` is public. Names are loaded when they are first used, so that
`import qir` costs next to nothing and needs no inference engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qir.api import calibrate, compile, explain, steps, targets
    from qir.backends.c.kernels import Bound, Family, Variant, register_kernel
    from qir.calibration import Feeds, Preprocess, feeds
    from qir.compiled import Compiled, CompiledC, CompiledOnnx
    from qir.debug.errors import Comparison
    from qir.debug.explain import register_cause
    from qir.debug.findings import Explanation, Finding
    from qir.debug.sensitivity import Sensitivity
    from qir.debug.trace import Trace
    from qir.errors import (
        BuildError,
        DataError,
        MissingDependencyError,
        ModelError,
        OutputError,
        PassError,
        PluginError,
        QirError,
        RecipeError,
        ShapeError,
        UnsupportedError,
        VerifyError,
    )
    from qir.evaluate import evaluate as evaluate_graph
    from qir.ir.graph import Constant, Graph, Node, Stage
    from qir.ir.text import diff as diff_graphs
    from qir.ir.text import graph_text
    from qir.ir.types import Affine, TensorType
    from qir.onnxio.export import export
    from qir.onnxio.lift import lift
    from qir.onnxio.store import load_graph, save_graph
    from qir.ops import OpDef, register_op
    from qir.passmanager.base import Context, Pass, Promise
    from qir.passmanager.instruments import Drift, Dumper, Printer, PromiseChecker, Timer
    from qir.passmanager.manager import Step
    from qir.passmanager.manager import run as run_passes
    from qir.passmanager.manager import steps as pass_steps
    from qir.passmanager.registry import parse_pipeline, pipeline_text, register_pass
    from qir.pipeline import default_pipeline
    from qir.plugins import load_plugins
    from qir.recipe import Layer, Override, Recipe
    from qir.statistics import Histogram, Statistics
    from qir.target import Costs, IntegerRule, Target, register_target
    from qir.verify import verify as verify_graph

__version__ = "0.1.0"

# Public name -> where it lives. A function whose module has the same name (qir.recipe, qir.target, qir.evaluate,
# qir.verify) is not here under that name: `qir.recipe` is always the module.
_HOMES = {
    **dict.fromkeys(("calibrate", "compile", "explain", "steps", "targets"), "qir.api"),
    **dict.fromkeys(("Compiled", "CompiledC", "CompiledOnnx"), "qir.compiled"),
    "Comparison": "qir.debug.errors",
    **dict.fromkeys(("Explanation", "Finding"), "qir.debug.findings"),
    "Sensitivity": "qir.debug.sensitivity",
    "register_cause": "qir.debug.explain",
    **dict.fromkeys(("Bound", "Family", "Variant", "register_kernel"), "qir.backends.c.kernels"),
    **dict.fromkeys(("Feeds", "Preprocess", "feeds"), "qir.calibration"),
    **dict.fromkeys(
        (
            "BuildError", "DataError", "MissingDependencyError", "ModelError", "OutputError", "PassError",
            "PluginError", "QirError", "RecipeError", "ShapeError", "UnsupportedError", "VerifyError",
        ),
        "qir.errors",
    ),
    "evaluate_graph": "qir.evaluate:evaluate",
    **dict.fromkeys(("Constant", "Graph", "Node", "Stage"), "qir.ir.graph"),
    "diff_graphs": "qir.ir.text:diff",
    "graph_text": "qir.ir.text",
    **dict.fromkeys(("Affine", "TensorType"), "qir.ir.types"),
    "export": "qir.onnxio.export",
    "lift": "qir.onnxio.lift",
    **dict.fromkeys(("load_graph", "save_graph"), "qir.onnxio.store"),
    **dict.fromkeys(("OpDef", "register_op"), "qir.ops"),
    **dict.fromkeys(("Context", "Pass", "Promise"), "qir.passmanager.base"),
    **dict.fromkeys(("Drift", "Dumper", "Printer", "PromiseChecker", "Timer"), "qir.passmanager.instruments"),
    "Step": "qir.passmanager.manager",
    "run_passes": "qir.passmanager.manager:run",
    "pass_steps": "qir.passmanager.manager:steps",
    **dict.fromkeys(("parse_pipeline", "pipeline_text", "register_pass"), "qir.passmanager.registry"),
    "Trace": "qir.debug.trace",
    "default_pipeline": "qir.pipeline",
    "load_plugins": "qir.plugins",
    **dict.fromkeys(("Layer", "Override", "Recipe"), "qir.recipe"),
    **dict.fromkeys(("Histogram", "Statistics"), "qir.statistics"),
    **dict.fromkeys(("Costs", "IntegerRule", "Target", "register_target"), "qir.target"),
    "verify_graph": "qir.verify:verify",
}  # fmt: skip

__all__ = [
    "Affine", "Bound", "BuildError", "Comparison", "Compiled", "CompiledC", "CompiledOnnx", "Constant", "Context",
    "Costs", "DataError", "Drift", "Dumper", "Explanation", "Family", "Feeds", "Finding", "Graph", "Histogram",
    "IntegerRule", "Layer", "MissingDependencyError", "ModelError", "Node", "OpDef", "OutputError", "Override", "Pass",
    "PassError", "PluginError", "Preprocess", "Printer", "Promise", "PromiseChecker", "QirError", "Recipe",
    "RecipeError", "Sensitivity", "ShapeError", "Stage", "Statistics", "Step", "Target", "TensorType", "Timer", "Trace",
    "UnsupportedError", "Variant", "VerifyError", "__version__", "calibrate", "compile", "default_pipeline",
    "diff_graphs", "evaluate_graph", "explain", "export", "feeds", "graph_text", "lift", "load_graph", "load_plugins",
    "parse_pipeline", "pass_steps", "pipeline_text", "register_cause", "register_kernel", "register_op",
    "register_pass", "register_target", "run_passes", "save_graph", "steps", "targets", "verify_graph",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Loads a public name on first use."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'qir' has no attribute '{name}'")
    module, _, attribute = home.partition(":")
    found = getattr(import_module(module), attribute or name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
