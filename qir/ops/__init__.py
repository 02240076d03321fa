"""What qir knows of single operators, one family a file."""

from qir.ops import integer, integer_bits, integer_pool, integer_rows, quantized  # noqa: F401  (each registers its operators)
from qir.ops.registry import OPS, OpDef, register_op

__all__ = ["OPS", "OpDef", "register_op"]
