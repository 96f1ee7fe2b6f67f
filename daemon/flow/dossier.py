"""What is held about one person: found by what they are known by, told with its reason, and taken away for good.

GDPR Art. 15 and 20 (access, portability) and Art. 17 (erasure), regulation (EU) 2016/679.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from daemon.context import address_hmac
from daemon.flow.graves import tombstone
from daemon.flow.persons import e164, normal
from daemon.mail.packed import unpacked
from daemon.store import dossier, persons, recoveries, work
from daemon.store.database import Connection, Pool, again
from daemon.store.decisions import spelled
from daemon.store.dossier import TOMBSTONE, Delivery, Found, One, Word

log = structlog.get_logger()

BIGGEST = 2**63 - 1
MOST = 500
REASON = "erased"
WHY: Mapping[str, str] = {
    "person": "who they are, as the shop tells it: to write to them, in their language and by day",
    "identity": "by what the shop's records are known to be theirs",
    "merge": "whom else they were known as, by which evidence, and what moved, so that a mistake can be taken back",
    "parted": "with whom they were one for a while: what was sent until then counts for the caps of both",
    "consent": "what they allowed and withdrew, with the proof (GDPR Art. 7(1))",
    "visitor": "which browsers on the shop's pages are theirs, and what they allowed there, when and where",
    "subscription": "which browsers take pushes for them, and the keys that only these can read with",
    "opt_in": "that they were asked to confirm a consent, and what came of it",
    "suppression": "that they are not written to, as a keyed hash of the address (UWG § 7, GDPR Art. 21(3))",
    "cart": "what lies or lay in their carts: what the messages are about",
    "order": "that and when they bought: to be silent then, and to count what the messages bring",
    "recovery": "each attempt to win a cart back, and why it ended",
    "decision": "each question put to the policy, with the facts it was answered on",
    "message": "each message: its text, on which basis it was sent, and what became of it",
    "attempt": "each time a message was handed to the provider, and its answer",
    "link": "where the links of their messages lead",
    "event": "opened, clicked, unsubscribed: with the browser's name and a shortened network address",
    "member": "in which ad audiences they are wanted, and the hashes under which a platform has them",
    "delivery": "what the shop pushed and what came by mail, as it came, until it is forgotten",
}
"""Each table that may hold something of a person, and what for."""


class Moved(Exception):
    """The person was merged into another one meanwhile."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What was done; `already` says that there was a tombstone before."""

    people: tuple[int, ...]
    messages: tuple[int, ...]
    recoveries: int
    deliveries: int
    already: bool


def word_of(pepper: bytes, text: str, country: str = "") -> Word:
    """An e-mail address, customer reference, phone number or number of ours, in every form in which it may be kept."""
    text = text.strip()
    number = text.removeprefix("#")
    email = normal(text)
    return Word(
        word=text,
        word_gone=tombstone(pepper, "customer", text),
        email=email,
        email_gone=tombstone(pepper, "email", email),
        email_hmac=address_hmac(pepper, "email", text),
        phone=e164(text, country) or "",
        number=int(number) if number.isdecimal() and int(number) <= BIGGEST else 0,
    )


async def find(pool: Pool, pepper: bytes, shops: Sequence[int], text: str, by: str | None = None) -> list[Found]:
    """One for each person and shop. `by` (email, customer, phone, id) where the word could mean several."""
    found = await dossier.find(pool, shops, word_of(pepper, text))
    chosen: dict[tuple[int, int], Found] = {}
    for one in found:
        if by in (None, one.kind):
            chosen.setdefault((one.shop_id, one.id), one)
    return list(chosen.values())


async def held(pool: Pool, shop_id: int, person: int) -> dict[str, list[dict[str, Any]]]:
    """Every row, by the words of `WHY`; those of which there is nothing are empty lists."""
    rows = await dossier.held(pool, shop_id, person)
    marks = await _marks(pool, shop_id, person)
    told = [_told(one) async for one in about(pool, shop_id, marks)]
    return {noun: [_read(row) for row in rows.get(noun, [])] if noun != "delivery" else told for noun in WHY}


def _read(row: dict[str, Any]) -> dict[str, Any]:
    """A row with what was kept shortened in it as it was: the texts of a mail, the names in a decision's questions."""
    if "questions" in row:
        row["questions"] = spelled(row["questions"])
    letter = row.pop("letter", None)
    if letter is not None:
        row["content"] |= unpacked(bytes.fromhex(letter.removeprefix(r"\x")))
    return row


def _told(one: Delivery) -> dict[str, Any]:
    text = one.body.decode("utf-8", "replace")
    try:
        body = json.loads(text)
    except ValueError:
        body = text
    return {"id": one.id, "source": one.source, "received_at": one.received_at, "state": one.state, "body": body}


class Marks:
    """By what a delivery is seen to be about somebody. Better one too many: a delivery that was worked off is not
    needed any more."""

    def __init__(self, people: Sequence[One], *rows: Sequence[Mapping[str, Any]]) -> None:
        identities, carts, orders, messages = rows
        self.messages = {row["id"] for row in messages}
        addresses = [one.email for one in people] + [row["value"] for row in identities if row["kind"] == "email"]
        self.parts = {normal(one) for one in addresses if one} | {one.phone for one in people if one.phone}
        refs = [one.customer_ref for one in people] + [
            row["value"] for row in identities if row["kind"] in ("customer", "onsite")
        ]
        refs += [row["ref"] for row in (*carts, *orders)]
        self.whole = {normal(one) for one in refs if one}

    def on(self, one: Delivery) -> bool:
        """Whether it answers a message of theirs, says an address or number of theirs anywhere, or a reference of
        theirs as a value."""
        if one.message_id in self.messages:
            return True
        text = one.body.decode("utf-8", "replace")
        try:
            values = [normal(value) for value in _values(json.loads(text))]
        except (ValueError, RecursionError):
            values = [text.casefold()]
        return any(value in self.whole or any(part in value for part in self.parts) for value in values)


def _values(thing: Any) -> Iterator[str]:
    if isinstance(thing, dict):
        for value in thing.values():
            yield from _values(value)
    elif isinstance(thing, list):
        for value in thing:
            yield from _values(value)
    elif isinstance(thing, (str, int)) and not isinstance(thing, bool):
        yield str(thing)


async def about(db: Connection | Pool, shop_id: int, marks: Marks, after: int = 0) -> AsyncIterator[Delivery]:
    """What was pushed about somebody and is still kept as it came. Reads the inbox of the shop, in pages."""
    while page := await dossier.deliveries(db, shop_id, after, MOST):
        for one in page:
            if marks.on(one):
                yield one
        after = page[-1].id


async def erase(pool: Pool, pepper: bytes, shop_id: int, person: int, now: datetime) -> Erased:
    """Nothing says any more who they were, the figures stay, and tombstones keep the next poll from bringing them back.
    Raises Moved when they were merged into somebody else meanwhile: find them anew."""
    marks = await _marks(pool, shop_id, person)
    reached = await dossier.newest_delivery(pool, shop_id)
    pushed = [one.id async for one in about(pool, shop_id, marks) if one.id <= reached]  # long, hence before the locks

    async def once(db: Connection) -> Erased:
        return await _erase(db, pepper, shop_id, person, now, pushed, reached)

    done = await again(pool, once)
    log.info("stopped", shop_id=shop_id, person=person, because=REASON, recoveries=done.recoveries)
    return done


async def _marks(db: Connection | Pool, shop_id: int, person: int) -> Marks:
    people = await dossier.people(db, shop_id, person)
    rows = await dossier.held(db, shop_id, person)
    return Marks(people, *(rows.get(noun, []) for noun in ("identity", "cart", "order", "message")))


async def _erase(
    db: Connection, pepper: bytes, shop_id: int, person: int, now: datetime, pushed: Sequence[int], reached: int
) -> Erased:
    await work.serialise(db, shop_id)  # nobody who read of them before writes of them after
    ids = [one.id for one in await dossier.people(db, shop_id, person)]
    await persons.lock_all(db, shop_id, ids)
    people = await dossier.people(db, shop_id, person)
    if [one.id for one in people] != ids or any(one.id == person and one.merged_into for one in people):
        raise Moved
    rows = await dossier.held(db, shop_id, person)
    marks = await _marks(db, shop_id, person)
    pushed = [*pushed, *[one.id async for one in about(db, shop_id, marks, reached)]]
    identities = await dossier.identities(db, shop_id, ids)
    ended = await recoveries.end_of_persons(db, shop_id, ids, REASON, now)
    await dossier.erase(db, shop_id, ids, hmacs(pepper, people, identities), marks.parts, now)
    await work.bring_forward(db, shop_id, "audiences", now)
    await dossier.bury(db, shop_id, person, stones(pepper, people, identities), now)
    await dossier.erase_deliveries(db, shop_id, pushed)
    already = any(one.erased_at is not None for one in people)
    return Erased(tuple(ids), tuple(row["id"] for row in rows.get("message", [])), len(ended), len(pushed), already)


def stones(pepper: bytes, people: Sequence[One], identities: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """(kind, keyed hash) of every name they go by; hashes from an earlier erasure stay as they are."""
    names = {(kind, value) for kind, value in identities if kind in ("customer", "email")}
    names |= {("customer", one.customer_ref) for one in people if one.customer_ref}
    names |= {("email", normal(one.email)) for one in people if one.email}
    return {(kind, value if value.startswith(TOMBSTONE) else tombstone(pepper, kind, value)) for kind, value in names}


def hmacs(pepper: bytes, people: Sequence[One], identities: Sequence[tuple[str, str]]) -> list[bytes]:
    """Under which their addresses may be suppressed."""
    emails = {value for kind, value in identities if kind == "email"} | {one.email for one in people if one.email}
    phones = {one.phone for one in people if one.phone}
    return [
        *(address_hmac(pepper, "email", email) for email in sorted(emails)),
        *(address_hmac(pepper, "phone", phone) for phone in sorted(phones)),
    ]
