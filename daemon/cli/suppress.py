"""`tillbell suppress`: addresses that are not written to, by hand and from what another system kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from rich.table import Table

from daemon.cli.desk import AsJson, Desk, ShopName, console, desk, print_json
from daemon.cli.exits import FINDINGS, FINE
from daemon.context import address_hmac
from daemon.errors import ConfigurationError
from daemon.flow.blocklists import Listed, not_an_address, read_list
from daemon.flow.letterbox import named
from daemon.house import pepper_of
from daemon.store import members, optouts, persons, recoveries, suppressions
from daemon.store.database import Connection, again
from daemon.store.suppressions import Entry

app = App(name="suppress", help="Addresses that are not written to. They are kept as keyed hashes.")
Channel = Annotated[Literal["any", "email"], Parameter(help="Which channel; any: all of them.")]
CHUNK = 1000
COMPLAINED = "complained"


def _is_address(_: object, written: str) -> None:
    if problem := not_an_address(written):
        raise ValueError(problem)


Addresses = Annotated[str, Parameter(validator=_is_address)]
MailId = Annotated[str, Parameter(help="A Message-ID as `doctor` names it.")]


@app.command
async def add(
    address: Addresses,
    /,
    *more: Addresses,
    shop: ShopName = None,
    channel: Channel = "email",
    reason: Annotated[
        str, Parameter(help="Why, for `list` and `why`; with `complained` the recovery ends as that.")
    ] = "by hand",
) -> int:
    """Never write to these addresses again; what is on its way to them is cancelled."""
    async with desk(acts=True) as at:
        listed = [Listed(one, reason, None) for one in (address, *more)]
        number = sum([await _suppress(at, shop_id, channel, listed, "by hand") for shop_id in at.only(shop).values()])
    console().print(
        f"{number} added" + (f", {known} already on the list" if (known := len(listed) - number) > 0 else "")
    )
    return FINE


@app.command
async def remove(address: Addresses, /, *more: Addresses, shop: ShopName = None, channel: Channel = "email") -> int:
    """Allow these addresses again. This gives no consent: without a basis nothing is sent to them."""
    number = 0
    async with desk(acts=True) as at:
        pepper = await pepper_of(at.settings, at.pool)
        for shop_id in at.only(shop).values():
            hmacs = [address_hmac(pepper, "email", one) for one in (address, *more)]

            async def body(db: Connection, shop_id: int = shop_id, hmacs: list[bytes] = hmacs) -> int:
                people = await suppressions.owners(db, shop_id, hmacs)
                await persons.lock(db, shop_id, people)
                await persons.raise_facts(db, shop_id, people)
                return await suppressions.remove(db, shop_id, channel, hmacs)

            number += await again(at.pool, body)
    console().print(f"{number} removed")
    return FINE if number else FINDINGS


@app.command(name="import")
async def import_list(
    file: Path,
    /,
    *,
    shop: Annotated[str, Parameter(help="The shop they belong to.")],
    form: Annotated[
        Literal["auto", "plain", "mailbeez-block", "mailbeez-bounces", "mailbeez-tracking"],
        Parameter(help="plain: one address a line, or a CSV with a column email."),
    ] = "auto",
    channel: Channel = "email",
) -> int:
    """Take over a list: plain addresses, or CSV exports of MailBeez' blocks, bounces and last sends.

    Blocks and hard bounces are suppressed. Last sends (mailbeez-tracking) start the cool-down of a policy's
    `again_after` for those people, so that nobody is written to by both within it.
    """
    async with desk(acts=True) as at:
        reading = read_list(file, form, at.now)
        [(_, shop_id)] = at.only(shop).items()
        number = await _suppress(at, shop_id, channel, reading.suppressed, f"import {reading.form}")
        rested = await _rest(at, shop_id, reading.sent)
    console().print(f"{reading.form}: {number} addresses suppressed, {rested} people rest after their last mail")
    for line in reading.problems:
        console().print(line)
    return FINDINGS if reading.problems else FINE


@app.command
async def settle(message_id: MailId, /, *more: MailId) -> int:
    """Say that you have seen to these mails, which `doctor` names as unknown: it names them no more.

    Somebody left by each of them, and a backup was restored that does not know whom it went to. Put their addresses on
    the list first, by `tillbell suppress add`.
    """
    async with desk(acts=True) as at:
        pepper = await pepper_of(at.settings, at.pool)
        wanted: dict[int, set[int]] = {}
        for written in (message_id, *more):
            about = named(pepper, written.strip("<> "))
            if about is None or about.is_request:
                raise ConfigurationError(f"no mail of this installation has the Message-ID {written}")
            wanted.setdefault(about.shop_id, set()).add(about.message_id)
        number = sum([len(await optouts.settle_lost(at.pool, shop, ids, at.now)) for shop, ids in wanted.items()])
    console().print(f"{number} settled")
    return FINE if number == sum(map(len, wanted.values())) else FINDINGS


@app.command(name="list")
async def show(*, shop: ShopName = None, as_json: AsJson = False) -> int:
    """All suppressions, by hash, with the person who has the address now."""
    async with desk() as at:
        found = {name: await suppressions.every(at.pool, shop_id) for name, shop_id in at.only(shop).items()}
    if as_json:
        print_json(found)
        return FINE
    table = Table("shop", "channel", "address (hash)", "person", "reason", "source", "since", box=None)
    for name, rows in found.items():
        for row in rows:
            person = "" if row["person_id"] is None else str(row["person_id"])
            since = f"{row['since']:%Y-%m-%d}"
            table.add_row(name, row["channel"], row["address"][:12], person, row["reason"], row["source"], since)
    console().print(table)
    return FINE


async def _suppress(at: Desk, shop_id: int, channel: str, listed: Sequence[Listed], source: str) -> int:
    pepper = await pepper_of(at.settings, at.pool)
    number = 0
    ended = "complained" if any(one.reason == COMPLAINED for one in listed) else "not_allowed"
    for start in range(0, len(listed), CHUNK):
        part = listed[start : start + CHUNK]
        entries = [Entry(address_hmac(pepper, "email", one.address), one.reason, one.at or at.now) for one in part]

        async def body(db: Connection, entries: list[Entry] = entries) -> int:
            people = await suppressions.owners(db, shop_id, [one.hmac for one in entries])
            await persons.lock(db, shop_id, people)
            made = await suppressions.add(db, shop_id, channel, entries, source)
            if people:
                await recoveries.end_of_persons(db, shop_id, people, ended, at.now)
                await members.heed(db, shop_id, people, at.now)
            return made

        number += await again(at.pool, body)
    return number


async def _rest(at: Desk, shop_id: int, sent: Sequence[Listed]) -> int:
    """People who were written to by another system: their cool-down counts from then."""
    pepper = await pepper_of(at.settings, at.pool)
    times: dict[bytes, datetime] = {}
    for one in sent:
        hmac = address_hmac(pepper, "email", one.address)
        times[hmac] = max(one.at or at.now, times.get(hmac, one.at or at.now))
    async with at.pool.acquire() as db:
        return await persons.written_to_elsewhere(db, shop_id, times) if times else 0
