"""Where the post comes in: whose a mail is, and keeping it raw before anybody is told that we have it."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from hashlib import sha256

import structlog

from daemon import tokens
from daemon.context import Context
from daemon.errors import ConfigurationError
from daemon.mail import confirmation
from daemon.mail.headers import Errand, message_id
from daemon.post import finding
from daemon.post.finding import Finding
from daemon.post.listener import FINE, NOBODY, Listener
from daemon.store import inbox
from daemon.store.inbox import Delivery

log = structlog.get_logger()

SOURCE = "mail"
PATIENCE = 5.0
"""Seconds for the database to keep one."""
OURS = re.compile(r"([to])\.(\d{1,10})\.(\d{1,15})\.[0-9a-f]{12}@([a-z0-9.-]{1,255})")
ROLES = frozenset({"fbl", "abuse", "postmaster"})
"""Local parts of a bounce domain that complaints are sent to (RFC 2142 and what providers ask for)."""
FIELD = re.compile(rb"^message-id[ \t]*:(.{1,1000})$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class About:
    """The message that a mail speaks of, by our own signature; or the request to confirm a consent."""

    shop_id: int
    message_id: int
    is_request: bool = False
    """The number is that of a request."""


def whose(context: Context, found: Finding) -> About | None:
    """By the address that it came to or names (VERP), by the id of the mail that it answers or returns, or by the way
    out that the returned mail carried."""
    for address in (*found.recipients, *found.senders):
        if token := signed(context, address):
            return About(token.shop_id, token.message_id, token.purpose == "asked")
    if about := next((about for text in found.ids if (about := named(context.pepper, text))), None):
        return about
    tokens_of = (tokens.read(context.secrets, text) for text in found.ways)
    return next((About(one.shop_id, one.message_id) for one in tokens_of if one and one.purpose == "unsubscribe"), None)


def signed(context: Context, address: str) -> tokens.Token | None:
    """What we signed into an envelope sender; None for any other address."""
    local = address.rpartition("@")[0]
    if local[:2].lower() != "b+":
        return None
    token = tokens.read_local_part(context.secrets, local[2:])
    return token if token is not None and token.purpose in ("bounce", "asked") else None


def named(pepper: bytes, text: str) -> About | None:
    """A Message-ID that only this installation can have made: its mark is keyed with the pepper."""
    match = OURS.fullmatch(text.lower())
    if match is None:
        return None
    shop_id, number, domain = int(match[2]), int(match[3]), match[4]
    if match[1] == "o":
        made = confirmation.message_id((shop_id, number), domain, pepper)
    else:
        made = message_id(Errand(shop_id, number, "", "", "", "", ""), domain, pepper)
    return About(shop_id, number, match[1] == "o") if made == text.lower() else None


def shop_of(context: Context, address: str) -> int | None:
    """Whose post this address takes; None: nobody's here, and a mail to it is refused."""
    token = signed(context, address)
    if token is not None:
        return token.shop_id if context.knows(token.shop_id) else None
    local, _, domain = address.casefold().rpartition("@")
    for name, shop in context.keeper.book.shops.items():
        if shop.sender is None or name not in context.shop_ids:
            continue
        readers = {shop.sender.address.casefold(), (shop.sender.reply_to or "").casefold()}
        of_domain = domain == (shop.sender.bounce_domain or "").casefold() and local in ROLES
        if address.casefold() in readers or of_domain:
            return context.shop_ids[name]
    return None


async def listen(context: Context) -> Listener | None:
    """Where a mail server brings reports and replies; None where the settings name no place. Raises
    ConfigurationError when it is taken or is none."""
    place = context.settings.lmtp_listen
    if not place:
        return None
    host, _, port = place.rpartition(":")

    async def take(sender: str, recipient: str, octets: bytes) -> None:
        shop_id = shop_of(context, recipient)
        assert shop_id is not None  # asked before, when the recipient was named
        await keep(context, shop_id, with_envelope(sender, recipient, octets))

    listener = Listener(lambda address: FINE if shop_of(context, address) is not None else NOBODY, take)
    try:
        number = await listener.start(host.strip("[]") or None, int(port))
    except OSError as error:
        raise ConfigurationError(
            f"TILLBELL_LMTP_LISTEN: {place} cannot be listened on: {error.strerror or error}"
        ) from error
    log.info("listening", post=number)
    return listener


def with_envelope(sender: str, recipient: str, octets: bytes) -> bytes:
    """As a server that delivers finally writes it down (RFC 5321 section 4.4)."""
    return f"Return-Path: <{sender}>\r\nDelivered-To: {recipient}\r\n".encode("utf-8", "replace") + octets


async def keep(context: Context, shop_id: int, raw: bytes) -> About | None:
    """Into the inbox of the shop that it is about, else of `shop_id`; see `store`."""
    found = await asyncio.to_thread(finding.read, raw)
    about = whose(context, found)
    if about is not None and not context.knows(about.shop_id):
        about = None
    await store(context, about.shop_id if about else shop_id, raw, about)
    return about


async def store(context: Context, shop_id: int, raw: bytes, about: About | None) -> None:
    """Returns after the commit; raises what the database raises, and then nobody may be told that we have it. The same
    mail again changes nothing."""
    async with asyncio.timeout(PATIENCE):
        await inbox.keep(context.pool, [Delivery(shop_id, SOURCE, delivery_id(raw, about), raw)])
    context.ring("post", shop_id)


def delivery_id(raw: bytes, about: About | None) -> str:
    """The same for one mail, however often and by whichever way it comes."""
    head, _, body = raw[: 256 * 1024].replace(b"\r\n", b"\n").partition(b"\n\n")
    match = FIELD.search(head)
    mark = match[1].strip() if match else body
    if about is None:
        return sha256(mark).hexdigest()
    number = f"{'o' * about.is_request}{about.message_id}"
    return sha256(f"{about.shop_id}.{number} ".encode() + mark).hexdigest()
