"""An instrument that holds every value of every graph to what its type says."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qir.errors import PassError, QirError
from qir.evaluate import evaluate
from qir.ir.dtype import of_array
from qir.ir.graph import Graph, Node
from qir.ir.types import TensorType
from qir.passmanager.manager import Step

_FIX = "Mend the pass, or drop it from the pipeline"


@dataclass
class ValueChecker:
    """Runs the graph after every pass that changed it and fails where a value is not what its type says.

    Every tensor that a node of the main graph makes must have the element type and shape that it declares, a symbol one
    size everywhere, and be finite where the first graph's value of the same name is. What is wrong in the first graph
    already is no pass's fault.

    Attributes:
        feeds: input name to array.

    Raises:
        PassError: naming the pass, the node and the tensor.
    """

    feeds: Mapping[str, Any]
    _finite: Set[str] | None = None
    _wrong: Set[str] = field(default_factory=frozenset)

    def __call__(self, step: Step) -> None:
        if self._finite is None:
            values = evaluate(step.before, self.feeds, _made(step.before))
            self._finite = {name for name, value in values.items() if _is_finite(value)}
            self._wrong = {name for _, name, _ in _mistakes(step.before, {**self.feeds, **values}, frozenset())}
        if not step.changed:
            return
        try:
            values = evaluate(step.after, self.feeds, _made(step.after))
        except QirError as error:
            node = _first_failing(step.after, self.feeds)
            raise PassError(f"after pass '{step.applied.name}' the graph does not run: {error.what}",
                            node=node.name if node is not None else None, fix=_FIX) from error  # fmt: skip
        for node, name, problem in _mistakes(step.after, {**self.feeds, **values}, self._finite):
            if name not in self._wrong:
                raise PassError(f"after pass '{step.applied.name}' it {problem}", node=node.name, tensor=name, fix=_FIX)


def _made(graph: Graph) -> tuple[str, ...]:
    """Every tensor that nodes make, in order."""
    names = (name for node in graph.nodes for name in node.outputs if name)
    return tuple(name for name in names if isinstance(graph.types.get(name), TensorType))


def _mistakes(graph: Graph, values: Mapping[str, Any], finite: Set[str]) -> list[tuple[Node, str, str]]:
    """Node, tensor and what is wrong with it, in execution order."""
    sizes: dict[str, int] = {}
    for name in graph.inputs:
        _shape_problem(graph.types[name], np.shape(values[name]), sizes)
    found = []
    for node in graph.nodes:
        for name in node.outputs:
            kind, value = graph.types.get(name), values.get(name)
            if not name or not isinstance(kind, TensorType) or not isinstance(value, np.ndarray | np.generic):
                continue
            problem = None
            if of_array(np.asarray(value)) != kind.dtype:
                problem = f"holds {of_array(np.asarray(value))}, its type says {kind.dtype}"
            problem = problem or _shape_problem(kind, value.shape, sizes)
            if problem is None and name in finite and not _is_finite(value):
                problem = "holds NaN or infinite numbers, which the first graph's has not"
            if problem is not None:
                found.append((node, name, problem))
    return found


def _shape_problem(kind: object, shape: tuple[int, ...], sizes: dict[str, int]) -> str | None:
    """What is wrong with a shape; sizes of symbols are noted at their first use."""
    if not isinstance(kind, TensorType) or kind.shape is None:
        return None
    fits = len(kind.shape) == len(shape)
    for dim, size in zip(kind.shape, shape, strict=False):
        expected = sizes.setdefault(dim, size) if isinstance(dim, str) else dim
        fits = fits and expected in (None, size)
    return None if fits else f"has shape {list(shape)}, its type says {kind}"


def _is_finite(value: Any) -> bool:
    if not isinstance(value, np.ndarray | np.generic) or value.dtype.kind not in "fiub":
        return False
    return bool(np.isfinite(value).all())


def _first_failing(graph: Graph, feeds: Mapping[str, Any]) -> Node | None:
    """The first node with which the graph up to there does not run."""
    low, high = 0, len(graph.nodes)
    while low < high:
        middle = (low + high) // 2
        part = graph.with_(nodes=graph.nodes[: middle + 1])
        try:
            evaluate(part.with_(outputs=_made(part)), feeds)
        except QirError:
            high = middle
        else:
            low = middle + 1
    return graph.nodes[low] if low < len(graph.nodes) else None
