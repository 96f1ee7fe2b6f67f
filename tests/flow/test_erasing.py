"""Who asks to be forgotten is forgotten: in every table, file and key, and the shop's next answer does not undo it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from daemon.flow import dossier, letterbox, optin
from daemon.flow.consents import Proof
from daemon.flow.keep import Look
from daemon.mail.packed import unpacked
from daemon.shops.base import ConsentHint, Customer
from daemon.store import inbox, suppressions
from daemon.store.dossier import Found
from daemon.store.suppressions import Entry
from daemon.tokens import Token, make_local_part

CANARIES = ("canary+7f3a", "leak.test", "1511234567", "kanaria", "leckmann", "ref-7f3a", "token-7f3a")
CANARY = Customer(
    ref="ref-7f3a",
    email="Canary+7f3a@leak.test",
    phone="+49 1511 234 5678",
    first_name="Kanaria",
    last_name="Leckmann",
    locale="de-DE",
    country="DE",
    consents=tuple(
        ConsentHint(
            purpose, "confirmed", None, "form of Kanaria", "double opt-in by canary+7f3a@leak.test", "I, Leckmann"
        )
        for purpose in ("email_mkt", "track_open", "track_click")
    ),
)
READER = {"User-Agent": "Thunderbird of Kanaria"}
WAITS = """
SELECT count(*) FROM pg_locks JOIN pg_stat_activity a USING (pid)
WHERE NOT granted AND locktype = $1 AND a.datname = current_database()
"""
"""For a lock of this test's database."""


async def rows_with(town: Any, *needles: str) -> list[str]:
    """`table.column: needle` for every text, json, bytea or array of the whole database."""
    tables = await town.fetch(
        "SELECT relname AS t FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    assert len(tables) > 15
    found = set()
    for table in tables:
        for row in await town.fetch(f"SELECT * FROM {table['t']}"):
            for column, value in row.items():
                text = told(column, value).lower()
                found |= {f"{table['t']}.{column}: {needle}" for needle in needles if needle in text}
    return sorted(found)


def told(column: str, value: Any) -> str:
    if column == "letter" and value is not None:
        return str(unpacked(value))
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def files_with(folder: Path, *needles: str) -> list[str]:
    texts = {path: path.read_bytes().lower() for path in folder.rglob("*") if path.is_file()}
    return [f"{path}: {needle}" for path, text in texts.items() for needle in needles if needle.encode() in text]


async def keys_with(redis_url: str, *needles: str) -> list[str]:
    client = redis.asyncio.Redis.from_url(redis_url)
    try:
        texts = [key + (await client.dump(key) or b"") async for key in client.scan_iter()]
    finally:
        await client.aclose()
    return [needle for text in texts for needle in needles if needle.encode() in text.lower()]


async def found(town: Any, word: str, by: str | None = None) -> list[Found]:
    return await dossier.find(town.context.pool, town.context.pepper, [town.shop_id], word, by)


async def erase(town: Any, word: str = "canary+7f3a@leak.test") -> dossier.Erased:
    [one] = await found(town, word)
    return await dossier.erase(town.context.pool, town.context.pepper, town.shop_id, one.id, await town.now())


@pytest.fixture
async def lived_in(make_town: Any, make_buyer: Any, links_of: Any) -> Any:
    """Kanaria got a mail, opened it and followed a link; her shop pushed something of her, and is looked at."""
    town = await make_town(poll_every=timedelta(hours=1))
    town.shop = await town.polls()
    cart = town_cart("cart-ref-7f3a", CANARY)
    town.letters.refuse["bob@example.org"] = "550 5.1.1 no such user"
    await push(town, "d1", {"type": "cart.changed", "cart": {"id": "cart-ref-7f3a"}, "email": CANARY.email})
    await town.passes(minutes=70)  # the first look
    town.shop.shows["cart-ref-7f3a"] = cart
    town.shop.shows["c2"] = town_cart("c2", make_buyer("bob"))
    await town.passes(hours=4)
    [mail] = town.letters.of(CANARY.email)
    async with town.http.get(f"{town.public}/o/{links_of(mail)['o'][0]}.gif", headers=READER):
        pass
    async with town.http.get(f"{town.public}/c/{links_of(mail)['c'][0]}", headers=READER, allow_redirects=False):
        pass
    await town.settles()
    return town


def town_cart(ref: str, customer: Customer) -> Any:
    from tests.flow.conftest import basket

    made = basket(
        ref, customer, "red", recovery_url="https://shop.example/back?t=token-7f3a" if customer is CANARY else ""
    )
    options = "Gravur: Kanaria" if customer is CANARY else ""
    return replace(made, lines=tuple(replace(line, options=options) for line in made.lines))


async def push(town: Any, number: str, body: dict[str, Any]) -> None:
    await inbox.keep(town.context.pool, [inbox.Delivery(town.shop_id, "push", number, json.dumps(body).encode())])
    town.context.ring("inbox", town.shop_id)


async def test_nothing_is_left_of_them_not_even_after_the_next_poll(log, lived_in, redis_url):
    town = lived_in
    assert len(await rows_with(town, *CANARIES)) > 20
    done = await erase(town)
    assert done.recoveries == 1
    assert await rows_with(town, *CANARIES) == []
    sent = len(town.letters.taken)
    await town.passes(days=1)
    assert town.context.shops["main"].shows["cart-ref-7f3a"].customer is CANARY
    assert await rows_with(town, *CANARIES) == []
    assert files_with(town.context.data_dir, *CANARIES) == []
    assert "tracked" in log.getvalue()
    assert [needle for needle in CANARIES if needle in log.getvalue().lower()] == []
    assert await keys_with(redis_url, *CANARIES) == []
    assert len(town.letters.taken) == sent
    assert (await town.ends())["erased"] == 1
    await town.books_are_clean()


async def test_what_somebody_typed_of_them_goes_too(lived_in):
    """The reason of a pause, of a message that was settled by hand, and where a suppression came from."""
    town = lived_in
    [one] = await found(town, CANARY.email)
    execute = town.context.pool.execute
    await execute(
        "INSERT INTO pause (shop_id, reason, since, lifted_at) VALUES ($1, 'Canary+7f3a@leak.test rang', now(), now()),"
        " ($1, 'stocktaking', now(), now())",
        town.shop_id,
    )
    await execute("UPDATE message SET reason = 'resolved by hand: Kanaria rang' WHERE person_id = $1", one.id)
    await execute(
        "INSERT INTO suppression (shop_id, channel, address_hmac, reason, source, since)"
        " SELECT shop_id, 'any', email_hmac, 'Kanaria asked', 'list of Leckmann', now() FROM person WHERE id = $1",
        one.id,
    )
    await erase(town)
    assert await rows_with(town, *CANARIES) == []
    assert {row["reason"] for row in await town.fetch("SELECT reason FROM pause")} >= {"erased", "stocktaking"}
    assert await town.value("SELECT count(*) FROM message WHERE reason = 'resolved by hand'") > 0
    assert await town.value("SELECT count(*) FROM suppression WHERE source = 'erased'") == 1


async def test_who_opens_an_old_mail_of_theirs_is_not_kept(lived_in, links_of):
    town = lived_in
    [mail] = town.letters.of(CANARY.email)
    await erase(town)
    hits = await town.value("SELECT count(*) FROM event")
    async with town.http.get(f"{town.public}/o/{links_of(mail)['o'][0]}.gif", headers=READER):
        pass
    await town.settles()
    assert await town.value("SELECT count(*) FROM event") == hits + 1
    assert await town.value("SELECT count(*) FROM event WHERE user_agent <> '' OR ip_net <> ''") == 0


async def test_what_is_pushed_of_them_afterwards_leaves_no_trace(lived_in):
    town = lived_in
    await erase(town)
    now = await town.now()
    customer = {"id": CANARY.ref, "email": CANARY.email, "first_name": "Kanaria"}
    await push(town, "d2", {"garbage": customer})
    event = {
        "type": "order.changed",
        "timestamp": now.isoformat(),
        "data": {"id": "o-ref-7f3a", "email": CANARY.email, "customer_id": CANARY.ref},
    }
    await push(town, "d3", event)
    await town.settles()
    before = await town.value("SELECT count(*) FROM person")
    await town.buys("o-ref-7f3a", CANARY)
    assert await town.value("SELECT count(*) FROM person") == before
    assert await town.value("SELECT count(*) FROM shop_order WHERE ref LIKE 'o-%'") == 0


async def test_an_opt_out_outlives_the_person(lived_in):
    town = lived_in
    [one] = await found(town, CANARY.email)
    hmac = await town.value("SELECT email_hmac FROM person WHERE id = $1", one.id)
    async with town.context.pool.acquire() as db, db.transaction():
        await suppressions.add(db, town.shop_id, "email", [Entry(hmac, "complained", await town.now())], "by hand")
    await erase(town)
    assert await rows_with(town, *CANARIES) == []
    [row] = [one for one in await suppressions.every(town.context.pool, town.shop_id) if one["source"] == "by hand"]
    assert (row["address"], row["reason"]) == (hmac.hex(), "complained")
    sent = len(town.letters.taken)
    await town.passes(hours=1)
    back = came_back(await town.now())
    town.shop.shows = {"c9": town_cart("c9", back)}
    await town.passes(days=1)
    assert [one.kind for one in await found(town, CANARY.email)] == ["email"]
    assert await town.value("SELECT count(*) FROM person WHERE email IS NOT NULL AND first_name = 'Kanaria'") == 1
    assert [to for to, _ in town.letters.taken[sent:] if to == CANARY.email] == []


def came_back(at: Any) -> Customer:
    proof = tuple(
        ConsentHint(p, "confirmed", at, "form", "double opt-in")
        for p in ("email_mkt", "track_open", "track_click")  # type: ignore[arg-type]
    )
    return replace(CANARY, consents=proof)


async def test_who_consents_anew_is_a_new_person(lived_in):
    town = lived_in
    await erase(town)
    await town.passes(hours=1)
    town.shop.shows["cart-ref-7f3a"] = town_cart("cart-ref-7f3a", came_back(await town.now() - timedelta(minutes=5)))
    sent = len(town.letters.of(CANARY.email))
    await town.passes(days=1)
    assert len(town.letters.of(CANARY.email)) > sent
    assert await town.value("SELECT count(*) FROM identity WHERE value LIKE 'gone:%'") == 0
    assert await town.value("SELECT count(*) FROM person WHERE first_name = 'Kanaria' AND erased_at IS NULL") == 1
    await town.books_are_clean()


async def test_another_customer_who_gives_the_erased_address_is_only_themselves(lived_in, make_buyer):
    town = lived_in
    await erase(town)
    await town.buys("o7", make_buyer("bob"), email=CANARY.email)
    assert await rows_with(town, *CANARIES) == []
    bob = await town.value("SELECT person_id FROM identity WHERE value = 'bob'")
    assert await town.value("SELECT person_id FROM shop_order WHERE ref = 'o7'") == bob
    assert (await town.ends())["purchase"] == 1


async def test_a_mail_on_its_way_leaves_no_answer_behind(lived_in):
    """The relay's word comes in after the erasure."""
    from channels.base import Outcome
    from daemon.store import messages

    town = lived_in
    [row] = await town.fetch(
        "UPDATE message m SET state = 'sending', fence = 999, sending_at = now(), prepared_at = now(),"
        " accepted_at = NULL, lease_until_real = now() + interval '1 h'"
        " FROM person p WHERE p.id = m.person_id AND p.first_name = 'Kanaria' RETURNING m.id, m.recovery_id"
    )
    await town.context.pool.execute(
        "INSERT INTO attempt (shop_id, message_id, fence, started_at) VALUES ($1, $2, 999, now())",
        town.shop_id,
        row["id"],
    )
    await erase(town)
    outcome = Outcome("failed", code="550", error="550 Kanaria Leckmann <canary+7f3a@leak.test> is away")
    async with town.context.pool.acquire() as db, db.transaction():
        given = [(row["id"], 999, outcome)]
        await messages.record(db, town.shop_id, given, await town.now())
    assert await rows_with(town, *CANARIES) == []


async def test_those_who_were_merged_into_them_are_erased_with_them(town, make_buyer):
    guest = Customer(email="canary+7f3a@leak.test", first_name="Kanaria", is_guest=True)
    other = Customer(ref="ref-7f3a", email="other@example.org", first_name="Kanaria")
    await town.leaves_cart("c1", guest, "red")
    await town.leaves_cart("c2", other, "red")
    await town.passes(minutes=5)
    await town.leaves_cart("c2", replace(other, email=guest.email), "red", "blue")
    assert await town.value("SELECT count(*) FROM person WHERE merged_into IS NOT NULL") == 1
    done = await erase(town)
    assert len(done.people) == 2
    assert await rows_with(town, *CANARIES, "other@example.org") == []
    assert (await erase(town)).already
    assert await town.value("SELECT count(*) FROM identity WHERE value LIKE 'gone:%'") >= 2
    await town.leaves_cart("c5", replace(other, email="third@example.org"), "red")
    assert await rows_with(town, *CANARIES, "third@example.org") == []
    await town.books_are_clean()


async def test_an_erasure_in_the_middle_of_a_look_at_the_shop_waits_for_its_end(town):
    """Who has read of somebody writes of them first; then they are erased."""
    import asyncio

    from daemon.flow import ingest, keep
    from daemon.store import work

    await town.leaves_cart("cart-ref-7f3a", CANARY, "red")
    now = await town.now()
    async with town.context.pool.acquire() as db:
        begun = db.transaction()
        await begun.start()
        await work.serialise(db, town.shop_id)
        gone = asyncio.create_task(erase(town))
        await waits_for_lock(town)
        cart = town_cart("cart-ref-7f3a", replace(CANARY, first_name="Kanaria II"))
        await keep.keep_carts(town.context, db, town.shop_id, [cart], Look(now, ingest.micros(now) + 1, pushed=True))
        await begun.commit()
    await gone
    assert await rows_with(town, *CANARIES) == []


async def waits_for_lock(town: Any) -> None:
    import asyncio

    async with asyncio.timeout(60):
        while not await town.value(WAITS, "advisory"):
            await asyncio.sleep(0.005)


async def test_a_late_outcome_of_an_ended_recovery_and_an_erasure_wait_in_one_order(town):
    """Whoever records locks the recovery and then its message: who erases must not hold the message by then."""
    import asyncio

    await town.leaves_cart("cart-ref-7f3a", CANARY, "red")
    await town.passes(hours=1, minutes=1)
    await town.buys("order-7f3a", CANARY)
    assert await town.ends() == {"purchase": 1}
    async with town.context.pool.acquire() as db:
        begun = db.transaction()
        await begun.start()
        await db.execute("SELECT id FROM recovery FOR NO KEY UPDATE")
        gone = asyncio.create_task(erase(town))
        async with asyncio.timeout(60):
            while not await town.value(WAITS, "transactionid"):
                assert not gone.done(), "it has written the message of a recovery that somebody else holds"
                await asyncio.sleep(0.005)
        await db.execute("SET LOCAL lock_timeout = '5s'")
        await db.execute("UPDATE message SET reason = 'late'")
        await begun.commit()
    await gone


NAMED = b"""Return-Path: <>
To: %s
Content-Type: multipart/report; report-type=delivery-status; boundary=x

--x

sorry
--x
Content-Type: message/delivery-status

Final-Recipient: rfc822; canary+7f3a@leak.test
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 no such user: Kanaria Leckmann

--x--
"""


async def bounces(town: Any, purpose: Any, number: int) -> None:
    """A report that it did not arrive, in which the other server names her."""
    local = make_local_part(town.context.secrets, Token(purpose, town.shop_id, number))
    await letterbox.keep(town.context, town.shop_id, NAMED % f"b+{local}@shop.example".encode())
    await town.settles()


@pytest.mark.parametrize("after", [False, True], ids=["before it", "after it"])
async def test_what_another_server_said_of_them_goes_too(lived_in, after):
    """The words of a bounce stand beside the message and in its event."""
    town = lived_in
    message = await town.value(
        "SELECT m.id FROM message m JOIN person p ON p.id = m.person_id WHERE p.first_name = 'Kanaria' LIMIT 1"
    )
    if not after:
        await bounces(town, "bounce", message)
    await erase(town)
    if after:
        await bounces(town, "bounce", message)
    assert await rows_with(town, *CANARIES) == []
    reason = await town.value("SELECT reason FROM message WHERE id = $1", message)
    assert reason == "hard 5.1.1"


async def test_a_report_on_a_request_that_went_with_them_is_not_kept(town):
    customer = Customer(email=CANARY.email, locale="de-DE")
    proof = Proof("footer", wording="Ja")
    await optin.request(town.context, town.shop_id, customer, ("email_mkt",), proof, await town.now())
    await town.settles()
    request = await town.value("SELECT id FROM opt_in")
    await erase(town)
    await bounces(town, "asked", request)
    assert await town.value("SELECT effect FROM inbox") == "about a request that is not kept any more"
    assert await rows_with(town, *CANARIES) == []
