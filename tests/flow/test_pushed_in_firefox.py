"""Web push by the script on the shop's pages, in Firefox: asked, subscribed, shown once, clicked, and taken back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from channels.webpush_bytes import made
from daemon.clock import machine_now
from daemon.demo.push_service import PushService
from tests.firefox import Marionette, firefox
from tests.flow.conftest import SHOPS, Town
from tests.flow.test_in_the_shop import until
from tests.flow.test_onsite import ADA
from tests.storefront import KEY, Storefront, cart, signed

LADDER = """
extends: default
starts: {rests_for: 1h}
quiet:
steps:
  - {name: glance, send: webpush, after: 4h}
  - {name: once-more, send: webpush, after: 20h}
without: [remind, doubts, last-call]
"""
ASKED = """
const [done] = arguments;
const look = () => {
  const host = document.querySelector(".tillbell");
  host ? done(host.shadowRoot.querySelector(".yes")) : setTimeout(look, 50);
};
look();
"""
SHOWN = """
const [done] = arguments;
navigator.serviceWorker.getRegistration().then((worker) => worker.getNotifications())
  .then((all) => done(all.map(({ title, tag }) => ({ title, tag }))));
"""
CLICK = """
for (const alert of Services.wm.getEnumerator("alert:alert")) { alert.onAlertClick(); return true; }
return false;
"""
PERMISSION = """
const page = Services.scriptSecurityManager.createContentPrincipalFromOrigin(arguments[0]);
Services.perms.addFromPrincipal(page, "desktop-notification", arguments[1]);
"""
ALLOW, DENY = 1, 2
RENEWS = """
const page = Services.scriptSecurityManager.createContentPrincipalFromOrigin(arguments[0]);
const notifier = Cc["@mozilla.org/push/Notifier;1"].getService(Ci.nsIPushNotifier);
notifier.notifySubscriptionChange(`${arguments[0]}/`, page, null);
"""
FORGET = """
const [done] = arguments;
const look = () => {
  const kept = JSON.parse(localStorage.getItem("tillbell"));
  if (kept.endpoint) return setTimeout(look, 50);
  localStorage.setItem("tillbell", JSON.stringify({ ...kept, asked: 0 }));
  done();
};
look();
"""
LEAVE = """
const page = Services.scriptSecurityManager.createContentPrincipalFromOrigin(arguments[0]);
const service = Cc["@mozilla.org/push/Service;1"].getService(Ci.nsIPushService);
return new Promise((done) => {
  service.unsubscribe(`${arguments[0]}/`, page, { onUnsubscribe: (status, ended) => done(ended) });
});
"""
CLOSE = """
const { gBrowser } = Services.wm.getMostRecentWindow("navigator:browser");
const [, ...others] = gBrowser.tabs;
for (const tab of others) gBrowser.removeTab(tab);
return others.length;
"""
UNSUBSCRIBE = """
const [done] = arguments;
tillbell.unsubscribe().then(() => navigator.serviceWorker.getRegistration())
  .then((worker) => worker.pushManager.getSubscription()).then((one) => done(one === null));
"""
WORDS = """
SELECT w.text FROM consent k JOIN wording w ON w.sha256 = k.wording_sha256
WHERE k.purpose = 'push_mkt' AND state = 'confirmed'
"""
BROWSERS = "SELECT count(*) FROM subscription"


@pytest.fixture
async def service() -> AsyncIterator[PushService]:
    running = PushService(lambda: machine_now().timestamp())
    await running.start()
    yield running
    await running.close()


@pytest.fixture
async def shop(unused_tcp_port_factory: Callable[[], int]) -> AsyncIterator[Storefront]:
    opened = Storefront(unused_tcp_port_factory())
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def town(make_town: Any, shop: Storefront, service: PushService) -> Town:
    words = SHOPS.replace("https://shop.example", shop.url)
    onsite = f"    onsite: {{{{key: {KEY}, carts: true, ask_for_push: second_page}}}}\n    url: "
    town: Town = await make_town(
        words.replace("    url: ", onsite, 1),
        {"main": LADDER},
        push_private_key=SecretStr(made()),
        push_contact="mailto:push@shop.example",
        push_hosts=(service.url,),
    )
    shop.ours, shop.allows = town.public, {"report": True, "push": True}
    return town


@pytest.fixture
async def browser(
    needs_program: Callable[[str], str],
    service: PushService,
    tmp_path: Path,
    unused_tcp_port_factory: Callable[[], int],
) -> AsyncIterator[Marionette]:
    port = int(service.url.rpartition(":")[2])
    program = needs_program("firefox-esr")
    async with firefox(program, tmp_path, push=port, marionette=unused_tcp_port_factory()) as driver:
        yield driver


async def says_yes(browser: Marionette) -> None:
    """Our own question comes up, and is answered with a click."""
    [button] = (await browser.runs(ASKED)).values()
    await browser.does("WebDriver:ElementClick", id=button)


async def shown(browser: Marionette) -> list[dict[str, str]]:
    async with asyncio.timeout(60):
        while not (found := await browser.runs(SHOWN)):
            await asyncio.sleep(0.05)
    return found  # type: ignore[no-any-return]


async def is_asked(town: Town, shop: Storefront, browser: Marionette) -> None:
    """On the second page, with words that are kept as the consent."""
    await browser.goes(f"{shop.url}/lamps")
    await until(town, "SELECT count(*) FROM cart WHERE state = 'open'")
    await browser.goes(f"{shop.url}/cart")
    await says_yes(browser)
    await until(town, BROWSERS)
    assert str(await town.value(WORDS)).startswith("Sollen wir Sie erinnern? Laden darf mir in diesem Browser")


async def is_pushed_twice(town: Town, service: PushService) -> str:
    """The push service shows it and says that it is busy, so it is sent once more; the topic of both."""
    topics: list[str] = []

    async def mood(request: web.Request) -> web.Response | None:
        topics.append(request.headers["Topic"])
        if len(topics) > 1:
            return None
        service.mood = None
        await service.push(request)
        service.mood = mood
        return web.Response(status=503, headers={"Retry-After": "0"})

    service.mood = mood
    await town.passes(hours=5)
    service.mood = None
    assert len(topics) == 2
    assert len(set(topics)) == 1
    return topics[0]


async def says_yes_again(town: Town, shop: Storefront, browser: Marionette) -> None:
    """As somebody whose last question is long ago."""
    await browser.goes(f"{shop.url}/lamps")
    await browser.runs(FORGET)
    await browser.goes(f"{shop.url}/lamps")
    await says_yes(browser)
    await until(town, BROWSERS)


@pytest.mark.long
async def test_the_script_asks_on_the_second_page_and_takes_back_what_was_taken_back(
    town: Town, shop: Storefront, service: PushService, browser: Marionette
) -> None:
    await town.leaves_cart("c0", ADA)
    shop.badge, shop.tells = signed(customer="7"), {"cart": cart("Paris")}
    await asyncio.wait_for(service.hello.wait(), 60)
    await is_asked(town, shop, browser)
    await browser.goes("about:blank")
    topic = await is_pushed_twice(town, service)

    # It is shown once, and its click is a human's.
    await browser.goes(f"{shop.url}/lamps")
    assert await shown(browser) == [{"title": "Ihr Warenkorb bei Laden", "tag": topic}]
    async with asyncio.timeout(60):
        while not await browser.inside(CLICK):
            await asyncio.sleep(0.1)
    await until(town, "SELECT count(*) FROM event WHERE kind = 'clicked' AND class = 'human'")
    await until(town, "SELECT count(*) FROM event WHERE kind = 'landed'")

    # The browser has to subscribe anew, with no page open: the worker tells it.
    await browser.goes("about:blank")
    assert await browser.inside(CLOSE) == 1
    await town.context.pool.execute("DELETE FROM subscription")
    await browser.inside(RENEWS, shop.url)
    await until(town, BROWSERS)

    # The browser ends it by itself: the next push finds it gone, and it is removed.
    assert await browser.inside(LEAVE, shop.url)
    await town.passes(hours=20)
    assert await town.value("SELECT state || ' ' || reason FROM message WHERE step = 'once-more'") == "failed 410"
    assert await town.value(BROWSERS) == 0

    # The permission is withdrawn in the browser: the next page says so.
    await says_yes_again(town, shop, browser)
    await browser.inside(PERMISSION, shop.url, DENY)
    await browser.goes(f"{shop.url}/lamps")
    await until(town, f"SELECT ({BROWSERS}) = 0")

    # The shop's own page offers to end it.
    await browser.inside(PERMISSION, shop.url, ALLOW)
    await says_yes_again(town, shop, browser)
    ended = len(service.ended)
    assert await browser.runs(UNSUBSCRIBE)
    assert await town.value(BROWSERS) == 0
    assert len(service.ended) == ended + 1
    await town.books_are_clean()
