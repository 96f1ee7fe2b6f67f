"""The button of double opt-in: what it is asked, and by whom too often."""

from __future__ import annotations

import pytest

from daemon.flow import optin
from daemon.flow.consents import Proof
from daemon.shops.base import Customer
from daemon.store import clock
from daemon.web.edge import FAILURES

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"data": "do=delete", "headers": FORM}, 400, id="another wish"),
        pytest.param({"data": "", "headers": FORM}, 400, id="nothing"),
        pytest.param({"json": {"do": "confirm"}}, 400, id="JSON"),
        pytest.param({"data": b"\xff\xfe" * 100, "headers": FORM}, 400, id="noise"),
        pytest.param(
            {"data": b"--x\r\nbad", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400, id="half"
        ),
        pytest.param(
            {"data": "do=confirm", "headers": {"Content-Type": FORM["Content-Type"] + "; charset=klingon"}},
            400,
            id="in letters that nobody knows",
        ),
        pytest.param({"data": b"do=" + b"x" * 1_000_000, "headers": FORM}, 413, id="a megabyte"),
    ],
)
async def test_what_does_not_press_the_button_is_told_so(site, body, status):
    assert (await site.ask("POST", f"/y/{optin.make_token(site.shop_id)}", **body))[0] == status


DIES = """
ALTER TABLE clock RENAME TO kept;
CREATE VIEW clock AS SELECT kept.* FROM kept, pg_terminate_backend(pg_backend_pid())
"""


async def asked(site) -> str:
    """The token that somebody was sent."""
    proof = Proof("form", wording="Ja, gern.")
    now = await clock.shop_now(site.context.pool)
    await optin.request(site.context, site.shop_id, Customer(email="ada@example.org"), ["email_mkt"], proof, now)
    token = optin.make_token(site.shop_id)
    await site.context.pool.execute(
        "UPDATE opt_in SET state = 'accepted', fence = 1, sending_at = $1, token_sha256 = $2",
        now,
        optin.token_hash(token),
    )
    return token


async def test_a_database_that_goes_away_between_two_questions_is_told_as_such(site):
    links = [f"/y/{await asked(site)}", f"/p/{(await site.letter()).token('prefer')}"]
    assert [(await site.ask("GET", link))[0] for link in links] == [200, 200]
    await site.context.pool.execute(DIES)
    for link in links:
        status, response, _ = await site.ask("GET", link)
        assert (status, response.content_type) == (503, "text/html")


async def test_who_guesses_is_soon_answered_without_the_database(site):
    good, seen = await asked(site), set()
    for number in range(FAILURES):
        how = ("POST", {"data": "do=confirm", "headers": FORM}) if number % 2 else ("GET", {})
        guess = optin.make_token(site.shop_id) if number % 3 else good[:-1] + ("A" if good[-1] != "A" else "B")
        status, response, text = await site.ask(how[0], f"/y/{guess}", **how[1])
        seen.add((status, response.content_type, len(text)))
    assert seen == {(404, "text/html", len(text))}
    await site.context.pool.execute("ALTER TABLE opt_in RENAME TO out_of_reach")
    for token in (optin.make_token(site.shop_id), good):
        for method in ("GET", "POST"):
            status, response, text = await site.ask(method, f"/y/{token}", headers=FORM)
            assert (status, response.headers["Retry-After"]) == (429, "60")
            assert "<html" not in text.lower()
