"""From pictures to the numbers that a network wants."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from qir.errors import DataError, MissingDependencyError

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp"})
"""Endings of the files that count as pictures."""


@dataclass(frozen=True)
class Preprocess:
    """`x = (pixel - mean) / std` in float32, after resizing and ordering the colours.

    Attributes:
        mean, std: in units of 8-bit pixels (0..255), one number or one a channel, in the order of `color`.
        size: height and width to resize to (bilinear, without keeping the aspect); None keeps each picture's own.
        layout: NCHW or NHWC.
        color: RGB, BGR or L (grey, ITU-R 601 luma).

    Raises:
        DataError: if a field makes no sense.
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (255.0,)
    size: tuple[int, int] | None = None
    layout: str = "NCHW"
    color: str = "RGB"

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            numbers = np.atleast_1d(np.asarray(getattr(self, name), np.float64))
            object.__setattr__(self, name, tuple(numbers.tolist()))
        if self.size is not None:
            object.__setattr__(self, "size", tuple(int(side) for side in self.size))
        if self.layout not in ("NCHW", "NHWC"):
            raise DataError(f"preprocess: layout is {self.layout!r}", fix="Choose NCHW or NHWC")
        if self.color not in ("RGB", "BGR", "L"):
            raise DataError(f"preprocess: color is {self.color!r}", fix="Choose RGB, BGR or L")
        for name in ("mean", "std"):
            if len(getattr(self, name)) not in (1, self.channels):
                raise DataError(f"preprocess: {name} has {len(getattr(self, name))} numbers for {self.color}")
        if not np.isfinite([*self.mean, *self.std]).all() or min(self.std) <= 0:
            raise DataError("preprocess: mean and std must be finite, and std positive")
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 1):
            raise DataError(f"preprocess: size is {self.size}", fix="Give (height, width)")

    @property
    def channels(self) -> int:
        """1 for grey, else 3."""
        return 1 if self.color == "L" else 3

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """One sample of a picture.

        Args:
            pixels: uint8 [H, W, 3] in RGB order, or [H, W] or [H, W, 1] grey.

        Returns:
            float32 [C, H, W] or [H, W, C], without a batch axis.

        Raises:
            DataError: if `pixels` is something else.
            MissingDependencyError: if resizing or changing the colours needs Pillow and it is not there.
        """
        pixels = np.asarray(pixels)
        if pixels.ndim == 3 and pixels.shape[2] == 1:
            pixels = pixels[:, :, 0]
        if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
            raise DataError(
                f"pixels are {pixels.dtype} of shape {list(pixels.shape)}", fix="Give uint8 [H, W, 3] or [H, W]"
            )
        mode = "L" if self.color == "L" else "RGB"
        if pixels.ndim != (2 if mode == "L" else 3) or (self.size is not None and pixels.shape[:2] != self.size):
            image = pillow().fromarray(pixels).convert(mode)
            if self.size is not None and (image.height, image.width) != self.size:
                image = image.resize(self.size[::-1], pillow().Resampling.BILINEAR)
            pixels = np.asarray(image)
        if pixels.ndim == 2:
            pixels = pixels[:, :, None]
        if self.color == "BGR":
            pixels = pixels[:, :, ::-1]
        x = (pixels.astype(np.float32) - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(x.transpose(2, 0, 1) if self.layout == "NCHW" else x)

    def load(self, path: Path) -> np.ndarray:
        """One sample of a picture file; transparency is dropped.

        Raises:
            DataError: if the file cannot be read as a picture.
            MissingDependencyError: if Pillow is not installed.
        """
        image_module = pillow()
        try:
            with image_module.open(path) as image:
                pixels = np.asarray(image.convert("L" if self.color == "L" else "RGB"))
        except (OSError, ValueError, SyntaxError) as error:  # Pillow raises these for damaged files
            raise DataError(f"'{path}' cannot be read as a picture: {error}", fix="Remove or replace it") from error
        return self.apply(pixels)


def pillow() -> ModuleType:
    """Pillow's Image module.

    Raises:
        MissingDependencyError: if it is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingDependencyError("reading pictures needs Pillow", fix="pip install 'qir[images]'") from error
    module: ModuleType = Image
    return module


def pictures(folder: Path) -> list[Path]:
    """The picture files in a folder and those below, ordered by path; hidden ones are left out.

    Raises:
        DataError: if there are none.
    """
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not found:
        raise DataError(f"folder '{folder}' holds no pictures", fix=f"Put {', '.join(sorted(SUFFIXES))} files there")
    return found
