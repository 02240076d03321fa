"""Constant arrays as files: as C, or as one file of bytes that an assembler (.incbin) or C23's #embed takes in."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from struct import pack
from zlib import crc32

from qir.backends.c.emitting.literals import array, comment, math_include, word_count, words
from qir.backends.c.emitting.source import prefixed
from qir.backends.c.program import CTYPES, Data, data_key
from qir.errors import OutputError

FORMS = ("c", "asm", "embed", "blob")
"""Ways to write constant arrays.

c: text that any C99 compiler reads, half a second a megabyte.
asm: net_weights.bin and a .S file that includes it, for assemblers that gcc and clang drive.
embed: net_weights.bin and C23's #embed, for compilers that know it.
blob: net_weights.bin, which the firmware has somewhere and gives to net_init: it can be replaced without the code.
"""
CHOICES = ("auto", *FORMS)
SMALL = 1 << 20
"""Up to so many bytes `auto` is c, and asm beyond."""


BLOB_HEAD = 64
"""Bytes before the arrays of a blob: QIRW, the format's version (1), bytes and CRC-32 of the arrays, each in four
bytes, and the identity of the code; zeros behind."""
_IDENTITY = 16


class Arrays:
    """The constant arrays of a network, in the form in which they are written.

    Attributes:
        data: the arrays.
        names: `data_key` to the C name.
        form: one of `FORMS`.

    Args:
        data: the arrays, each once.
        prefix: of the model.
        alignment: that the kernels like, bytes.
        weights: a form, or auto.

    Raises:
        OutputError: for another form.
    """

    def __init__(self, data: Sequence[Data], prefix: str, alignment: int, weights: str = "auto") -> None:
        if weights not in CHOICES:
            raise OutputError(f"weights cannot be written as '{weights}'", fix=f"Choose one of {', '.join(CHOICES)}")
        self.data, self.prefix, self.alignment = tuple(data), prefix, max(alignment, 16)
        self.names = {data_key(one): f"{prefix}_w{i}" for i, one in enumerate(self.data)}
        chosen = ("c" if self.size <= SMALL else "asm") if weights == "auto" else weights
        self.form = chosen if self.size else "c"
        self._aligned = f"QIR_ALIGNED({alignment}) " if self.data and alignment > 16 else ""

    def __getitem__(self, data: Data) -> str:
        """The expression that points at the array."""
        name = self.names[data_key(data)]
        return f"(const {_kind(data)} *){name}" if self.form == "c" and _in_words(data) else name

    def files(self, code: str = "") -> dict[str, str | bytes]:
        """File name to content.

        Args:
            code: of the network: a blob is for this one and no other.
        """
        stem = f"{self.prefix}_weights"
        if self.form == "c":
            return {f"{stem}.h": self._header(self._declarations()), f"{stem}.c": self._text()}
        if self.form == "blob":
            identity = sha256(code.encode()).digest()[:_IDENTITY]
            head = b"QIRW" + pack("<III", 1, self.size, crc32(self.binary)) + identity
            return {f"{stem}.h": self._header(self._places()), f"{stem}.c": self._blob(identity),
                    f"{stem}.bin": head.ljust(BLOB_HEAD, b"\0") + self.binary}  # fmt: skip
        source = {f"{stem}.S": self._assembly()} if self.form == "asm" else {f"{stem}.c": self._embedding()}
        return {f"{stem}.h": self._header(self._places()), **source, f"{stem}.bin": self.binary}

    def spans(self) -> dict[str, slice]:
        """C name to where the array lies in `binary`."""
        found, end = dict[str, slice](), 0
        for name, data in zip(self.names.values(), self.data, strict=True):
            start = -(-end // self.alignment) * self.alignment
            end = start + data.array.nbytes
            found[name] = slice(start, end)
        return found

    @property
    def size(self) -> int:
        """Bytes of `binary`."""
        return max([span.stop for span in self.spans().values()], default=0)

    @property
    def binary(self) -> bytes:
        """All arrays, little-endian, each aligned, zeros between them."""
        content = bytearray(self.size)
        for data, span in zip(self.data, self.spans().values(), strict=True):
            content[span] = data.array.astype(data.array.dtype.newbyteorder("<"), copy=False).tobytes()
        return bytes(content)

    def _declared(self, data: Data) -> str:
        name, kind, size = self.names[data_key(data)], _kind(data), max(data.array.size, 1)
        if _in_words(data):
            kind, size = "uint64_t", word_count(data.array)
        return f"const {kind} {name}[{size}]"

    def _declarations(self) -> list[str]:
        return [f"extern {self._declared(data)}; /* {comment(data.role)} */" for data in self.data]

    def _places(self) -> list[str]:
        kind = f"*{self.prefix}_weights" if self.form == "blob" else f"{self.prefix}_weights[{self.size}]"
        lines = [f"extern const unsigned char {kind};", ""]
        for data, (name, span) in zip(self.data, self.spans().items(), strict=True):
            place = f"(const {_kind(data)} *)(const void *)({self.prefix}_weights + {span.start})"
            lines.append(f"#define {name} ({place}) /* {comment(data.role)} */")
        return lines

    def _header(self, declarations: list[str]) -> str:
        guard = f"{self.prefix.upper()}_WEIGHTS_H"
        lines = [f"/* Constant arrays of {self.prefix}. */", f"#ifndef {guard}", f"#define {guard}", "",
                 "#include <stdint.h>", "", "#ifdef __cplusplus", 'extern "C" {', "#endif", "", *declarations, "",
                 "#ifdef __cplusplus", "}", "#endif", "", "#endif", ""]  # fmt: skip
        return "\n".join(lines)

    def _text(self) -> str:
        parts = [f'#include "{self.prefix}_weights.h"\n']
        if not self.data:
            parts.append(f"typedef int {self.prefix}_has_no_weights;\n")
        if any(map(_in_words, self.data)):
            parts.append(_WORDS)
        if self._aligned:
            parts.append(_ALIGNED)
        for data in self.data:
            items = words(data.array) if _in_words(data) else array(data.array)[1]
            parts.append(f"{self._aligned}{self._declared(data)} = {{\n{items}\n}};\n")
        parts.insert(1, math_include("".join(parts)))
        return prefixed("\n".join(part for part in parts if part), self.prefix)

    def _assembly(self) -> str:
        text = _ASSEMBLY.replace("SIZE", str(self.size)).replace("POWER", str(self.alignment.bit_length() - 1))
        return prefixed(f"{_BIG_ENDIAN}{text}".replace("qir_", f"{self.prefix}_"), self.prefix)

    def _blob(self, identity: bytes) -> str:
        words = {"HEAD": str(BLOB_HEAD), "SIZE": str(self.size), "ALIGNMENT": str(self.alignment),
                 "IDENTITY": ", ".join(map(hex, identity)), "COUNT": str(len(identity)),
                 "PREFIX": self.prefix}  # fmt: skip
        text = _BLOB.replace("NET_", f"{self.prefix.upper()}_")
        for word, value in words.items():
            text = text.replace(f"@{word}@", value)
        return prefixed(text, self.prefix)

    def _embedding(self) -> str:
        text = _EMBEDDING.replace("ALIGNED ", f"QIR_ALIGNED({self.alignment}) ")
        return prefixed(f"{_BIG_ENDIAN}{_ALIGNED}\n{text}", self.prefix)


_LONG = 2048


def _kind(data: Data) -> str:
    return CTYPES[data.array.dtype.name]


def _in_words(data: Data) -> bool:
    """Whether text holds it as words: long arrays of bytes."""
    return data.array.dtype.itemsize == 1 and data.array.size >= _LONG


_ALIGNED = """/* So that vectors of weights do not straddle cache lines. */
#if defined(__GNUC__)
#define QIR_ALIGNED(bytes) __attribute__((aligned(bytes)))
#elif defined(_MSC_VER)
#define QIR_ALIGNED(bytes) __declspec(align(bytes))
#else
#define QIR_ALIGNED(bytes)
#endif
"""

_WORDS = """/* Bytes in the order of memory, the first one lowest. */
#if defined(__BYTE_ORDER__) && defined(__ORDER_BIG_ENDIAN__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define QIR_BYTES(x, n) (((uint64_t)(x) >> (8 * (n)) & 0xff) << (56 - 8 * (n)))
#define QIR_SWAPPED(x) \\
    (QIR_BYTES(x, 0) | QIR_BYTES(x, 1) | QIR_BYTES(x, 2) | QIR_BYTES(x, 3) | QIR_BYTES(x, 4) | QIR_BYTES(x, 5) | \\
     QIR_BYTES(x, 6) | QIR_BYTES(x, 7))
#define QIR_WORDS(a, b, c, d, e) QIR_SWAPPED(a), QIR_SWAPPED(b), QIR_SWAPPED(c), QIR_SWAPPED(d), QIR_SWAPPED(e)
#else
#define QIR_WORDS(a, b, c, d, e) a, b, c, d, e
#endif
"""

_BIG_ENDIAN = """/* qir_weights.bin, as it is: the arrays that qir_weights.h finds in it. */
#if defined(__BYTE_ORDER__) && defined(__ORDER_BIG_ENDIAN__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#error "qir_weights.bin is little-endian and this processor is not: emit the weights as C"
#endif

"""

_ASSEMBLY = """/* As the C compiler spells it. */
#if defined(__MACH__) || ((defined(_WIN32) || defined(__CYGWIN__)) && defined(__i386__))
#define QIR_SYMBOL _qir_weights
#else
#define QIR_SYMBOL qir_weights
#endif

#if defined(__MACH__)
    .section __TEXT,__const
#elif defined(_WIN32) || defined(__CYGWIN__)
    .section .rdata,"dr"
#else
    .section .rodata,"a",%progbits
#endif
    .p2align POWER
    .globl QIR_SYMBOL
QIR_SYMBOL:
    .incbin "qir_weights.bin"
1:
    .if 1b - QIR_SYMBOL - SIZE
    .error "qir_weights.bin does not hold SIZE bytes: it is of another network"
    .endif
#if defined(__ELF__)
    .type QIR_SYMBOL, %object
    .size QIR_SYMBOL, SIZE
    .section .note.GNU-stack,"",%progbits
#endif
"""

_BLOB = """#include "qir_weights.h"
#include "@PREFIX@.h"

const unsigned char *qir_weights = 0;

/* A number of four bytes, lowest first. */
static uint32_t qir_word(const unsigned char *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* CRC-32 of ISO-HDLC, as in zip and Ethernet: the polynomial's bits in reverse are 0xedb88320. */
static uint32_t qir_crc(const unsigned char *bytes, size_t count) {
    uint32_t crc = 0xffffffffu;
    size_t i;
    int bit;
    for (i = 0; i < count; ++i) {
        crc ^= bytes[i];
        for (bit = 0; bit < 8; ++bit) {
            crc = (crc >> 1) ^ ((crc & 1u) ? 0xedb88320u : 0u);
        }
    }
    return ~crc;
}

int qir_check(const void *blob, size_t bytes) {
    static const unsigned char identity[@COUNT@] = {@IDENTITY@};
    const unsigned char *const head = (const unsigned char *)blob;
    size_t i;
    if (!blob) {
        return NET_ERROR_NULL;
    }
    if ((uintptr_t)blob % @ALIGNMENT@u != 0u) {
        return NET_ERROR_ALIGNMENT;
    }
    if (bytes < NET_BLOB_BYTES || head[0] != 'Q' || head[1] != 'I' || head[2] != 'R' || head[3] != 'W' ||
        qir_word(head + 4) != 1u || qir_word(head + 8) != @SIZE@u) {
        return NET_ERROR_WEIGHTS;
    }
    for (i = 0; i < sizeof identity; ++i) {
        if (head[16 + i] != identity[i]) {
            return NET_ERROR_WEIGHTS;
        }
    }
    return qir_crc(head + @HEAD@, @SIZE@u) == qir_word(head + 12) ? NET_OK : NET_ERROR_WEIGHTS;
}

int qir_init(const void *blob, size_t bytes) {
    const int status = qir_check(blob, bytes);
    qir_weights = status == NET_OK ? (const unsigned char *)blob + @HEAD@ : 0;
    return status;
}
"""

_EMBEDDING = """#if !defined(__has_embed)
#error "this compiler does not know #embed, of C23: emit the weights as asm or as C"
#endif
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wc23-extensions"
#elif defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wpedantic"
#endif

#if defined(__cplusplus)
extern "C" {
#endif
extern const unsigned char qir_weights[];
#if defined(__cplusplus)
}
#endif

ALIGNED const unsigned char qir_weights[] = {
#embed "qir_weights.bin"
};

/* After the array, so that a file of another length is refused. */
#include "qir_weights.h"
"""
