"""The preference centre: what a person chooses holds at once, and looking changes nothing."""

import pytest

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
KEEP = "do=choose&often=normal&pause=0&locale="


async def person(site):
    row = (await site.rows("SELECT fewer, wanted_again_at IS NOT NULL, chosen_locale, facts_no > 0 FROM person"))[0]
    off = await site.rows("SELECT channel, reason FROM suppression")
    words = await site.rows("SELECT purpose, state FROM consent ORDER BY id")
    [(recovery,)] = await site.rows("SELECT coalesce(end_reason, 'open') FROM recovery")
    return tuple(row), [tuple(one) for one in off], [tuple(one) for one in words], recovery


AS_IT_WAS = ((False, False, "", False), [], [("email_mkt", "confirmed")], "open")


def link(letter):
    return f"/p/{letter.token('prefer')}"


async def chooses(site, letter, body):
    return await site.ask("POST", link(letter), data=body, headers=FORM)


async def test_looking_changes_nothing_and_shows_what_holds(site):
    letter = await site.letter()
    status, response, page = await site.ask("GET", link(letter))
    assert (status, response.content_type) == (200, "text/html")
    assert 'name="on" value="email" checked' in page
    assert 'value="sms"' not in page
    assert await person(site) == AS_IT_WAS


async def test_fewer_a_pause_and_another_language(site):
    letter = await site.letter()
    status, response, page = await chooses(site, letter, "do=choose&on=email&often=fewer&pause=30&locale=de")
    assert status == 200
    assert response.headers["Content-Language"] == "de"
    assert "Gespeichert" in page
    assert await person(site) == ((True, True, "de", True), [], [("email_mkt", "confirmed")], "open")
    status, _, page = await chooses(site, letter, "do=choose&on=email&often=normal&pause=keep&locale=de")
    assert "beibehalten" in page
    assert (await person(site))[0] == (False, True, "de", True)


async def test_no_way_ticked_is_an_unsubscription_and_ticked_again_a_consent(site):
    letter = await site.letter()
    await chooses(site, letter, KEEP)
    _, off, words, recovery = await person(site)
    assert off == [("email", "unsubscribed")]
    assert words == [("email_mkt", "confirmed"), ("email_mkt", "withdrawn")]
    assert recovery == "unsubscribed"
    await chooses(site, letter, KEEP + "&on=email")
    _, off, words, recovery = await person(site)
    assert off == []
    assert words[2:] == [("email_mkt", "confirmed")]
    assert recovery == "unsubscribed"


async def test_what_was_not_their_wish_is_not_theirs_to_lift(site):
    letter = await site.letter()
    await site.context.pool.execute(
        "INSERT INTO suppression SELECT shop_id, 'email', email_hmac, 'complained', 'x', now() FROM person"
    )
    await chooses(site, letter, KEEP + "&on=email")
    assert (await person(site))[1] == [("email", "complained")]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "do=choose",
        "do=unsubscribe",
        KEEP + "xx",
        "do=choose&often=often&pause=0&locale=",
        "List-Unsubscribe=One-Click",
    ],
)
async def test_what_is_not_the_form_changes_nothing(site, body):
    letter = await site.letter()
    assert (await chooses(site, letter, body))[0] == 400
    assert await person(site) == AS_IT_WAS


async def test_another_link_opens_no_preferences(site):
    letter = await site.letter()
    for token in (letter.token("unsubscribe"), "x" * 40):
        assert (await site.ask("GET", f"/p/{token}"))[0] == 404
        assert (await site.ask("POST", f"/p/{token}", data=KEEP, headers=FORM))[0] == 404
    assert await person(site) == AS_IT_WAS
