"""Ad audiences: a message that is accepted makes its person a member; who keeps members tells the platforms."""

from __future__ import annotations

from typing import ClassVar

from channels.base import InHouse


class Audience(InHouse):
    """The message's own row says that the person is wanted in the audience."""

    name: ClassVar[str] = "audience"
    address: ClassVar[str] = "person"


CHANNEL = Audience
