"""A shop that delivers an event again hours later tells nothing new, whatever has happened since."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from daemon.clock import machine_now
from tests.flow.conftest import START

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MEANT = [{"purpose": "email_mkt", "state": "confirmed", "evidence": "double opt-in"}]
ADA = {"ref": "3", "email": "ada@example.org", "consents": MEANT}
ORDER = {"ref": "9", "total": 98, "currency": "EUR", "customer_ref": "3", "placed_at": "2026-03-02T09:30:00Z"}
STATE = (
    "SELECT ref, state, total, lines::text, changed_at FROM cart ORDER BY ref",
    "SELECT ref, standing, total, placed_at FROM shop_order ORDER BY ref",
    "SELECT customer_ref, email FROM person ORDER BY id",
    "SELECT purpose, state FROM consent WHERE id IN (SELECT max(id) FROM consent GROUP BY purpose) ORDER BY purpose",
    "SELECT state, end_reason, ended_at FROM recovery ORDER BY id",
    "SELECT step, state, reason, accepted_at FROM message ORDER BY id",
)


def event(kind: str, minute: int, data: dict[str, Any]) -> bytes:
    at = START + timedelta(minutes=minute)
    return json.dumps({"type": kind, "timestamp": at.isoformat(), "data": data}).encode()


def cart(minute: int, *products: str) -> bytes:
    lines = [{"product_ref": name, "name": name, "quantity": 1, "unit_price": "49.00"} for name in products]
    return event("cart.updated", minute, {"ref": "7", "currency": "EUR", "customer": ADA, "lines": lines})


STORIES = {
    "a cart that has grown since": [cart(0, "red"), cart(10, "red", "blue")],
    "a cart that was emptied since": [cart(0, "red"), cart(10)],
    "a cart that was bought since": [cart(0, "red"), event("order.placed", 30, {**ORDER, "cart_ref": "7"})],
    "an order that was cancelled since": [
        event("order.placed", 30, ORDER),
        event("order.cancelled", 40, {**ORDER, "status": "cancelled"}),
    ],
    "a consent that was withdrawn since": [
        cart(0, "red"),
        event("consent.changed", 20, {"ref": "3", "consents": [{"purpose": "email_mkt", "state": "withdrawn"}]}),
    ],
}


async def delivered(town: Any, id: str, body: bytes) -> int:
    """The answer's status. Each attempt is signed anew, as the manual asks."""
    now = datetime.fromtimestamp(int(machine_now().timestamp()), UTC)
    signature = Webhook(SECRET).sign(id, now, body.decode())
    headers = {"webhook-id": id, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    async with town.http.post(f"{town.public}/hooks/shop/main", data=body, headers=headers) as answer:
        return int(answer.status)


@pytest.mark.parametrize("events", STORIES.values(), ids=STORIES)
async def test_an_event_that_comes_again_four_hours_later_changes_nothing(town, events):
    for number, body in enumerate(events):
        minute = datetime.fromisoformat(json.loads(body)["timestamp"]) - await town.now()
        await town.passes(seconds=minute.total_seconds())
        assert await delivered(town, f"evt-{number}", body) == 202
        await town.settles()
    await town.passes(hours=4)
    before = [await town.fetch(query) for query in STATE]
    mails = len(town.letters.taken)
    for number, body in enumerate(events[:-1]):
        for id in (f"evt-{number}", f"evt-{number}-anew"):
            assert await delivered(town, id, body) == 202
        await town.settles()
    assert await town.fetch("SELECT effect FROM inbox WHERE state <> 'done'") == []
    assert [await town.fetch(query) for query in STATE] == before
    await town.passes(hours=1)
    assert len(town.letters.taken) == mails
    await town.books_are_clean()


async def test_old_news_does_not_start_the_hours_anew(town):
    await delivered(town, "evt-1", cart(0, "red"))
    await town.passes(minutes=10)
    await delivered(town, "evt-2", cart(10, "red", "blue"))
    await town.passes(hours=4)
    assert await delivered(town, "evt-1-anew", cart(0, "red")) == 202
    await town.passes(hours=21)
    sent = await town.fetch("SELECT step, accepted_at FROM message ORDER BY id")
    assert [(row["step"], row["accepted_at"] - START) for row in sent] == [
        ("remind", timedelta(hours=1, minutes=10)),
        ("doubts", timedelta(hours=24, minutes=10)),
    ]
    assert [mail.get_body(("plain",)).get_content().count("blue") for _, mail in town.letters.taken] == [1, 1]
