"""The script in Debian's Chromium: what it stores and when, what it shows, and whom it takes for a human."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from daemon.clock import monotonic
from daemon.web.pages import readable_on
from rules.notices import shipped

pytestmark = pytest.mark.chromium
SDK = Path(__file__).parents[3] / "daemon" / "web" / "static" / "sdk.js"
SHOP, OURS = "https://shop.example", "https://t.shop.example"
HTML = """<!doctype html><html lang="{lang}"><head><title>Shop</title>
<style>* {{ color: red !important; display: inline !important }} dialog {{ font-size: 99px }}</style></head>
<body><h1>Shoes</h1><button id="before">Buy</button><a href="/cart">cart</a>
<script type="application/json" data-tillbell="cart">{{"currency": "EUR", "lines": []}}</script>
<script src="{ours}/sdk.js" data-shop="main" data-badge="b" defer></script></body></html>"""
ALL = "tillbell.consent({report: true, notices: true, push: true})"
WRITTEN = """async () => (await indexedDB.databases()).length + (await caches.keys()).length
  + (await navigator.serviceWorker.getRegistrations()).length"""
FOCUSED = "document.querySelector('.tillbell').shadowRoot.activeElement.className"
STORED = "Object.keys(localStorage).length + Object.keys(sessionStorage).length + document.cookie.length"


class Server:
    """Ours, as the script sees it: answers at once, and remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.notice: dict[str, Any] | None = None
        self.push: dict[str, Any] | None = None

    def answer(self, route: Route) -> None:
        request = route.request
        if not request.url.startswith(OURS):
            page = HTML.format(lang="de", ours=OURS)
            return route.fulfill(body=page, content_type="text/html; charset=utf-8")
        if request.url.endswith("/sdk.js"):
            return route.fulfill(body=SDK.read_bytes(), content_type="text/javascript")
        what = request.url.rpartition("/")[2]
        self.told.append((what, request.post_data_json))
        assert "cookie" not in request.headers
        answers = {"visitors": {"visitor": "v"}, "notices": {"notice": self.notice, "push": self.push}}
        body = answers.get(what, {"kept": 1})
        return route.fulfill(json=body, headers={"Access-Control-Allow-Origin": SHOP})

    def heard(self, what: str) -> list[dict[str, Any]]:
        return [body for name, body in self.told if name == what]

    def reactions(self, page: Page, count: int) -> list[str]:
        """What was done with a notice, once so much has arrived: it may still be on its way when the page goes on."""
        until = monotonic() + 60
        while len(self.heard("reactions")) < count and monotonic() < until:
            page.wait_for_timeout(20)
        return [body["what"] for body in self.heard("reactions")]


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    page.set_default_timeout(60_000)
    page.route("**/*", server.answer)
    yield page
    page.close()


def notice(lang: str = "de", about: str = "remind", **more: Any) -> dict[str, Any]:
    texts = {word: text.replace("{shop}", "Lampen-Löwe") for word, text in shipped()[lang][about].items()}
    looks = {"accent": "#1f6f54", "onAccent": readable_on("#1f6f54"), "close": shipped()[lang]["close"], "lang": lang}
    return {"token": "n", "when": "returns", "url": f"{SHOP}/cart", **texts, **looks, **more}


def test_nothing_is_stored_or_sent_before_consent(page: Page, server: Server) -> None:
    page.goto(f"{SHOP}/shoes")
    page.evaluate("tillbell.cart({lines: []}); tillbell.purchase(); tillbell.askForPush(); tillbell.unsubscribe()")
    page.wait_for_timeout(600)
    assert page.evaluate(STORED) == 0
    assert page.evaluate(WRITTEN) == 0
    assert server.told == []
    with page.expect_response("**/events"):
        page.evaluate(ALL)
    assert page.evaluate("Object.keys(localStorage)") == ["tillbell"]
    [events] = server.heard("events")
    assert (events["visitor"], events["badge"], events["device"]) == ("v", "b", "desktop")
    assert [one["type"] for one in events["events"]] == ["cart", "purchase", "visit"]
    page.evaluate("tillbell.consent(false)")
    page.wait_for_function("localStorage.length === 0")
    assert server.heard("visitors")[-1]["allow"] == []
    assert page.evaluate(STORED) == 0


def test_a_reminder_can_be_used_by_keyboard_and_closed(page: Page, server: Server) -> None:
    server.notice = notice()
    page.goto(f"{SHOP}/shoes")
    page.locator("#before").focus()
    page.evaluate(ALL)
    dialog = page.get_by_role("dialog", name="Ihr Warenkorb ist noch da")
    dialog.wait_for()
    for key in ("Enter", "Space"):  # who was typing as it came up has pressed nothing by it
        page.keyboard.press(key)
    order = []
    for _ in range(5):
        order.append(page.evaluate(FOCUSED))
        page.keyboard.press("Tab")
    assert order == ["", "yes", "no", "x", "yes"]
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert page.evaluate("document.activeElement.id") == "before"
    assert server.reactions(page, 2) == ["shown", "dismissed"]


def test_who_tabs_backwards_stays_inside_and_the_page_behind_is_out_of_reach(page: Page, server: Server) -> None:
    server.notice = notice()
    page.goto(f"{SHOP}/shoes")
    page.evaluate(ALL)
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Shift+Tab")
    assert page.evaluate(FOCUSED) == "x"
    page.evaluate("document.querySelector('#before').focus()")
    assert page.evaluate(FOCUSED) == "x"
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for(state="detached")


def test_it_is_read_aloud_with_its_title_its_text_and_a_name_for_each_button(page: Page, server: Server) -> None:
    server.notice = notice()
    page.goto(f"{SHOP}/shoes")
    page.evaluate(ALL)
    dialog = page.get_by_role("dialog", name="Ihr Warenkorb ist noch da")
    expect(dialog).to_have_accessible_description(server.notice["text"])
    told = page.locator("dialog").aria_snapshot()
    for part in (
        'heading "Ihr Warenkorb ist noch da"',
        'link "Zum Warenkorb"',
        'button "Jetzt nicht"',
        'button "Schließen"',
    ):
        assert part in told
    assert "img" not in told


STYLE_OF = "(one, [part, word]) => getComputedStyle(part ? one.querySelector(part) : one)[word]"


def test_nothing_moves_where_that_is_not_wanted_and_edges_show_in_forced_colours(page: Page, server: Server) -> None:
    server.notice = notice()
    page.goto(f"{SHOP}/shoes")
    page.evaluate(ALL)
    dialog = page.locator("dialog")
    dialog.wait_for()
    for wish, name in (("no-preference", "up"), ("reduce", "none")):
        page.emulate_media(reduced_motion=wish)  # type: ignore[arg-type]
        assert dialog.evaluate(STYLE_OF, ["", "animationName"]) == name
    for wish, width in (("none", "0px"), ("active", "2px")):
        page.emulate_media(forced_colors=wish)  # type: ignore[arg-type]
        for part in ("", ".yes"):
            assert dialog.evaluate(STYLE_OF, [part, "borderTopWidth"]) == width
    assert dialog.evaluate(STYLE_OF, ["svg", "color"]) != dialog.evaluate(STYLE_OF, ["svg", "backgroundColor"])


def test_a_language_from_right_to_left_is_written_so(page: Page, server: Server) -> None:
    words = {"title": "העגלה שלך עדיין כאן", "text": "מה ששמת בה מחכה לך.", "button": "לעגלה", "lang": "he"}
    server.notice = notice() | words
    page.goto(f"{SHOP}/shoes")
    page.evaluate(ALL)
    dialog = page.get_by_role("dialog", name="העגלה שלך עדיין כאן")
    dialog.wait_for()
    assert page.locator("dialog").evaluate(STYLE_OF, ["", "direction"]) == "rtl"
    box, close = page.locator("dialog").bounding_box(), page.locator("dialog .x").bounding_box()
    assert box is not None
    assert close is not None
    assert close["x"] < box["x"] + box["width"] / 4


LOOK = """() => {
  const root = document.querySelector(".tillbell").shadowRoot;
  const linear = c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = text => { const [r, g, b] = text.match(/[\\d.]+/g).map(Number);
    return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b); };
  const ground = at => { for (; at; at = at.parentElement) { const c = getComputedStyle(at).backgroundColor;
    if (!/, 0\\)$/.test(c)) return c; } return "rgb(255,255,255)"; };
  return [...root.querySelectorAll("h2, p, a, button")].map(one => {
    const [a, b] = [light(getComputedStyle(one).color), light(ground(one))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); });
}"""


@pytest.mark.parametrize(("lang", "accents"), [("de", ("#f2b705", "#777777")), ("en", ("#1f6f54",))])
def test_it_is_readable_in_two_languages_and_on_a_phone(
    page: Page, server: Server, lang: str, accents: tuple[str, ...]
) -> None:
    for accent in accents:
        server.notice = notice(lang, "leave", accent=accent, onAccent=readable_on(accent), token=accent)
        page.set_viewport_size({"width": 390, "height": 800})
        page.goto(f"{SHOP}/shoes")
        page.evaluate(ALL)
        dialog = page.get_by_role("dialog", name=shipped()[lang]["leave"]["title"])
        dialog.wait_for()
        assert min(page.evaluate(LOOK)) >= 4.5
        assert dialog.get_attribute("lang") == lang
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        box = page.get_by_role("link", name=shipped()[lang]["leave"]["button"]).bounding_box()
        assert box is not None
        assert box["height"] >= 44
        assert page.locator("dialog").evaluate("one => getComputedStyle(one).fontSize") == "16px"  # not the shop's 99px


LEAVES = """() => {
  document.documentElement.dispatchEvent(new MouseEvent("mouseleave", { clientY: -1 }));
  return document.querySelector(".tillbell");
}"""


def test_who_is_about_to_leave_is_asked_and_a_click_is_told(page: Page, server: Server) -> None:
    server.notice = notice(about="leave", when="leaves")
    page.goto(f"{SHOP}/shoes")
    with page.expect_response("**/notices"):
        page.evaluate(ALL)
    page.wait_for_timeout(1500)
    assert page.get_by_role("dialog").count() == 0
    page.wait_for_function(LEAVES)
    page.get_by_role("link", name="Warenkorb ansehen").click()
    page.wait_for_url(f"{SHOP}/cart")
    assert server.reactions(page, 2) == ["shown", "clicked"]


def test_it_can_be_taken_off_the_page(page: Page, server: Server) -> None:
    server.notice = notice()
    page.goto(f"{SHOP}/shoes")
    with page.expect_response("**/events"):
        page.evaluate(ALL)
    page.get_by_role("dialog").wait_for()
    assert server.reactions(page, 1) == ["shown"]
    page.evaluate("tillbell.remove()")
    assert page.locator(".tillbell").count() == 0
    told = len(server.told)
    page.evaluate("tillbell.cart({lines: []})")
    page.wait_for_timeout(500)
    assert len(server.told) == told


def test_a_page_that_is_looked_at_says_so_and_its_address_is_clean(page: Page, server: Server) -> None:
    page.clock.install(time=0)
    page.clock.pause_at(10_000)
    page.goto(f"{SHOP}/shoes?size=42&tb=mark#top")
    assert page.url == f"{SHOP}/shoes?size=42#top"
    page.clock.run_for(999)
    page.wait_for_timeout(200)
    assert server.heard("landings") == []
    with page.expect_response("**/landings"):
        page.clock.run_for(500)
    assert server.heard("landings") == [{"landing": "mark"}]
    assert page.evaluate(STORED) == 0
