"""Where a click leads to carries a mark, and a browser that shows the page brings it back: so a person has clicked."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlsplit, urlunsplit

from daemon.context import Context
from daemon.tokens import Secrets, Token
from daemon.web.badges import Landing, landing_token, read_landing
from rules.shops import ShopWords

MARK = "tb"
"""Name of the query parameter; the script takes it out of the address at once."""
DWELL = timedelta(seconds=1)
"""Who looks at a page for less than this may be a program that opens what it checks."""
LATEST = timedelta(minutes=30)


def marked(context: Context, token: Token, target: str, now: datetime) -> str:
    """The target of a click, with the mark where the shop's pages carry the script. `now` is machine time."""
    shop = shop_of(context, token.shop_id)
    if not target or shop is None or shop.script is None:
        return target
    parts = urlsplit(target)
    mark = f"{MARK}={landing_token(context.secrets, _landing(token, now))}"
    return urlunsplit(parts._replace(query=f"{parts.query}&{mark}" if parts.query else mark))


def _landing(token: Token, now: datetime) -> Landing:
    return Landing(token.shop_id, token.message_id, token.link_no, milliseconds(now))


def shown(keys: Secrets, text: str, shop_id: int, now: datetime) -> Landing | None:
    """The click whose page is being looked at: neither sooner nor later than a person would."""
    landing = read_landing(keys, text)
    if landing is None or landing.shop_id != shop_id:
        return None
    since = timedelta(milliseconds=milliseconds(now) - landing.at_ms)
    return landing if DWELL <= since <= LATEST else None


def milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def shop_of(context: Context, shop_id: int) -> ShopWords | None:
    """Its words; None for a shop that is not there (any more)."""
    try:
        return context.keeper.book.shops[context.shop_name(shop_id)]
    except KeyError:
        return None
