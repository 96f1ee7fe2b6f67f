"""Who left by a mail that this database does not know: a backup was restored that is older than the mail."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from daemon.context import Context
from daemon.doctor.reason import Reason
from daemon.mail.headers import Errand, message_id
from daemon.store import optouts

NAMED = 10
"""So many are named in a sentence; once they are settled, the next are."""
MOST = 1000
"""What the store counts up to."""
HINT = (
    "look in your relay's log or sent mails for whom these Message-IDs went to, `tillbell suppress add ADDRESS`, then "
    "`tillbell suppress settle MESSAGE-ID`"
)


async def lost(context: Context, _: datetime) -> list[Reason]:
    """Did anybody leave, or complain, of whom nobody can say who it is? Each of them is written to again."""
    found: dict[int, list[int]] = {}
    for shop_id, number in await optouts.lost(context.pool, list(context.shop_ids.values())):
        found.setdefault(shop_id, []).append(number)
    return [
        of_the_lost(name, [mail_id(context, name, number) for number in found[shop_id]])
        for name, shop_id in sorted(context.shop_ids.items())
        if shop_id in found
    ]


def of_the_lost(shop: str, mails: Sequence[str]) -> Reason:
    """`mails`: their Message-IDs, oldest first."""
    number = f"{MOST} or more" if len(mails) >= MOST else str(len(mails))
    people = "person" if len(mails) == 1 else "people"
    more = f" and {len(mails) - NAMED} more" if len(mails) > NAMED else ""
    text = f"shop {shop}: {number} {people} left or complained by mails that this database does not know"
    text += ", as a backup was restored, and will be written to again"
    return Reason("lost", f"{text}: {', '.join(mails[:NAMED])}{more}", HINT)


def mail_id(context: Context, shop: str, number: int) -> str:
    """The Message-ID that the mail went out with, as long as the sender's domain is the same."""
    sender = context.keeper.book.shops[shop].sender
    domain = sender.address.rpartition("@")[2] if sender else "localhost"
    return message_id(Errand(context.shop_ids[shop], number, "", "", "", "", ""), domain, context.pepper)
