"""The backends that come with qir: QDQ ONNX and C. Importing this package registers their targets."""

from qir.backends.c import targets as _c_targets  # noqa: F401
from qir.backends.onnx import targets as _onnx_targets  # noqa: F401
