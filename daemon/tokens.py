"""Signed tokens in links: who a hit belongs to, without a row for it and without an address in it.

Layout (big-endian, 30 bytes, 40 characters of base64url): key id 1, purpose and rehearsal flag 1, shop 4, message 6,
link 2, then 16 bytes of BLAKE2b keyed with that key's secret (RFC 7693). Nothing is stored and nothing can be guessed.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal, NamedTuple

Purpose = Literal["open", "click", "unsubscribe", "view", "bounce", "prefer", "told", "asked"]

NUMBERS: Mapping[Purpose, int] = {
    "open": 1,
    "click": 2,
    "unsubscribe": 3,
    "view": 4,
    "bounce": 5,
    "told": 6,
    "prefer": 7,
    "asked": 8,
}
PURPOSES: Mapping[int, Purpose] = {number: purpose for purpose, number in NUMBERS.items()}
REHEARSAL = 0x80
HEAD = struct.Struct(">BBIHIH")  # the message's 48 bits are split 16 + 32
TAG = 16
LENGTH = 40
USUAL = bytes.maketrans(b"-_", b"+/")
"""From the letters of base64url to those of base64."""
NO_LINK = 0xFFFF


class Token(NamedTuple):
    """`link_no` is meant only for clicks."""

    purpose: Purpose
    shop_id: int
    message_id: int
    link_no: int = NO_LINK
    rehearsal: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """Keys by their id (0 to 255). `current` signs; the others are still believed."""

    current: int
    keys: Mapping[int, bytes]


def make(secrets: Secrets, token: Token) -> str:
    """40 characters that are safe in a path; see `read`."""
    return base64.urlsafe_b64encode(pack(secrets, token)).decode()


def read(secrets: Secrets, text: str) -> Token | None:
    """What was signed, or None for anything else, whatever it is."""
    if len(text) != LENGTH or not text.isascii():
        return None
    try:
        return unpack(secrets, binascii.a2b_base64(text.encode().translate(USUAL), strict_mode=True))
    except binascii.Error:
        return None


def make_local_part(secrets: Secrets, token: Token) -> str:
    """The same in base32 (48 characters), for the envelope sender: mail servers may change the case of it."""
    return base64.b32encode(pack(secrets, token)).decode().lower()


def read_local_part(secrets: Secrets, text: str) -> Token | None:
    """As `read`, from an envelope address's local part."""
    try:
        return unpack(secrets, base64.b32decode(text.encode("ascii"), casefold=True))
    except (binascii.Error, UnicodeEncodeError):
        return None


def pack(secrets: Secrets, token: Token) -> bytes:
    number = NUMBERS[token.purpose] | (REHEARSAL if token.rehearsal else 0)
    head = HEAD.pack(
        secrets.current, number, token.shop_id, token.message_id >> 32, token.message_id & 0xFFFFFFFF, token.link_no
    )
    return head + sign(secrets.keys[secrets.current], head)


def unpack(secrets: Secrets, raw: bytes) -> Token | None:
    head, tag = raw[: HEAD.size], raw[HEAD.size :]
    if len(tag) != TAG:
        return None
    key_id, number, shop_id, high, low, link_no = HEAD.unpack(head)
    key = secrets.keys.get(key_id)
    if key is None or not hmac.compare_digest(sign(key, head), tag):
        return None
    purpose = PURPOSES.get(number & ~REHEARSAL)
    return purpose and Token(purpose, shop_id, high << 32 | low, link_no, bool(number & REHEARSAL))


def sign(key: bytes, head: bytes) -> bytes:
    return blake2b(head, digest_size=TAG, key=key[:64]).digest()


SHORT_TAG = 8
"""Bytes. 64 bits are enough for a link to a cart: to guess one takes 2**63 requests, and who tries is slowed down."""
LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
"""No sign that ends a link in some phone's eyes, and none that costs two places in a text."""
SILENT = 0x40
LONGEST_SHORT = 32


@dataclass(frozen=True, slots=True)
class Short:
    """A link in a text: to the cart or off the list. `silent`: whoever follows it is not recorded."""

    purpose: Literal["click", "unsubscribe"]
    shop_id: int
    message_id: int
    rehearsal: bool = False
    silent: bool = False


def make_short(secrets: Secrets, short: Short) -> str:
    """18 to 24 letters and digits: flags 1, key id 1, shop and message 1 byte for each 7 bits, tag 8, in base 62."""
    flags = NUMBERS[short.purpose] | (REHEARSAL if short.rehearsal else 0) | (SILENT if short.silent else 0)
    head = bytes([flags, secrets.current]) + _varint(short.shop_id) + _varint(short.message_id)
    number = int.from_bytes(head + _short_sign(secrets.keys[secrets.current], head))
    letters = []
    while number:
        number, letter = divmod(number, len(LETTERS))
        letters.append(LETTERS[letter])
    return "".join(reversed(letters))


def read_short(secrets: Secrets, text: str) -> Short | None:
    """What was signed, or None for anything else, whatever it is."""
    if not 0 < len(text) <= LONGEST_SHORT or not text.isascii() or not text.isalnum():
        return None
    number = 0
    for letter in text:
        number = number * len(LETTERS) + LETTERS.index(letter)
    raw = number.to_bytes((number.bit_length() + 7) // 8)
    head, tag = raw[:-SHORT_TAG], raw[-SHORT_TAG:]
    key = secrets.keys.get(head[1]) if len(head) >= 4 else None
    if key is None or not hmac.compare_digest(_short_sign(key, head), tag):
        return None
    shop_id, rest = _read_varint(head[2:])
    message_id, _ = _read_varint(rest)
    purpose = PURPOSES.get(head[0] & ~(REHEARSAL | SILENT))
    if purpose not in ("click", "unsubscribe"):
        return None
    return Short(purpose, shop_id, message_id, bool(head[0] & REHEARSAL), bool(head[0] & SILENT))


def _short_sign(key: bytes, head: bytes) -> bytes:
    return blake2b(head, digest_size=SHORT_TAG, key=key[:64], person=b"short").digest()


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follows."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def _read_varint(raw: bytes) -> tuple[int, bytes]:
    """Of something that was signed: it is well formed."""
    number = shift = 0
    for at, byte in enumerate(raw):
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, raw[at + 1 :]
    return number, b""
