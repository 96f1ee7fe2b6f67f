"""Notices on the shop's own pages: a message that is accepted hangs, and whoever is entitled to it fetches it."""

from __future__ import annotations

from typing import ClassVar

from channels.base import InHouse


class Onsite(InHouse):
    """The message's own row is the notice."""

    name: ClassVar[str] = "onsite"
    address: ClassVar[str] = "onsite"


CHANNEL = Onsite
