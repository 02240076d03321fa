"""Which sums of products of codes and weights AVX2 may add in 16 bits, proven from the weights alone.

vpmaddubsw adds the products of two neighbouring codes and weights in a lane of 16 bits; vpaddw may then add the lanes
of the next four codes. Codes reach from 0 to 255 each by itself, so that the largest sum in a lane is 255 times the sum
of its positive weights, the least 255 times that of its negative ones. The weights of a lane *fit* where both sums of
weights are at most 128 in size:

    255 * 128 = 32640 <= 32767 and -255 * 128 >= -32768, whereas 255 * 129 = 32895 is beyond either.

Sums of only some of a lane's products, as before vpaddw, lie between.
"""

from __future__ import annotations

import numpy as np

LIMIT = 128


def fits(steps: np.ndarray) -> np.ndarray:
    """Whether every lane of a step fits, bool [...].

    Args:
        steps: weights, int8 [..., fours of codes, channel, 4].
    """
    above, below = np.maximum(steps, 0).astype(np.int16), np.minimum(steps, 0).astype(np.int16)
    most, least = ((part[..., 0::2] + part[..., 1::2]).sum(axis=-3, dtype=np.int16) for part in (above, below))
    found: np.ndarray = ((most <= LIMIT) & (least >= -LIMIT)).all(axis=(-2, -1))
    return found


def in_fitting_steps(steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A panel's weights in steps that fit: what is too much in one is left for further steps on the same codes.

    Args:
        steps: int8 [step, fours of codes, channel, 4].

    Returns:
        int8 [step and further ones, fours, channel, 4], and int32 [further ones], the step whose codes each takes.
    """
    number = np.flatnonzero(~fits(steps))
    found, numbers, rest = [steps.copy()], [np.zeros(0, np.int32)], steps[number]
    found[0][number] = _fitting(rest)
    rest = rest - found[0][number]
    while rest.size:
        found.append(_fitting(rest))
        numbers.append(number.astype(np.int32))
        rest = rest - found[-1]
        left = rest.any(axis=(1, 2, 3))
        number, rest = number[left], rest[left]
    return np.concatenate(found), np.concatenate(numbers)


def _fitting(steps: np.ndarray) -> np.ndarray:
    """As much of each weight as its lane holds, the first ones first; int8 [n, fours, channel, 4]."""
    n, fours, channels, _ = steps.shape
    lanes = steps.reshape(n, fours, channels, 2, 2).transpose(0, 2, 3, 1, 4).reshape(n, channels, 2, 2 * fours)
    above, below = (np.diff(np.minimum(np.cumsum(part, axis=-1, dtype=np.int16), LIMIT), axis=-1, prepend=0)
                    for part in (np.maximum(lanes, 0), -np.minimum(lanes, 0).astype(np.int16)))  # fmt: skip
    taken = (above - below).astype(np.int8).reshape(n, channels, 2, fours, 2)
    return np.ascontiguousarray(taken.transpose(0, 3, 1, 2, 4).reshape(steps.shape))
