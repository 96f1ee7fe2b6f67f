"""The picture and the links: everybody gets their answer, and only a GET leaves a trace."""

import asyncio
import secrets

import pytest
from yarl import URL

from daemon import tokens
from daemon.tokens import Token
from tests.letters import BROWSER, SECRETS

CART = "https://shop.example/cart"


async def test_opening_a_mail_is_kept_once_per_fetch(site):
    letter = await site.letter()
    status, response, body = await site.ask("GET", letter.pixel)
    assert (status, response.content_type, body[:6]) == (200, "image/gif", "GIF89a")
    assert "no-store" in response.headers["Cache-Control"]
    rows = await site.rows(
        "SELECT kind, message_id, person_id, recovery_id, link_no, user_agent, ip_net, class, handled_at FROM event"
    )
    assert rows == [
        ("opened", letter.id, letter.person_id, letter.recovery_id, None, BROWSER, "127.0.0.0/24", None, None)
    ]


async def test_a_click_goes_to_the_stored_target(site):
    letter = await site.letter()
    status, response, _ = await site.ask("GET", letter.link(1))
    assert (status, response.headers["Location"]) == (302, "https://www.shop.example/p/1")
    assert await site.rows("SELECT kind, link_no FROM event") == [("clicked", 1)]


@pytest.mark.parametrize("path", ["pixel", "link", "way_out"])
async def test_looking_without_fetching_leaves_no_trace(site, path):
    letter = await site.letter()
    address = letter.link() if path == "link" else getattr(letter, path)
    status, _, body = await site.ask("HEAD", address)
    assert (status, body) == (302 if path == "link" else 200, "")
    assert await site.kinds() == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_links_are_for_reading(site, method):
    letter = await site.letter()
    for path in (letter.pixel, letter.link()):
        status, _, _ = await site.ask(method, path)
        assert status == 405
    assert await site.kinds() == []


async def test_the_trap_leads_to_the_shop(site):
    letter = await site.letter()
    status, response, _ = await site.ask("GET", letter.link(3))
    assert (status, response.headers["Location"]) == (302, CART)
    assert await site.rows("SELECT kind, link_no FROM event") == [("clicked", 3)]


async def test_a_link_that_is_not_stored_any_more_leads_to_the_cart(site):
    letter = await site.letter()
    for no in (77, 40_000):
        status, response, _ = await site.ask("GET", letter.link(no))
        assert (status, response.headers["Location"]) == (302, CART)
    assert await site.rows("SELECT link_no FROM event ORDER BY recorded_at") == [(77,), (None,)]


async def test_a_hit_on_a_mail_that_is_gone_is_kept(site):
    gone = tokens.make(SECRETS, Token("open", site.shop_id, 4711))
    assert (await site.ask("GET", f"/o/{gone}.gif"))[0] == 200
    assert await site.rows("SELECT message_id, person_id FROM event") == [(4711, None)]


@pytest.mark.parametrize("purpose", ["click", "unsubscribe", "view", "bounce"])
async def test_a_token_is_good_for_its_purpose_only(site, purpose):
    letter = await site.letter()
    status, response, _ = await site.ask("GET", f"/o/{letter.token(purpose)}.gif")
    assert (status, response.content_type) == (200, "image/gif")
    assert await site.kinds() == []


async def test_forged_links_leave_no_trace_and_all_look_alike(site):
    letter = await site.letter()
    good = letter.token("click", 0)
    flipped = [good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1 :] for at in range(20, 40)]
    made_up = [secrets.token_urlsafe(30) for _ in range(20)]
    answers = {(await site.ask("GET", f"/c/{token}"))[0] for token in made_up}
    assert answers == {404}
    answers = {(await site.ask("GET", f"/c/{token}"))[1].headers["Location"] for token in flipped}
    assert answers == {CART}
    assert await site.kinds() == []


async def test_a_link_broken_by_a_mail_program_still_leads_to_the_shop(site):
    letter = await site.letter()
    status, response, _ = await site.ask("GET", f"/c/{letter.token('click', 0)[:-4]}")
    assert (status, response.headers["Location"]) == (302, CART)


async def test_guessing_is_answered_from_memory_and_honest_links_go_on(site):
    letter = await site.letter()
    for _ in range(60):
        assert (await site.ask("GET", "/c/nothing"))[1].content_type == "text/html"
    status, response, body = await site.ask("GET", "/c/nothing")
    assert (status, response.content_type, body) == (404, "text/plain", "not found\n")
    assert (await site.ask("GET", "/o/nothing.gif"))[0] == 200
    assert (await site.ask("GET", letter.link()))[0] == 302


async def test_a_rehearsed_mail_says_so_and_keeps_nothing(site):
    letter = await site.letter()
    status, response, _ = await site.ask("GET", f"/o/{letter.token('open', rehearsal=True)}.gif")
    assert (status, response.content_type) == (200, "image/gif")
    status, response, body = await site.ask("GET", f"/c/{letter.token('click', 1, rehearsal=True)}")
    assert (status, response.content_type) == (200, "text/html")
    assert "rehearsal" in body
    assert "https://www.shop.example/p/1" in body
    assert await site.kinds() == []


HOSTILE = [
    "//evil.example/", "///evil.example", "/\\evil.example", "\\\\evil.example", "https:evil.example",
    "https:/evil.example", "https:///evil.example", "http:\\\\evil.example", "https://evil.example",
    "HTTPS://EVIL.EXAMPLE/", "https://shop.example@evil.example/", "https://shop.example:443@evil.example/",
    "https://shop.example%40evil.example/", "https://evil.example\\@shop.example/",
    "https://evil.example#@shop.example/", "https://evil.example?shop.example", "https://evil.example/shop.example",
    "https://shop.example.evil.example/", "https://evilshop.example/", "https://shop.example%2eevil.example/",
    "https://shop.example%00.evil.example/", "https://shop.example\x00.evil.example/",
    "https://shop.example\n.evil.example/", "https://shop.example/\r\nLocation: https://evil.example/",
    "https://shop.example/\r\n\r\n<script>alert(1)</script>", "https://shop.example\t@evil.example",
    " https://evil.example", "\thttps://evil.example", "java\nscript:alert(1)",
    "javascript:alert(1)//https://shop.example", "data:text/html,<script>", "vbscript:x", "ftp://shop.example/x",
    "file:///etc/passwd", "https://evil。example/", "https://evil．example", "https://ⓔvil.example",
    "https://xn--vil-9na.example/", "https://127.0.0.1/", "https://[::1]/", "https://2130706433/",
    "https://shop.example:80a/", "https://shop.example:99999/", "https://", "https://?", "https://#shop.example", "",
    ".", "?", "https://shop.example\\.evil.example", "https://shop.example;evil.example/",
    "https://shop.example&evil.example/", "https://evil.example:shop.example/",
    "https://shop.example.:443@evil.example", "https://[evil.example]/", "https://shop.example]@evil.example",
    "https://evil.example\u2028", "https://shop.example\u202e.evil.example",
]  # fmt: skip
STILL_OURS = [
    "https://shop.example/p?next=https://evil.example/", "https://shop.example//evil.example/",
    "https://shop.example:8443/x", "https://www.shop.example/größe?q=ü", "https://checkout.example/#@evil.example",
    "https://sub.shop.example/x",
]  # fmt: skip


def variants(target: str) -> list[str]:
    return [target, target.upper(), target + "//", target.replace("https", "http")]


async def test_a_redirect_never_leaves_the_shop(site):
    targets = [variant for target in HOSTILE + STILL_OURS for variant in variants(target) if "\x00" not in variant]
    links = {no: ("product", target) for no, target in enumerate(targets)}
    assert len(links) >= 200
    letter = await site.letter(links=links)
    ours, away = ("shop.example", "checkout.example"), []
    for no, target in links.items():
        status, response, body = await site.ask("GET", letter.link(no))
        location = response.headers["Location"]
        host = URL(location).host
        if status != 302 or not any(host == own or host.endswith(f".{own}") for own in ours) or body:
            away.append((target, location))
    assert away == []
    kept = [await site.ask("GET", letter.link(targets.index(target))) for target in STILL_OURS]
    assert all(response.headers["Location"] != CART for _, response, _ in kept)


async def test_many_people_at_once_are_all_kept(site):
    letters = [await site.letter(f"p{n}@example.org") for n in range(10)]
    paths = [path for letter in letters for path in (letter.pixel, letter.link(0), letter.link(1)) for _ in range(10)]
    answers = await asyncio.gather(*(site.ask("GET", path) for path in paths))
    assert {status for status, _, _ in answers} == {200, 302}
    kept = await site.rows("SELECT message_id, count(*) FROM event GROUP BY 1 ORDER BY 1")
    assert kept == [(letter.id, 30) for letter in letters]


async def test_what_a_client_calls_itself_cannot_spoil_its_neighbours(site):
    letter = await site.letter()
    agents = ["x" * 5000, "K\u00e4se", "\x01\x7f", "'; DROP TABLE event; --", "\U0001f600"]
    answers = await asyncio.gather(*(site.ask("GET", letter.pixel, headers={"User-Agent": a}) for a in agents[:2]))
    reader, writer = await asyncio.open_connection("127.0.0.1", site.served.public_port)
    writer.write(f"GET {letter.pixel} HTTP/1.0\r\nUser-Agent: ".encode() + b"\xff\xfe\xed\xa0\x80 ok\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.0 200")
    writer.close()
    assert {status for status, _, _ in answers} == {200}
    kept = sorted(agent for (agent,) in await site.rows("SELECT user_agent FROM event"))
    assert len(kept) == 3
    assert max(map(len, kept)) == 300


async def test_addresses_with_tokens_are_neither_stored_nor_passed_on(site):
    letter = await site.letter()
    for path in (letter.pixel, letter.link(), letter.way_out, "/c/nothing", "/nothing"):
        _, response, _ = await site.ask("GET", path)
        assert "no-store" in response.headers["Cache-Control"]
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Server"] == "tillbell"
