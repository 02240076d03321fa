"""What the kernel families share when they bind a call: the site (node, operands, orders) and parameters made from it.

Families import from here; the plan does too. Nothing here knows which kernels there are.
"""

from pathlib import Path

RUNTIME = Path(__file__).parents[1] / "runtime"
"""The headers that kernels of several families include."""
