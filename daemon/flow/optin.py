"""Double opt-in: a request to confirm a consent leaves as a message of its own, and its answer is the proof.

A request is no message of a recovery: it has no policy, no cap and no hours, the held-out get it too, and it must not
be counted as advertising. So it has a table of its own, under the same rules: claimed under the person's lock with a
fence and a lease, one accepted at most, and what is unknown is never sent again: whoever wants it asks once more.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import blake2b, sha256
from typing import Literal

import structlog

from channels.base import Channel, Content, Message, Outcome, Text
from daemon import metrics
from daemon.batcher import Batcher
from daemon.clock import monotonic
from daemon.context import Context, address_hmac
from daemon.errors import ConfigurationError
from daemon.flow import consents, mails, persons
from daemon.flow.consents import CHANNEL_OF, Proof
from daemon.flow.deliver import MARGIN, MOST, Delivery
from daemon.flow.pace import pace_of
from daemon.mail import MailError, Sender
from daemon.mail.confirmation import confirmation, text_of
from daemon.shops.base import Customer
from daemon.store import clock, messages, optins, work
from daemon.store import consents as ledger
from daemon.store import persons as people
from daemon.store.database import Connection, again
from daemon.store.optins import AtGate, Move, OptIn, Request

log = structlog.get_logger()

VALID = timedelta(days=7)
GAP = timedelta(minutes=10)
A_DAY = 3
BY_CLIENT = 5
"""Requests of one client in a minute."""
GUESSES = 5
"""Wrong codes after which a text's code is worth nothing."""
CODE_VALID = timedelta(hours=10)
CHANNELS = ("email", "sms")
HEAD = struct.Struct(">I")
YES = frozenset({"ja", "yes", "y", "oui", "si", "sì", "sí", "ok"})

Answer = Literal["asked", "confirmed", "too soon", "enough today", "too many", "nobody"]
"""Of a request: it goes out; everything is confirmed already; the three limits; no such person or address."""
Found = Literal["confirmed", "already", "over", "unknown"]
"""Of a link or a code: it counts now; it did before; its time is over; nobody was given it."""


async def request(
    context: Context, shop_id: int, customer: Customer, purposes: Sequence[str], proof: Proof, now: datetime
) -> Answer:
    """Ask a customer to confirm these purposes, which all are about one channel or go with it. `proof` says what they
    are to confirm and who asked. Raises ValueError where that is not said."""
    channel = channel_of(purposes)
    if not proof.wording:
        raise ValueError("say what is to be confirmed: the wording")

    async def once(db: Connection) -> Answer:
        await work.serialise(db, shop_id)
        return await ask(context, db, shop_id, customer, channel, purposes, proof, now)

    answer = await again(context.pool, once)
    if answer == "asked":
        context.ring("confirm", shop_id)
    return answer


def channel_of(purposes: Sequence[str]) -> str:
    """The one channel that they are about. Raises ValueError."""
    found = {CHANNEL_OF.get(one, "") for one in purposes} - {""} or {"email"}
    if not purposes or len(found) > 1 or not found <= set(CHANNELS):
        raise ValueError("one request is about e-mail or text messages, and about one of them")
    return found.pop()


async def ask(
    context: Context,
    db: Connection,
    shop_id: int,
    customer: Customer,
    channel: str,
    purposes: Sequence[str],
    proof: Proof,
    now: datetime,
) -> Answer:
    """The same inside a transaction that holds the shop's lock."""
    address = customer.email.strip() if channel == "email" else persons.e164(customer.phone, customer.country) or ""
    if not address:
        return "nobody"
    hashed = address_hmac(context.pepper, "email" if channel == "email" else "phone", address)
    client = address_hmac(context.pepper, "client", proof.ip) if proof.ip else None
    if limit := _limit(await optins.lately(db, shop_id, hashed, client, GAP, now)):
        metrics.opt_ins.labels(limit.replace(" ", "_")).inc()
        return limit
    [person] = await persons.keep(context, db, shop_id, [customer], now, 0, whole=False)
    if person is None:
        return "nobody"
    words = await people.consents_of(db, shop_id, [person])
    states = {purpose: words[person, purpose].state for purpose in purposes if (person, purpose) in words}
    if all(states.get(purpose) == "confirmed" for purpose in purposes):
        return "confirmed"
    news = [one for one in purposes if states.get(one) not in ("confirmed", "withdrawn", "requested")]
    await consents.write(db, shop_id, person, news, "requested", proof, now)
    asked = Request(
        person_id=person,
        channel=channel,
        purposes=tuple(purposes),
        address_hmac=hashed,
        wording=proof.wording,
        source=proof.source,
        source_url=proof.source_url,
        ip_hmac=client,
        ip_net=consents.network(proof.ip),
        user_agent=proof.user_agent,
    )
    number = await optins.add(db, shop_id, asked, now, now + VALID)
    metrics.opt_ins.labels("asked").inc()
    log.info("kept", shop=context.shop_called(shop_id), opt_in=number, channel=channel)
    return "asked"


def _limit(lately: optins.Lately) -> Answer | None:
    if lately.by_client >= BY_CLIENT:
        return "too many"
    if lately.today >= A_DAY:
        return "enough today"
    return "too soon" if lately.just_now else None


# Out


async def due_requests(context: Context, shop_id: int, now: datetime) -> int:
    """Claim and hand over what waits; how many were at the gate. Outcomes are recorded as they come."""
    if not await context.may_claim():
        return 0
    resting = await messages.resting(context.pool, shop_id)
    gated = 0
    for name in CHANNELS:
        channel = context.channels.get(name)
        if channel is None:
            await optins.wait_for_channel(context.pool, shop_id, name)
            continue
        if name in resting:
            continue
        sender = delivery(context, shop_id, channel)
        room = min(MOST, sender.room())
        if room <= 0:
            continue
        found, claimed = await claim(context, shop_id, channel, now, room)
        gated += found
        for message in claimed:
            sender.queued.add(message.fence)
            if sender.pace is not None:
                sender.pace.expected.add(message.fence)
        if claimed:
            task = asyncio.create_task(channel.hand_over(claimed, sender.may_leave, sender.report))
            sender.under_way.add(task)
            task.add_done_callback(sender.under_way.discard)
    return gated


async def claim(
    context: Context, shop_id: int, channel: Channel, now: datetime, most: int
) -> tuple[int, list[Message]]:
    """(how many were at the gate, those that may leave). Tokens are made here: only their hashes are ever kept."""
    lease = channel.longest() + MARGIN

    async def once(db: Connection) -> tuple[int, list[Message]]:
        waiting = await optins.at_the_gate(db, shop_id, channel.name, most, now)
        moves, carried = [], {}
        for one in waiting:
            move, content = _passage(context, shop_id, channel.name, one, now)
            moves.append(move)
            if content is not None:
                carried[one.id] = (str(one.address), content)
        fences = await optins.move(db, shop_id, moves, now, lease)
        return len(waiting), [Message(shop_id, -number, fence, *carried[number]) for number, fence in fences.items()]

    return await again(context.pool, once)


def _passage(context: Context, shop_id: int, channel: str, one: AtGate, now: datetime) -> tuple[Move, Content | None]:
    if one.paused is not None:
        return Move(one.id, "hold", f"paused: {one.paused}"), None
    because = (
        (not one.address and "no address")
        or (not one.may_be_written_to and "not allowed")
        or (not one.same_address and "another address")
        or (one.suppressed and "suppressed")
        or (one.withdrawn and "withdrawn")
        or (one.rehearsal and "rehearsal")
    )
    if because:
        return Move(one.id, "cancelled", because), None
    if now > one.not_after:
        return Move(one.id, "expired", "its time was over"), None
    try:
        content, hashed = _content(context, shop_id, channel, one)
    except (MailError, ConfigurationError) as error:
        return Move(one.id, "cancelled", str(error)[:200]), None
    return Move(one.id, "go", token=hashed), content


def _content(context: Context, shop_id: int, channel: str, one: AtGate) -> tuple[Content, bytes]:
    """What goes out, with a secret made for this one attempt, and the secret's hash."""
    shop = context.keeper.book.shops[context.shop_name(shop_id)]
    if channel == "sms":
        code = f"{secrets.randbelow(1_000_000):06}"
        return Text(text_of(shop.shown_as, code, one.locale, shop.locale), CODE_VALID), code_hash(context, one.id, code)
    if shop.sender is None:
        raise ConfigurationError("the shop has no sender")
    token = make_token(shop_id)
    mail = confirmation(
        mails.face(shop),
        shop.sender.imprint or mails.NO_IMPRINT,
        Sender(shop.sender.address, shop.sender.name, shop.sender.reply_to or "", ""),
        one.wording,
        f"{mails.base_url(context)}/y/{token}",
        (shop_id, one.id),
        context.pepper,
        one.locale,
        shop.locale,
    )
    return mail, token_hash(token)


def make_token(shop_id: int) -> str:
    """40 characters: the shop's number, and 26 random bytes."""
    return urlsafe_b64encode(HEAD.pack(shop_id) + secrets.token_bytes(26)).decode()


def shop_of(token: str) -> int:
    """The shop's number in a token, whoever made it; 0 where there is none."""
    try:
        return int(HEAD.unpack_from(urlsafe_b64decode(token.encode("ascii")))[0]) if len(token) == 40 else 0
    except (ValueError, struct.error):
        return 0


def token_hash(token: str) -> bytes:
    return sha256(token.encode()).digest()


def code_hash(context: Context, number: int, code: str) -> bytes:
    """Keyed: six digits could be tried out."""
    return blake2b(f"code:{number}:{code}".encode(), digest_size=32, key=context.pepper[:64]).digest()


def delivery(context: Context, shop_id: int, channel: Channel) -> Delivery:
    """The one of this process and shop for requests: the same last look, pace and patience as any message's."""
    key = (shop_id, f"opt-in {channel.name}")
    known = context.deliveries.get(key)
    if isinstance(known, Delivery):
        return known

    async def recheck(asked: Sequence[Message]) -> list[tuple[bool, float]]:
        asked_at = monotonic()
        wanted = await optins.still_wanted(context.pool, shop_id, [(-one.id, one.fence) for one in asked])
        return [(-one.id in wanted, asked_at) for one in asked]

    async def record(group: Sequence[tuple[Message, Outcome]]) -> list[None]:
        now = await clock.shop_now(context.pool)
        rows = [(-message.id, message.fence, outcome) for message, outcome in group]
        closed = await optins.record(context.pool, shop_id, rows, now)
        if faults := [outcome for _, outcome in group if outcome.rest_channel]:
            await messages.rest_channel(context.pool, shop_id, channel.name, faults[0].error)
        log.info("recorded", shop=context.shop_called(shop_id), channel=channel.name, opt_ins=len(closed))
        return [None] * len(group)

    made = Delivery(context, shop_id, channel, Batcher("opt-in record", record), Batcher("opt-in look", recheck), set())
    made.pace = pace_of(context, channel.name)
    context.deliveries[key] = made
    return made


async def tidy(context: Context, shop_id: int, now: datetime) -> int:
    """Leases that ran out are unknown, and who asked yesterday is forgotten; how many were lost."""
    lost = await optins.reap(context.pool, shop_id)
    await optins.forget(context.pool, shop_id, now)
    return len(lost)


# Back


async def confirm(context: Context, token: str, proof: Proof) -> tuple[Found, OptIn | None]:
    """The person pressed the button. In effect for the next claim."""
    return await _confirm(context, shop_of(token), token_hash(token), proof)


async def by_code(context: Context, shop_id: int, phone: str, code: str, proof: Proof) -> Found:
    """The code of a text, as entered in the shop."""
    return await _by_phone(context, shop_id, phone, code.strip(), proof)


async def answered(context: Context, shop_id: int, phone: str, text: str, proof: Proof) -> Found:
    """A text from this number: `confirmed` where it says yes to a request, `unknown` where it is no such answer."""
    word = text.strip().strip(".!").casefold()
    return await _by_phone(context, shop_id, phone, None, proof) if word in YES else "unknown"


async def _by_phone(context: Context, shop_id: int, phone: str, code: str | None, proof: Proof) -> Found:
    hashed = address_hmac(context.pepper, "phone", phone)
    now = await clock.shop_now(context.pool)

    async def once(db: Connection) -> bytes | None:
        await work.serialise(db, shop_id)
        asked = await optins.of_address(db, shop_id, "sms", hashed, now)
        if code is not None:
            asked = [one for one in asked if one.guesses < GUESSES]
            await optins.guessed(db, shop_id, [one.id for one in asked])
        right = next((one for one in asked if code is None or _is(context, one, code)), None)
        return None if right is None else right.token_sha256

    hashed_secret = await again(context.pool, once)
    return "unknown" if hashed_secret is None else (await _confirm(context, shop_id, hashed_secret, proof))[0]


def _is(context: Context, one: optins.Asked, code: str) -> bool:
    return hmac.compare_digest(one.token_sha256, code_hash(context, one.id, code))


async def _confirm(context: Context, shop_id: int, hashed: bytes, proof: Proof) -> tuple[Found, OptIn | None]:
    async def once(db: Connection) -> tuple[Found, OptIn | None]:
        now = await clock.shop_now(db)
        found = await _locked(db, shop_id, hashed)
        if found is None:
            return "unknown", None
        if found.state == "confirmed":
            return "already", found
        if now > found.not_after or not found.same_address or not await optins.confirm(db, shop_id, found.id, now):
            return "over", found
        await consents.write(db, shop_id, found.person_id, found.purposes, "confirmed", _shown(found, proof, now), now)
        await ledger.lift(db, shop_id, found.channel, found.address_hmac)
        return "confirmed", found

    answer, found = await again(context.pool, once)
    if answer == "confirmed" and found is not None:
        metrics.opt_ins.labels("confirmed").inc()
        log.info("tracked", shop=context.shop_called(shop_id), opt_in=found.id, confirmed=len(found.purposes))
        context.ring("decide", shop_id)
    return answer, found


async def _locked(db: Connection, shop_id: int, hashed: bytes) -> OptIn | None:
    """The request under its person's lock, also when they were merged into somebody else while we waited for it."""
    found = await optins.of_token(db, shop_id, hashed)
    while found is not None:
        await people.lock(db, shop_id, [found.person_id])
        read = await optins.of_token(db, shop_id, hashed)
        if read is None or read.person_id == found.person_id:
            return read
        found = read
    return None


def _shown(found: OptIn, proof: Proof, now: datetime) -> Proof:
    """What can be shown of it from now on: who asked is in the request's own row of the ledger."""
    return Proof(
        source=found.source,
        evidence=f"double opt-in {found.id} by {found.channel}, {proof.source}",
        wording=found.wording,
        source_url=found.source_url,
        ip=proof.ip,
        user_agent=proof.user_agent,
        requested_at=found.requested_at,
        confirmed_at=now,
    )
