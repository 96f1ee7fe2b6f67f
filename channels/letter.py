"""The octets of an e-mail, made fast: header fields written once for many mails, bodies encoded in one call each.

`channels.compose` makes the same mail with the standard library. It is what the tests hold this against, and it says
for both which names and values a header field may have.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from channels.address import Address
from channels.base import Mail
from channels.compose import CONTROL, ENCODED_WORD, LINE, BadContent, boundary, checked_name, folded

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

LONGEST = 998
"""Octets of a line that need no transfer encoding (RFC 6152, RFC 5322 section 2.1.1)."""

WORD = 75
"""Letters of an encoded word, with its frame (RFC 2047 section 2)."""
FRAME = len("=?utf-8?b??=")

MIDDLE = b'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="'


@dataclass(frozen=True, slots=True)
class Draft:
    """A checked mail that only has to be put together. `text` and `html`: UTF-8, LF lines, one at the end."""

    head: bytes
    boundary: bytes
    text: bytes
    html: bytes

    def octets(self, *, eight_bit: bool = False) -> bytes:
        """CRLF lines and one at the end, not dot-stuffed. 7 bit but for the address, or else `eight_bit`."""
        mark = self.boundary
        return b"".join((
            self.head, MIDDLE, mark, b'"\r\n\r\n--', mark, b"\r\n",
            part(b"plain", self.text, mark, eight_bit), b"\r\n--", mark, b"\r\n",
            part(b"html", self.html, mark, eight_bit), b"\r\n--", mark, b"--\r\n",
        ))  # fmt: skip


def draft(mail: Mail, to: Address, date: datetime) -> Draft:
    """All that is to be said against a mail is said here: raises `BadContent`. The same values give the same octets."""
    if CONTROL.search(mail.message_id):
        raise BadContent("header Message-ID has a control character")
    head = [
        sender_line(mail.sender_name, mail.sender),
        f"To: {to}\r\n".encode() if len(to.local) + len(to.domain) < LINE - 5 else folded("To", str(to)).encode(),
        line("Reply-To", mail.reply_to) if mail.reply_to else b"",
        line("Subject", mail.subject),
        f"Date: {written(date)}\r\n".encode(),
        folded("Message-ID", f"<{mail.message_id}>").encode(),
    ]
    for name, value in mail.headers:
        head.append(line(checked_name(name), value))
    return Draft(b"".join(head), boundary(mail).encode(), body(mail.text), body(mail.html))


@lru_cache(maxsize=1024)
def line(name: str, value: str) -> bytes:
    """A header field with its line end. Most are the same in many mails; those that are not are soon forgotten."""
    if CONTROL.search(value):
        raise BadContent(f"header {name} has a control character")
    if not value.isascii() or ENCODED_WORD.search(value):
        value = words(value, LINE - len(name) - 2)
    elif len(name) + 2 + len(value) <= LINE:
        return f"{name}: {value}\r\n".encode()
    return folded(name, value).encode()


@lru_cache(maxsize=256)
def sender_line(name: str, address: str) -> bytes:
    """From: the name as a quoted string or encoded words, so that it can never become an address."""
    if CONTROL.search(name) or CONTROL.search(address):
        raise BadContent("header From has a control character")
    if not name.strip():
        return folded("From", address).encode()
    if not name.isascii() or ENCODED_WORD.search(name):
        written = words(name, LINE - len("From: "))
    else:
        written = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return folded("From", f"{written} <{address}>").encode()


def words(text: str, room: int) -> str:
    """Encoded words in base64 (RFC 2047), no letter divided between two. `room`: letters left on the first line."""
    try:
        octets = text.encode()
    except UnicodeError:
        raise BadContent("a header has a character that UTF-8 cannot say") from None
    found, start = [], 0
    while start < len(octets):
        most = (min(WORD, max(room, FRAME + 8)) - FRAME) // 4 * 3
        end = min(start + most, len(octets))
        while end < len(octets) and octets[end] & 0xC0 == 0x80:
            end -= 1
        found.append(f"=?utf-8?b?{binascii.b2a_base64(octets[start:end], newline=False).decode()}?=")
        start, room = end, WORD
    return " ".join(found)


def written(date: datetime) -> str:
    """RFC 5322 section 3.3."""
    offset = date.utcoffset()
    minutes = 0 if offset is None else offset // timedelta(minutes=1)
    sign = "-" if minutes < 0 or offset is None else "+"
    zone = f"{sign}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
    day = f"{DAYS[date.weekday()]}, {date.day:02} {MONTHS[date.month - 1]} {date.year:04}"
    return f"{day} {date.hour:02}:{date.minute:02}:{date.second:02} {zone}"


def body(text: str) -> bytes:
    """UTF-8 with LF as its only line end, one at the end."""
    try:
        octets = text.encode()
    except UnicodeError:
        raise BadContent("the text has a character that UTF-8 cannot say") from None
    if b"\r" in octets:
        octets = octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return octets if octets.endswith(b"\n") else octets + b"\n"


def part(subtype: bytes, octets: bytes, mark: bytes, eight_bit: bool) -> bytes:
    """One of the alternatives, as it stands between two boundaries."""
    bare = eight_bit and travels_bare(octets, mark)
    encoding = b"8bit" if bare else b"quoted-printable"
    # `=_` cannot come out of quoted-printable, so the boundary is safe there
    lines = octets if bare else binascii.b2a_qp(octets, istext=True)
    return (
        b'Content-Type: text/%b; charset="utf-8"\r\nContent-Transfer-Encoding: %b\r\n\r\n' % (subtype, encoding)
    ) + lines.replace(b"\n", b"\r\n")


def travels_bare(octets: bytes, mark: bytes) -> bool:
    """Whether a relay that takes 8 bits takes it as it is: lines not too long, no NUL, no boundary in it."""
    if b"\x00" in octets or mark in octets:
        return False
    return len(octets) <= LONGEST or max(map(len, octets.split(b"\n"))) <= LONGEST
