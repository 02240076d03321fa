"""One file of arrays that many models refer to, and arrays that are one object however often they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from pathlib import Path
from typing import IO

import numpy as np
from onnx import TensorProto

from qir.ir.graph import Constant
from qir.onnxio.protos import TensorReader, write_tensor

SMALL = 1024
"""Bytes from which on a tensor goes to the file; smaller ones stay in the model, where shape inference finds them."""
_ALIGNMENT = 64


class ArrayFile:
    """A file of tensors beside the models that use them, as ONNX's external data: every content is there once.

    Args:
        file: open for writing, empty.
        name: of that file, as the models beside it refer to it.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name
        self._offsets: dict[bytes, int] = {}
        self._known: dict[int, tuple[np.ndarray, TensorProto]] = {}  # holds the array, so that its id stays its own

    @staticmethod
    def takes(array: np.ndarray) -> bool:
        """Whether an array is large enough for the file, and no text."""
        return array.nbytes >= SMALL and array.dtype.kind != "O"

    def entry(self, array: np.ndarray, name: str) -> TensorProto:
        """The message that stands for an array in a model. An array seen before costs nothing."""
        if id(array) not in self._known:
            self._known[id(array)] = (array, self.outsourced(write_tensor(array)))
        entry = TensorProto()
        entry.CopyFrom(self._known[id(array)][1])
        entry.name = name
        return entry

    def outsourced(self, tensor: TensorProto) -> TensorProto:
        """A tensor with its data in the file; the tensor itself where it is small."""
        data = tensor.raw_data
        if len(data) < SMALL:
            return tensor
        digest = hashlib.sha256(data).digest()
        if digest not in self._offsets:
            self._file.write(b"\0" * (-self._file.tell() % _ALIGNMENT))
            self._offsets[digest] = self._file.tell()
            self._file.write(data)
        entry = TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
        entry.data_location = TensorProto.EXTERNAL
        for key, value in (("location", self._name), ("offset", self._offsets[digest]), ("length", len(data))):
            entry.external_data.add(key=key, value=str(value))
        return entry


class ArrayPool:
    """Arrays and constants by content: equal ones that several files hold are read as one object."""

    def __init__(self) -> None:
        self.arrays: dict[Hashable, np.ndarray] = {}
        self._constants: dict[tuple[int, int], Constant] = {}

    def constant(self, constant: Constant) -> Constant:
        """The first constant with the same two arrays."""
        return self._constants.setdefault((id(constant.value), id(constant.codes)), constant)


class SharingReader(TensorReader):
    """Reads tensors through a pool.

    Args:
        folder: where the model lies.
        pool: of everything read so far.
    """

    def __init__(self, folder: Path | None, pool: ArrayPool) -> None:
        super().__init__(folder)
        self._pool = pool

    def array(self, proto: TensorProto) -> np.ndarray:
        """As `TensorReader.array`."""
        place = tuple((entry.key, entry.value) for entry in proto.external_data)
        content: Hashable = place or proto.raw_data or tuple(proto.string_data)
        if not content:  # empty, or numbers in a typed field
            return super().array(proto)
        key = (proto.data_type, tuple(proto.dims), content)
        if key not in self._pool.arrays:
            self._pool.arrays[key] = super().array(proto)
        return self._pool.arrays[key]
