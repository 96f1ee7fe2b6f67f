"""Our service worker in a real browser: Firefox, driven over Marionette, beside a push service on this machine."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from channels.base import Message, Push
from channels.webpush import Config, WebPush
from channels.webpush_bytes import made
from daemon.clock import machine_now
from daemon.demo.push_service import PushService
from daemon.mail.pushes import payload
from daemon.web import sdk
from tests.firefox import firefox as browser

PAGE = "<!doctype html><meta charset=utf-8><title>Shop</title>"
PARTS = {
    "title": "Ihr Warenkorb bei Käse & Söhne 🧀", "body": "Ein Käse liegt noch darin.", "url": "http://127.0.0.1/c/1",
    "icon": "", "image": "", "to_cart": "Zum Warenkorb", "stop": "Abmelden", "stop_url": "http://127.0.0.1/u/1",
    "locale": "de", "direction": "ltr",
}  # fmt: skip
SUBSCRIBE = """
const [key, done] = arguments;
(async () => {
  await navigator.serviceWorker.register("/sw.js");
  const ready = await navigator.serviceWorker.ready;
  const made = await ready.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  return made.toJSON();
})().then(done, (error) => done({ error: String(error) }));
"""
SHOWN = """
const [done] = arguments;
navigator.serviceWorker.ready.then((ready) => ready.getNotifications()).then((all) =>
  done(all.map(({ title, body, tag, lang, data }) => ({ title, body, tag, lang, data }))));
"""
UNSUBSCRIBE = """
const [done] = arguments;
navigator.serviceWorker.ready.then((ready) => ready.pushManager.getSubscription()).then((it) => it.unsubscribe())
  .then(done, (error) => done(String(error)));
"""


@pytest.fixture
async def service():
    running = PushService(lambda: machine_now().timestamp())
    await running.start()
    yield running
    await running.close()


@pytest.fixture
async def page(unused_tcp_port_factory):
    """A shop's page that may take in our worker; on this machine it counts as secure."""

    async def front(request):
        return web.Response(text=PAGE, content_type="text/html")

    app = web.Application()
    app.add_routes([web.get("/", front), *sdk.routes()])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    port = unused_tcp_port_factory()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://127.0.0.1:{port}/"
    await runner.cleanup()


@pytest.fixture
async def firefox(needs_program, service, tmp_path: Path, unused_tcp_port_factory):
    port = int(service.url.rpartition(":")[2])
    async with browser(
        needs_program("firefox-esr"), tmp_path, push=port, marionette=unused_tcp_port_factory()
    ) as driver:
        yield driver


@pytest.mark.long
async def test_pushed_twice_it_is_shown_once_and_after_unsubscribing_the_endpoint_is_gone(firefox, service, page):
    channel = WebPush(Config(private_key=made(), contact="mailto:push@shop.example", hosts=(service.url,)))

    async def always(message):
        return True

    async def pushed(found, title):
        content = payload({**PARTS, "title": title}, "tag-of-message-1")
        keys = found["keys"]
        push = Push(content, keys["p256dh"], keys["auth"], timedelta(minutes=5), "tag-of-message-1")
        told = []
        message = Message(1, 1, 1, found["endpoint"], push)
        await channel.hand_over([message], always, lambda _, outcome: told.append(outcome))
        return told[0]

    async def shown(title):
        async with asyncio.timeout(60):
            while title not in [one["title"] for one in await firefox.runs(SHOWN)]:
                await asyncio.sleep(0.05)
        return await firefox.runs(SHOWN)

    try:
        await firefox.does("WebDriver:Navigate", url=page)
        await asyncio.wait_for(service.hello.wait(), 60)
        found = await firefox.runs(SUBSCRIBE, channel.public_key)
        assert "error" not in found
        assert (await pushed(found, PARTS["title"])).state == "accepted"
        [first] = await shown(PARTS["title"])
        assert (first["body"], first["lang"], first["tag"]) == (PARTS["body"], "de", "tag-of-message-1")
        assert first["data"]["urls"] == {"cart": PARTS["url"], "stop": PARTS["stop_url"]}
        assert (await pushed(found, "Noch einmal")).state == "accepted"
        assert len(await shown("Noch einmal")) == 1, "the same tag: one visible notification"
        assert len(service.taken) == 2
        assert await firefox.runs(UNSUBSCRIBE) is True
        async with asyncio.timeout(60):
            while not service.ended:
                await asyncio.sleep(0.05)
        gone = await pushed(found, "Zu spät")
        assert (gone.state, gone.code, gone.gone) == ("failed", "410", True)
    finally:
        await channel.close()
