"""After a month with every mishap there is nothing that must not be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from daemon.clock import monotonic
from daemon.store import books
from tests.flow.faults.month import CAPS, POLICY, SHOPS, START, ZONES, Dice, Month, Relay, Village
from tests.flow.faults.small_world import quiet_house, settings

QUESTIONS = {
    "written to after a purchase": """
        SELECT m.id FROM message m JOIN recovery r ON r.id = m.recovery_id JOIN cart c ON c.id = r.cart_id
        JOIN shop_order o ON o.shop_id = m.shop_id AND o.person_id = m.person_id AND o.cart_ref = c.ref
        WHERE m.sending_at > o.first_seen_at AND m.state <> 'cancelled'""",
    "written to after opting out": """
        SELECT m.id FROM message m JOIN event e ON e.shop_id = m.shop_id AND e.person_id = m.person_id
        WHERE e.kind = 'unsubscribed' AND m.sending_at > e.at AND m.state <> 'cancelled'""",
    "written to while suppressed": """
        SELECT m.id FROM message m JOIN person p ON p.id = m.person_id JOIN suppression s ON s.shop_id = m.shop_id
            AND s.address_hmac = p.email_hmac WHERE m.sending_at > s.since AND m.state <> 'cancelled'""",
    "written to without a proven basis": """
        SELECT m.id FROM message m JOIN person p ON p.id = m.person_id WHERE m.sending_at IS NOT NULL AND (
            m.basis_evidence = '' OR m.basis = 'consent' AND NOT EXISTS (SELECT FROM consent k WHERE k.id = m.consent_id
                AND k.person_id = m.person_id AND k.state = 'confirmed' AND k.at <= m.sending_at)
            OR m.basis = 'existing_customer' AND NOT EXISTS (SELECT FROM shop_order o WHERE o.person_id = m.person_id
                AND o.standing = 'purchase' AND o.placed_at < m.sending_at))""",
    "written to though held out": """
        SELECT m.id FROM message m JOIN recovery r ON r.id = m.recovery_id
        WHERE r.held_out AND m.sending_at IS NOT NULL""",
    "still open when all is over": "SELECT id FROM recovery WHERE state = 'open'",
    "still on its way when all is over": """
        SELECT id FROM message WHERE state IN ('planned', 'prepared', 'sending', 'retry_wait')""",
    "two accepted for one step": """
        SELECT min(id) AS id FROM message WHERE state = 'accepted'
        GROUP BY recovery_id, step, channel HAVING count(*) > 1""",
}
LEFT = """
SELECT s.name, array_agg(m.sending_at ORDER BY m.sending_at) AS times FROM message m JOIN shop s USING (shop_id)
WHERE m.state IN ('sending', 'accepted', 'unknown', 'unknown_final') GROUP BY s.name, m.person_id
"""


def over(times: Sequence[datetime]) -> bool:
    return any(late - early < span for most, span in CAPS for early, late in zip(times, times[most:], strict=False))


async def month(database: str, folder: Any, days: int, people: int, seed: int, share: float = 0.01) -> dict[str, Any]:
    """What was wrong, and how much there was of everything."""
    dice = Dice(seed, share)
    async with quiet_house(settings(folder, database, POLICY, SHOPS), database) as context:
        relay, villages = Relay(dice), {name: Village(dice) for name in ZONES}
        context.channels = {"email": relay}
        context.shops = dict(villages)
        eye = await asyncpg.connect(database)
        lived = Month(context, eye, relay, villages, dice)
        await context.pool.execute("UPDATE work SET due_at = $1", START)
        lived.customers(people, days)
        wrong: dict[str, Any] = {}
        for day in range(1, days + 1):
            await lived.lives(START + timedelta(days=day))
            if found := await books.violations(context.pool, lived.now):
                wrong[f"books of day {day}"] = found
        dice.share, lived.grid = 0, timedelta(hours=3)
        while await context.pool.fetchval("SELECT count(*) FROM recovery WHERE state = 'open'"):
            await lived.lives(lived.now + timedelta(hours=12))
        for kind, question in QUESTIONS.items():
            if rows := await context.pool.fetch(question):
                wrong[kind] = rows
        left = await context.pool.fetch(LEFT)
        wrong |= {f"over the cap in {row['name']}": row["times"] for row in left if over(row["times"])}
        nights = [(row["name"], at) for row in left for at in row["times"] if is_night(at, ZONES[row["name"]])]
        states = dict(await context.pool.fetch("SELECT state, count(*)::int FROM message GROUP BY 1"))
        taken = await context.pool.fetch(
            "SELECT id FROM message WHERE id = ANY($1::bigint[]) AND state NOT IN ('accepted', 'unknown')",
            list(relay.taken),
        )
        twice = [number for number, count in relay.taken.items() if count > 1]
        wrong |= {"by night": nights} if nights else {}
        wrong |= {"taken and not in the books": taken} if taken else {}
        wrong |= {"taken twice": twice} if twice else {}
        await eye.close()
        wrong |= {} if states["accepted"] <= len(relay.taken) else {"accepted and never taken": states}
    return {"wrong": wrong, "states": states, "taken": len(relay.taken), "mishaps": dict(dice.mishaps)}


def is_night(at: datetime, zone: str) -> bool:
    return not 7 <= at.astimezone(ZoneInfo(zone)).hour < 22


async def test_a_day_of_fifteen_customers(database: str, open_folder: Any) -> None:
    lived = await month(database, open_folder, 1, 15, seed=1, share=0.05)
    assert lived["wrong"] == {}
    assert lived["taken"] > 5
    assert sum(lived["mishaps"].values()) > 5


@pytest.mark.long(300)
@pytest.mark.timeout(1500)
async def test_thirty_days_of_a_thousand_customers(database: str, open_folder: Any) -> None:
    """By mail, from half-hour to half-hour. What is no part of it, as one process lives through it all: workers that
    are killed (test_storm), a bell that fails (test_valkey), clocks that jump (test_clocks), the other channels. A
    month takes more than five minutes on two cores."""
    began = monotonic()
    lived = await month(database, open_folder, 30, 1000, seed=7)
    print(f"{monotonic() - began:.0f} s: {lived}")
    assert lived["wrong"] == {}
    assert lived["taken"] > 1500
    assert all(lived["mishaps"].values()), "each kind of mishap happened"
