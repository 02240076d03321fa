"""A folder to work in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.models import images, tiny_cnn


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with model.onnx and images.npz."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("QIR_DEBUG", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    onnx.save(tiny_cnn(), "model.onnx")
    np.savez("images.npz", x=images())
    return tmp_path
