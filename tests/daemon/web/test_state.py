"""How much one good link may do: enough for everybody who means it, and no more."""

from __future__ import annotations

from urllib.parse import urlsplit

from daemon.web.state import CHANGES, HITS

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
OUT = {"data": "List-Unsubscribe=One-Click", "headers": FORM}
BACK = {"data": "do=undo", "headers": FORM}
COUNTS = "SELECT kind, count(*) FROM event WHERE message_id = $1 GROUP BY 1 ORDER BY 1"


async def is_off(site, letter) -> bool:
    return bool(await site.rows("SELECT FROM suppression WHERE source = $1", f"message {letter.id}"))


async def test_whoever_has_one_link_cannot_fill_the_disk(site):
    letter, other = await site.letter(), await site.letter("bob@example.org")
    for path in (letter.pixel, letter.link(1), letter.way_out):
        seen = set()
        for _ in range(HITS + 10):
            status, response, text = await site.ask("GET", path)
            seen.add((status, urlsplit(response.headers.get("Location", "")).path, response.content_type, len(text)))
        assert len(seen) == 1
    await site.ask("GET", letter.link(0))  # the mail's, not the link's
    await site.ask("GET", other.link(1))
    assert await site.rows(COUNTS, letter.id) == [("clicked", HITS), ("opened", HITS), ("viewed", HITS)]
    assert await site.rows(COUNTS, other.id) == [("clicked", 1)]


async def test_leaving_always_counts_however_often_it_was_said(site):
    letter = await site.letter()
    for _ in range(HITS + 5):
        assert (await site.ask("POST", letter.way_out, **OUT))[0] == 200
    assert await site.rows(COUNTS, letter.id) == [("unsubscribed", HITS)]
    assert await is_off(site, letter)
    assert (await site.ask("POST", letter.way_out, **BACK))[0] == 200
    assert not await is_off(site, letter)
    status, _, text = await site.ask("POST", letter.way_out, **OUT)
    assert (status, text) == (200, "unsubscribed\n")
    assert await is_off(site, letter)


async def test_whoever_cannot_decide_may_come_back_in_an_hour_and_leave_at_any_time(site):
    letter = await site.letter()
    for _ in range(CHANGES):
        assert (await site.ask("POST", letter.way_out, **OUT))[0] == 200
        assert (await site.ask("POST", letter.way_out, **BACK))[0] == 200
    assert (await site.ask("POST", letter.way_out, **OUT))[0] == 200
    for _ in range(5):
        assert (await site.ask("POST", letter.way_out, **BACK))[0] == 429
    assert await is_off(site, letter)
    assert await site.rows("SELECT count(*) FROM consent") == [(1 + 2 * CHANGES + 1,)]


async def test_who_has_chosen_ten_times_in_an_hour_may_still_leave(site):
    letter = await site.letter()
    path = f"/p/{letter.token('prefer')}"
    chosen = "do=choose&often=normal&pause=0&locale="

    async def chooses(more: str) -> int:
        return (await site.ask("POST", path, data=chosen + more, headers=FORM))[0]

    assert {await chooses("&on=email") for _ in range(CHANGES)} == {200}
    assert await chooses("&on=email") == 429
    assert await chooses("") == 200
    assert await is_off(site, letter)
    assert {await chooses("&on=email"), await chooses("")} == {429}
    assert await is_off(site, letter)
