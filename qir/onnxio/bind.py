"""Fixing what a model leaves open: sizes of dimensions and values of inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qir.errors import DataError, ShapeError
from qir.ir.dtype import STRING, of_array
from qir.ir.graph import Constant, Graph
from qir.ir.symbols import size
from qir.ir.types import Dim, OptionalType, SequenceType, TensorType, ValueType
from qir.onnxio.names import with_bodies


def bind_inputs(graph: Graph, bind: Mapping[str, Any]) -> Graph:
    """The graph with some inputs made constants.

    Args:
        bind: input to its value, converted to the input's element type; a value of the right count is reshaped.

    Raises:
        DataError: for unknown inputs, inputs that are no tensors, and values that do not fit.
    """
    if not bind:
        return graph
    unknown = [name for name in bind if name not in graph.inputs]
    if unknown:
        raise DataError(
            f"the model has no input '{unknown[0]}' to bind", fix=f"Its inputs are: {', '.join(graph.inputs)}"
        )
    fixed = {name: Constant(_converted(name, graph.types.get(name), value)) for name, value in bind.items()}
    types = {**graph.types, **{n: TensorType(of_array(c.value), c.value.shape) for n, c in fixed.items()}}
    return graph.with_(
        inputs=tuple(name for name in graph.inputs if name not in fixed),
        constants={**graph.constants, **fixed},
        types=types,
    )


def _converted(name: str, kind: ValueType | None, value: Any) -> np.ndarray:
    if not isinstance(kind, TensorType):
        raise DataError(f"only tensors can be bound, this input is {kind}", tensor=name)
    given = np.asarray(value)
    try:
        array = given.astype(kind.dtype.numpy)
    except (ValueError, TypeError) as error:
        raise DataError(f"{value!r} is no {kind.dtype}", tensor=name) from error
    if kind.dtype is not STRING and not kind.dtype.is_float and not np.array_equal(array, given):
        raise DataError(f"{value!r} does not fit {kind.dtype} exactly", tensor=name)
    if kind.shape is not None and not _fits(array.shape, kind.shape):
        open_size = 1 if array.size == 1 else -1
        try:
            array = array.reshape([dim if isinstance(dim, int) else open_size for dim in kind.shape])
        except ValueError as error:
            raise DataError(f"shape {list(array.shape)} does not fit {kind}", tensor=name) from error
    return array.copy()


def _fits(shape: tuple[int, ...], wanted: tuple[Dim, ...]) -> bool:
    if len(shape) != len(wanted):
        return False
    return all(not isinstance(b, int) or a == b for a, b in zip(shape, wanted, strict=True))


def bind_shapes(graph: Graph, shapes: Mapping[str, int | Sequence[int]]) -> Graph:
    """The graph with symbolic dimensions replaced by numbers, everywhere.

    Args:
        shapes: symbol to size, or input to its shape; a shape also binds the symbols that stand in it. Only a whole
            shape may have a size of 0, for an input that is empty, such as what a decoder remembers at first.

    Raises:
        ShapeError: for names that are neither, sizes out of range, contradictions, and declared sizes that differ.
    """
    if not shapes:
        return graph
    symbols = sorted({dim for kind in graph.types.values() for dim in _dims(kind) if isinstance(dim, str)})
    sizes: dict[str, int] = {}
    types = dict(graph.types)
    for name, wanted in shapes.items():
        if isinstance(wanted, int | np.integer):
            if name not in symbols:
                raise ShapeError(f"the model has no dimension '{name}'", fix=_choice(symbols, graph))
            if wanted < 1:
                raise ShapeError(f"dimension '{name}' cannot be {wanted}: there would be nothing to compute",
                                 fix=f"Give it 1 or more, such as {name}=1, or leave it open")  # fmt: skip
            _set(sizes, name, int(wanted))
        elif name in graph.inputs:
            types[name] = _shaped(name, graph.types.get(name), tuple(int(size) for size in wanted), sizes)
        else:
            raise ShapeError(f"the model has no input '{name}'", fix=_choice(symbols, graph))
    return _replaced(graph.with_(types=types), sizes) if sizes else graph.with_(types=types)


def _choice(symbols: Sequence[str], graph: Graph) -> str:
    listed = ", ".join(symbols) if symbols else "none"
    return f"Its symbols are: {listed}; its inputs: {', '.join(graph.inputs)}"


def _set(sizes: dict[str, int], symbol: str, size: int) -> None:
    if sizes.setdefault(symbol, size) != size:
        raise ShapeError(f"dimension '{symbol}' cannot be both {sizes[symbol]} and {size}")


def _shaped(name: str, kind: ValueType | None, wanted: tuple[int, ...], sizes: dict[str, int]) -> ValueType:
    if not isinstance(kind, TensorType):
        raise ShapeError(f"only tensors have a shape, this input is {kind}", tensor=name)
    if min(wanted, default=0) < 0:
        raise ShapeError(f"shape {list(wanted)} has a negative size", tensor=name)
    if kind.shape is not None:
        if len(kind.shape) != len(wanted):
            raise ShapeError(f"shape {list(wanted)} does not fit {kind}", tensor=name)
        for declared, size in zip(kind.shape, wanted, strict=True):
            if isinstance(declared, str):
                _set(sizes, declared, size)
            elif isinstance(declared, int) and declared != size:
                raise ShapeError(
                    f"the model declares {kind}, not {list(wanted)}", tensor=name,
                    fix="Export the model with a symbolic dimension there",
                )  # fmt: skip
    return TensorType(kind.dtype, wanted, kind.quant)


def _dims(kind: ValueType | None) -> tuple[Dim, ...]:
    if isinstance(kind, SequenceType | OptionalType):
        return _dims(kind.element)
    return kind.shape or () if isinstance(kind, TensorType) else ()


def _bound(kind: ValueType, sizes: Mapping[str, int]) -> ValueType:
    if isinstance(kind, SequenceType | OptionalType):
        return type(kind)(_bound(kind.element, sizes))
    if not isinstance(kind, TensorType) or not any(isinstance(dim, str) for dim in kind.shape or ()):
        return kind
    shape = tuple(_size(dim, sizes) if isinstance(dim, str) else dim for dim in kind.shape or ())
    return TensorType(kind.dtype, shape, kind.quant)


def _size(dim: str, sizes: Mapping[str, int]) -> int | str:
    found = size(dim, sizes)
    return dim if found is None else found


def _replaced(graph: Graph, sizes: Mapping[str, int]) -> Graph:
    nodes = tuple(
        with_bodies(node, {key: _replaced(body, sizes) for key, body in node.subgraphs.items()}) for node in graph.nodes
    )
    return graph.with_(nodes=nodes, types={name: _bound(kind, sizes) for name, kind in graph.types.items()})
