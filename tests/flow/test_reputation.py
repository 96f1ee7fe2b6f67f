"""The breaker: complaints and dead addresses stop the mails by themselves, and an operator lets them go on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from daemon.doctor.post import post as doctor
from daemon.flow import reputation
from daemon.store import brake
from daemon.store import reputation as rows
from daemon.store.brake import Scope
from daemon.store.clock import shop_now
from tests.flow.test_reports import Office
from tests.letters import make_context

MANY = """
INSERT INTO message (shop_id, recovery_id, person_id, step, channel, rehearsal, state, policy_hash, facts_no, basis,
    basis_evidence, planned_at, not_before, not_after, prepared_at, sending_at, fence, accepted_at, reason)
SELECT m.shop_id, m.recovery_id, m.person_id, $1 || n, 'email', $4, $2, m.policy_hash, 0, m.basis, m.basis_evidence,
    m.planned_at, m.not_before, m.not_after, m.planned_at, now(), nextval('fence'), now(), $3
FROM message m CROSS JOIN generate_series(1, $5::int) AS n WHERE m.step = 'remind'
"""


class Sent(Office):
    """An office that has sent many mails."""

    async def many(self, number: int, state: str = "accepted", reason: str = "", *, rehearsal: bool = False) -> None:
        for first in range(0, number, 5000):
            step = f"s{await self.one('SELECT count(*) FROM message')}-"
            await self.context.pool.execute(MANY, step, state, reason, rehearsal, min(5000, number - first))

    async def judged(self) -> list[tuple[str, str]]:
        """The pauses in force after a look: cause and reason."""
        now = await shop_now(self.context.pool)
        await reputation.judge(self.context, self.shop_id, now)
        return [(one.cause, one.reason) for one in await brake.pauses(self.context.pool, now)]

    async def said(self) -> list[str]:
        """What the doctor and /readyz say of it."""
        now = await shop_now(self.context.pool)
        return [one.text for one in await doctor(self.context, now) if one.about == "reputation"]


@pytest.fixture
async def sent(database: str, tmp_path: Path) -> AsyncIterator[Sent]:
    made = Sent(await make_context(database, tmp_path))
    await made.letter()
    yield made
    await made.context.pool.close()


async def test_a_few_mails_prove_nothing(sent):
    await sent.many(90)
    await sent.many(5, "complained")
    assert await sent.judged() == []


async def test_two_complaints_are_two_people(sent):
    await sent.many(200)
    await sent.many(2, "complained")
    assert await sent.judged() == []
    assert await sent.said() == [
        "shop main: 2 complaints about the newest 203 mails (0.99%); from 0.25% on the channel is paused"
    ]


async def test_too_many_complaints_stop_the_mails_once(sent):
    await sent.many(200)
    await sent.many(3, "complained")
    expected = [("complaints", "3 complaints about the newest 204 mails (1.47%)")]
    assert await sent.judged() == expected
    assert await sent.judged() == expected


async def test_few_complaints_about_many_mails_are_borne(sent):
    await sent.many(6000)
    await sent.many(4, "complained")
    assert await sent.judged() == []
    assert await sent.said() == []
    await sent.many(4, "complained")
    assert await sent.judged() == []
    assert len(await sent.said()) == 1


async def test_five_dead_addresses_in_the_newest_hundred_stop_the_mails(sent):
    await sent.many(300)
    await sent.many(3, "bounced", "hard 5.1.1")
    assert await sent.judged() == []
    await sent.many(2, "bounced", "sender 5.7.26: refused")
    assert await sent.judged() == [("bounces", "5 of the newest 100 mails came back for good")]


@pytest.mark.parametrize(("state", "reason"), [("bounced", "soft 4.2.2"), ("bounced", "soft 5.2.2"), ("accepted", "")])
async def test_full_mailboxes_say_nothing_of_the_sender(sent, state, reason):
    await sent.many(50, state, reason)
    assert await sent.judged() == []


async def test_rehearsals_count_for_nothing(sent):
    await sent.many(200)
    await sent.many(50, "complained", rehearsal=True)
    await sent.many(50, "bounced", "hard 5.1.1", rehearsal=True)
    assert await sent.judged() == []


async def test_after_resume_only_what_is_sent_from_then_on_counts(sent):
    await sent.many(200)
    await sent.many(5, "complained")
    assert len(await sent.judged()) == 1
    now = await shop_now(sent.context.pool)
    assert len(await brake.resume(sent.context.pool, [sent.shop_id], Scope(channel="email"), now)) == 1
    assert await sent.judged() == []
    await sent.many(200)
    await sent.many(5, "complained")
    assert len(await sent.judged()) == 1


async def test_the_look_costs_the_same_however_many_mails_there_are(sent):
    await sent.many(30_000)
    seen = await rows.lately(sent.context.pool, sent.shop_id, "email", await shop_now(sent.context.pool))
    assert seen.sent == 10_000


async def test_complaints_that_come_by_mail_put_the_brake_on(sent, monkeypatch):
    monkeypatch.setattr(reputation, "LEAST", 3)
    for number in range(3):
        await sent.brings("complaint", await sent.letter(f"p{number}@example.org"))
    assert [one.cause for one in await brake.pauses(sent.context.pool, await shop_now(sent.context.pool))] == [
        "complaints"
    ]


def test_nothing_sent_is_no_share():
    assert rows.Lately(0, 0, 0, 0).complaints == 0
    assert reputation.warning(rows.Lately(0, 0, 0, 0)) == ""


async def test_the_doctor_says_when_nobody_reads_what_comes_back(sent):
    shop: Any = sent.context.keeper.book.shops["main"]
    live = shop.model_copy(update={"mode": "live"})
    sent.context.keeper.book = type(sent.context.keeper.book)(
        **{**vars_of(sent.context.keeper.book), "shops": {"main": live}}
    )
    found = await doctor(sent.context, await shop_now(sent.context.pool))
    assert [(one.about, one.amiss) for one in found] == [("post", False)]


def vars_of(book: Any) -> dict[str, Any]:
    return {name: getattr(book, name) for name in book.__dataclass_fields__}


async def test_addresses_that_the_relay_itself_refuses_put_the_brake_on(make_town, make_buyer):
    """No report comes by mail then: the answer to RCPT is all there is."""
    town = await make_town()
    for number in range(6):
        town.letters.refuse[f"p{number}@example.org"] = "550 5.1.1 no such user"
        await town.leaves_cart(f"c{number}", make_buyer(f"p{number}"), "red")
    await town.passes(hours=1, minutes=1)
    now = await shop_now(town.context.pool)
    assert [one.cause for one in await brake.pauses(town.context.pool, now)] == ["bounces"]
