"""Notices on the shop's own pages: nothing leaves the house, so a notice that was claimed hangs, and is fetched."""

from __future__ import annotations

from typing import ClassVar

from channels.base import InHouse


class Onsite(InHouse):
    """The message's own row is the notice: whoever is entitled to it fetches it from there."""

    name: ClassVar[str] = "onsite"
    address: ClassVar[str] = "onsite"


CHANNEL = Onsite
