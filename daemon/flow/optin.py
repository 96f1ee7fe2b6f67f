"""Double opt-in: a request to confirm a consent leaves as a message of its own, and its answer is the proof.

A request is no message of a recovery: it has no policy, no cap and no hours, the held-out get it too, and it must not
be counted as advertising. So it has a table of its own, under the same rules: claimed under the person's lock with a
fence and a lease, one accepted at most, and what is unknown is never sent again: whoever wants it asks once more.
"""

from __future__ import annotations

import hmac
import secrets
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import blake2b, sha256
from typing import Literal

import structlog

from daemon import metrics
from daemon.context import Context, address_hmac
from daemon.flow import consents, persons
from daemon.flow.consents import CHANNEL_OF, Proof
from daemon.shops.base import ConsentHint, Customer
from daemon.store import clock, optins, suppressions, work
from daemon.store import consents as ledger
from daemon.store import persons as people
from daemon.store.database import Connection, Pool, again
from daemon.store.optins import OptIn, Request

log = structlog.get_logger()

VALID = timedelta(days=7)
GAP = timedelta(minutes=10)
A_DAY = 3
BY_CLIENT = 5
"""Requests of one client in a minute."""
GUESSES = 5
"""Wrong codes after which a text's code is worth nothing."""
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
    phone = persons.e164(customer.phone, customer.country, persons.home(context, shop_id)) or ""
    address = customer.email.strip() if channel == "email" else phone
    if not address:
        return "nobody"
    hashed = address_hmac(context.pepper, "email" if channel == "email" else "phone", address)
    if limit := await _too_often(context.pepper, db, shop_id, hashed, proof, now):
        return limit
    [person] = await persons.keep(context, db, shop_id, [customer], now, 0, whole=False)
    if person is None:
        return "nobody"
    return await _noted(context.pepper, db, shop_id, person, channel, hashed, purposes, proof, now)


async def request_of(
    pool: Pool, pepper: bytes, shop_id: int, person: int, purposes: Sequence[str], proof: Proof, now: datetime
) -> Answer:
    """Ask somebody who is known, at the address that they have. The daemon finds the request by itself. Raises
    ValueError as `request` does."""
    channel = channel_of(purposes)
    if not proof.wording:
        raise ValueError("say what is to be confirmed: the wording")

    async def once(db: Connection) -> Answer:
        await work.serialise(db, shop_id)
        await people.lock(db, shop_id, [person])
        hashed = await optins.address_of(db, shop_id, person, channel)
        if hashed is None:
            return "nobody"
        if limit := await _too_often(pepper, db, shop_id, hashed, proof, now):
            return limit
        return await _noted(pepper, db, shop_id, person, channel, hashed, purposes, proof, now)

    return await again(pool, once)


async def request_at(
    context: Context, shop_id: int, phone: str, purposes: Sequence[str], proof: Proof, now: datetime
) -> Answer:
    """Ask whoever has this number (E.164) by the shop's word. A stranger's number makes nobody: a number typed into a
    form is no proof of whose cart it may be told of, so `nobody` too where several people have it."""
    owners = await suppressions.owners(context.pool, shop_id, [address_hmac(context.pepper, "phone", phone)])
    if len(owners) != 1:
        return "nobody"
    answer = await request_of(context.pool, context.pepper, shop_id, owners[0], purposes, proof, now)
    if answer == "asked":
        context.ring("confirm", shop_id)
    return answer


async def _too_often(
    pepper: bytes, db: Connection, shop_id: int, hashed: bytes, proof: Proof, now: datetime
) -> Answer | None:
    limit = _limit(await optins.lately(db, shop_id, hashed, _client(pepper, proof), GAP, now))
    if limit is not None:
        metrics.opt_ins.labels(limit.replace(" ", "_")).inc()
    return limit


def _client(pepper: bytes, proof: Proof) -> bytes | None:
    return address_hmac(pepper, "client", proof.ip) if proof.ip else None


async def _noted(
    pepper: bytes,
    db: Connection,
    shop_id: int,
    person: int,
    channel: str,
    hashed: bytes,
    purposes: Sequence[str],
    proof: Proof,
    now: datetime,
) -> Answer:
    """The request as a row, and in the ledger that it was made. The caller holds the person's lock."""
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
        ip_hmac=_client(pepper, proof),
        ip_net=consents.network(proof.ip),
        user_agent=proof.user_agent,
    )
    number = await optins.add(db, shop_id, asked, now, now + VALID)
    metrics.opt_ins.labels("asked").inc()
    log.info("kept", shop_id=shop_id, opt_in=number, channel=channel)
    return "asked"


async def ask_as_told(context: Context, db: Connection, shop_id: int, customer: Customer, now: datetime) -> None:
    """What the shop wants confirmed by us: one mail or text for each sentence of each channel. The caller holds the
    shop's lock and has kept the customer."""
    wanted: dict[tuple[str, str], list[ConsentHint]] = {}
    for hint in customer.consents:
        if hint.ask and hint.state == "requested":
            wanted.setdefault((CHANNEL_OF.get(hint.purpose, "email"), hint.wording), []).append(hint)
    for (channel, wording), hints in wanted.items():
        if channel not in CHANNELS:
            continue
        first = hints[0]
        proof = Proof(
            first.source or "shop",
            wording=wording,
            source_url=first.source_url,
            ip=first.ip,
            user_agent=first.user_agent,
        )
        purposes = [hint.purpose for hint in hints]
        told = replace(customer, consents=())
        answer = await ask(context, db, shop_id, told, channel, purposes, proof, now)
        log.info("kept", shop=context.shop_called(shop_id), asked=channel, answer=answer)
    if wanted:
        context.ring("confirm", shop_id)


def _limit(lately: optins.Lately) -> Answer | None:
    if lately.by_client >= BY_CLIENT:
        return "too many"
    if lately.today >= A_DAY:
        return "enough today"
    return "too soon" if lately.just_now else None


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


async def confirm(context: Context, token: str, proof: Proof) -> tuple[Found, OptIn | None]:
    """The person pressed the button. In effect for the next claim."""
    return await _confirm(context, shop_of(token), token_hash(token), proof)


async def by_code(context: Context, shop_id: int, phone: str, code: str, proof: Proof) -> Found:
    """The code of a text, as entered in the shop."""
    return await _by_phone(context, shop_id, phone, code.strip(), proof)


async def answered(context: Context, shop_id: int, phone: str, text: str, proof: Proof) -> Found:
    """A text from this number: `confirmed` where it says yes to a request, `unknown` where it is no such answer."""
    return await _by_phone(context, shop_id, phone, None, proof) if says_yes(text) else "unknown"


def says_yes(text: str) -> bool:
    return text.strip().strip(".!").casefold() in YES


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
