"""Which tiles of a template calls come to: pixels cut as runtime/qir_tiles_x86.h and qir_woven_x86.h cut them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias, cast

from qir.backends.c.program import Arg, Scalar, Struct

PANEL = 16
"""Output channels that are computed side by side."""
Products: TypeAlias = Callable[[tuple[Arg, ...]], tuple[Iterable[int], int]]
"""The arguments of a call to how many pixels are multiplied together, each number that there is, and the channels of
their results."""


def heights(pixels: int, most: int) -> tuple[int, ...]:
    """Of the tiles of nearly equal height, `most` at most, into which pixels are cut."""
    tiles = -(-pixels // most)
    high = -(-pixels // tiles)
    return (high,) if pixels == tiles * high else (high, high - 1)


def cut(count: int, most: int) -> set[int]:
    """Sizes of the pieces of at most so many, as long as there are enough of them, then of the rest."""
    return {min(count, most), count % most or min(count, most)}


@dataclass(frozen=True)
class Tiles:
    """Those that a call comes to, pixels by vectors of channels.

    Attributes:
        products: of a call.
        most, least: pixels of a tile.
        lanes: channels of a vector.
        together: channels that the kernel gives to the tiles at a time, which take two vectors of the first ones.
    """

    products: Products
    most: int
    least: int
    lanes: int
    together: int

    def __call__(self, args: tuple[Arg, ...]) -> frozenset[str]:
        pixels, channels = self.products(args)
        high = {max(height, self.least) for count in pixels for height in heights(count, self.most)}
        left = cut(channels, self.together)
        vectors = {2 if channels > self.lanes else 1 for channels in left}
        return frozenset(f"{height}, {count}" for height in high for count in vectors)


def of_blocks(args: tuple[Arg, ...]) -> tuple[Iterable[int], int]:
    """The products of a convolution in blocks of a few rows and columns of pixels (conv_u8_blocks.h)."""
    structs = {arg.kind: dict(arg.fields) for arg in args if isinstance(arg, Struct)}
    shape, blocks = structs["qir_conv_u8_shape"], structs["qir_conv_u8_blocks"]
    _, _, out, *_ = cast("tuple[int, tuple[int, ...], tuple[int, ...]]", shape["window"])
    rows, columns = (cut(out[axis], cast(int, blocks[name])) for axis, name in ((1, "rows"), (2, "columns")))
    return {row * column for row in rows for column in columns}, cast(int, shape["out_channels"])


def of_rows(args: tuple[Arg, ...]) -> tuple[Iterable[int], int]:
    """The products of two matrices, all rows together."""
    (shape,) = (dict(arg.fields) for arg in args if isinstance(arg, Struct))
    return [cast(int, shape["rows"])], cast(int, shape["columns"])


@dataclass(frozen=True)
class OfSquares:
    """The products of Winograd's kernels (conv_u8_winograd__vectors.c), whose pixels are squares of `side` by `side`
    outputs, a block of a sample's at a time."""

    side: int

    def __call__(self, args: tuple[Arg, ...]) -> tuple[Iterable[int], int]:
        (shape,) = (dict(arg.fields) for arg in args if isinstance(arg, Struct) and arg.kind == "qir_conv_u8_shape")
        (room,) = (arg.value for arg in args if isinstance(arg, Scalar))
        _, _, out, *_ = cast("tuple[int, tuple[int, ...], tuple[int, ...]]", shape["window"])
        squares = -(-out[1] // self.side) * -(-out[2] // self.side)
        return cut(squares, int(room)), cast(int, shape["out_channels"])
