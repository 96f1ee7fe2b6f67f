"""A town where much has happened, for the commands that tell of it."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.shops.base import ConsentHint, Customer

ADA = Customer(
    ref="7",
    email="Ada@example.org",
    first_name="Ada",
    locale="de-DE",
    consents=tuple(
        ConsentHint(purpose, "confirmed", None, "newsletter", "double opt-in 2025-01-01")
        for purpose in ("email_mkt", "track_open", "track_click")
    ),
)
READER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
POLICY = """
extends: default
starts: {rests_for: 1h, total_at_least: 20 EUR}
steps:
  - {name: remind, after: 1h}
  - {name: doubts, after: 24h}
  - {name: last-call, after: 48h}
"""


@pytest.fixture
async def busy_town(make_town: Any, make_buyer: Any, links_of: Any) -> Any:
    """Ada opens, follows a link and buys after her second mail; Bob's address is refused; Eve gave no consent; Tim's
    cart is too small.
    """
    town = await make_town(policies={"main": POLICY})
    await town.leaves_cart("c1", ADA, "red", "blue")
    await town.passes(hours=1, minutes=20)
    links = links_of(town.letters.of("Ada@example.org")[0])
    async with town.http.get(f"{town.public}/o/{links['o'][0]}.gif", headers=READER):
        await town.settles()
    await town.passes(minutes=1)
    async with town.http.get(f"{town.public}/c/{links['c'][0]}", headers=READER, allow_redirects=False):
        await town.settles()
    await town.passes(hours=23)
    await town.buys("o1", ADA)
    town.letters.refuse["bob@example.org"] = "550 5.1.1 <bob@example.org> unknown"
    await town.leaves_cart("c2", make_buyer("bob"), "red")
    await town.leaves_cart("c3", Customer(ref="eve", email="eve@example.org"), "red")
    await town.leaves_cart("c4", make_buyer("tim"), "red", price="5.00")
    await town.passes(hours=1)
    return town
