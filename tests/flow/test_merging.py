"""Two that turn out to be one, by the shop's word or by hand, and two that were taken for one."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from daemon.context import address_hmac
from daemon.flow import decide, deliver, dossier, enrol, merging, persons, policies, prepare
from daemon.store import facts, messages, optouts
from daemon.store import merging as store

ENDS = "ARRAY['wake_at']"
"""Of a recovery: it is asked anew."""
TABLES = ("identity", "cart", "shop_order", "recovery", "message", "event", "consent", "subscription", "suppression")


async def two(town: Any, make_buyer: Any) -> tuple[int, int]:
    """A guest and an account, each with a cart that was followed up and a mail that was sent."""
    await town.leaves_cart("c1", make_buyer("", email="guest@example.org", is_guest=True), "red")
    await town.buys("o2", make_buyer("7", email="ada@example.org"), ago=timedelta(days=90))
    await town.leaves_cart("c2", make_buyer("7", email="ada@example.org", phone="+4915112345678"), "blue")
    await town.passes(hours=2)
    older, younger = [row["id"] for row in await town.fetch("SELECT id FROM person ORDER BY id")]
    return older, younger


async def snapshot(town: Any) -> dict[str, list[str]]:
    """Every row that says whose it is, but for what only says that something changed."""
    left: dict[str, list[str]] = {}
    for table in TABLES:
        rows = await town.fetch(f"SELECT to_jsonb(t) - {ENDS} AS row FROM {table} t ORDER BY t::text")
        left[table] = sorted(json.dumps(row["row"], sort_keys=True) for row in rows)
    left["person"] = [
        json.dumps(row["row"], sort_keys=True)
        for row in await town.fetch("SELECT to_jsonb(p) - 'facts_no' AS row FROM person p ORDER BY id")
    ]
    return left


async def by_hand(town: Any, one: int, other: int, share: float = 0.0) -> int:
    return await merging.by_hand(town.context.pool, town.shop_id, one, other, share, await town.now())


async def undo(town: Any, number: int) -> list[str]:
    """Why a recovery that ended with the merge stays ended, if there was one; empty: it goes on."""
    _, left = await merging.undo(town.context.pool, town.shop_id, number, await town.now())
    return [one.because for one in left]


async def counted(town: Any, recovery: int) -> int:
    known = policies.shop_facts(town.context, town.shop_id, await town.now())
    case = (await facts.of_recoveries(town.context.pool, town.shop_id, [recovery], known))[recovery]
    return len(case.facts.counted)


async def test_a_guest_who_turns_out_to_have_bought_gets_nothing_that_is_on_its_way(town, make_buyer):
    """Not even what was claimed already: the last look before it leaves finds their recovery ended."""
    await town.leaves_cart("c1", make_buyer("", email="guest@example.org", is_guest=True), "red")
    await town.buys("o1", make_buyer("7", email="ada@example.org"))
    pool, now = town.context.pool, await town.now() + timedelta(hours=2)
    for step in (enrol.resting_carts, decide.due_recoveries, prepare.planned_messages):
        await step(town.context, town.shop_id, now)
    _, [(claim, _)] = await deliver.claim(town.context, town.shop_id, "email", now, 10)
    assert await messages.still_wanted(pool, town.shop_id, [(claim.id, claim.fence)])
    guest, account = [row["id"] for row in await town.fetch("SELECT id FROM person ORDER BY id")]
    await by_hand(town, account, guest)
    assert not await messages.still_wanted(pool, town.shop_id, [(claim.id, claim.fence)])
    assert await town.value("SELECT end_reason FROM recovery") == "purchase"


async def test_what_was_merged_by_mistake_is_parted_again_with_every_row(town, make_buyer):
    older, younger = await two(town, make_buyer)
    await town.context.pool.execute(
        "INSERT INTO suppression VALUES ($1, 'sms', (SELECT phone_hmac FROM person WHERE id = $2), 'STOP', 'x', now())",
        town.shop_id, younger,
    )  # fmt: skip
    before = await snapshot(town)
    number = await by_hand(town, younger, older)
    assert await town.value("SELECT count(DISTINCT person_id) FROM cart") == 1
    assert await town.value("SELECT customer_ref FROM person WHERE id = $1", older) == "7"
    assert await town.value("SELECT merged_into FROM person WHERE id = $1", younger) == older
    [row] = await store.of_person(town.context.pool, town.shop_id, younger)
    assert (row.id, row.older, row.younger, row.evidence, row.undone_at) == (number, older, younger, store.HAND, None)
    await town.books_are_clean()
    assert await snapshot(town) != before
    await undo(town, number)
    assert await snapshot(town) == before
    [row] = await store.of_person(town.context.pool, town.shop_id, younger)
    assert row.undone_at is not None
    assert await town.ends() == {"open": 2}
    await town.books_are_clean()

    number = await by_hand(town, older, younger)
    await town.passes(minutes=1)
    await town.leaves_cart("c2", make_buyer("7", email="new@example.org"), "blue", "red")
    await undo(town, number)
    emails = [row["email"] for row in await town.fetch("SELECT email FROM person ORDER BY id")]
    assert emails == ["new@example.org", "ada@example.org"], "what the shop said while they were one stays"


async def test_a_mail_to_either_counts_for_both_while_they_are_one_and_after(town, make_buyer):
    older, younger = await two(town, make_buyer)
    recovery = await town.value("SELECT id FROM recovery WHERE person_id = $1", older)
    assert await counted(town, recovery) == 1
    number = await by_hand(town, older, younger)
    assert await counted(town, recovery) == 2
    assert await town.ends() == {"open": 1, "merged": 1}
    await town.passes(hours=30)
    sent = await town.value("SELECT count(*) FROM message WHERE state = 'accepted'")
    assert sent == 3, "the older's ladder goes on, the younger's does not"
    await undo(town, number)
    assert await counted(town, recovery) == 3
    other = await town.value("SELECT id FROM recovery WHERE person_id = $1", younger)
    assert await counted(town, other) == 3, "whoever read it may have been either"


async def test_a_recovery_that_ended_with_the_merge_goes_on_with_its_next_step(town, make_buyer):
    older, younger = await two(town, make_buyer)
    number = await by_hand(town, older, younger)
    await town.passes(hours=2)
    assert await undo(town, number) == [""]
    await town.passes(days=3)
    rows = await town.fetch("SELECT person_id, step, state FROM message ORDER BY id")
    assert [row["step"] for row in rows if row["person_id"] == younger] == ["remind", "doubts", "last-call"]
    assert {row["state"] for row in rows} == {"accepted"}
    await town.books_are_clean()


@pytest.mark.parametrize(
    ("statement", "because"),
    [
        pytest.param(
            "UPDATE cart SET state = 'emptied', look_at = NULL, closed_at = now() WHERE ref = 'c2'",
            "its cart was emptied",
            id="the cart was emptied",
        ),
        pytest.param(
            "INSERT INTO event (shop_id, id, kind, person_id, at, handled_at) "
            "SELECT shop_id, gen_random_uuid(), 'unsubscribed', id, now() + interval '9 years', now() FROM person "
            "WHERE merged_into IS NULL",
            "one of the two objected since",
            id="somebody objected",
        ),
    ],
)
async def test_a_recovery_that_cannot_go_on_says_why(town, make_buyer, statement, because):
    number = await by_hand(town, *await two(town, make_buyer))
    await town.context.pool.execute(statement)
    assert await undo(town, number) == [because]
    assert await town.ends() == {"open": 1, "merged": 1}


async def test_who_objected_as_either_is_written_to_as_neither(town, make_buyer):
    older, younger = await two(town, make_buyer)
    pool, pepper = town.context.pool, town.context.pepper
    gone = address_hmac(pepper, "email", "ada@example.org")
    await pool.execute(
        "INSERT INTO suppression VALUES ($1, 'email', $2, 'unsubscribed', 'message 2', now())", town.shop_id, gone
    )
    await pool.execute(
        "INSERT INTO suppression VALUES ($1, 'any', $2, 'bounced', 'delivery', now())", town.shop_id, gone
    )
    await pool.execute(
        "INSERT INTO consent (shop_id, person_id, purpose, state, at, recorded_at, source) "
        "VALUES ($1, $2, 'track_open', 'withdrawn', now(), now(), 'shop')",
        town.shop_id, younger,
    )  # fmt: skip
    number = await by_hand(town, older, younger)
    kept = address_hmac(pepper, "email", "guest@example.org")
    rows = await town.fetch("SELECT channel, reason, source FROM suppression WHERE address_hmac = $1", kept)
    assert [tuple(row) for row in rows] == [("email", "unsubscribed", "merge")], "that an address is dead goes nowhere"
    newest = "SELECT state FROM consent WHERE person_id = $1 AND purpose = 'track_open' ORDER BY id DESC LIMIT 1"
    assert await town.value(newest, older) == "withdrawn"
    await town.passes(hours=30)
    assert await town.value("SELECT count(*) FROM message WHERE state = 'accepted'") == 2
    await undo(town, number)
    assert await town.fetch("SELECT FROM suppression WHERE address_hmac = $1", kept) == []
    assert await town.value(newest, older) == "confirmed"

    number = await by_hand(town, older, younger)
    link = {"channel": "email", "address_hmac": kept, "source": "message 1"}
    await optouts.sql.suppress(pool, shop_id=town.shop_id, at=await town.now(), **link)
    await undo(town, number)
    source = await town.value("SELECT source FROM suppression WHERE address_hmac = $1", kept)
    assert source == "message 1", "who objects while they are one has objected for good"


async def test_what_was_parted_is_not_made_one_again_by_the_same_evidence(town, make_buyer):
    await town.leaves_cart("c1", make_buyer("", email="ada@example.org", is_guest=True), "red")
    await town.leaves_cart("c2", make_buyer("7", email=""), "blue")
    await town.passes(minutes=1)
    await town.leaves_cart("c2", make_buyer("7", email="ada@example.org"), "blue", "red")
    [row] = await town.fetch("SELECT id, older, younger, kind, value FROM merge")
    assert (row["kind"], row["value"]) == ("email", "ada@example.org")
    await undo(town, row["id"])
    await town.passes(minutes=1)
    await town.leaves_cart("c2", make_buyer("7", email="ada@example.org"), "green")
    assert await town.value("SELECT count(*) FROM person WHERE merged_into IS NULL") == 2
    await town.leaves_cart("c3", make_buyer("", email="ada@example.org", is_guest=True), "red")
    whose = dict(await town.fetch("SELECT ref, person_id FROM cart"))
    assert whose == {"c1": row["older"], "c2": row["younger"], "c3": row["older"]}, "the address stayed where it was"
    again = await by_hand(town, row["older"], row["younger"])
    assert again != row["id"], "somebody who knows better may"


async def test_who_is_held_out_on_either_side_is_held_out(make_town, make_buyer):
    town = await make_town(holdout="50%")
    older, younger = await two(town, make_buyer)
    await town.context.pool.execute("UPDATE person SET split_key = CASE id WHEN $1 THEN 0.9 ELSE 0.1 END", older)
    before = await snapshot(town)
    number = await by_hand(town, older, younger, 0.5)
    assert await town.value("SELECT split_key FROM person WHERE id = $1", older) == 0.1
    assert await town.value("SELECT bool_and(crossed) FROM recovery")
    await town.buys("o1", make_buyer("7", email="ada@example.org"))
    await town.passes(days=20)
    await town.leaves_cart("c9", make_buyer("7", email="ada@example.org"), "red", "green")
    await town.passes(hours=2)
    [newest] = await town.fetch("SELECT held_out, crossed FROM recovery ORDER BY id DESC LIMIT 1")
    assert (newest["held_out"], newest["crossed"]) == (True, True)
    await undo(town, number)
    keys = dict(await town.fetch("SELECT id, split_key FROM person"))
    assert keys == {older: 0.9, younger: 0.1}
    assert before["recovery"] != []


async def test_merges_are_taken_back_the_last_one_first(town, make_buyer):
    for number in "1234":
        await town.leaves_cart(f"c{number}", make_buyer(number), "red")
    before = await snapshot(town)
    first = await by_hand(town, 2, 3)
    second = await by_hand(town, 1, 2)
    with pytest.raises(merging.Refused, match="person 2 is person 1 now"):
        await undo(town, first)
    assert await town.value("SELECT count(*) FROM person WHERE merged_into = 1") == 2
    await undo(town, second)
    with pytest.raises(merging.Refused, match="taken back already"):
        await undo(town, second)
    await undo(town, first)
    assert await snapshot(town) == before
    with pytest.raises(merging.Refused, match="there is no merge"):
        await undo(town, 77)

    await dossier.erase(town.context.pool, town.context.pepper, town.shop_id, 4, await town.now())
    await by_hand(town, 2, 3)
    refused = {
        (1, 1): "is one already",
        (1, 99): "no person 99",
        (1, 3): "person 3 is person 2 now",
        (4, 1): "was erased",
    }
    for pair, because in refused.items():
        with pytest.raises(merging.Refused, match=because):
            await by_hand(town, *pair)


async def test_they_buy_as_one_and_are_erased_as_one(town, make_buyer):
    older, younger = await two(town, make_buyer)
    number = await by_hand(town, older, younger)
    await town.buys("o1", make_buyer("7", email="ada@example.org"))
    assert await town.ends() == {"merged": 1, "purchase": 1}, "what either bought, both have"
    held = await dossier.held(town.context.pool, town.shop_id, older)
    assert [row["id"] for row in held["merge"]] == [number]
    await dossier.erase(town.context.pool, town.context.pepper, town.shop_id, older, await town.now())
    assert await town.value("SELECT moved::text FROM merge") == "{}"
    with pytest.raises(merging.Refused, match="was erased"):
        await undo(town, number)


def customers(*names: str) -> list[Any]:
    return [persons.Customer(ref=ref, email=email) for ref, email in (name.split(" ") for name in names)]


async def test_three_in_one_look_become_one(town):
    """The account's address is one guest's, then another's: each guest turns out to be the account."""
    pool, now = town.context.pool, await town.now()

    async def kept(*names: str) -> list[int | None]:
        async with pool.acquire() as db, db.transaction():
            return await persons.keep(town.context, db, town.shop_id, customers(*names), now, 1)

    a, b, c = [(await kept(name))[0] for name in (" a@x.org", " b@x.org", "7 ")]
    assert len({a, b, c}) == 3
    assert set(await kept("7 b@x.org", "7 a@x.org")) == {a}
    assert await town.value("SELECT count(*) FROM person WHERE merged_into = $1", a) == 2
    assert (await town.now()) - now < timedelta(minutes=1)
    await town.books_are_clean()
