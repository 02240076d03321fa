"""Makes the helpers of this folder importable by its tests, and gives them the targets with kernels on vectors."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from qir.backends.c.isas import on_this_processor
from qir.backends.c.kernels import Variant
from qir.backends.c.targets import C_TARGETS

sys.path.insert(0, str(Path(__file__).parent))

VECTOR_TARGETS = [name for name, target in C_TARGETS.items() if name != "native" and target.isas]


def prefer(name: str, monkeypatch: pytest.MonkeyPatch, evidence: Callable[[str, str], None]) -> str:
    """Has a target's kernels on vectors taken wherever they can be; skips where this processor cannot run them."""
    target = C_TARGETS[name]
    for isa in target.isas:
        if isa not in on_this_processor():
            pytest.skip(f"this processor cannot run {isa}")
        evidence("ran", f"kernels for {isa}, on this processor")
    places = {isa: place for place, isa in enumerate(target.isas)}
    monkeypatch.setattr(Variant, "cycles", lambda self, site: 1.0 + places.get(self.isa, len(places)))
    return name


@pytest.fixture(params=VECTOR_TARGETS)
def vector_target(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, evidence: Callable[[str, str], None]
) -> str:
    """A target with kernels on vectors, which are taken wherever they can be."""
    return prefer(request.param, monkeypatch, evidence)


@pytest.fixture(params=["portable", *VECTOR_TARGETS])
def any_target(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, evidence: Callable[[str, str], None]
) -> str:
    """As `vector_target`, or portable C."""
    return prefer(request.param, monkeypatch, evidence)
