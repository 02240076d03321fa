"""The graph: frozen, named values, nodes in execution order.

A pass never edits a graph; it makes a new one that shares nodes and arrays with the old (qir.rewrite.Editor).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from qir.ir.types import TensorType, ValueType


class Stage(Enum):
    """What a graph's numbers mean: DESIGN's FLOAT, QUANT (types carry codes) and INT (explicit integer arithmetic)."""

    FLOAT = "float"
    QUANT = "quant"
    INT = "int"


@dataclass(frozen=True, eq=False)
class Constant:
    """A value known at compile time.

    Attributes:
        value: read-only array of the real values (or of integers, strings, ... as the type says).
        codes: read-only integer codes of the same shape, once rounded; None before.
    """

    value: np.ndarray
    codes: np.ndarray | None = None

    def __post_init__(self) -> None:
        for array in (self.value, self.codes):
            if array is not None:
                array.setflags(write=False)

    @cached_property
    def digest(self) -> bytes:
        """Tells real values (with their type and shape) apart; made on first use."""
        what = hashlib.blake2b(f"{self.value.dtype} {self.value.shape}".encode(), digest_size=16)
        what.update(repr(self.value.tolist()).encode() if self.value.dtype.hasobject else self.value.tobytes())
        return what.digest()


@dataclass(frozen=True)
class EmptyList:
    """An attribute that is an empty list; `kind` (ints, floats, strings, tensors) keeps what it would hold."""

    kind: str


AttrValue: TypeAlias = Any
"""int, float, str, bytes, np.ndarray, Graph, ValueType, tuples of those, or EmptyList."""


@dataclass(frozen=True, eq=False)
class Node:
    """One operator.

    Attributes:
        op: the operator's name; those outside ONNX's default domain carry their domain as a prefix
            (com.microsoft.Gelu, qir.IntConv).
        inputs: names of values; "" stands for an omitted optional input.
        outputs: names of values; "" stands for an output that nobody wants.
        attrs: attributes as plain Python values; only those that were given.
        name: unique in its graph.
        domain: the domain prefix of `op`; "" is ONNX's default domain.
        origin: names of the nodes of the user's model that this one stands for.
    """

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, AttrValue] = field(default_factory=lambda: MappingProxyType({}))
    name: str = ""
    domain: str = ""
    origin: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "attrs", MappingProxyType(dict(self.attrs)))
        if self.op.startswith("qir.") and not self.domain:
            object.__setattr__(self, "domain", "qir")

    def __reduce__(self) -> tuple[Any, ...]:  # mapping proxies do not pickle
        return Node, (self.op, self.inputs, self.outputs, dict(self.attrs), self.name, self.domain, self.origin)

    @property
    def op_type(self) -> str:
        """The operator's name without its domain."""
        return self.op[len(self.domain) + 1 :] if self.domain else self.op

    def attr(self, name: str, default: AttrValue = None) -> AttrValue:
        """An attribute, or `default` where it was not given; an empty list reads as ()."""
        value = self.attrs.get(name, default)
        return () if isinstance(value, EmptyList) else value

    def input(self, slot: int) -> str:
        """The name at an input slot, "" where omitted."""
        return self.inputs[slot] if slot < len(self.inputs) else ""

    @cached_property
    def subgraphs(self) -> Mapping[str, Graph]:
        """Bodies of If, Loop, Scan, ... by attribute name."""
        return {key: value for key, value in self.attrs.items() if isinstance(value, Graph)}

    @cached_property
    def captures(self) -> tuple[str, ...]:
        """Values of the enclosing graph that the node's bodies use, in order of first use."""
        return tuple(dict.fromkeys(name for body in self.subgraphs.values() for name in body.captures))

    @property
    def reads(self) -> tuple[str, ...]:
        """Every value the node depends on: its inputs that are present, then its captures."""
        return tuple(name for name in self.inputs if name) + self.captures

    def with_(self, **changes: Any) -> Node:
        """A copy with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True, eq=False)
class Graph:
    """A network, or the body of an If, Loop or Scan.

    Attributes:
        name: the model's name.
        inputs: names of the inputs a caller gives, in order.
        outputs: names of the results, in order.
        nodes: in execution order.
        types: the type of every value, constants included.
        constants: values known at compile time.
        stage: what the numbers mean.
        opsets: domain to version of the operators' definitions; bodies share their model's.
        ranges: value to the (low, high) real range it was calibrated to.
        functions: serialized FunctionProtos that some nodes call; carried unchanged.
        metadata: the model's metadata, producer and documentation.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    types: Mapping[str, ValueType]
    constants: Mapping[str, Constant] = field(default_factory=dict)
    stage: Stage = Stage.FLOAT
    opsets: Mapping[str, int] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    functions: tuple[bytes, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("types", "constants", "opsets", "ranges", "metadata"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __reduce__(self) -> tuple[Any, ...]:  # mapping proxies do not pickle
        values = (getattr(self, one.name) for one in fields(self))
        return Graph, tuple(dict(value) if isinstance(value, MappingProxyType) else value for value in values)

    @cached_property
    def index(self) -> Index:
        """Producers and consumers; made on first use."""
        return Index(self)

    @cached_property
    def captures(self) -> tuple[str, ...]:
        """Values used here but defined in an enclosing graph, in order of first use."""
        known = {*self.inputs, *self.constants}
        missing: dict[str, None] = {}
        for node in self.nodes:
            missing.update((name, None) for name in node.reads if name not in known)
            known.update(node.outputs)
        missing.update((name, None) for name in self.outputs if name and name not in known)
        return tuple(missing)

    def tensor(self, name: str) -> TensorType:
        """The type of a value that is a tensor.

        Raises:
            TypeError: for sequences, optionals and opaque values.
        """
        found = self.types[name]
        if not isinstance(found, TensorType):
            raise TypeError(f"{name} is a {found}, not a tensor")
        return found

    def value(self, name: str) -> np.ndarray | None:
        """The real values of a constant, None for anything else."""
        constant = self.constants.get(name)
        return None if constant is None else constant.value

    def walk(self) -> Iterator[tuple[Graph, Node]]:
        """Every node with the graph that holds it, bodies included, outer ones first."""
        for node in self.nodes:
            yield self, node
            for body in node.subgraphs.values():
                yield from body.walk()

    def with_(self, **changes: Any) -> Graph:
        """A copy with some fields changed."""
        return replace(self, **changes)


class Index:
    """Who makes and who uses each value of a graph. Captures of a body count as uses by the node that holds it."""

    def __init__(self, graph: Graph) -> None:
        self.producers: dict[str, Node] = {name: node for node in graph.nodes for name in node.outputs if name}
        uses: dict[str, list[Node]] = {}
        for node in graph.nodes:
            for name in dict.fromkeys(node.reads):
                uses.setdefault(name, []).append(node)
        self._uses = {name: tuple(nodes) for name, nodes in uses.items()}
        self._outputs = frozenset(graph.outputs)

    def producer(self, name: str) -> Node | None:
        """The node that makes a value; None for inputs, constants and captured values."""
        return self.producers.get(name)

    def consumers(self, name: str) -> tuple[Node, ...]:
        """The nodes that use a value, each once, in execution order."""
        return self._uses.get(name, ())

    def is_output(self, name: str) -> bool:
        return name in self._outputs

    def sole_consumer(self, name: str) -> Node | None:
        """The only node that uses a value, None if it has several uses or is a result of the graph."""
        users = self.consumers(name)
        if len(users) != 1 or self.is_output(name) or users[0].reads.count(name) != 1:
            return None
        return users[0]
