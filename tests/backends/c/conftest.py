"""Makes the helpers of this folder importable by its tests, and gives them the targets with kernels on vectors."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from qir.backends.c import build
from qir.backends.c import module as c_module
from qir.backends.c.binding.site import Site
from qir.backends.c.binding.vectors import VECTORS
from qir.backends.c.costs import Costs
from qir.backends.c.isas import on_this_processor
from qir.backends.c.kernels import Variant, families
from qir.backends.c.targets import C_TARGETS

sys.path.insert(0, str(Path(__file__).parent))

import elsewhere  # found through the lines above
import precompiled

BITS = "x86-avx512vpopcntdq"
"""Beyond the other targets it has kernels for packed bits alone."""
VECTOR_TARGETS = [name for name, row in C_TARGETS.items()
                  if name not in ("native", BITS) and row.isas and not row.dispatch and row.tools is None]  # fmt: skip
CORES = ("cortex-m4", "cortex-m55")
"""Microcontrollers, one for each instruction set; what others of it have more is not used."""
FLOAT_TARGETS = [next(name for name in VECTOR_TARGETS if isa in C_TARGETS[name].isas) for isa in VECTORS]
"""One for each instruction set of the float kernels."""


@pytest.fixture(scope="session", autouse=True)
def compiled_quickly() -> Iterator[None]:
    """Half of the time of these tests is the compiler's, and what they ask of libraries for this process is bits.

    Portable C is built without optimizing, which takes half as long: optimized it runs on the boards, on ARM and in
    tests/end_to_end. Kernels on vectors are optimized as for users, after headers that are parsed once.
    """

    def quickly(files: build.Files, flags: Sequence[str] = ()) -> Path:
        if not any(flag.startswith("-m") for flag in flags):
            return build.shared_library(files, flags, ("-std=c11", "-O0"))
        line = (*build.compiler(), "-std=c11", "-O2", *flags, "-fPIC")
        assembly = any(name.endswith(".S") for name in files)
        return build.shared_library(files, (*flags, *(() if assembly else precompiled.included(line, files.values()))))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(c_module, "shared_library", quickly)
        yield


def float_isa(target: str) -> str:
    """The instruction set of a target's float kernels on vectors; portable where there are none."""
    return next((isa for isa in C_TARGETS[target].isas if isa in VECTORS), "portable")


def running(name: str, evidence: Callable[[str, str], None], need: Callable[[str], str]) -> str:
    """A target, noted as one that ran; skips where nothing here can run its kernels on vectors."""
    target, tools = C_TARGETS[name], elsewhere.needs(name)
    written = {variant.isa for family in families() for variant in family.variants}
    for isa in filter(written.__contains__, target.isas):
        if tools:
            for tool in tools:
                need(tool)
            evidence("ran", f"kernels for {isa} of {name}, in {tools[-1]}")
        elif isa in on_this_processor():
            evidence("ran", f"kernels for {isa}, on this processor")
        else:
            pytest.skip(f"this processor cannot run {isa}")
    return name


def prefer(
    name: str, monkeypatch: pytest.MonkeyPatch, evidence: Callable[[str, str], None], need: Callable[[str], str]
) -> str:
    """Has a target's kernels on vectors taken wherever they can be; skips where nothing here can run them."""
    places = {isa: place for place, isa in enumerate(C_TARGETS[running(name, evidence, need)].isas)}
    monkeypatch.setattr(Variant, "cycles", lambda self, site, costs: 1.0 + places.get(self.isa, len(places)))
    return name


def here_or_emulated(names: list[str]) -> list[object]:
    """Targets as parameters; what runs in an emulator is slow."""
    return [pytest.param(name, marks=pytest.mark.slow) if elsewhere.needs(name) else name for name in names]


@pytest.fixture(params=here_or_emulated(VECTOR_TARGETS))
def vector_target(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, evidence: Callable[[str, str], None],
    need: Callable[[str], str],
) -> str:  # fmt: skip
    """A target with kernels on vectors, which are taken wherever they can be."""
    return prefer(request.param, monkeypatch, evidence, need)


@pytest.fixture(params=CORES)
def core(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, evidence: Callable[[str, str], None],
    need: Callable[[str], str],
) -> str:  # fmt: skip
    """A microcontroller whose own kernels are taken wherever they can be."""
    return prefer(request.param, monkeypatch, evidence, need)


@pytest.fixture(params=["portable", *(name for name in VECTOR_TARGETS if not elsewhere.needs(name))])
def any_target(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, evidence: Callable[[str, str], None],
    need: Callable[[str], str],
) -> str:  # fmt: skip
    """As `vector_target` but for this processor, or portable C."""
    return prefer(request.param, monkeypatch, evidence, need)


@pytest.fixture(params=here_or_emulated(["portable", "x86-avx2", BITS, "arm-neon", "armv7-neon"]))
def bits_target(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, evidence: Callable[[str, str], None],
    need: Callable[[str], str],
) -> str:  # fmt: skip
    """Portable C, or a target whose kernels for packed bits no other has; they are taken wherever they can be."""
    return prefer(request.param, monkeypatch, evidence, need)


@pytest.fixture(params=here_or_emulated(FLOAT_TARGETS))
def float_target(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, evidence: Callable[[str, str], None],
    need: Callable[[str], str],
) -> str:  # fmt: skip
    """A target with kernels on vectors of floats, which are taken wherever they can be."""
    return prefer(request.param, monkeypatch, evidence, need)


@pytest.fixture(params=["portable", *(name for name in FLOAT_TARGETS if not elsewhere.needs(name))])
def any_float_target(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, evidence: Callable[[str, str], None],
    need: Callable[[str], str],
) -> str:  # fmt: skip
    """As `float_target` but for this processor, or portable C."""
    return prefer(request.param, monkeypatch, evidence, need)


@pytest.fixture(params=["x86-avx2", "x86-avxvnni", "x86-avx512vnni"])
def sparse_target(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, evidence: Callable[[str, str], None],
    need: Callable[[str], str],
) -> str:  # fmt: skip
    """A target whose sparse kernels are taken: for one row that for rows, for more of them those on panels."""
    usual, isa = Variant.cycles, running(request.param, evidence, need).removeprefix("x86-")

    def cycles(variant: Variant, site: Site, costs: Costs) -> float:
        fitting = variant.title.startswith("conv_u8") == (site.node.op != "qir.IntGemm" or site.output.shape[0] > 1)
        wanted = "sparse" in variant.title and variant.isa == isa
        return usual(variant, site, costs) - 1e9 * wanted * (1 + fitting)

    monkeypatch.setattr(Variant, "cycles", cycles)
    return str(request.param)
