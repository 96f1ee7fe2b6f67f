"""Ad audiences, told as stories: who comes in, who goes out and how soon, and what never happens."""

from contextlib import AsyncExitStack
from datetime import timedelta
from decimal import Decimal

import pytest

from daemon.shops.base import OrderSnapshot
from rules.audiences import stays_out

from .audience_town import POLICY, Stage, member_to_be, platform, shops
from .conftest import SHOPS


@pytest.fixture
async def make_stage(make_town):
    """`await make_stage("google", control="10%")`."""
    async with AsyncExitStack() as stack:

        async def make(name="meta", control="0%", holdout="0%", policy=POLICY):
            made, audience, words = await stack.enter_async_context(platform(name))
            town = await make_town(shops(SHOPS, words, control), {"main": policy}, holdout=holdout)
            return Stage(town, made, audience)

        yield make


async def ada_is_in(stage, split_key=0.9):
    """A mail that stays unopened, and then the audience."""
    ada = member_to_be("ada")
    await stage.town.leaves_cart("c1", ada, "a")
    await stage.town.context.pool.execute("UPDATE person SET split_key = $1 WHERE customer_ref = 'ada'", split_key)
    await stage.town.passes(hours=26)
    return ada


@pytest.mark.parametrize("name", ["meta", "google"])
async def test_who_opens_nothing_is_shown_ads_until_they_buy(make_stage, name):
    stage = await make_stage(name)
    await stage.crowd(120)
    ada = await ada_is_in(stage)
    await stage.syncs(2)
    assert stage.inside() == 121
    assert await stage.counts() == {"wanted": 121, "in": 121}
    assert len(stage.town.letters.of("ada@example.org")) == 1
    await stage.town.buys("o1", ada)
    await stage.town.passes(minutes=15)
    assert stage.inside() == 120
    row = await stage.town.value("SELECT end_reason FROM member WHERE ended_at IS NOT NULL")
    assert row == "purchase"
    assert stage.platform.small_uploads == 0
    assert stage.platform.complaints == []
    await stage.town.books_are_clean()


async def test_list_of_99_is_not_uploaded_and_removals_always_go(make_stage):
    stage = await make_stage()
    crowd = await stage.crowd(99)
    await stage.syncs(3)
    assert stage.platform.calls == []
    assert await stage.counts() == {"wanted": 99, "out": 99}
    await stage.crowd(1, "one-more")
    await stage.syncs()
    assert stage.inside() == 100
    now = await stage.town.now()
    await stage.town.context.pool.execute("UPDATE member SET until = $1 WHERE person_id = $2", now, crowd[0])
    await stage.syncs()
    assert stage.inside() == 99
    await stage.crowd(0)
    await stage.syncs()
    assert stage.platform.calls == [("POST", 100), ("DELETE", 1)]
    assert stage.platform.small_uploads == 0


@pytest.mark.long
async def test_stay_ends_when_its_time_is_over(make_stage):
    stage = await make_stage()
    await stage.crowd(120)
    await ada_is_in(stage)
    assert stage.inside() == 121
    await stage.town.passes(days=3)
    assert stage.inside() == 120
    assert await stage.town.value("SELECT end_reason FROM member WHERE ended_at IS NOT NULL") == "over"


async def test_neither_a_consent_to_mails_nor_an_earlier_purchase_puts_anybody_in(make_stage):
    stage = await make_stage()
    await stage.crowd(120)
    mails_only = tuple(one for one in member_to_be("ada").consents if one.purpose == "email_mkt")
    ada, bob = member_to_be("ada", consents=mails_only), member_to_be("bob", consents=())
    await stage.town.buys("o0", bob, ago=timedelta(days=30))
    for cart, person in (("c1", ada), ("c2", bob)):
        await stage.town.leaves_cart(cart, person, "a")
    await stage.town.passes(hours=26)
    assert [len(stage.town.letters.of(one.email)) for one in (ada, bob)] == [1, 1]
    assert stage.inside() == 120
    assert any("a purchase does not stand in for it on audience" in text for text in await stage.town.because())


OUT = {
    "withdrawn": (
        "INSERT INTO consent (shop_id, person_id, purpose, state, at, recorded_at, source) "
        "SELECT $1, $2, 'ads_audience', 'withdrawn', now(), now(), 'preferences'",
        "no_consent",
    ),
    "opt-out": (
        "INSERT INTO suppression (shop_id, channel, address_hmac, reason, source, since) "
        "SELECT $1, 'email', email_hmac, 'unsubscribed', 'message 1', now() FROM person WHERE id = $2",
        "suppressed",
    ),
    "blocked": ("UPDATE person SET may_be_written_to = false WHERE shop_id = $1 AND id = $2", "not_allowed"),
    "held out": ("UPDATE person SET split_key = 0.0001 WHERE shop_id = $1 AND id = $2", "held_out"),
}


async def test_whoever_may_not_be_in_is_out_within_a_quarter_of_an_hour(make_stage):
    stage = await make_stage(holdout="1%")
    crowd = await stage.crowd(120)
    await stage.syncs()
    assert stage.inside() == 120
    for person, (statement, _) in zip(crowd, OUT.values(), strict=False):
        await stage.town.context.pool.execute(statement, stage.town.shop_id, person)
    await stage.town.passes(minutes=15)
    assert stage.inside() == 120 - len(OUT)
    for person, (_, because) in zip(crowd, OUT.values(), strict=False):
        assert await stage.town.value("SELECT end_reason FROM member WHERE person_id = $1", person) == because


async def test_control_group_stays_out_and_is_counted(make_stage):
    stage = await make_stage(control="50%")
    await stage.crowd(120)
    mine = next(key / 100 for key in range(1, 100) if stays_out("shoes", key / 100, 0.5))
    ada = await ada_is_in(stage, mine)
    await stage.syncs()
    assert stage.inside() == 120
    assert await stage.town.value("SELECT count(*) FROM member WHERE control AND ended_at IS NULL") == 1
    await stage.town.buys("o1", ada)
    await stage.town.passes(minutes=15)
    assert await stage.town.value("SELECT end_reason FROM member WHERE control") == "purchase"


@pytest.mark.long
async def test_held_out_people_go_nowhere(make_stage):
    stage = await make_stage(holdout="50%")
    await ada_is_in(stage, 0.01)
    assert await stage.town.value("SELECT count(*) FROM member") == 0
    assert await stage.town.value("SELECT count(*) FROM message WHERE channel = 'audience' AND state = 'withheld'") == 1


async def test_new_address_is_removed_under_the_old_one_first(make_stage):
    stage = await make_stage()
    crowd = await stage.crowd(120)
    await stage.syncs()
    before = set(stage.platform.audiences["123"])
    await stage.town.context.pool.execute(
        "UPDATE person SET email = 'new@example.org', email_hmac = 'x' WHERE id = $1", crowd[0]
    )
    await stage.syncs(2)
    after = stage.platform.audiences["123"]
    assert len(after) == 120
    assert len(before - after) == len(after - before) == 1


@pytest.mark.long
async def test_joining_counts_for_the_caps_of_all_channels(make_stage):
    stage = await make_stage(policy=POLICY + "caps: {any: 1 per 2d}\n")
    await stage.crowd(120)
    await ada_is_in(stage)
    assert stage.inside() == 120
    assert any("the cap of 1 in 48 h is reached" in text for text in await stage.town.because())


async def test_tokens_are_in_no_log(make_stage, log):
    stage = await make_stage()
    await stage.crowd(120)
    stage.platform.faults.extend(["token", "500"])
    await stage.syncs(3)
    assert "meta-token" not in log.getvalue()
    assert "the token is not valid" in log.getvalue()
    assert "@example.org" not in log.getvalue()


async def test_purchase_that_the_shop_tells_of_is_heeded_at_once(make_stage):
    stage = await make_stage()
    await stage.crowd(120)
    ada = await ada_is_in(stage)
    assert stage.inside() == 121
    shop = await stage.town.polls()
    await stage.town.settles()
    sold = OrderSnapshot("o1", await stage.town.now(), "paid", "purchase", Decimal(9), "EUR", ada.ref, ada.email)
    shop.has_sold.append(sold)
    await stage.town.passes(minutes=11)
    assert stage.inside() == 120
    ended = await stage.town.value("SELECT ended_at FROM member WHERE end_reason = 'purchase'")
    assert ended == await stage.town.value("SELECT last_good_at FROM work WHERE name = 'poll'")


async def test_rehearsal_puts_nobody_in(make_town):
    async with platform("meta") as (made, audience, words):
        base = SHOPS.replace("mode: live", "mode: rehearsal\n    rehearsal_to: me@shop.example")
        stage = Stage(await make_town(shops(base, words), {"main": POLICY}), made, audience)
        await stage.crowd(120)
        await ada_is_in(stage)
        assert made.calls == []
        assert (
            await stage.town.value("SELECT count(*) FROM message WHERE channel = 'audience' AND state = 'accepted'")
            == 1
        )
        assert await stage.town.value("SELECT count(*) FROM member WHERE wanted") == 0
