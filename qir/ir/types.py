"""Types of values: shape, element type and, once quantized, the map from integer codes to reals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np

from qir.ir.dtype import FLOAT32, DType

Dim: TypeAlias = int | str | None
"""A known size, a named symbol, or unknown."""
Shape: TypeAlias = tuple[Dim, ...]


Rounding: TypeAlias = Literal["nearest", "ternary", "binary"]


@dataclass(frozen=True, eq=False)
class Affine:
    """Codes that stand for reals in equal steps: `x = (q - zero_point) * scale`.

    Which code a real takes is, by default, the nearest: `q = clamp(rint(x / scale) + zero_point, qmin, qmax)`, `rint`
    rounding halves to even. Two other roundings are compares, with zero point 0:

        ternary: q = +1 where x > threshold, -1 where x < -threshold, else 0
        binary:  q = +1 where x >= threshold, else -1

    Scales are float32, positive and normal. Real zero is exact, but for binary codes, which have none.

    Attributes:
        storage: integer type that holds a code.
        scale: read-only float32, shape [] per tensor, [C] per channel, and for block_size > 0 the shape of
            the tensor with its `axis` divided by the block size.
        zero_point: read-only int32 of the same shape.
        axis: the axis that `scale` runs along; None per tensor.
        block_size: elements along `axis` that share a scale; 0 for one scale a slice.
        qmin, qmax: the range that codes keep to, inside that of `storage`; -1 and 1 for ternary and binary codes.
        rounding: which code a real takes.
        threshold: of ternary and binary codes, read-only float32 of the shape of `scale`; 0 otherwise.
    """

    storage: DType
    scale: np.ndarray
    zero_point: np.ndarray
    axis: int | None = None
    block_size: int = 0
    qmin: int = None  # type: ignore[assignment]  # the storage's own by default, filled in below
    qmax: int = None  # type: ignore[assignment]
    rounding: Rounding = "nearest"
    threshold: np.ndarray = None  # type: ignore[assignment]  # zeros

    def __post_init__(self) -> None:
        if self.threshold is None:
            object.__setattr__(self, "threshold", np.zeros(np.shape(self.scale)))
        for name, kind in (("scale", np.float32), ("zero_point", np.int32), ("threshold", np.float32)):
            array = np.array(getattr(self, name), kind)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        low, high = (self.storage.min, self.storage.max) if self.rounding == "nearest" else (-1, 1)
        object.__setattr__(self, "qmin", low if self.qmin is None else int(self.qmin))
        object.__setattr__(self, "qmax", high if self.qmax is None else int(self.qmax))

    @cached_property
    def _key(self) -> tuple[object, ...]:
        return (self.storage, self.scale.shape, self.scale.tobytes(), self.zero_point.tobytes(),
                self.axis, self.block_size, self.qmin, self.qmax, self.rounding, self.threshold.tobytes())  # fmt: skip

    @property
    def levels(self) -> int:
        """How many codes there are."""
        return 2 if self.rounding == "binary" else self.qmax - self.qmin + 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Affine) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __str__(self) -> str:
        if self.scale.size == 1:
            scale, zero = f"{float(self.scale.reshape(-1)[0]):.6g}", f"{int(self.zero_point.reshape(-1)[0])}"
        else:
            scale = f"[{self.scale.size}: {self.scale.min():.3g}..{self.scale.max():.3g}]"
            zero = f"{self.zero_point.min()}..{self.zero_point.max()}" if self.zero_point.any() else "0"
        text = f"{self.storage} scale={scale} zero_point={zero}"
        if self.axis is not None:
            text += f" axis={self.axis}"
        if self.block_size:
            text += f" block={self.block_size}"
        if self.rounding != "nearest":
            text += f" {self.rounding}"
            if self.threshold.any():
                text += f" threshold={self.threshold.min():.6g}"
                text += "" if self.threshold.size == 1 else f"..{self.threshold.max():.6g}"
        elif (self.qmin, self.qmax) != (self.storage.min, self.storage.max):
            text += f" codes={self.qmin}..{self.qmax}"
        return f"<{text}>"


Quant: TypeAlias = Affine


@dataclass(frozen=True)
class TensorType:
    """A tensor: element type, shape (None if even the rank is unknown) and, if quantized, its codes."""

    dtype: DType
    shape: Shape | None = None
    quant: Quant | None = None

    @property
    def is_static(self) -> bool:
        """True where every size is a known number."""
        return self.shape is not None and all(isinstance(dim, int) for dim in self.shape)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape of a static type.

        Raises:
            ValueError: where a size is not known.
        """
        if self.shape is None or not self.is_static:
            raise ValueError(f"shape {self.shape} is not static")
        return tuple(int(dim) for dim in self.shape if dim is not None)

    def __str__(self) -> str:
        shape = "[*]" if self.shape is None else "[" + ",".join("?" if d is None else str(d) for d in self.shape) + "]"
        return f"{self.dtype}{shape}{self.quant or ''}"


@dataclass(frozen=True)
class SequenceType:
    """An ONNX sequence of values of one type."""

    element: ValueType

    def __str__(self) -> str:
        return f"seq({self.element})"


@dataclass(frozen=True)
class OptionalType:
    """An ONNX optional."""

    element: ValueType

    def __str__(self) -> str:
        return f"optional({self.element})"


@dataclass(frozen=True)
class OpaqueType:
    """A type that qir only carries (maps, sparse tensors, custom): its serialized TypeProto."""

    proto: bytes

    def __str__(self) -> str:
        return "opaque"


ValueType: TypeAlias = TensorType | SequenceType | OptionalType | OpaqueType
UNKNOWN = TensorType(FLOAT32)
