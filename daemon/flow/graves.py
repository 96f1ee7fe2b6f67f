"""Whoever was erased stays away: what a shop tells of them is passed over, until they come back of their own will."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b

from daemon.shops.base import Customer
from daemon.store import dossier, persons
from daemon.store.database import Connection
from daemon.store.dossier import TOMBSTONE
from daemon.store.persons import Known

Key = tuple[str, str]


def tombstone(pepper: bytes, kind: str, value: str) -> str:
    """What stays of an identity when its person is erased: nobody without the pepper can tell whose it was."""
    return TOMBSTONE + blake2b(f"gone {kind}:{value}".encode(), digest_size=20, key=pepper[:64]).hexdigest()


async def known(
    db: Connection, shop_id: int, pepper: bytes, refs: Sequence[str], emails: Sequence[str]
) -> tuple[dict[Key, Known], dict[Key, Known]]:
    """By (kind, value): who is known, and who lies buried under that name. One query for both."""
    names = [("customer", ref) for ref in refs] + [("email", email) for email in emails]
    stones = {(kind, tombstone(pepper, kind, value)): (kind, value) for kind, value in names}
    found = await persons.known(
        db,
        shop_id,
        [*refs, *(stone for kind, stone in stones if kind == "customer")],
        [*emails, *(stone for kind, stone in stones if kind == "email")],
    )
    living = {key: one for key, one in found.items() if key not in stones}
    return living, {stones[key]: one for key, one in found.items() if key in stones}


async def sift(
    db: Connection,
    shop_id: int,
    customers: Sequence[tuple[Key | None, Key | None, Customer]],
    living: Mapping[Key, Known],
    graves: Mapping[Key, Known],
) -> list[Customer | None]:
    """Of each (by reference, by address, customer): None for whom nothing may be kept of, else what may be.

    A proven consent that is younger than the erasure opens the grave: they become a new person. Somebody else of whom
    we know only lends them an address goes on without it.
    """
    if not graves:
        return [customer for _, _, customer in customers]
    back = {
        graves[key].id
        for by_ref, by_email, customer in customers
        for key in (by_ref, by_email)
        if key is not None and key in graves and _came_back(customer, graves[key])
    }
    if back:
        await dossier.exhume(db, shop_id, sorted(back))
    buried = {key for key, one in graves.items() if one.id not in back}
    return [_told(one, living, buried) for one in customers]


def _told(
    one: tuple[Key | None, Key | None, Customer], living: Mapping[Key, Known], buried: set[Key]
) -> Customer | None:
    by_ref, by_email, customer = one
    if by_ref in buried or (by_email in buried and by_ref not in living):
        return None
    return replace(customer, email="") if by_email in buried else customer


def _came_back(customer: Customer, grave: Known) -> bool:
    """A confirmed consent with its proof, given after the erasure."""
    return any(
        hint.state == "confirmed" and hint.evidence and hint.at is not None and hint.at > grave.since
        for hint in customer.consents
    )
