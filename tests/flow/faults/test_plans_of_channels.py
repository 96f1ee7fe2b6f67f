"""Years of texts, requests, members and words of providers, and a handful to do: what is asked reads the handful."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path

from daemon.flow.reconcile import AFTER
from daemon.store import budgets, callbacks, database, inbox, members, optins, post, reconcile, suppressions
from tests.flow.faults.test_plans import ASKED_BY_ASYNCPG, NOON, OPENED, READ_AT_MOST, SEEDS, SPARE, rows_read

CARTS = 40_000
MORE = Path(__file__).with_name("many_channels.sql").read_text().split(";\n\n")
PEOPLE = [100, 104, 108]
TABLES = {"whom to ask for a consent": 10, "who must leave an audience": 10, "what the provider does not have": 10}
"""Questions that are about more tables than five."""
SEARCHES = ("what nobody knows", "whom to ask for a consent", "whose request was lost",
            "who joins an audience", "whether anybody is left")  # fmt: skip
"""What is asked to find whether there is anything to do: right without any statistics, too."""


def phone_of(person):
    return f"phone {person}".encode()


async def lost(db):
    return await reconcile.due(db, 1, ["sms", "webpush"], AFTER, 50)


async def looked_up(db):
    found = await lost(db)
    await reconcile.looked_up(db, 1, [(one, True) for one in found])
    return found


async def not_sent(db):
    return await reconcile.not_sent(db, 1, [one.claim for one in await lost(db)], NOON)


QUESTIONS = {
    "what nobody knows": lost,
    "what the provider does not have": not_sent,
    "what was looked up": looked_up,
    "what providers told": lambda db: inbox.told_waiting(db, 1, 200),
    "what is still to be worked off": lambda db: inbox.still_waiting(db, 1, [1, 2, 3]),
    "of which message it is": lambda db: post.letters(db, 1, PEOPLE),
    "whose number it is": lambda db: suppressions.owners(db, 1, [phone_of(one) for one in PEOPLE]),
    "what they may answer": lambda db: callbacks.last_to(db, 1, PEOPLE, "sms"),
    "what the provider calls it": lambda db: callbacks.provided(db, 1, 104, "SM1"),
    "a STOP": lambda db: callbacks.withdraw(db, 1, PEOPLE, "sms_mkt", "inbox 1", "a STOP by sms", NOON),
    "a START": lambda db: callbacks.lift(db, 1, phone_of(100), "a STOP by sms"),
    "what a START restores": lambda db: callbacks.restore(db, 1, PEOPLE, "sms_mkt", "a STOP by sms", NOON),
    "how many parts": lambda db: budgets.parts(db, 1, PEOPLE),
    "how often somebody asked": lambda db: optins.lately(db, 1, b"100", None, timedelta(minutes=10), NOON),
    "whom to ask for a consent": lambda db: optins.at_the_gate(db, 1, "email", 20, NOON),
    "whether still wanted": lambda db: optins.still_wanted(db, 1, [(21, 21), (22, 22)]),
    "whose request was lost": lambda db: optins.reap(db, 1),
    "what a link asks": lambda db: optins.of_token(db, 1, hashlib.sha256(b"100").digest()),
    "what a code answers": lambda db: optins.of_address(db, 1, "email", b"25", OPENED),
    "what is confirmed": lambda db: optins.confirm(db, 1, 25, NOON),
    "who joins an audience": lambda db: members.news(db, 1, 500),
    "who must leave an audience": lambda db: members.leave(db, 1, ["shoes"], 0, OPENED, live=True),
    "who has moved": lambda db: members.mark_stale(db, 1, "shoes"),
    "whom to take out": lambda db: members.to_remove(db, 1, "shoes", 500),
    "whom to put in": lambda db: members.to_add(db, 1, "shoes", 500),
    "how many it can tell apart": lambda db: members.distinct_in(db, 1, "shoes"),
    "what is being worked off there": lambda db: members.requests(db, 1, "shoes"),
    "what has been worked off there": lambda db: members.answered(db, 1, "shoes", "nr 1", "in"),
    "whether anybody is left": lambda db: members.is_anything_left(db, 1),
}
OPEN = 50
"""Members who are not over: what each run is about."""
HANDFUL = dict.fromkeys(("who must leave an audience", "who has moved", "how many it can tell apart"), OPEN)


async def explained(db, ask):
    """Rows that its statements read, and how many came back."""
    asked = []
    undone = db.transaction()
    await undone.start()
    with db.query_logger(asked.append):
        found = await ask(db)
    await undone.rollback()
    read = 0
    for one in asked:
        if any(word in one.query for word in ASKED_BY_ASYNCPG):
            continue
        undone = db.transaction()
        await undone.start()
        [(told,)] = await db.fetch(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {one.query}", *one.args)
        await undone.rollback()
        read += rows_read(json.loads(told)[0]["Plan"])
    return read, len(found) if hasattr(found, "__len__") else 1


async def test_what_channels_ask_reads_the_handful(db):
    await database._prepare(db)
    for seed in (*SEEDS, *MORE):
        await db.execute(seed.replace(":opened", f"'{OPENED}'").replace(":count", str(CARTS)))
    for statistics, names in (("no", SEARCHES), ("fresh", QUESTIONS)):
        found = {name: await explained(db, QUESTIONS[name]) for name in names}
        print(f"{statistics} statistics:", *found.items(), sep="\n")
        limits = {name: limit(name, count) for name, (_, count) in found.items()}
        assert {name: (*found[name], limits[name]) for name in found if found[name][0] > limits[name]} == {}
        await db.execute("ANALYZE")
    assert found["what nobody knows"][1] == found["what providers told"][1] == 20


def limit(name, count):
    return TABLES.get(name, READ_AT_MOST) * HANDFUL.get(name, max(count, len(PEOPLE))) + SPARE
