"""Element types: what a single number of a tensor may be."""

from __future__ import annotations

from dataclasses import dataclass, field

import ml_dtypes
import numpy as np


@dataclass(frozen=True)
class DType:
    """An element type.

    Attributes:
        name: as in ONNX, in lower case: float32, int8, uint4, bool, string, ...
        bits: size of one element; 0 for strings.
        kind: float, int, uint, bool, complex or string.
        numpy: the numpy type that holds one element (4-bit types take a whole byte there).
    """

    name: str
    bits: int
    kind: str
    numpy: np.dtype = field(compare=False, repr=False)

    @property
    def is_integer(self) -> bool:
        return self.kind in ("int", "uint")

    @property
    def is_float(self) -> bool:
        return self.kind == "float"

    @property
    def min(self) -> int:
        """Smallest value of an integer type."""
        return -(1 << (self.bits - 1)) if self.kind == "int" else 0

    @property
    def max(self) -> int:
        """Largest value of an integer type."""
        return (1 << (self.bits - (self.kind == "int"))) - 1

    def __str__(self) -> str:
        return self.name


def _dtype(name: str, bits: int, kind: str, scalar: object) -> DType:
    return DType(name, bits, kind, np.dtype(scalar))  # type: ignore[call-overload]  # any scalar type


FLOAT16 = _dtype("float16", 16, "float", np.float16)
BFLOAT16 = _dtype("bfloat16", 16, "float", ml_dtypes.bfloat16)
FLOAT32 = _dtype("float32", 32, "float", np.float32)
FLOAT64 = _dtype("float64", 64, "float", np.float64)
INT4 = _dtype("int4", 4, "int", ml_dtypes.int4)
INT8 = _dtype("int8", 8, "int", np.int8)
INT16 = _dtype("int16", 16, "int", np.int16)
INT32 = _dtype("int32", 32, "int", np.int32)
INT64 = _dtype("int64", 64, "int", np.int64)
UINT4 = _dtype("uint4", 4, "uint", ml_dtypes.uint4)
UINT8 = _dtype("uint8", 8, "uint", np.uint8)
UINT16 = _dtype("uint16", 16, "uint", np.uint16)
UINT32 = _dtype("uint32", 32, "uint", np.uint32)
UINT64 = _dtype("uint64", 64, "uint", np.uint64)
BOOL = _dtype("bool", 8, "bool", np.bool_)
STRING = _dtype("string", 0, "string", np.object_)

_ALL = (
    FLOAT16, BFLOAT16, FLOAT32, FLOAT64, INT4, INT8, INT16, INT32, INT64,
    UINT4, UINT8, UINT16, UINT32, UINT64, BOOL, STRING,
    _dtype("complex64", 64, "complex", np.complex64),
    _dtype("complex128", 128, "complex", np.complex128),
    _dtype("int2", 2, "int", ml_dtypes.int2),
    _dtype("uint2", 2, "uint", ml_dtypes.uint2),
    _dtype("float8e4m3fn", 8, "float", ml_dtypes.float8_e4m3fn),
    _dtype("float8e4m3fnuz", 8, "float", ml_dtypes.float8_e4m3fnuz),
    _dtype("float8e5m2", 8, "float", ml_dtypes.float8_e5m2),
    _dtype("float8e5m2fnuz", 8, "float", ml_dtypes.float8_e5m2fnuz),
    _dtype("float8e8m0", 8, "float", ml_dtypes.float8_e8m0fnu),
    _dtype("float4e2m1", 4, "float", ml_dtypes.float4_e2m1fn),
)  # fmt: skip
BY_NAME = {dtype.name: dtype for dtype in _ALL}
_BY_NUMPY = {dtype.numpy: dtype for dtype in _ALL}


def of_array(array: np.ndarray) -> DType:
    """The element type of a numpy array; text of any width is `string`.

    Raises:
        KeyError: for numpy types that no ONNX type stands for (structured types, dates).
    """
    return STRING if array.dtype.kind in "OUS" else _BY_NUMPY[array.dtype]
