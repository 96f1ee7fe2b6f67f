"""The way out of the list: one click is enough, no glance is, and a mistake can be undone."""

import asyncio
import re

import aiohttp
import pytest
from playwright.async_api import async_playwright

ONE_CLICK = "List-Unsubscribe=One-Click"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def multipart() -> aiohttp.MultipartWriter:
    body = aiohttp.MultipartWriter("form-data")
    body.append("One-Click").set_content_disposition("form-data", name="List-Unsubscribe")
    return body


BODIES = {
    "a form": lambda: {"data": ONE_CLICK, "headers": FORM},
    "multipart": lambda: {"data": multipart()},
    "a form in another case": lambda: {"data": "list-unsubscribe=one-click", "headers": FORM},
    "without a name of the client": lambda: {"data": ONE_CLICK, "headers": FORM | {"User-Agent": ""}},
}


async def standing(site, letter) -> dict[str, object]:
    """What is true of the person now."""
    suppressed = await site.rows("SELECT reason, source FROM suppression WHERE channel = 'email'")
    consent = await site.rows(
        "SELECT state FROM consent WHERE person_id = $1 AND purpose = 'email_mkt' ORDER BY id", letter.person_id
    )
    [(recovery, reason)] = await site.rows("SELECT state, end_reason FROM recovery WHERE id = $1", letter.recovery_id)
    [(message,)] = await site.rows(
        "SELECT state FROM message WHERE step = 'next' AND recovery_id = $1", letter.recovery_id
    )
    [(facts_no,)] = await site.rows("SELECT facts_no FROM person WHERE id = $1", letter.person_id)
    return {
        "suppressed": suppressed,
        "consent": [state for (state,) in consent],
        "recovery": (recovery, reason),
        "next": message,
        "facts_no": facts_no,
    }


WAITING = {"suppressed": [], "consent": ["confirmed"], "recovery": ("open", None), "next": "planned", "facts_no": 0}


@pytest.mark.parametrize("body", BODIES)
async def test_one_click_ends_it_all_at_once(site, body):
    letter = await site.letter()
    status, response, text = await site.ask("POST", letter.way_out, **BODIES[body]())
    assert (status, response.content_type, text) == (200, "text/plain", "unsubscribed\n")
    after = await standing(site, letter)
    assert after["facts_no"] >= 1
    assert {**after, "facts_no": 1} == {
        "suppressed": [("unsubscribed", f"message {letter.id}")],
        "consent": ["confirmed", "withdrawn"],
        "recovery": ("ended", "unsubscribed"),
        "next": "cancelled",
        "facts_no": 1,
    }
    [(kind, class_, handled)] = await site.rows("SELECT kind, class, handled_at IS NOT NULL FROM event")
    assert (kind, class_, handled) == ("unsubscribed", "human", True)


async def test_ten_clicks_are_one(site):
    letter = await site.letter()
    answers = await asyncio.gather(*(site.ask("POST", letter.way_out, data=ONE_CLICK, headers=FORM) for _ in range(10)))
    assert [status for status, _, _ in answers] == [200] * 10
    after = await standing(site, letter)
    assert after["suppressed"] == [("unsubscribed", f"message {letter.id}")]
    assert after["consent"] == ["confirmed", "withdrawn"]
    assert await site.kinds() == ["unsubscribed"] * 10


async def test_looking_at_the_page_changes_nothing(site):
    letter = await site.letter()
    for _ in range(3):
        status, response, _ = await site.ask("GET", letter.way_out)
        assert (status, response.content_type) == (200, "text/html")
        await site.ask("HEAD", letter.way_out)
    assert await standing(site, letter) == WAITING
    assert await site.kinds() == ["viewed"] * 3


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"data": "List-Unsubscribe=Two-Click", "headers": FORM}, 400, id="another value"),
        pytest.param({"data": "", "headers": FORM}, 400, id="nothing"),
        pytest.param({"json": {"List-Unsubscribe": "One-Click"}}, 400, id="JSON"),
        pytest.param({"data": b"\xff\xfe" * 100, "headers": FORM}, 400, id="noise"),
        pytest.param(
            {"data": b"--x\r\nbad", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400, id="half"
        ),
        pytest.param({"data": b"a=" + b"x" * 1_000_000, "headers": FORM}, 413, id="a megabyte"),
    ],
)
async def test_what_does_not_ask_for_it_changes_nothing(site, body, status):
    letter = await site.letter()
    assert (await site.ask("POST", letter.way_out, **body))[0] == status
    assert await standing(site, letter) == WAITING


async def test_a_forged_link_changes_nothing_and_does_not_pretend(site):
    letter = await site.letter()
    token = letter.token("unsubscribe")
    for forged in (token[:-1] + ("A" if token[-1] != "A" else "B"), "x" * 40, letter.token("click", 0), token[:-6]):
        for how in ({"method": "GET"}, {"method": "POST", "data": ONE_CLICK, "headers": FORM}):
            status, _, body = await site.ask(path=f"/u/{forged}", **how)
            assert status == 404
            assert "unsubscribed" not in body
    assert await standing(site, letter) == WAITING
    assert await site.kinds() == []


async def test_a_mistake_can_be_undone(site):
    letter = await site.letter()
    status, _, page = await site.ask("POST", letter.way_out, data={"do": "unsubscribe"})
    assert status == 200
    assert 'value="undo"' in page
    assert (await standing(site, letter))["consent"] == ["confirmed", "withdrawn"]
    status, _, page = await site.ask("POST", letter.way_out, data={"do": "undo"})
    assert status == 200
    assert 'value="unsubscribe"' in page
    after = await standing(site, letter)
    assert after["suppressed"] == []
    assert after["consent"] == ["confirmed", "withdrawn", "confirmed"]
    assert after["recovery"] == ("ended", "unsubscribed")  # what is over stays over
    newest = await site.rows(
        "SELECT evidence, wording_sha256 = sha256('Yes please') FROM consent ORDER BY id DESC LIMIT 1"
    )
    assert newest == [("opt-in 17", True)]


async def test_undoing_twice_is_undoing_once(site):
    letter = await site.letter()
    for wish in ("unsubscribe", "undo", "undo"):
        assert (await site.ask("POST", letter.way_out, data={"do": wish}))[0] == 200
    assert (await standing(site, letter))["consent"] == ["confirmed", "withdrawn", "confirmed"]


async def test_undo_lifts_nothing_that_another_reason_put_there(site):
    letter = await site.letter()
    await site.context.pool.execute(
        "INSERT INTO suppression SELECT shop_id, 'email', email_hmac, 'complained', 'provider', now() FROM person"
    )
    for wish in ("unsubscribe", "undo"):
        await site.ask("POST", letter.way_out, data={"do": wish})
    assert (await standing(site, letter))["suppressed"] == [("complained", "provider")]


async def test_undo_gives_back_no_consent_that_was_withdrawn_elsewhere(site):
    letter = await site.letter(consent="withdrawn")
    for wish in ("unsubscribe", "undo"):
        await site.ask("POST", letter.way_out, data={"do": wish})
    assert (await standing(site, letter))["consent"] == ["withdrawn"]


async def test_without_any_consent_on_record_there_is_none_to_withdraw(site):
    letter = await site.letter(consent="")
    await site.ask("POST", letter.way_out, data=ONE_CLICK, headers=FORM)
    after = await standing(site, letter)
    assert (after["consent"], after["suppressed"]) == ([], [("unsubscribed", f"message {letter.id}")])


async def test_opting_out_proves_that_the_mail_arrived(site):
    letter = await site.letter(state="unknown")
    await site.ask("POST", letter.way_out, data=ONE_CLICK, headers=FORM)
    assert await site.rows("SELECT state FROM message WHERE id = $1", letter.id) == [("accepted",)]
    assert await site.rows("SELECT outcome FROM attempt") == [("accepted",)]


async def test_a_person_who_was_merged_meanwhile_is_off_the_list(site):
    younger, older = await site.letter("new@example.org"), None
    older = await site.letter("old@example.org")
    await site.context.pool.execute("UPDATE message SET person_id = $1 WHERE id = $2", older.person_id, younger.id)
    await site.ask("POST", younger.way_out, data=ONE_CLICK, headers=FORM)
    assert (await standing(site, older))["recovery"] == ("ended", "unsubscribed")
    [(address,)] = await site.rows("SELECT address_hmac FROM suppression")
    assert [(address,)] == await site.rows("SELECT email_hmac FROM person WHERE id = $1", older.person_id)


async def test_a_rehearsed_mail_takes_nobody_off_the_list(site):
    letter = await site.letter()
    path = f"/u/{letter.token('unsubscribe', rehearsal=True)}"
    assert "Probe" in (await site.ask("GET", path, headers={"Accept-Language": "de"}))[2]
    assert (await site.ask("POST", path, data=ONE_CLICK, headers=FORM))[0] == 200
    assert (await site.ask("POST", path, data={"do": "unsubscribe"}))[0] == 200
    assert await standing(site, letter) == WAITING
    assert await site.kinds() == []


@pytest.mark.parametrize(
    ("locale", "browser", "expected"),
    [
        pytest.param("de-AT", "en", "de", id="the person's language"),
        pytest.param("en-GB", "de", "en", id="the person's, though the browser says another"),
        pytest.param("", "pl;q=0.9, de;q=0.3, en;q=0.7", "en", id="the browser's dearest that we speak"),
        pytest.param("pl", "cs, nl", "de", id="none of them: the shop's"),
        pytest.param("", "", "de", id="nothing known: the shop's"),
        pytest.param("xx_\x01", "de;q=x,,;q=", "de", id="nonsense"),
    ],
)
async def test_the_page_speaks_the_persons_language(site, locale, browser, expected):
    letter = await site.letter(locale=locale)
    _, response, page = await site.ask("GET", letter.way_out, headers={"Accept-Language": browser})
    assert response.headers["Content-Language"] == expected
    assert f'<html lang="{expected}">' in page
    assert "Kaffeehaus" in page


async def test_the_page_may_load_nothing_and_be_framed_by_nobody(site):
    letter = await site.letter()
    _, response, page = await site.ask("GET", letter.way_out)
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert re.search(r"nonce-([\w-]+)'", policy)[1] in page
    assert letter.email not in page


async def test_a_name_of_a_shop_cannot_break_its_page(site):
    rules = site.context.data_dir.parent / "rules" / "shops.yaml"
    rules.write_text(rules.read_text().replace("Kaffeehaus", "'<script>alert(1)</script>'"))
    assert site.context.keeper.reload()
    letter = await site.letter()
    _, _, page = await site.ask("GET", letter.way_out)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.chromium
async def test_a_person_with_a_browser_leaves_and_comes_back(site, needs_program):
    chromium = needs_program("chromium")
    letter = await site.letter()
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=chromium, args=["--no-sandbox"], timeout=120_000)
        page = await browser.new_page(viewport={"width": 375, "height": 667})
        page.set_default_timeout(60_000)
        mistakes: list[str] = []
        page.on("console", lambda message: mistakes.append(message.text))
        await page.goto(f"http://127.0.0.1:{site.served.public_port}{letter.way_out}")
        assert await site.rows("SELECT count(*) FROM suppression") == [(0,)]
        colour = await page.eval_on_selector("button", "it => getComputedStyle(it).backgroundColor")
        assert colour == "rgb(31, 111, 84)"  # the page's own style is let through by its own policy
        wide = await page.evaluate("document.documentElement.scrollWidth")
        assert wide == 375
        await page.get_by_role("button", name="Abmelden").click()
        await page.get_by_role("heading", name="Sie sind abgemeldet").wait_for()
        assert await site.rows("SELECT count(*) FROM suppression") == [(1,)]
        await page.get_by_role("button", name="Rückgängig machen").click()
        await page.get_by_role("heading", name="Es ist wieder wie zuvor").wait_for()
        assert await site.rows("SELECT count(*) FROM suppression") == [(0,)]
        await browser.close()
    assert mistakes == []


async def test_one_address_may_unsubscribe_many(site):
    letters = [await site.letter(f"p{n}@example.org") for n in range(100)]
    answers = await asyncio.gather(
        *(site.ask("POST", letter.way_out, data=ONE_CLICK, headers=FORM) for letter in letters)
    )
    assert {status for status, _, _ in answers} == {200}
    assert await site.rows("SELECT count(*) FROM suppression") == [(100,)]
