"""A shop, its people and mails that have left, for tests of what comes back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg

from daemon.book import Keeper
from daemon.context import Context, address_hmac
from daemon.settings import Settings
from daemon.store.database import connect_pool
from daemon.tokens import Purpose, Secrets, Token, make

SHOPS = """
shops:
  main:
    connector: push
    title: Kaffeehaus
    url: https://shop.example
    cart_page: https://shop.example/cart
    link_hosts: [checkout.example]
    locale: de-DE
"""
SECRETS = Secrets(1, {1: b"k" * 32})
PEPPER = b"p" * 32
KEEP_SHOP = """
INSERT INTO shop (name, added_at) VALUES ('main', now())
ON CONFLICT (name) DO UPDATE SET name = 'main' RETURNING shop_id
"""
ADD_PERSON = """
INSERT INTO person (shop_id, email, email_hmac, locale, created_at) VALUES ($1, $2, $3, $4, $5) RETURNING id
"""
ADD_CONSENT = """
WITH said AS (
    INSERT INTO wording (shop_id, sha256, text, first_used_at) VALUES ($1, sha256('Yes please'), 'Yes please', $4)
    ON CONFLICT DO NOTHING
)
INSERT INTO consent (shop_id, person_id, purpose, state, at, recorded_at, source, evidence, wording_sha256)
VALUES ($1, $2, 'email_mkt', $3, $4, $4, 'shop', 'opt-in 17', sha256('Yes please'))
"""
ADD_POLICY = """
INSERT INTO policy (shop_id, hash, name, body, first_used_at) VALUES ($1, 'h', 'main', '{}', $2) ON CONFLICT DO NOTHING
"""
ADD_CART = """
INSERT INTO cart (shop_id, ref, person_id, currency, total, fingerprint, read_hash, first_seen_at, changed_at,
    still_since, seen_at)
VALUES ($1, 'cart-' || $2::bigint, $2, 'EUR', 20, 'f', 'r', $3, $3, $3, $3) RETURNING id
"""
ADD_RECOVERY = """
INSERT INTO recovery (shop_id, cart_id, episode, person_id, policy_hash, policy_name, held_out, rehearsal, started_at,
    wake_at)
VALUES ($1, $2, 1, $3, 'h', 'main', false, false, $4, $5) RETURNING id
"""
ADD_MESSAGE = """
INSERT INTO message (shop_id, recovery_id, person_id, step, channel, rehearsal, state, policy_hash, facts_no, basis,
    basis_evidence, planned_at, not_before, not_after, prepared_at, tracked, sending_at, fence, accepted_at,
    reconcile_real)
VALUES ($1, $2, $3, 'remind', 'email', false, $4::text, 'h', 0, 'consent', 'consent 1', $5::timestamptz, $5,
    $5 + interval '1 day', $5, true, $5, nextval('fence'), CASE WHEN $4 = 'accepted' THEN $5 END,
    CASE WHEN $4 = 'unknown' THEN $5 END)
RETURNING id
"""
ADD_ATTEMPT = """
INSERT INTO attempt (shop_id, message_id, fence, started_at, outcome, closed_real)
SELECT shop_id, id, fence, sending_at, state, now() FROM message WHERE shop_id = $1 AND id = $2
"""
ADD_NEXT = """
INSERT INTO message (shop_id, recovery_id, person_id, step, channel, rehearsal, state, policy_hash, facts_no, basis,
    basis_evidence, planned_at, not_before, not_after)
VALUES ($1, $2, $3, 'next', 'email', false, 'planned', 'h', 0, 'consent', 'consent 1', $4, $5, $5)
"""
LINKS = {0: ("cart", "https://shop.example/cart?utm_source=mail"), 1: ("product", "https://www.shop.example/p/1"),
         2: ("product", "https://shop.example/p/2"), 3: ("honeypot", "https://shop.example/")}  # fmt: skip
OUTLOOK = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Thunderbird/128.0"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


@dataclass(frozen=True)
class Letter:
    """A mail that a person got."""

    shop_id: int
    id: int
    person_id: int
    recovery_id: int
    email: str

    def token(self, purpose: Purpose, link_no: int = 0xFFFF, *, rehearsal: bool = False) -> str:
        return make(SECRETS, Token(purpose, self.shop_id, self.id, link_no, rehearsal))

    @property
    def pixel(self) -> str:
        return f"/o/{self.token('open')}.gif"

    def link(self, no: int = 0) -> str:
        return f"/c/{self.token('click', no)}"

    @property
    def way_out(self) -> str:
        return f"/u/{self.token('unsubscribe')}"


async def make_context(database: str, folder: Path, pool: asyncpg.Pool | None = None, **settings: object) -> Context:
    """A process's context over this database, with a shop `main` in it."""
    rules = folder / "rules"
    rules.mkdir(exist_ok=True)
    (rules / "shops.yaml").write_text(SHOPS)
    pool = pool or await connect_pool(database)
    context = Context(
        settings=Settings(listen="127.0.0.1:0", private_listen="127.0.0.1:0", **settings),
        pool=pool,
        secrets=SECRETS,
        pepper=PEPPER,
        data_dir=folder / "data",
        keeper=Keeper(rules, {}, None),
        process="web-1",
    )
    context.shop_ids["main"] = await pool.fetchval(KEEP_SHOP)
    return context


async def write_letter(
    pool: asyncpg.Pool,
    shop_id: int,
    email: str,
    *,
    locale: str = "de-DE",
    state: str = "accepted",
    sent_ago: timedelta = timedelta(hours=1),
    consent: str = "confirmed",
    links: Mapping[int, tuple[str, str]] = LINKS,
) -> Letter:
    """A person with a cart, an open recovery, a mail in this state and the next one planned."""
    async with pool.acquire() as db, db.transaction():
        at: datetime = await db.fetchval("SELECT now()") - sent_ago
        keyed = address_hmac(PEPPER, "email", email)
        person = await db.fetchval(ADD_PERSON, shop_id, email, keyed, locale, at)
        if consent:
            await db.execute(ADD_CONSENT, shop_id, person, consent, at)
        await db.execute(ADD_POLICY, shop_id, at)
        cart = await db.fetchval(ADD_CART, shop_id, person, at - timedelta(days=1))
        recovery = await db.fetchval(ADD_RECOVERY, shop_id, cart, person, at, at + timedelta(days=1))
        message = await db.fetchval(ADD_MESSAGE, shop_id, recovery, person, state, at)
        await db.execute(ADD_ATTEMPT, shop_id, message)
        for no, (kind, target) in links.items():
            await db.execute("INSERT INTO link VALUES ($1, $2, $3, $4, $5)", shop_id, message, no, kind, target)
        await db.execute(ADD_NEXT, shop_id, recovery, person, at, at + timedelta(days=1))
    return Letter(shop_id, message, person, recovery, email)


def as_process(context: Context, name: str) -> Context:
    """The same installation, as another process sees it."""
    return dataclasses.replace(context, process=name, reasons=[])
