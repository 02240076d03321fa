"""C identifiers from any text."""

from __future__ import annotations

import re
from dataclasses import dataclass

_WORDS = """
auto break case char const continue default do double else enum extern float for goto if inline int long register
restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
alignas alignof and and_eq asm bitand bitor bool catch char8_t char16_t char32_t class compl concept consteval constexpr
constinit const_cast co_await co_return co_yield decltype delete dynamic_cast explicit export false friend mutable
namespace new noexcept not not_eq nullptr operator or or_eq private protected public reinterpret_cast requires
static_assert static_cast template this thread_local throw true try typeid typename typeof typeof_unqual using virtual
wchar_t xor xor_eq
assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg stdatomic stdbool
stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar wctype main unix linux near far small
interface arena qir strings memory malloc state context
"""
RESERVED = frozenset(_WORDS.split())
"""Words of C and C++, names of standard headers (which a model's files must not hide), and names that are used."""


def identifier(text: str, fallback: str = "net") -> str:
    """`text` as a C identifier: other characters become underscores; words with a meaning get one appended."""
    name = re.sub(r"_+", "_", re.sub(r"\W", "_", text, flags=re.ASCII)).strip("_")
    if not name:
        return fallback
    if name[0].isdigit():
        name = f"{fallback}_{name}"
    return f"{name}_" if name.lower() in RESERVED else name


def unique(texts: list[str], fallback: str) -> list[str]:
    """Identifiers for several texts, different even when case is ignored."""
    taken: set[str] = set()
    result = []
    for text in texts:
        name = base = identifier(text, fallback)
        number = 2
        while name.lower() in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name.lower())
        result.append(name)
    return result


@dataclass(frozen=True)
class Names:
    """C names of one model.

    Attributes:
        prefix: of every symbol and file.
        inputs, outputs: parameter names of the ports.
    """

    prefix: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def macro(self) -> str:
        return self.prefix.upper()
