"""Labelled models to measure on, from the folder that $QIR_ZOO names: model.onnx, data.npz and meta.json each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Task:
    """A trained float model with labelled test samples and unlabelled calibration samples."""

    folder: Path

    @property
    def model(self) -> str:
        return str(self.folder / "model.onnx")

    @cached_property
    def meta(self) -> dict[str, object]:
        loaded: dict[str, object] = json.loads((self.folder / "meta.json").read_text())
        return loaded

    @cached_property
    def data(self) -> dict[str, np.ndarray]:
        return dict(np.load(self.folder / "data.npz"))

    @property
    def labels(self) -> np.ndarray:
        return self.data["y"]

    @property
    def input(self) -> str:
        inputs = self.meta["inputs"]
        assert isinstance(inputs, dict)
        return str(next(iter(inputs)))

    def samples(self, key: str = "x", limit: int | None = None) -> np.ndarray:
        """Test samples (`x`) or calibration samples (`x_calib`), float32, first axis N; pixels are normalised."""
        if key in self.data:
            return self.data[key][:limit].astype(np.float32)
        pixels = self.data[f"{key}_u8"][:limit]
        shape = (1, -1) + (1,) * (pixels.ndim - 2)
        mean, std = (np.asarray(self.meta[name], np.float32).reshape(shape) for name in ("mean", "std"))
        return (pixels.astype(np.float32) - mean) / std

    def batches(self, size: int, limit: int | None = None) -> Iterator[np.ndarray]:
        samples = self.samples(limit=limit)
        yield from (samples[i : i + size] for i in range(0, len(samples), size))


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Top-1 accuracy of [N, classes]."""
    return float((logits.reshape(len(logits), -1).argmax(1) == labels[: len(logits)]).mean())


def agreement(a: np.ndarray, b: np.ndarray) -> float:
    """Share of samples with the same top-1 class."""
    return float((a.reshape(len(a), -1).argmax(1) == b.reshape(len(b), -1).argmax(1)).mean())
