"""What an ad platform is: it takes people in and out of one audience, under hashes of its own, and nothing else."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

Keys = Mapping[str, str]
"""What a platform finds one person by: hashes in its own form, by the platform's word for them; never shared with
another platform. Empty: it cannot find them."""

Fate = Literal["done", "under_way", "failed"]


@dataclass(frozen=True, slots=True)
class Reach:
    """A person as an advertiser knows them. `phone` in E.164 form; empty where unknown."""

    email: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of a session a call is. Numbers count from 1; `before`: people in the parts before it."""

    session: int
    no: int = 1
    last: bool = True
    total: int = 0
    before: int = 0


@dataclass(frozen=True, slots=True)
class Taken:
    """The platform has the whole part. `request`: by what to ask later whether it was worked off; empty: it was.
    `note`: something the operator should know, such as people the platform could make nothing of."""

    request: str = ""
    note: str = ""


class Platform(ABC):
    """One audience at one platform.

    `add` and `remove` raise `channels.base.Retry` (certainly not taken), `Unclear` (all, some or nothing of it was
    taken) or `Misconfigured` (the account, its token or the audience are at fault). Adding who is in and removing who
    is out changes nothing, so each may be said again.
    """

    name: ClassVar[str]
    minimum: ClassVar[int] = 100
    """People below which no list is handed over: fewer could be told apart by who sees the figures."""
    most: ClassVar[int] = 10_000
    """People in one call."""

    @abstractmethod
    def normalise(self, reach: Reach) -> Keys:
        """Pure. What the platform asks for, and nothing that it does not."""

    @abstractmethod
    async def add(self, people: Sequence[Keys], part: Part) -> Taken:
        """At most `most` people."""

    @abstractmethod
    async def remove(self, people: Sequence[Keys], part: Part) -> Taken:
        """At most `most` people. Needs no consent."""

    async def look_up(self, request: str) -> tuple[Fate, str]:
        """What became of an earlier part, and why. Raises as `add` does."""
        return "done", ""

    async def close(self) -> None:
        """Let go of connections."""


def sha256(text: str) -> str:
    """Of the UTF-8 octets, hexadecimal, small letters: what Meta and Google both take."""
    return hashlib.sha256(text.encode()).hexdigest()
