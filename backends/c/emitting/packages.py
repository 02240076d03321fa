"""Folders of C in the layouts that build systems of firmware take, and the network as one source file.

A layout is a row of `LAYOUTS`: where sources go, and its own files as templates, in which

    @net@, @NET@       stand for the network's prefix, in both cases
    @SOURCES@          for its .c and .S files, @FILES@ for <file> elements of them and its headers
    @FLAGS@            for compiler flags that its kernels need
    @VERSION@          for the package's version, @MODEL@ for the hash of the model that it came from
    @ARRAYS@, @GIVEN@  for arrays of the inputs and outputs, and the arguments of net_run
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from qir.backends.c.build import Files
from qir.backends.c.emitting.interface import parameters
from qir.backends.c.emitting.names import Names
from qir.backends.c.program import CTYPES, Program
from qir.errors import OutputError

VERSION = "1.0.0"


@dataclass(frozen=True)
class Layout:
    """Of a package.

    Attributes:
        files: name to template, @net@ in names too.
        folder: of the network's sources, below the package's.
        test: of main.c, which the package does not build where it has a folder of its own.
        plain: weights are C unless another form is asked for.
    """

    files: Mapping[str, str]
    folder: str = ""
    test: str = "selftest/"
    plain: bool = True


_MAKE = """# The network as a library, and its self-test: make test.
CFLAGS ?= -O2
ALL_CFLAGS = -std=c99 @FLAGS@ $(CFLAGS)
OBJECTS = $(addsuffix .o,$(basename @SOURCES@))

lib@net@.a: $(OBJECTS)
	$(AR) rcs $@ $^

$(OBJECTS): $(wildcard *.h *.bin) Makefile

%.o: %.c
	$(CC) $(ALL_CFLAGS) -c $< -o $@

%.o: %.S
	$(CC) -c $< -o $@

@net@_test: main.c lib@net@.a
	$(CC) $(ALL_CFLAGS) main.c lib@net@.a -lm -o $@

.PHONY: test clean
test: @net@_test
	./@net@_test

clean:
	rm -f $(OBJECTS) lib@net@.a @net@_test
"""

_PROPERTIES = """name=@net@
version=@VERSION@
author=qir
maintainer=qir
sentence=A neural network as C.
paragraph=Made by qir of the model @MODEL@. @net@.h says what it takes and gives.
category=Data Processing
url=https://github.com/
architectures=*
includes=@net@.h
"""

_SKETCH = """// Runs the network on zeros again and again, and tells how long that takes.
#include <@net@.h>

alignas(@NET@_ARENA_ALIGNMENT) static unsigned char arena[@NET@_ARENA_BYTES];
@ARRAYS@
void setup() {
    Serial.begin(115200);
}

void loop() {
    const unsigned long start = micros();
    const int status = @net@_run(@GIVEN@);
    Serial.print(@net@_error(status));
    Serial.print(", microseconds: ");
    Serial.println(micros() - start);
    delay(1000);
}
"""

_MODULE = """name: @net@
build:
  cmake: .
  kconfig: Kconfig
"""

_KCONFIG = """config QIR_@NET@
\tbool "Neural network @net@"
\tdefault y
\thelp
\t  A network that qir made. @net@.h says what it takes and gives.
"""

_ZEPHYR = """if(CONFIG_QIR_@NET@)
  zephyr_include_directories(.)
  zephyr_library_named(@net@)
  zephyr_library_sources(@SOURCES@)
endif()
"""

_ESP = """idf_component_register(SRCS @SOURCES@
                       INCLUDE_DIRS ".")
"""

_ESP_MANIFEST = """version: "@VERSION@"
description: "A neural network as C, made by qir of the model @MODEL@"
dependencies:
  idf: ">=4.1"
"""

_PDSC = """<?xml version="1.0" encoding="UTF-8"?>
<package schemaVersion="1.7.7" xmlns:xs="http://www.w3.org/2001/XMLSchema-instance"
         xs:noNamespaceSchemaLocation="PACK.xsd">
  <vendor>qir</vendor>
  <name>@net@</name>
  <description>A neural network as C, made by qir of the model @MODEL@</description>
  <url></url>
  <releases>
    <release version="@VERSION@">As made.</release>
  </releases>
  <components>
    <component Cclass="Machine Learning" Cgroup="@net@" Cversion="@VERSION@">
      <description>The network: @net@.h says what it takes and gives</description>
      <files>
@FILES@
      </files>
    </component>
  </components>
</package>
"""

LAYOUTS: Mapping[str, Layout] = MappingProxyType({
    "cmake": Layout({}, test="", plain=False),
    "make": Layout({"Makefile": _MAKE}, test="", plain=False),
    "arduino": Layout({"library.properties": _PROPERTIES, "examples/@net@_run/@net@_run.ino": _SKETCH}, "src/",
                      "extras/selftest/"),
    "zephyr": Layout({"zephyr/module.yml": _MODULE, "Kconfig": _KCONFIG, "CMakeLists.txt": _ZEPHYR}),
    "esp-idf": Layout({"CMakeLists.txt": _ESP, "idf_component.yml": _ESP_MANIFEST}),
    "cmsis-pack": Layout({"qir.@net@.pdsc": _PDSC}),
})  # fmt: skip
"""By the name that `package` of CModule.save takes.

After: Arduino's library specification (format 2.2), Zephyr's "Modules", Espressif's "Packaging ESP-IDF Components", and
the Open-CMSIS-Pack specification 1.7. `cmake` is what is made where nothing is asked for.
"""


def layout(package: str) -> Layout:
    """The layout of a name.

    Raises:
        OutputError: for unknown names.
    """
    if package not in LAYOUTS:
        raise OutputError(f"there is no package '{package}'", fix=f"Choose one of {', '.join(LAYOUTS)}")
    return LAYOUTS[package]


def packaged(package: str, sources: Files, extras: Files, program: Program, names: Names,
             flags: Sequence[str]) -> dict[str, str | bytes]:  # fmt: skip
    """The files of a network where a package has them.

    Args:
        sources: of the network.
        extras: main.c, CMakeLists.txt, report.json and the like.
        flags: compiler flags that the kernels need.
    """
    chosen = layout(package)
    moved = {f"{chosen.folder}{name}": content for name, content in sources.items()}
    for name, content in extras.items():
        if name == "CMakeLists.txt" and chosen.files:
            continue
        moved[f"{chosen.test}{name}" if name.endswith((".c", ".h")) else name] = content
    built = [name for name in sources if name.endswith((".c", ".S"))]
    kinds = {".h": "header", ".c": "source", ".S": "source"}
    elements = [f'        <file category="{kinds[name[-2:]]}" name="{name}"/>'
                for name in sources if name[-2:] in kinds]  # fmt: skip
    texts = zip(program.ports, (*names.inputs, *names.outputs), strict=True)
    arrays = [f"static {CTYPES[port.given().name]} {text}[{max(port.elements, 1)}];" for port, text in texts
              if not port.state and program.io != "arena"]  # fmt: skip
    arrays += [f"static {names.prefix}_state state;"] if program.states else []
    words = {
        "net": names.prefix, "NET": names.macro, "SOURCES": " ".join(built), "FILES": "\n".join(elements),
        "FLAGS": " ".join(flags), "VERSION": VERSION, "MODEL": program.source_hash or "unknown",
        "ARRAYS": "\n".join([*arrays, ""]),
        "GIVEN": parameters(program, names, False, types=False).replace("state", "&state", bool(program.states)),
    }  # fmt: skip
    own = {_filled(name, words): _filled(template, words) for name, template in chosen.files.items()}
    return {**moved, **own}


def _filled(template: str, words: Mapping[str, str]) -> str:
    return re.sub(r"@(\w+)@", lambda found: words[found[1]], template)


def single_file(sources: Files, prefix: str) -> dict[str, str | bytes]:
    """A network as one header and one source file: kernels and weights stand in front of the calls.

    Raises:
        OutputError: where the weights are no text.
    """
    weights, binary = sources.get(f"{prefix}_weights.c", ""), f"{prefix}_weights.bin" in sources
    if not isinstance(weights, str) or binary:
        raise OutputError("weights that are bytes are files of their own", fix="Write them as C: weights c")
    includes = {name: f'#include "{name}"\n' for name in (f"{prefix}_kernels.h", f"{prefix}_weights.h")}
    arrays = weights.replace(includes[f"{prefix}_weights.h"], "")
    arrays = re.sub(rf"^(?=(?:\w+\(\d+\) )?const \w+ {prefix}_w\d+\[)", "static ", arrays, flags=re.M)
    arrays = arrays.replace(f"typedef int {prefix}_has_no_weights;\n", "")
    code = str(sources[f"{prefix}.c"]).replace(includes[f"{prefix}_weights.h"], arrays)
    kernels = str(sources[f"{prefix}_kernels.h"])
    code = code.replace(includes[f"{prefix}_kernels.h"], f"{_UNUSED}{kernels}{_UNUSED_END}")
    return {f"{prefix}.h": sources[f"{prefix}.h"], f"{prefix}.c": code}


_UNUSED = """/* Not every network uses all of what kernels share; in a header clang would not mind. */
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wunused-function"
#endif
"""
_UNUSED_END = """#if defined(__clang__)
#pragma clang diagnostic pop
#endif
"""
