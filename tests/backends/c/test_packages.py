"""Folders in the layouts that build systems of firmware take, and the network as one file; built where that can be."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree
from zlib import crc32

import pytest
from networks import residual
from test_emitted import WARNINGS, run

from qir.backends.c import CModule, compile_c
from qir.backends.c.emitting.packages import LAYOUTS
from qir.errors import OutputError

CORE = ("-mcpu=cortex-m0plus", "-mthumb", "--specs=nosys.specs")
NAME = "eye"


@pytest.fixture(scope="module")
def module() -> CModule:
    graph, b, outputs = residual()
    return compile_c(graph, name=NAME, test_vectors=[(b.feeds, b.wanted(outputs))], source_hash="0123")


def test_one_file_is_the_network(module: CModule, compiler: str, tmp_path: Path) -> None:
    folder = module.save(tmp_path, single=True)
    assert {"eye.c", "eye.h", "main.c", "CMakeLists.txt", "report.json"} == {path.name for path in folder.iterdir()}
    run(folder, compiler, "-std=c99", *WARNINGS, "eye.c", "main.c", "-o", "test")
    assert "PASSED" in run(folder, "./test")
    run(folder, compiler, "-x", "c++", "-std=c++17", *WARNINGS, "-c", "eye.c")
    run(folder, compiler, "-x", "c++", "-std=c++17", *WARNINGS, "eye.c", "main.c", "-lstdc++", "-o", "test")
    assert "PASSED" in run(folder, "./test")
    run(folder, compiler, "-std=c99", "-c", "eye.c")
    defined = {line.split()[2] for line in run(folder, "nm", "eye.o").splitlines() if line.split()[-2] in "TDRB"}
    assert {"eye_run", "eye_run_q", "eye_error"} == defined
    with pytest.raises(OutputError, match="Write them as C"):
        module.files("asm", single=True)


def test_weights_may_be_replaced(module: CModule, compiler: str, tmp_path: Path) -> None:
    """A blob is taken by the code that it was made for, whole and unchanged: that of other weights too."""
    folder = module.save(tmp_path, "blob")
    files = ("eye.c", "eye_weights.c", "main.c")
    run(folder, compiler, "-std=c99", *WARNINGS, *files, "-o", "test")
    run(folder, compiler, "-x", "c++", "-std=c++17", *WARNINGS, "-fsyntax-only", *files)
    assert "PASSED" in run(folder, "./test")
    blob = (folder / "eye_weights.bin").read_bytes()
    assert b"QIRW" == blob[:4]
    assert 64 + module.weight_bytes <= len(blob)
    for at in (0, 8, 12, 20, 64, len(blob) - 1):
        (folder / "other.bin").write_bytes(blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :])
        told = subprocess.run(["./test", "other.bin"], cwd=folder, capture_output=True, text=True, check=False)
        assert (2, "there are no weights, or those of another network") == (told.returncode, told.stdout)
    for wrong in (blob[:-1], b""):
        (folder / "other.bin").write_bytes(wrong)
        assert 2 == subprocess.run(["./test", "other.bin"], cwd=folder, capture_output=True, check=False).returncode
    other = bytearray(blob)
    other[-2] ^= 1
    other[12:16] = crc32(bytes(other[64:])).to_bytes(4, "little")
    (folder / "other.bin").write_bytes(bytes(other))
    assert subprocess.run(["./test", "other.bin"], cwd=folder, capture_output=True, check=False).returncode in (0, 1)
    with pytest.raises(OutputError, match="without blob"):
        module.files("blob", "qemu")


@pytest.mark.needs("make")
def test_make_builds_and_tests(module: CModule, compiler: str, tmp_path: Path) -> None:
    for weights in ("c", "asm"):
        folder = module.save(tmp_path / weights, weights, package="make")
        assert "PASSED" in run(folder, "make", f"CC={compiler}", "test")
        assert (folder / "libeye.a").exists()


def test_arduino_builds_for_a_core(module: CModule, tmp_path: Path, need: Callable[[str], str]) -> None:
    need("arm-none-eabi-g++")
    folder = module.save(tmp_path, package="arduino")
    facts = dict(line.split("=", 1) for line in (folder / "library.properties").read_text().splitlines())
    required = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url", "architectures"}
    assert required <= set(facts)
    assert "eye.h" == facts["includes"]
    (folder / "Arduino.h").write_text(
        "struct Port { void begin(long) {} template <class T> void print(T) {}\n"
        "    template <class T> void println(T) {} };\n"
        "static Port Serial;\nstatic unsigned long micros() { return 0; }\nstatic void delay(unsigned long) {}\n"
    )
    sources = [str(path) for path in sorted((folder / "src").glob("*.c"))]
    assert 2 == len(sources)
    run(folder, "arm-none-eabi-gcc", *CORE, "-Os", "-std=gnu11", "-Isrc", "-c", *sources)
    (sketch,) = (folder / "examples").glob("*/*.ino")
    assert sketch.stem == sketch.parent.name
    (folder / "main.cpp").write_text(f'#include "Arduino.h"\n{sketch.read_text()}\nint main() {{ setup(); loop(); }}\n')
    objects = [f"{Path(source).stem}.o" for source in sources]
    run(folder, "arm-none-eabi-g++", *CORE, "-Os", "-std=gnu++17", "-Isrc", "-I.", "-c", "main.cpp")
    run(folder, "arm-none-eabi-gcc", *CORE, "main.o", *objects, "-lm", "-o", "sketch")


@pytest.mark.needs("cmake")
@pytest.mark.parametrize("package", ["zephyr", "esp-idf"])
def test_cmake_of_others_names_what_is_there(module: CModule, tmp_path: Path, package: str) -> None:
    """Their functions stand for what they do: they say what they are given."""
    folder = module.save(tmp_path, package=package)
    names = ("zephyr_library_named", "zephyr_library_sources", "zephyr_include_directories", "idf_component_register")
    stubs = "".join(f'function({name})\n  message("{name}: ${{ARGV}}")\nendfunction()\n' for name in names)
    (folder / "stub.cmake").write_text(f'{stubs}set(CONFIG_QIR_EYE y)\ninclude("CMakeLists.txt")\n')
    told = run(folder, "sh", "-c", "cmake -P stub.cmake 2>&1")
    listed = re.findall(r"[\w/]+\.c\b", told)
    assert ["eye.c", "eye_weights.c"] == sorted(listed)
    assert all((folder / name).exists() for name in listed)
    if package == "zephyr":
        manifest = (folder / "zephyr" / "module.yml").read_text()
        assert "build:\n  cmake: .\n  kconfig: Kconfig\n" in manifest
        assert "config QIR_EYE\n\tbool" in (folder / "Kconfig").read_text()
    else:
        assert "INCLUDE_DIRS;." in told
        assert re.search(r'^version: "\d+\.\d+\.\d+"$', (folder / "idf_component.yml").read_text(), re.M)


def test_a_pack_describes_its_files(module: CModule, tmp_path: Path) -> None:
    folder = module.save(tmp_path, package="cmsis-pack")
    pack = ElementTree.parse(folder / "qir.eye.pdsc").getroot()
    assert "package" == pack.tag
    assert pack.get("schemaVersion")
    assert ["vendor", "name", "description", "url", "releases", "components"] == [child.tag for child in pack]
    assert f"{pack.findtext('vendor')}.{pack.findtext('name')}.pdsc" == "qir.eye.pdsc"
    (component,) = pack.findall("components/component")
    assert {"Cclass", "Cgroup", "Cversion"} == set(component.attrib)
    (release,) = pack.findall("releases/release")
    assert release.get("version") == component.get("Cversion")
    files = [(file.get("category"), str(file.get("name"))) for file in component.findall("files/file")]
    assert {"header", "source"} == {category for category, _ in files}
    assert all((folder / name).exists() for _, name in files)
    assert {"eye.c", "eye_weights.c"} == {name for category, name in files if category == "source"}


def test_unknown_layouts_are_refused(module: CModule) -> None:
    with pytest.raises(OutputError, match="cmake, make, arduino, zephyr, esp-idf, cmsis-pack"):
        module.files(package="keil")
    with pytest.raises(OutputError, match="for package arduino"):
        module.files(example="qemu", package="arduino")
    assert "cmake" == next(iter(LAYOUTS))
