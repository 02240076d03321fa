"""`max_bytes`: the least noise at the outputs whose result fits."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from qir.applied import Applied
from qir.budget.drop import measured
from qir.budget.frontier import Option, Step, chosen, frontier
from qir.budget.options import TRIES, Again, narrower
from qir.debug.report.text import bytes_text
from qir.errors import RecipeError

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kKmM]?)(i?)[bB]?")


def byte_count(size: int | str | None, name: str = "max_bytes") -> int | None:
    """A limit as a number: 65536, "64k" (64,000), "64Ki" (65,536), "1.5 MB".

    Args:
        name: of the limit.

    Raises:
        RecipeError: for what is no positive size.
    """
    if size is None:
        return None
    count = 0.0
    if isinstance(size, str) and (found := _SIZE.fullmatch(size.strip())):
        count = float(found[1]) * (1024 if found[3] else 1000) ** " km".index(found[2].lower() or " ")
    elif isinstance(size, int) and not isinstance(size, bool):
        count = size
    if count < 1:
        raise RecipeError(f"{name} is {size!r}", fix='Give bytes, such as 65536, "64k" or "64Ki"')
    return int(count)


def within_bytes(applied: Applied, again: Again, size: Callable[[Applied], int], max_bytes: int) -> Applied:
    """The choice of least noise that fits, with a note of what and why.

    Args:
        applied: the result of the recipe as it is.
        size: bytes of what is made of a result.

    Raises:
        RecipeError: where even the fewest bits do not fit; says the smallest size.
    """
    made = size(applied)
    if made <= max_bytes:
        applied.context.notes.append(f"max_bytes {max_bytes:,} holds: {bytes_text(made)}; no layer has to be narrower")
        return applied
    table = narrower(applied, again)
    if not table.ways:
        raise RecipeError(f"the result takes {bytes_text(made)}, and it has no weights that could be narrower",
                          fix="Give more bytes, or a recipe that quantizes weights")  # fmt: skip
    steps = frontier(table.ways)
    rest = made - sum(table.own(layer).cost for layer in table.ways)  # what is no weight
    for _ in range(TRIES):
        choice = affordable(table.ways, steps, max_bytes - rest)
        found = again(table.with_choice(choice))
        made = size(found)
        if made <= max_bytes:
            lines = table.reasons(choice)
            note = f"max_bytes {max_bytes:,} holds: {bytes_text(made)}; {len(lines)} layers are narrower"
            real, quant = found.rounding.real, found.rounding.quant
            if real is not None and quant is not None:
                note += f"; {measured(real, quant, found.context.feeds)}"
            found.context.notes += [note, *lines]
            return found
        if choice == chosen(table.ways, ()):
            break
        rest += made - max_bytes
    raise RecipeError(f"no choice of weight bits fits into {bytes_text(max_bytes)}: the smallest that was made takes "
                      f"{bytes_text(made)}", fix="Give more bytes, or make the network smaller")  # fmt: skip


def affordable(ways: Mapping[str, Sequence[Option]], steps: Sequence[Step], budget: float) -> dict[str, Option]:
    """The frontier's steps as far as they fit; where one does not, its layer takes no more and others go on."""
    choice = chosen(ways, ())
    spent, closed = sum(option.cost for option in choice.values()), set()
    for step in steps:
        grown = step.after.cost - step.before.cost
        if step.layer in closed or spent + grown > budget:
            closed.add(step.layer)
        else:
            choice[step.layer], spent = step.after, spent + grown
    return choice
