"""A shop's database that fails is left alone after three failures; nothing is concluded from what it says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from channels.base import Outcome
from daemon.flow import ingest
from daemon.shops.base import ShopUnavailable
from daemon.store import work
from tests.flow.faults.small_world import SHOPS, World, quiet_house, settings

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
POLICY = "extends: default\nlegal: de\nsteps: [{name: remind, after: 1h}]\n"
CONNECTION = (
    "{dialect: modified, unix_socket: SOCKET, database: DATABASE, user: USER, password: PASSWORD, "
    "timezone: Europe/Berlin, currency: EUR, url: https://shop.example}"
)
CARTS = "SELECT ref, state, total, lines::text, changed_at FROM cart WHERE shop_id = $1 ORDER BY ref"
Make = Callable[..., Awaitable[Any]]


class Wire:
    """A socket before the shop's database. It counts what it is asked."""

    def __init__(self, folder: Path, server: str) -> None:
        self.path, self.server = str(folder / "shop.sock"), server
        self.asked = 0
        self.fate = ""
        """`turn away`, `say nothing`, or `cut` after so many bytes of answers."""
        self.bytes_left = 0
        self.lines: set[asyncio.StreamWriter] = set()

    async def opens(self) -> None:
        self.listening = await asyncio.start_unix_server(self.carry, self.path)

    async def closes(self) -> None:
        self.listening.close()
        self.drops()
        await self.listening.wait_closed()
        await asyncio.to_thread(Path(self.path).unlink, missing_ok=True)  # Python 3.13 has done so itself

    def drops(self) -> None:
        """Every connection that is open now."""
        for line in self.lines:
            line.transport.abort()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        if self.fate == "turn away":
            writer.transport.abort()
            return
        there, back = await asyncio.open_unix_connection(self.server)
        self.lines |= {writer, back}
        with contextlib.suppress(OSError):
            await asyncio.gather(self.pump(reader, back, up=True), self.pump(there, writer, up=False))
        for line in (writer, back):
            line.transport.abort()
            self.lines.discard(line)

    async def pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, up: bool) -> None:
        while part := await source.read(1 << 16):
            self.asked += up
            if self.fate == "say nothing" and not up:
                continue
            if self.fate == "cut" and not up:
                part, whole = part[: self.bytes_left], len(part) < self.bytes_left
                self.bytes_left -= len(part)
                sink.write(part)
                await sink.drain()
                if not whole:
                    break
                continue
            sink.write(part)
            await sink.drain()
        sink.transport.close() if self.fate == "cut" else sink.transport.abort()


class Visit:
    """A daemon that looks at this shop, and its time, moved by hand."""

    def __init__(self, world: World, shop: Any, wire: Wire) -> None:
        self.world, self.shop, self.wire = world, shop, wire
        self.seconds = 0.0

    @property
    def connector(self) -> Any:
        return self.world.context.shops["main"]

    async def leaves(self, name: str, product: int) -> int:
        address = f"{name}@example.org"
        customer = int(await self.shop.customer(address, customers_firstname=name))
        signed = START - timedelta(days=30)
        proof = {"date_confirmed": signed + MINUTE, "ip_date_confirmed": "198.51.100.7"}
        await self.shop.recipient(address, 1, signed, **proof)
        await self.shop.basket(customer, product, at=self.world.now)
        return customer

    async def looks(self, after: timedelta = MINUTE) -> str:
        """What came of it: the problem that `status` shows, nothing when all is well."""
        now = self.world.now + after
        await self.world.turns_to(now)
        await self.world.context.pool.execute("UPDATE work SET due_at = $1", now)
        await ingest.poll(self.world.context, self.world.shop_id, now)
        [row] = await work.status(self.world.context.pool, self.world.shop_id)
        return row.problem or ""

    async def carts(self) -> list[Any]:
        return list(await self.world.context.pool.fetch(CARTS, self.world.shop_id))

    async def mailed(self) -> list[str]:
        """Who is written to now."""
        await self.world.plans()
        _, claims = await self.world.claims(64)
        await self.world.records([(one, Outcome("accepted", "2.0.0")) for one in claims])
        return sorted(one.address.partition("@")[0] for one in claims)


@asynccontextmanager
async def visit(database: str, folder: Path, shop: Any) -> AsyncIterator[Visit]:
    wire = Wire(folder, shop.socket)
    await wire.opens()
    connection = CONNECTION.replace("SOCKET", wire.path).replace("DATABASE", shop.database)
    connection = connection.replace("USER", shop.account).replace(
        "PASSWORD", shop.connector().config.password.get_secret_value()
    )
    text = SHOPS.replace("connector: push", "connector: oscommerce")
    text = text.replace("{secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]}", connection)
    try:
        async with quiet_house(settings(folder, database, POLICY, text), database) as context:
            here = Visit(World(context), shop, wire)
            await here.world.begins(START)
            await work.add(context.pool, here.world.shop_id, ["poll"], START)
            for fuse in here.connector.fuses.values():
                fuse.clock = lambda: here.seconds
            yield here
    finally:
        await wire.closes()


Mood = Callable[[Visit], Awaitable[Callable[[], Awaitable[object]]]]
"""Begins an outage and gives what ends it."""


def wire(fate: str, bytes_left: int = 0) -> Mood:
    async def begin(here: Visit) -> Callable[[], Awaitable[object]]:
        here.wire.fate, here.wire.bytes_left = fate, bytes_left
        here.wire.drops()
        patience, here.connector.db.patience = here.connector.db.patience, 0.3

        async def end() -> None:
            here.wire.fate = ""
            here.connector.db.patience = patience

        return end

    return begin


async def nobody_listens(here: Visit) -> Callable[[], Awaitable[object]]:
    await here.wire.closes()
    return here.wire.opens


async def is_refused(here: Visit) -> Callable[[], Awaitable[object]]:
    account = f"{here.shop.account}@localhost"
    password = here.connector.config.password.get_secret_value()
    await here.shop.run(f"ALTER USER {account} IDENTIFIED BY 'another'")
    here.wire.drops()
    return lambda: here.shop.run(f"ALTER USER {account} IDENTIFIED BY '{password}'")


async def loses_a_table(here: Visit) -> Callable[[], Awaitable[object]]:
    await here.shop.run("RENAME TABLE customers_basket TO in_repair")
    return lambda: here.shop.run("RENAME TABLE in_repair TO customers_basket")


async def locks_a_table(here: Visit) -> Callable[[], Awaitable[object]]:
    patience, here.connector.db.patience = here.connector.db.patience, 0.3
    await here.shop.run("LOCK TABLES products WRITE")

    async def end() -> None:
        await here.shop.run("UNLOCK TABLES")
        here.connector.db.patience = patience

    return end


MOODS = {
    "nobody listens": nobody_listens,
    "it hangs up": wire("turn away"),
    "it says nothing": wire("say nothing"),
    "it refuses the account": is_refused,
    "a table is locked for longer than our patience": locks_a_table,
    "a table is gone": loses_a_table,
    "it breaks off while it greets": wire("cut", 40),
    "it breaks off in the middle of an answer": wire("cut", 2500),
}


@pytest.mark.parametrize("mood", MOODS.values(), ids=MOODS)
async def test_an_outage_of_ten_minutes(database: str, open_folder: Path, pretend: Make, mood: Mood) -> None:
    shop = await pretend("modified")
    async with visit(database, open_folder, shop) as here:
        kettle = await shop.product()
        for number in range(6):
            await here.leaves(f"early{number}", kettle)
        assert await here.looks() == ""
        before = await here.carts()
        assert len(before) == 6

        back = await mood(here)
        for failure in range(1, 4):
            here.seconds = failure
            assert await here.looks() not in ("", "left alone")
        asked = here.wire.asked
        for _ in range(3):
            here.seconds += 1
            assert "left alone for" in await here.looks()
        assert here.wire.asked == asked
        await here.world.turns_to(here.world.now + 4 * MINUTE)
        await here.world.plans()
        assert await here.carts() == before
        assert await here.world.states() == {}

        await back()
        await here.leaves("meanwhile", kettle)
        here.seconds += 31
        assert await here.looks() == ""
        await here.looks(timedelta(minutes=70))
        assert await here.mailed() == [f"early{number}" for number in range(6)] + ["meanwhile"]
        assert await here.world.contradictions(MINUTE) == []


GARBAGE = {
    "quantities below nothing": "UPDATE customers_basket SET customers_basket_quantity = -3",
    "lines that name no product": "UPDATE customers_basket SET products_id = 'DROP TABLE'",
    "baskets whose customers are gone": "UPDATE customers_basket SET customers_id = customers_id + 100000",
}


@pytest.mark.parametrize("spoil", GARBAGE.values(), ids=GARBAGE)
async def test_nothing_is_planned_from_garbage(database: str, open_folder: Path, pretend: Make, spoil: str) -> None:
    shop = await pretend("modified")
    async with visit(database, open_folder, shop) as here:
        kettle = await shop.product()
        people = [await here.leaves(f"early{number}", kettle) for number in range(6)]
        await here.looks()
        before = await here.carts()

        await shop.run(spoil)
        for _ in range(5):
            await here.looks()
        await here.world.plans()
        assert await here.world.states() == {}
        assert [(row["ref"], row["total"]) for row in await here.carts() if row["state"] == "open"] in (
            [(row["ref"], row["total"]) for row in before],
            [],
        )

        await shop.delete("customers_basket", "1", 1)
        for customer in people:
            await shop.basket(customer, kettle, at=here.world.now)
        assert await here.looks() == ""
        await here.looks(timedelta(minutes=70))
        assert await here.mailed() == [f"early{number}" for number in range(6)]
        assert await here.world.contradictions(MINUTE) == []


async def test_the_look_before_a_message_is_not_asked_again_and_again(
    database: str, open_folder: Path, pretend: Make
) -> None:
    shop = await pretend("modified")
    async with visit(database, open_folder, shop) as here:
        await here.leaves("c", await shop.product())
        await here.looks()
        await here.looks(timedelta(minutes=70))
        await here.world.plans()
        await wire("turn away")(here)
        here.wire.asked = 0
        await here.world.turns_to(here.world.now + 11 * MINUTE)
        for _ in range(6):
            with pytest.raises(ShopUnavailable, match="no word on new orders"):
                await here.world.claims(8)
        assert here.wire.asked == 3
