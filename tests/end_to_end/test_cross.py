"""The emitted C on other processors: the same bytes under emulation, and clean compilation for bare metal."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import qir

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


@pytest.fixture(scope="module", params=["int8", "float"])
def network(request: pytest.FixtureRequest, digits: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of C with a driver that writes the logits of some images; `wanted` beside it holds the host's."""
    data = digits.load()
    c = qir.compile(str(digits.MODEL), data.calibration, recipe=request.param, target="portable")
    folder = c.save(tmp_path_factory.mktemp(request.param))
    images = data.test_images[:20].astype(np.float32)
    (name,) = c.graph.inputs
    logits = [c.run({name: image[None]})["logits"] for image in images]
    (folder / "wanted").write_bytes(np.concatenate(logits).tobytes())
    rows = ", ".join("{" + ", ".join(f"{value.item().hex()}f" for value in image.reshape(-1)) + "}" for image in images)
    (folder / "driver.c").write_text(DRIVER.format(images=rows))
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


@pytest.mark.parametrize("core", BARE)
def test_bare_metal_compiles_cleanly(
    core: str, network: Path, need: Callable[[str], str], evidence: Callable[[str, str], None]
) -> None:
    compiler, options = BARE[core]
    need(compiler)
    for source in ("net.c", "net_weights.c"):
        build(network, compiler, *options, "-c", source, "-o", f"{core}.o")
    evidence("compiled", f"{network.name.rstrip('0')} C for {core} ({compiler})")
