"""A town whose shop has an ad audience at a pretend platform, and a crowd that is wanted in it already."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from daemon.context import address_hmac
from daemon.demo.google import PretendGoogle
from daemon.demo.meta import PretendMeta
from daemon.flow import audiences
from daemon.shops.base import ConsentHint, Customer

POLICY = """
extends: default
starts: {rests_for: 1h}
quiet:
without: [doubts, last-call]
steps:
  - {name: remind, after: 1h}
  - {name: retarget, send: audience, after: 25h, audience: shoes, for: 3d, unless: {remind: [clicked]}}
"""
CROWD = """
WITH p AS (
    INSERT INTO person (shop_id, email, email_hmac, created_at, split_key)
    SELECT $1, n.email, n.hmac, $4, 0.5 FROM unnest($2::text[], $3::bytea[]) AS n (email, hmac) RETURNING id
), k AS (
    INSERT INTO consent (shop_id, person_id, purpose, state, at, recorded_at, source, evidence)
    SELECT $1, id, 'ads_audience', 'confirmed', $4, $4, 'checkout', 'box 7' FROM p
)
INSERT INTO member (shop_id, audience, person_id, since, until, control, wanted)
SELECT $1, 'shoes', id, $4, $4 + interval '30 days', false, true FROM p RETURNING person_id
"""


@dataclass
class Stage:
    """The town and the platform."""

    town: Any
    platform: Any
    audience: str

    def inside(self) -> int:
        return len(self.platform.audiences.get(self.audience, ()))

    async def crowd(self, number: int, name: str = "crowd") -> list[int]:
        """So many people more, wanted from now on, of whom nobody has been told."""
        context, now = self.town.context, await self.town.now()
        emails = [f"{name}{no}@example.org" for no in range(number)]
        hmacs = [address_hmac(context.pepper, "email", email) for email in emails]
        return [row["person_id"] for row in await self.town.fetch(CROWD, self.town.shop_id, emails, hmacs, now)]

    async def syncs(self, times: int = 1) -> None:
        """Runs of the work, one after another, whatever rest the platform was given."""
        for _ in range(times):
            await self.town.settles()
            await self.town.context.pool.execute("UPDATE audience SET rest_real = NULL")
            await audiences.sync(self.town.context, self.town.shop_id, await self.town.now())
            await self.town.settles()

    async def counts(self) -> dict[str, int]:
        """Members by what is known of them at the platform; `wanted` beside."""
        rows = await self.town.fetch("SELECT actual, count(*) AS n FROM member GROUP BY 1")
        wanted = await self.town.value("SELECT count(*) FROM member WHERE wanted")
        return {"wanted": wanted, **{row["actual"]: row["n"] for row in rows}}


def member_to_be(ref: str, **more: Any) -> Customer:
    """Agreed to mails and to ad audiences."""
    purposes = ("email_mkt", "ads_audience")
    consents = tuple(ConsentHint(purpose, "confirmed", None, "checkout", "box 7") for purpose in purposes)
    return Customer(**{"ref": ref, "email": f"{ref}@example.org", "consents": consents, **more})


@asynccontextmanager
async def platform(name: str) -> AsyncIterator[tuple[Any, str, str]]:
    """(the platform, its audience, its words for shops.yaml)."""
    made: Any = PretendMeta() if name == "meta" else PretendGoogle()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.add_routes(made.routes())
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    if name == "meta":
        words = f"platform: meta, id: '123', token: meta-token, api: '{base}/v25.0'"
    else:
        key = made.key(base).replace("'", "''")
        words = f"platform: google, account: '1234567890', id: '77', terms_accepted: true, api: '{base}', key: '{key}'"
    try:
        yield made, "123" if name == "meta" else "77", words
    finally:
        await runner.cleanup()


def shops(base: str, words: str, control: str = "0%") -> str:
    """The town's shops.yaml with an audience in it, still to be formatted."""
    told = f"    audiences:\n      shoes: {{{words}, control: {control}}}\n".replace("{", "{{").replace("}", "}}")
    return base.replace("    connection:\n", told + "    connection:\n")
