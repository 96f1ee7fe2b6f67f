"""What comes back of a mail that asked for a consent: who cannot be reached, or calls it spam, is not asked on."""

from __future__ import annotations

from datetime import datetime

from daemon.post.finding import Finding
from daemon.store import optins, suppressions
from daemon.store.database import Connection
from daemon.store.inbox import Effect
from daemon.store.optins import Back
from daemon.store.suppressions import Entry

REPORTS = ("failed", "delayed", "delivered", "relayed", "expanded")


async def effect(db: Connection, shop_id: int, found: Finding, back: Back | None, now: datetime) -> Effect:
    """Of one such mail; `back` is the request, None when it is not kept any more. The caller holds the person's lock.

    A report that it failed for good ends the request and its link (RFC 3463, class 5 about the address), and the
    address is not written to any more; a complaint (RFC 5965) silences it on every channel.
    """
    if back is None:
        return Effect("done", "about a request that is not kept any more", unread=found.kind == "replied")
    name = f"request {back.id}"
    if found.kind in REPORTS and found.return_path != "":
        return Effect("refused", "a report with a return path is not believed")
    if found.kind == "failed":
        said = f"{found.severity} {found.status}".strip()
        if found.severity != "hard":
            return Effect("done", f"{name} came back: {said}")
        await _end(db, shop_id, back, back.channel, "bounced", f"bounced: {said}", now)
        return Effect("done", f"{name} came back: {said}, and is over")
    if found.kind == "complained":
        await _end(db, shop_id, back, "any", "complained", "complained", now)
        return Effect("done", f"{name} was complained about, and is over")
    return Effect("done", f"{name}: {found.kind}", unread=found.kind == "replied")


async def _end(db: Connection, shop_id: int, back: Back, channel: str, why: str, reason: str, now: datetime) -> None:
    await optins.come_back(db, shop_id, back.id, reason)
    await suppressions.add(db, shop_id, channel, [Entry(back.address_hmac, why, now)], f"request {back.id}")
