import sys

import numpy as np
import pytest

from qir.calibration import Preprocess, feeds
from qir.errors import DataError, MissingDependencyError
from qir.ir.dtype import FLOAT32
from qir.ir.types import TensorType

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)


def test_formula_layout_and_colours():
    mean, std = (1.0, 2.0, 3.0), (4.0, 5.0, 6.0)
    expected = (PIXELS.astype(np.float32) - np.float32(mean)) / np.float32(std)
    assert np.array_equal(Preprocess(mean, std, layout="NHWC").apply(PIXELS), expected)
    assert np.array_equal(Preprocess(mean, std).apply(PIXELS), expected.transpose(2, 0, 1))
    bgr = Preprocess(mean, std, layout="NHWC", color="BGR").apply(PIXELS)
    assert np.array_equal(bgr, (PIXELS[..., ::-1].astype(np.float32) - np.float32(mean)) / np.float32(std))
    grey = Preprocess(color="L").apply(PIXELS[:, :, :1])
    assert grey.shape == (1, 6, 5)
    assert grey.max() <= 1


def test_fields_are_plain():
    first = Preprocess(mean=128, std=[64], size=[8, 9])
    assert first == Preprocess((128.0,), (64.0,), (8, 9))
    assert hash(first)


@pytest.mark.parametrize(
    "options",
    [{"layout": "CHW"}, {"color": "HSV"}, {"mean": (1, 2)}, {"std": (0,)}, {"size": (0, 3)}, {"size": (3,)},
     {"mean": float("nan")}, {"color": "L", "std": (1, 2, 3)}],
)  # fmt: skip
def test_fields_that_make_no_sense(options):
    with pytest.raises(DataError, match="preprocess"):
        Preprocess(**options)


@pytest.mark.parametrize("pixels", [PIXELS.astype(np.float32), PIXELS[None], np.zeros((4, 4, 2), np.uint8)])
def test_pixels_that_are_none(pixels):
    with pytest.raises(DataError, match="uint8"):
        Preprocess().apply(pixels)


def test_without_pillow(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "PIL", None)
    (tmp_path / "a.png").touch()
    with pytest.raises(MissingDependencyError, match="pip install"):
        feeds(tmp_path, {"x": TensorType(FLOAT32, (1, 3, 4, 4))}, preprocess=Preprocess())


def test_folder_errors(tmp_path):
    types = {"x": TensorType(FLOAT32, ("N", 3, 4, 4))}
    with pytest.raises(DataError, match="holds no pictures"):
        feeds(tmp_path, types, preprocess=Preprocess())
    (tmp_path / "a.png").touch()
    with pytest.raises(DataError, match="Give preprocess"):
        feeds(tmp_path, types)
    with pytest.raises(DataError, match="feeds one input"):
        feeds(tmp_path, {**types, "y": types["x"]}, preprocess=Preprocess())


def test_folder_of_pictures(tmp_path):
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "sub").mkdir()
    flat = [np.full((7, 9, 3), value, np.uint8) for value in (10, 20, 30)]
    for name, pixels in zip(("b.png", "a.bmp", "sub/c.PNG"), flat, strict=True):
        image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / ".hidden.png").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no picture")
    prepare = Preprocess(mean=5, std=5, size=(4, 6), layout="NHWC")
    result = feeds(str(tmp_path), {"x": TensorType(FLOAT32, ("N", 4, 6, 3))}, preprocess=prepare, batch=2)
    assert (len(result), result.n_samples) == (2, 3)
    assert [float(sample.max()) for batch in result for sample in batch["x"]] == [3, 1, 5]
    (tmp_path / "d.png").write_bytes(b"nonsense")
    with pytest.raises(DataError, match=r"d\.png' cannot be read as a picture"):
        list(feeds(tmp_path, {"x": TensorType(FLOAT32, ("N", 4, 6, 3))}, preprocess=prepare, batch=1))


def test_grey_and_resizing(tmp_path):
    image = pytest.importorskip("PIL.Image")
    image.fromarray(PIXELS).save(tmp_path / "a.png")
    expected = np.asarray(image.fromarray(PIXELS).convert("L")).astype(np.float32) / np.float32(255)
    assert np.array_equal(Preprocess(color="L").load(tmp_path / "a.png")[0], expected)
    assert Preprocess(size=(3, 8)).apply(PIXELS).shape == (3, 3, 8)
    assert np.array_equal(Preprocess().apply(PIXELS[:, :, 0])[2], PIXELS[:, :, 0] / np.float32(255))
