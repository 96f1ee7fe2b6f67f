"""Who is held out: people who get no message, so that the effect of the others' can be seen."""

from __future__ import annotations


def held_out(split_key: float, share: float) -> bool:
    """By the random number in [0, 1) that a person gets at birth: always the same answer for one person and share.

    Whoever is held out at one share is so at every larger one.
    """
    return split_key < share
