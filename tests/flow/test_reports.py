"""Thirty reports and a reply, each about a mail of its own: what changes, and what does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.context import Context
from daemon.flow import letterbox, post
from daemon.store import inbox, work
from daemon.store.clock import shop_now
from daemon.store.database import deadlocks
from daemon.tokens import Token, make_local_part
from tests.letters import SECRETS, Letter, make_context, write_letter
from tests.reports import NAMES, id_of, report, report_on, verp

DEAD = ("bounced", ["email"], ["bounced"])
THIS_TIME = ("bounced", [], ["bounced"])
OURS = ("bounced", [], ["bounced"])
NOTHING = ("accepted", [], [])
EFFECTS = {
    "postfix-unknown-user": DEAD,
    "postfix-no-such-host": DEAD,
    "postfix-delayed": ("accepted", [], ["delayed"]),
    "postfix-given-up": THIS_TIME,
    "postfix-delivered": ("delivered", [], ["delivered"]),
    "postfix-relayed": NOTHING,
    "postfix-expanded": NOTHING,
    "mailbox-full": THIS_TIME,
    "mailbox-switched-off": DEAD,
    "vague-code-clear-words": DEAD,
    "vague-code-vague-words": THIS_TIME,
    "exim-unrouteable": DEAD,
    "exchange-not-found": DEAD,
    "exchange-access-denied": THIS_TIME,
    "gmail-no-account": DEAD,
    "gmail-dmarc": OURS,
    "policy-refusal": OURS,
    "german-mixed": DEAD,
    "japanese-global": THIS_TIME,
    "forwarded-to-two": ("delivered", [], ["delivered"]),
    "qmail-words": DEAD,
    "exim-words": DEAD,
    "french-words": THIS_TIME,
    "forged-signature": NOTHING,
    "forged-by-a-person": NOTHING,
    "vacation": NOTHING,
    "out-of-office-exchange": NOTHING,
    "complaint": ("complained", ["any"], ["complained"]),
    "complaint-headers-only": ("complained", ["any"], ["complained"]),
    "huge": DEAD,
    "reply": ("accepted", [], ["replied"]),
}
OUTCOME = """
SELECT m.state,
    ARRAY(SELECT s.channel FROM suppression s JOIN person p ON p.email_hmac = s.address_hmac WHERE p.id = m.person_id),
    ARRAY(SELECT e.kind FROM event e WHERE e.message_id = m.id) FROM message m WHERE m.id = $1
"""
FOLLOWER = """
INSERT INTO message (shop_id, recovery_id, person_id, step, channel, rehearsal, state, policy_hash, facts_no, basis,
    basis_evidence, planned_at, not_before, not_after, prepared_at, sending_at, fence, accepted_at)
SELECT shop_id, recovery_id, person_id, $2, channel, false, 'accepted', policy_hash, 0, basis, basis_evidence,
    planned_at, not_before, not_after, prepared_at, sending_at, nextval('fence'), sending_at
FROM message WHERE id = $1 RETURNING id
"""


@dataclass
class Office:
    """Mails that have left, and what the postman brings."""

    context: Context

    @property
    def shop_id(self) -> int:
        return self.context.shop_ids["main"]

    async def letter(self, email: str = "ada@example.org", **facts: Any) -> Letter:
        return await write_letter(self.context.pool, self.shop_id, email, **facts)

    async def comes(self, name: str, letter: Letter) -> None:
        await letterbox.keep(self.context, self.shop_id, report_on(self.context, name, self.shop_id, letter.id))

    async def works(self) -> int:
        done, now = 0, await shop_now(self.context.pool)
        while found := await post.work_off(self.context, self.shop_id, now):
            done += found
        return done

    async def is_due(self) -> bool:
        due = await work.due(self.context.pool, [self.shop_id], await shop_now(self.context.pool))
        return ("post", self.shop_id) in due

    async def brings(self, name: str, letter: Letter) -> None:
        await self.comes(name, letter)
        await self.works()

    async def outcome(self, letter: Letter) -> tuple[Any, ...]:
        return tuple(await self.context.pool.fetchrow(OUTCOME, letter.id))

    async def one(self, query: str, *values: Any) -> Any:
        return await self.context.pool.fetchval(query, *values)


@pytest.fixture
async def office(database: str, tmp_path: Path) -> AsyncIterator[Office]:
    context = await make_context(database, tmp_path)
    yield Office(context)
    await context.pool.close()


async def test_thirty_of_thirty_reports_have_the_right_effect(office):
    assert set(EFFECTS) == set(NAMES)
    letters = {name: await office.letter(f"{name}@example.org") for name in NAMES}
    for name, letter in letters.items():
        await office.comes(name, letter)
    assert await office.works() == len(NAMES)
    assert {name: await office.outcome(letter) for name, letter in letters.items()} == EFFECTS
    assert await office.one("SELECT count(*) FROM inbox WHERE state = 'waiting' OR effect LIKE '%fault of ours%'") == 0


async def test_the_same_reports_again_change_nothing(office):
    letters = {name: await office.letter(f"{name}@example.org") for name in NAMES}
    for _ in range(2):
        for name, letter in letters.items():
            await office.comes(name, letter)
        await office.works()
    assert {name: await office.outcome(letter) for name, letter in letters.items()} == EFFECTS


@pytest.mark.parametrize("name", ["postfix-delivered", "postfix-unknown-user", "postfix-delayed", "postfix-relayed",
                                  "vacation", "reply", "complaint", "gmail-dmarc"])  # fmt: skip
@pytest.mark.parametrize("state", ["unknown", "unknown_final"])
async def test_whatever_comes_back_proves_that_a_mail_was_taken(office, name, state):
    letter = await office.letter(state="unknown")
    if state == "unknown_final":
        await office.context.pool.execute(
            "UPDATE message SET state = 'unknown_final', reconcile_real = NULL, reason = 'x', ended_at = now()"
            " WHERE id = $1", letter.id,
        )  # fmt: skip
    await office.brings(name, letter)
    assert (await office.outcome(letter))[0] == EFFECTS[name][0]
    assert await office.one("SELECT outcome FROM attempt WHERE message_id = $1", letter.id) == "accepted"
    assert await office.one("SELECT accepted_at >= sending_at FROM message WHERE id = $1", letter.id)


@pytest.mark.parametrize(
    ("days_ago", "suppressed"),
    [
        pytest.param((0, 0), False, id="twice"),
        pytest.param((0, 0, 0), False, id="three times on one day"),
        pytest.param((5, 3, 0), True, id="three times on three days"),
        pytest.param((40, 3, 0), False, id="one of them is too long ago"),
    ],
)
async def test_a_full_mailbox_counts_as_dead_after_a_while(office, days_ago, suppressed):
    letter = await office.letter()
    for number, days in enumerate(days_ago):
        more = await office.one(FOLLOWER, letter.id, f"more{number}")
        await office.brings("mailbox-full", Letter(letter.shop_id, more, letter.person_id, letter.recovery_id, ""))
        await office.context.pool.execute(
            "UPDATE event SET at = at - $1::interval WHERE message_id = $2", timedelta(days=days), more
        )
    assert await office.one("SELECT count(*) FROM event WHERE kind = 'bounced'") == len(days_ago)
    assert bool(await office.one("SELECT count(*) FROM suppression")) == suppressed


async def test_the_report_on_a_rehearsal_says_nothing_of_the_customer(office):
    letter = await office.letter()
    await office.context.pool.execute("UPDATE message SET rehearsal = true")
    await office.brings("postfix-unknown-user", letter)
    await office.brings("complaint", letter)
    assert await office.outcome(letter) == ("complained", [], ["bounced", "complained"])


async def test_an_address_that_was_changed_since_is_not_blamed_for_the_old_one(office):
    letter = await office.letter()
    await office.context.pool.execute(
        "INSERT INTO identity (shop_id, kind, value, person_id, since) VALUES ($1, 'email', 'b@c.example', $2, now())",
        letter.shop_id, letter.person_id,
    )  # fmt: skip
    await office.brings("postfix-unknown-user", letter)
    assert await office.outcome(letter) == ("bounced", [], ["bounced"])


async def test_a_report_that_is_faster_than_the_relay_s_answer_waits_for_it(office):
    letter = await office.letter()
    await office.context.pool.execute(
        "UPDATE message SET state = 'sending', accepted_at = NULL, lease_until_real = now() + interval '1 hour'"
        " WHERE id = $1", letter.id,
    )  # fmt: skip
    await office.brings("postfix-unknown-user", letter)
    assert await office.outcome(letter) == ("sending", [], [])
    assert not await office.is_due()  # nobody reads it over and over meanwhile
    await office.context.pool.execute(
        "UPDATE message SET state = 'accepted', accepted_at = now(), lease_until_real = NULL WHERE id = $1", letter.id
    )
    assert await office.is_due()
    await office.works()
    assert await office.outcome(letter) == DEAD


async def test_a_report_on_a_mail_that_is_gone_holds_nothing_up(office):
    gone = Letter(office.shop_id, 4711, 1, 1, "")
    letter = await office.letter()
    await office.comes("postfix-unknown-user", gone)
    await office.comes("postfix-unknown-user", letter)
    assert await office.works() == 2
    assert await office.outcome(letter) == DEAD


async def test_a_token_of_another_purpose_is_no_signature(office):
    letter = await office.letter()
    stolen = Token("unsubscribe", letter.shop_id, letter.id)
    raw = report("postfix-unknown-user", f"b+{make_local_part(SECRETS, stolen)}@x.example", "x@y.example")
    await letterbox.keep(office.context, office.shop_id, raw)
    await office.works()
    assert await office.outcome(letter) == NOTHING


async def test_a_message_id_that_was_made_up_is_no_signature(office):
    letter = await office.letter()
    named = id_of(office.context, office.shop_id, letter.id)
    wrong = named.replace(named.split(".")[3][:4], "0000")
    await letterbox.keep(office.context, office.shop_id, report("complaint", "b+x@x.example", wrong))
    await office.works()
    assert await office.outcome(letter) == NOTHING


async def test_two_workers_at_the_same_post_do_nothing_twice(office):
    letters = [await office.letter(f"p{number}@example.org") for number in range(40)]
    for number, letter in enumerate(letters):
        await office.comes(("postfix-unknown-user", "complaint", "reply", "mailbox-full")[number % 4], letter)
    before = deadlocks.count
    now = await shop_now(office.context.pool)
    await asyncio.gather(*(post.work_off(office.context, office.shop_id, now) for _ in range(4)))
    assert await office.one("SELECT count(*) FROM event") == 40
    assert deadlocks.count == before


async def test_replies_stay_until_they_are_read_and_reports_are_forgotten(office):
    letter = await office.letter()
    await office.brings("reply", letter)
    await office.brings("postfix-delayed", letter)
    later = await shop_now(office.context.pool) + timedelta(days=40)
    assert await inbox.forget_mails(office.context.pool, office.shop_id, later, 100) == 1
    [reply] = await inbox.unread(office.context.pool, office.shop_id)
    assert b"In-Reply-To" in reply.body
    await inbox.has_read(office.context.pool, office.shop_id, [reply.id])
    assert await inbox.forget_mails(office.context.pool, office.shop_id, later, 100) == 1
    assert await office.one("SELECT count(*) FROM inbox WHERE body <> ''") == 0


async def test_a_letter_that_answers_none_of_ours_is_kept_for_a_person(office):
    await letterbox.keep(office.context, office.shop_id, b"Return-Path: <a@b.example>\r\nSubject: Hallo\r\n\r\nx")
    await office.works()
    assert await inbox.count_unread(office.context.pool, office.shop_id) == 1
    assert await office.one("SELECT effect FROM inbox") == "a letter to the shop"


@pytest.mark.parametrize("name", ["complaint", "postfix-unknown-user"])
async def test_the_way_out_of_a_mail_names_it_where_a_provider_put_its_own_ids(office, name):
    letter, other = await office.letter(), await office.letter("bob@example.org")
    way = f"List-Unsubscribe: <https://t.shop.example/u/{letter.token('unsubscribe')}>"
    raw = report_on(office.context, name, office.shop_id, letter.id).decode()
    named = id_of(office.context, office.shop_id, letter.id)
    ours = verp(office.context, office.shop_id, letter.id)
    raw = raw.replace(f"Message-ID: <{named}>", f"Message-ID: <0102@relay.example>\r\n{way}").replace(
        ours, "x@x.example"
    )
    raw = raw.replace(f"Original-Envelope-Id: {named}", "Original-Envelope-Id: 0102")
    assert named not in raw
    await letterbox.keep(office.context, office.shop_id, raw.encode())
    await office.works()
    assert await office.outcome(letter) == EFFECTS[name]
    assert await office.outcome(other) == NOTHING


async def test_a_way_to_look_at_a_mail_is_no_signature(office):
    letter = await office.letter()
    raw = report_on(office.context, "complaint", office.shop_id, letter.id).decode()
    named, ours = id_of(office.context, office.shop_id, letter.id), verp(office.context, office.shop_id, letter.id)
    way = f"Message-ID: <0102@relay.example>\r\nList-Unsubscribe: <https://t.shop.example/u/{letter.token('prefer')}>"
    raw = raw.replace(f"Message-ID: <{named}>", way).replace(ours, "x@x.example")
    await letterbox.keep(office.context, office.shop_id, raw.encode())
    await office.works()
    assert await office.outcome(letter) == NOTHING
