"""What this processor can do at most: its clock, multiply-accumulates on registers alone, bytes read from memory.

Measured as the kernels are: the fastest of many short runs, since other load makes runs longer, never shorter.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from qir.backends.c.build import Library, shared_library
from qir.backends.c.isas import on_this_processor

_TIMED = """#include <stddef.h>
#include <time.h>
%(work)s
void timed(int count, double *seconds, const char *p, const size_t *bytes);
void timed(int count, double *seconds, const char *p, const size_t *bytes) {
    int i; struct timespec start, end;
    for (i = 0; i < count; ++i) {
        timespec_get(&start, TIME_UTC); work(p, *bytes); timespec_get(&end, TIME_UTC);
        seconds[i] = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) * 1e-9;
    }
}
"""
_NOTHING = "static void work(const char *p, size_t bytes) { (void)p; (void)bytes; }"
_ADDS = """static void work(const char *p, size_t bytes) {
    size_t s = bytes; int k; (void)p;
    for (k = 0; k < 1000; ++k) { %(adds)s }
}
"""
_ADD = '__asm__ volatile("%s" : "+r"(s));'
_MULTIPLY = """#if defined(__x86_64__)
#include <immintrin.h>
#endif
#define EACH(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11)
#define BEGIN(i) VECTOR s##i = ZERO;
#define LOOP for (k = 0; k < 10000; ++k) { EACH(STEP) }
#define KEEP(i) __asm__ volatile("" : : KIND (s##i));
__attribute__((target(TARGET))) static void work(const char *p, size_t bytes) {
    VECTOR a = ZERO, t = ZERO; int k; (void)p; (void)bytes; (void)t; EACH(BEGIN) LOOP EACH(KEEP) (void)a;
}
"""
_STEPS: Mapping[str, tuple[int, str]] = {
    "avx512vnni": (64, """#define TARGET "avx512f,avx512vnni"
#define VECTOR __m512i
#define ZERO _mm512_setzero_si512()
#define KIND "v"
#define STEP(i) __asm__ volatile("vpdpbusd %1,%1,%0" : "+v"(s##i) : "v"(a));
"""),
    "avxvnni": (32, """#define TARGET "avx2"
#define VECTOR __m256i
#define ZERO _mm256_setzero_si256()
#define KIND "x"
#define STEP(i) __asm__ volatile("%{vex%} vpdpbusd %1,%1,%0" : "+x"(s##i) : "x"(a));
"""),
    "avx2": (16, """#define TARGET "avx2"
#define VECTOR __m256i
#define ZERO _mm256_setzero_si256()
#define KIND "x"
#define STEP(i) __asm__ volatile("vpmaddwd %2,%2,%1\\n\\tvpaddd %1,%0,%0" : "+x"(s##i), "=&x"(t) : "x"(a));
"""),
}  # fmt: skip
_BIT_STEPS: Mapping[str, tuple[int, str]] = {
    "avx512vpopcntdq": (512, """#define TARGET "avx512f"
#define VECTOR __m512i
#define ZERO _mm512_setzero_si512()
#define KIND "v"
#define STEP(i) __asm__ volatile("vpxord %2,%0,%1\\n\\tvpopcntd %1,%1\\n\\tvpaddd %1,%0,%0" \\
                                 : "+v"(s##i), "=&v"(t) : "v"(a));
"""),
    "avx2": (768, """#define TARGET "avx2"
#define VECTOR __m256i
#define ZERO _mm256_setzero_si256()
#define KIND "x"
#define LOOK "vpshufb %2,%2,%1\\n\\tvpaddb %1,%0,%0\\n\\t"
#define STEP(i) __asm__ volatile(LOOK LOOK LOOK "vpsrlw $4,%0,%1\\n\\tvpand %2,%1,%1\\n\\tvpaddb %1,%0,%0" \\
                                 : "+x"(s##i), "=&x"(t) : "x"(a));
"""),
}  # fmt: skip
"""For products of bits: as conv_bits does it, on AVX2 with pixels in the lanes."""
_READ = """#include <immintrin.h>
#define EACH(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7)
#define LOAD(i) __asm__ volatile("%(load)s" : : "m"(p[at + %(bytes)d * (i)]) : "xmm0");
static void work(const char *p, size_t bytes) {
    size_t at; for (at = 0; at + 512 <= bytes; at += 8 * %(bytes)d) { EACH(LOAD) }
    __asm__ volatile("vzeroupper" : : : "xmm0");
}
"""
_LOADS = {
    "avx512vnni": {"load": "vmovdqu64 %0, %%zmm0", "bytes": 64},
    "avx2": {"load": "vmovdqu %0, %%ymm0", "bytes": 32},
}
_FLUSH = """#include <immintrin.h>
static void work(const char *p, size_t bytes) {
    size_t i; for (i = 0; i < bytes; i += 64) { _mm_clflush(p + i); } _mm_mfence();
}
"""
TICK = 1e-9
"""Seconds that a measurement takes at least: of short ones nothing may be left without what measuring takes."""
_ON_X86 = platform.machine() in ("x86_64", "AMD64")


@lru_cache(maxsize=16)
def _library(work: str) -> Library:
    return Library(shared_library({"limit.c": _TIMED % {"work": work}}))


def fastest(runs: Callable[[int], Sequence[float]], seconds: float) -> float:
    """Seconds of the fastest of as many runs as fit; `runs` gives those of each of so many."""
    once = min(runs(3))
    return min(runs(max(5, min(int(seconds / max(once, 1e-9)), 20000))))


def _seconds(work: str, memory: np.ndarray, seconds: float) -> float:
    size = np.array([memory.nbytes], np.uintp)
    addresses = [memory.ctypes.data, size.ctypes.data]
    return fastest(lambda count: _library(work).seconds("timed", count, addresses), seconds)


def timer(seconds: float = 0.02) -> float:
    """Seconds that measuring nothing takes; part of every measurement."""
    return _seconds(_NOTHING, np.zeros(1, np.uint8), seconds)


def clock(seconds: float) -> float:
    """Cycles a second, by a chain of additions, each of which waits one cycle for the one before.

    They add registers: processors carry out chains of additions of constants while renaming registers.
    """
    add = "add %0, %0" if _ON_X86 else "add %0, %0, %0"
    return 64000 / _seconds(_ADDS % {"adds": _ADD % add * 64}, np.zeros(1, np.uint8), seconds)


def peak(isas: Sequence[str], seconds: float, bits: bool = False) -> float | None:
    """Multiply-accumulates a second of the fastest of some instruction sets; None where none is known here.

    Args:
        bits: of single bits instead of bytes.
    """
    steps = _BIT_STEPS if bits else _STEPS
    known = [steps[isa] for isa in isas if isa in steps and isa in on_this_processor()]
    found = [macs * 120000 / _seconds(step + _MULTIPLY, np.zeros(1, np.uint8), seconds) for macs, step in known]
    return max(found, default=None)


def bandwidth(nbytes: int, seconds: float, cold: bool) -> float | None:
    """Bytes a second of reading as many bytes again and again, or after they were thrown out of every cache."""
    load = next((_LOADS[isa] for isa in on_this_processor() if isa in _LOADS), None)
    if load is None:
        return None
    memory, read = _aligned(-(-nbytes // 512) * 512), _READ % load
    if not cold:
        return memory.nbytes / max(_seconds(read, memory, seconds) - timer(), TICK)
    size = np.array([memory.nbytes], np.uintp)
    times = []
    for _ in range(15):
        forget(memory.ctypes.data, memory.nbytes)
        times += _library(read).seconds("timed", 1, [memory.ctypes.data, size.ctypes.data])
    return memory.nbytes / max(min(times) - timer(), TICK)


def _aligned(nbytes: int) -> np.ndarray:
    """Ones that begin with a cache line."""
    room = np.ones(nbytes + 64, np.uint8)
    return room[-room.ctypes.data % 64 :][:nbytes]


def forget(address: int, nbytes: int) -> None:
    """Throws bytes out of every cache (x86)."""
    size = np.array([nbytes], np.uintp)
    _library(_FLUSH).seconds("timed", 1, [address, size.ctypes.data])


def processor() -> str:
    """Its name, as Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
