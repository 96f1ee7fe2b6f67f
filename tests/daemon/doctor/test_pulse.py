"""The pulse on a real database: what is amiss is said in /readyz, in /metrics and by the ping that does not come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest
from aiohttp import ClientSession, web

from daemon import metrics
from daemon.doctor.pulse import Pulse
from daemon.doctor.reason import Question, Reason
from daemon.doctor.signs import QUESTIONS
from daemon.store import brake, shops
from daemon.store.brake import Scope
from tests.letters import make_context, write_letter

BEAT = "UPDATE heartbeat SET beat_real = clock_timestamp() - $1::interval"


class Sends:
    """A channel's name is all that the pulse asks of it."""

    name = "email"


@pytest.fixture
async def context(database, tmp_path):
    made = await make_context(database, tmp_path)
    made.channels = {"email": Sends()}
    await shops.beat(made.pool, "worker-1", "worker", "1", 0)
    yield made
    await made.pool.close()


async def about(context) -> list[str]:
    """Without the books: these tests make rows by hand that contradict each other."""
    questions = [one for one in QUESTIONS if one.about != "books"]
    return [one.about for one in await Pulse(context, questions).take() if one.amiss]


def figure(name: str, **labels: str) -> float | None:
    """As /metrics tells it."""
    return metrics.REGISTRY.get_sample_value(f"tillbell_{name}", labels)


async def due_message(context, since: timedelta, state: str = "prepared") -> int:
    """A message that should have left that long ago."""
    letter = await write_letter(context.pool, context.shop_ids["main"], "ada@example.org")
    await context.pool.execute(
        "UPDATE message SET state = $2, not_before = now() - $1::interval, not_after = now() + interval '1 day', "
        "accepted_at = NULL, sending_at = NULL, fence = NULL WHERE id = $3",
        since,
        state,
        letter.id,
    )
    await context.pool.execute("DELETE FROM attempt WHERE message_id = $1", letter.id)
    return letter.id


async def test_all_is_well(context):
    assert await about(context) == []


async def test_a_worker_that_was_killed_is_missed(context):
    await context.pool.execute(BEAT, timedelta(seconds=90))
    assert await about(context) == ["process", "worker"]
    assert figure("processes", kind="worker", state="missed") == 1
    assert figure("processes", kind="worker", state="heard") == 0


async def test_mails_that_are_due_and_do_not_leave_raise_the_alarm(context):
    await due_message(context, timedelta(minutes=11))
    assert await about(context) == ["bell", "silence"]
    assert 660 <= figure("behind_seconds", work="deliver") < 900
    assert figure("silent_shops") == 1
    assert figure("processes", kind="worker", state="heard") == 1
    await context.pool.execute("UPDATE message SET not_before = now(), not_after = now() + interval '1 day'")
    assert await about(context) == []
    assert figure("silent_shops") == 0
    assert (figure("behind_seconds", work="deliver") or 0) < 60


async def test_one_greylisted_recipient_is_no_alarm(context):
    number = await due_message(context, timedelta(minutes=11), "retry_wait")
    await context.pool.execute(
        "UPDATE message SET retry_real = clock_timestamp() + interval '5 min' WHERE id = $1", number
    )
    assert await about(context) == []


async def test_a_mail_that_an_allowance_holds_back_is_no_alarm(context):
    number = await due_message(context, timedelta(minutes=11))
    await context.pool.execute(
        "UPDATE message SET retry_real = clock_timestamp() + interval '1 h' WHERE id = $1", number
    )
    assert await about(context) == []


async def test_a_mail_whose_second_try_nobody_makes_is_late(context):
    number = await due_message(context, timedelta(minutes=11), "retry_wait")
    await context.pool.execute(
        "UPDATE message SET retry_real = clock_timestamp() - interval '2 min' WHERE id = $1", number
    )
    assert await about(context) == ["bell"]


async def test_who_sends_slowly_is_late_and_not_silent(context):
    await due_message(context, timedelta(minutes=11))
    await context.pool.execute(
        "INSERT INTO attempt (shop_id, message_id, fence, started_at, outcome, closed_real) "
        "SELECT shop_id, id, 999, now(), 'accepted', clock_timestamp() FROM message"
    )
    assert await about(context) == ["bell"]


async def test_a_claim_that_nobody_gives_back_is_told(context):
    number = await due_message(context, timedelta(minutes=1))
    await context.pool.execute(
        "UPDATE message SET state = 'sending', fence = 1, sending_at = now(), "
        "lease_until_real = clock_timestamp() - interval '61 s' WHERE id = $1",
        number,
    )
    assert "lease" in await about(context)


async def test_books_that_are_not_clean_are_told(context):
    await due_message(context, timedelta(minutes=11))
    assert "books" in [one.about for one in await Pulse(context).take()]
    assert "tillbell_books_violations{" in metrics.text().decode()


async def test_a_pause_by_the_operator_is_shown_and_is_nothing_amiss(context):
    now = await context.pool.fetchval("SELECT now()")
    await brake.pause(context.pool, [context.shop_ids["main"]], Scope("cart"), "wrong price", now, None)
    pulse = Pulse(context)
    found = await pulse.take()
    assert [(one.about, one.amiss) for one in found] == [("pause", False)]
    assert found[0].text == "shop main, policy cart is paused: wrong price"
    assert pulse.sentences() == []


async def test_what_is_amiss_is_counted_by_what_it_is_about(context):
    await context.pool.execute(BEAT, timedelta(seconds=90))
    await Pulse(context).take()
    assert 'tillbell_degraded{about="worker"} 1.0' in metrics.text().decode()
    await context.pool.execute(BEAT, timedelta(0))
    await Pulse(context).take()
    assert "tillbell_degraded{" not in metrics.text().decode()


async def test_a_question_that_fails_is_a_reason_and_the_others_are_asked(context):
    async def fails(*_: object) -> list[Reason]:
        raise KeyError("oops")

    async def finds(*_: object) -> list[Reason]:
        return [Reason("disk", "the disk is nearly full")]

    pulse = Pulse(context, (Question("odd", fails), Question("disk", finds)))
    await pulse.take()
    assert pulse.sentences() == ["the question about odd failed: KeyError", "the disk is nearly full"]


async def test_a_slow_question_is_not_asked_each_time(context):
    asked: list[datetime] = []

    async def counts(_: object, now: datetime) -> list[Reason]:
        asked.append(now)
        return [Reason("books", "not clean")]

    pulse = Pulse(context, (Question("books", counts, every=60),))
    for _ in range(3):
        assert [one.about for one in await pulse.take()] == ["books"]
    assert len(asked) == 1


@asynccontextmanager
async def watcher(status: int = 200) -> AsyncIterator[tuple[str, list[str]]]:
    """A healthchecks of our own: its address, and the paths that were asked."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=status, headers={"Location": "/elsewhere"} if status == 302 else {})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/secret-7", asked
    finally:
        await runner.cleanup()


async def pinged(context, url: str) -> Pulse:
    context.settings = context.settings.model_copy(update={"ping_url": type(context.settings.ping_url)(url)})
    pulse = Pulse(context)
    context.reasons.append(pulse.sentences)
    await pulse.take()
    async with ClientSession() as session:
        await pulse.ping(session)
        await pulse.ping(session)
    return pulse


async def test_it_pings_once_a_minute_while_all_is_well(context):
    async with watcher() as (url, asked):
        await pinged(context, url)
    assert asked == ["/secret-7"]


async def test_it_does_not_ping_while_anything_is_amiss(context):
    context.reasons.append(lambda: ["rules: unknown word"])
    async with watcher() as (url, asked):
        await pinged(context, url)
    assert asked == []


@pytest.mark.parametrize("status", [500, 302])
async def test_a_ping_that_fails_says_so_without_its_address(context, capfd, status):
    async with watcher(status) as (url, asked):
        await pinged(context, url)
    assert asked == ["/secret-7"]
    said = capfd.readouterr()
    assert "ClientError" in said.out + said.err
    assert "secret-7" not in said.out + said.err


async def test_notices_on_the_pages_do_not_hide_that_no_mail_leaves(context):
    await due_message(context, timedelta(minutes=11))
    taken = await write_letter(context.pool, context.shop_ids["main"], "bob@example.org")
    await context.pool.execute("UPDATE message SET channel = 'onsite' WHERE id = $1", taken.id)
    assert await about(context) == ["bell", "silence"]
    await context.pool.execute("UPDATE message SET channel = 'email' WHERE id = $1", taken.id)
    assert await about(context) == ["bell"]
