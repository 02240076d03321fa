"""Passes that behave in known ways, and graphs to run them on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qir.ir.graph import Constant, Graph, Stage
from qir.onnxio.lift import lift
from qir.passmanager.base import Context, Pass, Promise
from qir.target import Target
from tests.models import tiny_cnn

TARGET = Target("test", "onnx", {})


def context() -> Context:
    return Context(TARGET)


def graph() -> Graph:
    return lift(tiny_cnn())


@dataclass(frozen=True)
class Idle(Pass):
    """Changes nothing."""

    name: ClassVar[str] = "idle"

    def run(self, graph: Graph, context: Context) -> Graph:
        return graph


@dataclass(frozen=True)
class Scale(Pass):
    """Multiplies one constant.

    Attributes:
        by: the factor.
        which: the constant.
    """

    name: ClassVar[str] = "scale"
    promise: ClassVar[Promise] = Promise.EXACT
    by: float = 1.0
    which: str = "conv.weight"

    def run(self, graph: Graph, context: Context) -> Graph:
        old = graph.constants[self.which]
        new = Constant((old.value * np.float32(self.by)).astype(np.float32))
        return graph.with_(constants={**graph.constants, self.which: new})


@dataclass(frozen=True)
class LossyScale(Scale):
    """The same, and says so."""

    name: ClassVar[str] = "lossy-scale"
    promise: ClassVar[Promise] = Promise.LOSSY


@dataclass(frozen=True)
class NotingScale(Scale):
    """The same, under the promise to touch nothing."""

    name: ClassVar[str] = "noting-scale"
    promise: ClassVar[Promise] = Promise.ANNOTATE


@dataclass(frozen=True)
class Hungry(Pass):
    """Needs data."""

    name: ClassVar[str] = "hungry"
    needs_data: ClassVar[bool] = True

    def run(self, graph: Graph, context: Context) -> Graph:
        return graph


@dataclass(frozen=True)
class Liar(Pass):
    """Promises another stage than it gives."""

    name: ClassVar[str] = "liar"
    gives: ClassVar[Stage | None] = Stage.QUANT

    def run(self, graph: Graph, context: Context) -> Graph:
        return graph


@dataclass(frozen=True)
class Broken(Pass):
    """Raises, or returns what `make` makes of the graph."""

    name: ClassVar[str] = "broken"
    make: Callable[[Graph], Graph] | None = None

    def run(self, graph: Graph, context: Context) -> Graph:
        if self.make is None:
            raise IndexError("list index out of range")
        return self.make(graph)


@dataclass(frozen=True)
class Options(Pass):
    """One option of every kind."""

    name: ClassVar[str] = "options"
    flag: bool = False
    count: int = 3
    share: float = 0.5
    word: str = "plain"
    some_list: tuple[object, ...] = ()
    maybe: object = None

    def run(self, graph: Graph, context: Context) -> Graph:
        return graph


@dataclass(frozen=True)
class Demanding(Pass):
    """An option without a default, which must be even."""

    name: ClassVar[str] = "demanding"
    size: int

    def __post_init__(self) -> None:
        if self.size % 2:
            raise ValueError("size is odd")

    def run(self, graph: Graph, context: Context) -> Graph:
        return graph
