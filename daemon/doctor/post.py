"""What comes back: does anybody read it, and what does it say of us?"""

from __future__ import annotations

from datetime import datetime

from daemon.context import Context
from daemon.doctor.reason import Reason
from daemon.flow import reputation
from daemon.flow.mailbox import stepped_over
from daemon.store import inbox, work

BY_HAND = "read it there and move it out of the folder; until then it is tried again once an hour"


async def post(context: Context, now: datetime) -> list[Reason]:
    """Complaints, dead addresses and filtered texts before the brake goes on, replies that wait, shops whose reports
    nobody reads, mails that cannot be read."""
    reasons = []
    for name, shop_id in sorted(context.shop_ids.items()):
        for text, hint in await reputation.warnings(context.pool, shop_id, now):
            reasons.append(Reason("reputation", f"shop {name}: {text}", hint))
        if number := await inbox.count_unread(context.pool, shop_id):
            reasons.append(
                Reason("replies", f"shop {name}: {number} replies wait", "`tillbell replies list`", amiss=False)
            )
        for row in await work.status(context.pool, shop_id):
            found = stepped_over(row.state) if row.name == "mailbox" and context.keeper.book.shops[name].mailbox else []
            reasons += [Reason("mailbox", f"shop {name}: mailbox: {text}", BY_HAND) for text in found]
    return reasons + unread(context)


def unread(context: Context) -> list[Reason]:
    """Live shops of which nothing that comes back is seen. One mailbox may serve several shops."""
    shops = context.keeper.book.shops
    if context.settings.lmtp_listen or any(shop.mailbox for shop in shops.values()):
        return []
    hint = "set mailbox in shops.yaml or TILLBELL_LMTP_LISTEN: see docs/bounces.md"
    return [
        Reason("post", f"shop {name}: bounces, complaints and replies are not read", hint, amiss=False)
        for name, shop in sorted(shops.items())
        if shop.mode == "live"
    ]
