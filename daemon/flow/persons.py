"""Step 2, kept: customers become persons, one for each customer reference or e-mail address, before caps and checks."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import phonenumbers

from daemon.context import Context, address_hmac
from daemon.flow import consents, graves, merging
from daemon.shops.base import Customer
from daemon.store import consents as ledger
from daemon.store import merging as merges
from daemon.store import persons
from daemon.store.database import Connection
from daemon.store.merging import Evidence
from daemon.store.persons import Description, Known, Word


def normal(email: str) -> str:
    """How addresses are compared: RFC 5321 lets local parts differ by case, no mailbox provider does."""
    return email.strip().casefold()


def names(customer: Customer) -> tuple[tuple[str, str] | None, tuple[str, str] | None]:
    """The identities by which they are found: (by reference, by address)."""
    by_ref = ("customer", customer.ref) if customer.ref else None
    return by_ref, ("email", normal(customer.email)) if customer.email else None


@dataclass(slots=True)
class Plan:
    """What a batch of customers comes to, before anything is written."""

    people: list[int] = field(default_factory=list)
    """For each customer the person; negative numbers are persons still to be made."""
    born: dict[int, str] = field(default_factory=dict)
    identities: dict[tuple[str, str], int] = field(default_factory=dict)
    merges: list[tuple[int, int, Evidence]] = field(default_factory=list)
    """Who turn out to be one, by what both have."""


def plan(
    customers: Sequence[Customer],
    found: dict[tuple[str, str], Known],
    *,
    whole: bool = True,
    apart: Container[tuple[int, int, Evidence]] = (),
) -> Plan:
    """Pure: by customer reference, else by e-mail; a guest with an account's address is that account. Where an order
    names somebody we know, its address becomes nobody's identity. `apart`: (older, younger, evidence) that were one by
    it and were parted: the address stays where it is."""
    made = Plan()
    owner = {key: known.id for key, known in found.items()}
    accounts = {known.id: known.has_account and not known.is_guest for known in found.values()}
    for customer in customers:
        by_ref, by_email = names(customer)
        person = owner.get(by_ref) if by_ref else None
        same_address = owner.get(by_email) if by_email else None
        if person is None:
            person = same_address
        alias = not whole and by_ref is not None and owner.get(by_ref) == person
        if same_address != person and same_address is not None and person is not None and by_email is not None:
            both = (min(person, same_address), max(person, same_address), Evidence(*by_email))
            if both in apart:
                alias = True
            elif not accounts.get(same_address, False):
                made.merges.append(both)
                alias = True  # the address becomes theirs with all else, and the record says whose it was
        if person is None:
            person = -len(made.born) - 1
            made.born[person] = customer.ref or normal(customer.email)
            alias = False
        for key in (by_ref, None if alias else by_email):
            if key is not None and owner.get(key) != person:
                owner[key] = made.identities[key] = person
        accounts[person] = accounts.get(person, False) or (by_ref is not None and not customer.is_guest)
        made.people.append(person)
    return made


async def keep(
    context: Context,
    db: Connection,
    shop_id: int,
    customers: Sequence[Customer],
    now: datetime,
    version: int,
    *,
    whole: bool = True,
) -> list[int | None]:
    """The person of each customer, in order; each has a reference or an address. None: they were erased, and nothing of
    them is kept. Locks the persons concerned. `whole` is False where only reference and address are told: then only new
    persons are described by them."""
    named = [(*names(one), one) for one in customers]
    refs = sorted({by_ref[1] for by_ref, _, _ in named if by_ref})
    emails = sorted({by_email[1] for _, by_email, _ in named if by_email})
    found, buried = await graves.known(db, shop_id, context.pepper, refs, emails)
    told = await graves.sift(db, shop_id, named, found, buried)
    look = Look(now, version, whole)
    kept = iter(await _keep(context, db, shop_id, [one for one in told if one is not None], found, look))
    return [None if one is None else next(kept) for one in told]


@dataclass(frozen=True, slots=True)
class Look:
    """How customers were come by; as the arguments of `keep`."""

    now: datetime
    version: int
    whole: bool


async def _keep(
    context: Context,
    db: Connection,
    shop_id: int,
    customers: Sequence[Customer],
    found: dict[tuple[str, str], Known],
    look: Look,
) -> list[int]:
    made = plan(customers, found, whole=look.whole)
    if made.merges and (apart := await merges.undone(db, shop_id, made.merges)):
        made = plan(customers, found, whole=look.whole, apart=apart)
    ids: dict[int, int] = {}
    if made.born:
        ids = dict(zip(made.born, await persons.new_ids(db, len(made.born)), strict=True))
        chances = [context.chance(f"{shop_id}:{birth}") for birth in made.born.values()]
        await persons.add(db, shop_id, list(ids.values()), chances, look.now)
    people = [ids.get(person, person) for person in made.people]
    concerned = {*people, *(ids.get(one, one) for a, b, _ in made.merges for one in (a, b))}
    await persons.lock(db, shop_id, sorted(concerned))
    if made.identities:
        moved = {key: ids.get(person, person) for key, person in made.identities.items()}
        await persons.identify(db, shop_id, moved, look.now)
    into: dict[int, int] = {}
    for a, b, evidence in made.merges:
        older, younger = sorted((_whole(into, ids.get(a, a)), _whole(into, ids.get(b, b))))
        if older != younger:
            await merging.merge(context, db, shop_id, older, younger, evidence, look.now)
            into[younger] = older
    people = [_whole(into, person) for person in people]
    told = dict(zip(people, customers, strict=True))
    born = set(ids.values())
    described = told if look.whole else {person: customer for person, customer in told.items() if person in born}
    await _describe(context, db, shop_id, described, {known.id: known for known in found.values()}, look.version)
    await _consents(db, shop_id, list(zip(people, customers, strict=True)), look.now)
    return people


def _whole(into: Mapping[int, int], person: int) -> int:
    """Whose part this person is by now."""
    while person in into:
        person = into[person]
    return person


async def hold(
    context: Context, db: Connection, shop_id: int, customers: Sequence[Customer], further: Sequence[int] = ()
) -> set[tuple[str, str]]:
    """Lock all whom these customers may be, and `further` persons, in one go and in their order: for a transaction that
    deals with one after the other. Who is not known yet is seen by nobody else before the end. The answer: identities
    of theirs under which somebody was erased."""
    keys = {key for one in customers for key in names(one) if key is not None}
    refs = sorted(value for kind, value in keys if kind == "customer")
    emails = sorted(value for kind, value in keys if kind == "email")
    found, buried = await graves.known(db, shop_id, context.pepper, refs, emails) if keys else ({}, {})
    await persons.lock(db, shop_id, [*(known.id for known in found.values()), *further])
    return set(buried)


async def _describe(
    context: Context,
    db: Connection,
    shop_id: int,
    by_person: dict[int, Customer],
    before: dict[int, Known],
    version: int,
) -> None:
    """An account's own record describes a person; a guest's only where there is no account. `before` are those of
    them that were known: nobody else describes persons of a shop meanwhile."""
    rows, at_home = [], home(context, shop_id)
    for person, customer in by_person.items():
        known = before.get(person)
        if known and known.customer_ref and customer.ref != known.customer_ref and customer.is_guest:
            continue
        rows.append(description(context.pepper, person, customer, known, at_home))
    changed = await persons.describe(db, shop_id, rows, version)
    moved = {
        row.person_id for row in rows if row.email != (known.email if (known := before.get(row.person_id)) else None)
    }
    if concerned := sorted(moved | set(changed)):
        now_at = await persons.emails(db, shop_id, concerned)
        await persons.forget_addresses(db, shop_id, {person: normal(email) for person, email in now_at.items()})


def home(context: Context, shop_id: int) -> str:
    """The country (ISO 3166-1) whose numbers are meant where a customer's own is not known; empty: nobody says."""
    name = next((name for name, number in context.shop_ids.items() if number == shop_id), "")
    shop = context.keeper.book.shops.get(name)
    return shop.country if shop else ""


def description(pepper: bytes, person: int, customer: Customer, known: Known | None, at_home: str = "") -> Description:
    """What to write of a person; what the shop does not say keeps what we knew of reference and address."""
    email = customer.email.strip() or (known.email if known else None) or None
    phone = e164(customer.phone, customer.country, at_home)
    return Description(
        person_id=person,
        customer_ref=customer.ref or (known.customer_ref if known else None),
        email=email,
        email_hmac=address_hmac(pepper, "email", email) if email else None,
        phone=phone,
        phone_hmac=address_hmac(pepper, "phone", phone) if phone else None,
        first_name=customer.first_name,
        last_name=customer.last_name,
        locale=customer.locale,
        zone=customer.zone,
        country=customer.country,
        group=customer.group,
        is_guest=customer.is_guest,
        may_be_written_to=customer.may_be_written_to,
        region=customer.region,
    )


def e164(phone: str, country: str, at_home: str = "") -> str | None:
    """The number in E.164 form, or None where it cannot be one. Without its country's code it is one of `country`, or
    `at_home` where that is none that has numbers."""
    if not phone.strip():
        return None
    known = next((one for one in (country.upper(), at_home) if one in phonenumbers.SUPPORTED_REGIONS), None)
    try:
        number = phonenumbers.parse(phone, known)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


async def _consents(db: Connection, shop_id: int, pairs: Sequence[tuple[int, Customer]], now: datetime) -> None:
    """The shop's word is appended where it is news. A bare hint overrides nothing that was withdrawn or confirmed."""
    said = [(person, hint) for person, customer in pairs for hint in customer.consents]
    if not said:
        return
    newest = await persons.consents_of(db, shop_id, [person for person, _ in said])
    rows = []
    for person, hint in said:
        row = consents.news(person, hint, newest.get((person, hint.purpose)), now)
        if row is not None:
            rows.append(row)
            newest[person, hint.purpose] = Word(row.state, row.evidence, row.at)
    if rows:
        await ledger.add(db, shop_id, rows, now)
        await persons.raise_facts(db, shop_id, [row.person_id for row in rows])
