"""What a channel is: it takes a message that may leave now and says exactly what became of it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
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
class Text:
    """The content of a text message. An empty `sender` is the channel's own."""

    body: str
    valid_for: timedelta
    """From the request on; what the provider could not deliver until then is not to arrive any more."""
    sender: str = ""
    callback_url: str = ""
    """Where the provider tells what became of it: the address names the message."""
    template: str = ""
    """The provider's name of an approved template, where the sender may use nothing else; `values` fill it."""
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Push:
    """The content of a web push. The message's address is the endpoint of the subscription (RFC 8030)."""

    payload: bytes
    p256dh: str
    auth: str
    """The two keys of the subscription, base64url (RFC 8291)."""
    ttl: timedelta
    topic: str = ""
    """The same on every attempt of one message: what waits under it at the push service is replaced."""
    urgency: Literal["very-low", "low", "normal", "high"] = "normal"


@dataclass(frozen=True, slots=True)
class Nothing:
    """For a channel without a provider to hand anything to: that the message was claimed is what it is about."""


Content = Mail | Text | Push | Nothing


@dataclass(frozen=True, slots=True)
class Message:
    """One claimed message: `fence` names the claim, `address` is the one recipient."""

    shop_id: int
    id: int
    fence: int
    address: str
    content: Content


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
    """This address, never again, for this message. `suppress`: nor for any other, the person does not want it or the
    address is dead. `gone`: the provider no longer knows it, so it is forgotten and another of the person's may do."""

    def __init__(self, because: str, *, code: str = "", suppress: bool = False, gone: bool = False) -> None:
        super().__init__(because, code=code)
        self.suppress = suppress
        self.gone = gone


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
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Callback:
    """A request of a provider to us: the address it called, as we are known outside, its headers and its body."""

    url: str
    headers: Mapping[str, str]
    """Names in small letters."""
    body: bytes


Told = Literal["accepted", "delivered", "undelivered", "replied", "stopped", "started", "asked_for_help"]


@dataclass(frozen=True, slots=True)
class Event:
    """What a provider tells of a message, or a person of themselves."""

    kind: Told
    key: str
    """The same each time the same thing is told."""
    message: str = ""
    """What the callback address says of the message; empty for what a person wrote."""
    provider_id: str = ""
    address: str = ""
    """Who wrote; empty for news of a message."""
    recipient: str = ""
    """Whom they wrote to: one of our senders."""
    service: str = ""
    """The provider's name of the group of senders that it belongs to, if it is in one."""
    text: str = ""
    code: str = ""
    dead: bool = False
    """The address itself is at fault: it is not written to any more."""
    ours: bool = False
    """The sender is at fault (filtered, blocked): no person suffers, and the channel rests if it happens often."""


class Forged(Exception):
    """Not from the provider, or not as it sent it."""


class Junk(Exception):
    """From the provider, and not to be understood: says what is wrong, without repeating it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A message whose outcome is not known: what a provider may find it by."""

    id: int
    address: str
    content: Content
    claimed_at: datetime
    """Machine time."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a look-up says. `absent`: the provider was asked, and does not have it."""

    word: Literal["accepted", "absent", "unclear"]
    provider_id: str = ""


MayLeave = Callable[[Message], Awaitable[bool]]
"""Asked right before the first byte and right before the last: False means it must not leave any more."""

Report = Callable[[Message, Outcome], None]
"""Called exactly once for each message handed over."""


class Channel(ABC):
    """One way to reach a person. A subclass knows its provider and nothing of carts, policies or tables."""

    name: ClassVar[str]
    address: ClassVar[str]
    """The kind of identity it writes to: email, phone, push, onsite, person."""
    looks_up: ClassVar[bool] = False
    """Whether the provider can be asked what became of a message."""

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

    def events(self, callback: Callback) -> Sequence[Event]:
        """What a request of the provider says. Raises `Forged` for a wrong signature and `Junk` for nonsense."""
        raise Junk("this channel has no callbacks")

    async def look_up(self, asked: Asked) -> Found:
        """Asked only where `looks_up`: reads, and changes nothing. Never raises; without an answer it is `unclear`."""
        return Found("unclear")

    async def close(self) -> None:
        """Let go of connections; what is in flight has been reported before."""


class InHouse(Channel):
    """A channel without a provider: the message's own row is what it is about, so nothing can be lost on the way, and
    one whose outcome nobody recorded counts as accepted."""

    looks_up: ClassVar[bool] = True

    def __init__(self) -> None:
        self.closed = False

    async def send(self, message: Message, may_leave: MayLeave) -> Receipt:
        for _ in range(2):  # as every channel: before the first byte and before the last
            try:
                wanted = not self.closed and await may_leave(message)
            except Exception as error:
                raise Withheld(f"could not ask whether it may still leave ({type(error).__name__})") from None
            if not wanted:
                raise Withheld("no longer wanted")
        return Receipt()

    async def hand_over(self, messages: Sequence[Message], may_leave: MayLeave, report: Report) -> None:
        """Whoever is stopped before the end is reported as not sent."""
        waiting = {message.id: message for message in messages}

        def reported(message: Message, outcome: Outcome) -> None:
            del waiting[message.id]
            report(message, outcome)

        try:
            await super().hand_over(messages, may_leave, reported)
        finally:
            for message in [*waiting.values()]:
                reported(message, Outcome("retry_wait", code="not_sent", error="stopped", costs_a_try=False))

    def ready(self) -> int:
        return 0 if self.closed else 32

    def may_have_left(self, message: Message) -> bool:
        return False

    async def look_up(self, asked: Asked) -> Found:
        return Found("accepted")

    async def close(self) -> None:
        self.closed = True


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
        return Outcome("failed", code=error.code, error=str(error), suppress=error.suppress, gone=error.gone)
    except Misconfigured as error:
        return Outcome("retry_wait", code=error.code, error=str(error), costs_a_try=False, rest_channel=True)
    except Unclear as error:
        return Outcome("unknown", code=error.code, error=str(error))
    except Exception as error:  # ours, or a library's: contained to its message, loudly
        return Outcome("unknown" if channel.may_have_left(message) else "retry_wait", code="bug", error=repr(error))
    return Outcome("accepted", provider_id=receipt.provider_id)
