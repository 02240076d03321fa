"""Calibration data: whatever the user has, as batches that fit the model."""

from qir.calibration.batches import Batch
from qir.calibration.feeds import Feeds, feeds
from qir.calibration.preprocess import Preprocess

__all__ = ["Batch", "Feeds", "Preprocess", "feeds"]
