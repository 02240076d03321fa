"""What families that read indices at run time share."""

from __future__ import annotations

from qir.backends.c.binding.site import Operand

INDEX_TYPES = ("int32", "int64")


def wrong_index_type(indices: Operand) -> str | None:
    """The reason to refuse indices that are not int32 or int64."""
    return None if indices.dtype.name in INDEX_TYPES else f"indices are {indices.dtype}, int32 and int64 are supported"


def nothing_to_read(x: Operand, y: Operand) -> str | None:
    """The reason to refuse reading elements of an empty tensor."""
    return "it reads from an empty tensor" if y.size and not x.size else None
