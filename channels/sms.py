"""Text messages through Twilio, and WhatsApp by the same way where the sender is a WhatsApp one."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from channels.base import (
    Asked,
    Callback,
    Channel,
    Event,
    Found,
    MayLeave,
    Message,
    Misconfigured,
    Receipt,
    Refused,
    Retry,
    Text,
    Unclear,
    Withheld,
)
from channels.http import Answer, NotLeft, Unanswered
from channels.twilio_api import Api, code_of
from channels.twilio_events import SID, WHATSAPP, told

LEAST, MOST = 1, 36_000
"""Seconds that Twilio takes as ValidityPeriod; without it a queued text may still arrive ten hours later."""
LONGEST_BODY = 1600
SHORT_LINK = re.compile(r"https?://\S+?/s/([0-9A-Za-z]{14,32})(?!\S)")
SERVICE = re.compile(r"MG[0-9a-f]{32}")
SENDER = re.compile(r"(whatsapp:)?\+[1-9][0-9]{4,14}|[0-9]{3,8}|MG[0-9a-f]{32}|(?=.*[A-Za-z])[A-Za-z0-9 +_&-]{1,11}")
"""A number, a short code, a Messaging Service, or a name of at most eleven letters, which takes no answers."""

REFUSED: Mapping[int, tuple[str, bool]] = {
    21211: ("the number is not valid", True),
    21610: ("the person has answered STOP", True),
    21614: ("the number is not a mobile one", True),
    21635: ("the number is a landline", True),
    21265: ("the number is a short code", True),
    21408: ("texts to this country are not switched on", False),
    21602: ("there is no text", False),
    21605: ("the text is too long", False),
    21608: ("a trial account does not write to this number", False),
    21612: ("this sender cannot write to this number", False),
    21617: ("the text is too long", False),
}
"""What Twilio will not do for this message, and whether the number is not to be written to any more."""
OURS = frozenset({20003, 20005, 20404, 21212, 21603, 21606, 21609, 21621, 21655, 21656, 21659, 21660, 21661, 21701,
                  21703, 21704, 21705, 21910, 30002, 63007, 63016})  # fmt: skip
"""Credentials, account, sender, Messaging Service, callback address, template: the same for every message."""
BUSY = frozenset({20429, 14107, 21611, 30001, 63018})


class Config(BaseModel):
    """How Twilio is reached, and as whom."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    account: str = Field(description="Account SID.", pattern=r"^AC[0-9a-fA-F]{32}$")
    token: SecretStr = Field(description="Auth token: it signs what Twilio tells us, and logs in if there is no key.")
    key: str = Field("", description="SID of an API key to log in with. Empty: the account and its token.")
    key_secret: SecretStr = Field(SecretStr(""), description="Secret of the API key.")
    sender: str = Field("", description="Number, name or Messaging Service that texts come from.")
    base_url: str = Field("https://api.twilio.com", description="Address of the API.")
    connections: int = Field(10, ge=1, le=200, description="Most connections open at once, in this process.")
    connect_within: timedelta = Field(timedelta(seconds=10), description="Time for a connection.")
    answer_within: timedelta = Field(timedelta(seconds=30), description="Time for the answer.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if bool(self.key) != bool(self.key_secret.get_secret_value()):
            raise ValueError("an API key needs its SID and its secret")
        if not self.token.get_secret_value():
            raise ValueError("the auth token is needed, also with an API key: it signs what Twilio tells us")
        if self.sender and not SENDER.fullmatch(self.sender):
            raise ValueError("the sender is no number (+49…), Messaging Service (MG…) or name of up to 11 letters")
        return self

    @property
    def login(self) -> tuple[str, str]:
        if self.key:
            return self.key, self.key_secret.get_secret_value()
        return self.account, self.token.get_secret_value()


class Sms(Channel):
    """One message is one POST, whatever the answer."""

    name: ClassVar[str] = "sms"
    address: ClassVar[str] = "phone"
    looks_up: ClassVar[bool] = True

    def __init__(self, config: Config) -> None:
        self.config = config
        self.api = Api(
            config.base_url,
            config.account,
            config.login,
            connections=config.connections,
            connect_within=config.connect_within,
            answer_within=config.answer_within,
        )
        self.under_way = 0
        self.written: set[tuple[int, int, int]] = set()
        self.quiet_until = 0.0
        """Time of the loop until which Twilio wants to be left alone."""
        self.unreached = 0

    def ready(self) -> int:
        if self.api.closed or asyncio.get_running_loop().time() < self.quiet_until:
            return 0
        return max(0, self.config.connections - self.under_way)

    def longest(self) -> timedelta:
        return self.config.connect_within + self.config.answer_within

    def may_have_left(self, message: Message) -> bool:
        return _key(message) in self.written

    async def close(self) -> None:
        await self.api.close()

    async def send(self, message: Message, may_leave: MayLeave) -> Receipt:
        """Asks `may_leave` first, and again with a connection in hand, right before the one write."""
        form = self.form(message)
        if self.api.closed:
            raise Withheld("closed")

        async def gate() -> bool:
            if not await may_leave(message):
                return False
            self.written.add(_key(message))
            return True

        self.under_way += 1
        try:
            if not await _asked(message, may_leave):
                raise Withheld("it may not leave any more")
            answer = await self.api.create(form, gate)
        except NotLeft as error:
            failed = error.__cause__
            raise Withheld(_could_not_ask(failed) if failed else "it may not leave any more") from None
        except Unanswered as error:
            raise self._lost(error) from None
        except asyncio.CancelledError:
            raise Withheld("stopped before the first byte") from None
        finally:
            self.under_way -= 1
        receipt = self._judged(answer, str(form["To"]))
        self.written.discard(_key(message))
        return receipt

    def form(self, message: Message) -> Mapping[str, str]:
        """The parameters of the request. Raises `Refused` or `Misconfigured`."""
        text = message.content
        if not isinstance(text, Text):
            raise Refused("it is not a text", code="content")
        sender = text.sender or self.config.sender
        if not SENDER.fullmatch(sender):
            raise Misconfigured("there is no sender for texts", code="sender")
        if not re.fullmatch(r"\+[1-9][0-9]{6,14}", message.address):
            raise Refused("it is not a telephone number with its country code", code="address")
        whatsapp = sender.startswith(WHATSAPP)
        form = {"To": f"{WHATSAPP if whatsapp else ''}{message.address}"}
        form["MessagingServiceSid" if SERVICE.fullmatch(sender) else "From"] = sender
        form |= _content(text, whatsapp=whatsapp)
        form["ValidityPeriod"] = str(min(MOST, max(LEAST, int(text.valid_for.total_seconds()))))
        if text.callback_url:
            form["StatusCallback"] = text.callback_url
        return form

    def _lost(self, error: Unanswered) -> Exception:
        """Before the first byte nothing is lost, and no message loses a try; from then on it may have been taken."""
        if error.written:
            return Unclear(f"Twilio: {error}, so it may have been taken", code="no answer")
        self.unreached += 1
        rest = timedelta(seconds=min(60, 2 ** min(self.unreached, 6)))
        self.quiet_until = asyncio.get_running_loop().time() + rest.total_seconds()
        return Withheld(f"Twilio is out of reach: {error}", after=rest)

    def _judged(self, answer: Answer, to: str) -> Receipt:
        """What an answer means. Its own words are not repeated: they name the number."""
        self.unreached = 0
        number = code_of(answer)
        code = f"{number or answer.status}"
        if 200 <= answer.status < 300:
            return self._receipt(answer, to)
        if answer.status == 429 or number in BUSY:
            after = answer.after or timedelta(seconds=1)
            self.quiet_until = asyncio.get_running_loop().time() + after.total_seconds()
            raise Retry(f"Twilio is busy ({code})", code=code, after=answer.after)
        if answer.status in (401, 403) or number in OURS:
            raise Misconfigured(f"Twilio turns us away ({code}): see the account, its sender and its token", code=code)
        if answer.status == 404 and number:
            raise Misconfigured(f"Twilio does not know the account ({code})", code=code)
        if number in REFUSED and answer.status < 500:
            because, dead = REFUSED[number]
            raise Refused(f"{because} ({code})", code=code, suppress=dead)
        if 400 <= answer.status < 500 and number:
            raise Retry(f"Twilio refused it ({code})", code=code)
        raise Unclear(f"Twilio answered {answer.status}, so it may have been taken", code=code)

    def _receipt(self, answer: Answer, to: str) -> Receipt:
        sid, account = answer.body.get("sid"), answer.body.get("account_sid", self.config.account)
        known = isinstance(sid, str) and SID.fullmatch(sid) and account == self.config.account
        if not known or answer.body.get("to", to) != to:
            raise Unclear("Twilio's answer is none, so it may have been taken", code=f"{answer.status}")
        return Receipt(str(sid))

    async def look_up(self, asked: Asked) -> Found:
        """By the list of what was sent to the number; ours is the one whose text has our own link."""
        text = asked.content
        if not isinstance(text, Text):
            return Found("unclear")
        whatsapp = (text.sender or self.config.sender).startswith(WHATSAPP)
        needle = _needle(text)
        try:
            answer = await self.api.sent_to(f"{WHATSAPP if whatsapp else ''}{asked.address}")
        except (Unanswered, asyncio.CancelledError):
            return Found("unclear")
        listed = answer.body.get("messages")
        if answer.status != 200 or not isinstance(listed, list) or not needle:
            return Found("unclear")
        for one in listed:
            body, sid = (one.get("body"), one.get("sid")) if isinstance(one, dict) else (None, None)
            if not isinstance(body, str) or not isinstance(sid, str):
                return Found("unclear")
            if needle in body and SID.fullmatch(sid):
                return Found("accepted", sid)
        return Found("absent")

    def events(self, callback: Callback) -> Sequence[Event]:
        """Status callbacks, and what people write back."""
        return told(callback, self.config.account, self.config.token.get_secret_value())


CHANNEL = Sms


def _key(message: Message) -> tuple[int, int, int]:
    return message.shop_id, message.id, message.fence


async def _asked(message: Message, may_leave: MayLeave) -> bool:
    try:
        return await may_leave(message)
    except Exception as error:
        raise Withheld(_could_not_ask(error)) from None


def _could_not_ask(error: BaseException) -> str:
    return f"could not ask whether it may still leave ({type(error).__name__})"


def _content(text: Text, *, whatsapp: bool) -> Mapping[str, str]:
    if whatsapp:
        if not text.template:
            raise Refused("WhatsApp takes an approved template only", code="content")
        return {"ContentSid": text.template, "ContentVariables": json.dumps(dict(text.values), ensure_ascii=False)}
    if not text.body or len(text.body) > LONGEST_BODY:
        raise Refused("there is no text, or too much of it", code="content")
    return {"Body": text.body}


def _needle(text: Text) -> str:
    """What no other text has: the end of our own link."""
    found = SHORT_LINK.search(" ".join([text.body, *text.values.values()]))
    return found[1] if found else ""
