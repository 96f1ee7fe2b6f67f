"""The whole way in Debian's Chromium: a page of the shop with our script, and the daemon that it talks to."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright

from tests.flow.conftest import SHOPS, Town, read_links
from tests.flow.test_onsite import ADA
from tests.storefront import KEY, Storefront, cart, signed

pytestmark = pytest.mark.chromium
PICTURES = os.environ.get("TILLBELL_TEST_PICTURES", "")
"""The folder in which the pictures of docs/onsite.md are drawn anew, if it is named."""
LADDER = """
extends: default
starts: {rests_for: 1h}
quiet:
steps:
  - {name: remind, after: 1h}
  - {name: welcome-back, send: onsite, after: 3h}
without: [doubts, last-call]
"""
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
KEPT = """async () => [localStorage.length, sessionStorage.length, document.cookie,
  (await indexedDB.databases()).length, (await caches.keys()).length,
  (await navigator.serviceWorker.getRegistrations()).length]"""


@pytest.fixture
async def shop(unused_tcp_port_factory: Callable[[], int]) -> AsyncIterator[Storefront]:
    made = Storefront(unused_tcp_port_factory())
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def town(make_town: Any, shop: Storefront) -> Town:
    words = SHOPS.replace("https://shop.example", shop.url).replace("name: Laden", "name: Lampen-Löwe")
    words = words.replace("    url: ", f"    onsite: {{{{key: {KEY}, carts: true}}}}\n    url: ", 1)
    made: Town = await make_town(words, {"main": LADDER})
    shop.ours, shop.lang = made.public, "en"
    return made


@pytest.fixture
async def chromium(needs_program: Callable[[str], str]) -> AsyncIterator[Browser]:
    program = needs_program("chromium")
    async with async_playwright() as play:
        browser = await play.chromium.launch(
            executable_path=program, args=["--no-sandbox"] if os.geteuid() == 0 else [], timeout=120_000
        )
        yield browser
        await browser.close()


@pytest.fixture
async def page(chromium: Browser) -> AsyncIterator[Page]:
    page = await chromium.new_page(viewport={"width": 960, "height": 640}, user_agent=CHROME)
    page.set_default_timeout(60_000)
    page.complaints = []  # type: ignore[attr-defined]
    page.on("console", lambda said: said.type == "error" and page.complaints.append(said.text))  # type: ignore[attr-defined]
    page.on("pageerror", lambda error: page.complaints.append(str(error)))  # type: ignore[attr-defined]
    yield page
    await page.close()


async def until(town: Town, sql: str) -> None:
    """As soon as the database says so."""
    async with asyncio.timeout(60):
        while not await town.value(sql):
            await asyncio.sleep(0.02)
    await town.settles()


async def drawn(page: Page, name: str) -> None:
    if PICTURES:
        await page.wait_for_timeout(400)  # until it has come up
        await page.screenshot(path=f"{PICTURES}/{name}.png")


async def test_a_cart_on_a_page_is_won_back_by_mail_and_on_the_page_until_it_is_bought(
    town: Town, shop: Storefront, page: Page
) -> None:
    await town.leaves_cart("c0", ADA)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    # Before they allow anything: nothing is asked, nothing is kept.
    shop.badge, shop.tells = signed(customer="7"), {"cart": cart("Paris", "Mond")}
    await page.goto(f"{shop.url}/lamps")
    await page.wait_for_timeout(500)
    assert [url for url in asked if url.startswith(town.public)] == [f"{town.public}/sdk.js"]
    assert await page.evaluate(KEPT) == [0, 0, "", 0, 0, 0]
    assert await town.value("SELECT count(*) FROM visitor") == 0

    # They allow it: the cart is kept with us, and left alone.
    shop.allows = {"report": True, "notices": True, "wording": "v3"}
    await page.goto(f"{shop.url}/lamps")
    await until(town, "SELECT count(*) FROM cart WHERE state = 'open' AND total = 99.80")
    assert await page.evaluate("Object.keys(localStorage)") == ["tillbell"]
    assert await page.context.cookies() == []
    await page.goto("about:blank")
    await town.passes(hours=1, minutes=30)
    [mail] = town.letters.of("ada@example.org")

    # A click in the mail leads to the shop, and who looks at it is a human.
    await page.goto(f"{town.public}/c/{read_links(mail)['c'][0]}")
    await page.wait_for_url(lambda url: url.startswith(shop.url) and "tb=" not in url)
    await until(town, "SELECT count(*) FROM event WHERE kind = 'clicked' AND class = 'human'")
    assert await town.value("SELECT count(*) FROM event WHERE kind = 'landed'") == 1

    # They leave it again; when they come back, a notice is there, and the keyboard is enough.
    await page.goto("about:blank")
    await town.passes(hours=3)
    await page.goto(f"{shop.url}/lamps")
    await page.locator("#cart").focus()
    dialog = page.get_by_role("dialog", name="Your basket is still here")
    await dialog.wait_for()
    await until(town, "SELECT count(*) FROM event WHERE kind = 'opened' AND class = 'human'")
    await drawn(page, "notice")
    await page.set_viewport_size({"width": 390, "height": 760})
    await drawn(page, "notice-phone")
    await page.keyboard.press("Escape")
    await dialog.wait_for(state="detached")
    assert await page.evaluate("document.activeElement.id") == "cart"
    await until(town, "SELECT count(*) FROM event WHERE kind = 'dismissed'")

    # They buy: all is over.
    shop.badge = signed(customer="7", order="o1", total="99.80", currency="EUR")
    shop.tells = {"purchase": {}}
    await page.goto(f"{shop.url}/thanks")
    await until(town, "SELECT count(*) FROM recovery WHERE state = 'ended'")
    assert await town.ends() == {"purchase": 1}
    await town.passes(days=3)
    assert len(town.letters.taken) == 1
    assert page.complaints == []  # type: ignore[attr-defined]  not even against a policy that forbids what is not named
    await town.books_are_clean()
