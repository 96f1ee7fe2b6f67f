"""What a relay's reply means: taken, come again, wrong address, or our own fault (RFC 5321, RFC 3463)."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from channels.base import Misconfigured, NotSent, Refused, Retry
from channels.suspicion import ByPolicy

Phase = Literal["connect", "hello", "starttls", "login", "mail", "rcpt", "data", "dot"]

SAYS: dict[Phase, str] = {
    "connect": "greeting",
    "hello": "EHLO",
    "starttls": "STARTTLS",
    "login": "AUTH",
    "mail": "MAIL FROM",
    "rcpt": "RCPT TO",
    "data": "DATA",
    "dot": "final dot",
}

PHONE = re.compile(r"(?:\+|\b00)\d{7}")
ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})\b")

NO_SUCH_MAILBOX = {
    "5.1.1": "bad destination mailbox address",
    "5.1.2": "bad destination system address",
    "5.1.3": "bad destination mailbox syntax",
    "5.1.6": "mailbox has moved, no forwarding address",
    "5.1.10": "recipient address has a null MX (RFC 7505)",
    "5.2.1": "mailbox disabled",
}
"""Nobody lives there: never again, for any message."""

BAD_SENDER = {"5.1.7": "bad sender mailbox syntax", "5.1.8": "bad sender system address"}

ABOUT_US = (range(8, 15), range(20, 41), range(500, 800))
"""Details of 5.7.x that speak of the sender alone: its login (RFC 5248); SPF, DKIM, DMARC and reverse DNS (RFC 7372,
and Google up to 40); Microsoft's three digits for senders that are unauthenticated or blocked. 5.7.1 and the others may
be what one recipient wants."""

TOO_BIG = {"5.2.3", "5.3.4"}

SENDER_CODES = {530, 534, 535, 538}
"""Must authenticate, or authenticate otherwise (RFC 4954): nothing to do with the recipient."""


class Reply(NamedTuple):
    """One reply of the relay. `code` is -1 when it could not be read."""

    code: int
    text: str

    @property
    def status(self) -> str:
        """The enhanced status code (RFC 2034), if one of the same class stands at the start; else empty."""
        found = ENHANCED.match(self.text)
        return found[0] if found and found[1] == str(self.code)[:1] else ""

    @property
    def number(self) -> str:
        """Both codes, as an admin would look them up."""
        return f"{self.code} {self.status}".strip()

    @property
    def good(self) -> bool:
        return 200 <= self.code < 300

    @property
    def temporary(self) -> bool:
        return 400 <= self.code < 500

    @property
    def permanent(self) -> bool:
        return 500 <= self.code < 600


def refusal(phase: Phase, reply: Reply, hidden: str = "") -> NotSent:
    """The exception for a definite reply that is not the hoped-for one. `hidden` never shows in its sentence."""
    sentence = f"{SAYS[phase]} answered {reply.number}{quoted(reply, hidden)}"
    if reply.temporary:
        return Retry(sentence, code=reply.number)
    if not reply.permanent:
        return Retry(f"{SAYS[phase]} got an answer that is none", code=reply.number)
    if phase == "mail" and (reply.status in TOO_BIG or reply.code == 552):
        return Refused(sentence, code=reply.number)  # this mail is too big: the channel is not at fault
    if phase in ("connect", "hello", "starttls", "login", "mail") or sender_is_at_fault(reply):
        return Misconfigured(sentence, code=reply.number)
    if reply.status.startswith("5.7."):
        return ByPolicy(sentence, code=reply.number)
    return Refused(sentence, code=reply.number, suppress=reply.status in NO_SUCH_MAILBOX)


def sender_is_at_fault(reply: Reply) -> bool:
    """Missing authentication, a blocked host, a bad sender address: it would be the same for any recipient."""
    subject, _, detail = reply.status.rpartition(".")
    about_us = subject == "5.7" and any(int(detail) in numbers for numbers in ABOUT_US)
    return about_us or reply.status in BAD_SENDER or reply.code in SENDER_CODES


def quoted(reply: Reply, hidden: str) -> str:
    """The relay's own words as the end of a sentence."""
    words = said(reply, hidden)
    return f": {words}" if words else ""


def said(reply: Reply, hidden: str) -> str:
    """The relay's own words without whatever could be an address, one line, at most 120 letters."""
    local = (hidden.rpartition("@")[0] or hidden).casefold()
    words = reply.text.removeprefix(reply.status).split()
    line = " ".join(word for word in words if not tells(word.casefold(), local))
    return "".join(sign for sign in line if sign.isprintable())[:120].strip()


def tells(word: str, local: str) -> bool:
    """Whether a word could tell who the recipient is: an address, an encoded one, the part before the @, or a number
    to call."""
    if "@" in word or "%40" in word or "=40" in word or PHONE.search(word):
        return True
    return bool(local) and (local in word if len(local) > 2 else word.strip("<>()[]\"'.,:;") == local)
