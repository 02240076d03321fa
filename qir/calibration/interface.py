"""What a model wants to be fed with, and how well given arrays fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from qir.errors import DataError
from qir.ir.dtype import DType, of_array
from qir.ir.types import Dim, Shape, TensorType

_SIGNIFICANT_BITS = {"bfloat16": 8, "float16": 11, "float32": 24, "float64": 53}


@dataclass(frozen=True)
class Chunk:
    """Arrays of the model's ranks and types for `rows` samples; `rows` is None where the model has no batch axis."""

    arrays: Mapping[str, np.ndarray]
    rows: int | None


@dataclass(frozen=True, eq=False)
class Interface:
    """The inputs of a model.

    The batch axis is the first axis of the first input that has axes, and, where its size is a symbol, every axis of
    that symbol's name. Inputs without it (a sampling rate, weights fed from outside) go whole into every batch.
    """

    inputs: Mapping[str, TensorType]

    @cached_property
    def batch_dim(self) -> Dim:
        """Size of the batch axis: a number where the model fixes it; None where unknown, or there is no such axis."""
        # A symbol says more than a number: in x[N, 8], state[2, N, 4] it is N that samples are counted along.
        firsts = [kind.shape[0] for kind in self.inputs.values() if kind.shape]
        symbols = [dim for dim in firsts if not isinstance(dim, int)]
        return (symbols or firsts or [None])[0]

    @cached_property
    def batch_axes(self) -> Mapping[str, int]:
        """The axis of each input that samples lie along, for those that have one."""
        axes = {}
        for name, kind in self.inputs.items():
            if not kind.shape:
                continue
            if isinstance(self.batch_dim, str):
                if self.batch_dim in kind.shape:
                    axes[name] = kind.shape.index(self.batch_dim)
            elif kind.shape[0] == self.batch_dim:
                axes[name] = 0
        return axes

    @property
    def fixed_batch(self) -> int | None:
        """The batch size that the model insists on, if it does."""
        return self.batch_dim if self.batch_axes and isinstance(self.batch_dim, int) else None

    @property
    def joins(self) -> bool:
        """Whether samples given apart may run together: not where an input without the batch axis has open sizes."""
        return all(name in self.batch_axes or None not in (kind.shape or ()) for name, kind in self.inputs.items())

    def name(self, item: Any) -> dict[str, np.ndarray]:
        """The arrays of one item of data by input name.

        Args:
            item: a mapping by name, a sequence with one array an input in the model's order, or, for a model with one
                input, an array or anything that numpy makes one of.

        Raises:
            DataError: naming what is missing or too much.
        """
        expected = f"The model's inputs are {', '.join(map(str, self._described()))}"
        if isinstance(item, Mapping):
            missing = [name for name in self.inputs if name not in item]
            extra = [str(name) for name in item if name not in self.inputs]
            if missing or extra:
                found = f"nothing for {_quoted(missing)}" if missing else f"unknown {_quoted(extra)}"
                also = f" and unknown {_quoted(extra)}" if missing and extra else ""
                raise DataError(f"the data has {found}{also}", fix=expected)
            return {name: _array(item[name], name) for name in self.inputs}
        if isinstance(item, tuple | list) and any(getattr(part, "shape", None) for part in item):
            if len(item) != len(self.inputs):
                raise DataError(
                    f"an item of the data has {len(item)} arrays for {len(self.inputs)} inputs",
                    fix=f"{expected}; give only these, without labels, or dicts by name",
                )
            return {name: _array(part, name) for name, part in zip(self.inputs, item, strict=True)}
        if len(self.inputs) != 1:
            raise DataError(f"an item of the data is one array for {len(self.inputs)} inputs",
                            fix=f"{expected}: give dicts by name")  # fmt: skip
        (only,) = self.inputs
        return {only: _array(item, only)}

    def chunks(self, item: Any) -> Iterator[Chunk]:
        """One item of data as arrays of the model's ranks.

        An array may have the model's rank; one axis less, for a single sample; or one more in front, for several feeds.

        Raises:
            DataError: if names, ranks, sizes, types or values do not fit.
        """
        arrays = self.name(item)
        carriers = [name for name in arrays if self.inputs[name].shape is not None and name in self.batch_axes]
        carriers = carriers or [name for name in arrays if self.inputs[name].shape is not None]
        extra = {name: arrays[name].ndim - len(self.inputs[name].shape or ()) for name in carriers}
        if carriers and all(more == 1 for more in extra.values()):
            yield from self._unstacked(arrays)
            return
        for name in self.batch_axes:
            if extra[name] == -1:
                arrays[name] = np.expand_dims(arrays[name], self.batch_axes[name])
        yield self._checked(arrays)

    def _unstacked(self, arrays: Mapping[str, np.ndarray]) -> Iterator[Chunk]:
        stacked = [
            name for name, array in arrays.items()
            if self.inputs[name].shape is not None and array.ndim == len(self.inputs[name].shape or ()) + 1
        ]  # fmt: skip
        lengths = {arrays[name].shape[0] for name in stacked}
        if len(lengths) != 1:
            raise DataError(f"the inputs {_quoted(stacked)} have different numbers of samples: {sorted(lengths)}")
        for number in range(lengths.pop()):
            yield self._checked({name: a[number] if name in stacked else a for name, a in arrays.items()})

    def _checked(self, arrays: Mapping[str, np.ndarray]) -> Chunk:
        symbols: dict[str, tuple[int, str]] = {}
        rows: dict[str, int] = {}
        result = {}
        for name, array in arrays.items():
            kind = self.inputs[name]
            axis = self.batch_axes.get(name)
            _check_shape(name, kind, array, axis, symbols)
            if axis is not None:
                rows[name] = array.shape[axis]
            result[name] = cast(name, array, kind.dtype)
        most = max(rows.values(), default=0)
        for name, count in rows.items():
            if count == self.fixed_batch != most:  # given once, it serves every batch
                result[name] = np.take(result[name], np.arange(most) % count, self.batch_axes[name])
                rows[name] = most
        if len(set(rows.values())) > 1:
            counts = ", ".join(f"{count} for '{name}'" for name, count in rows.items())
            raise DataError(f"the inputs have different numbers of samples: {counts}")
        return Chunk(result, next(iter(rows.values()), None))

    def _described(self) -> Iterable[str]:
        return (f"'{name}' {kind}" for name, kind in self.inputs.items())


def _check_shape(
    name: str, kind: TensorType, array: np.ndarray, batch_axis: int | None, symbols: dict[str, tuple[int, str]]
) -> None:
    """Raises DataError unless the sizes fit; `symbols` remembers what each symbol stood for, and where."""
    shape = kind.shape
    if shape is None:
        return
    if array.ndim != len(shape):
        raise DataError(
            f"the data has shape {list(array.shape)}, the model wants {kind}",
            tensor=name, fix="Give arrays of that shape, with or without the batch axis",
        )  # fmt: skip
    for axis, (dim, size) in enumerate(zip(shape, array.shape, strict=True)):
        if axis == batch_axis or dim is None:
            continue
        if isinstance(dim, int) and dim != size:
            raise DataError(
                f"the data has shape {list(array.shape)}: {size} on axis {axis}, where the model wants {dim}",
                tensor=name, fix=_layout_hint(shape, array.shape),
            )  # fmt: skip
        if isinstance(dim, str):
            known, where = symbols.setdefault(dim, (size, name))
            if known != size:
                raise DataError(f"size '{dim}' is {size} here and {known} in '{where}'", tensor=name)


def _layout_hint(shape: Shape, sizes: Sequence[int]) -> str | None:
    """What to say if the channels are only in the wrong place."""
    if len(shape) != 4:
        return None
    for order, words in (((3, 1, 2), "NHWC; transpose it to NCHW"), ((2, 3, 1), "NCHW; transpose it to NHWC")):
        if all(not isinstance(dim, int) or dim == sizes[axis] for dim, axis in zip(shape[1:], order, strict=True)):
            return f"The data seems to be {words}"
    return None


def cast(name: str, array: np.ndarray, dtype: DType) -> np.ndarray:
    """The array in the type that the model wants, where nothing is lost but float precision.

    Raises:
        DataError: for another kind of data, integers out of range or too large for floats, NaN and Inf.
    """
    refuse = DataError(
        f"the data is {array.dtype}, the model wants {dtype}", tensor=name, fix=f"Convert the data to {dtype}"
    )
    if dtype.kind in ("string", "bool"):
        if of_array(array) != dtype:
            raise refuse
        return array
    source = of_array(array)
    if dtype.is_float:
        if not (source.is_float or source.is_integer):
            raise refuse
        exact = 1 << _SIGNIFICANT_BITS.get(dtype.name, 2)
        if source.is_integer and array.size and max(int(array.max()), -int(array.min())) > exact:
            raise DataError(f"the data holds integers beyond {exact}, which {dtype} cannot represent", tensor=name,
                            fix=f"Convert the data to {dtype}, scaled to what the model wants")  # fmt: skip
        with np.errstate(over="ignore"):
            result = array.astype(dtype.numpy, copy=False)
        if not np.isfinite(result).all():
            bad = "NaN" if np.isnan(array.astype(np.float64)).any() else f"Inf, or numbers too large for {dtype}"
            raise DataError(f"the data holds {bad}", tensor=name, fix="Remove or replace them")
        return result
    if dtype.is_integer and array.dtype.kind in "iu":
        if array.size and not dtype.min <= int(array.min()) <= int(array.max()) <= dtype.max:
            raise DataError(f"the data holds integers outside {dtype}", tensor=name)
        return array.astype(dtype.numpy, copy=False)
    if array.dtype != dtype.numpy:
        raise refuse
    return array


def _array(value: Any, name: str) -> np.ndarray:
    try:
        array = np.asarray(value)
        of_array(array)
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        raise DataError(
            f"{type(value).__name__} cannot be taken as an array: {error}", tensor=name,
            fix="Samples of different shapes go into a list, one array each",
        ) from error  # fmt: skip
    if array.dtype == object and not all(isinstance(part, str | bytes) for part in array.flat):
        raise DataError("the data holds Python objects, not numbers", tensor=name)
    return array


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
