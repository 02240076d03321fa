"""Why a quantized network is worse than its float model: findings with causes, evidence and repairs that were tried."""

from __future__ import annotations

from qir.debug.explain import codes, structure, weights
from qir.debug.explain.search import explain
from qir.debug.explain.table import CAUSES, Cause, Diagnosis, Part, Repair, register_cause

__all__ = [
    "CAUSES", "Cause", "Diagnosis", "Part", "Repair", "codes", "explain", "register_cause", "structure", "weights",
]  # fmt: skip
