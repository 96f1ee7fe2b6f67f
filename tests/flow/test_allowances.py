"""What the relay and the providers of mailboxes allow: what does not fit is held, and nothing else waits for it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from daemon.flow.allowances import Place, Plan, Rest, Wish, allot, domain_of, holds
from daemon.flow.shops import open_shops
from daemon.rates import read_domain_rates
from daemon.store import allowances
from daemon.store.allowances import Allowance
from rules.shops import WarmUp

AT = datetime(2026, 3, 2, 11, 0, tzinfo=UTC)
GMAIL = Plan(domains=read_domain_rates("gmail.com+googlemail.com=20/s"))


def row(name, **words):
    return Allowance(name, AT, words.pop("since", AT), **words)


def wishes(count, domain="gmail.com", **words):
    return [Wish(number, domain, **words) for number in range(count)]


def test_a_line_gives_places_one_after_the_other():
    rows = {"domain gmail.com": row("domain gmail.com")}
    found = allot(GMAIL, wishes(30, "googlemail.com"), rows)
    waits = [one.wait for one in found.values() if isinstance(one, Place)]
    assert waits == [pytest.approx(number * 0.0525) for number in range(8)]
    rests = [one for one in found.values() if isinstance(one, Rest)]
    assert {one.reason for one in rests} == {"held by the allowance of gmail.com: 20/s"}
    apart = [one.rests_for.total_seconds() for one in rests]
    assert [after - before for before, after in itertools.pairwise(apart)] == [pytest.approx(0.0525)] * 21


def test_whoever_comes_later_goes_to_the_end_of_the_line():
    rows = {"domain gmail.com": row("domain gmail.com", next_real=AT, queue_real=AT + timedelta(minutes=5))}
    [late] = allot(GMAIL, wishes(1), rows).values()
    assert isinstance(late, Rest)
    assert late.rests_for > timedelta(minutes=5)
    [returned] = allot(GMAIL, wishes(1, came_back=True), rows).values()
    assert returned == Place()


def test_a_line_at_which_nobody_stands_any_more_is_free():
    left = {"next_real": AT - timedelta(seconds=5), "queue_real": AT + timedelta(minutes=5)}
    assert allot(GMAIL, wishes(1), {"domain gmail.com": row("domain gmail.com", **left)}) == {0: Place()}


def test_a_provider_that_complained_gets_less_and_then_its_rate_again():
    slow = row("domain gmail.com", slowed=4, slowed_until_real=AT + timedelta(minutes=1))
    allot(GMAIL, wishes(1), {"domain gmail.com": slow})
    assert slow.next_real == AT + timedelta(seconds=0.21)
    later = row("domain gmail.com", slowed=4, slowed_until_real=AT - timedelta(minutes=6))
    allot(GMAIL, wishes(1), {"domain gmail.com": later})
    assert (later.slowed, later.next_real) == (1, AT + timedelta(seconds=0.0525))


def test_a_day_is_any_24_hours():
    plan = Plan(per_day=10)
    hour = int(AT.timestamp()) // 3600
    day = row("day", used={str(hour - 30): 99, str(hour - 20): 4, str(hour): 3})
    found = list(allot(plan, wishes(5), {"day": day}).values())
    assert found[:3] == [Place()] * 3
    assert found[3] == found[4] == Rest("held by the allowance of the relay: 10 in 24 hours", timedelta(hours=5))
    assert day.used == {str(hour - 20): 4, str(hour): 6}


@pytest.mark.parametrize(
    ("days", "limit"),
    [
        pytest.param(0, 10, id="the first day"),
        pytest.param(1, 15, id="the second"),
        pytest.param(2, 22, id="the third"),
        pytest.param(6, None, id="warm"),
    ],
)
def test_a_new_sender_begins_with_few(days, limit):
    plan = Plan(warm_up=WarmUp(first_day=10, grows=1.5, until=100), sender="shop.example")
    known = row("warm-up shop.example", since=AT - timedelta(days=days, hours=1))
    found = list(allot(plan, wishes(120), {known.name: known}).values())
    assert found.count(Place()) == (limit or 120)
    if limit:
        reason = f"held by the warm-up of shop.example: at most {limit} mails on day {days + 1}"
        assert found[-1] == Rest(reason, timedelta(hours=23))


def test_rehearsals_warm_nothing_up():
    plan = Plan(warm_up=WarmUp(first_day=1, grows=1.5, until=100), sender="shop.example")
    assert set(allot(plan, wishes(5, rehearsal=True), {}).values()) == {Place()}


@pytest.mark.parametrize(
    "words", [{"first_day": 0, "until": 5}, {"first_day": 9, "until": 5}, {"first_day": 1, "until": 5, "grows": 1}]
)
def test_a_warm_up_goes_upwards(words):
    with pytest.raises(ValueError, match=r"greater|more than"):
        WarmUp(**words)


def test_domains_are_as_dns_has_them():
    assert domain_of("Ada@MÜNCHEN.example") == "xn--mnchen-3ya.example"


WARM = WarmUp(first_day=10, grows=1.5, until=100)


@pytest.mark.parametrize(
    ("before", "after", "freed"),
    [
        pytest.param(Plan(per_day=1), Plan(per_day=2), True, id="more a day"),
        pytest.param(Plan(per_day=1), Plan(), True, id="no limit a day"),
        pytest.param(Plan(per_day=1), Plan(per_day=1, domains=GMAIL.domains), False, id="as many a day as before"),
        pytest.param(GMAIL, Plan(domains=read_domain_rates("gmail.com=30/s")), True, id="a faster line"),
        pytest.param(GMAIL, Plan(domains=read_domain_rates("*=20/s")), False, id="the same rate by another word"),
        pytest.param(GMAIL, Plan(domains=read_domain_rates("gmx.de=20/s")), True, id="a line for others only"),
        pytest.param(Plan(warm_up=WARM, sender="a.example"), Plan(sender="a.example"), True, id="no warm-up"),
        pytest.param(
            Plan(warm_up=WARM, sender="a.example"),
            Plan(warm_up=WarmUp(first_day=20, grows=1.5, until=100), sender="a.example"),
            True,
            id="a warmer one",
        ),
        pytest.param(
            Plan(warm_up=WARM, sender="a.example"), Plan(warm_up=WARM, sender="a.example"), False, id="as warm"
        ),
    ],
)
def test_what_holds_a_mail_no_longer_lets_it_go(before, after, freed):
    names = ("day", "domain gmail.com", "warm-up a.example")
    [*_, last] = allot(before, wishes(99), {name: row(name) for name in names}).values()
    assert isinstance(last, Rest)
    assert holds(before, last.reason)
    assert holds(after, last.reason) != freed


async def test_a_raised_allowance_frees_what_was_told_to_come_back(make_town, make_buyer):
    """At the next start, when the settings are read, and not in a day."""
    town = await make_town(smtp_per_day=1, smtp_domain_rates="example.org=1/h")
    for name in ("ada", "bob", "cid"):
        await town.leaves_cart(f"cart of {name}", make_buyer(name), "red")
    await town.passes(hours=1, minutes=1)
    assert len(town.letters.taken) == 1
    reasons = {one.reason.split(":")[0] for one in await allowances.held(town.context.pool, town.shop_id)}
    assert reasons == {"held by the allowance of the relay"}
    town.context.settings = town.context.settings.model_copy(update={"smtp_per_day": 9})
    await open_shops(town.context)
    await town.settles()
    assert len(town.letters.taken) == 1
    reasons = {one.reason for one in await allowances.held(town.context.pool, town.shop_id)}
    assert reasons == {"held by the allowance of example.org: 1/h"}
    faster = read_domain_rates("example.org=9/s")
    town.context.settings = town.context.settings.model_copy(update={"smtp_domain_rates": faster})
    await open_shops(town.context)
    await town.settles()
    assert len(town.letters.taken) == 3
    assert await allowances.held(town.context.pool, town.shop_id) == []


async def test_an_address_that_no_mail_can_go_to_holds_up_nobody_else(make_town, make_buyer):
    town = await make_town(smtp_domain_rates="*=5/s")
    await town.leaves_cart("cart of bob", replace(make_buyer("bob"), email="bob@bücher..example"), "red")
    await town.leaves_cart("cart of ada", make_buyer("ada"), "red")
    await town.passes(hours=1, minutes=1)
    assert len(town.letters.taken) == 1
    rows = await town.fetch("SELECT m.state FROM message m JOIN person p ON p.id = m.person_id ORDER BY p.email")
    assert [row["state"] for row in rows] == ["accepted", "failed"]


async def test_what_does_not_fit_waits_and_says_for_what(make_town, make_buyer):
    town = await make_town(smtp_per_day=1)
    for name in ("ada", "bob"):
        await town.leaves_cart(f"cart of {name}", make_buyer(name), "red")
    await town.passes(hours=3)
    assert len(town.letters.taken) == 1
    reason = "held by the allowance of the relay: 1 in 24 hours"
    assert (await town.because()).count(reason) == 1
    rows = await town.fetch("SELECT * FROM message ORDER BY state")
    assert [row["state"] for row in rows] == ["accepted", "prepared"]
    assert (rows[1]["reason"], rows[1]["deferrals"], rows[1]["tries"]) == (reason, 0, 0)
    [held] = await allowances.held(town.context.pool, town.shop_id)
    assert (held.channel, held.reason, held.messages) == ("email", reason, 1)
    assert timedelta(hours=23) < held.next_in <= timedelta(hours=25)
    await town.books_are_clean()


async def test_a_provider_that_asks_for_less_gets_less(make_town, make_buyer):
    town = await make_town(smtp_domain_rates="example.org=20/s")
    town.letters.refuse["ada@example.org"] = "450 4.2.1 coming too fast"
    await town.leaves_cart("cart", make_buyer("ada"), "red")
    await town.passes(hours=3)
    assert await town.value("SELECT state FROM message") == "retry_wait"
    assert await town.value("SELECT slowed FROM allowance WHERE name = 'domain example.org'") == 2
