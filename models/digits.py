"""The handwritten digits that ship inside scikit-learn: 1797 images of 8x8 pixels, grey levels 0 to 16.

Nothing is downloaded: the data set is a file of the scikit-learn package. It is only needed to train, demonstrate and
test; qir itself does not import scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

MODEL = Path(__file__).resolve().parent / "digits_cnn" / "model.onnx"
INPUT = "image"
N_TEST = 540
N_CALIBRATION = 256


@dataclass(frozen=True, slots=True)
class Digits:
    """The fixed split: the last 540 samples are the test set, the first 1257 the training set.

    Images are `[n, 1, 8, 8]` float32 in 0..1 (grey level / 16), labels `[n]` int64 in 0..9. Calibration images are the
    first 256 of the training set; no test image is among them.
    """

    train_images: npt.NDArray[np.float32]
    train_labels: npt.NDArray[np.int64]
    test_images: npt.NDArray[np.float32]
    test_labels: npt.NDArray[np.int64]

    @property
    def calibration(self) -> npt.NDArray[np.float32]:
        """The images that ranges are measured on, `[256, 1, 8, 8]`."""
        return self.train_images[:N_CALIBRATION]


def load() -> Digits:
    """Reads the data set.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = (bunch.images / 16.0).astype(np.float32)[:, None]
    labels = bunch.target.astype(np.int64)
    return Digits(images[:-N_TEST], labels[:-N_TEST], images[-N_TEST:], labels[-N_TEST:])


def enlarged(images: npt.NDArray[np.float32], size: int) -> npt.NDArray[np.float32]:
    """Images `[n, 1, h, w]` as `[n, 1, size, size]` by linear interpolation between the middles of pixels."""
    for axis in (2, 3):
        old = images.shape[axis]
        place = np.clip((np.arange(size) + 0.5) * old / size - 0.5, 0, old - 1)
        low = np.minimum(place.astype(np.int64), old - 2)
        share = (place - low).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(4)])
        images = np.take(images, low, axis) * (1 - share) + np.take(images, low + 1, axis) * share
    return images
