"""News of texts in every order: five times, backwards, an hour late, before the answer to the request, forged."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from channels.base import Callback, Forged, Outcome
from daemon.demo.twilio import ACCOUNT, TOKEN
from daemon.flow import callbacks, decide, deliver, mails
from daemon.store import clock, inbox, messages
from daemon.store.inbox import Delivery

BASE = "https://t.shop.example/hooks/channel/sms"
LIVES = {
    ("sent",): "accepted",
    ("sending", "sent"): "accepted",
    ("sending", "sent", "delivered"): "delivered",
    ("sent", "delivered", "read"): "delivered",
    ("sending", "sent", "undelivered 30003"): "bounced",
    ("sent", "undelivered 30007"): "bounced",
    ("sending", "failed 30005"): "bounced",
}
"""What Twilio tells of a text from its request to its end, and what that makes of the message."""


@dataclass(frozen=True)
class Story:
    """What is told before and after the answer to the request is known."""

    life: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    life = draw(st.sampled_from([*LIVES]))
    told = [*life, *draw(st.lists(st.sampled_from(life), max_size=4 * len(life)))]
    mixed = draw(st.one_of(st.permutations(told), st.just(told[::-1])))
    early = draw(st.integers(0, len(mixed)))
    return Story(life, tuple(mixed[:early]), tuple(mixed[early:]))


def told(count: int) -> list[Story]:
    """So many different stories."""
    found: dict[Story, None] = {}

    @settings(max_examples=2 * count, deadline=None, derandomize=True, database=None,
              suppress_health_check=[*HealthCheck])  # fmt: skip
    @given(stories())
    def collect(story: Story) -> None:
        found.setdefault(story)

    collect()
    assert len(found) >= count
    return random.Random(17).sample([*found], count)


class Desk:
    """Where Twilio's requests arrive: what is believed is kept."""

    def __init__(self, stage: Any) -> None:
        self.stage, self.forged = stage, 0
        self.rows: list[Delivery] = []

    def hears(self, claim: Any, status: str, *, token: str = TOKEN, account: str = ACCOUNT) -> None:
        context = self.stage.context
        word, _, code = status.partition(" ")
        sid = f"SM{claim.id:032x}"
        form = {"AccountSid": account, "MessageSid": sid, "SmsSid": sid, "MessageStatus": word, "SmsStatus": word,
                **({"ErrorCode": code} if code else {})}  # fmt: skip
        url = f"{BASE}?m={mails.token(context, 'told', self.stage.shop_id, claim.id, rehearsal=False)}"
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "x-twilio-signature": RequestValidator(token).compute_signature(url, form),
        }
        try:
            events = context.channels["sms"].events(Callback(url, headers, urlencode(form).encode()))
        except Forged:
            self.forged += 1
            return
        self.rows += callbacks.deliveries(context, "sms", events)

    async def works_off(self) -> None:
        await inbox.keep(self.stage.context.pool, self.rows)
        self.rows.clear()
        while await callbacks.work_off(self.stage.context, self.stage.shop_id, await self.stage.now()):
            pass


async def claimed(stage: Any, count: int) -> list[Any]:
    await stage.prepared(count)
    found: list[Any] = []
    while len(found) < count:
        found += [
            one for one, _ in (await deliver.claim(stage.context, stage.shop_id, "sms", await stage.now(), 64))[1]
        ]
    return found


def answered(place: int, claim: Any) -> Outcome:
    """Half of the requests got an answer, of the others nothing is known."""
    if place % 2:
        return Outcome("unknown", code="no answer", error="no answer in time")
    return Outcome("accepted", provider_id=f"SM{claim.id:032x}")


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(60, id="sixty orders"),
        pytest.param(1000, marks=pytest.mark.long, id="a thousand orders"),
    ],
)
async def test_whatever_the_order_the_end_is_the_same(make_stage, count):
    stage = await make_stage(channel="sms")
    desk, lives = Desk(stage), told(count)
    claims = await claimed(stage, count)
    for story, claim in zip(lives, claims, strict=True):
        for status in story.before:
            desk.hears(claim, status)
        desk.hears(claim, "failed 30005", token="guessed")
        desk.hears(claim, "failed 30005", account=f"AC{'1' * 32}")
    await desk.works_off()
    assert await stage.states() == {"sending": count}, "the answer to the request has the first word"
    now, pool = await stage.now(), stage.context.pool
    outcomes = [(claim.id, claim.fence, answered(place, claim)) for place, claim in enumerate(claims)]
    assert len(await messages.record(pool, stage.shop_id, outcomes, now)) == count
    await desk.works_off()
    await clock.set_clock(pool, now + timedelta(hours=1), 1)
    for story, claim in zip(lives, claims, strict=True):
        for status in story.after:
            desk.hears(claim, status)
    await desk.works_off()
    expected = {claim.id: LIVES[story.life] for story, claim in zip(lives, claims, strict=True)}
    states = dict(await stage.fetch("SELECT id, state FROM message"))
    wrong = [(one, states[one], end) for one, end in expected.items() if states[one] != end]
    assert wrong == []
    dead = sum("failed 30005" in story.life for story in lives)
    assert await stage.value("SELECT count(*) FROM suppression") == dead
    assert desk.forged == 2 * count
    assert await stage.value("SELECT count(*) FROM inbox WHERE state <> 'done'") == 0
    again = Counter(dict(await stage.fetch("SELECT message_id, count(*)::int FROM event GROUP BY 1"))).values()
    assert max(again, default=0) <= 1, "told five times, it happened once"
    while await decide.due_recoveries(stage.context, stage.shop_id, await stage.now()):
        pass
    await stage.books_are_clean()
