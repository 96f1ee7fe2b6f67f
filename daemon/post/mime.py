"""The parts of a mail, read within bounds whatever it holds (RFC 5322, RFC 2045, RFC 2046).

Each octet is looked at a fixed number of times at most, and nothing in a mail makes this raise.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.errors import MessageError
from email.header import decode_header

READ = 1024 * 1024
"""Octets of a mail that are looked at: what a report has to say stands before the mail that it returns."""
DEPTH = 6
MOST_PARTS = 50
"""Of one multipart."""
MOST_FIELDS = 500
LONGEST_FIELD = 16 * 1024
FIELD = re.compile(rb"([!-9;-~]{1,80})[ \t]*:(.*)", re.DOTALL)
KIND = re.compile(r"[a-z0-9!#$&^_.+-]{1,80}/[a-z0-9!#$&^_.+-]{1,80}")
PARAMETER = re.compile(r';\s*([\w.*-]{1,40})\s*=\s*(?:"((?:[^"\\]|\\.){0,200})"|([^\s;"]+))')
CHARSET = re.compile(
    r"utf-?8|us-ascii|ascii|iso-?8859-\d{1,2}|windows-125\d|cp125\d|koi8-[ru]|shift_?jis|iso-2022-jp|euc-(jp|kr)"
    r"|gb2312|gbk|gb18030|big5|utf-16(le|be)?"
)
NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")


@dataclass(frozen=True, slots=True)
class Part:
    """`fields`: names in small letters, values unfolded. `parts` of a multipart; a mail inside a mail is not opened."""

    fields: tuple[tuple[str, str], ...]
    body: bytes
    parts: tuple[Part, ...] = ()

    def first(self, name: str) -> str:
        """The topmost field of this name; empty where there is none."""
        return next((value for field, value in self.fields if field == name), "")

    def every(self, name: str) -> list[str]:
        return [value for field, value in self.fields if field == name]

    def has(self, name: str) -> bool:
        return any(field == name for field, _ in self.fields)

    @property
    def kind(self) -> str:
        """Such as `text/plain`, which is also what anything unreadable is taken for (RFC 2045 section 5.2)."""
        said = self.first("content-type").partition(";")[0].strip().lower()
        return said if KIND.fullmatch(said) else "text/plain"

    def parameter(self, name: str) -> str:
        """Of the Content-Type, such as its charset."""
        for match in PARAMETER.finditer(self.first("content-type")):
            if match[1].lower() == name:
                return re.sub(r"\\(.)", r"\1", match[2]) if match[2] is not None else match[3]
        return ""

    def walk(self) -> Iterator[Part]:
        """This part and all inside of it, in their order."""
        yield self
        for part in self.parts:
            yield from part.walk()

    def octets(self) -> bytes:
        """The body without its transfer encoding."""
        encoding = self.first("content-transfer-encoding").strip().lower()
        if encoding == "quoted-printable":
            return binascii.a2b_qp(self.body)
        if encoding == "base64":
            clean = NOT_BASE64.sub(b"", self.body)
            return binascii.a2b_base64(clean[: len(clean) // 4 * 4] + tail(clean[len(clean) // 4 * 4 :]))
        return self.body

    def lines(self) -> bytes:
        """The same, with ends of lines as in the rest of the mail."""
        return self.octets().replace(b"\r\n", b"\n")

    def text(self, most: int) -> str:
        """The first letters of the body, as its charset says."""
        charset = self.parameter("charset").strip().lower()
        known = charset if CHARSET.fullmatch(charset) else "utf-8"
        try:
            return self.octets()[: 4 * most].decode(known, "replace")[:most]
        except (LookupError, UnicodeError):
            return self.octets()[:most].decode("latin-1")


def tail(rest: bytes) -> bytes:
    """The last one to three letters of base64, padded; a single one says nothing."""
    return rest + b"=" * (4 - len(rest)) if len(rest) > 1 else b""


def read(raw: bytes) -> Part:
    """A mail's parts."""
    return part_of(raw[:READ].replace(b"\r\n", b"\n"), DEPTH)


def part_of(octets: bytes, depth: int) -> Part:
    head, body = (b"", octets[1:]) if octets.startswith(b"\n") else split(octets)
    part = Part(fields_of(head), body)
    boundary = part.parameter("boundary")
    if depth == 0 or not boundary or not part.kind.startswith("multipart/"):
        return part
    return Part(part.fields, body, tuple(part_of(inner, depth - 1) for inner in between(body, boundary)))


def split(octets: bytes) -> tuple[bytes, bytes]:
    head, _, body = octets.partition(b"\n\n")
    return head, body


def between(body: bytes, boundary: str) -> Iterator[bytes]:
    """What stands between the lines that part a multipart; the last piece may have lost its end."""
    mark = re.escape(boundary.encode("utf-8", "replace")[:200])
    start: int | None = None
    for number, match in enumerate(re.finditer(rb"(?m)^--" + mark + rb"(--)?[ \t]*$", body)):
        if start is not None:
            yield body[start : match.start()].removesuffix(b"\n")
        if match[1] or number == MOST_PARTS:
            return
        start = match.end() + 1
    if start is not None:
        yield body[start:]


def fields_of(head: bytes) -> tuple[tuple[str, str], ...]:
    """Header fields; lines that are none are passed over."""
    found: list[tuple[str, list[bytes]]] = []
    for line in head.split(b"\n"):
        if line[:1] in (b" ", b"\t"):
            if found:
                found[-1][1].append(line)
        elif match := FIELD.fullmatch(line):
            if len(found) == MOST_FIELDS:
                break
            found.append((match[1].decode("ascii").lower(), [match[2]]))
    return tuple((name, value_of(lines)) for name, lines in found)


def value_of(lines: list[bytes]) -> str:
    return b"".join(lines)[:LONGEST_FIELD].decode("utf-8", "replace").replace("\r", " ").strip()


def words(value: str) -> str:
    """A header's value with its encoded words read (RFC 2047), on one line."""
    try:
        pieces = decode_header(value[:2000])
        text = "".join(
            piece if isinstance(piece, str) else piece.decode(charset_of(charset), "replace")
            for piece, charset in pieces
        )
    except (MessageError, ValueError, LookupError):
        text = value
    return " ".join(text.split())


def charset_of(said: str | None) -> str:
    return said if said and CHARSET.fullmatch(said.lower()) else "utf-8" if said is None else "latin-1"
