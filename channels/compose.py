"""Makes the octets of an e-mail with the standard library: slow, right, and the oracle for anything faster."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from email import policy
from email.header import Header
from email.message import EmailMessage
from email.utils import format_datetime, quote

from channels.address import Address
from channels.base import Mail

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
ENCODED_WORD = re.compile(r"=\?[^?\s]+\?[bBqQ]\?")
FIELD_NAME = re.compile(r"[!-9;-~]+")  # RFC 5322 section 3.6.8
OURS = frozenset({"from", "to", "cc", "bcc", "sender", "reply-to", "subject", "date", "message-id", "return-path"})
STRUCTURE = ("content-", "mime-", "resent-")
"""Fields that come from the mail itself; a second one among the further headers would contradict it."""
OF_THE_WHOLE = "content-language"
"""RFC 3282: it tells about the mail and nothing about how it is built."""

LINE = 76  # what quoted-printable allows (RFC 2045 section 6.7); the library takes one figure for both
HARD_LINE = 998  # RFC 5322 section 2.1.1


class BadContent(ValueError):
    """The content cannot become a mail. Names the header field, never its value."""


class AsWritten(policy.EmailPolicy):
    """Keeps a header as it was written: the library would decode it, and turn a long link into an encoded word."""

    def header_store_parse(self, name: str, value: str) -> tuple[str, str]:
        return name, value

    def fold(self, name: str, value: str) -> str:
        return folded(name, str(value))

    def fold_binary(self, name: str, value: str) -> bytes:
        return folded(name, str(value)).encode()


POLICY = AsWritten(linesep="\r\n", cte_type="7bit", max_line_length=LINE)


def compose(mail: Mail, to: Address, date: datetime) -> bytes:
    """The mail to this one recipient, CRLF lines, not dot-stuffed; 7 bit unless the address needs SMTPUTF8.

    The same mail, recipient and date give the same octets. Raises `BadContent`.
    """
    message = built(mail)
    structure = message.items()
    for name, _ in structure:
        del message[name]  # comes back last: the library would move our own Content-Language into the first part
    for name, value in [*fields(mail, to, date), ("MIME-Version", "1.0"), *structure]:
        if CONTROL.search(value):
            raise BadContent(f"header {name} has a control character")
        message[name] = value
    return message.as_bytes()


def built(mail: Mail) -> EmailMessage:
    """Text and HTML as alternatives, with only the header fields that hold them together."""
    message = EmailMessage(policy=POLICY)
    try:
        message.set_content(mail.text, cte="quoted-printable")
        message.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    except UnicodeError:
        raise BadContent("the text has a character that UTF-8 cannot say") from None
    message.set_boundary(boundary(mail))
    for part in (message, *message.iter_parts()):
        del part["MIME-Version"]  # belongs on top only, once
    return message


def fields(mail: Mail, to: Address, date: datetime) -> list[tuple[str, str]]:
    """Header fields in their order, each value as it goes over the wire but for the folding."""
    reply_to = [("Reply-To", mail.reply_to)] if mail.reply_to else []
    return [
        ("From", mailbox(mail.sender_name, mail.sender)),
        ("To", str(to)),
        *reply_to,
        ("Subject", encoded("Subject", mail.subject)),
        ("Date", format_datetime(date)),
        ("Message-ID", f"<{mail.message_id}>"),
        *((checked_name(name), encoded(name, value)) for name, value in mail.headers),
    ]


def mailbox(name: str, address: str) -> str:
    """A name and its address; the name as a quoted string or encoded words, so that it can never become an address."""
    if not name.strip():
        return address
    written = encoded("From", name)
    return f"{written} <{address}>" if written != name else f'"{quote(name)}" <{address}>'


def encoded(name: str, text: str) -> str:
    """As it is when it is ASCII and does not look encoded already, else as encoded words (RFC 2047) behind `name`."""
    if CONTROL.search(text) or (text.isascii() and not ENCODED_WORD.search(text)):
        return text
    return " ".join(Header(text, "utf-8", maxlinelen=75, header_name=name).encode().split())


def checked_name(name: str) -> str:
    """A further header's name, if it is one and not ours to set."""
    low = name.lower()
    builds = low.startswith(STRUCTURE) and low != OF_THE_WHOLE
    if not FIELD_NAME.fullmatch(name) or low in OURS or builds:
        raise BadContent("a further header has a name that is invalid or set by the mail itself")
    return name


def boundary(mail: Mail) -> str:
    """The same on every attempt; `=_` cannot occur in quoted-printable text (RFC 2045 section 6.7)."""
    return "=_" + hashlib.blake2b(mail.message_id.encode(errors="replace"), digest_size=12).hexdigest()


def folded(name: str, value: str) -> str:
    """One header field, broken only where a blank stands and the line grows too long."""
    lines = [f"{name}:"]
    for word in value.split(" "):
        if len(lines[-1]) + 1 + len(word) > LINE and lines[-1].strip() and word and lines[-1] != f"{name}:":
            lines.append(f" {word}")
        else:
            lines[-1] += f" {word}"
    if any(len(line) > HARD_LINE for line in lines):
        raise BadContent(f"header {name} has a word longer than {HARD_LINE} letters")
    return "\r\n".join(lines) + "\r\n"
