"""The emitted C on other processors: the same bytes under emulation, and clean compilation for bare metal."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import qir
from tests.backends.c.elsewhere import MACHINES, command, started

FLAGS = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
EMULATED = {
    "aarch64": ("aarch64-linux-gnu-gcc", "qemu-aarch64", ()),
    "armv7": ("arm-linux-gnueabihf-gcc", "qemu-arm", ()),
}
BARE = {
    "cortex-m0": ("arm-none-eabi-gcc", ("-mcpu=cortex-m0", "-mthumb")),
    "cortex-m4": ("arm-none-eabi-gcc", ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")),
    "cortex-m7": ("arm-none-eabi-gcc", ("-mcpu=cortex-m7", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-d16")),
    "cortex-m33": ("arm-none-eabi-gcc", ("-mcpu=cortex-m33", "-mthumb")),
    "riscv32": ("riscv64-unknown-elf-gcc", ("-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs")),
}
DRIVER = """#include "net.h"
#include <stdio.h>
static union {{ double alignment; unsigned char bytes[NET_ARENA_BYTES + 64]; }} arena;
static const float images[][64] = {{ {images} }};
int main(void) {{
    void *place = (void *)(((uintptr_t)arena.bytes + 63) / 64 * 64);
    size_t i;
    for (i = 0; i < sizeof images / sizeof images[0]; ++i) {{
        float logits[NET_OUT_LOGITS_ELEMENTS];
        if (net_run(place, images[i], logits) != NET_OK || fwrite(logits, sizeof logits, 1, stdout) != 1) {{
            return 1;
        }}
    }}
    return 0;
}}
"""

pytestmark = pytest.mark.slow


def with_driver(c: qir.Compiled, images: np.ndarray, folder: Path) -> Path:
    """A folder of C with a driver that writes the logits of some images."""
    rows = ", ".join("{" + ", ".join(f"{value.item().hex()}f" for value in image.reshape(-1)) + "}" for image in images)
    saved = c.save(folder)
    (saved / "driver.c").write_text(DRIVER.format(images=rows))
    return saved


@pytest.fixture(scope="module")
def images(digits: ModuleType) -> np.ndarray:
    found: np.ndarray = digits.load().test_images[:20].astype(np.float32)
    return found


def on_this_host(c: qir.Compiled, images: np.ndarray) -> np.ndarray:
    """The logits of portable C."""
    (name,) = c.graph.inputs
    return np.concatenate([c.run({name: image[None]})["logits"] for image in images])


@pytest.fixture(scope="module", params=["int8", "float"])
def network(
    request: pytest.FixtureRequest, digits: ModuleType, images: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Portable C with a driver; `wanted` beside it holds this host's logits."""
    c = qir.compile(str(digits.MODEL), digits.load().calibration, recipe=request.param, target="portable")
    folder = with_driver(c, images, tmp_path_factory.mktemp(request.param))
    (folder / "wanted").write_bytes(on_this_host(c, images).tobytes())
    return folder


def build(folder: Path, compiler: str, *options: str) -> None:
    done = subprocess.run([compiler, *FLAGS, *options], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("isa", EMULATED)
def test_other_processors_give_the_same_bytes(
    isa: str, network: Path, need: Callable[[str], str], evidence: Callable[[str, str], None]
) -> None:
    compiler, emulator, options = EMULATED[isa]
    need(compiler), need(emulator)
    build(network, compiler, *options, "-static", "net.c", "net_weights.c", "driver.c", "-o", isa, "-lm")
    found = subprocess.run([emulator, network / isa], capture_output=True, check=True).stdout
    wanted = np.frombuffer((network / "wanted").read_bytes(), np.float32)
    if network.name.startswith("int8"):
        assert found == wanted.tobytes()
    else:
        np.testing.assert_allclose(np.frombuffer(found, np.float32), wanted, rtol=1e-4, atol=1e-5)
    evidence("ran", f"{network.name.rstrip('0')} C on {isa} ({emulator})")


@pytest.mark.parametrize("target", MACHINES)
def test_kernels_on_vectors_give_the_same_bytes(
    target: str, digits: ModuleType, images: np.ndarray, tmp_path: Path, need: Callable[[str], str],
    evidence: Callable[[str, str], None],
) -> None:  # fmt: skip
    data, machine = digits.load(), MACHINES[target]
    c = qir.compile(str(digits.MODEL), data.calibration, target=target)
    folder = with_driver(c, images, tmp_path)
    wanted = on_this_host(qir.compile(str(digits.MODEL), data.calibration, target="portable"), images).tobytes()
    isas = {call.kernel.emitted.partition("__")[2] for call in c.module.program.calls} - {"portable"}
    assert isas
    need(machine.emulator[0])
    for compiler in machine.compilers:
        need(machine.compilers[compiler][0])
        line = command(target, compiler)
        build(folder, *line, *c.module.flags, "-static", "net.c", "net_weights.c", "driver.c", "-o", compiler, "-lm")
        found = subprocess.run(started(target, str(folder / compiler)), capture_output=True, check=True).stdout
        assert found == wanted, compiler
    evidence("ran", f"int8 digits with kernels for {', '.join(sorted(isas))}, in {' '.join(machine.emulator)}")


@pytest.mark.parametrize("core", BARE)
def test_bare_metal_compiles_cleanly(
    core: str, network: Path, need: Callable[[str], str], evidence: Callable[[str, str], None]
) -> None:
    compiler, options = BARE[core]
    need(compiler)
    for source in ("net.c", "net_weights.c"):
        build(network, compiler, *options, "-c", source, "-o", f"{core}.o")
    evidence("compiled", f"{network.name.rstrip('0')} C for {core} ({compiler})")
