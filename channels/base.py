"""What a channel is: it takes a message that may leave now and says exactly what became of it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Literal


@dataclass(frozen=True, slots=True)
class Mail:
    """The content of an e-mail. `headers` are further header fields in order, names in their usual spelling."""

    subject: str
    text: str
    html: str
    sender: str
    sender_name: str
    message_id: str
    """Without angle brackets; the same on every attempt of one message (RFC 5322 section 3.6.4)."""
    envelope_sender: str
    """Where bounces go: one address a message (VERP)."""
    reply_to: str = ""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """One claimed message: `fence` names the claim, `address` is the one recipient."""

    shop_id: int
    id: int
    fence: int
    address: str
    content: Mail


@dataclass(frozen=True, slots=True)
class Receipt:
    """Definite acceptance by the provider."""

    provider_id: str = ""


class NotSent(Exception):
    """Not accepted, for certain. `after`: the provider's wish when to try again."""

    def __init__(self, because: str, *, code: str = "", after: timedelta | None = None) -> None:
        super().__init__(because)
        self.code = code
        self.after = after


class Retry(NotSent):
    """Busy or out of reach: certainly not taken, try again later."""


class Withheld(NotSent):
    """No byte of it has left: too late, stopping, no longer wanted, or nobody to give it to. Costs no try."""


class Refused(NotSent):
    """This address, never again, for this message. `suppress`: nor for any other."""

    def __init__(self, because: str, *, code: str = "", suppress: bool = False) -> None:
        super().__init__(because, code=code)
        self.suppress = suppress


class Misconfigured(NotSent):
    """The sender is at fault (credentials, policy): the whole channel rests and no person suffers."""


class Unclear(Exception):
    """Asked, and no answer that can be trusted: it may have been taken. Never sent again by itself."""

    def __init__(self, because: str, *, code: str = "") -> None:
        super().__init__(because)
        self.code = code


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt, as data."""

    state: Literal["accepted", "retry_wait", "failed", "unknown"]
    provider_id: str = ""
    code: str = ""
    error: str = ""
    again_after: timedelta | None = None
    costs_a_try: bool = True
    rest_channel: bool = False
    suppress: bool = False


MayLeave = Callable[[Message], Awaitable[bool]]
"""Asked right before the first byte and right before the last: False means it must not leave any more."""

Report = Callable[[Message, Outcome], None]
"""Called exactly once for each message handed over."""


class Channel(ABC):
    """One way to reach a person. A subclass knows its provider and nothing of carts, policies or tables."""

    name: ClassVar[str]
    address: ClassVar[str]
    """The kind of identity it writes to: email, phone, push."""

    @abstractmethod
    async def send(self, message: Message, may_leave: MayLeave) -> Receipt:
        """One provider call. Raises `Retry`, `Withheld`, `Refused`, `Misconfigured` or `Unclear`."""

    @abstractmethod
    def ready(self) -> int:
        """How many messages could get a first byte out within a second from now."""

    def longest(self) -> timedelta:
        """From the hand-over to the last moment at which an answer is waited for. Whoever claims leases that long."""
        return timedelta(seconds=60)

    @abstractmethod
    def may_have_left(self, message: Message) -> bool:
        """Whether an unforeseen error in `send` could have come after the provider took the message."""

    async def hand_over(self, messages: Sequence[Message], may_leave: MayLeave, report: Report) -> None:
        """Send all of them at once and report each as soon as its outcome is known."""

        async def one(message: Message) -> None:
            report(message, await attempt(self, message, may_leave))

        await asyncio.gather(*(one(message) for message in messages))

    async def close(self) -> None:
        """Let go of connections; what is in flight has been reported before."""


async def attempt(channel: Channel, message: Message, may_leave: MayLeave) -> Outcome:
    """The one place where a channel's exceptions become data."""
    try:
        receipt = await channel.send(message, may_leave)
    except Withheld as error:
        code = error.code or "not_sent"
        return Outcome("retry_wait", code=code, error=str(error), again_after=error.after, costs_a_try=False)
    except Retry as error:
        return Outcome("retry_wait", code=error.code, error=str(error), again_after=error.after)
    except Refused as error:
        return Outcome("failed", code=error.code, error=str(error), suppress=error.suppress)
    except Misconfigured as error:
        return Outcome("retry_wait", code=error.code, error=str(error), costs_a_try=False, rest_channel=True)
    except Unclear as error:
        return Outcome("unknown", code=error.code, error=str(error))
    except Exception as error:  # ours, or a library's: contained to its message, loudly
        return Outcome("unknown" if channel.may_have_left(message) else "retry_wait", code="bug", error=repr(error))
    return Outcome("accepted", provider_id=receipt.provider_id)
