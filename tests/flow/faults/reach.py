"""How the stage's shop reaches people on each channel, and who takes what it hands over."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from channels.webpush_bytes import made, signer
from daemon.context import address_hmac
from daemon.demo.twilio import ACCOUNT, TOKEN
from daemon.shops.base import ConsentHint, Customer

KEY = made()
ONSITE = "    onsite: {key: kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk}\n"
AUDIENCE = "    audiences: {shoes: {platform: file, to: FOLDER, control: 0%}}\n"
BROWSERS = """
INSERT INTO subscription (shop_id, person_id, endpoint, endpoint_hmac, p256dh, auth, since, seen_at)
SELECT $1, p.id, n.endpoint, n.hmac, n.p256dh, n.auth, $6, $6
FROM unnest($2::text[], $3::bytea[], $4::text[], $5::text[]) WITH ORDINALITY AS n (endpoint, hmac, p256dh, auth, place)
JOIN (SELECT id, row_number() OVER (ORDER BY id) AS place FROM person) AS p USING (place)
"""
VISITORS = """
WITH n AS (SELECT shop_id, id, md5('visitor ' || id) AS name FROM person), v AS (
    INSERT INTO visitor (shop_id, name, allowed, allowed_at, origin, seen_at)
    SELECT shop_id, name, ARRAY['report', 'notices'], $1, 'https://shop.example', $1 FROM n
)
INSERT INTO identity (shop_id, kind, value, person_id, since) SELECT shop_id, 'onsite', name, id, $1 FROM n
"""


@dataclass(frozen=True)
class Reach:
    """One channel. `program`: who takes what leaves, in a process of its own; empty: nobody does, its row is all."""

    program: tuple[str, ...] = ()
    purpose: str = ""
    """What people have agreed to."""
    step: str = ""
    """Further words of the policy's one step."""
    shop: str = ""
    """Further words of the shop."""
    settings: dict[str, str] = field(default_factory=dict)
    """PORT becomes the provider's."""


REACH = {
    "email": Reach(
        ("relay.py",),
        "email_mkt",
        settings={"smtp_host": "127.0.0.1", "smtp_port": "PORT", "smtp_tls": "none"},
    ),
    "sms": Reach(
        ("provider.py", "sms"),
        "sms_mkt",
        settings={
            "twilio_account_sid": ACCOUNT,
            "twilio_auth_token": TOKEN,
            "twilio_base_url": "http://127.0.0.1:PORT",
            "twilio_from": "+4915735980000",
            "twilio_connections": "3",
        },
    ),
    "webpush": Reach(
        ("provider.py", "webpush"),
        "push_mkt",
        settings={
            "push_private_key": KEY,
            "push_contact": "mailto:push@shop.example",
            "push_hosts": "http://127.0.0.1:PORT",
        },
    ),
    "audience": Reach((), "ads_audience", ", audience: shoes, for: 3d", AUDIENCE),
    "onsite": Reach((), "", "", ONSITE),
}


def customer(number: int, channel: str = "email") -> Customer:
    """One who can be reached there, and agreed to it."""
    purpose: Any = REACH[channel].purpose
    consent = ConsentHint(purpose, "confirmed", None, "newsletter", "double opt-in 2025-01-01") if purpose else None
    phone = {"phone": f"+4915112{number:06}", "country": "DE"} if channel == "sms" else {}
    return Customer(
        ref=f"k{number}",
        email=f"p{number}@example.org",
        first_name="Kanaria",
        last_name="Leckmann",
        locale="de-DE",
        consents=(consent,) if consent else (),
        **phone,
    )


def policy(channel: str) -> str:
    """One step, an hour after the cart came to rest."""
    if channel == "email":
        return "extends: default\nsteps:\n  - {name: remind, after: 1h}\n"
    step = f"{{name: glance, send: {channel}, after: 1h{REACH[channel].step}}}"
    return f"extends: default\nsteps:\n  - {step}\nwithout: [remind, doubts, last-call]\n"


async def at_their_browsers(stage: Any, channel: str, count: int) -> None:
    """Everybody has a browser that takes pushes, or one with the shop's script in it."""
    pool, now = stage.context.pool, await stage.now()
    if channel == "onsite":
        await pool.execute(VISITORS, now)
    if channel != "webpush":
        return
    told = await stage.relay.ask("browsers", open=[count, signer(KEY).public])
    rows = told["browsers"][-count:]
    hmacs = [address_hmac(stage.context.pepper, "push", endpoint) for endpoint, _, _ in rows]
    columns = zip(*rows, strict=True)
    endpoints, keys, secrets = (list(column) for column in columns)
    await pool.execute(BROWSERS, stage.shop_id, endpoints, hmacs, keys, secrets, now)
    assert len({hashlib.sha256(one.encode()).digest() for one in endpoints}) == count
