"""When the script asks for web pushes, and when it says that there are to be none any more.

Chromium has no push service but Google's, so the browser's own part is played here; tests/flow has it with Firefox's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from rules.notices import shipped
from tests.daemon.web.test_sdk import ALL, SHOP, Server, notice

pytestmark = pytest.mark.chromium
KEY, OTHER = "QkFD", "WFla"
PLAYED = """
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
const made = (key) => key && {
  endpoint: `https://push.example/${key}`,
  options: { applicationServerKey: bytes(key) },
  toJSON: () => ({ endpoint: `https://push.example/${key}`, keys: { p256dh: "p", auth: "a" } }),
  unsubscribe: async () => sessionStorage.removeItem("played"),
};
const worker = {
  active: { postMessage: (note) => { window.noted = note; } },
  pushManager: {
    getSubscription: async () => made(sessionStorage.getItem("played")),
    subscribe: async (wish) => {
      const before = sessionStorage.getItem("played");
      if (before && before !== wish.applicationServerKey) throw new DOMException("another key", "InvalidStateError");
      sessionStorage.setItem("played", wish.applicationServerKey);
      return made(wish.applicationServerKey);
    },
  },
};
const workers = { register: async () => worker, ready: Promise.resolve(worker), getRegistration: async () => worker };
Object.defineProperty(navigator, "serviceWorker", { value: workers });
const permission = () => sessionStorage.getItem("permission") || "default";
Object.defineProperty(Notification, "permission", { get: permission });
Notification.requestPermission = async () => {
  sessionStorage.setItem("permission", "granted");
  return "granted";
};
"""
QUESTION = shipped()["de"]["push"]["title"]


@pytest.fixture
def server() -> Server:
    made = Server()
    words = {word: text.replace("{shop}", "Lampen-Löwe") for word, text in shipped()["de"]["push"].items()}
    looks = {"accent": "#1f6f54", "onAccent": "#ffffff", "close": "Schließen", "lang": "de"}
    made.push = {"key": KEY, "ask": "second_page", **words, **looks}
    return made


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    page = browser.new_page()
    page.set_default_timeout(60_000)
    page.add_init_script(PLAYED)
    page.route("**/*", server.answer)
    page.clock.install()
    yield page
    page.close()


def visits(page: Page) -> int:
    """One more page, for as long as it takes to be asked; how many questions there are then."""
    page.goto(f"{SHOP}/shoes")
    with page.expect_response("**/notices"):
        page.evaluate(ALL)
    for _ in range(8):
        page.clock.run_for(500)
    return page.get_by_role("dialog", name=QUESTION).count()


def says(page: Page, what: str, path: str) -> None:
    with page.expect_response(f"**/{path}"):
        page.get_by_role("button", name=what).click()


def told(server: Server) -> list[tuple[str, Any]]:
    """What was said of pushes, in its order."""
    return [
        (name, body["subscription"]["endpoint"] if name == "subscriptions" else body["endpoint"])
        for name, body in server.told
        if name in ("subscriptions", "unsubscriptions")
    ]


def test_the_second_page_asks_and_the_words_that_were_agreed_to_are_told(page: Page, server: Server) -> None:
    assert visits(page) == 0
    assert visits(page) == 1
    assert page.evaluate("sessionStorage.getItem('permission')") is None  # the browser is asked after a yes only
    says(page, "Ja, gern", "subscriptions")
    [body] = server.heard("subscriptions")
    assert body["wording"].startswith(f"{QUESTION} Lampen-Löwe darf mir")
    page.wait_for_function("window.noted !== undefined")
    assert page.evaluate("window.noted.tillbell.body") == {"visitor": "v"}
    assert visits(page) == 0


@pytest.mark.long
def test_who_says_no_is_not_asked_again(page: Page, server: Server) -> None:
    visits(page)
    assert visits(page) == 1
    page.get_by_role("button", name="Nein").click()
    assert visits(page) == 0
    assert told(server) == []


@pytest.mark.parametrize(("lines", "asked"), [("[]", 0), ("[{product_ref: '1'}]", 1)])
def test_once_something_lies_in_the_cart(page: Page, server: Server, lines: str, asked: int) -> None:
    assert server.push is not None
    server.push["ask"] = "after_cart"
    assert visits(page) == 0
    page.evaluate(f"tillbell.cart({{lines: {lines}}})")
    page.clock.run_for(4000)
    assert page.get_by_role("dialog", name=QUESTION).count() == asked


def test_never_beside_a_notice_and_never_on_its_own_where_the_shop_calls(page: Page, server: Server) -> None:
    server.notice = notice(when="leaves")
    assert (visits(page), visits(page)) == (0, 0)
    server.notice = None
    assert server.push is not None
    server.push["ask"] = "when_called"
    assert visits(page) == 0
    page.evaluate("tillbell.askForPush()")
    assert page.get_by_role("dialog", name=QUESTION).count() == 1


def subscribed(page: Page, server: Server) -> None:
    visits(page)
    visits(page)
    says(page, "Ja, gern", "subscriptions")
    page.wait_for_function("JSON.parse(localStorage.tillbell).endpoint !== undefined")
    server.told.clear()


ENDED = [("unsubscriptions", f"https://push.example/{KEY}")]


@pytest.mark.parametrize(
    "act",
    [
        pytest.param("sessionStorage.setItem('permission', 'denied')", id="the permission was withdrawn"),
        pytest.param("sessionStorage.removeItem('played')", id="the browser has none any more"),
    ],
)
def test_what_was_taken_back_in_the_browser_is_told_by_the_next_page(page: Page, server: Server, act: str) -> None:
    subscribed(page, server)
    page.evaluate(act)
    visits(page)
    page.wait_for_function("JSON.parse(localStorage.tillbell).endpoint === ''")
    assert told(server) == ENDED


@pytest.mark.long
@pytest.mark.parametrize(
    "act",
    [
        pytest.param("tillbell.unsubscribe()", id="the page offers to"),
        pytest.param("tillbell.consent({report: true})", id="pushes are not allowed any more"),
        pytest.param("tillbell.consent(false)", id="nothing is"),
    ],
)
def test_who_takes_it_back_on_a_page_is_unsubscribed(page: Page, server: Server, act: str) -> None:
    subscribed(page, server)
    with page.expect_response("**/unsubscriptions"):
        page.evaluate(act)
    page.wait_for_function("sessionStorage.getItem('played') === null")
    assert told(server) == ENDED


@pytest.mark.long
def test_when_our_key_is_another_one_the_browser_subscribes_anew(page: Page, server: Server) -> None:
    subscribed(page, server)
    assert server.push is not None
    server.push["key"] = OTHER
    page.evaluate("localStorage.tillbell = JSON.stringify({...JSON.parse(localStorage.tillbell), renewed: 0})")
    with page.expect_response("**/subscriptions"):
        visits(page)
    assert told(server) == [*ENDED, ("subscriptions", f"https://push.example/{OTHER}")]


def test_pushes_of_somebody_else_in_the_shop_are_left_alone(page: Page, server: Server) -> None:
    page.goto(f"{SHOP}/shoes")
    page.evaluate(f"sessionStorage.setItem('played', '{OTHER}')")
    visits(page)
    assert visits(page) == 1
    page.get_by_role("button", name="Ja, gern").click()
    page.evaluate("tillbell.unsubscribe()")
    page.clock.run_for(1000)
    assert page.evaluate("sessionStorage.getItem('played')") == OTHER
    assert told(server) == []


@pytest.mark.long
def test_words_that_could_not_be_told_are_told_by_the_next_page(page: Page, server: Server) -> None:
    visits(page)
    visits(page)
    page.route("**/subscriptions", lambda route: route.fulfill(status=503))
    says(page, "Ja, gern", "subscriptions")
    page.unroute("**/subscriptions")
    with page.expect_response("**/subscriptions"):
        visits(page)
    [body] = server.heard("subscriptions")
    assert body["wording"].startswith(QUESTION)
