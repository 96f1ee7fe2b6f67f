"""What a browser may show us: a badge that the shop's page made for it, the name that we gave it, where it landed.

A browser keeps no secret, so nothing that it says is believed for itself. A badge is believed because only the shop's
server has the key; a visitor's name because only we make names, at random; a landing because we made it for one click.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from daemon.tokens import Secrets, sign

LONGEST = 4096
"""Characters of a badge."""
LONGEST_LIFE = timedelta(hours=24)
"""A badge that would hold for longer than this is not taken: it stands in a page that may be copied."""
VISITOR = struct.Struct(">BB16s")  # key id, what it is, the name
LANDING = struct.Struct(">BBIQHQ")  # key id, what it is, shop, message, link, milliseconds since 1970
A_VISITOR, A_LANDING, A_NOTICE = 65, 66, 67
"""What it is: no token of a mail has these numbers, so none can stand for another."""
NAME = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
MONEY = re.compile(r"\d{1,12}(\.\d{1,4})?")


class NoBadge(Exception):
    """Not from the shop, not for it, over, or not to be read: says which."""


@dataclass(frozen=True, slots=True)
class Badge:
    """Who the shop says is looking at its page, and what it says of them."""

    customer: str = ""
    """The shop's number of the customer."""
    email: str = ""
    cart: str = ""
    """The shop's number of the cart: only with it a browser may speak of a cart of the shop's."""
    order: str = ""
    """On the page that says thank you: the order that was placed."""
    total: Decimal = Decimal(0)
    currency: str = ""

    @property
    def named(self) -> bool:
        """Whether it says who it is."""
        return bool(self.customer or self.email)


def read_badge(keys: Sequence[str], shop: str, text: str, now: datetime) -> Badge:
    """`base64url(JSON).base64url(HMAC-SHA256(key, the first part))`, with any of the keys. Raises NoBadge."""
    body, _, tag = text.partition(".")
    if not tag or len(text) > LONGEST or not text.isascii():
        raise NoBadge("it is not of the form claims.signature")
    given = _decoded(tag)
    right = [hmac.compare_digest(hmac.new(key.encode(), body.encode(), hashlib.sha256).digest(), given) for key in keys]
    if not any(right):
        raise NoBadge("the signature does not fit")
    try:
        claims = json.loads(_decoded(body))
    except (ValueError, RecursionError):
        raise NoBadge("the claims are no JSON") from None
    if not isinstance(claims, dict) or claims.get("shop") != shop:
        raise NoBadge("it was made for another shop")
    _check_life(claims.get("exp"), now)
    return _badge(claims)


def _check_life(exp: object, now: datetime) -> None:
    if not isinstance(exp, int) or isinstance(exp, bool):
        raise NoBadge("exp must say until when it holds: whole seconds since 1970")
    left = exp - now.timestamp()
    if left <= 0:
        raise NoBadge("it is over")
    if left > LONGEST_LIFE.total_seconds() + 300:
        raise NoBadge("it would hold for longer than a day")


def _badge(claims: dict[str, Any]) -> Badge:
    words = {name: str(claims.get(name) or "").strip() for name in ("customer", "email", "cart", "order")}
    if any(word and not NAME.fullmatch(word) for word in words.values()):
        raise NoBadge("a name in it cannot be one")
    total = str(claims.get("total") or 0)
    currency = str(claims.get("currency") or "")
    try:
        money = Decimal(total) if MONEY.fullmatch(total) else Decimal("NaN")
    except InvalidOperation:  # pragma: no cover  the pattern lets nothing else through
        money = Decimal("NaN")
    if not money.is_finite() or (currency and not re.fullmatch(r"[A-Z]{3}", currency)):
        raise NoBadge("total is no sum, or currency no currency")
    return Badge(**words, total=money, currency=currency)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise NoBadge("it is not base64url") from None


def new_visitor(keys: Secrets, shop_id: int) -> tuple[str, str]:
    """(name, token): a random name of 128 bits, and the same with our signature, for this shop."""
    name = secrets.token_bytes(16)
    return name.hex(), visitor_token(keys, shop_id, name.hex())


def visitor_token(keys: Secrets, shop_id: int, name: str) -> str:
    head = VISITOR.pack(keys.current, A_VISITOR, bytes.fromhex(name))
    return _text(head + sign(keys.keys[keys.current], head + shop_id.to_bytes(8, "big")))


def read_visitor(keys: Secrets, shop_id: int, text: str) -> str:
    """The name of a visitor whom we named; empty for anything else."""
    raw = _unpacked(keys, text, VISITOR.size, A_VISITOR, shop_id.to_bytes(8, "big"))
    return VISITOR.unpack(raw)[2].hex() if raw else ""


@dataclass(frozen=True, slots=True)
class Landing:
    """That a click of a mail led to a page, at a time of this machine; or a notice that hangs for a visitor."""

    shop_id: int
    message_id: int
    link_no: int
    at_ms: int


def landing_token(keys: Secrets, landing: Landing, *, kind: int = A_LANDING) -> str:
    head = LANDING.pack(keys.current, kind, landing.shop_id, landing.message_id, landing.link_no, landing.at_ms)
    return _text(head + sign(keys.keys[keys.current], head))


def read_landing(keys: Secrets, text: str, *, kind: int = A_LANDING) -> Landing | None:
    """What we made, or None for anything else."""
    raw = _unpacked(keys, text, LANDING.size, kind)
    return Landing(*LANDING.unpack(raw)[2:]) if raw else None


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _unpacked(keys: Secrets, text: str, size: int, kind: int, beside: bytes = b"") -> bytes:
    """The head of a token of ours of this kind, or nothing."""
    if len(text) > 200 or not text.isascii():
        return b""
    try:
        raw = _decoded(text)
    except NoBadge:
        return b""
    head, tag = raw[:size], raw[size:]
    if len(head) != size or head[1] != kind or (key := keys.keys.get(head[0])) is None:
        return b""
    return head if hmac.compare_digest(sign(key, head + beside), tag) else b""
