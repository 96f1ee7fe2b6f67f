"""What is reported on the shop's pages: it counts for whom the shop signed for it, and for nobody else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from daemon.clock import machine_now
from daemon.flow import dossier
from daemon.shops.base import ConsentHint, Customer
from tests.flow.conftest import POLICY, SHOPS

KEY, SHOP = "k" * 40, "https://shop.example"
HEADERS = {"Origin": SHOP, "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
WITH_SCRIPT = SHOPS.replace("    url: ", f"    onsite: {{{{key: {KEY}, carts: true}}}}\n    url: ", 1)
PURPOSES = ("email_mkt", "track_open", "track_click")
ADA = Customer(
    ref="7",
    email="ada@example.org",
    first_name="Ada",
    phone="+4930123456",
    consents=tuple(ConsentHint(purpose, "confirmed", None, "newsletter", "double opt-in") for purpose in PURPOSES),  # type: ignore[arg-type]
)


def cart(*products: str) -> dict[str, Any]:
    lines = [{"product_ref": name, "name": f"Schuh {name}", "quantity": 1, "unit_price": "49.90"} for name in products]
    return {"currency": "EUR", "lines": lines}


class Browser:
    """Somebody's browser with the script in it, as far as the server can tell."""

    def __init__(self, town: Any) -> None:
        self.town, self.visitor, self.badge, self.count = town, "", "", 0

    def logs_in(self, **claims: Any) -> None:
        told = {"shop": "main", "exp": int(machine_now().timestamp()) + 600, **claims}
        body = base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")
        tag = hmac.new(KEY.encode(), body.encode(), hashlib.sha256).digest()
        self.badge = f"{body}.{base64.urlsafe_b64encode(tag).decode().rstrip('=')}"

    async def asks(self, path: str, **told: Any) -> Any:
        body = json.dumps({"visitor": self.visitor, "badge": self.badge, "device": "mobile", **told})
        url = f"{self.town.public}/site/main/{path}"
        async with self.town.http.post(url, data=body, headers=HEADERS) as answer:
            assert answer.status in (200, 204), await answer.text()
            return await answer.json() if answer.status == 200 else None

    async def allows(self, *what: str) -> None:
        self.visitor = (await self.asks("visitors", allow=list(what or ("report", "notices", "push"))))["visitor"]

    async def tells(self, kind: str, data: Any = None) -> None:
        self.count += 1
        await self.asks("events", events=[{"id": f"event-{self.count:05}", "type": kind, "data": data or {}}])
        await self.town.settles()


@pytest.fixture
async def town(make_town: Any) -> Any:
    return await make_town(WITH_SCRIPT, {"main": POLICY})


@pytest.fixture
async def ada(town: Any) -> Browser:
    """A customer whom the shop told of, in front of a browser that allows everything."""
    await town.leaves_cart("c0", ADA)  # emptied: only who she is is known
    browser = Browser(town)
    await browser.allows()
    return browser


async def test_a_cart_that_rests_on_the_site_is_won_back_and_a_signed_order_ends_it(town, ada):
    ada.logs_in(customer="7")
    await ada.tells("cart", cart("red", "blue"))
    [kept] = await town.fetch("SELECT * FROM cart WHERE ref LIKE 'site-%'")
    assert (kept["state"], kept["device"], kept["total"]) == ("open", "mobile", Decimal("99.80"))
    await town.passes(hours=2)
    assert len(town.letters.of("ada@example.org")) == 1
    ada.logs_in(customer="7", order="o1", total="99.80", currency="EUR")
    await ada.tells("purchase")
    assert await town.ends() == {"purchase": 1}
    [order] = await town.fetch("SELECT ref, total, version FROM shop_order")
    assert (order["ref"], order["version"]) == ("o1", 0)
    await town.passes(days=3)
    assert len(town.letters.of("ada@example.org")) == 1
    await town.books_are_clean()


async def test_what_the_script_says_describes_nobody_anew(town, ada):
    ada.logs_in(customer="7")
    await ada.tells("cart", cart("red"))
    [known] = await town.fetch("SELECT first_name, phone, email FROM person")
    assert tuple(known) == ("Ada", "+4930123456", "ada@example.org")


async def test_who_nobody_named_changes_nothing_for_anybody(town, ada):
    ada.logs_in(customer="7")
    await ada.tells("cart", cart("red"))
    await town.passes(hours=2)
    before = await town.fetch("SELECT * FROM person, cart, recovery")
    stranger = Browser(town)
    await stranger.allows()
    for kind, data in (
        ("cart", cart("evil")),
        ("purchase", {"order": "o1", "ref": "c1"}),
        ("checkout", {}),
        ("visit", {}),
    ):
        await stranger.tells(kind, data)
    ada.badge = ""  # even in her own browser, once she has logged out
    for kind, data in (("cart", {"currency": "EUR", "total": 0, "lines": []}), ("purchase", {}), ("checkout", {})):
        await ada.tells(kind, data)
    assert await town.fetch("SELECT * FROM person, cart, recovery") == before
    assert await town.value("SELECT count(*) FROM shop_order") == 0
    await town.books_are_clean()


async def test_one_customer_speaks_for_no_other(town, ada):
    ada.logs_in(customer="7")
    await ada.tells("cart", cart("red"))
    await town.passes(hours=2)
    bob = Browser(town)
    await bob.allows()
    bob.logs_in(customer="8", email="bob@example.org")
    await bob.tells("cart", {**cart("blue"), "ref": "c0", "customer": {"ref": "7"}})
    await bob.tells("purchase", {"customer": "7", "order": "o1"})
    assert await town.ends() == {"open": 1}
    assert await town.value("SELECT count(*) FROM shop_order") == 0
    owners = await town.fetch(
        "SELECT p.customer_ref, c.state FROM cart c JOIN person p ON p.id = c.person_id ORDER BY 1, 2"
    )
    assert [tuple(one) for one in owners] == [("7", "emptied"), ("7", "open"), ("8", "emptied")]


async def test_a_purchase_that_the_shop_did_not_sign_empties_the_browsers_cart_and_is_no_order(town, ada):
    ada.logs_in(customer="7")
    await ada.tells("cart", cart("red"))
    await town.passes(hours=2)
    await ada.tells("purchase", {"order": "o1", "total": 5})
    assert await town.ends() == {"emptied": 1}
    assert await town.value("SELECT count(*) FROM shop_order") == 0


async def test_a_cart_from_before_the_login_becomes_the_customers(town, ada):
    await ada.tells("cart", cart("red"))
    assert await town.value("SELECT count(*) FROM cart WHERE state = 'open'") == 0
    assert await town.value("SELECT cart IS NOT NULL FROM visitor")
    ada.logs_in(customer="7")
    await ada.tells("visit")
    assert await town.value("SELECT count(*) FROM cart WHERE state = 'open'") == 1
    assert await town.value("SELECT cart IS NULL FROM visitor")


async def test_two_who_share_a_browser_stay_two(town, ada):
    for who in ({"customer": "7"}, {"customer": "8", "email": "bob@example.org"}):
        ada.logs_in(**who)
        await ada.tells("cart", cart("red"))
    assert await town.value("SELECT count(*) FROM person WHERE merged_into IS NULL") == 2
    assert await town.value("SELECT count(*) FROM cart WHERE state = 'open'") == 2
    owner = "SELECT p.customer_ref FROM identity i JOIN person p ON p.id = i.person_id WHERE i.kind = 'onsite'"
    assert await town.value(owner) == "8"


async def test_a_shop_that_tells_of_carts_itself_hears_only_that_somebody_is_there(make_town):
    town = await make_town(WITH_SCRIPT.replace(", carts: true", ""), {"main": POLICY})
    await town.leaves_cart("c1", ADA, "red")
    await town.passes(minutes=50)
    ada = Browser(town)
    await ada.allows()
    ada.logs_in(customer="7", cart="c1")
    await ada.tells("cart", cart("evil"))
    await ada.tells("checkout")
    [kept] = await town.fetch("SELECT ref, stage, lines FROM cart")
    assert (kept["ref"], kept["stage"], kept["lines"][0]["product"]) == ("c1", "checkout", "red")
    await town.passes(minutes=20)
    assert town.letters.taken == []  # she was here 20 minutes ago
    await town.passes(minutes=41)
    assert len(town.letters.taken) == 1


async def test_what_is_held_of_a_visitor_is_told_and_erased(town, ada):
    await ada.tells("cart", cart("canary"))
    ada.logs_in(customer="7")
    await ada.tells("cart", cart("canary"))
    person = await town.value("SELECT id FROM person")
    told = await dossier.held(town.context.pool, town.shop_id, person)
    [visitor] = told["visitor"]
    assert (visitor["origin"], visitor["allowed"]) == (SHOP, ["notices", "push", "report"])
    assert len([one for one in told["delivery"] if one["source"] == "site"]) == 2
    await dossier.erase(town.context.pool, town.context.pepper, town.shop_id, person, await town.now())
    for table in ("visitor", "cart", "inbox", "identity", "person"):
        rows = await town.fetch(f"SELECT * FROM {table}")
        text = " ".join(bytes(v).decode() if isinstance(v, bytes) else str(v) for row in rows for v in row.values())
        assert "canary" not in text
    assert await town.value("SELECT count(*) FROM visitor") == 0


async def test_a_browser_that_does_not_come_is_forgotten(town, ada):
    ada.logs_in(customer="7")
    await ada.tells("visit")
    await town.passes(days=399)
    assert await town.value("SELECT count(*) FROM visitor") == 1
    await town.passes(days=2)
    assert await town.value("SELECT count(*) FROM visitor") == 0
    assert await town.value("SELECT count(*) FROM identity WHERE kind = 'onsite'") == 0
    assert timedelta(days=400) == town.context.settings.keep_browsers


NOTICES = """
extends: default
starts: {rests_for: 1h}
quiet:
steps:
  - {name: remind, after: 1h}
  - name: welcome-back
    send: onsite
    after: 2h
    notice: {when: leaves, title: {de: "Halt!", fr: "Attendez"}}
without: [doubts, last-call]
"""


async def test_a_notice_hangs_for_who_comes_back_until_they_buy(make_town):
    town = await make_town(WITH_SCRIPT, {"main": NOTICES})
    ada = Browser(town)
    await ada.allows()
    ada.logs_in(customer="7", email="ada@example.org")
    await town.leaves_cart("c0", ADA)
    await ada.tells("cart", cart("red"))
    await town.passes(hours=1, minutes=30)
    assert (await ada.asks("notices"))["notice"] is None
    await town.passes(hours=1)
    [message] = await town.fetch("SELECT state, basis FROM message WHERE channel = 'onsite'")
    assert tuple(message) == ("accepted", "none_required")
    notice = (await ada.asks("notices", lang="de-AT"))["notice"]
    assert (notice["title"], notice["when"], notice["button"]) == ("Halt!", "leaves", "Warenkorb ansehen")
    assert "red" not in json.dumps(notice)  # whoever sits there sees no more than that there is a cart
    assert (await ada.asks("notices", lang="fr"))["notice"]["title"] == "Attendez"
    await ada.asks("reactions", notice=notice["token"], what="shown")
    await town.settles()
    assert await town.value("SELECT class FROM event WHERE kind = 'opened'") == "human"
    ada.badge = ""  # logged out, the same browser
    assert (await ada.asks("notices"))["notice"] is not None
    stranger = Browser(town)
    await stranger.allows()
    assert (await stranger.asks("notices"))["notice"] is None
    ada.logs_in(customer="7", order="o1", total="49.90", currency="EUR")
    await ada.tells("purchase")
    assert (await ada.asks("notices"))["notice"] is None
    assert await town.ends() == {"purchase": 1}
    await town.books_are_clean()


async def test_a_notice_that_was_dismissed_does_not_come_back(make_town):
    town = await make_town(WITH_SCRIPT, {"main": NOTICES.replace("when: leaves, ", "")})
    ada = Browser(town)
    await ada.allows()
    ada.logs_in(customer="7", email="ada@example.org")
    await town.leaves_cart("c0", ADA)
    await ada.tells("cart", cart("red"))
    await town.passes(hours=3)
    notice = (await ada.asks("notices"))["notice"]
    assert (notice["when"], notice["url"]) == ("returns", "https://shop.example/cart")
    await ada.asks("reactions", notice=notice["token"], what="dismissed")
    await town.settles()
    assert (await ada.asks("notices"))["notice"] is None
    assert await town.ends() == {"open": 1}
