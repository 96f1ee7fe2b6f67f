"""Who has to leave an ad audience leaves it at once, whoever says so: the shopper, the shop, the operator."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from channels.base import Event
from daemon.context import address_hmac
from daemon.doctor.signs import QUESTIONS
from daemon.flow import letterbox, merging
from daemon.shops.base import OrderSnapshot
from daemon.store import inbox, members
from daemon.store.inbox import Delivery
from daemon.tokens import Token, make
from tests.daemon.conftest import beside, own_logging
from tests.reports import report_on

from .audience_town import POLICY, Stage, member_to_be, platform, shops
from .conftest import SHOPS, START, Town, basket
from .test_shop_taken_out import puts_back, serves, takes_out

__all__ = ["beside", "own_logging"]

LATER = POLICY.replace("[doubts, last-call]", "[last-call]") + "  - {name: doubts, after: 30h}\n"


@pytest.fixture
async def stage(make_town: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """A hundred and twenty who are in it, and Ada, who got a mail and did not open it. Nothing is done by a timer."""
    monkeypatch.setattr("daemon.flow.audiences.EVERY", timedelta(days=90))
    async with platform("meta") as (made, audience, words):
        stage = Stage(await make_town(shops(SHOPS, words), {"main": LATER}), made, audience)
        await stage.crowd(120)
        await stage.town.leaves_cart("c1", member_to_be("ada"), "a")
        await stage.town.context.pool.execute("UPDATE person SET split_key = 0.9")
        await stage.town.passes(hours=26)
        assert stage.inside() == 121
        yield stage


async def reason(stage: Stage) -> str:
    return str(await stage.town.value("SELECT end_reason FROM member WHERE ended_at IS NOT NULL"))


async def becomes(stage: Stage, number: int) -> None:
    """So many are in it: what was rung for is done, and no time passes."""
    at = await stage.town.now()
    async with asyncio.timeout(60):
        while stage.inside() != number:
            await asyncio.sleep(0.01)
    await stage.town.settles()
    assert await stage.town.now() == at
    assert stage.platform.small_uploads == 0


async def one_click(stage: Stage, links_of: Any, beside: Any) -> str:
    [mail] = stage.town.letters.of("ada@example.org")
    body = {"List-Unsubscribe": "One-Click"}
    async with stage.town.http.post(f"{stage.town.public}/u/{links_of(mail)['u'][0]}", data=body) as answer:
        assert answer.status == 200
    return "suppressed"


async def button(stage: Stage, links_of: Any, beside: Any) -> str:
    """Mails are switched off on the page of one's own choices."""
    message = await stage.town.value("SELECT id FROM message WHERE step = 'remind'")
    token = make(stage.town.context.secrets, Token("prefer", stage.town.shop_id, message))
    form = {"do": "choose", "often": "normal", "pause": "0", "locale": ""}
    async with stage.town.http.post(f"{stage.town.public}/p/{token}", data=form) as answer:
        assert answer.status == 200, await answer.text()
    return "suppressed"


async def complaint(stage: Stage, links_of: Any, beside: Any) -> str:
    """A report of a complaint by mail (ARF)."""
    message = await stage.town.value("SELECT id FROM message WHERE step = 'remind'")
    raw = report_on(stage.town.context, "complaint", stage.town.shop_id, message)
    await letterbox.keep(stage.town.context, stage.town.shop_id, raw)
    return "suppressed"


async def stop(stage: Stage, links_of: Any, beside: Any) -> str:
    """A STOP by text, as its provider tells it."""
    context, phone = stage.town.context, "+4915112345678"
    hmac = address_hmac(context.pepper, "phone", phone)
    await context.pool.execute("UPDATE person SET phone = $1, phone_hmac = $2 WHERE customer_ref = 'ada'", phone, hmac)
    told = asdict(Event("stopped", "SM1", address=phone, text="STOP"))
    row = Delivery(stage.town.shop_id, "channel sms", "SM1", json.dumps(told).encode())
    await inbox.keep(context.pool, [row])
    context.ring("callbacks", stage.town.shop_id)
    return "suppressed"


async def erased(stage: Stage, links_of: Any, beside: Any) -> str:
    await beside(stage.town)("person", "erase", "ada@example.org", "--yes")
    return "erased"


async def listed(stage: Stage, links_of: Any, beside: Any) -> str:
    await beside(stage.town)("suppress", "add", "ada@example.org")
    return "suppressed"


async def merged(stage: Stage, links_of: Any, beside: Any) -> str:
    await beside(stage.town)("person", "merge", "ada@example.org", "crowd7@example.org")
    return "merged"


OFTEN, SELDOM = (one_click, stop, erased), (button, complaint, listed, merged)


@pytest.mark.parametrize("way", [*OFTEN, *(pytest.param(way, marks=pytest.mark.long) for way in SELDOM)])
async def test_whoever_says_it_is_heeded_at_once(stage, links_of, beside, way):
    because = await way(stage, links_of, beside)
    await becomes(stage, 120)
    if because != "erased":  # of whom nothing is left here as soon as the platform was told
        assert await reason(stage) == because


async def test_purchase_that_is_found_right_before_a_message_is_heeded_at_once(stage):
    ada = member_to_be("ada")
    shop = await stage.town.polls()
    shop.shows["c1"] = basket("c1", ada, "a", source_updated_at=START)
    await stage.town.settles()
    sold = OrderSnapshot("o1", await stage.town.now(), "paid", "purchase", Decimal(9), "EUR", ada.ref, ada.email)
    shop.has_sold.append(sold)
    later = await stage.town.now() + timedelta(days=3)
    await stage.town.context.pool.execute("UPDATE work SET due_at = $1 WHERE name = 'poll'", later)
    await stage.town.passes(hours=6)
    assert shop.asked_for_orders > 0
    assert len(stage.town.letters.of(ada.email)) == 1
    await becomes(stage, 120)
    assert await reason(stage) == "purchase"


async def test_who_bought_between_the_claim_and_its_end_is_never_in(stage):
    town, pool = stage.town, stage.town.context.pool
    bought = await town.now()
    await town.buys("o1", member_to_be("ada"))
    await stage.syncs()
    assert stage.inside() == 120
    await town.passes(minutes=1)
    await pool.execute("DELETE FROM member WHERE ended_at IS NOT NULL")
    await pool.execute(
        "UPDATE message SET state = 'accepted', sending_at = $1::timestamptz - interval '1 s', "
        "accepted_at = $1::timestamptz + interval '1 s' WHERE channel = 'audience'",
        bought,
    )
    await stage.syncs()
    assert stage.inside() == 120
    assert await reason(stage) == "purchase"


async def test_word_that_comes_in_the_middle_of_a_run_is_not_lost(stage, monkeypatch):
    person = await stage.town.value("SELECT id FROM person WHERE customer_ref = 'ada'")
    pool, shop_id = stage.town.context.pool, stage.town.shop_id
    real, heard = members.forget, []

    async def forget(db: Any, shop: int, before: Any) -> None:
        """The last thing that a run does."""
        if not heard:
            heard.append(person)
            await pool.execute("UPDATE person SET may_be_written_to = false WHERE id = $1", person)
            await members.heed(pool, shop_id, [person], await stage.town.now())
        await real(db, shop, before)

    monkeypatch.setattr(members, "forget", forget)
    await stage.crowd(1, "more")
    stage.town.context.ring("audiences", shop_id)
    stage.town.context.bell.set()
    async with asyncio.timeout(60):
        while not heard:
            await asyncio.sleep(0.01)
    await becomes(stage, 121)
    assert await reason(stage) == "not_allowed"


async def told(town: Town) -> list[str]:
    found = [one for question in QUESTIONS for one in await question.ask(town.context, await town.now())]
    return [str(one) for one in found if one.about == "audience"]


async def test_nobody_stays_in_the_audience_of_a_shop_that_was_taken_out(stage):
    shop_id, words = await takes_out(stage.town)
    await becomes(stage, 0)
    assert await reason(stage) == "removed"
    assert await stage.town.value("SELECT count(*) FROM member WHERE shop_id = $1 AND actual <> 'out'", shop_id) == 0
    await puts_back(stage.town, words)
    await stage.syncs()
    assert stage.inside() == 0
    assert await told(stage.town) == []


@pytest.mark.long
async def test_nobody_stays_in_an_audience_that_was_taken_out(stage):
    path = stage.town.context.settings.rules_dir / "shops.yaml"
    before = path.read_text()
    lines = [line for line in before.splitlines() if "audiences:" not in line and "shoes:" not in line]
    path.write_text("\n".join(lines) + "\n")
    (path.parent / "main.yaml").write_text(POLICY.partition("  - {name: retarget")[0])
    await becomes(stage, 0)
    assert await reason(stage) == "removed"


async def test_platform_that_nobody_can_reach_any_more_is_told_of(stage, beside):
    """The daemon was started after the shop was taken out: it has no token."""
    path = stage.town.context.settings.rules_dir / "shops.yaml"
    shop_id, before = stage.town.shop_id, path.read_text()
    stage.platform.faults.extend(["token"] * 3)
    await takes_out(stage.town)
    async with asyncio.timeout(60):
        while stage.platform.faults == ["token"] * 3:
            await asyncio.sleep(0.01)
    stage.town.context.audiences.clear()
    stage.platform.faults.clear()
    await stage.town.context.pool.execute("UPDATE audience SET rest_real = NULL")
    stage.town.context.ring("audiences", shop_id)
    async with asyncio.timeout(60):
        while not any("121 people are still in it" in one for one in await told(stage.town)):
            await asyncio.sleep(0.01)
    said = await beside(stage.town)("status")
    assert said.code == 1
    assert "`tillbell audience drop shoes --shop main --forget`" in said.out
    assert stage.inside() == 121
    path.write_text(before)
    await serves(stage.town, "main")
    await stage.syncs(2)
    assert stage.inside() == 0
    assert await told(stage.town) == []


@pytest.mark.long
async def test_what_is_known_of_an_audience_that_is_gone_is_dropped_by_its_shop_s_name(stage, beside):
    stage.platform.faults.extend(["token"] * 3)
    await takes_out(stage.town)
    said = await beside(stage.town)("audience", "drop", "shoes", "--shop", "main", "--forget")
    assert "forgotten, with 121 people" in said.out
    assert await stage.town.value("SELECT count(*) FROM member") == 0


async def test_two_that_are_parted_again_are_members_as_before(stage):
    town = stage.town
    crowd = await town.value("SELECT id FROM person WHERE email = 'crowd7@example.org'")
    ada = await town.value("SELECT id FROM person WHERE customer_ref = 'ada'")
    before = set(stage.platform.audiences[stage.audience])
    number = await merging.by_hand(town.context.pool, town.shop_id, crowd, ada, 0.0, await town.now())
    await becomes(stage, 120)
    await merging.undo(town.context.pool, town.shop_id, number, await town.now())
    await becomes(stage, 121)
    assert set(stage.platform.audiences[stage.audience]) == before
