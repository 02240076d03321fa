"""What calibration learns about the values of a network: it is filled once and then only asked."""

from qir.statistics.channels import ChannelBounds
from qir.statistics.collection import Entry, Statistic, Statistics
from qir.statistics.fingerprints import fingerprints
from qir.statistics.gram import Gram, GramAccumulator, im2col_rows
from qir.statistics.histogram import BINS, Histogram
from qir.statistics.moments import Moments
from qir.statistics.ranges import RANGE_METHODS, value_range

__all__ = [
    "BINS", "RANGE_METHODS", "ChannelBounds", "Entry", "Gram", "GramAccumulator", "Histogram", "Moments", "Statistic",
    "Statistics", "fingerprints", "im2col_rows", "value_range",
]  # fmt: skip
